//! The `postgres:` store: tables that many processes share.
//!
//! Every question is one statement and one round trip. What is acknowledged is
//! as durable as the server's commit: `synchronous_commit = on` with a
//! synchronous standby outlives the loss of the primary.

mod database;
mod news;
mod pool;
mod put;
mod schema;
mod snapshot;
mod statements;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod url;

pub use database::Database;
pub use pool::Parameter;
pub use url::{PostgresUrl, PostgresUrlError};

use super::{
    Answer, Batch, Blind, Change, Event, EventKind, Expect, News, Outcome, Row, Snapshot, Space, Store, StoreError,
};
use crate::entity::Entity;
use crate::token::Token;
use news::Reader;
use pool::{Again, Pool};
use put::Puts;
use schema::NOBODY;
use statements as sql;
use statements::Columns;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row as Found;
use tokio_postgres::types::{FromSql, Type};

/// The keys of the vault's own records.
const OWN_RECORD: &[u8] = b"vault";
const PROBE: &[u8] = b"probe";

const STATEMENT: StoreError = StoreError::Corrupt { what: "answer of PostgreSQL" };

/// Records in a `PostgreSQL` database, or one that speaks its protocol.
pub struct Postgres {
    pool: Arc<Pool>,
    puts: Puts,
    news: Reader,
    /// Tells this process's events from those of others.
    origin: u64,
}

impl Postgres {
    /// Connects, and makes the tables or brings them up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where the database cannot be reached or
    /// written, [`StoreError::NewerFormat`] where a newer build made the tables.
    /// `origin` is a number that no other process has: random.
    pub async fn open(url: &PostgresUrl, origin: u64) -> Result<Self, StoreError> {
        let pool = Arc::new(Pool::new(url.clone())?);
        schema::prepare(&pool).await?;
        let news = Reader::new(Arc::clone(&pool), url.statement_timeout, origin);
        let puts = Puts::new(Arc::clone(&pool), news.notifier(), origin);
        Ok(Self { pool, puts, news, origin })
    }

    async fn write_columns(&self, columns: &Columns<'_>, event: Option<Event>) -> Result<bool, StoreError> {
        let (lane, told) = self.telling(event.unwrap_or(Event { row: Row::DEPLOYMENT, kind: EventKind::Changed }));
        let (lane, told) = (lane.as_slice(), told.as_slice());
        let parameters: [pool::Parameter<'_>; 9] = [
            (&columns.tenants, Type::BYTEA_ARRAY),
            (&columns.subjects, Type::BYTEA_ARRAY),
            (&columns.spaces, Type::INT2_ARRAY),
            (&columns.keys, Type::BYTEA_ARRAY),
            (&columns.expects, Type::INT2_ARRAY),
            (&columns.olds, Type::BYTEA_ARRAY),
            (&columns.values, Type::BYTEA_ARRAY),
            (&lane, Type::BYTEA),
            (&told, Type::BYTEA),
        ];
        let again = columns.again();
        let misfits = if event.is_some() {
            let misfits = self.pool.query(&sql::WRITE_AND_TELL, &parameters, again).await?;
            self.news.notifier().notify();
            misfits
        } else {
            let (of_records, _) = parameters.split_at(7);
            self.pool.query(&sql::WRITE, of_records, again).await?
        };
        Ok(misfits.is_empty())
    }

    async fn own_record(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let keys = vec![OWN_RECORD];
        let (tenant, subject) = NOBODY;
        let parameters: [pool::Parameter<'_>; 4] = [
            (&tenant, Type::BYTEA),
            (&subject, Type::BYTEA),
            (&sql::OWN_SPACE, Type::INT2),
            (&keys, Type::BYTEA_ARRAY),
        ];
        let rows = self.pool.query(sql::GET, &parameters, Again::Harmless).await?;
        rows.first().map(|row| field(row, 1)).transpose()
    }

    /// The lane and the bytes of an event.
    fn telling(&self, event: Event) -> ([u8; 16], Vec<u8>) {
        (sql::lane(event.row), sql::event_bytes(event, self.origin))
    }
}

impl Store for Postgres {
    fn meta(&self) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(self.own_record())
    }

    fn put_meta(&self, expected: Option<Vec<u8>>, record: Vec<u8>) -> Answer<'_, Vec<u8>> {
        Box::pin(async move {
            let event = expected.is_some().then_some(Event { row: Row::DEPLOYMENT, kind: EventKind::Rotated });
            let expected = expected.map_or(Expect::Absent, Expect::Is);
            self.write_columns(&Columns::own(OWN_RECORD, &expected, &record), event).await?;
            self.own_record().await?.ok_or(STATEMENT)
        })
    }

    fn subject(&self, row: Row) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let (tenant, subject) = (row.tenant.as_slice(), row.subject.as_slice());
            let place = [(&tenant as _, Type::BYTEA), (&subject as _, Type::BYTEA)];
            let rows = self.pool.query(sql::SUBJECT, &place, Again::Harmless).await?;
            rows.first().map(|row| field(row, 0)).transpose()
        })
    }

    fn mappings<'a>(&'a self, row: Row, tokens: &'a [Token]) -> Answer<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            if tokens.is_empty() {
                return Ok(Vec::new());
            }
            let keys: Vec<Vec<u8>> = tokens.iter().map(sql::token_key).collect();
            let (tenant, subject) = (row.tenant.as_slice(), row.subject.as_slice());
            let parameters: [pool::Parameter<'_>; 3] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&keys, Type::BYTEA_ARRAY)];
            let rows = self.pool.query(sql::MAPPINGS, &parameters, Again::Harmless).await?;
            in_order(&keys, &rows)
        })
    }

    fn entities(&self, row: Row) -> Answer<'_, Vec<Entity>> {
        Box::pin(async move {
            let (tenant, subject) = (row.tenant.as_slice(), row.subject.as_slice());
            let place = [(&tenant as _, Type::BYTEA), (&subject as _, Type::BYTEA)];
            let rows = self.pool.query(sql::ENTITIES, &place, Again::Harmless).await?;
            let mut entities = Vec::with_capacity(rows.len());
            for row in &rows {
                let entity = sql::entity_of(field(row, 0)?).ok_or(STATEMENT)?;
                entities.extend((entity != Entity::SURROGATE).then_some(entity));
            }
            Ok(entities)
        })
    }

    fn all(&self, row: Row, entity: Entity) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        Box::pin(async move {
            let from = sql::entity_key(entity);
            let mut to = from.clone();
            // Past the zero that ends the name.
            to.pop();
            to.push(1);
            let (tenant, subject) = (row.tenant.as_slice(), row.subject.as_slice());
            let parameters: [pool::Parameter<'_>; 4] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&from, Type::BYTEA), (&to, Type::BYTEA)];
            mappings(&self.pool.query(sql::ALL, &parameters, Again::Harmless).await?)
        })
    }

    fn put(&self, batch: Batch) -> Answer<'_, Outcome> {
        Box::pin(self.puts.put(batch))
    }

    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        Box::pin(async move {
            let (tenant, subject): (&[u8], &[u8]) =
                after.as_ref().map_or((&[], &[]), |row| (&row.tenant, &row.subject));
            let limit = limit_of(limit);
            let parameters: [pool::Parameter<'_>; 3] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&limit, Type::INT8)];
            let rows = self.pool.query(sql::SUBJECTS, &parameters, Again::Harmless).await?;
            rows.iter().map(|row| Ok((row_at(row, 0)?, field(row, 2)?))).collect()
        })
    }

    fn page(&self, row: Row, after: Option<Token>, limit: usize) -> Answer<'_, Vec<(Token, Vec<u8>)>> {
        Box::pin(async move {
            let after = after.map_or(Vec::new(), |token| sql::token_key(&token));
            let (tenant, subject, limit) = (row.tenant.as_slice(), row.subject.as_slice(), limit_of(limit));
            let parameters: [pool::Parameter<'_>; 4] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&after, Type::BYTEA), (&limit, Type::INT8)];
            mappings(&self.pool.query(sql::PAGE, &parameters, Again::Harmless).await?)
        })
    }

    fn swap_subject(&self, row: Row, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        Box::pin(async move {
            let (tenant, subject) = (row.tenant.as_slice(), row.subject.as_slice());
            let parameters: [pool::Parameter<'_>; 4] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&old, Type::BYTEA), (&new, Type::BYTEA)];
            Ok(!self.pool.query(sql::SWAP_SUBJECT, &parameters, Again::Never).await?.is_empty())
        })
    }

    fn swap_mapping(&self, row: Row, token: Token, old: Vec<u8>, new: Vec<u8>) -> Answer<'_, bool> {
        Box::pin(async move {
            let key = sql::token_key(&token);
            let (lane, told) = self.telling(Event { row, kind: EventKind::Rectified });
            let (tenant, subject, lane) = (row.tenant.as_slice(), row.subject.as_slice(), lane.as_slice());
            let parameters: [pool::Parameter<'_>; 7] = [
                (&tenant, Type::BYTEA),
                (&subject, Type::BYTEA),
                (&key, Type::BYTEA),
                (&old, Type::BYTEA),
                (&new, Type::BYTEA),
                (&lane, Type::BYTEA),
                (&told, Type::BYTEA),
            ];
            let swapped = !self.pool.query(&sql::SWAP_MAPPING, &parameters, Again::Never).await?.is_empty();
            self.news.notifier().notify();
            Ok(swapped)
        })
    }

    fn remove(&self, row: Row, tokens: Vec<(Token, Vec<u8>)>) -> Answer<'_, usize> {
        Box::pin(async move {
            let keys: Vec<Vec<u8>> = tokens.iter().map(|(token, _)| sql::token_key(token)).collect();
            let records: Vec<&[u8]> = tokens.iter().map(|(_, record)| record.as_slice()).collect();
            let (lane, told) = self.telling(Event { row, kind: EventKind::Removed });
            let (tenant, subject, lane) = (row.tenant.as_slice(), row.subject.as_slice(), lane.as_slice());
            let parameters: [pool::Parameter<'_>; 6] = [
                (&tenant, Type::BYTEA),
                (&subject, Type::BYTEA),
                (&keys, Type::BYTEA_ARRAY),
                (&records, Type::BYTEA_ARRAY),
                (&lane, Type::BYTEA),
                (&told, Type::BYTEA),
            ];
            let rows = self.pool.query(&sql::REMOVE, &parameters, Again::Harmless).await?;
            self.news.notifier().notify();
            count(&rows)
        })
    }

    fn erase(&self, row: Row) -> Answer<'_, usize> {
        Box::pin(async move {
            let kept = (0..=u8::MAX).filter_map(Space::from_number).filter(|space| space.is_kept());
            let kept: Vec<i16> = kept.map(|space| space as i16).collect();
            let (lane, told) = self.telling(Event { row, kind: EventKind::Erased });
            let (tenant, subject, lane) = (row.tenant.as_slice(), row.subject.as_slice(), lane.as_slice());
            let rest: [pool::Parameter<'_>; 5] = [
                (&tenant, Type::BYTEA),
                (&subject, Type::BYTEA),
                (&kept, Type::INT2_ARRAY),
                (&lane, Type::BYTEA),
                (&told, Type::BYTEA),
            ];
            let (place, _) = rest.split_at(2);
            let rows = self.pool.transaction(&[(sql::ERASE_SUBJECT, place), (&sql::ERASE_REST, &rest)]).await?;
            self.news.notifier().notify();
            count(rows.last().map(Vec::as_slice).unwrap_or_default())
        })
    }

    fn get(&self, row: Row, space: Space, keys: Vec<Vec<u8>>) -> Answer<'_, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            let (tenant, subject, space) = (row.tenant.as_slice(), row.subject.as_slice(), space as i16);
            let parameters: [pool::Parameter<'_>; 4] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&space, Type::INT2), (&keys, Type::BYTEA_ARRAY)];
            in_order(&keys, &self.pool.query(sql::GET, &parameters, Again::Harmless).await?)
        })
    }

    fn scan(
        &self,
        row: Row,
        space: Space,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Answer<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        Box::pin(async move {
            let (tenant, subject, space) = (row.tenant.as_slice(), row.subject.as_slice(), space as i16);
            let limit = limit_of(limit);
            let parameters: [pool::Parameter<'_>; 5] = [
                (&tenant, Type::BYTEA),
                (&subject, Type::BYTEA),
                (&space, Type::INT2),
                (&after, Type::BYTEA),
                (&limit, Type::INT8),
            ];
            let rows = self.pool.query(sql::SCAN, &parameters, Again::Harmless).await?;
            rows.iter().map(|row| Ok((field(row, 0)?, field(row, 1)?))).collect()
        })
    }

    fn found(&self, tenant: Row, key: Blind) -> Answer<'_, Vec<Row>> {
        Box::pin(async move {
            let [from, to] = [[0; 16], [0xff; 16]].map(|subject| sql::entry_key(&key, Row { subject, ..tenant }));
            let of = tenant.tenant.as_slice();
            let parameters: [pool::Parameter<'_>; 3] = [(&of, Type::BYTEA), (&from, Type::BYTEA), (&to, Type::BYTEA)];
            let rows = self.pool.query(&sql::FOUND, &parameters, Again::Harmless).await?;
            let subject = |row| field::<&[u8]>(row, 0)?.last_chunk().copied().ok_or(STATEMENT);
            rows.iter().map(|row| Ok(Row { subject: subject(row)?, ..tenant })).collect()
        })
    }

    fn write(&self, changes: Vec<Change>, event: Option<Event>) -> Answer<'_, bool> {
        Box::pin(async move { self.write_columns(&Columns::new(&sql::with_entries(changes)), event).await })
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot>> {
        Box::pin(async { Ok(Box::new(snapshot::View::begin(&self.pool).await?) as Box<dyn Snapshot>) })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_current(&self) -> bool {
        self.news.is_current()
    }

    fn news(&self) -> Answer<'_, News> {
        Box::pin(self.news.next())
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { self.write_columns(&Columns::own(PROBE, &Expect::Anything, &[]), None).await.map(|_| ()) })
    }

    fn close(&self) -> Answer<'_, ()> {
        self.pool.close();
        Box::pin(std::future::ready(Ok(())))
    }
}

fn field<'r, T: FromSql<'r>>(row: &'r Found, at: usize) -> Result<T, StoreError> {
    row.try_get(at).map_err(|_| STATEMENT)
}

fn token(row: &Found, at: usize) -> Result<Token, StoreError> {
    sql::token_of(field(row, at)?).ok_or(STATEMENT)
}

/// The row of the two fields from `at` on.
fn row_at(row: &Found, at: usize) -> Result<Row, StoreError> {
    let bytes = [field::<&[u8]>(row, at)?, field::<&[u8]>(row, at + 1)?].concat();
    bytes.as_array().map(Row::from_bytes).ok_or(STATEMENT)
}

fn mappings(rows: &[Found]) -> Result<Vec<(Token, Vec<u8>)>, StoreError> {
    rows.iter().map(|row| Ok((token(row, 0)?, field(row, 1)?))).collect()
}

/// Of rows with key and record, the records in the order of the keys.
fn in_order(keys: &[Vec<u8>], rows: &[Found]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let mut found: HashMap<&[u8], &[u8]> = HashMap::with_capacity(rows.len());
    for row in rows {
        found.insert(field(row, 0)?, field(row, 1)?);
    }
    Ok(keys.iter().map(|key| found.get(key.as_slice()).map(|record| record.to_vec())).collect())
}

fn count(rows: &[Found]) -> Result<usize, StoreError> {
    let row = rows.first().ok_or(STATEMENT)?;
    usize::try_from(field::<i64>(row, 0)?).map_err(|_| STATEMENT)
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
