//! A line of the access log, and what is said of a look.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::hex;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident => $word:literal,)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

actions! {
    /// The gateway replaced findings of a request or restored values in its reply.
    Exchange => "exchange",
    /// An exchange goes on, and values of the entities named may be restored
    /// from now on. Its end is told by a line of its own, with the same request id.
    Begin => "begin",
    /// Subjects, or one of them, were looked for or listed.
    Find => "find",
    /// Values of a subject were shown.
    #[default]
    Show => "show",
    /// All of a subject was given out.
    Export => "export",
    /// A value was corrected.
    Rectify => "rectify",
    /// A subject was erased.
    Erase => "erase",
    /// The processing of a subject was restricted, or goes on.
    Restrict => "restrict",
    /// A subject objected.
    Object => "object",
    /// A case was opened or went on.
    Case => "case",
    /// Statements of consent were read or changed.
    Consent => "consent",
    /// Values were removed as their time was over.
    Purge => "purge",
    /// The vault was copied.
    Backup => "backup",
    /// A copy of the vault was read back.
    Restore => "restore",
    /// The vault's key was changed.
    Rotate => "rotate",
    /// The access log was read or given out.
    Audit => "audit",
    /// An operator was added or removed.
    Operator => "operator",
    /// An incident was opened or went on.
    Incident => "incident",
    /// A report was made.
    Report => "report",
    /// The chain up to here is signed.
    Checkpoint => "checkpoint",
}

impl Action {
    /// Whether it gives personal data out in bulk.
    pub fn gives_out(self) -> bool {
        matches!(self, Self::Export | Self::Backup)
    }

    /// Whether somebody is shown, or given, what is personal.
    pub fn shows(self) -> bool {
        self.gives_out() || matches!(self, Self::Show | Self::Find)
    }

    /// Whether all values of a subject are concerned.
    pub fn is_of_values(self) -> bool {
        matches!(self, Self::Show | Self::Export | Self::Erase | Self::Restrict)
    }
}

/// A look at personal data that is to be recorded. Nothing of it may be a value,
/// or the id of a person.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Who: `operator:NAME`, `key-holder`, `subject`, `gateway`.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// The tenant, where there is one.
    pub tenant: String,
    /// The alias of the subject, as [`Subject::alias`](crate::vault::Subject::alias) gives it.
    pub subject: String,
    /// The purpose.
    pub purpose: String,
    /// Who is given the data, where it is given away.
    pub recipient: String,
    /// Why, in words of the operator's own or the number of a case.
    pub reason: String,
    /// How many values of each entity, or how many of what else.
    pub entities: BTreeMap<String, u64>,
    /// The id of the request.
    pub request_id: String,
}

/// A line of the access log. Absent members say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number, from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// The tenant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// Whose data: an alias that nobody can link to the person once that is erased.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The route of the gateway.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The purpose.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// Who was sent the rest, or given the data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recipient: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How many values of each entity were replaced or shown; of an exchange that
    /// goes on 0 too, where values of before may come back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entities: BTreeMap<String, u64>,
    /// How many values of each entity were put back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restored: BTreeMap<String, u64>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Of a checkpoint: the signature over number, time and `prev`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// The hash of the line before; of the first line zeros.
    pub prev: String,
    /// SHA-256 of this line as JSON without this member.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// A line that is not in its one right form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Line {
    /// A line without its place in the chain.
    pub(super) fn draft(actor: String, action: Action) -> Self {
        Self {
            seq: 0,
            at: Time::now(),
            actor,
            action,
            tenant: String::new(),
            subject: String::new(),
            route: String::new(),
            purpose: String::new(),
            recipient: String::new(),
            reason: String::new(),
            entities: BTreeMap::new(),
            restored: BTreeMap::new(),
            request_id: String::new(),
            signature: String::new(),
            prev: String::new(),
            hash: String::new(),
        }
    }

    /// Sets its hash; gives the line as it is stored.
    pub(super) fn seal(&mut self) -> Vec<u8> {
        let mut text = Vec::with_capacity(512);
        self.seal_into(&mut text);
        text
    }

    /// The same, behind what stands in `text`.
    pub(super) fn seal_into(&mut self, text: &mut Vec<u8>) {
        let start = text.len();
        self.hash.clear();
        // Texts and numbers cannot fail to be written.
        let _ = serde_json::to_writer(&mut *text, self);
        let open = text.get(start..).unwrap_or_default();
        self.hash = hex::encode(digest::digest(&digest::SHA256, open).as_ref());
        // It is the last member, so what was hashed need not be written again.
        text.pop();
        for part in [",\"hash\":\"", &self.hash, "\"}"] {
            text.extend_from_slice(part.as_bytes());
        }
    }

    /// Reads a line that is written in its one right form, with its right hash.
    pub(super) fn read(text: &[u8]) -> Result<Self, Malformed> {
        let line: Self = serde_json::from_slice(text).map_err(|_| Malformed)?;
        let mut sealed = line.clone();
        // Another spelling of the same is another text.
        if sealed.seal() == text && sealed.hash == line.hash { Ok(line) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_is_its_json_and_read_in_no_other_form() {
        let mut line = Line { reason: "case \"7\"".into(), ..Line::draft("operator:anna".into(), Action::Show) };
        line.entities.insert("EMAIL".into(), 2);
        let text = line.seal();
        assert_eq!(text, serde_json::to_vec(&line).unwrap());
        assert_eq!((Line::read(&text).unwrap(), line.hash.len()), (line, 64));
        let spaced = [b" ", text.as_slice()].concat();
        assert_eq!(Line::read(&spaced), Err(Malformed), "another spelling");
        for at in 0..text.len() {
            let mut bent = text.clone();
            bent[at] ^= 1;
            assert_eq!(Line::read(&bent), Err(Malformed), "byte {at}");
        }
    }
}
