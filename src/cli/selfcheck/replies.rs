//! The way back: the upstream repeats tokens in every field of every reply,
//! cut and bent, and what the client got is laid against what it should get.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::plant::{Kind, Planted};
use super::report::{Fault, Field, Side};
use super::requests::leaks;
use super::rig::{Answer, Course, Exchange};
use super::sample::{Framing, ReplySample};
use super::template::{Escape, Hole, Template, Want};
use super::{Effort, Trial};
use crate::config::Reply;
use crate::detect::Operator;

/// How a model may bend a token that still has to be restored.
const BENT: [fn(&str) -> String; 5] = [
    |token| token.to_lowercase(),
    |token| token.trim_matches(['[', ']']).to_owned(),
    |token| token.replace('_', "\\_"),
    |token| token.replace('[', "\\[").replace(']', "\\]"),
    |token| token.replace('[', "&#91;").replace(']', "&#93;"),
];

/// How many cuts of a stream the quick form tries.
const QUICK_CUTS: usize = 12;

/// Whose values the reply holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The caller's.
    Own,
    /// The caller's, such as are hard to write.
    Nasty,
    /// Somebody else's, which the upstream brings up.
    Others,
}

/// One way of saying the reply.
#[derive(Clone, Copy)]
pub(super) struct Saying<'s> {
    pub(super) kind: Kind,
    pub(super) whose: Whose,
    /// How the token is written.
    pub(super) bend: &'s dyn Fn(&str) -> String,
    /// Where texts that go on are cut; none is at every character.
    pub(super) cut: Option<usize>,
    /// Where the bytes are cut; none is at every byte, the end is nowhere.
    pub(super) transport: Option<usize>,
    /// Who asks.
    pub(super) subject: Option<&'s str>,
}

impl Saying<'_> {
    /// The caller's own values, and nothing cut.
    pub(super) fn plain(kind: Kind) -> Self {
        let nowhere = Some(usize::MAX);
        Self { kind, whose: Whose::Own, bend: &str::to_owned, cut: nowhere, transport: nowhere, subject: None }
    }
}

/// A reply as it is sent, and what should become of it.
pub(super) struct Said<'r> {
    pub(super) frames: Vec<Frame<'r>>,
    pub(super) bytes: Vec<u8>,
}

/// One frame, and what stands in its holes.
#[derive(Clone)]
pub(super) struct Frame<'r> {
    /// Which of the sample's frames.
    of: usize,
    template: &'r Template,
    sent: Vec<String>,
    wanted: Vec<String>,
    /// The values that stand in what is wanted.
    values: Vec<String>,
}

/// What is said in a hole.
#[derive(Default)]
struct Spoken {
    sent: String,
    /// What the client should find there.
    wanted: String,
    value: String,
    /// The end of the value in both, in characters and in bytes.
    ends: [(usize, usize); 2],
}

impl Trial<'_> {
    /// Tries all replies of the sample.
    pub(super) async fn replies(&mut self) {
        for reply in &self.sample.replies {
            for kind in Kind::ALL {
                if self.ground.known.get(&kind).is_some_and(|known| !known.is_empty()) {
                    self.reply(reply, kind).await;
                }
                self.others(reply, kind).await;
            }
            self.ways(reply).await;
        }
    }

    /// What the upstream says of others.
    async fn others(&mut self, reply: &ReplySample, kind: Kind) {
        let others = Saying { whose: Whose::Others, ..Saying::plain(kind) };
        self.say(reply, &others, 0).await;
        if self.ground.route.reply == Reply::RestoreRedact {
            let length = self.said(reply, &others).bytes.len();
            self.say(reply, &Saying { cut: None, ..others }, length as u64).await;
        }
    }

    async fn reply(&mut self, reply: &ReplySample, kind: Kind) {
        let plain = Saying::plain(kind);
        let length = self.said(reply, &plain).bytes.len();
        let full = self.effort == Effort::Full;
        let thorough = full || kind == Kind::ALL[0];

        self.say(reply, &plain, 0).await;
        self.say(reply, &Saying { cut: None, ..plain }, length as u64).await;
        if self.effort == Effort::Little {
            return;
        }
        self.say(reply, &Saying { transport: None, ..plain }, length as u64).await;
        if reply.is_streamed() {
            let longest = 80;
            for cut in steps(longest, if thorough { longest } else { QUICK_CUTS }) {
                self.say(reply, &Saying { cut: Some(cut), ..plain }, 1).await;
            }
        }
        // Where the bytes are cut has nothing to do with the kind of value.
        if kind == Kind::ALL[0] && reply.framing != Framing::Document {
            for at in steps(length, if full { length } else { QUICK_CUTS }) {
                self.say(reply, &Saying { transport: Some(at), ..plain }, 1).await;
            }
        }
        if thorough && self.says_tokens(kind) {
            for bend in &BENT {
                let bent = Saying { bend, ..plain };
                self.say(reply, &bent, 0).await;
                self.say(reply, &Saying { cut: None, ..bent }, length as u64).await;
            }
        }
        self.say(reply, &Saying { subject: Some("selfcheck-2"), ..plain }, 0).await;
    }

    /// Has the upstream say it so, and looks at what the client gets.
    pub(super) async fn say(&mut self, reply: &ReplySample, saying: &Saying<'_>, cuts: u64) {
        let said = self.said(reply, saying);
        let pieces = match saying.transport {
            Some(at) if at < said.bytes.len() => {
                let (head, tail) = said.bytes.split_at(at);
                vec![Bytes::copy_from_slice(head), Bytes::copy_from_slice(tail)]
            }
            Some(_) => vec![Bytes::copy_from_slice(&said.bytes)],
            None => said.bytes.chunks(1).map(Bytes::copy_from_slice).collect(),
        };
        let exchange = self.rig.exchange(&self.asking(saying.subject), usize::MAX, reply.answer(pieces)).await;
        self.compare_reply(reply, saying, &said, exchange, cuts);
    }

    /// Compares a reply that came to its end with what it should be.
    pub(super) fn compare_reply(
        &mut self,
        reply: &ReplySample,
        saying: &Saying<'_>,
        said: &Said<'_>,
        exchange: Result<Exchange, String>,
        cuts: u64,
    ) {
        let compared = match exchange {
            Ok(exchange) if exchange.status != reply.status => Err(format!("the client got {}", exchange.status)),
            Ok(Exchange { broke_off: true, .. }) => Err("it broke off".to_owned()),
            Ok(exchange) => match std::str::from_utf8(&exchange.body) {
                Ok(text) => self.lay(reply, saying, said, text, cuts),
                Err(_) => Err("the client got what is no text".to_owned()),
            },
            Err(why) => Err(why),
        };
        if let Err(why) = compared {
            self.broke_off(reply, saying, &why);
        }
    }

    /// Lays what the client got against what it should get.
    pub(super) fn lay(
        &mut self,
        reply: &ReplySample,
        saying: &Saying<'_>,
        said: &Said<'_>,
        got: &str,
        cuts: u64,
    ) -> Result<(), String> {
        let (before, between, after) = reply.framing.marks();
        let inner = got.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let inner = inner.ok_or("the client got another beginning or end")?;
        let got: Vec<&str> = match reply.framing {
            Framing::Document => vec![inner],
            _ => inner.split(between).collect(),
        };
        if got.len() != said.frames.len() {
            return Err(format!("{} frames became {}", said.frames.len(), got.len()));
        }
        // What a text that goes on came to, by frame of the sample and hole.
        let mut texts: Vec<Vec<(String, String, String)>> =
            reply.frames.iter().map(|frame| vec![Default::default(); frame.holes.len()]).collect();
        for (frame, got) in said.frames.iter().zip(got) {
            let contents = frame.template.fit(got, reply.escape).map_err(|changed| {
                let hole = frame.template.holes.get(changed.0.min(frame.template.holes.len().saturating_sub(1)));
                format!("other bytes near {}", hole.map_or("a frame without text", |hole| &hole.field))
            })?;
            let Some(texts) = texts.get_mut(frame.of) else { continue };
            for (((text, got), wanted), value) in texts.iter_mut().zip(&contents).zip(&frame.wanted).zip(&frame.values)
            {
                text.0.push_str(got);
                text.1.push_str(wanted);
                value.clone_into(&mut text.2);
            }
        }
        for (frame, texts) in reply.frames.iter().zip(&texts) {
            for (at, (hole, (got, wanted, value))) in frame.holes.iter().zip(texts).enumerate() {
                let is_unknown = match hole.want {
                    Want::Count | Want::Media => true,
                    Want::Offset => self.redacts() || wanted.is_empty(),
                    // A name alone may be taken for one or not.
                    Want::Value | Want::Who | Want::Name => {
                        self.redacts() && saying.whose == Whose::Others && saying.kind == Kind::Person
                    }
                    _ => false,
                };
                if is_unknown {
                    continue;
                }
                let row = match hole.want {
                    Want::Offset => self.reply_row(reply, &format!("place in {}", hole.field)),
                    _ => self.reply_row(reply, &hole.field),
                };
                let got: Cow<'_, str> = match frame.quotes(at) {
                    // A string of a JSON text: within a string, or within a text.
                    (_, true) => Escape::Json.read(got),
                    (true, _) if reply.escape == Escape::None => Escape::Json.read(got),
                    _ => got.as_str().into(),
                };
                let is_shown = hole.want == Want::Growing && self.redacts() && wanted.starts_with(&*got);
                let fault = if is_shown && (saying.whose != Whose::Others || !leaks(&got, value)) {
                    None
                } else if self.hides(hole.want, saying) {
                    let out = shows(&got, wanted, value, self.operator(saying.kind));
                    out.then(|| (Fault::Leak, format!("{got:?} tells of somebody else{saying}")))
                } else {
                    let is_dropped = hole.want == Want::Offset && got == "null";
                    let wrong = !is_dropped && got != *wanted;
                    wrong.then(|| (Fault::Restore, format!("{got:?} instead of {wanted:?}{saying}")))
                };
                self.report.check(&row, Some(saying.kind), fault);
                self.report.cut(&row, cuts);
            }
        }
        Ok(())
    }

    /// The reply with its holes filled.
    pub(super) fn said<'r>(&self, reply: &'r ReplySample, saying: &Saying<'_>) -> Said<'r> {
        let straight = self.values(saying, Whose::Own);
        let wanted = self.values(saying, saying.whose);
        let mut texts = 0;
        // For each hole of each frame, what is said and what should be heard.
        let mut spoken: Vec<Vec<Spoken>> = (reply.frames.iter())
            .map(|frame| {
                let one = |(at, hole): (usize, &Hole)| {
                    texts += 1;
                    // What stands in no quotes is not escaped, and cannot hold everything.
                    let bare = reply.escape == Escape::Json && !frame.quotes(at).0 && saying.whose == Whose::Nasty;
                    let known = if bare { &straight } else { &wanted };
                    let known = known.get(texts % known.len().max(1));
                    known.map(|(planted, stand)| self.speak(hole, planted, stand, saying)).unwrap_or_default()
                };
                frame.holes.iter().enumerate().map(one).collect()
            })
            .collect();
        place_offsets(reply, &mut spoken);
        let mut frames: Vec<Frame<'r>> = Vec::new();
        let mut at = 0;
        while at < reply.frames.len() {
            // Texts that go on side by side take turns.
            let rest = reply.frames.get(at..).unwrap_or_default();
            let together = rest.iter().take_while(|frame| frame.goes_on()).count();
            let group = at..at + together.max(1);
            let pieces =
                if together == 0 { 1 } else { spoken.get(group.clone()).map_or(1, |all| most_pieces(all, saying.cut)) };
            for piece in 0..pieces {
                for of in group.clone() {
                    let (Some(template), Some(spoken)) = (reply.frames.get(of), spoken.get(of)) else { continue };
                    let number = frames.len();
                    let part = |hole: &Hole, text: &String| match hole.want {
                        Want::Piece | Want::JsonPiece => piece_of(text, saying.cut, piece),
                        Want::Count => number.to_string(),
                        _ => text.clone(),
                    };
                    let all = || template.holes.iter().zip(spoken);
                    frames.push(Frame {
                        of,
                        template,
                        sent: all().map(|(hole, spoken)| part(hole, &spoken.sent)).collect(),
                        // The whole text is wanted, wherever its pieces are.
                        wanted: all()
                            .map(|(hole, spoken)| match hole.want {
                                Want::Piece | Want::JsonPiece if piece > 0 => String::new(),
                                Want::Count => number.to_string(),
                                _ => spoken.wanted.clone(),
                            })
                            .collect(),
                        values: spoken.iter().map(|spoken| spoken.value.clone()).collect(),
                    });
                }
            }
            at = group.end;
        }
        let bytes = written(reply, &frames);
        Said { frames, bytes }
    }

    /// The values that are said, each with what the upstream says for it.
    fn values(&self, saying: &Saying<'_>, whose: Whose) -> Cow<'_, [(Planted, String)]> {
        match whose {
            Whose::Own => self.ground.known.get(&saying.kind).map(Vec::as_slice).unwrap_or_default().into(),
            Whose::Nasty => self.ground.nasty.as_slice().into(),
            // Some that nobody has sent.
            Whose::Others => {
                let planted = (10..18).map(|back| saying.kind.sentence(Kind::VALUES - back));
                planted.map(|planted| (planted.clone(), planted.value)).collect()
            }
        }
    }

    /// What stands in a hole, and what the client should find there.
    fn speak(&self, hole: &Hole, planted: &Planted, stand: &str, saying: &Saying<'_>) -> Spoken {
        let bent = (saying.bend)(stand);
        let restored = saying.subject.is_none() && self.ground.route.reply != Reply::Pass;
        let back = if restored { &planted.value } else { &bent };
        let (said, heard) = (planted.around(&bent), planted.around(back));
        let in_json = |text: &str| format!("{{\"note\": \"{}\"}}", Escape::Json.write(text));
        let end = |text: &str| {
            let text = text.strip_suffix(planted.after).unwrap_or(text);
            (text.chars().count(), text.len())
        };
        let ends = [end(&said), end(&heard)];
        let (sent, wanted) = match hole.want {
            Want::Text | Want::Growing | Want::Piece | Want::First | Want::Rest => (said, heard),
            Want::JsonPiece => (in_json(&said), in_json(&heard)),
            Want::Value | Want::Who | Want::Name => (bent.clone(), back.clone()),
            Want::Never => (stand.to_owned(), stand.to_owned()),
            Want::Media => ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf".to_owned(), String::new()),
            Want::Number => ("42".to_owned(), "42".to_owned()),
            Want::Offset => ("42".to_owned(), String::new()),
            Want::Count => Default::default(),
        };
        Spoken { sent, wanted, value: planted.value.clone(), ends }
    }

    /// Whether data of others is looked for, so that texts have other lengths
    /// and are known only as far as they are decided.
    fn redacts(&self) -> bool {
        self.ground.route.reply == Reply::RestoreRedact
    }

    /// Whether what is said there of others may not be told.
    fn hides(&self, want: Want, saying: &Saying<'_>) -> bool {
        let is_looked_at = !matches!(want, Want::Never | Want::Number | Want::Offset);
        saying.whose == Whose::Others && self.redacts() && self.operator(saying.kind).is_some() && is_looked_at
    }

    /// Whether tokens stand for values of this kind, rather than surrogates.
    fn says_tokens(&self, kind: Kind) -> bool {
        self.operator(kind) == Some(Operator::Token)
    }

    pub(super) fn reply_row(&self, reply: &ReplySample, name: &str) -> Field {
        let shape = match reply.framing {
            Framing::Document if reply.status >= 400 => "error ",
            Framing::Document => "",
            Framing::Events => "event ",
            Framing::Lines => "line ",
            Framing::Array => "element ",
            Framing::Messages => "message ",
        };
        self.field(Side::Reply, &format!("{shape}{name}"))
    }

    pub(super) fn broke_off(&mut self, reply: &ReplySample, saying: &Saying<'_>, why: &str) {
        let row = self.reply_row(reply, "(all)");
        self.report.check(&row, Some(saying.kind), Some((Fault::Changed, format!("{why}{saying}"))));
    }
}

impl ReplySample {
    pub(super) fn is_streamed(&self) -> bool {
        self.frames.iter().any(Template::goes_on)
    }

    /// What the upstream answers, in these pieces.
    pub(super) fn answer(&self, pieces: Vec<Bytes>) -> Answer {
        let (status, content_type) = (self.status, self.content_type.clone());
        Answer { status, content_type, coding: None, pieces, course: Course::Whole }
    }
}

impl Template {
    /// Whether a text stands in it that goes on in the next frame.
    fn goes_on(&self) -> bool {
        self.holes.iter().any(|hole| matches!(hole.want, Want::Piece | Want::JsonPiece))
    }
}

impl std::fmt::Display for Saying<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.cut {
            None => write!(f, ", cut at each character")?,
            Some(usize::MAX) => {}
            Some(at) => write!(f, ", cut at {at}")?,
        }
        match self.transport {
            None => write!(f, ", the stream cut at each byte")?,
            Some(usize::MAX) => {}
            Some(at) => write!(f, ", the stream cut at byte {at}")?,
        }
        if self.subject.is_some() {
            write!(f, ", for somebody else")?;
        }
        match self.whose {
            Whose::Own => {}
            Whose::Nasty => write!(f, ", with a value that is hard to write")?,
            Whose::Others => write!(f, ", with values of others")?,
        }
        Ok(())
    }
}

/// The bytes of these frames.
pub(super) fn written(reply: &ReplySample, frames: &[Frame<'_>]) -> Vec<u8> {
    let (before, between, after) = reply.framing.marks();
    let fill =
        |frame: &Frame<'_>| frame.template.fill(reply.escape, |at, _| frame.sent.get(at).cloned().unwrap_or_default());
    let text = frames.iter().map(fill).collect::<Vec<_>>().join(between);
    format!("{before}{text}{after}").into_bytes()
}

/// An offset that is called by the text in which it counts, `FIELD` or
/// `bytes FIELD`, is that of the end of its value.
fn place_offsets(reply: &ReplySample, spoken: &mut [Vec<Spoken>]) {
    let mut ends = BTreeMap::new();
    for (frame, spoken) in reply.frames.iter().zip(&*spoken) {
        for (hole, spoken) in frame.holes.iter().zip(spoken).filter(|(hole, _)| hole.want != Want::Offset) {
            ends.entry(hole.field.as_str()).or_insert(spoken.ends);
        }
    }
    for (frame, spoken) in reply.frames.iter().zip(spoken) {
        for (hole, spoken) in frame.holes.iter().zip(spoken).filter(|(hole, _)| hole.want == Want::Offset) {
            let (field, in_bytes) = match hole.field.strip_prefix("bytes ") {
                Some(field) => (field, true),
                None => (hole.field.as_str(), false),
            };
            let place = |(characters, bytes): (usize, usize)| if in_bytes { bytes } else { characters }.to_string();
            if let Some([sent, wanted]) = ends.get(field) {
                (spoken.sent, spoken.wanted) = (place(*sent), place(*wanted));
            }
        }
    }
}

/// Whether what the client got, where it should not get `value`, tells of it.
fn shows(got: &str, wanted: &str, value: &str, operator: Option<Operator>) -> bool {
    let around = wanted.split_once(value);
    let stand = around.and_then(|(before, after)| got.strip_prefix(before)?.strip_suffix(after));
    let Some(stand) = stand else { return true };
    // A mask may show the end of a value.
    let parts = |size: usize| {
        let (head, tail) = (value.get(..size), value.len().checked_sub(size).and_then(|at| value.get(at..)));
        head.is_some_and(|head| stand.contains(head)) || tail.is_some_and(|tail| stand.contains(tail))
    };
    leaks(stand, value) || (operator != Some(Operator::Mask) && parts(5))
}

/// The longest number of pieces that one of the texts is cut into.
fn most_pieces(spoken: &[Vec<Spoken>], cut: Option<usize>) -> usize {
    match cut {
        Some(usize::MAX) => 1,
        Some(_) => 2,
        None => spoken.iter().flatten().map(|spoken| spoken.sent.chars().count()).max().unwrap_or(1),
    }
}

/// The piece with this number of a text that is cut once, or at each character.
fn piece_of(text: &str, cut: Option<usize>, piece: usize) -> String {
    match cut {
        None => text.chars().nth(piece).map(String::from).unwrap_or_default(),
        Some(at) => {
            let (head, tail) = text.split_at(at.min(text.len()));
            if piece == 0 { head.to_owned() } else { tail.to_owned() }
        }
    }
}

/// So many numbers below `end`, evenly apart.
fn steps(end: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count.min(end)).map(move |step| step * end / count.min(end).max(1))
}
