//! What the rights of persons need: systems behind that are told, and what
//! people are found by.

use std::path::PathBuf;

use hyper::Uri;

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

pub(super) fn webhooks(settings: &Settings, sources: &Sources, found: &mut Found) -> Vec<Webhook> {
    let each = settings.list("webhooks", "webhooks[]");
    each.filter_map(|section| webhook(&section, sources, found)).collect()
}

fn webhook(section: &Section<'_>, sources: &Sources, found: &mut Found) -> Option<Webhook> {
    let url = checked(section.required("url", found), webhook_url, found);
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
    Some(Webhook { url: url?, events, secret: secret?, ca })
}

fn webhook_url(text: &str) -> Result<Uri, Wrong> {
    let wrong = |_| Wrong {
        message: "the address of a webhook is no http or https URL without user and fragment".to_owned(),
        mend: "write \"https://HOST/PATH\"".to_owned(),
    };
    let bare = text.split('?').next().unwrap_or_default();
    check::url(bare).and_then(|_| text.parse().map_err(|_| check::wrong("", ""))).map_err(wrong)
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
