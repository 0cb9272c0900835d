//! Transcripts in a table of a `PostgreSQL` database, where they can be asked
//! of by SQL.

use super::counts::Counts;
use super::{Transcript, TranscriptError};
use crate::sensitive::Sensitive;
use crate::store::postgres::{Database, Parameter, PostgresUrl};
use std::borrow::Cow;
use tokio::sync::OnceCell;
use tokio_postgres::types::Type;

/// Every statement may run twice and beside itself.
const TABLE: &str = "
    create table if not exists privet_transcripts (
        day date not null,
        tenant text not null,
        purpose text not null,
        route text not null,
        person text not null,
        entities jsonb not null,
        request text not null,
        reply text not null
    );
    create index if not exists privet_transcripts_by_day on privet_transcripts (day);
";
const INSERT: &str = "
    insert into privet_transcripts (day, tenant, purpose, route, person, entities, request, reply)
    select day::date, tenant, purpose, route, person, entities::jsonb, request, reply
    from unnest($1, $2, $3, $4, $5, $6, $7, $8)
        as of (day, tenant, purpose, route, person, entities, request, reply)
";
const COUNT: &str = "
    select tenant, purpose, day::text, coalesce(entity, 'NONE'), count(distinct person)
    from privet_transcripts left join lateral jsonb_object_keys(entities) as of (entity) on true
    group by 1, 2, 3, 4
";
const REMOVE: &str = "delete from privet_transcripts where day < $1::text::date";

/// The table.
pub(crate) struct Table {
    database: Database,
    is_there: OnceCell<()>,
}

impl Table {
    /// Asks the database for nothing yet.
    pub(super) fn new(url: &Sensitive) -> Result<Self, TranscriptError> {
        let (_, rest) = url.expose().split_once(':').unwrap_or_default();
        let url = PostgresUrl::parse(rest).map_err(|why| TranscriptError::Url(Cow::Owned(why.to_string())))?;
        Ok(Self { database: Database::new(url)?, is_there: OnceCell::new() })
    }

    /// Makes the table where it is not there yet.
    async fn ready(&self) -> Result<&Database, TranscriptError> {
        self.is_there.get_or_try_init(|| self.database.define(TABLE)).await?;
        Ok(&self.database)
    }

    pub(super) async fn write(&self, batch: &[Transcript]) -> Result<(), TranscriptError> {
        // PostgreSQL knows no such character.
        let text = |text: &str| text.replace('\0', "\u{fffd}");
        let column = |of: fn(&Transcript) -> &str| batch.iter().map(|one| text(of(one))).collect::<Vec<String>>();
        let entities = |one: &Transcript| serde_json::to_string(&one.entities).unwrap_or_default();
        let columns = [
            column(|one| &one.day),
            column(|one| &one.tenant),
            column(|one| &one.purpose),
            column(|one| &one.route),
            column(|one| &one.person),
            batch.iter().map(entities).collect(),
            column(|one| &one.request),
            column(|one| &one.reply),
        ];
        let parameters = columns.each_ref().map(|column| -> Parameter<'_> { (column, Type::TEXT_ARRAY) });
        self.ready().await?.query(INSERT, &parameters).await?;
        Ok(())
    }

    /// Removes those of the days before this one.
    pub(super) async fn remove_before(&self, day: &str) -> Result<(), TranscriptError> {
        self.ready().await?.query(REMOVE, &[(&day, Type::TEXT)]).await?;
        Ok(())
    }

    pub(super) async fn count(&self) -> Result<Counts, TranscriptError> {
        let mut counts = Counts::default();
        for row in self.ready().await?.query(COUNT, &[]).await? {
            let text = |at: usize| row.try_get::<_, String>(at).map_err(|_| TranscriptError::Answer);
            let persons: i64 = row.try_get(4).map_err(|_| TranscriptError::Answer)?;
            counts.add([text(0)?, text(1)?], text(2)?, text(3)?, u64::try_from(persons).unwrap_or_default());
        }
        Ok(counts)
    }
}
