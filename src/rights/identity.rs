//! How persons show who they are, where no account says so: by a code that the
//! site sends to the address that it has on file for the subject. Privet never
//! sends to an address that somebody types: that an address stands in a chat
//! does not make it the chatter's.
//!
//! A code has 40 random bits and five tries of each question within ten
//! minutes. Messages to one person are few, and yet nobody can use them up for
//! another: who asks when enough were sent is taken at the code that was sent
//! last, which only the person has, for an hour at most. Who has shown one gets
//! a session of a quarter of an hour, which is kept as the hash of a random
//! word. Nothing tells whether a subject exists.

use super::case::Verification;
use super::outbox::Told;
use super::register::base32;
use super::{Rights, RightsError, random};
use crate::clock::{self, Time};
use crate::config::WebhookEvent;
use crate::hex;
use crate::sensitive::Sensitive;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange};
use aws_lc_rs::{constant_time, digest};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

/// Seconds that a code holds.
pub const CODE_LIFETIME: u64 = 600;
/// Seconds that a session holds.
pub const SESSION_LIFETIME: u64 = 900;
/// How often one code may be tried.
const TRIES: u32 = 5;
/// How many codes one subject is sent within [`CODE_LIFETIME`],
const CODES: usize = 3;
/// and how many within a day.
const CODES_A_DAY: usize = 10;
const DAY: u64 = 24 * 3600;
/// Seconds after which a code answers no new question any more, however many
/// were sent that day.
const LONGEST_USE: u64 = 3600;
/// How many questions one code may answer: with the tries that each has, nobody
/// guesses 40 bits.
const USES: u32 = 20_000;
/// How many subjects of one address are sent codes, those that are known for
/// longest.
const ADDRESSED: usize = 64;
/// How many characters a code has.
const CODE_DIGITS: usize = 8;
/// How many steps may come in between.
const ATTEMPTS: usize = 16;
/// How many old records one look removes at most.
const SWEEP: usize = 500;

/// The record of the code that a subject was sent last.
const STANDING: &[u8] = b"code";

/// How many people may wait for a code to be sent.
const WAITING: usize = 64;

/// Where codes are asked for. What is asked is looked up and sent beside the
/// answer, so that the time of the answer tells nothing.
pub(super) struct Desk {
    ask: mpsc::Sender<Asked>,
    asked: Mutex<mpsc::Receiver<Asked>>,
}

struct Asked {
    tenant: String,
    who: Sensitive,
    question: String,
}

impl Desk {
    pub(super) fn new() -> Self {
        let (ask, asked) = mpsc::channel(WAITING);
        Self { ask, asked: Mutex::new(asked) }
    }
}

/// Somebody who has shown who they are.
#[derive(Debug, Clone)]
pub struct Session {
    /// The tenant.
    pub tenant: String,
    /// The subject.
    pub subject: Sensitive,
    /// How it was shown.
    pub verification: Verification,
    /// Until when it holds, in seconds since 1970.
    pub until: u64,
}

#[derive(Serialize, Deserialize)]
struct KeptSession {
    tenant: String,
    subject: String,
    verification: Verification,
}

/// What is kept of a question: the codes that were sent for it.
#[derive(Clone, Serialize, Deserialize)]
struct Question {
    tenant: String,
    tries: u32,
    codes: Vec<Sent>,
}

/// A code that answers a question.
#[derive(Clone, Serialize, Deserialize)]
struct Sent {
    subject: String,
    hash: String,
    number: u64,
}

/// The code that a subject was sent last, sealed like all records.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Standing {
    code: String,
    /// The subject's codes are numbered from 1.
    number: u64,
    /// The number of the last one that let somebody in: neither it nor any before
    /// it does so again.
    used: u64,
    /// Questions that it answers, beside the one that it was sent for.
    uses: u32,
    /// When codes were sent within a day.
    sent: Vec<u64>,
}

impl Rights {
    /// Whether codes can be sent at all.
    pub fn sends_codes(&self) -> bool {
        self.outbox.has(WebhookEvent::CodeIssued)
    }

    /// Opens a question for a code. The answer is the same whoever asks, and
    /// nothing is looked up before [`send_codes`](Self::send_codes).
    pub fn question(&self) -> Result<String, RightsError> {
        let until = clock::unix_seconds() + CODE_LIFETIME;
        Ok(hex::encode(&[&until.to_be_bytes(), &random::<24>()?[..]].concat()))
    }

    /// Asks for a code to be sent; false where more ask than can be looked up.
    /// Nothing is looked up here. There is no allowance for all together: a
    /// stranger would use it up for everybody. What one subject is sent is
    /// bounded, and so is what one question may be answered with.
    pub fn ask_for_code(&self, tenant: &str, who: &str, question: &str) -> bool {
        let asked = Asked { tenant: tenant.to_owned(), who: Sensitive::from(who), question: question.to_owned() };
        self.desk.ask.try_send(asked).is_ok()
    }

    /// Sends the codes that are asked for, for ever.
    pub(super) async fn send_codes_asked_for(&self) {
        let mut desk = self.desk.asked.lock().await;
        while let Some(Asked { tenant, who, question }) = desk.recv().await {
            if let Err(error) = self.send_codes(&tenant, who.expose(), &question).await {
                tracing::warn!(%error, "A code cannot be sent.");
            }
        }
    }

    /// Sends a code to each subject that `who` means: an id, or an address or
    /// number. To be called beside the answer, so that its time tells nothing.
    pub async fn send_codes(&self, tenant: &str, who: &str, question: &str) -> Result<usize, RightsError> {
        let Some((key, until)) = key_of(question) else { return Ok(0) };
        let mut subjects: Vec<Sensitive> = self.find(tenant, who).await?;
        if subjects.is_empty() && self.is_known(tenant, who).await? {
            subjects.push(Sensitive::from(who));
        }
        let (mut codes, mut messages) = (Vec::new(), Vec::new());
        // Who writes the address of another under names of their own comes later.
        for subject in subjects.into_iter().take(ADDRESSED) {
            let Some((code, number, is_new)) = self.code_of(tenant, subject.expose()).await? else { continue };
            codes.push(Sent { subject: subject.expose().to_owned(), hash: hash(question, code.expose()), number });
            if is_new {
                messages.push((subject, code));
            }
        }
        if codes.is_empty() {
            return Ok(0);
        }
        let kept = Question { tenant: tenant.to_owned(), tries: 0, codes };
        self.put(Space::Code, &key, Expected::Absent, Some(&json(&kept)?)).await?;
        for (subject, code) in &messages {
            let until = Some(Time(until));
            let told = Told { code: Some(code.expose()), until, ..Told::of(tenant, Some(subject.expose()), None) };
            self.outbox.put(WebhookEvent::CodeIssued, &told).await?;
        }
        Ok(messages.len())
    }

    /// Takes a code as the answer to a question: a session, where it is right.
    /// Each try counts before it is looked at, so that many at once are no more.
    /// Where nobody was sent a code nothing is written, so `None` comes sooner
    /// than for a wrong one: whoever tells a stranger of it waits.
    pub async fn answer(&self, question: &str, code: &str) -> Result<Option<(Sensitive, Session)>, RightsError> {
        let now = clock::unix_seconds();
        let Some((key, until)) = key_of(question).filter(|_| self.sends_codes()) else { return Ok(None) };
        let code = plain_code(code);
        for _ in 0..ATTEMPTS {
            let Some(old) = self.vault.records().get(Owner::Deployment, Space::Code, &key).await? else { break };
            let mut kept: Question = serde_json::from_slice(&old).map_err(|_| RightsError::Damaged)?;
            if until < now || kept.tries >= TRIES {
                break;
            }
            kept.tries += 1;
            let given = hash(question, &code);
            let same = |hash: &str| constant_time::verify_slices_are_equal(hash.as_bytes(), given.as_bytes()).is_ok();
            let found = kept.codes.iter().find(|sent| same(&sent.hash)).cloned();
            // A question is answered once.
            let new = if found.is_some() { None } else { Some(json(&kept)?) };
            if !self.put(Space::Code, &key, Expected::Unchanged(&old), new.as_deref()).await? {
                continue;
            }
            let Some(Sent { subject, number, .. }) = found else { return Ok(None) };
            if !self.use_up(&kept.tenant, &subject, number).await? {
                return Ok(None);
            }
            return self.open_session(&kept.tenant, &subject, Verification::CodeOnFile).await.map(Some);
        }
        Ok(None)
    }

    /// Marks a code as used, which answers no further question; false where it
    /// was. Who asks next is sent a new one.
    async fn use_up(&self, tenant: &str, subject: &str, number: u64) -> Result<bool, RightsError> {
        let owner = Owner::Subject { tenant, subject };
        for _ in 0..ATTEMPTS {
            let old = self.vault.records().get(owner, Space::Code, STANDING).await?;
            // It goes with an erasure.
            let Some(old) = old else { return Ok(false) };
            let mut standing: Standing = serde_json::from_slice(&old).map_err(|_| RightsError::Damaged)?;
            if number <= standing.used {
                return Ok(false);
            }
            standing.used = number;
            standing.sent.clear();
            let value = json(&standing)?;
            let expected = Expected::Unchanged(&old);
            let change = RecordChange { owner, space: Space::Code, key: STANDING, expected, value: Some(&value) };
            if self.vault.records().write(&[change], None).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A session for somebody who has shown who they are: its word, and itself.
    pub async fn open_session(
        &self,
        tenant: &str,
        subject: &str,
        verification: Verification,
    ) -> Result<(Sensitive, Session), RightsError> {
        let until = clock::unix_seconds() + SESSION_LIFETIME;
        let word = hex::encode(&[&until.to_be_bytes(), &random::<24>()?[..]].concat());
        let kept = KeptSession { tenant: tenant.to_owned(), subject: subject.to_owned(), verification };
        if let Some((key, _)) = key_of(&word) {
            self.put(Space::Session, &key, Expected::Absent, Some(&json(&kept)?)).await?;
        }
        let session = Session { tenant: kept.tenant, subject: Sensitive::new(kept.subject), verification, until };
        Ok((Sensitive::new(word), session))
    }

    /// The session of a word, as long as it holds.
    pub async fn session(&self, word: &str) -> Result<Option<Session>, RightsError> {
        let Some((key, until)) = key_of(word) else { return Ok(None) };
        if until < clock::unix_seconds() {
            return Ok(None);
        }
        let Some(kept) = self.vault.records().get(Owner::Deployment, Space::Session, &key).await? else {
            return Ok(None);
        };
        let kept: KeptSession = serde_json::from_slice(&kept).map_err(|_| RightsError::Damaged)?;
        let (tenant, subject) = (kept.tenant, Sensitive::new(kept.subject));
        Ok(Some(Session { tenant, subject, verification: kept.verification, until }))
    }

    /// Ends a session.
    pub async fn close_session(&self, word: &str) -> Result<(), RightsError> {
        // Anybody may close what is none, at the cost of a look.
        if let Some((key, _)) = key_of(word)
            && self.vault.records().get(Owner::Deployment, Space::Session, &key).await?.is_some()
        {
            self.put(Space::Session, &key, Expected::Anything, None).await?;
        }
        Ok(())
    }

    /// Removes codes and sessions that hold no more: their keys begin with the
    /// time, so the old ones come first.
    pub(super) async fn sweep(&self) -> Result<(), RightsError> {
        let now = clock::unix_seconds();
        for space in [Space::Code, Space::Session] {
            let page = self.vault.records().scan(Owner::Deployment, space, None, SWEEP).await?;
            let is_old = |key: &[u8]| key.first_chunk().is_some_and(|until| u64::from_be_bytes(*until) < now);
            for (key, _) in page.iter().take_while(|(key, _)| is_old(key)) {
                self.put(space, key, Expected::Anything, None).await?;
            }
        }
        Ok(())
    }

    async fn is_known(&self, tenant: &str, subject: &str) -> Result<bool, RightsError> {
        Ok(!self.vault.values(tenant, subject, None, 1).await?.is_empty())
    }

    /// The code that answers another question of a subject, its number, and
    /// whether it is new and to be sent: a new one as long as few were sent of
    /// late, so that nobody can be flooded with them; else the last one, for an
    /// hour, so that nobody can be locked out by somebody else's questions.
    async fn code_of(&self, tenant: &str, subject: &str) -> Result<Option<(Sensitive, u64, bool)>, RightsError> {
        let now = clock::unix_seconds();
        let owner = Owner::Subject { tenant, subject };
        for _ in 0..ATTEMPTS {
            let old = self.vault.records().get(owner, Space::Code, STANDING).await?;
            let standing = old.as_deref().map(serde_json::from_slice::<Standing>).transpose();
            let mut standing = standing.map_err(|_| RightsError::Damaged)?.unwrap_or_default();
            standing.sent.retain(|at| now.saturating_sub(*at) < DAY);
            let of_late = standing.sent.iter().filter(|at| now.saturating_sub(**at) < CODE_LIFETIME).count();
            let is_old = standing.sent.last().is_none_or(|at| now.saturating_sub(*at) >= LONGEST_USE);
            let is_spent = standing.used >= standing.number || standing.uses >= USES;
            let is_new = of_late < CODES && standing.sent.len() < CODES_A_DAY || is_old || is_spent;
            if is_new {
                standing.number += 1;
                let bits = random::<8>()?.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
                standing.code = base32(bits, CODE_DIGITS);
                standing.uses = 0;
                standing.sent.push(now);
            } else {
                standing.uses += 1;
            }
            let value = json(&standing)?;
            let expected = old.as_deref().map_or(Expected::Absent, Expected::Unchanged);
            let change = RecordChange { owner, space: Space::Code, key: STANDING, expected, value: Some(&value) };
            if self.vault.records().write(&[change], None).await? {
                return Ok(Some((Sensitive::new(standing.code), standing.number, is_new)));
            }
        }
        Ok(None)
    }

    async fn put(
        &self,
        space: Space,
        key: &[u8],
        expected: Expected<'_>,
        value: Option<&[u8]>,
    ) -> Result<bool, RightsError> {
        let change = RecordChange { owner: Owner::Deployment, space, key, expected, value };
        Ok(self.vault.records().write(&[change], None).await?)
    }
}

/// The key of a word, and until when that holds: the time in front, and the
/// hash of all of it.
fn key_of(word: &str) -> Option<(Vec<u8>, u64)> {
    if word.len() != 64 {
        return None;
    }
    let until = u64::from_str_radix(word.get(..16)?, 16).ok()?;
    let hash = digest::digest(&digest::SHA256, word.as_bytes());
    Some(([&until.to_be_bytes(), hash.as_ref()].concat(), until))
}

/// The code in the letters that it is made of: people read 0 and O, 1, I and L
/// as they like, and put blanks where it suits them.
fn plain_code(code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase());
    letters
        .map(|c| match c {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .take(CODE_DIGITS + 1)
        .collect()
}

/// A code by itself has few bits; with its question it has enough.
fn hash(question: &str, code: &str) -> String {
    hex::encode(
        digest::digest(&digest::SHA256, [question.as_bytes(), b"\0", code.as_bytes()].concat().as_ref()).as_ref(),
    )
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, RightsError> {
    serde_json::to_vec(value).map_err(|_| RightsError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        assert_eq!(plain_code(" o1il-abcd "), "0111ABCD");
        assert_eq!(plain_code("0123456789"), "012345678", "what is too long stays too long");
    }
}
