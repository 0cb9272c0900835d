//! The tables, made and brought up to date by whoever comes first.
//!
//! Every statement may run twice and beside itself, as several replicas may
//! start at once. There are no locks of the session or the application, no
//! sequences, triggers or types of its own: engines that speak `PostgreSQL`'s
//! protocol have the rest. Every primary key begins with tenant and subject,
//! so that all of a subject lies together and tables can be split by tenant.

use super::pool::{Again, DefineError, Pool};
use crate::store::StoreError;
use tokio_postgres::types::Type;

/// The newest version that this build knows; each is reached from the one
/// before by its step.
const STEPS: &[&str] = &["
    create table if not exists privet_subjects (
        tenant bytea not null,
        subject bytea not null,
        record bytea not null,
        primary key (tenant, subject)
    );
    create table if not exists privet_mappings (
        tenant bytea not null,
        subject bytea not null,
        token bytea not null,
        record bytea not null,
        primary key (tenant, subject, token)
    );
    create table if not exists privet_records (
        tenant bytea not null,
        subject bytea not null,
        space smallint not null,
        key bytea not null,
        value bytea not null,
        primary key (tenant, subject, space, key)
    );
    create table if not exists privet_lanes (
        tenant bytea not null,
        subject bytea not null,
        newest bigint not null,
        primary key (tenant, subject)
    );
    create table if not exists privet_events (
        tenant bytea not null,
        subject bytea not null,
        id bigint not null,
        event bytea not null,
        primary key (tenant, subject, id)
    );
    insert into privet_lanes (tenant, subject, newest)
    select '\\x0000000000000000'::bytea, decode(lpad(to_hex(number), 32, '0'), 'hex'), 0
    from generate_series(0, 15) as lane (number)
    on conflict (tenant, subject) do nothing;
"];

const VERSIONS: &str = "
    create table if not exists privet_schema (
        tenant bytea not null,
        subject bytea not null,
        version integer not null,
        primary key (tenant, subject)
    )
";
const FIRST: &str = "
    insert into privet_schema (tenant, subject, version)
    values ($1, $2, 0) on conflict (tenant, subject) do nothing
";
const VERSION: &str = "select version from privet_schema where tenant = $1 and subject = $2";
const REACHED: &str = "update privet_schema set version = $3 where tenant = $1 and subject = $2 and version < $3";
const IS_THERE: &str = "select to_regclass('privet_schema') is not null";

/// How often a race against other replicas is run again.
const ATTEMPTS: usize = 20;

/// The rows that belong to nobody: no tenant, no subject.
pub(super) const NOBODY: (&[u8], &[u8]) = (&[0; 8], &[0; 16]);

/// Makes the tables or brings them up to date; an error where a newer build did.
pub(super) async fn prepare(pool: &Pool) -> Result<(), StoreError> {
    let known = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    let mut found = if is_there(pool).await? { version(pool).await? } else { None };
    if found.is_none() {
        define(pool, VERSIONS).await?;
        pool.query(FIRST, &[(&NOBODY.0, Type::BYTEA), (&NOBODY.1, Type::BYTEA)], Again::Harmless).await?;
        found = version(pool).await?;
    }
    let found = found.ok_or(StoreError::Corrupt { what: "schema" })?;
    if found > known {
        return Err(StoreError::NewerFormat { found: found.unsigned_abs(), known: known.unsigned_abs() });
    }
    for (reached, step) in (1..).zip(STEPS) {
        if reached > found {
            define(pool, step).await?;
            let place = [(&NOBODY.0 as _, Type::BYTEA), (&NOBODY.1 as _, Type::BYTEA), (&reached as _, Type::INT4)];
            pool.query(REACHED, &place, Again::Harmless).await?;
        }
    }
    Ok(())
}

async fn is_there(pool: &Pool) -> Result<bool, StoreError> {
    let rows = pool.query(IS_THERE, &[], Again::Harmless).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false))
}

async fn version(pool: &Pool) -> Result<Option<i32>, StoreError> {
    let rows = pool.query(VERSION, &[(&NOBODY.0, Type::BYTEA), (&NOBODY.1, Type::BYTEA)], Again::Harmless).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

/// Runs what may be run at the same time elsewhere: `PostgreSQL`'s own "if not
/// exists" looks before it leaps.
async fn define(pool: &Pool, sql: &str) -> Result<(), StoreError> {
    for _ in 0..ATTEMPTS {
        match pool.define(sql).await {
            Ok(()) => return Ok(()),
            Err(DefineError::Store(error)) => return Err(error),
            Err(DefineError::Race) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
    Err(StoreError::unavailable("the tables cannot be made"))
}
