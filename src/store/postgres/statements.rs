//! The statements: one for each question, so that it costs one round trip.
//!
//! A statement that writes takes its locks in one order: the subject, its
//! tokens and records, then a lane of events. One that finds a row which came
//! after it began fails by the primary key and is sent again; so two who race
//! come one after the other.

use super::pool::Again;
use super::schema::NOBODY;
use crate::entity::Entity;
use crate::store::{Change, Event, EventKind, Expect, Row, Space};
use crate::token::Token;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::LazyLock;

/// How many counters number the events. Events of one lane wait for each
/// other's commit, so that whoever has seen a number has seen all below it.
pub(super) const LANES: usize = 16;

/// How many events of a lane are kept; who lags further has to forget all.
pub(super) const KEPT: i64 = 4096;

pub(super) const SUBJECT: &str = "select record from privet_subjects where tenant = $1 and subject = $2";

pub(super) const SUBJECTS: &str = "
    select tenant, subject, record from privet_subjects
    where (tenant, subject) > ($1, $2) order by tenant, subject limit $3
";

pub(super) const MAPPINGS: &str =
    "select token, record from privet_mappings where tenant = $1 and subject = $2 and token = any($3)";

/// Tokens from `$3` on and before `$4`.
pub(super) const ALL: &str = "
    select token, record from privet_mappings
    where tenant = $1 and subject = $2 and token >= $3 and token < $4 order by token
";

pub(super) const PAGE: &str = "
    select token, record from privet_mappings
    where tenant = $1 and subject = $2 and token > $3 order by token limit $4
";

/// The first token of each entity, leaping from one to the next.
pub(super) const ENTITIES: &str = "
    with recursive entity(name) as (
        (select substring(token from 1 for position('\\x00'::bytea in token) - 1)
         from privet_mappings where tenant = $1 and subject = $2 order by token limit 1)
        union all
        select (select substring(token from 1 for position('\\x00'::bytea in token) - 1)
                from privet_mappings
                where tenant = $1 and subject = $2 and token > entity.name || '\\x01'::bytea
                order by token limit 1)
        from entity where entity.name is not null
    )
    select name from entity where name is not null
";

/// Tries batches of different subjects, by their numbers `n`: of each either
/// all is written or nothing, as the subject's record is the one that it was
/// made under or not, and tokens of it are taken or not. A row of the answer
/// has the number and what happened: [`STORED`], [`OTHER_KEYS`] or [`TAKEN`].
pub(super) static PUT: LazyLock<String> = LazyLock::new(|| format!("with {} {OUTCOMES}", putting()));

/// The same with events of those that are stored.
pub(super) static PUT_AND_TELL: LazyLock<String> =
    LazyLock::new(|| format!("with {}, {} {OUTCOMES}", putting(), told_of_many(12)));

pub(super) const STORED: i16 = 0;
pub(super) const OTHER_KEYS: i16 = 1;
pub(super) const TAKEN: i16 = 2;

const OUTCOMES: &str = "
    select n, 0::smallint, null::bytea, null::bytea from going
    union all select n, 1::smallint, null, record from standing where not fits
    union all select n, 2::smallint, token, record from taken
";

/// The batches (five arrays), their tokens (three), and what their subjects are
/// found by (three).
fn putting() -> String {
    format!(
        "
        batch as materialized (
            select * from unnest($1::integer[], $2::bytea[], $3::bytea[], $4::bytea[], $5::boolean[])
            as batch (n, tenant, subject, record, may_come)
        ), mapping as materialized (
            select n, tenant, subject, new.token, new.record
            from unnest($6::integer[], $7::bytea[], $8::bytea[]) as new (n, token, record) join batch using (n)
        ), standing as (
            select n, batch.record = known.record as fits, known.record
            from batch join privet_subjects as known using (tenant, subject) for share of known
        ), taken as (
            select n, known.token, known.record
            from mapping join privet_mappings as known using (tenant, subject, token)
        ), going as materialized (
            select n, standing.fits is null as is_new from batch left join standing using (n)
            where (standing.fits or standing.fits is null and may_come) and n not in (select n from taken)
        ), owner as (
            insert into privet_subjects (tenant, subject, record)
            select tenant, subject, record from going join batch using (n) where is_new order by n
        ), stored as (
            insert into privet_mappings (tenant, subject, token, record)
            select tenant, subject, token, mapping.record from mapping join going using (n) order by n, token
            returning 1
        ), entered as (
            insert into privet_records (tenant, subject, space, key, value)
            select tenant, entry.subject, {index}, key, ''
            from unnest($9::integer[], $10::bytea[], $11::bytea[]) as entry (n, subject, key)
            join batch using (n) join going using (n)
            on conflict (tenant, subject, space, key) do nothing
            returning 1
        )",
        index = Space::Index as i16,
    )
}

/// Writes events of the batches that go, in three arrays from `$n` on: their
/// numbers, the lanes, the events. Lanes are waited for in one order, behind
/// all else.
fn told_of_many(n: usize) -> String {
    let nobody = "'\\x0000000000000000'::bytea";
    format!(
        "
        telling as materialized (
            select lane, event, row_number() over (partition by lane) as place
            from unnest(${n}::integer[], ${lane}::bytea[], ${event}::bytea[]) as event (n, lane, event)
            join going using (n)
            where (select count(*) from stored) + (select count(*) from entered) >= 0
        ), held as materialized (
            select subject as lane from privet_lanes
            where tenant = {nobody} and subject in (select lane from telling) order by subject for update
        ), lane as (
            update privet_lanes set newest = newest + events.count
            from (select lane, count(*) from telling join held using (lane) group by lane) as events
            where tenant = {nobody} and subject = events.lane
            returning events.lane, newest, events.count
        ), told as (
            insert into privet_events (tenant, subject, id, event)
            select {nobody}, lane, newest - count + place, event from telling join lane using (lane)
            returning 1
        ), past as (
            delete from privet_events using lane
            where tenant = {nobody} and subject = lane.lane
            and id <= lane.newest - {KEPT} and id > lane.newest - {KEPT} - lane.count
            returning 1
        )",
        lane = n + 1,
        event = n + 2,
    )
}

pub(super) const SWAP_SUBJECT: &str = "
    update privet_subjects set record = $4 where tenant = $1 and subject = $2 and record = $3 returning 1
";

pub(super) static SWAP_MAPPING: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
        with swapped as (
            update privet_mappings set record = $5
            where tenant = $1 and subject = $2 and token = $3 and record = $4 returning 1
        ), {}
        select 1 from swapped
        ",
        told(6, "exists (select 1 from swapped)")
    )
});

pub(super) static REMOVE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
        with removed as (
            delete from privet_mappings as mapping using unnest($3::bytea[], $4::bytea[]) as old (token, record)
            where mapping.tenant = $1 and mapping.subject = $2
            and mapping.token = old.token and mapping.record = old.record
            returning 1
        ), {}
        select count(*) from removed
        ",
        told(5, "exists (select 1 from removed)")
    )
});

/// The first half of an erasure. It waits for whoever writes under this
/// subject; the second half begins afterwards, and so sees all they wrote.
pub(super) const ERASE_SUBJECT: &str = "delete from privet_subjects where tenant = $1 and subject = $2 returning 1";

/// The second half: all but the records of the spaces in `$3`, and what the
/// subject was found by at its tenant.
pub(super) static ERASE_REST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
        with removed as (
            delete from privet_mappings where tenant = $1 and subject = $2 returning 1
        ), others as (
            delete from privet_records where tenant = $1 and subject = $2 and not (space = any($3)) returning 1
        ), entries as (
            delete from privet_records
            where tenant = $1 and subject = '\\x00000000000000000000000000000000'::bytea and space = {index}
            and key = any(array(
                select key || subject from privet_records where tenant = $1 and subject = $2 and space = {index}
            ))
            returning 1
        ), {}
        select count(*) from removed
        ",
        told(4, "(select count(*) from removed) + (select count(*) from others) + (select count(*) from entries) >= 0"),
        index = Space::Index as i16,
    )
});

/// The subjects that are found by `$2`, which leads keys before `$3`.
pub(super) static FOUND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select key from privet_records where tenant = $1 and subject = '\\x{}'::bytea and space = {} \
         and key >= $2 and key <= $3",
        "00".repeat(16),
        Space::Index as i16,
    )
});

pub(super) const GET: &str = "
    select key, value from privet_records where tenant = $1 and subject = $2 and space = $3 and key = any($4)
";

/// Records behind `$4`, or from the first on where it is null.
pub(super) const SCAN: &str = "
    select key, value from privet_records
    where tenant = $1 and subject = $2 and space = $3 and ($4::bytea is null or key > $4) order by key limit $5
";

pub(super) static WRITE: LazyLock<String> = LazyLock::new(|| {
    let goes = "not exists (select 1 from misfit)";
    format!("with {}, {} select 1 from misfit limit 1", misfit(1), changed(goes))
});

/// The same with an event.
pub(super) static WRITE_AND_TELL: LazyLock<String> = LazyLock::new(|| {
    let goes = "not exists (select 1 from misfit)";
    let told = told(
        8,
        &format!(
            "{goes} and (select count(*) from removed) + (select count(*) from kept) + (select count(*) from added) >= 0"
        ),
    );
    format!("with {}, {}, {told} select 1 from misfit limit 1", misfit(1), changed(goes))
});

/// All mappings, in the order of their keys.
pub(super) const ALL_MAPPINGS: &str = "
    select tenant, subject, token, record from privet_mappings
    where (tenant, subject, token) > ($1, $2, $3) order by tenant, subject, token limit $4
";

/// All other records but the vault's own, and but what leads from hashes to
/// subjects, in the order of their keys.
pub(super) static ALL_RECORDS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
        select tenant, subject, space, key, value from privet_records
        where (tenant, subject, space, key) > ($1, $2, $3, $4) and space <> 0
        and not (space = {} and subject = '\\x{}'::bytea)
        order by tenant, subject, space, key limit $5
        ",
        Space::Index as i16,
        "00".repeat(16),
    )
});

/// How far each lane has come.
pub(super) const NEWEST: &str = "select subject, newest from privet_lanes where tenant = $1";

/// The events of one lane.
pub(super) const EVENTS: &str = "
    select id, event from privet_events
    where tenant = $1 and subject = $2 and id > $3 order by id
";

/// Which changes (seven arrays from parameter `$n` on) are not as expected.
/// What stands there is locked first.
fn misfit(n: usize) -> String {
    format!(
        "
        change as (
            select * from unnest(${}::bytea[], ${}::bytea[], ${}::smallint[], ${}::bytea[], ${}::smallint[], ${}::bytea[], ${}::bytea[])
            as change (tenant, subject, space, key, expect, old, value)
        ), held as (
            select tenant, subject, space, key, value from privet_records
            where (tenant, subject, space, key) in (select tenant, subject, space, key from change)
            for update
        ), misfit as (
            select 1 from change left join held using (tenant, subject, space, key)
            where (change.expect = 1 and held.value is not null)
            or (change.expect = 2 and held.value is distinct from change.old)
        )",
        n,
        n + 1,
        n + 2,
        n + 3,
        n + 4,
        n + 5,
        n + 6
    )
}

/// Carries changes out where the condition `goes` holds. What has to be absent
/// is inserted plainly: where it has come meanwhile, the statement fails.
fn changed(goes: &str) -> String {
    format!(
        "
        removed as (
            delete from privet_records as record using change
            where change.value is null and record.tenant = change.tenant and record.subject = change.subject
            and record.space = change.space and record.key = change.key and {goes}
            returning 1
        ), added as (
            insert into privet_records (tenant, subject, space, key, value)
            select tenant, subject, space, key, value from change
            where value is not null and expect = 1 and {goes}
            returning 1
        ), kept as (
            insert into privet_records (tenant, subject, space, key, value)
            select tenant, subject, space, key, value from change
            where value is not null and expect <> 1 and {goes}
            on conflict (tenant, subject, space, key) do update set value = excluded.value
            returning 1
        )"
    )
}

/// Writes the event `$n+1` under the next number of the lane `$n`, where the
/// condition holds; the oldest goes.
fn told(n: usize, goes: &str) -> String {
    let nobody = "'\\x0000000000000000'::bytea";
    format!(
        "
        lane as (
            update privet_lanes set newest = newest + 1 where tenant = {nobody} and subject = ${n} and {goes}
            returning newest
        ), told as (
            insert into privet_events (tenant, subject, id, event)
            select {nobody}, ${n}, newest, ${event} from lane
            returning 1
        ), past as (
            delete from privet_events using lane
            where tenant = {nobody} and subject = ${n} and id = lane.newest - {KEPT}
            returning 1
        )",
        event = n + 1,
    )
}

/// The lane of a row's events.
pub(super) fn lane(row: Row) -> [u8; 16] {
    let [first, ..] = row.subject;
    lane_at(usize::from(first) % LANES)
}

/// The key of a lane.
pub(super) fn lane_at(number: usize) -> [u8; 16] {
    (number as u128).to_be_bytes()
}

/// The number of a lane by its key.
pub(super) fn number_of_lane(key: &[u8]) -> Option<usize> {
    let number = u128::from_be_bytes(*key.first_chunk::<16>()?);
    usize::try_from(number).ok().filter(|number| *number < LANES)
}

/// The key of a token among those of its subject: the entity's letters, a
/// zero, and the bits, so that those of one entity are neighbours.
pub(super) fn token_key(token: &Token) -> Vec<u8> {
    let mut key = entity_key(token.entity());
    // 35 bits fill five bytes.
    key.extend_from_slice(token.bits().to_be_bytes().last_chunk::<5>().unwrap_or(&[0; 5]));
    key
}

/// What the keys of an entity's tokens begin with.
pub(super) fn entity_key(entity: Entity) -> Vec<u8> {
    let mut key = Vec::with_capacity(entity.as_str().len() + 6);
    key.extend_from_slice(entity.as_str().as_bytes());
    key.push(0);
    key
}

/// The token of a key.
pub(super) fn token_of(key: &[u8]) -> Option<Token> {
    let (name, bits) = key.split_at_checked(key.len().checked_sub(6)?)?;
    let (end, bits) = bits.split_first()?;
    let bits = bits.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    (*end == 0).then_some(Token::new(entity_of(name)?, bits))
}

/// The entity of the letters that a key begins with.
pub(super) fn entity_of(name: &[u8]) -> Option<Entity> {
    if name == Entity::SURROGATE.as_str().as_bytes() {
        return Some(Entity::SURROGATE);
    }
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The key at the tenant that leads from a hash to a subject.
pub(super) fn entry_key(key: &[u8], row: Row) -> Vec<u8> {
    [key, &row.subject].concat()
}

/// The changes with those that let subjects be found, or no more.
pub(super) fn with_entries(mut changes: Vec<Change>) -> Vec<Change> {
    let of_index = changes.iter().filter(|change| change.space == Space::Index && !change.row.is_of_tenant());
    let entries: Vec<Change> = of_index
        .map(|change| Change {
            row: change.row.of_tenant(),
            key: entry_key(&change.key, change.row),
            expect: Expect::Anything,
            ..change.clone()
        })
        .collect();
    changes.extend(entries);
    changes
}

/// Changes as columns.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) tenants: Vec<&'a [u8]>,
    pub(super) subjects: Vec<&'a [u8]>,
    pub(super) spaces: Vec<i16>,
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) expects: Vec<i16>,
    pub(super) olds: Vec<Option<&'a [u8]>>,
    pub(super) values: Vec<Option<&'a [u8]>>,
}

impl<'a> Columns<'a> {
    /// Of two changes in one place the later one counts, and what either
    /// expects.
    pub(super) fn new(changes: &'a [Change]) -> Self {
        // By place: the expectation that counts, and the last change.
        let mut merged: Vec<(&Expect, &Change)> = Vec::with_capacity(changes.len());
        let mut places = HashMap::with_capacity(changes.len());
        for change in changes {
            match places.entry((change.row, change.space as i16, change.key.as_slice())) {
                Entry::Vacant(vacant) => {
                    vacant.insert(merged.len());
                    merged.push((&change.expect, change));
                }
                Entry::Occupied(place) => {
                    if let Some((expect, last)) = merged.get_mut(*place.get()) {
                        *expect = if **expect == Expect::Anything { &change.expect } else { expect };
                        *last = change;
                    }
                }
            }
        }
        let mut columns = Self::default();
        for (expect, change) in merged {
            let (expect, old) = expectation(expect);
            let row = (change.row.tenant.as_slice(), change.row.subject.as_slice());
            columns.push(row, change.space as i16, &change.key, expect, old, change.value.as_deref());
        }
        columns
    }

    /// One change of a record of the vault's own, which is in no space.
    pub(super) fn own(key: &'a [u8], expect: &'a Expect, value: &'a [u8]) -> Self {
        let (expect, old) = expectation(expect);
        let mut columns = Self::default();
        columns.push(NOBODY, OWN_SPACE, key, expect, old, Some(value));
        columns
    }

    /// What expects nothing comes to the same the second time.
    pub(super) fn again(&self) -> Again {
        if self.expects.iter().all(|expect| *expect == 0) { Again::Harmless } else { Again::Never }
    }

    fn push(
        &mut self,
        (tenant, subject): (&'a [u8], &'a [u8]),
        space: i16,
        key: &'a [u8],
        expect: i16,
        old: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
    ) {
        self.tenants.push(tenant);
        self.subjects.push(subject);
        self.spaces.push(space);
        self.keys.push(key);
        self.expects.push(expect);
        self.olds.push(old);
        self.values.push(value);
    }
}

/// How an expectation stands in the columns: its number, and the old value.
fn expectation(expect: &Expect) -> (i16, Option<&[u8]>) {
    match expect {
        Expect::Anything => (0, None),
        Expect::Absent => (1, None),
        Expect::Is(old) => (2, Some(old.as_slice())),
    }
}

/// The space of the vault's own records.
pub(super) const OWN_SPACE: i16 = 0;

/// An event as it stands in the table: kind, row, and who tells it.
pub(super) fn event_bytes(event: Event, origin: u64) -> Vec<u8> {
    [&[event.kind as u8], event.row.to_bytes().as_slice(), &origin.to_be_bytes()].concat()
}

/// The event of such bytes, and who told it; none of a kind that this build
/// does not know.
pub(super) fn event_of(bytes: &[u8]) -> Option<(Event, u64)> {
    let (kind, rest) = bytes.split_first()?;
    let (row, origin) = rest.split_first_chunk::<{ Row::LEN }>()?;
    let kind = EventKind::from_number(*kind)?;
    Some((Event { row: Row::from_bytes(row), kind }, u64::from_be_bytes(*origin.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Space;

    fn change(key: u32, expect: Expect, value: &[u8]) -> Change {
        let (row, key) = (Row::DEPLOYMENT, key.to_be_bytes().to_vec());
        Change { row, space: Space::Consent, key, expect, value: Some(value.to_vec()) }
    }

    #[test]
    fn of_two_changes_in_one_place_the_later_value_counts_and_what_either_expects() {
        let changes = [
            change(1, Expect::Anything, b"a"),
            change(2, Expect::Absent, b"b"),
            change(1, Expect::Is(b"x".to_vec()), b"c"),
            change(2, Expect::Anything, b"d"),
        ];
        let columns = Columns::new(&changes);
        assert_eq!(columns.keys, [[0, 0, 0, 1], [0, 0, 0, 2]]);
        assert_eq!(columns.values, [Some(b"c".as_slice()), Some(b"d")]);
        assert_eq!((columns.expects, columns.olds), (vec![2, 1], vec![Some(b"x".as_slice()), None]));
    }

    /// As a request of 32 MiB may bring them. Were each held against all
    /// others, this would not end within minutes.
    #[test]
    fn very_many_changes_are_laid_out() {
        let changes: Vec<Change> = (0..400_000).map(|key| change(key, Expect::Absent, b"")).collect();
        assert_eq!(Columns::new(&changes).keys.len(), changes.len());
    }
}
