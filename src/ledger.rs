//! The ledger of consent: every statement is kept as it was made, and what
//! stands follows from all of them.
//!
//! A subject's statements have numbers without gaps, and each is written where
//! its number is still free, so that replicas agree on their order and none is
//! lost or changed. The same statement of requests is kept once.

mod known;
mod notice;
mod once;
mod open;
mod receipt;
mod state;
mod statement;
mod statistics;

pub use known::Known;
pub use notice::Notices;
pub use open::Registered;
pub use receipt::{receipt, standing};
pub use state::{MAX_HEARD, State};
pub use statement::{Act, Channel, Statement, What, word};
pub use statistics::{Counts, Statistics};

use crate::clock;
use crate::consent::AHEAD;
use crate::store::{Event, EventKind, Row, Space};
use crate::vault::{Expected, Owner, RecordChange, Records, Vault, VaultError};
use known::Cache;
use open::Open;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// The most statements that are kept of one subject. A withdrawal is kept beyond it.
pub const MAX_STATEMENTS: u64 = 10_000;

/// How many statements are read at a time.
const PAGE: usize = 256;

/// How often a statement is written anew because another one was first.
const ATTEMPTS: usize = 16;

/// Why a statement is not kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There are as many statements of the subject as may be.
    #[error("the ledger holds as many statements of the subject as it takes")]
    Full,
}

/// The ledger of a deployment. Clones share it.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    records: Records,
    notices: Notices,
    known: Cache,
    open: Open,
}

/// What an act has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What stands now.
    pub state: State,
    /// The number of the statement; none where it would have changed nothing.
    pub number: Option<u64>,
    /// The purposes that are given now and were not.
    pub given: Vec<String>,
    /// The purposes that are withdrawn now and were not.
    pub withdrawn: Vec<String>,
    /// How many exchanges and sockets of this process, open before it, it has ended.
    pub ended: usize,
}

impl Ledger {
    /// That of a vault. What a statement says of a notice is looked up in `notices`.
    pub fn new(vault: &Vault, notices: Notices) -> Self {
        let known = if vault.records().is_volatile() { Cache::that_tells() } else { Cache::default() };
        let open = Open::default();
        Self(Arc::new(Inner { records: vault.records().clone(), notices, known, open }))
    }

    /// Follows what other replicas, and other parts of this process, do to
    /// subjects and their consent, as long as the ledger is used: it ends what
    /// stands open on it.
    pub fn follow(&self, vault: &Vault) -> impl Future<Output = ()> + Send + 'static {
        follow(Arc::downgrade(&self.0), vault.subscribe())
    }

    /// The notices that consent is given to.
    pub fn notices(&self) -> &Notices {
        &self.0.notices
    }

    /// The row that a subject's statements are filed under.
    pub fn row(&self, tenant: &str, subject: &str) -> Row {
        self.0.records.row(tenant, subject)
    }

    /// From now on a withdrawal of this subject's consent to the purpose, if it
    /// stands on one, cancels `ended`; so does the subject's erasure. What stands
    /// must be read after this.
    pub fn register(&self, row: Row, purpose: Option<&Arc<str>>, ended: CancellationToken) -> Registered {
        self.0.open.register(row, purpose, ended)
    }

    /// Ends all that stands open of a subject, whose data may not be used any
    /// more. Gives how many exchanges and sockets were told.
    pub fn end(&self, row: Row) -> usize {
        self.0.open.end_all(row)
    }

    /// The subject objects by a signal, such as `Sec-GPC`, to what yields to it:
    /// what stands open so ends, on every replica. Nothing is kept of it, and
    /// replicas are told once, until something is opened that yields.
    pub async fn signal(&self, row: Row) -> Result<(), VaultError> {
        self.0.open.end_yielding(row);
        if self.0.records.is_shared() && self.known(row).await?.is_signalled() {
            self.tell(row, EventKind::Signalled).await?;
        }
        Ok(())
    }

    /// Something of the subject is about to be opened that a signal is to end,
    /// whichever replica that comes to. It must be registered before.
    pub async fn opens(&self, row: Row) -> Result<(), VaultError> {
        if self.0.records.is_shared() && self.known(row).await?.is_opened() {
            self.tell(row, EventKind::Opened).await?;
        }
        Ok(())
    }

    async fn tell(&self, row: Row, kind: EventKind) -> Result<(), VaultError> {
        let told = self.0.records.write(&[], Some(Event { row, kind })).await;
        if told.is_err() {
            // What nobody was told is told the next time.
            self.0.known.forget(row);
        }
        told.map(drop)
    }

    /// What stands of a subject's consent; from memory, if it was read before
    /// and nobody can have changed it unheard.
    pub async fn known(&self, row: Row) -> Result<Arc<Known>, VaultError> {
        if !self.0.records.is_current() {
            // What others withdraw is not heard now, so nothing that is
            // remembered is believed.
            return Ok(Arc::new(Known::new(self.read(row).await?)));
        }
        let changes = match self.0.known.find(row) {
            Ok(known) if self.0.records.is_current() => return Ok(known),
            Ok(_) => return Ok(Arc::new(Known::new(self.read(row).await?))),
            Err(changes) => changes,
        };
        let known = Arc::new(Known::new(self.read(row).await?));
        self.0.known.insert(row, &known, changes);
        self.forget_outlived(row).await?;
        Ok(known)
    }

    /// In a vault in memory the statements go of those who were not spoken of
    /// for longest, or whoever makes subjects up would fill the memory.
    async fn forget_outlived(&self, row: Row) -> Result<(), VaultError> {
        for row in self.0.known.outlived(row) {
            let statements = self.0.records.scan(Owner::Row(row), Space::Consent, None, usize::MAX).await?;
            let mut gone = Vec::with_capacity(2 * statements.len());
            for (key, value) in statements {
                let tenant = Row { tenant: row.tenant, ..Row::DEPLOYMENT };
                gone.push((tenant, journal_key(read_statement(&value)?.time, row, &key)));
                gone.push((row, key));
            }
            // Who spoke meanwhile is known again.
            if self.0.known.find(row).is_ok() {
                continue;
            }
            let gone: Vec<RecordChange<'_>> = gone.iter().map(|(row, key)| removal(*row, key)).collect();
            self.0.records.write(&gone, None).await?;
        }
        Ok(())
    }

    /// Keeps what a request has said, once. `presented` is a hash of it, under
    /// which it is known again.
    pub async fn note(&self, row: Row, presented: u64, what: What, at: Option<u64>) -> Result<(), LedgerError> {
        let mut what = Some(what);
        for _ in 0..ATTEMPTS {
            let known = self.known(row).await?;
            let Some(said) = what.take() else { break };
            if known.state.has_heard(&said) {
                known.is_recorded(presented);
                return Ok(());
            }
            if known.state.is_full() || known.state.count() >= MAX_STATEMENTS {
                return Err(LedgerError::Full);
            }
            let statement = self.statement(said, at);
            let changes = self.0.known.changes(row);
            if self.append(row, known.state.count(), &statement, None).await? {
                let mut state = known.state.clone();
                state.apply(&statement);
                let known = Arc::new(Known::new(state));
                known.is_recorded(presented);
                self.0.known.replace(row, &known, changes);
                return Ok(());
            }
            self.0.known.forget(row);
            what = Some(statement.what);
        }
        Err(CONTENDED.into())
    }

    /// Keeps a consent that stands until it is withdrawn. Purposes with `false`
    /// are refused, which ends what stands open on them.
    pub async fn give(&self, row: Row, what: What, at: Option<u64>) -> Result<Changed, LedgerError> {
        self.act(
            row,
            at,
            |state| {
                if state.count() >= MAX_STATEMENTS { Err(LedgerError::Full) } else { Ok(Some(what.clone())) }
            },
        )
        .await
    }

    /// Withdraws consent to purposes, and objects to them. What is withdrawn
    /// already is not withdrawn again.
    pub async fn withdraw(&self, row: Row, what: What) -> Result<Changed, LedgerError> {
        self.act(row, None, |state| {
            let new = |(purpose, _): &(&String, &bool)| state.of(purpose).withdrawn.is_none();
            let purposes: BTreeMap<String, bool> =
                what.purposes.iter().filter(new).map(|(purpose, _)| (purpose.clone(), false)).collect();
            Ok((!purposes.is_empty()).then(|| What { purposes, ..what.clone() }))
        })
        .await
    }

    /// All statements of a subject with their numbers.
    #[cfg(test)]
    pub(crate) async fn statements(&self, row: Row) -> Result<Vec<(u64, Statement)>, VaultError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|(number, _): &(u64, Statement)| number.to_be_bytes());
            let page = self.page(row, after.as_ref().map(<[u8; 8]>::as_slice)).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// What stands, and as many of the latest statements with their numbers as
    /// a receipt shows. The others are not read where what stands is known.
    pub async fn latest(&self, row: Row) -> Result<(Arc<Known>, Vec<(u64, Statement)>), VaultError> {
        let known = self.known(row).await?;
        let before = known.state.count().checked_sub(receipt::MAX_EVENTS + 1).map(u64::to_be_bytes);
        let mut latest = self.page(row, before.as_ref().map(<[u8; 8]>::as_slice)).await?;
        latest.retain(|(number, _)| *number < known.state.count());
        Ok((known, latest))
    }

    /// What stands of a subject's consent, read anew.
    async fn read(&self, row: Row) -> Result<State, VaultError> {
        let (mut state, mut after) = (State::default(), None::<[u8; 8]>);
        loop {
            let page = self.page(row, after.as_ref().map(<[u8; 8]>::as_slice)).await?;
            for (_, statement) in &page {
                state.apply(statement);
            }
            match page.last() {
                Some((number, _)) if page.len() == PAGE => after = Some(number.to_be_bytes()),
                _ => return Ok(state),
            }
        }
    }

    async fn page(&self, row: Row, after: Option<&[u8]>) -> Result<Vec<(u64, Statement)>, VaultError> {
        let page = self.0.records.scan(Owner::Row(row), Space::Consent, after, PAGE).await?;
        page.iter().map(|(key, value)| Ok((number_of(key)?, read_statement(value)?))).collect()
    }

    /// Writes a statement that may change what stands, as `decide` says by what
    /// stands before.
    async fn act(
        &self,
        row: Row,
        at: Option<u64>,
        decide: impl Fn(&State) -> Result<Option<What>, LedgerError>,
    ) -> Result<Changed, LedgerError> {
        for _ in 0..ATTEMPTS {
            // What is changed is what stands in the store, not what is remembered of it.
            self.0.known.forget(row);
            let changes = self.0.known.changes(row);
            let before = self.known(row).await?.state.clone();
            let Some(what) = decide(&before)? else {
                return Ok(Changed { state: before, number: None, given: vec![], withdrawn: vec![], ended: 0 });
            };
            let statement = self.statement(what, at);
            let mut state = before.clone();
            state.apply(&statement);
            let named = || statement.what.purposes.keys();
            let news = |has: fn(&State, &str) -> bool| {
                let new = |purpose: &&String| has(&state, purpose) && !has(&before, purpose);
                named().filter(new).cloned().collect::<Vec<String>>()
            };
            let given = news(|state, purpose| state.of(purpose).given.is_some());
            let withdrawn = news(|state, purpose| state.of(purpose).withdrawn.is_some());
            let kind = if withdrawn.is_empty() { EventKind::Changed } else { EventKind::Withdrawn };
            let is_over = |purpose: &str| state.of(purpose).withdrawn.is_some();
            // Whoever follows the events may be the first to end it.
            let standing = self.0.open.standing(row, is_over);
            if self.append(row, before.count(), &statement, Some(Event { row, kind })).await? {
                self.0.known.replace(row, &Arc::new(Known::new(state.clone())), changes);
                self.0.open.end(row, is_over);
                let ended = standing.iter().filter(|one| one.is_cancelled()).count();
                return Ok(Changed { number: Some(before.count()), state, given, withdrawn, ended });
            }
        }
        Err(CONTENDED.into())
    }

    fn statement(&self, mut what: What, at: Option<u64>) -> Statement {
        if let Some(notice) = self.0.notices.find(what.policy.as_deref(), what.lang.as_deref()) {
            what.notice = Some(notice.hash.clone());
            what.lang = Some(notice.lang.clone());
        }
        Statement { time: clock::unix_seconds(), what, at }
    }

    /// Writes a statement under its number; false where that is taken.
    async fn append(
        &self,
        row: Row,
        number: u64,
        statement: &Statement,
        event: Option<Event>,
    ) -> Result<bool, VaultError> {
        let (Ok(value), key) = (serde_json::to_vec(statement), number.to_be_bytes()) else { return Err(UNREADABLE) };
        // Beside the subject's own, one that the statements of all can be counted by.
        let journal = journal_key(statement.time, row, &key);
        let tenant = Row { tenant: row.tenant, ..Row::DEPLOYMENT };
        let change = |row, key, expected, value| {
            let value = Some(value);
            RecordChange { owner: Owner::Row(row), space: Space::Consent, key, expected, value }
        };
        let mut changes =
            vec![change(row, &key, Expected::Absent, &value), change(tenant, &journal, Expected::Anything, &value)];
        let text = statement.what.notice.as_deref().and_then(|hash| self.0.notices.unsaved(hash));
        if let Some(notice) = text {
            changes.push(change(Row::DEPLOYMENT, notice.key.as_slice(), Expected::Anything, notice.text.as_bytes()));
        }
        let written = self.0.records.write(&changes, event).await?;
        if let Some(notice) = text.filter(|_| written) {
            notice.is_saved();
        }
        Ok(written)
    }
}

const CONTENDED: VaultError =
    VaultError::Unavailable { cause: Cow::Borrowed("others write the same ledger all the time") };
const UNREADABLE: VaultError = VaultError::Corrupt { what: "statement of consent" };

fn removal(row: Row, key: &[u8]) -> RecordChange<'_> {
    let (owner, space) = (Owner::Row(row), Space::Consent);
    RecordChange { owner, space, key, expected: Expected::Anything, value: None }
}

/// Under which a statement stands beside those of all others of its tenant.
fn journal_key(time: u64, row: Row, number: &[u8]) -> Vec<u8> {
    [&time.to_be_bytes()[..], &row.to_bytes(), number].concat()
}

fn number_of(key: &[u8]) -> Result<u64, VaultError> {
    Ok(u64::from_be_bytes(key.try_into().map_err(|_| UNREADABLE)?))
}

fn read_statement(value: &[u8]) -> Result<Statement, VaultError> {
    serde_json::from_slice(value).map_err(|_| UNREADABLE)
}

/// Statements of a whole tenant in the order of their times, from the one
/// behind `after` on, at most `limit`: their keys, for the next page, the rows
/// of their subjects, and what they say.
pub async fn journal(
    records: &Records,
    tenant: &str,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Row, Statement)>, VaultError> {
    let page = records.scan(Owner::Tenant(tenant), Space::Consent, after, limit).await?;
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let row = key.get(8..).and_then(<[u8]>::first_chunk).map(Row::from_bytes).ok_or(UNREADABLE)?;
        let statement = read_statement(&value)?;
        Ok((key, row, statement))
    };
    page.into_iter().map(read).collect()
}

async fn follow(ledger: Weak<Inner>, mut events: broadcast::Receiver<Event>) {
    loop {
        let event = events.recv().await;
        let Some(inner) = ledger.upgrade() else { return };
        let ledger = Ledger(inner);
        match event {
            Ok(Event { row, kind: EventKind::Withdrawn }) => ledger.look_again(row).await,
            Ok(Event { row, kind: EventKind::Changed }) => {
                ledger.0.known.forget(row);
                if ledger.0.records.is_volatile() {
                    // Of whom it does not know it cannot tell that they are to go.
                    let _ = ledger.known(row).await;
                }
            }
            Ok(Event { row, kind: EventKind::Erased }) => _ = ledger.end(row),
            Ok(Event { row, kind: EventKind::Signalled }) => {
                ledger.0.open.end_yielding(row);
                if let Ok(known) = ledger.0.known.find(row) {
                    known.was_signalled();
                }
            }
            Ok(Event { row, kind: EventKind::Opened }) => ledger.signal_again(row).await,
            // What was missed may be anybody's withdrawal or erasure, or a signal.
            Ok(Event { kind: EventKind::Missed, .. }) | Err(RecvError::Lagged(_)) => {
                ledger.0.known.forget_all();
                for row in ledger.0.open.rows() {
                    ledger.0.open.end_yielding(row);
                    ledger.look_whether_erased(row).await;
                    ledger.look_again(row).await;
                }
            }
            Ok(_) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

impl Ledger {
    /// Ends what stood open of a subject when it was erased elsewhere: a running
    /// reply holds values of its own. Where that cannot be read, all of it.
    async fn look_whether_erased(&self, row: Row) {
        match self.0.records.erased(row).await {
            // The clock of whoever erased it may be behind.
            Ok(Some(at)) => self.0.open.end_begun_before(row, at.saturating_add(AHEAD)),
            Ok(None) => {}
            Err(_) => _ = self.end(row),
        }
    }

    /// Something was opened elsewhere that a signal ends, perhaps while one was
    /// on its way.
    async fn signal_again(&self, row: Row) {
        let is_late = self.0.known.find(row).is_ok_and(|known| known.was_opened());
        if is_late && let Err(error) = self.signal(row).await {
            tracing::warn!(%error, "An objection by a signal cannot be told to other replicas.");
        }
    }

    /// Ends what stands open on what a subject has withdrawn elsewhere. Where
    /// that cannot be read, all of the subject's ends.
    async fn look_again(&self, row: Row) {
        self.0.known.forget(row);
        let known = self.known(row).await;
        self.0.open.end(row, |purpose| match &known {
            Ok(known) => known.state.of(purpose).withdrawn.is_some(),
            Err(_) => true,
        });
    }
}

#[cfg(test)]
mod tests;
