//! What the upstream says: a reply with its holes filled, and what the client
//! should find in them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Trial;
use super::plant::{Kind, Planted};
use super::sample::ReplySample;
use super::template::{Escape, Hole, Template, Want};
use crate::config::Reply;

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
    pub(super) of: usize,
    pub(super) template: &'r Template,
    sent: Vec<String>,
    pub(super) wanted: Vec<String>,
    /// The values that stand in what is wanted.
    pub(super) values: Vec<String>,
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
                    let quoted = hole.want == Want::Markup || frame.quotes(at).0;
                    let bare = reply.escape == Escape::Json && !quoted && saying.whose == Whose::Nasty;
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
                let planted = (10..18).map(|back| saying.kind.of_others(Kind::VALUES - back));
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
            Want::Text | Want::Markup | Want::Growing | Want::Piece | Want::First | Want::Rest => (said, heard),
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
}

impl Template {
    /// Whether a text stands in it that goes on in the next frame.
    pub(super) fn goes_on(&self) -> bool {
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
