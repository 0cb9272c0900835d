//! What was checked and what did not hold: a table of fields and kinds of
//! values, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::plant::Kind;
use crate::cli::table::{Align, Table};

/// How many fields that do not hold are told one by one.
const TOLD: usize = 50;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Field {
    pub(super) route: String,
    /// Of the ways of treating replies the one that is tried besides; empty for
    /// that of the route.
    pub(super) mode: &'static str,
    /// Protocol and sample.
    pub(super) sample: String,
    pub(super) side: Side,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Request,
    Reply,
}

/// What does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A value reached the upstream.
    Leak,
    /// The client did not get back what it should, or somebody else did.
    Restore,
    /// Bytes changed that should not have, or the exchange failed.
    Changed,
}

/// All that was checked.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// In the order in which they were met.
    order: Vec<Field>,
    rows: BTreeMap<Field, Row>,
    /// The first reason for each, and how often it was met.
    problems: BTreeMap<(Fault, Field), (String, u64)>,
    checks: u64,
}

#[derive(Debug, Default, Clone)]
struct Row {
    cells: BTreeMap<Kind, Cell>,
    /// Checks of the field that are about no kind of value.
    other: Cell,
    cuts: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Cell {
    checks: u64,
    worst: Option<Fault>,
    /// What the configuration lets pass.
    kept: bool,
}

impl Row {
    /// Both together.
    fn join(&mut self, other: &Self) {
        for (kind, cell) in &other.cells {
            self.cells.entry(*kind).or_default().join(*cell);
        }
        self.other.join(other.other);
        self.cuts += other.cuts;
    }
}

impl Cell {
    fn join(&mut self, other: Self) {
        self.checks += other.checks;
        self.worst = self.worst.into_iter().chain(other.worst).min();
        self.kept &= other.kept;
    }

    fn word(self) -> &'static str {
        match self.worst {
            Some(Fault::Leak) => "LEAK",
            Some(Fault::Restore) => "WRONG",
            Some(Fault::Changed) => "CHANGED",
            None if self.checks == 0 => "-",
            None if self.kept => "kept",
            None => "ok",
        }
    }
}

impl Fault {
    fn as_str(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Restore => "wrong restore",
            Self::Changed => "changed",
        }
    }
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
        }
    }
}

impl Report {
    /// Something was checked, and held where there is no fault.
    pub(super) fn check(&mut self, field: &Field, kind: Option<Kind>, fault: Option<(Fault, String)>) {
        self.checks += 1;
        let row = self.row(field);
        let cell = match kind {
            Some(kind) => row.cells.entry(kind).or_default(),
            None => &mut row.other,
        };
        cell.checks += 1;
        if let Some((fault, why)) = fault {
            cell.worst = Some(cell.worst.map_or(fault, |worst| worst.min(fault)));
            let told = self.problems.entry((fault, field.clone())).or_insert((why, 0));
            told.1 += 1;
        }
    }

    /// The configuration lets values of this kind pass.
    pub(super) fn kept(&mut self, field: &Field, kind: Kind) {
        let cell = self.row(field).cells.entry(kind).or_default();
        cell.checks += 1;
        cell.kept = true;
    }

    /// The field was cut at so many more places.
    pub(super) fn cut(&mut self, field: &Field, cuts: u64) {
        self.row(field).cuts += cuts;
    }

    fn row(&mut self, field: &Field) -> &mut Row {
        if !self.rows.contains_key(field) {
            self.order.push(field.clone());
        }
        self.rows.entry(field.clone()).or_default()
    }

    /// Whether all held.
    pub(super) fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    fn count(&self, fault: Fault) -> u64 {
        self.problems.iter().filter(|((one, _), _)| *one == fault).map(|(_, (_, times))| times).sum()
    }

    /// The table, then what did not hold, then a summary.
    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let table_rows = self.table_rows();
        let several = table_rows.iter().any(|(field, _)| {
            let is_first = table_rows.first().is_some_and(|(first, _)| called(first) == called(field));
            !is_first
        });
        let mut head = vec![("sample", Align::Left), ("side", Align::Left), ("field", Align::Left)];
        if several {
            head.insert(0, ("route", Align::Left));
        }
        head.extend(Kind::ALL.iter().map(|kind| (kind.entity(), Align::Left)));
        head.extend([("rest", Align::Left), ("cuts", Align::Right)]);
        let mut table = Table::new(&head);
        for (field, row) in &table_rows {
            let mut cells = vec![field.sample.clone(), field.side.as_str().to_owned(), field.name.clone()];
            if several {
                cells.insert(0, called(field));
            }
            let of = |kind: &Kind| row.cells.get(kind).copied().unwrap_or_default().word().to_owned();
            cells.extend(Kind::ALL.iter().map(of));
            cells.extend([row.other.word().to_owned(), row.cuts.to_string()]);
            table.row(cells);
        }
        table.write(out)?;
        writeln!(out)?;
        for ((fault, field), (why, times)) in self.problems.iter().take(TOLD) {
            let Field { sample, side, name, .. } = field;
            let route = called(field);
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            writeln!(out, "{}: route {route}, {sample}, {} {name}: {why}{times}", fault.as_str(), side.as_str())?;
        }
        if self.problems.len() > TOLD {
            writeln!(out, "and {} more", self.problems.len() - TOLD)?;
        }
        writeln!(
            out,
            "{} fields, {} checks: {} leaks, {} wrong restores, {} changes",
            self.order.len(),
            self.checks,
            self.count(Fault::Leak),
            self.count(Fault::Restore),
            self.count(Fault::Changed),
        )
    }

    /// The rows of the table: of what is tried besides one for each sample.
    fn table_rows(&self) -> Vec<(Field, Row)> {
        let mut rows: Vec<(Field, Row)> = Vec::new();
        for (field, row) in self.order.iter().filter_map(|field| Some((field, self.rows.get(field)?))) {
            let name = if field.mode.is_empty() { field.name.clone() } else { "(all)".to_owned() };
            let field = Field { name, ..field.clone() };
            match rows.last_mut().filter(|(last, _)| *last == field) {
                Some((_, last)) => last.join(row),
                None => rows.push((field, row.clone())),
            }
        }
        rows
    }

    /// The same as one JSON document.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let place = |field: &Field| json!({"route": called(field), "sample": field.sample, "side": field.side.as_str(), "field": field.name});
        let cell = |cell: &Cell| json!({"state": cell.word(), "checks": cell.checks});
        let rows = self.order.iter().filter_map(|field| {
            let row = self.rows.get(field)?;
            let mut value = place(field);
            let cells = row.cells.iter().map(|(kind, one)| (kind.entity().to_owned(), cell(one)));
            value["entities"] = Value::Object(cells.collect());
            value["rest"] = cell(&row.other);
            value["cuts"] = row.cuts.into();
            Some(value)
        });
        let problems = self.problems.iter().map(|((fault, field), (why, times))| {
            let mut value = place(field);
            value["problem"] = fault.as_str().into();
            value["reason"] = why.as_str().into();
            value["times"] = (*times).into();
            value
        });
        let report = json!({
            "holds": self.holds(),
            "checks": self.checks,
            "leaks": self.count(Fault::Leak),
            "wrong_restores": self.count(Fault::Restore),
            "changes": self.count(Fault::Changed),
            "rows": rows.collect::<Vec<_>>(),
            "problems": problems.collect::<Vec<_>>(),
        });
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)
    }
}

/// The route as it is called in the report.
fn called(field: &Field) -> String {
    if field.mode.is_empty() { field.route.clone() } else { format!("{} ({})", field.route, field.mode) }
}
