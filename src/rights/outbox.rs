//! Messages to systems behind, kept until they are taken: written with what
//! they tell of, sent by whichever replica comes first, and sent again after
//! growing pauses for a week. Each has an id, by which a receiver can tell that
//! it has had it before.

use super::case::{Notice, Step};
use super::client::Receiver;
use super::register::{Register, base32};
use super::{RightsError, random, signature};
use crate::clock::{self, Time};
use crate::config::{Webhook, WebhookEvent};
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a message is tried, in seconds.
const KEEP: u64 = 7 * 86_400;
/// A code is of no use once it has run out.
const KEEP_CODE: u64 = 600;
/// How long one replica has for one attempt, in seconds, before another tries.
const LEASE: u64 = 60;
/// The longest pause between two attempts, in seconds.
const LONGEST: u64 = 3_600;
/// How many messages are looked at in one round.
const ROUND: usize = 32;
/// How often the outbox is looked into without being told to.
const EVERY: Duration = Duration::from_secs(5);

/// The messages that are still to be sent. Clones share them.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Inner>);

struct Inner {
    records: Records,
    register: Register,
    receivers: Vec<(Webhook, Receiver)>,
    wake: Notify,
}

/// One message to one system.
#[derive(Serialize, Deserialize)]
struct Message {
    id: String,
    /// The address that it goes to, by which the receiver is found again.
    to: String,
    body: String,
    /// Until when it is tried, in seconds since 1970.
    until: u64,
    attempts: u32,
    /// The case that it belongs to: tenant and id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<(String, String)>,
}

/// What a message tells of.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) tenant: &'a str,
    /// The id that the site gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) case: Option<&'a str>,
    /// The token of a value that was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purposes: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'a str>,
    /// Until when a code holds, or a case must be answered
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Time>,
    /// Of an alarm.
    #[serde(flatten)]
    pub(super) alarm: Option<Alarmed<'a>>,
}

/// What a message tells of an alarm.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Alarmed<'a> {
    /// The rule that raised it.
    pub(super) rule: &'a str,
    /// What was seen, in words that name no person.
    pub(super) says: &'a str,
    /// The id of the incident in the register.
    pub(super) incident: &'a str,
}

impl<'a> Told<'a> {
    pub(super) fn of(tenant: &'a str, subject: Option<&'a str>, case: Option<&'a str>) -> Self {
        Self { tenant, subject, case, token: None, purposes: None, code: None, until: None, alarm: None }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    event: &'static str,
    at: Time,
    #[serde(flatten)]
    told: &'a Told<'a>,
}

impl Outbox {
    pub(super) fn new(records: Records, register: Register, webhooks: &[Webhook]) -> Result<Self, RightsError> {
        let receivers = webhooks
            .iter()
            .map(|webhook| Ok((webhook.clone(), Receiver::new(&webhook.url, webhook.ca.as_deref())?)))
            .collect::<Result<Vec<_>, RightsError>>()?;
        Ok(Self(Arc::new(Inner { records, register, receivers, wake: Notify::new() })))
    }

    /// Whether some system wants to be told.
    pub(super) fn has(&self, event: WebhookEvent) -> bool {
        self.0.receivers.iter().any(|(webhook, _)| webhook.events.contains(&event))
    }

    /// Keeps a message for each system that wants it. They are durable when
    /// this returns. Gives how many there are.
    pub(super) async fn put(&self, event: WebhookEvent, told: &Told<'_>) -> Result<usize, RightsError> {
        let now = clock::unix_seconds();
        let mut count = 0;
        for (webhook, _) in self.0.receivers.iter().filter(|(webhook, _)| webhook.events.contains(&event)) {
            let id = base32(random::<16>()?.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)), 25);
            let body = Body { id: &id, event: event.as_str(), at: Time(now), told };
            let message = Message {
                body: serde_json::to_string(&body).map_err(|_| RightsError::Damaged)?,
                to: webhook.url.to_string(),
                until: now + if event == WebhookEvent::CodeIssued { KEEP_CODE } else { KEEP },
                attempts: 0,
                case: told.case.map(|case| (told.tenant.to_owned(), case.to_owned())),
                id,
            };
            self.write(None, Some((now, &message))).await?;
            count += 1;
        }
        if count > 0 {
            self.0.wake.notify_one();
        }
        Ok(count)
    }

    /// Sends messages for ever.
    pub(super) async fn run(&self) {
        loop {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "The messages to other systems cannot be read or written.");
            }
            let _ = tokio::time::timeout(EVERY, self.0.wake.notified()).await;
        }
    }

    /// Sends what is due.
    pub(super) async fn round(&self) -> Result<(), RightsError> {
        if self.0.receivers.is_empty() {
            return Ok(());
        }
        loop {
            let now = clock::unix_seconds();
            let page = self.0.records.scan(Owner::Deployment, Space::Outbox, None, ROUND).await?;
            let mut sent = 0;
            for (key, value) in &page {
                let Some(due) = key.first_chunk().map(|due| u64::from_be_bytes(*due)) else { continue };
                if due > now {
                    return Ok(());
                }
                let Ok(message) = serde_json::from_slice::<Message>(value) else {
                    self.write(Some((key, value)), None).await?;
                    continue;
                };
                // Who moves it behind the lease sends it; all others see it there.
                if let Some(leased) = self.write(Some((key, value)), Some((now + LEASE, &message))).await? {
                    self.attempt(leased, message).await?;
                    sent += 1;
                }
            }
            if sent == 0 {
                return Ok(());
            }
        }
    }

    async fn attempt(&self, (key, value): (Vec<u8>, Vec<u8>), mut message: Message) -> Result<(), RightsError> {
        message.attempts += 1;
        let now = clock::unix_seconds();
        let receiver = self.0.receivers.iter().find(|(webhook, _)| webhook.url.to_string() == message.to);
        let delivered = match receiver {
            Some((webhook, receiver)) if now <= message.until => {
                let signature = signature::sign(webhook.secret.expose(), now, message.body.as_bytes());
                receiver.post(&signature, message.body.clone()).await
            }
            _ => false,
        };
        // A system that is not in the configuration any more is waited for like
        // one that does not answer: it may come back.
        if !delivered && now + pause(message.attempts) <= message.until {
            self.write(Some((&key, &value)), Some((now + pause(message.attempts), &message))).await?;
            return Ok(());
        }
        if let Some((tenant, id)) = &message.case {
            let notice = Notice {
                event: message.id.clone(),
                system: system(&message.to),
                delivered,
                attempts: message.attempts,
            };
            match self.0.register.take(tenant, id, &[Step::Notify(notice)], "gateway").await {
                Ok(_) | Err(RightsError::NoCase) => {}
                Err(error) => return Err(error),
            }
        }
        if !delivered {
            tracing::error!(event = message.id, "A message to another system was given up.");
        }
        self.write(Some((&key, &value)), None).await?;
        Ok(())
    }

    /// Puts one message in the place of another; none where somebody else has.
    async fn write(
        &self,
        old: Option<(&[u8], &[u8])>,
        new: Option<(u64, &Message)>,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>, RightsError> {
        let change = |key, expected, value| RecordChange {
            owner: Owner::Deployment,
            space: Space::Outbox,
            key,
            expected,
            value,
        };
        let new = new.map(|(due, message)| {
            let key = [&due.to_be_bytes(), message.id.as_bytes()].concat();
            (key, serde_json::to_vec(message).unwrap_or_default())
        });
        let mut changes = Vec::new();
        if let Some((key, value)) = old {
            changes.push(change(key, Expected::Unchanged(value), None));
        }
        if let Some((key, value)) = &new {
            changes.push(change(key, Expected::Anything, Some(value.as_slice())));
        }
        let is_written = self.0.records.write(&changes, None).await?;
        Ok(new.or_else(|| Some(Default::default())).filter(|_| is_written))
    }
}

/// Seconds to wait after so many attempts: 1, 2, 4, … up to an hour.
fn pause(attempts: u32) -> u64 {
    (1 << attempts.saturating_sub(1).min(20)).min(LONGEST)
}

/// Scheme, host and port of an address: its path may be a secret.
fn system(address: &str) -> String {
    let uri: Option<http::Uri> = address.parse().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
    parts.map_or_else(String::new, |(scheme, authority)| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        assert_eq!([1, 2, 3, 12, 13, 40].map(pause), [1, 2, 4, 2_048, 3_600, 3_600]);
    }

    #[test]
    fn a_system_is_named_without_its_path() {
        assert_eq!(system("https://crm.example:8443/hooks/s3cret?x=1"), "https://crm.example:8443");
    }
}
