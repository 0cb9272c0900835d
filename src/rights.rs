//! The rights of persons: access, portability, rectification, erasure,
//! restriction and objection (GDPR Articles 15 to 21), each as a case with a
//! due date, a history and a proof.
//!
//! One [`Rights`] serves the command line, the admin API and the page of the
//! person itself. What was asked is done here; what is kept of it names nobody.

mod answer;
pub mod case;
mod client;
mod confirmation;
mod export;
mod identity;
mod outbox;
mod register;
mod restriction;
pub mod signature;
#[cfg(test)]
mod tests;

pub use answer::Export;
pub use confirmation::Signer;
pub use export::Format;
use identity::Desk;
pub use identity::{CODE_LIFETIME, SESSION_LIFETIME, Session};
pub use register::{Due, Register};
pub use restriction::Restrictions;

use crate::clock::Time;
use crate::config::{Config, WebhookEvent};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Event, EventKind, Row, Space};
use crate::token::Token;
use crate::vault::{Kept, Owner, Vault, VaultError};
use case::{Case, CaseError, Kind, Proof, State, Step, Urgency, Verification};
use outbox::{Alarmed, Outbox, Told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::sync::broadcast::error::RecvError;
use zeroize::Zeroizing;

/// The longest value that a correction may have, in bytes.
pub const MAX_VALUE: usize = 4_096;
/// How often due dates are looked at.
const DUE_EVERY: Duration = Duration::from_mins(10);
/// How long until restrictions that could not be read are read again.
const RETRY: Duration = Duration::from_secs(1);
/// How many values are counted at once.
const PAGE: usize = 256;
/// How many open cases one look goes through at a time.
const DUE_PAGE: usize = 500;

/// Why a right could not be served. No text here holds a value or a subject.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The vault did not do its part.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The step is not possible now.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// There is no such case.
    #[error("there is no such case")]
    NoCase,
    /// The case is another subject's, or asks for something else.
    #[error("the case is not this subject's, or not for this")]
    OtherCase,
    /// The token is none of this subject's.
    #[error("the subject has no such token")]
    NoToken,
    /// A corrected value is empty or too long.
    #[error("a value has 1 to {MAX_VALUE} bytes")]
    Value,
    /// The subject's data is restricted.
    #[error("the subject's data is restricted: only the person may have it, after verification")]
    Restricted,
    /// Other steps keep coming in between.
    #[error("the case keeps changing")]
    Busy,
    /// A record is not what was written.
    #[error("a record of the register cannot be read")]
    Damaged,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The key of confirmations cannot be used.
    #[error("the key of confirmations cannot be used")]
    Signer,
    /// A webhook cannot be used; the text says what to change.
    #[error("webhook: {0}")]
    Webhook(String),
}

/// On whose word something is done, and in which case.
#[derive(Debug, Clone)]
pub struct By {
    /// `person`, or the name of an operator.
    pub name: String,
    /// How the person was verified; for a case that is not yet.
    pub verification: Verification,
    /// The case that this answers. Without one it is opened here, and closed
    /// as soon as it is done.
    pub case: Option<String>,
}

impl By {
    /// The person, who has shown who they are.
    pub fn person(verification: Verification) -> Self {
        Self { name: "person".to_owned(), verification, case: None }
    }

    /// An operator, who answers for having verified the person.
    pub fn operator(name: impl Into<String>) -> Self {
        Self { name: name.into(), verification: Verification::Operator, case: None }
    }

    /// The same in a case that is open already.
    #[must_use]
    pub fn in_case(mut self, id: impl Into<String>) -> Self {
        self.case = Some(id.into());
        self
    }
}

/// What an export says of the deployment.
struct Facts {
    /// The names of the purposes.
    names: Vec<String>,
    purposes: Value,
    recipients: Value,
}

impl Facts {
    /// The purpose that a value came for; none where nobody knows, or where the
    /// configuration has it no more.
    fn purpose_of(&self, kept: &Kept) -> Option<&str> {
        self.names.iter().map(String::as_str).find(|name| kept.is_for(name))
    }
}

/// Serves the rights of the subjects of a vault.
pub struct Rights {
    vault: Vault,
    register: Register,
    restrictions: Restrictions,
    outbox: Outbox,
    signer: OnceCell<Signer>,
    facts: Facts,
    desk: Desk,
}

impl Rights {
    /// Over a vault, as the configuration says. Reads the certificates of
    /// webhooks, and nothing else.
    pub fn new(vault: Vault, config: &Config) -> Result<Arc<Self>, RightsError> {
        let purposes =
            config.purposes.iter().map(|purpose| json!({"name": purpose.name, "basis": purpose.basis.as_str()}));
        let recipients =
            config.upstreams.iter().map(|upstream| json!({"name": upstream.recipient, "region": upstream.region}));
        let names = config.purposes.iter().map(|purpose| purpose.name.clone()).collect();
        let facts = Facts { names, purposes: purposes.collect(), recipients: recipients.collect() };
        let records = vault.records().clone();
        let register = Register::new(records.clone());
        Ok(Arc::new(Self {
            outbox: Outbox::new(records.clone(), register.clone(), &config.webhooks)?,
            restrictions: Restrictions::new(records),
            register,
            signer: OnceCell::new(),
            desk: Desk::new(),
            facts,
            vault,
        }))
    }

    /// The cases.
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// Whose data is restricted.
    pub fn restrictions(&self) -> &Restrictions {
        &self.restrictions
    }

    /// The name of a subject in the access log.
    pub async fn alias(&self, tenant: &str, subject: &str) -> Result<String, RightsError> {
        Ok(self.vault.subject(tenant, subject).await?.alias())
    }

    /// The subjects with this address or number: the ids of all of them, those
    /// that are known for longest first.
    pub async fn find(&self, tenant: &str, text: &str) -> Result<Vec<Sensitive>, RightsError> {
        Ok(self.vault.find(tenant, text).await?)
    }

    /// The values of a subject from the one behind `after` on, at most `limit`,
    /// as documents, and the mark behind which the next page begins.
    pub async fn values(
        &self,
        tenant: &str,
        subject: &str,
        after: Option<Token>,
        limit: usize,
    ) -> Result<(Vec<Value>, Option<String>), RightsError> {
        let page = self.vault.values(tenant, subject, after, limit).await?;
        let next = page.last().filter(|_| page.len() == limit);
        let next = next.map(|last| format!("{}.{:x}", last.token.entity(), last.token.bits()));
        let line = |kept: &Kept| {
            let (token, entity, value) = kept.parts();
            let created = (kept.created > 0).then_some(Time(kept.created));
            let purpose = self.facts.purpose_of(kept);
            json!({"token": token, "entity": entity.as_str(), "value": value, "created": created, "purpose": purpose})
        };
        Ok((page.iter().map(line).collect(), next))
    }

    /// The token of a mark that [`values`](Self::values) gave.
    pub fn read_mark(&self, mark: &str) -> Option<Token> {
        let (entity, bits) = mark.split_once('.')?;
        let surrogate = Entity::SURROGATE;
        let entity = if entity == surrogate.as_str() { surrogate } else { entity.parse().ok()? };
        u64::from_str_radix(bits, 16).ok().filter(|bits| bits >> 35 == 0).map(|bits| Token::new(entity, bits))
    }

    /// How many values are kept of a subject, by entity.
    pub async fn located(&self, tenant: &str, subject: &str) -> Result<BTreeMap<String, u64>, RightsError> {
        let (mut counts, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.vault.values(tenant, subject, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(counts) };
            after = Some(last.token);
            for kept in &page {
                *counts.entry(kept.parts().1.to_string()).or_default() += 1;
            }
        }
    }

    /// Everything that is kept of a subject, as a file.
    pub async fn export(
        self: &Arc<Self>,
        tenant: &str,
        subject: &str,
        format: Format,
        by: By,
    ) -> Result<Export, RightsError> {
        if by.verification == Verification::Operator
            && by.case.is_none()
            && self.restrictions.hold(tenant, subject).await?
        {
            return Err(RightsError::Restricted);
        }
        let kinds = [Kind::Access, Kind::Portability];
        let case = self.begin(tenant, subject, &kinds, &by).await?;
        Ok(Export::new(Arc::clone(self), tenant, subject, format, by, case))
    }

    /// Lets what stands in messages for a value of a subject, a token or a
    /// surrogate, stand for another value from now on.
    pub async fn rectify(
        &self,
        tenant: &str,
        subject: &str,
        stands: &str,
        value: &str,
        by: &By,
    ) -> Result<Case, RightsError> {
        if value.is_empty() || value.len() > MAX_VALUE {
            return Err(RightsError::Value);
        }
        let token = self.vault.token_of(tenant, subject, stands).await?.ok_or(RightsError::NoToken)?;
        let case = self.begin(tenant, subject, &[Kind::Rectification], by).await?;
        if !self.vault.rectify(tenant, subject, &token, value).await? {
            return Err(RightsError::NoToken);
        }
        let told = Told { token: Some(stands), ..Told::of(tenant, Some(subject), Some(&case.id)) };
        self.outbox.put(WebhookEvent::SubjectRectified, &told).await?;
        let located = BTreeMap::from([(token.entity().to_string(), 1)]);
        let counts = BTreeMap::from([("rectified".to_owned(), 1)]);
        self.finish(&case, Step::Locate(located), Proof { counts, ..Proof::default() }, by).await
    }

    /// Erases a subject: its keys, its values, what it is found by. Nobody can
    /// bring them back.
    pub async fn erase(&self, tenant: &str, subject: &str, by: &By) -> Result<Case, RightsError> {
        let case = self.begin(tenant, subject, &[Kind::Erasure], by).await?;
        let located = self.located(tenant, subject).await?;
        // The message first: whoever is not told after a crash never would be.
        let told = Told::of(tenant, Some(subject), Some(&case.id));
        self.outbox.put(WebhookEvent::SubjectErased, &told).await?;
        let statements = self.statements(tenant, subject).await?;
        let erased = self.vault.erase(tenant, subject).await?;
        self.restrictions.set(tenant, subject, false).await?;
        let counts =
            BTreeMap::from([("values".to_owned(), erased.values as u64), ("statements".to_owned(), statements)]);
        self.finish(&case, Step::Locate(located), Proof { counts, ..Proof::default() }, by).await
    }

    /// Restricts a subject's data, or ends that: from now on it is kept, and
    /// neither used nor given to others.
    pub async fn restrict(
        &self,
        tenant: &str,
        subject: &str,
        is_restricted: bool,
        by: &By,
    ) -> Result<Case, RightsError> {
        let case = self.begin(tenant, subject, &[Kind::Restriction], by).await?;
        self.restrictions.set(tenant, subject, is_restricted).await?;
        let (event, what) = if is_restricted {
            (WebhookEvent::SubjectRestricted, "restricted")
        } else {
            (WebhookEvent::SubjectReleased, "released")
        };
        self.outbox.put(event, &Told::of(tenant, Some(subject), Some(&case.id))).await?;
        let located = self.located(tenant, subject).await?;
        let counts = BTreeMap::from([(what.to_owned(), located.values().sum())]);
        self.finish(&case, Step::Locate(located), Proof { counts, ..Proof::default() }, by).await
    }

    /// Fails where the case that is named does not take an objection.
    pub async fn may_object(&self, tenant: &str, subject: &str, by: &By) -> Result<(), RightsError> {
        if by.case.is_some() { self.begin(tenant, subject, &[Kind::Objection], by).await.map(drop) } else { Ok(()) }
    }

    /// Notes an objection to purposes. That it holds is written before: the ledger
    /// of consent is what every request is judged by.
    pub async fn objected(
        &self,
        tenant: &str,
        subject: &str,
        purposes: &[String],
        by: &By,
    ) -> Result<Case, RightsError> {
        let case = self.begin(tenant, subject, &[Kind::Objection], by).await?;
        let told = Told { purposes: Some(purposes), ..Told::of(tenant, Some(subject), Some(&case.id)) };
        self.outbox.put(WebhookEvent::SubjectObjected, &told).await?;
        let counts = BTreeMap::from([("purposes".to_owned(), purposes.len() as u64)]);
        self.finish(&case, Step::Locate(BTreeMap::new()), Proof { counts, ..Proof::default() }, by).await
    }

    /// Tells the systems behind that an alarm was raised.
    pub async fn tell_alarm(&self, rule: &str, says: &str, incident: &str) -> Result<(), RightsError> {
        let told = Told { alarm: Some(Alarmed { rule, says, incident }), ..Told::of("", None, None) };
        self.outbox.put(WebhookEvent::AlarmRaised, &told).await.map(drop)
    }

    /// Tells the person that a case is done, which closes it.
    pub async fn confirm(&self, tenant: &str, id: &str, by: &str) -> Result<Case, RightsError> {
        self.register.take(tenant, id, &[Step::Confirm], by).await
    }

    /// The key by which confirmations can be verified, as a JWK.
    pub async fn public_key(&self) -> Result<Value, RightsError> {
        Ok(self.signer().await?.public_key())
    }

    /// The case in which something is done: the one that is named, or a new
    /// one of the first of `kinds`. Then it is verified.
    async fn begin(&self, tenant: &str, subject: &str, kinds: &[Kind], by: &By) -> Result<Case, RightsError> {
        let case = if let Some(id) = &by.case {
            let case = self.register.case(tenant, id).await?;
            if !kinds.contains(&case.kind) || !self.register.is_of(&case, subject) {
                return Err(RightsError::OtherCase);
            }
            case
        } else {
            let kind = kinds.first().copied().unwrap_or(Kind::Access);
            self.register.open(tenant, subject, kind, &by.name).await?
        };
        match case.state {
            State::Received if by.case.is_none() => {
                self.register.take(tenant, &case.id, &[Step::Verify(by.verification)], &by.name).await
            }
            State::Verified | State::Located => Ok(case),
            from => Err(CaseError::Order { from, to: "done" }.into()),
        }
    }

    /// What was asked is done; a case that was opened for it is closed.
    async fn finish(&self, case: &Case, located: Step, proof: Proof, by: &By) -> Result<Case, RightsError> {
        let mut steps = Vec::with_capacity(3);
        let mut done = case.clone();
        if case.state == State::Verified {
            steps.push(located);
        }
        let now = Time::now();
        for step in steps.iter().cloned().chain([Step::Finish(proof.clone())]) {
            done.take(step, &by.name, now)?;
        }
        let confirmation = Some(self.signer().await?.confirm(&done, now));
        steps.push(Step::Finish(Proof { confirmation, ..proof }));
        if by.case.is_none() {
            steps.push(Step::Confirm);
        }
        self.register.take(&case.tenant, &case.id, &steps, &by.name).await
    }

    async fn signer(&self) -> Result<&Signer, RightsError> {
        self.signer.get_or_try_init(|| Signer::of(self.vault.records())).await
    }
}

impl Rights {
    /// How many statements of consent are kept of a subject.
    async fn statements(&self, tenant: &str, subject: &str) -> Result<u64, RightsError> {
        const PAGE: usize = 1000;
        let (owner, mut count, mut after) = (Owner::Subject { tenant, subject }, 0, None::<Vec<u8>>);
        loop {
            let page = self.vault.records().scan(owner, Space::Consent, after.as_deref(), PAGE).await?;
            count += page.len() as u64;
            match page.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(count),
            }
        }
    }

    /// What goes on beside requests, for as long as the gateway runs: messages
    /// are sent, due dates watched (`due` gets the number of open cases by
    /// their urgency), and restrictions taken over that other replicas make.
    /// `ended` gets the row of each who is restricted, for what stands open to
    /// end: a running reply holds values of its own.
    pub async fn run(&self, due: impl Fn([u64; 3]), ended: impl Fn(Row)) {
        let mut events = self.vault.subscribe();
        let watch_restrictions = async {
            loop {
                let refreshed = match events.recv().await {
                    Ok(Event { row, kind: EventKind::Changed }) => {
                        let refreshed = self.restrictions.refresh(row).await;
                        if self.restrictions.covers(row) {
                            ended(row);
                        }
                        refreshed
                    }
                    Ok(Event { kind: EventKind::Missed, .. }) | Err(RecvError::Lagged(_)) => {
                        let loaded = self.restrictions.load().await;
                        self.restrictions.rows().into_iter().for_each(&ended);
                        loaded
                    }
                    Ok(_) => Ok(()),
                    Err(RecvError::Closed) => return std::future::pending().await,
                };
                if let Err(error) = refreshed {
                    tracing::warn!(%error, "Restrictions cannot be read.");
                    self.restrictions.doubt();
                    while self.restrictions.load().await.is_err() {
                        tokio::time::sleep(RETRY).await;
                    }
                    self.restrictions.rows().into_iter().for_each(&ended);
                }
            }
        };
        let watch_due = async {
            let mut warned = Time(0);
            loop {
                match self.look_at_due(warned).await {
                    Ok((counts, now)) => {
                        due(counts);
                        warned = now;
                    }
                    Err(error) => tracing::warn!(%error, "The cases cannot be read."),
                }
                if let Err(error) = self.sweep().await {
                    tracing::warn!(%error, "Old codes cannot be removed.");
                }
                tokio::time::sleep(DUE_EVERY).await;
            }
        };
        tokio::join!(self.outbox.run(), watch_restrictions, watch_due, self.send_codes_asked_for());
    }

    /// Sends the messages that wait, each once.
    pub async fn send_messages(&self) -> Result<(), RightsError> {
        self.outbox.round().await
    }

    /// Counts the open cases by urgency, and warns of those that became urgent
    /// since the time `warned`.
    async fn look_at_due(&self, warned: Time) -> Result<([u64; 3], Time), RightsError> {
        let now = Time::now();
        let (mut counts, mut after) = ([0; 3], None);
        loop {
            let page = self.register.due(after.as_ref(), DUE_PAGE).await?;
            for case in &page {
                let urgency = Urgency::of(case.due, now);
                if let Some(count) = counts.get_mut(urgency as usize) {
                    *count += 1;
                }
                if urgency != Urgency::Open && Urgency::of(case.due, warned) != urgency {
                    let (id, due) = (&case.id, case.due);
                    tracing::warn!(case = %id, %due, urgency = urgency.as_str(), "A case is due.");
                    let told = Told { until: Some(due), ..Told::of(&case.tenant, None, Some(id)) };
                    self.outbox.put(WebhookEvent::CaseDue, &told).await?;
                }
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => return Ok((counts, now)),
            }
        }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rights")
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, RightsError> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| RightsError::Random)?;
    Ok(bytes)
}
