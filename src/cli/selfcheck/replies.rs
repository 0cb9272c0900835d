//! The way back: the upstream repeats tokens in every field of every reply,
//! cut and bent, and what the client got is laid against what it should get.

use std::borrow::Cow;

use bytes::Bytes;

use super::plant::Kind;
use super::report::{Fault, Field, Side};
use super::requests::leaks;
use super::rig::{Answer, Course, Exchange};
use super::said::{Said, Saying, Whose};
use super::sample::{Framing, ReplySample};
use super::template::{Escape, Template, Want};
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
                    _ if hole.want == Want::Markup => Escape::Markup.read(got),
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

/// So many numbers below `end`, evenly apart.
fn steps(end: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count.min(end)).map(move |step| step * end / count.min(end).max(1))
}
