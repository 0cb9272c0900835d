//! What transcripts tell of persons: counts, and none of a few.

use crate::clock::Time;
use crate::report::{Report, Section};
use crate::transcripts::counts::Table;

/// Persons by day and by what they spoke of, in tables of which no count is
/// below `k`.
pub fn transcripts(tables: &[Table], k: u64, made: Time) -> Report {
    let about = Section::new("How it is counted")
        .says("Each number counts persons: whoever said something of a kind on a day, once.")
        .says(format!("Where there are fewer than {k} the number is withheld."))
        .says(format!("Numbers of the day that runs are rounded down to a multiple of {k}."));
    let report = Report::new("Transcripts", made.to_string()).with(about);
    tables.iter().fold(report, |report, table| report.with(section(table, k)))
}

fn section(table: &Table, k: u64) -> Section {
    let shown = |count: Option<u64>| count.map_or_else(|| format!("fewer than {k}"), |count| count.to_string());
    let rows = table.rows.iter().map(|(day, kind, count)| [day.clone(), kind.clone(), shown(*count)]);
    Section::new(format!("Tenant {}, purpose {}", table.tenant, table.purpose)).table(["day", "kind", "persons"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Format;

    #[test]
    fn a_count_of_few_is_not_shown() {
        let row = |kind: &str, count| ("2026-01-01".to_owned(), kind.to_owned(), count);
        let rows = vec![row("EMAIL", Some(17)), row("PERSON", None)];
        let table = Table { tenant: "shop".into(), purpose: "analytics".into(), rows };
        let report = transcripts(&[table], 5, Time(0)).write(Format::Markdown);
        assert!(report.contains("| 2026-01-01 | EMAIL | 17 |"), "{report}");
        assert!(report.contains("| 2026-01-01 | PERSON | fewer than 5 |"), "{report}");
    }
}
