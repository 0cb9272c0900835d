//! A transcript in the making, and how it is redacted.

use super::number::DayKey;
use super::{Transcript, Transcripts};
use crate::audit::Place;
use crate::detect::Scratch;
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::surrogate;
use crate::token::{self, Kinds};
use crate::vault::{Subject, SurrogateMatcher};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// So many bytes beyond the limit are held until all is redacted: what is cut
/// off in the midst of a value would be found no more.
const MARGIN: usize = 1_024;

/// What may be half of a value, at the end of what was cut off.
const TAIL: usize = 256;

/// So many texts of one reply are kept apart while they stream.
const MOST_TEXTS: usize = 32;

/// Stands in for the id of the subject.
const IDENTITY: Entity = Entity::constant("IDENTITY");

/// Gives a text with the names of kinds, such as `[EMAIL]`, in place of whatever
/// is personal in it.
pub type Clean = dyn Fn(&str, &mut Scratch) -> String + Send + Sync;

/// By what transcripts of a route are redacted.
pub struct Redactor {
    clean: Box<Clean>,
    /// Tokens of these are found.
    kinds: Arc<Kinds>,
}

/// A transcript in the making. What it holds is redacted and written after this
/// is dropped, beside whatever goes on then.
pub struct Draft {
    all: Transcripts,
    /// Cancelled where the consent is withdrawn that it stands on.
    withdrawn: CancellationToken,
    said: Mutex<Said>,
}

/// What was said so far.
pub(super) struct Said {
    place: Arc<Place>,
    redactor: Arc<Redactor>,
    /// The name of the person in the access log.
    alias: Option<String>,
    subject: Option<Sensitive>,
    surrogates: Vec<Arc<SurrogateMatcher>>,
    entities: BTreeMap<Entity, u32>,
    request: Text,
    /// The texts of the reply; each with what tells it from the others.
    reply: Vec<(Option<u64>, Text)>,
    max_bytes: usize,
}

/// A text that is bounded.
#[derive(Default)]
struct Text {
    text: String,
    is_cut: bool,
}

impl Redactor {
    /// With what finds whatever is personal, and the kinds that there are.
    pub fn new(kinds: impl Iterator<Item = Entity>, clean: Box<Clean>) -> Self {
        Self { clean, kinds: Arc::new(Kinds::new(kinds.chain([IDENTITY]))) }
    }

    /// The text with the name of its kind in place of whatever is personal in it.
    fn redact(&self, text: &str, surrogates: &[Arc<SurrogateMatcher>], scratch: &mut Scratch) -> String {
        let mut text = text.to_owned();
        for matcher in surrogates {
            let mut plain = String::with_capacity(text.len());
            let mut out = |piece: surrogate::Piece<'_, crate::vault::Surrogate>| match piece {
                surrogate::Piece::Text(text) => plain.push_str(text),
                surrogate::Piece::Surrogate { value, .. } => push_kind(&mut plain, value.entity),
            };
            let mut restorer = surrogate::Restorer::new(Arc::clone(matcher));
            restorer.push(&text, &mut out);
            restorer.finish(None, &mut out);
            text = plain;
        }
        let mut plain = String::with_capacity(text.len());
        let mut out = |piece: token::Piece<'_>| match piece {
            token::Piece::Text(text) => plain.push_str(text),
            token::Piece::Token { token, .. } => push_kind(&mut plain, token.entity()),
        };
        let mut restorer = token::Restorer::new(Arc::clone(&self.kinds));
        restorer.push(&text, &mut out);
        restorer.finish(&mut out);
        (self.clean)(&plain, scratch)
    }
}

impl Draft {
    pub(super) fn new(all: Transcripts, place: Arc<Place>, redactor: Arc<Redactor>) -> Self {
        let said = Said {
            place,
            redactor,
            alias: None,
            subject: None,
            surrogates: Vec::new(),
            entities: BTreeMap::new(),
            request: Text::default(),
            reply: Vec::new(),
            max_bytes: all.max_bytes(),
        };
        Self { all, withdrawn: CancellationToken::new(), said: Mutex::new(said) }
    }

    /// Nothing of it is kept where this is cancelled before its end.
    #[must_use]
    pub fn unless(mut self, withdrawn: CancellationToken) -> Self {
        self.withdrawn = withdrawn;
        self
    }

    /// So many bytes of a request are of use.
    pub fn max_bytes(&self) -> usize {
        self.all.max_bytes() + MARGIN
    }

    /// Whose it is: the subject, and its id, which is not to stand in it.
    pub fn is_of(&self, subject: &Subject, id: &str) {
        let alias = subject.alias();
        let mut said = self.said();
        said.alias = Some(alias);
        said.subject = Some(Sensitive::from(id));
    }

    /// What stands in for values, and may come back.
    pub fn knows(&self, surrogates: &Arc<SurrogateMatcher>) {
        let known = &mut self.said().surrogates;
        // The newest finds what those before did.
        known.clear();
        known.push(Arc::clone(surrogates));
    }

    /// So many findings of an entity were replaced.
    pub fn found(&self, entity: Entity, count: u32) {
        let mut said = self.said();
        let sum = said.entities.entry(entity).or_default();
        *sum = sum.saturating_add(count);
    }

    /// A text of the request, with its findings replaced beyond recovery.
    pub fn asked(&self, text: &str) {
        let mut said = self.said();
        let limit = said.max_bytes + MARGIN;
        said.request.line(text, limit);
    }

    /// The next piece of a text of the reply, as the chatbot sent it.
    pub fn answered(&self, text_id: u64, piece: &str) {
        let mut said = self.said();
        let left = said.left();
        let is_room = said.reply.len() < MOST_TEXTS;
        match said.reply.iter_mut().find(|(id, _)| *id == Some(text_id)) {
            Some((_, text)) => text.push(piece, left),
            None if !piece.is_empty() && is_room => {
                let mut text = Text::default();
                text.push(piece, left);
                said.reply.push((Some(text_id), text));
            }
            None => {}
        }
    }

    /// A text of the reply that is whole. What has streamed before is often
    /// told again at its end.
    pub fn answered_whole(&self, whole: &str) {
        let is_prose = whole.trim().contains(char::is_whitespace);
        let mut said = self.said();
        let left = said.left();
        let is_known = |(_, text): &(Option<u64>, Text)| text.text.contains(whole);
        if is_prose && left > 0 && said.reply.len() < MOST_TEXTS && !said.reply.iter().any(is_known) {
            let mut text = Text::default();
            text.push(whole, left);
            said.reply.push((None, text));
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let mut said = self.said();
        if self.withdrawn.is_cancelled() || (said.request.text.is_empty() && said.reply.is_empty()) {
            return;
        }
        let taken = Said {
            place: Arc::clone(&said.place),
            redactor: Arc::clone(&said.redactor),
            alias: said.alias.take(),
            subject: said.subject.take(),
            surrogates: std::mem::take(&mut said.surrogates),
            entities: std::mem::take(&mut said.entities),
            request: std::mem::take(&mut said.request),
            reply: std::mem::take(&mut said.reply),
            max_bytes: said.max_bytes,
        };
        drop(said);
        self.all.take(taken);
    }
}

impl Said {
    /// How many bytes of the reply may still come.
    fn left(&self) -> usize {
        let held: usize = self.reply.iter().map(|(_, text)| text.text.len()).sum();
        (self.max_bytes + MARGIN).saturating_sub(held)
    }

    /// What is kept of it.
    pub(super) fn redacted(self, day: &str, key: &DayKey, scratch: &mut Scratch) -> Transcript {
        let mut clean = |text: Text| {
            let mut clean = self.redactor.redact(&text.text, &self.surrogates, scratch);
            if let Some(subject) = &self.subject {
                clean = without(&clean, subject.expose());
            }
            // What may be half of a value is not kept.
            let end = if text.is_cut { clean.len().saturating_sub(TAIL) } else { clean.len() };
            clean.truncate(clean.floor_char_boundary(end.min(self.max_bytes)));
            clean
        };
        let request = clean(self.request);
        let mut reply = self.reply.into_iter().map(|(_, text)| clean(text)).collect::<Vec<_>>().join("\n");
        reply.truncate(reply.floor_char_boundary(self.max_bytes));
        Transcript {
            day: day.to_owned(),
            tenant: self.place.tenant.clone(),
            purpose: self.place.purpose.clone(),
            route: self.place.route.clone(),
            person: self.alias.map(|alias| key.number(&self.place.tenant, &alias)).unwrap_or_default(),
            entities: self.entities.into_iter().map(|(entity, count)| (entity.to_string(), count)).collect(),
            request,
            reply,
        }
    }
}

impl Text {
    /// Adds what fits of it.
    fn push(&mut self, text: &str, left: usize) {
        let fits = text.floor_char_boundary(left.min(text.len()));
        self.is_cut |= fits < text.len();
        self.text.push_str(text.get(..fits).unwrap_or_default());
    }

    /// Adds a line.
    fn line(&mut self, text: &str, limit: usize) {
        if !self.text.is_empty() {
            self.push("\n", limit.saturating_sub(self.text.len()));
        }
        self.push(text, limit.saturating_sub(self.text.len()));
    }
}

/// The text without an id where it stands by itself.
fn without(text: &str, id: &str) -> String {
    let (mut clean, mut copied) = (String::with_capacity(text.len()), 0);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in text.match_indices(id).filter(|(_, id)| !id.is_empty()) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + id.len()..).and_then(|behind| behind.chars().next());
        if !before.is_some_and(is_word) && !behind.is_some_and(is_word) {
            clean.push_str(text.get(copied..at).unwrap_or_default());
            push_kind(&mut clean, IDENTITY);
            copied = at + id.len();
        }
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    clean
}

fn push_kind(text: &mut String, entity: Entity) {
    text.push('[');
    text.push_str(entity.as_str());
    text.push(']');
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft")
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}
