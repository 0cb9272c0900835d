//! Tables of others in a database: plain SQL over the same kind of pool.

use super::PostgresUrl;
use super::pool::{Again, DefineError, Parameter, Pool};
use crate::store::StoreError;
use tokio_postgres::Row;

/// How often statements of a schema are run again that met those of a replica.
const ATTEMPTS: usize = 20;

/// A database that is connected to when it is first asked.
pub struct Database(Pool);

impl Database {
    /// That of a URL.
    ///
    /// # Errors
    ///
    /// Where the certificates that it names cannot be used.
    pub fn new(url: PostgresUrl) -> Result<Self, StoreError> {
        Pool::new(url).map(Self)
    }

    /// Runs statements of a schema, each of which may run twice and beside itself.
    ///
    /// # Errors
    ///
    /// Where the database does not do them.
    pub async fn define(&self, sql: &str) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            match self.0.define(sql).await {
                Ok(()) => return Ok(()),
                Err(DefineError::Race) => {}
                Err(DefineError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::unavailable("replicas keep making the same tables"))
    }

    /// The rows of a statement, which runs once at most.
    ///
    /// # Errors
    ///
    /// Where the database does not do it.
    pub async fn query(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, StoreError> {
        self.0.query(sql, parameters, Again::Never).await
    }
}
