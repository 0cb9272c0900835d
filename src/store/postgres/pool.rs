//! Connections to `PostgreSQL`: a bounded pool of them, every call under a time
//! limit, and failures told apart by whether another try can help.
//!
//! Statements are never prepared by name and a session keeps no state, so a
//! pooler in transaction mode may stand in between. A new connection goes to
//! the first host that answers and can be written, beginning with the one that
//! did last: a failover needs no more than the other host in the URL.

use super::tls::{Secured, Tls};
use super::url::PostgresUrl;
use crate::store::StoreError;
use deadpool::Runtime;
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult, Timeouts};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Socket};

/// A parameter of a statement with its type, so that nothing is asked first.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How often a statement is tried that lost a race or its connection.
const ATTEMPTS: usize = 8;

/// What a new connection is asked: whether it can be written, and whether what
/// it acknowledges is durable.
const INTRODUCTION: &str =
    "select current_setting('transaction_read_only'), current_setting('synchronous_commit', true)";

/// Whether a statement may be sent again when it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Doing it twice comes to the same.
    Harmless,
    /// It says something else the second time.
    Never,
}

/// The connections of one process.
pub(super) struct Pool {
    sessions: managed::Pool<Connector>,
    limit: Duration,
}

impl Pool {
    pub(super) fn new(url: PostgresUrl) -> Result<Self, StoreError> {
        let limit = url.statement_timeout;
        // Of all the hosts, each may take its time.
        let connect = url.connect_timeout.saturating_mul(u32::try_from(2 * url.hosts.len()).unwrap_or(u32::MAX));
        let timeouts = Timeouts { wait: Some(limit), create: Some(connect), recycle: None };
        let size = url.connections;
        let connector = Connector::new(url)?;
        let sessions = managed::Pool::builder(connector).max_size(size).timeouts(timeouts).runtime(Runtime::Tokio1);
        let sessions = sessions.build().map_err(|_| StoreError::unavailable("no pool of connections"))?;
        Ok(Self { sessions, limit })
    }

    /// The rows of one statement, in one round trip.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        again: Again,
    ) -> Result<Vec<Row>, StoreError> {
        let mut last = StoreError::unavailable("PostgreSQL is busy");
        for _ in 0..ATTEMPTS {
            let session = self.session().await?;
            match self.within(session.client.query_typed(sql, parameters)).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => {
                    let goes_on = failure.may_be_tried_again(again);
                    last = self.give_up(session, failure);
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// The rows of several statements that all take effect or none does. Each
    /// sees what was committed before it began.
    pub(super) async fn transaction(
        &self,
        statements: &[(&str, &[Parameter<'_>])],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let mut last = StoreError::unavailable("PostgreSQL is busy");
        for _ in 0..ATTEMPTS {
            let session = self.session().await?;
            match self.within(session.transact(statements)).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => {
                    let goes_on = failure.may_be_tried_again(Again::Never);
                    last = self.give_up(session, failure);
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// Statements of the schema, which take none of the usual parameters.
    pub(super) async fn define(&self, sql: &str) -> Result<(), DefineError> {
        let session = self.session().await.map_err(DefineError::Store)?;
        match self.within(session.client.batch_execute(sql)).await {
            Ok(()) => Ok(()),
            Err(Failure::Said(error)) if is_race_of_definitions(&error) => Err(DefineError::Race),
            Err(failure) => Err(DefineError::Store(self.give_up(session, failure))),
        }
    }

    /// A connection beside the pool, which is told of what happens on a
    /// channel, where the server knows of such.
    pub(super) async fn listen(&self, channel: &str, told: Arc<Notify>) -> Result<Single, StoreError> {
        if self.sessions.is_closed() {
            return Err(StoreError::unavailable("it is closed"));
        }
        let (client, mut connection) = self.sessions.manager().connect().await?;
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(_) = message {
                    told.notify_one();
                }
            }
        });
        // An engine or a pooler without it is asked from time to time.
        let _ = client.batch_execute(&format!("listen {channel}")).await;
        Ok(Single(client))
    }

    /// A connection beside the pool with a transaction that sees what stood
    /// when it began.
    pub(super) async fn view(&self) -> Result<Single, StoreError> {
        let client = self.sessions.manager().create().await?.client;
        client.batch_execute("begin isolation level repeatable read read only").await.map_err(|e| told(&e))?;
        Ok(Single(client))
    }

    /// Lets all connections go. What is asked afterwards fails.
    pub(super) fn close(&self) {
        self.sessions.close();
    }

    async fn session(&self) -> Result<Object<Connector>, StoreError> {
        self.sessions.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(managed::TimeoutType::Wait) => {
                StoreError::unavailable("all connections to PostgreSQL are in use")
            }
            PoolError::Closed => StoreError::unavailable("it is closed"),
            _ => StoreError::unavailable("PostgreSQL does not answer"),
        })
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::Said(error)),
            Err(_) => Err(Failure::Late),
        }
    }

    /// What a failure means for the connection, and for the caller.
    fn give_up(&self, session: Object<Connector>, failure: Failure) -> StoreError {
        match &failure {
            Failure::Late => {
                // The others may hang on the same server: they are made anew.
                self.sessions.retain(|_, _| false);
                let manager = self.sessions.manager();
                let (tls, limit) = (manager.tls.clone(), manager.url.connect_timeout);
                let session = Object::take(session);
                tokio::spawn(async move {
                    // Where the server cannot be told either, it notices the end of the connection.
                    let _ = tokio::time::timeout(limit, session.client.cancel_token().cancel_query(tls)).await;
                    drop(session);
                });
            }
            Failure::Said(error) if !is_of_the_statement(error) => drop(Object::take(session)),
            Failure::Said(_) => {}
        }
        failure.into_error()
    }
}

/// Why a call failed.
#[derive(Debug)]
enum Failure {
    /// It took longer than it may.
    Late,
    /// The server or the connection says so.
    Said(tokio_postgres::Error),
}

impl Failure {
    fn may_be_tried_again(&self, again: Again) -> bool {
        let Self::Said(error) = self else { return false };
        match error.code() {
            // It lost against another, and nothing of it took effect.
            Some(code) if is_lost_race(code) => true,
            // So did nothing here, and another connection may lead to another server.
            Some(code) => *code == SqlState::READ_ONLY_SQL_TRANSACTION || (is_end(code) && again == Again::Harmless),
            None => again == Again::Harmless,
        }
    }

    fn into_error(self) -> StoreError {
        match self {
            Self::Late => StoreError::unavailable("PostgreSQL did not answer in time"),
            Self::Said(error) => told(&error),
        }
    }
}

/// What the schema's statements can meet.
pub(super) enum DefineError {
    /// Another replica is at the same statement.
    Race,
    Store(StoreError),
}

/// Another transaction was first: a row that did not exist does, or an order
/// of transactions cannot be had.
fn is_lost_race(code: &SqlState) -> bool {
    [&SqlState::UNIQUE_VIOLATION, &SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED]
        .contains(&code)
}

/// The server ends, starts, or was lost by a pooler in between.
fn is_end(code: &SqlState) -> bool {
    ["57P", "08"].iter().any(|class| code.code().starts_with(class))
}

/// The error is one of this statement, and the connection as good as before.
fn is_of_the_statement(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| !is_end(code) && *code != SqlState::READ_ONLY_SQL_TRANSACTION)
}

fn is_race_of_definitions(error: &tokio_postgres::Error) -> bool {
    let races = [&SqlState::DUPLICATE_TABLE, &SqlState::DUPLICATE_OBJECT, &SqlState::DUPLICATE_COLUMN];
    // XX000 is "tuple concurrently updated", of the catalogue.
    error.code().is_some_and(|code| is_lost_race(code) || races.contains(&code) || *code == SqlState::INTERNAL_ERROR)
}

/// Says what happened without any text of a statement, a row or the URL.
fn told(error: &tokio_postgres::Error) -> StoreError {
    StoreError::unavailable(match error.code() {
        Some(code) => format!("PostgreSQL refused a statement (SQLSTATE {})", code.code()),
        None => "the connection to PostgreSQL broke".to_owned(),
    })
}

/// A connection of somebody's own, beside the pool.
pub(super) struct Single(Client);

impl Single {
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The rows of a statement. The caller minds the time.
    pub(super) async fn query(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, StoreError> {
        self.0.query_typed(sql, parameters).await.map_err(|e| told(&e))
    }
}

/// Makes connections.
pub(super) struct Connector {
    url: PostgresUrl,
    tls: Tls,
    /// The host that answered last.
    preferred: AtomicUsize,
}

/// A connection that somebody uses, and the task that moves its bytes.
pub(super) struct Session {
    client: Client,
    /// Whether a transaction may be open. A caller who stops waiting leaves it
    /// so, and then nobody else may write in it.
    is_in_transaction: AtomicBool,
}

impl Session {
    async fn transact(&self, statements: &[(&str, &[Parameter<'_>])]) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
        self.is_in_transaction.store(true, Ordering::SeqCst);
        let done = self.carry_out(statements).await;
        let end = if done.is_ok() { "commit" } else { "rollback" };
        // Where the end fails, the transaction stays open as far as is known.
        let ended = self.client.batch_execute(end).await;
        self.is_in_transaction.store(ended.is_err(), Ordering::SeqCst);
        done.and_then(|rows| ended.map(|()| rows))
    }

    async fn carry_out(&self, statements: &[(&str, &[Parameter<'_>])]) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
        self.client.batch_execute("begin isolation level read committed").await?;
        let mut all = Vec::with_capacity(statements.len());
        for (sql, parameters) in statements {
            all.push(self.client.query_typed(sql, parameters).await?);
        }
        Ok(all)
    }
}

impl Connector {
    fn new(url: PostgresUrl) -> Result<Self, StoreError> {
        let tls = Tls::new(&url.verification)?;
        Ok(Self { url, tls, preferred: AtomicUsize::new(0) })
    }

    async fn connect(&self) -> Result<(Client, Connection<Socket, Secured<Socket>>), StoreError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut told = None;
        for at in (first..self.url.hosts.len()).chain(0..first) {
            let Some(config) = self.url.hosts.get(at) else { continue };
            let connecting = async {
                let (client, mut connection) = config.connect(self.tls.clone()).await.map_err(|e| refusal(&e))?;
                // Nobody else moves its bytes yet.
                let introduced = tokio::select! {
                    answer = introduce(&client) => answer,
                    _ = &mut connection => Err(StoreError::unavailable("the connection to PostgreSQL broke")),
                };
                introduced.map(|()| (client, connection))
            };
            match tokio::time::timeout(self.url.connect_timeout, connecting).await {
                Ok(Ok(connected)) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(error)) => told = Some(error),
                Err(_) => told = Some(StoreError::unavailable("PostgreSQL does not answer")),
            }
        }
        Err(told.unwrap_or_else(|| StoreError::unavailable("the vault's URL names no host")))
    }
}

async fn introduce(client: &Client) -> Result<(), StoreError> {
    let row = client.query_typed_one(INTRODUCTION, &[]).await.map_err(|e| told(&e))?;
    let read_only: Option<&str> = row.try_get(0).map_err(|e| told(&e))?;
    let synchronous: Option<&str> = row.try_get(1).map_err(|e| told(&e))?;
    if read_only == Some("on") {
        return Err(StoreError::unavailable("PostgreSQL cannot be written: it is a standby or read-only"));
    }
    if synchronous == Some("off") {
        return Err(StoreError::unavailable(
            "PostgreSQL has synchronous_commit = off, with which a token that was forwarded can be lost",
        ));
    }
    Ok(())
}

/// Why there is no connection. What the server says of that names a user or a
/// database at most.
fn refusal(error: &tokio_postgres::Error) -> StoreError {
    use std::error::Error;
    StoreError::unavailable(match (error.as_db_error(), error.source()) {
        (Some(said), _) => {
            format!("PostgreSQL refuses the connection: {} (SQLSTATE {})", said.message(), said.code().code())
        }
        (None, Some(source)) => format!("no connection to PostgreSQL: {source}"),
        (None, None) => format!("no connection to PostgreSQL: {error}"),
    })
}

impl Manager for Connector {
    type Type = Session;
    type Error = StoreError;

    async fn create(&self) -> Result<Session, StoreError> {
        let (client, connection) = self.connect().await?;
        // Ends with the client, or with the connection.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Session { client, is_in_transaction: AtomicBool::new(false) })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<StoreError> {
        if session.client.is_closed() || *session.is_in_transaction.get_mut() {
            return Err(RecycleError::message("it cannot be used again"));
        }
        Ok(())
    }
}
