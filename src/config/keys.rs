//! The table of settings: the one place that names a key, says what it takes,
//! what it is by default and what it means. A key of a list of tables is
//! written `routes[].path`, one of a table with names of the user's own
//! `detection.entities.*.operator`.

mod exchange;
mod service;
mod tables;

use std::time::Duration;

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Where it stands, levels joined by dots.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// What it is where nothing is said, as TOML; `None` for nothing.
    pub(super) default: Option<&'static str>,
    /// A value that differs from the default, as TOML.
    pub(super) example: &'static str,
    /// What it means, in full sentences.
    pub(super) doc: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text; its form is checked where it is used.
    Text,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Count { min: u64, max: u64 },
    /// Bytes within bounds.
    Size { min: u64, max: u64 },
    /// A time within bounds.
    Time { min: Duration, max: Duration },
    /// A number from 0 to 1, in thousandths.
    Score,
    /// A list of texts.
    Texts,
    /// A table of header names and values. Values may be secret.
    Headers,
    /// A list of tables.
    Tables,
}

/// A table of the file, for print and for documentation.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: &'static str,
    pub(super) doc: &'static str,
    /// Whether its presence alone means something, so that the printed
    /// defaults must leave it out.
    pub(super) optional: bool,
}

/// What a path names.
pub(super) enum Node {
    Key(&'static Key),
    Table,
}

/// Any name of the user's own, in a path.
pub(super) const ANY: &str = "*";

const SIZE: Kind = Kind::Size { min: 1, max: 1 << 40 };
const COUNT: Kind = Kind::Count { min: 1, max: 1 << 24 };
const TIME: Kind = Kind::Time { min: Duration::from_millis(1), max: Duration::from_hours(24) };

const fn key(
    path: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { path, kind, default, example, doc }
}

pub(super) use tables::TABLES;

/// All settings, in the order of print.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    exchange::KEYS.iter().chain(service::KEYS)
}

/// What a path names, if anything. The `*` of a path stands for itself.
pub(super) fn lookup(path: &str) -> Option<Node> {
    if let Some(key) = find(path) {
        return Some(Node::Key(key));
    }
    let is_table =
        |table: &Table| table.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    TABLES.iter().any(is_table).then_some(Node::Table)
}

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// The names right below a table, for suggestions; `""` is the top level.
pub(super) fn names_below(table: &str) -> Vec<&'static str> {
    let tables = TABLES.iter().map(|table| table.path);
    let keys = all().map(|key| key.path);
    let mut names: Vec<&str> = Vec::new();
    for path in tables.chain(keys) {
        let below =
            if table.is_empty() { Some(path) } else { path.strip_prefix(table).and_then(|p| p.strip_prefix('.')) };
        let name = below.and_then(|below| below.split('.').next()).unwrap_or_default().trim_end_matches("[]");
        if !name.is_empty() && name != ANY && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The tables in which a key of this name stands, as their headers.
pub(super) fn tables_with(name: &str) -> Vec<String> {
    all()
        .filter_map(|key| match split(key.path) {
            (table, Some(last)) if last == name && !table.is_empty() => Some(header(table)),
            _ => None,
        })
        .collect()
}

/// A table's header in the file: `[consent]`, `[[routes]]`.
pub(super) fn header(table: &str) -> String {
    match table.strip_suffix("[]") {
        Some(name) => format!("[[{name}]]"),
        None => format!("[{}]", spelled(table).replace("[]", "")),
    }
}

/// A path with examples of the user's own names.
pub(super) fn spelled(path: &str) -> String {
    path.replace("entities.*", "entities.PERSON")
        .replace("rules.*", "rules.phone-digits")
        .replace("purposes.*", "purposes.support")
}

/// The path of a name in a table.
pub(super) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

/// A path as its table and its last name.
pub(super) fn split(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once('.') {
        Some((table, name)) => (table, Some(name)),
        None => ("", Some(path)),
    }
}
