//! The way back: the upstream repeats tokens in every field of every reply,
//! cut and bent, and what the client got is laid against what it should get.

use bytes::Bytes;

use super::Trial;
use super::plant::{Kind, Planted};
use super::report::{Fault, Field, Side};
use super::rig::Answer;
use super::sample::{Framing, ReplySample};
use super::template::{Escape, Hole, Template, Want};
use crate::config::Reply;

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

/// One way of saying the reply.
struct Saying<'s> {
    kind: Kind,
    /// How the token is written.
    bend: &'s dyn Fn(&str) -> String,
    /// Where texts that go on are cut; none is at every character.
    cut: Option<usize>,
    /// Where the bytes are cut; none is at every byte, the end is nowhere.
    transport: Option<usize>,
    /// Who asks.
    subject: Option<&'s str>,
}

/// A reply as it is sent, and what should become of it.
struct Said<'r> {
    frames: Vec<Frame<'r>>,
    bytes: Vec<u8>,
}

/// One frame, and what stands in its holes.
struct Frame<'r> {
    /// Which of the sample's frames.
    of: usize,
    template: &'r Template,
    sent: Vec<String>,
    wanted: Vec<String>,
}

impl Trial<'_> {
    /// Tries all replies of the sample.
    pub(super) async fn replies(&mut self) {
        for reply in &self.sample.replies {
            for kind in Kind::ALL {
                if self.ground.known.get(&kind).is_some_and(|known| !known.is_empty()) {
                    self.reply(reply, kind).await;
                }
            }
        }
    }

    async fn reply(&mut self, reply: &ReplySample, kind: Kind) {
        let straight = |token: &str| token.to_owned();
        let nowhere = usize::MAX;
        let plain = Saying { kind, bend: &straight, cut: Some(nowhere), transport: Some(nowhere), subject: None };
        let length = self.said(reply, &plain).bytes.len();
        let thorough = self.full || kind == Kind::ALL[0];

        self.say(reply, &plain, 0).await;
        self.say(reply, &Saying { cut: None, ..plain }, length as u64).await;
        self.say(reply, &Saying { transport: None, ..plain }, length as u64).await;
        if reply.is_streamed() {
            let longest = 80;
            for cut in steps(longest, if thorough { longest } else { QUICK_CUTS }) {
                self.say(reply, &Saying { cut: Some(cut), ..plain }, 1).await;
            }
        }
        // Where the bytes are cut has nothing to do with the kind of value.
        if kind == Kind::ALL[0] && reply.framing != Framing::Document {
            for at in steps(length, if self.full { length } else { QUICK_CUTS }) {
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
    async fn say(&mut self, reply: &ReplySample, saying: &Saying<'_>, cuts: u64) {
        let said = self.said(reply, saying);
        let pieces = match saying.transport {
            Some(at) if at < said.bytes.len() => {
                let (head, tail) = said.bytes.split_at(at);
                vec![Bytes::copy_from_slice(head), Bytes::copy_from_slice(tail)]
            }
            Some(_) => vec![Bytes::copy_from_slice(&said.bytes)],
            None => said.bytes.chunks(1).map(Bytes::copy_from_slice).collect(),
        };
        let answer = Answer { status: reply.status, content_type: reply.content_type.clone(), pieces };
        let got = match self.rig.exchange(&self.asking(saying.subject), usize::MAX, answer).await {
            Ok(exchange) if exchange.status == reply.status => exchange.body,
            Ok(exchange) => return self.broke_off(reply, saying, &format!("the client got {}", exchange.status)),
            Err(why) => return self.broke_off(reply, saying, &why),
        };
        let compared = match std::str::from_utf8(&got) {
            Ok(text) => self.lay(reply, saying, &said, text, cuts),
            Err(_) => Err("the client got what is no text".to_owned()),
        };
        if let Err(why) = compared {
            self.broke_off(reply, saying, &why);
        }
    }

    /// Lays what the client got against what it should get.
    fn lay(
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
        let mut texts: Vec<Vec<(String, String)>> =
            reply.frames.iter().map(|frame| vec![Default::default(); frame.holes.len()]).collect();
        for (frame, got) in said.frames.iter().zip(got) {
            let contents = frame.template.fit(got, reply.escape).map_err(|changed| {
                let hole = frame.template.holes.get(changed.0.min(frame.template.holes.len().saturating_sub(1)));
                format!("other bytes near {}", hole.map_or("a frame without text", |hole| &hole.field))
            })?;
            let Some(texts) = texts.get_mut(frame.of) else { continue };
            for ((text, got), wanted) in texts.iter_mut().zip(&contents).zip(&frame.wanted) {
                text.0.push_str(got);
                text.1.push_str(wanted);
            }
        }
        for (frame, texts) in reply.frames.iter().zip(&texts) {
            for (hole, (got, wanted)) in frame.holes.iter().zip(texts) {
                if matches!(hole.want, Want::Count | Want::Media | Want::Offset) {
                    continue;
                }
                let row = self.reply_row(reply, &hole.field);
                let fault = (got != wanted).then(|| (Fault::Restore, format!("{got:?} instead of {wanted:?}{saying}")));
                self.report.check(&row, Some(saying.kind), fault);
                self.report.cut(&row, cuts);
            }
        }
        Ok(())
    }

    /// The reply with its holes filled.
    fn said<'r>(&self, reply: &'r ReplySample, saying: &Saying<'_>) -> Said<'r> {
        let none = Vec::new();
        let known = self.ground.known.get(&saying.kind).unwrap_or(&none);
        let mut texts = 0;
        // For each hole of each frame, what is said and what should be heard.
        let spoken: Vec<Vec<(String, String)>> = (reply.frames.iter())
            .map(|frame| {
                let one = |hole: &Hole| {
                    texts += 1;
                    let known = known.get(texts % known.len().max(1));
                    known.map(|(planted, stand)| self.speak(hole, planted, stand, saying)).unwrap_or_default()
                };
                frame.holes.iter().map(one).collect()
            })
            .collect();
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
                        sent: all().map(|(hole, (sent, _))| part(hole, sent)).collect(),
                        // The whole text is wanted, wherever its pieces are.
                        wanted: all()
                            .map(|(hole, (_, wanted))| match hole.want {
                                Want::Piece | Want::JsonPiece if piece > 0 => String::new(),
                                Want::Count => number.to_string(),
                                _ => wanted.clone(),
                            })
                            .collect(),
                    });
                }
            }
            at = group.end;
        }
        let (before, between, after) = reply.framing.marks();
        let written = |frame: &Frame<'_>| {
            frame.template.fill(reply.escape, |at, _| frame.sent.get(at).cloned().unwrap_or_default())
        };
        let text = frames.iter().map(written).collect::<Vec<_>>().join(between);
        Said { frames, bytes: format!("{before}{text}{after}").into_bytes() }
    }

    /// What stands in a hole, and what the client should find there.
    fn speak(&self, hole: &Hole, planted: &Planted, stand: &str, saying: &Saying<'_>) -> (String, String) {
        let bent = (saying.bend)(stand);
        let restored = saying.subject.is_none() && self.ground.route.reply != Reply::Pass;
        let said = planted.around(&bent);
        let heard = if restored { planted.text() } else { said.clone() };
        let in_json = |text: &str| format!("{{\"note\": \"{}\"}}", Escape::Json.write(text));
        match hole.want {
            Want::Text | Want::Piece | Want::First | Want::Rest => (said, heard),
            Want::JsonPiece => (in_json(&said), in_json(&heard)),
            Want::Value | Want::Who | Want::Name => (bent, if restored { planted.value.clone() } else { said }),
            Want::Never => (stand.to_owned(), stand.to_owned()),
            Want::Media => ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf".to_owned(), String::new()),
            Want::Number | Want::Offset => ("42".to_owned(), "42".to_owned()),
            Want::Count => Default::default(),
        }
    }

    /// Whether tokens stand for values of this kind, rather than surrogates.
    fn says_tokens(&self, kind: Kind) -> bool {
        self.operator(kind) == Some(crate::detect::Operator::Token)
    }

    fn reply_row(&self, reply: &ReplySample, name: &str) -> Field {
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

    fn broke_off(&mut self, reply: &ReplySample, saying: &Saying<'_>, why: &str) {
        let row = self.reply_row(reply, "(all)");
        self.report.check(&row, Some(saying.kind), Some((Fault::Changed, format!("{why}{saying}"))));
    }
}

impl ReplySample {
    fn is_streamed(&self) -> bool {
        self.frames.iter().any(Template::goes_on)
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
        Ok(())
    }
}

/// The longest number of pieces that one of the texts is cut into.
fn most_pieces(spoken: &[Vec<(String, String)>], cut: Option<usize>) -> usize {
    match cut {
        Some(usize::MAX) => 1,
        Some(_) => 2,
        None => spoken.iter().flatten().map(|(sent, _)| sent.chars().count()).max().unwrap_or(1),
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
