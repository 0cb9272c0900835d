//! Counts of transcripts that tell of nobody: how many persons said something
//! of a kind on a day.
//!
//! A count below k is not shown. There are no sums from which it could be
//! worked out, and of the day that runs a count is rounded down to a multiple
//! of k: else the difference between two reports of it would be a person.

use super::Transcript;
use std::collections::{BTreeMap, HashSet};

/// The kind of those who said nothing of any kind.
pub(super) const NONE: &str = "NONE";

/// How many persons there were: by tenant and purpose, then by day and kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<[String; 2], BTreeMap<[String; 2], u64>>);

/// The counts of one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The tenant.
    pub tenant: String,
    /// The purpose.
    pub purpose: String,
    /// Day, kind, and the count where it is not withheld.
    pub rows: Vec<(String, String, Option<u64>)>,
}

impl Counts {
    pub(super) fn add(&mut self, [tenant, purpose]: [String; 2], day: String, kind: String, persons: u64) {
        *self.0.entry([tenant, purpose]).or_default().entry([day, kind]).or_default() += persons;
    }

    /// The tables of all purposes, in which no count is below `k`.
    pub fn tables(&self, k: u64, today: &str) -> Vec<Table> {
        let k = k.max(1);
        let shown = |day: &str, persons: u64| {
            let whole = if day < today { persons } else { persons - persons % k };
            Some(whole).filter(|whole| *whole >= k)
        };
        let table = |([tenant, purpose], cells): (&[String; 2], &BTreeMap<[String; 2], u64>)| Table {
            tenant: tenant.clone(),
            purpose: purpose.clone(),
            rows: cells
                .iter()
                .map(|([day, kind], persons)| (day.clone(), kind.clone(), shown(day, *persons)))
                .collect(),
        };
        self.0.iter().map(table).collect()
    }
}

/// Counts the persons of transcripts that come day by day, so that those of one
/// day alone are kept apart.
#[derive(Debug, Default)]
pub(super) struct Day {
    day: String,
    /// By tenant and purpose, and by kind.
    persons: BTreeMap<([String; 2], String), HashSet<String>>,
    counts: Counts,
}

impl Day {
    pub(super) fn add(&mut self, one: Transcript) {
        if one.day != self.day {
            self.end();
            self.day = one.day;
        }
        let kinds = if one.entities.is_empty() { vec![NONE.to_owned()] } else { one.entities.into_keys().collect() };
        for kind in kinds {
            let place = ([one.tenant.clone(), one.purpose.clone()], kind);
            self.persons.entry(place).or_default().insert(one.person.clone());
        }
    }

    pub(super) fn counts(mut self) -> Counts {
        self.end();
        self.counts
    }

    fn end(&mut self) {
        for ((place, kind), persons) in std::mem::take(&mut self.persons) {
            self.counts.add(place, self.day.clone(), kind, persons.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(day: &str, kind: &str, person: &str) -> Transcript {
        Transcript {
            day: day.into(),
            tenant: "shop".into(),
            purpose: "analytics".into(),
            route: "/".into(),
            person: person.into(),
            entities: if kind == NONE { [].into() } else { [(kind.to_owned(), 3)].into() },
            request: String::new(),
            reply: String::new(),
        }
    }

    fn counts(all: impl IntoIterator<Item = Transcript>) -> Counts {
        let mut day = Day::default();
        all.into_iter().for_each(|one| day.add(one));
        day.counts()
    }

    fn shown(counts: &Counts, k: u64) -> Vec<Option<u64>> {
        let tables = counts.tables(k, "2026-01-02");
        tables.iter().flat_map(|table| table.rows.iter().map(|(_, _, count)| *count)).collect()
    }

    #[test]
    fn persons_are_counted_once_a_day() {
        let persons = ["a", "b", "c", "d", "e", "a", "b"].map(|person| said("2026-01-01", "EMAIL", person));
        let counts = counts(persons);
        assert_eq!(shown(&counts, 5), [Some(5)]);
        assert_eq!(shown(&counts, 6), [None]);
    }

    #[test]
    fn the_day_that_runs_tells_of_no_single_person() {
        let at = |persons: usize| counts((0..persons).map(|n| said("2026-01-02", NONE, &n.to_string())));
        for persons in 5..10 {
            assert_eq!(shown(&at(persons), 5), [Some(5)]);
        }
        assert_eq!((shown(&at(4), 5), shown(&at(10), 5)), (vec![None], vec![Some(10)]));
    }

    #[test]
    fn tenants_and_purposes_have_tables_of_their_own() {
        let other = Transcript { tenant: "bank".into(), ..said("2026-01-01", "EMAIL", "a") };
        let tables = counts([said("2026-01-01", "EMAIL", "a"), other]).tables(1, "2026-01-02");
        assert_eq!(tables.iter().map(|table| table.tenant.as_str()).collect::<Vec<_>>(), ["bank", "shop"]);
        assert!(tables.iter().all(|table| table.rows == [("2026-01-01".into(), "EMAIL".into(), Some(1))]));
    }

    proptest! {
        // What is shown is the same whatever a withheld count is: nothing
        // leads back to it.
        #[test]
        fn what_is_shown_tells_nothing_of_what_is_withheld(
            few in prop::collection::vec(1_u64..5, 1..6),
            other in prop::collection::vec(1_u64..5, 6),
            many in prop::collection::vec(5_u64..40, 0..6),
        ) {
            let report = |few: &[u64]| {
                let mut counts = Counts::default();
                for (n, count) in few.iter().chain(&many).enumerate() {
                    counts.add(["t".into(), "p".into()], format!("2026-01-{:02}", n % 3), format!("K{n}"), *count);
                }
                counts.tables(5, "2026-01-02")
            };
            prop_assert_eq!(report(&few), report(&other[..few.len()]));
            let all = report(&few);
            prop_assert!(all.iter().flat_map(|t| &t.rows).all(|(_, _, count)| count.is_none_or(|count| count >= 5)));
        }
    }
}
