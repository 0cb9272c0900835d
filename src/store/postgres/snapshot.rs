//! All that stands in the database at one moment.

use super::pool::{Pool, Single};
use super::statements::{ALL_MAPPINGS, ALL_RECORDS, SUBJECTS, token_key};
use super::{STATEMENT, field, limit_of, pool, row_at, token};
use crate::store::{Answer, RecordPlace, Row, Snapshot, Space, StoreError};
use crate::token::Token;
use tokio_postgres::types::Type;

/// A transaction that sees what stood when it began.
pub(super) struct View(Single);

impl View {
    pub(super) async fn begin(pool: &Pool) -> Result<Self, StoreError> {
        let view = Self(pool.view().await?);
        // It begins to see with its first question.
        view.subjects(None, 1).await?;
        Ok(view)
    }
}

impl Snapshot for View {
    fn subjects(&self, after: Option<Row>, limit: usize) -> Answer<'_, Vec<(Row, Vec<u8>)>> {
        Box::pin(async move {
            let (tenant, subject) = place(after.as_ref());
            let limit = limit_of(limit);
            let parameters: [pool::Parameter<'_>; 3] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&limit, Type::INT8)];
            let rows = self.0.query(SUBJECTS, &parameters).await?;
            rows.iter().map(|row| Ok((row_at(row, 0)?, field(row, 2)?))).collect()
        })
    }

    fn mappings(&self, after: Option<(Row, Token)>, limit: usize) -> Answer<'_, Vec<(Row, Token, Vec<u8>)>> {
        Box::pin(async move {
            let (tenant, subject) = place(after.as_ref().map(|(row, _)| row));
            let (key, limit) = (after.map(|(_, token)| token_key(&token)).unwrap_or_default(), limit_of(limit));
            let parameters: [pool::Parameter<'_>; 4] =
                [(&tenant, Type::BYTEA), (&subject, Type::BYTEA), (&key, Type::BYTEA), (&limit, Type::INT8)];
            let rows = self.0.query(ALL_MAPPINGS, &parameters).await?;
            rows.iter().map(|row| Ok((row_at(row, 0)?, token(row, 2)?, field(row, 3)?))).collect()
        })
    }

    fn records(&self, after: Option<RecordPlace>, limit: usize) -> Answer<'_, Vec<(RecordPlace, Vec<u8>)>> {
        Box::pin(async move {
            let (tenant, subject) = place(after.as_ref().map(|(row, ..)| row));
            let space = after.as_ref().map_or(0, |(_, space, _)| *space as i16);
            let key: &[u8] = after.as_ref().map_or(&[], |(.., key)| key);
            let limit = limit_of(limit);
            let parameters: [pool::Parameter<'_>; 5] = [
                (&tenant, Type::BYTEA),
                (&subject, Type::BYTEA),
                (&space, Type::INT2),
                (&key, Type::BYTEA),
                (&limit, Type::INT8),
            ];
            let rows = self.0.query(&ALL_RECORDS, &parameters).await?;
            let read = |row| {
                let space = u8::try_from(field::<i16>(row, 2)?).ok().and_then(Space::from_number).ok_or(STATEMENT)?;
                Ok(((row_at(row, 0)?, space, field(row, 3)?), field(row, 4)?))
            };
            rows.iter().map(read).collect()
        })
    }
}

/// The keys of a row; before all others where there is none.
fn place(row: Option<&Row>) -> (&[u8], &[u8]) {
    row.map_or((&[], &[]), |row| (&row.tenant, &row.subject))
}
