//! What the rights of persons need: systems behind that are told, what people
//! are found by, and transcripts that name nobody.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use super::Purpose;
use super::build::{checked, judge};
use super::check::{self, Wrong};
use super::problem::Found;
use super::settings::{Section, Settings};
use super::source::Sources;
use crate::entity::Entity;
use crate::sensitive::Sensitive;

/// The shortest secret of a webhook, in bytes.
const MIN_SECRET: usize = 16;

/// A system behind that is told what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where the messages go.
    pub url: Uri,
    /// Whether they may go beyond this machine over plain HTTP.
    pub plain_http: bool,
    /// Which messages.
    pub events: Vec<WebhookEvent>,
    /// Signs the messages (HMAC-SHA-256).
    pub secret: Sensitive,
    /// A PEM file (RFC 7468) with roots to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// What systems behind are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookEvent {
    /// A subject was erased.
    SubjectErased,
    /// A value of a subject was corrected.
    SubjectRectified,
    /// A subject's data is restricted from now on.
    SubjectRestricted,
    /// It is not any more.
    SubjectReleased,
    /// A subject objected to purposes.
    SubjectObjected,
    /// Somebody asked for a code to prove who they are; the receiver sends it
    /// to the address that it has on file for the subject.
    CodeIssued,
    /// A case is due within 72 hours.
    CaseDue,
    /// An alarm was raised.
    AlarmRaised,
}

impl WebhookEvent {
    /// Each with its name.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::SubjectErased, "subject.erased"),
        (Self::SubjectRectified, "subject.rectified"),
        (Self::SubjectRestricted, "subject.restricted"),
        (Self::SubjectReleased, "subject.released"),
        (Self::SubjectObjected, "subject.objected"),
        (Self::CodeIssued, "code.issued"),
        (Self::CaseDue, "case.due"),
        (Self::AlarmRaised, "alarm.raised"),
    ];

    /// The name, as it stands in messages and in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(event, _)| *event == self).map_or("", |(_, name)| name)
    }
}

/// Conversations without persons, kept for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcripts {
    /// Where they are kept.
    pub to: TranscriptPlace,
    /// How long they are kept.
    pub retention: Duration,
    /// How many bytes of a request, and of a reply, one holds at most.
    pub max_bytes: usize,
    /// How many bytes a file has before the next begins.
    pub file_bytes: u64,
}

/// Where transcripts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TranscriptPlace {
    /// In files of JSON lines in a folder.
    Folder(PathBuf),
    /// In a table of a `PostgreSQL` database: its URL, which may hold a password.
    Postgres(Sensitive),
}

pub(super) fn webhooks(settings: &Settings, sources: &Sources, found: &mut Found) -> Vec<Webhook> {
    let each = settings.list("webhooks", "webhooks[]");
    each.filter_map(|section| webhook(&section, sources, found)).collect()
}

fn webhook(section: &Section<'_>, sources: &Sources, found: &mut Found) -> Option<Webhook> {
    let plain_http = section.boolean("plain_http");
    let url = checked(section.required("url", found), |text| webhook_url(text, plain_http), found);
    let ca = checked(section.text("ca"), check::certificates, found);
    let secret = section.required("secret", found);
    let secret = secret.and_then(|placed| {
        let text = match placed.value.strip_prefix("env:") {
            Some(name) => sources.variable(name).ok_or_else(|| Wrong {
                message: "the secret of a webhook stands in a variable that is not set".to_owned(),
                mend: format!("set {name}"),
            }),
            None => Ok(placed.value.as_str()),
        };
        judge(text.and_then(webhook_secret), &placed.origin, found)
    });
    let events = section.texts("events").map(|placed| placed.value).unwrap_or_default();
    let events = events.into_iter().filter_map(|text| checked(Some(text), webhook_event, found)).collect();
    Some(Webhook { url: url?, plain_http, events, secret: secret?, ca })
}

/// Messages tell whose data is erased, and hold codes: nobody on the way may
/// read them.
fn webhook_url(text: &str, is_plain_allowed: bool) -> Result<Uri, Wrong> {
    let wrong = |_| Wrong {
        message: "the address of a webhook is no http or https URL without user and fragment".to_owned(),
        mend: "write \"https://HOST/PATH\"".to_owned(),
    };
    let bare = text.split('?').next().unwrap_or_default();
    let url: Uri = check::url(bare).and_then(|_| text.parse().map_err(|_| check::wrong("", ""))).map_err(wrong)?;
    let is_here = url.host().is_some_and(check::is_this_machine);
    if url.scheme_str() == Some("https") || is_here || is_plain_allowed {
        return Ok(url);
    }
    Err(Wrong {
        message: "a webhook over plain http leaves this machine".to_owned(),
        mend: "write \"https://HOST/PATH\", or `plain_http = true` beside it where the network is your own".to_owned(),
    })
}

fn webhook_secret(text: &str) -> Result<Sensitive, Wrong> {
    if text.len() < MIN_SECRET {
        return Err(Wrong {
            message: format!("the secret of a webhook has less than {MIN_SECRET} bytes"),
            mend: "make one with: openssl rand -base64 32".to_owned(),
        });
    }
    Ok(Sensitive::from(text))
}

fn webhook_event(text: &str) -> Result<WebhookEvent, Wrong> {
    let known = WebhookEvent::ALL.iter().find(|(_, name)| *name == text);
    known.map(|(event, _)| *event).ok_or_else(|| {
        let names: Vec<_> = WebhookEvent::ALL.iter().map(|(_, name)| *name).collect();
        Wrong { message: format!("`{text}` is no event"), mend: format!("write some of {}", names.join(", ")) }
    })
}

/// What subjects are found by.
pub(super) fn index(text: &str) -> Result<Entity, Wrong> {
    match text {
        "EMAIL" | "PHONE" => text.parse().map_err(|_| Wrong { message: String::new(), mend: String::new() }),
        _ => Err(Wrong {
            message: "subjects are found by addresses and numbers alone".to_owned(),
            mend: "write [\"EMAIL\", \"PHONE\"], one of them, or []".to_owned(),
        }),
    }
}

pub(super) fn transcripts(section: &Section<'_>, purposes: &[Purpose], found: &mut Found) -> Option<Transcripts> {
    if !section.is_written() {
        return None;
    }
    let to = section.required("to", found);
    if let Some(to) = &to
        && !purposes.iter().any(|purpose| purpose.transcripts)
    {
        let mend = "set `transcripts = true` in those of [[purposes]] of which they may be kept".to_owned();
        found.error(&to.origin, "no purpose has transcripts".to_owned(), mend);
    }
    Some(Transcripts {
        to: checked(to, place, found)?,
        retention: Duration::from_hours(24 * section.number("days")),
        max_bytes: section.size("max_bytes"),
        file_bytes: section.number("file_bytes"),
    })
}

fn place(text: &str) -> Result<TranscriptPlace, Wrong> {
    match text.split_once(':') {
        Some(("file", folder)) if !folder.is_empty() => Ok(TranscriptPlace::Folder(PathBuf::from(folder))),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
            Ok(TranscriptPlace::Postgres(Sensitive::from(text)))
        }
        _ => Err(Wrong {
            message: "this is no place for transcripts".to_owned(),
            mend: "write \"file:FOLDER\" or \"postgres://USER@HOST/DATABASE\"".to_owned(),
        }),
    }
}
