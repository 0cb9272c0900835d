//! Counts of transcripts that tell of nobody: how many persons said something
//! of a kind on a day. A count below k is not shown, and where it could be
//! worked out from the sums another one is not shown either.

use super::Transcript;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many persons one cell keeps apart; beyond that it is k in any case.
const MAX_PERSONS: usize = 100_000;

/// Gathers transcripts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Persons by purpose, then by day and entity.
    cells: BTreeMap<String, BTreeMap<(String, String), BTreeSet<String>>>,
}

/// The table of one purpose: days by entities. A count that is absent is less
/// than k, or is withheld so that no such count can be worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The purpose.
    pub purpose: String,
    /// The days, in order.
    pub days: Vec<String>,
    /// The kinds of what was said, in order.
    pub entities: Vec<String>,
    /// The counts, a list a day.
    pub counts: Vec<Vec<Option<u64>>>,
    /// The sums of the days and of the kinds; absent where one is less than k.
    pub sums: Option<[Vec<u64>; 2]>,
}

impl Counts {
    /// Adds one.
    pub fn add(&mut self, transcript: Transcript) {
        let Transcript { day, purpose, person, entities, .. } = transcript;
        let cells = self.cells.entry(purpose).or_default();
        // Whoever said nothing of any kind counts too.
        let kinds = if entities.is_empty() { vec!["NONE".to_owned()] } else { entities.into_keys().collect() };
        for entity in kinds {
            let persons = cells.entry((day.clone(), entity)).or_default();
            if persons.len() < MAX_PERSONS {
                persons.insert(person.clone());
            }
        }
    }

    /// The tables of all purposes, in which no count is below `k`.
    pub fn tables(&self, k: u64) -> Vec<Table> {
        self.cells.iter().map(|(purpose, cells)| table(purpose, cells, k)).collect()
    }
}

fn table(purpose: &str, cells: &BTreeMap<(String, String), BTreeSet<String>>, k: u64) -> Table {
    let days: Vec<String> = cells.keys().map(|(day, _)| day.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let entities: Vec<String> =
        cells.keys().map(|(_, entity)| entity.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let count = |day: &String, entity: &String| {
        cells.get(&(day.clone(), entity.clone())).map_or(0, |persons| persons.len() as u64)
    };
    let full: Vec<Vec<u64>> =
        days.iter().map(|day| entities.iter().map(|entity| count(day, entity)).collect()).collect();
    let is_hidden = hide(&full, k);
    let counts = full
        .iter()
        .zip(&is_hidden)
        .map(|(row, hidden)| row.iter().zip(hidden).map(|(count, hidden)| (!hidden).then_some(*count)).collect());
    let of_days: Vec<u64> = full.iter().map(|row| row.iter().sum()).collect();
    let of_entities: Vec<u64> = (0..entities.len()).map(|n| full.iter().filter_map(|row| row.get(n)).sum()).collect();
    // One sum that is missing could be worked out from the others.
    let is_small = of_days.iter().chain(&of_entities).any(|sum| (1..k).contains(sum));
    Table {
        purpose: purpose.to_owned(),
        counts: counts.collect(),
        sums: (!is_small).then_some([of_days, of_entities]),
        days,
        entities,
    }
}

/// Which counts are withheld: those from 1 to `k` - 1, and further ones, the
/// least first, until every line and column that has one has another beside it,
/// and what is withheld in it comes to `k` at least.
fn hide(full: &[Vec<u64>], k: u64) -> Vec<Vec<bool>> {
    let mut hidden: Vec<Vec<bool>> =
        full.iter().map(|row| row.iter().map(|count| (1..k).contains(count)).collect()).collect();
    let columns = full.first().map_or(0, Vec::len);
    let lines: Vec<Vec<(usize, usize)>> = (0..full.len())
        .map(|day| (0..columns).map(|entity| (day, entity)).collect())
        .chain((0..columns).map(|entity| (0..full.len()).map(|day| (day, entity)).collect()))
        .collect();
    let at = |table: &[Vec<bool>], (day, entity): (usize, usize)| {
        table.get(day).and_then(|row| row.get(entity)).copied().unwrap_or(false)
    };
    let value = |(day, entity): (usize, usize)| full.get(day).and_then(|row| row.get(entity)).copied().unwrap_or(0);
    loop {
        let mut changed = false;
        for line in &lines {
            loop {
                let withheld: Vec<_> = line.iter().copied().filter(|cell| at(&hidden, *cell)).collect();
                let sum: u64 = withheld.iter().map(|cell| value(*cell)).sum();
                if withheld.is_empty() || (withheld.len() >= 2 && sum >= k) {
                    break;
                }
                // A zero hides as well as any other count, but says most when it is shown.
                let shown = line.iter().copied().filter(|cell| !at(&hidden, *cell));
                let Some(least) = shown.min_by_key(|cell| (value(*cell) == 0, value(*cell))) else { break };
                if let Some(place) = hidden.get_mut(least.0).and_then(|row| row.get_mut(least.1)) {
                    *place = true;
                    changed = true;
                }
            }
        }
        if !changed {
            return hidden;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(said: &[(&str, &str, &str)]) -> Counts {
        let mut counts = Counts::default();
        for (day, entity, person) in said {
            counts.add(Transcript {
                day: (*day).into(),
                purpose: "analytics".into(),
                route: "/".into(),
                person: (*person).into(),
                entities: [((*entity).to_owned(), 3)].into(),
                request: String::new(),
                reply: String::new(),
            });
        }
        counts
    }

    #[test]
    fn persons_are_counted_once() {
        let said: Vec<_> = ["a", "b", "c", "d", "e", "a", "b"].map(|person| ("2026-01-01", "EMAIL", person)).into();
        let table = counts(&said).tables(5).remove(0);
        assert_eq!(table.counts, [[Some(5)]]);
        assert_eq!(table.sums, Some([vec![5], vec![5]]));
        let small = counts(&said).tables(6).remove(0);
        assert_eq!((small.counts, small.sums), (vec![vec![None]], None));
    }

    #[test]
    fn a_small_count_cannot_be_worked_out_from_the_sums() {
        let full = vec![vec![2, 9, 7], vec![8, 6, 20]];
        let hidden = hide(&full, 5);
        assert!(hidden[0][0]);
        for line in [&hidden[0], &hidden[1]] {
            assert_ne!(line.iter().filter(|hidden| **hidden).count(), 1);
        }
        for column in 0..3 {
            assert_ne!(hidden.iter().filter(|row| row[column]).count(), 1);
        }
        assert!(hidden.iter().flatten().any(|hidden| !hidden), "not all is withheld");
    }

    proptest! {
        #[test]
        fn no_line_gives_a_small_count_away(
            full in (1_usize..6, 1_usize..6).prop_flat_map(|(days, entities)| {
                prop::collection::vec(prop::collection::vec(0_u64..20, entities), days)
            }),
            k in 2_u64..8,
        ) {
            let hidden = hide(&full, k);
            let columns = full[0].len();
            let mut lines: Vec<Vec<(u64, bool)>> = full.iter().zip(&hidden)
                .map(|(row, hidden)| row.iter().copied().zip(hidden.iter().copied()).collect()).collect();
            lines.extend((0..columns).map(|n| full.iter().zip(&hidden).map(|(row, hidden)| (row[n], hidden[n])).collect()));
            for line in lines {
                prop_assert!(line.iter().all(|(count, hidden)| *hidden || *count == 0 || *count >= k));
                let withheld: Vec<u64> = line.iter().filter(|(_, hidden)| *hidden).map(|(count, _)| *count).collect();
                // What the sum tells of a line is one number for at least two
                // counts, and no less than k, unless the line has no more to hide.
                let all = withheld.len() == line.len();
                prop_assert!(withheld.is_empty() || all || (withheld.len() >= 2 && withheld.iter().sum::<u64>() >= k));
            }
        }
    }
}
