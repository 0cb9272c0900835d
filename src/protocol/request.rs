//! The members of requests: which are looked at, and how.

use super::classes::Class;
use super::glob::Glob;
use super::pattern::{Condition, Outline, Pattern, PatternMap, PatternSet};
use crate::json::Path;
use serde::Deserialize;

/// What stands in a request, besides prose, which is everything not named here.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Lists")]
pub struct RequestFields {
    kinds: PatternMap<RequestField>,
    bare: PatternSet,
    joined: PatternSet,
    known: PatternMap<()>,
    knows_its_members: bool,
    conversation: Vec<Conversation>,
    reply_ids: PatternSet,
    forgotten: PatternMap<()>,
}

/// The lists of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Lists {
    /// Whether each name stands for its form in `snake_case` too, as in the
    /// JSON form of protocol buffers.
    or_snake_case: bool,
    never: Vec<Pattern>,
    verbatim: Vec<Pattern>,
    media: Vec<Pattern>,
    identity: Vec<Pattern>,
    opaque: Vec<Pattern>,
    intent: Vec<Pattern>,
    nested: Vec<Pattern>,
    bare: PatternSet,
    joined: Vec<Pattern>,
    known: Vec<Pattern>,
    conversation: Vec<Conversation>,
    /// Where replies, or their events, have the id by which a later request
    /// goes on from them.
    reply_ids: PatternSet,
    /// Members by which a request says that nothing can go on from its reply.
    forgotten: Vec<Pattern>,
}

/// What a member of a request is. Where two lists name it, the first of these
/// holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestField {
    /// What is signed or encrypted: passes byte for byte, whatever it holds.
    Verbatim,
    /// Ids and names of the protocol: not touched, unless the value is no id.
    Never,
    /// Pictures, sound and files: base64, a data URL, or an address of them.
    Media,
    /// Who is asking; the route's `identity` policy holds.
    Identity,
    /// A number that is a piece of text in a form that cannot be read.
    Opaque,
    /// `/intent{"entity": "value"}`, or a text.
    Intent,
    /// A JSON text within the string.
    Nested,
    /// Anything else: looked at.
    Text,
}

/// Where a request names its conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Conversation {
    /// At `{id}` of a path.
    Path(PathId),
    /// A string of the body.
    Body(Pattern),
    /// The id of an earlier reply, at this place of the body.
    Reply(Pattern),
    /// The id of an earlier reply, at `{id}` of a path.
    #[serde(rename = "reply_path")]
    ReplyPath(PathId),
}

/// A path that holds an id.
#[derive(Debug, Deserialize)]
pub struct PathId(Glob);

impl PathId {
    /// The id in this path.
    pub fn of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        self.0.id(&segments)
    }
}

impl RequestFields {
    /// What stands at `path`, of this outline; `holds` judges the conditions of
    /// patterns.
    pub(super) fn class(&self, path: &Path<'_>, outline: Outline, holds: impl FnMut(&Condition) -> bool) -> Class {
        Class {
            field: self.kinds.find(path, outline, holds).unwrap_or(RequestField::Text),
            is_bare: self.bare.covers(path, outline),
            is_joined: self.joined.covers(path, outline),
        }
    }

    /// Whether the file lists all members of a request.
    pub fn knows_its_members(&self) -> bool {
        self.knows_its_members
    }

    /// Whether the protocol has a member at `path`.
    pub fn is_known(&self, path: &Path<'_>, mut holds: impl FnMut(&Condition) -> bool) -> bool {
        let outline = Outline::of(path);
        self.known.find(path, outline, &mut holds).is_some() || self.kinds.find(path, outline, holds).is_some()
    }

    /// The same of an object or array that is empty: whether the protocol has
    /// one there, or members within.
    pub fn is_known_empty(&self, path: &Path<'_>, holds: impl FnMut(&Condition) -> bool) -> bool {
        self.known.leads_through(path) || self.kinds.leads_through(path) || self.is_known(path, holds)
    }

    /// Whether a conversation goes on from the id of a reply.
    pub fn goes_on_from_replies(&self) -> bool {
        !self.reply_ids.is_empty()
    }

    /// Whether the value at `path` says that nothing can go on from the reply.
    pub fn is_forgotten(&self, path: &Path<'_>, holds: impl FnMut(&Condition) -> bool) -> bool {
        self.forgotten.find(path, Outline::of(path), holds).is_some()
    }

    /// Whether the string at `path` of a reply is the id from which a later
    /// request goes on.
    pub fn is_reply_id(&self, path: &Path<'_>) -> bool {
        self.reply_ids.matches(path)
    }

    /// Where a request names its conversation, in this order.
    pub fn conversation(&self) -> &[Conversation] {
        &self.conversation
    }
}

impl From<Lists> for RequestFields {
    fn from(lists: Lists) -> Self {
        let spelled = |list: Vec<Pattern>| {
            let other = |one: &Pattern| lists.or_snake_case.then(|| one.in_snake_case()).flatten();
            list.into_iter().flat_map(move |one| other(&one).into_iter().chain([one])).collect::<Vec<_>>()
        };
        let mut kinds = PatternMap::default();
        for (list, kind) in [
            (lists.verbatim, RequestField::Verbatim),
            (lists.never, RequestField::Never),
            (lists.media, RequestField::Media),
            (lists.identity, RequestField::Identity),
            (lists.opaque, RequestField::Opaque),
            (lists.intent, RequestField::Intent),
            (lists.nested, RequestField::Nested),
        ] {
            kinds.extend(spelled(list).into_iter().map(|pattern| (pattern, kind)));
        }
        let knows_its_members = !lists.known.is_empty();
        let mut known = PatternMap::default();
        known.extend(spelled(lists.known).into_iter().map(|pattern| (pattern, ())));
        let joined = spelled(lists.joined).into_iter().collect();
        let mut forgotten = PatternMap::default();
        forgotten.extend(lists.forgotten.into_iter().map(|pattern| (pattern, ())));
        let Lists { bare, conversation, reply_ids, .. } = lists;
        Self { kinds, bare, joined, known, knows_its_members, conversation, reply_ids, forgotten }
    }
}
