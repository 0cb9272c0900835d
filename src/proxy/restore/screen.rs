//! Finds personal data that the model itself brings up, while it streams.
//!
//! What the caller had replaced, and gets back, is no finding. All else is
//! looked through like a request, a few words behind what arrives: a place is
//! given out once enough text follows it that what starts there would have been
//! found whole. When that is depends on the text so far alone, so the result is
//! the same however the text is cut.

use super::finder::Piece;
use super::{Context, Pause};
use crate::detect::{Detector, Engine, Input, Operator, Plan, RuleId, Scratch};
use crate::entity::Entity;
use crate::json;
use crate::proxy::redact::Means;
use crate::sensitive::Sensitive;
use crate::token::Token;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// So much text has to follow a place before it is decided: more than a name,
/// a card in groups, or the number and street of an address take.
const LOOK_AHEAD: usize = 96;
/// So much more is waited for, so that not every word costs a scan.
const STRIDE: usize = 32;
/// So much of what was given out is read again, for the words that lead up to
/// a finding.
const CONTEXT: usize = 128;
/// A number of no more digits says nothing of anybody, unless more follow.
const FEW_DIGITS: usize = 4;
/// What is found and still grows (a private key), or has no end of a word, is
/// held so long.
const MAX_HELD: usize = 4096;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// By what replies of a route are looked through.
pub(in crate::proxy) struct Redaction {
    pub(in crate::proxy) engine: Arc<Engine>,
    pub(in crate::proxy) plan: Plan,
    pub(in crate::proxy) means: Means,
    /// Whether what is no text passes unseen.
    pub(in crate::proxy) passes_binary: bool,
}

impl Redaction {
    /// What stands in for a value. There is no token: it would be restored when
    /// the model repeats it in a later turn.
    pub(super) fn stand_in(&self, other: Other, value: &str) -> String {
        self.means.irreversible(other.entity, value, other.operator)
    }
}

/// What was found.
#[derive(Clone, Copy)]
pub(super) struct Other {
    pub(super) entity: Entity,
    pub(super) rule: RuleId,
    operator: Operator,
    /// Whether it stands between quotes, where the text is JSON.
    pub(super) quoted: bool,
}

/// What stands in for a number of a document, where that is personal data as a
/// whole: a string.
pub(super) fn number(
    at: &Range<usize>,
    document: &str,
    context: &Context,
) -> Option<(Range<usize>, Cow<'static, str>)> {
    let redaction = context.redaction.as_ref()?;
    let digits = document.get(at.clone())?;
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let detector = Detector { engine: &redaction.engine, plan: &redaction.plan };
    let found = SCRATCH.with_borrow_mut(|scratch| detector.scan(Input::text(digits), scratch).first().copied())?;
    if found.start > 0 || found.end < digits.len() || found.operator == Operator::Keep {
        return None;
    }
    context.watch.found_in_reply(found.rule);
    let other = Other { entity: found.entity, rule: found.rule, operator: found.operator, quoted: true };
    let mut text = vec![b'"'];
    json::escape(&redaction.stand_in(other, digits), &mut text);
    text.push(b'"');
    Some((at.clone(), Cow::Owned(String::from_utf8(text).ok()?)))
}

/// Looks through one channel of text.
pub(super) struct Screen {
    redaction: Arc<Redaction>,
    /// What was given out last, and behind it what is held. What is the
    /// caller's own stands here as a token.
    window: String,
    /// Where in the window the held text starts.
    decided: usize,
    /// Where in the window the caller's own stands, as far as it is held.
    own: VecDeque<(Range<usize>, Own)>,
    /// The window is looked through at the first end of a word from here on.
    due: usize,
    /// Whether quotes are open where the held text starts, and whether a
    /// backslash stands in front of it.
    quotes: Quotes,
    /// Where in the window something else may have begun.
    joint: Option<usize>,
}

/// Where in a JSON text we are.
#[derive(Clone, Copy, Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.open = !self.open,
                _ => {}
            }
        }
    }
}

/// What the caller gets back.
struct Own {
    raw: String,
    kind: OwnKind,
}

enum OwnKind {
    Token(Token),
    Surrogate(Entity, Arc<Sensitive>),
}

impl Screen {
    pub(super) fn new(redaction: Arc<Redaction>) -> Self {
        let due = LOOK_AHEAD + STRIDE;
        let (window, own, quotes) = (String::new(), VecDeque::new(), Quotes::default());
        Self { redaction, window, decided: 0, own, due, quotes, joint: None }
    }

    pub(super) fn push(&mut self, piece: Piece<'_>, out: &mut impl FnMut(Piece<'_>)) {
        match piece {
            Piece::Text(text) => self.text(text, out),
            Piece::Token { token, raw } => self.own(raw, raw, OwnKind::Token(token)),
            Piece::Surrogate { entity, value, raw } => {
                let stand_in = format!("[{entity}]");
                self.own(&stand_in, raw, OwnKind::Surrogate(entity, Arc::clone(value)));
            }
            Piece::Other { .. } => out(piece),
        }
    }

    /// Says that nothing follows, and gives out all that is left.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let end = self.window.len();
        let found = if end > self.decided { self.scan() } else { Vec::new() };
        self.give_out(end, &found, out);
        *self = Self::new(Arc::clone(&self.redaction));
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.window.len() == self.decided
    }

    /// Says that it may be long until something follows, and gives out what is
    /// held, but for what may be the first half of a value. What follows may go
    /// on with the last word, or be another text.
    pub(super) fn pause(&mut self, pause: Pause, out: &mut impl FnMut(Piece<'_>)) {
        if self.is_empty() {
            return;
        }
        let found = self.scan();
        let whole = self.end_of_whole(&found);
        let end = if pause == Pause::Breath { whole.min(self.end_of_certain(&found)) } else { whole };
        self.give_out(end, &found, out);
        self.forget();
        if self.decided == self.window.len() {
            self.joint = Some(self.decided);
        }
        self.due = (self.decided + LOOK_AHEAD + STRIDE).max(self.window.len() + STRIDE);
    }

    /// The held text behind all that is the caller's own.
    fn unsettled(&self) -> &str {
        let settled = self.own.back().map_or(0, |(at, _)| at.end);
        self.window.get(self.decided.max(settled)..).unwrap_or_default()
    }

    /// Up to where nothing in the held text could be the start of a value: what
    /// is left are the last words as far as they are no plain ones, and the
    /// last word of all as long as nothing parts it from what follows.
    fn end_of_certain(&self, found: &[(Range<usize>, Other)]) -> usize {
        let is_plain = |word: &str| {
            word.ends_with(ends_word)
                && word.chars().all(|c| !c.is_numeric() && (c.is_lowercase() || !c.is_alphabetic()) && c != '@')
        };
        let uncertain = self.unsettled().split_inclusive(ends_word).rev().take_while(|word| !is_plain(word));
        let end = self.window.len() - uncertain.map(str::len).sum::<usize>();
        // What was found may be the start of something else.
        found.iter().map(|(at, _)| at.clone()).find(|at| at.end > end).map_or(end, |at| end.min(at.start))
    }

    /// Up to where the held text is hardly the first half of a value.
    fn end_of_whole(&self, found: &[(Range<usize>, Other)]) -> usize {
        let len = self.window.len();
        // What was found is replaced whole, and so is what goes on behind it.
        let settled = found.last().map_or(0, |(at, _)| at.end);
        let open = self.unsettled();
        let open = open.get(settled.saturating_sub(len - open.len()).min(open.len())..).unwrap_or_default();
        let last = open.rsplit(ends_word).next().unwrap_or_default();
        // Behind its full stop a word is whole.
        let mut from = if may_go_on(last) { len - last.len() } else { len };
        if open.ends_with(['!', '?']) {
            return from;
        }
        // The groups of a number stand apart.
        let (mut digits, mut at) = (0, len);
        for word in open.split_inclusive(ends_word).rev() {
            at -= word.len();
            let here = word.bytes().filter(u8::is_ascii_digit).count();
            if here == 0 && word.contains(char::is_alphabetic) {
                break;
            }
            digits += here;
            if digits > FEW_DIGITS {
                from = from.min(at);
            }
        }
        from
    }

    fn own(&mut self, stand_in: &str, raw: &str, kind: OwnKind) {
        let start = self.window.len();
        self.window.push_str(stand_in);
        self.own.push_back((start..self.window.len(), Own { raw: raw.to_owned(), kind }));
    }

    fn text(&mut self, mut text: &str, out: &mut impl FnMut(Piece<'_>)) {
        while !text.is_empty() {
            let missing = self.due.saturating_sub(self.window.len());
            // Up to where the window is due nothing can happen.
            let mut end = text.ceil_char_boundary(missing.min(text.len()));
            let mut is_due = false;
            for c in text.get(end..).unwrap_or_default().chars() {
                end += c.len_utf8();
                let held = self.window.len() + end - self.decided;
                if ends_word(c) || held >= MAX_HELD {
                    is_due = true;
                    break;
                }
            }
            let (next, rest) = text.split_at(end);
            self.window.push_str(next);
            text = rest;
            if is_due {
                self.look(out);
            }
        }
    }

    /// Looks through the window, and gives out what is decided.
    fn look(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let found = self.scan();
        let limit = self.window.len().saturating_sub(LOOK_AHEAD).max(self.decided);
        let is_full = self.window.len() - self.decided >= MAX_HELD;
        let open = self.window.get(self.decided..limit).unwrap_or_default();
        let word_end = open.char_indices().rev().find(|(_, c)| ends_word(*c)).map(|(at, c)| at + c.len_utf8());
        let mut end = match word_end {
            Some(end) => self.decided + end,
            None if is_full => self.window.floor_char_boundary(limit),
            None => self.decided,
        };
        for (at, _) in &found {
            if at.start < end && end < at.end {
                end = if is_full { at.end } else { at.start.max(self.decided) };
            }
        }
        if let Some((at, _)) = self.own.iter().find(|(at, _)| at.start < end && end < at.end) {
            end = at.end;
        }
        self.give_out(end, &found, out);
        self.forget();
        self.due = (self.decided + LOOK_AHEAD + STRIDE).max(self.window.len() + STRIDE);
    }

    /// What stands in the window that is not the caller's own.
    fn scan(&self) -> Vec<(Range<usize>, Other)> {
        let mut found = self.scan_from(0);
        let Some(joint) = self.joint.filter(|joint| *joint > 0) else { return found };
        found.extend(self.scan_from(joint));
        found.sort_by_key(|(at, _)| at.start);
        // Of what overlaps the first names it all.
        found.dedup_by(|next, first| {
            let overlaps = next.0.start < first.0.end;
            if overlaps {
                first.0.end = first.0.end.max(next.0.end);
            }
            overlaps
        });
        found
    }

    /// What stands in the text that begins here in the window.
    fn scan_from(&self, start: usize) -> Vec<(Range<usize>, Other)> {
        let detector = Detector { engine: &self.redaction.engine, plan: &self.redaction.plan };
        let text = self.window.get(start..).unwrap_or_default();
        SCRATCH.with_borrow_mut(|scratch| {
            let found = detector.scan(Input::text(text), scratch).iter();
            let found =
                found.filter(|finding| start + finding.end > self.decided && finding.operator != Operator::Keep);
            let other = |rule, entity, operator| Other { rule, entity, operator, quoted: false };
            found.map(|f| (start + f.start..start + f.end, other(f.rule, f.entity, f.operator))).collect()
        })
    }

    /// Gives out the held text up to `end`.
    fn give_out(&mut self, end: usize, found: &[(Range<usize>, Other)], out: &mut impl FnMut(Piece<'_>)) {
        let mut found = found.iter().peekable();
        while self.decided < end {
            let own = self.own.front().map(|(at, _)| at.start).filter(|start| *start < end);
            while found.next_if(|(at, _)| at.end <= self.decided).is_some() {}
            if own == Some(self.decided) {
                let Some((at, own)) = self.own.pop_front() else { break };
                out(own.piece());
                self.decided = at.end;
                continue;
            }
            // Up to the next thing of one kind or the other.
            let stop = own.unwrap_or(end);
            match found.peek() {
                Some((at, other)) if at.start <= self.decided => {
                    let to = at.end.min(stop);
                    let raw = self.window.get(self.decided..to).unwrap_or_default();
                    out(if raw.contains(char::is_alphanumeric) {
                        Piece::Other { other: Other { quoted: self.quotes.open, ..*other }, raw }
                    } else {
                        Piece::Text(raw)
                    });
                    self.quotes.pass(raw);
                    self.decided = to;
                }
                next => {
                    let to = next.map_or(stop, |(at, _)| at.start.min(stop));
                    let text = self.window.get(self.decided..to).unwrap_or_default();
                    out(Piece::Text(text));
                    self.quotes.pass(text);
                    self.decided = to;
                }
            }
        }
    }

    /// Keeps no more of what was given out than the context of what follows.
    fn forget(&mut self) {
        let from = self.window.ceil_char_boundary(self.decided.saturating_sub(CONTEXT));
        let before = self.window.get(from..self.decided).unwrap_or_default();
        // It starts with a word.
        let cut = match before.char_indices().find(|(_, c)| ends_word(*c)) {
            _ if from == 0 => 0,
            Some((at, c)) => from + at + c.len_utf8(),
            None => self.decided,
        };
        self.window.drain(..cut);
        self.decided -= cut;
        self.joint = self.joint.and_then(|joint| joint.checked_sub(cut));
        for (at, _) in &mut self.own {
            *at = at.start - cut..at.end - cut;
        }
    }
}

impl Own {
    fn piece(&self) -> Piece<'_> {
        let raw = self.raw.as_str();
        match &self.kind {
            OwnKind::Token(token) => Piece::Token { token: *token, raw },
            OwnKind::Surrogate(entity, value) => Piece::Surrogate { entity: *entity, value, raw },
        }
    }
}

/// Whether the last word looks like the start of an address, a key or a name of
/// an account.
fn may_go_on(word: &str) -> bool {
    let ends = word.ends_with(['.', ',', ';', '!', '?', ':']);
    let is_mixed = word.contains(char::is_alphabetic) && word.bytes().any(|byte| byte.is_ascii_digit());
    word.contains('@') || (!ends && (is_mixed || word.contains(['.', '_', '+', '%', '='])))
}

/// Whether a word cannot go on behind this character. Scripts that write no
/// spaces have a border behind each of theirs.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || c >= '\u{2e80}'
}
