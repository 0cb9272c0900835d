//! The settings as they were written: values of the right kind with their
//! places, keyed by path (`routes[0].path`), later layers over earlier ones.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys;
use super::problem::{Found, Origin};
use super::source::default_value;

/// A value of the kind that its key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Boolean(bool),
    /// A count, a size, or a score in thousandths.
    Number(u64),
    Time(Duration),
    Texts(Vec<Placed<String>>),
    Headers(Vec<(Placed<String>, String)>),
    /// A list of so many tables.
    Tables(usize),
    /// A table; what it holds has paths of its own.
    Table,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// All settings that were written.
#[derive(Debug, Default)]
pub(super) struct Settings {
    entries: BTreeMap<String, Placed<Value>>,
}

impl Settings {
    /// Lays a value over what is there.
    pub(super) fn insert(&mut self, path: String, value: Value, origin: Origin) {
        self.entries.insert(path, Placed { value, origin });
    }

    /// Forgets a list of tables.
    pub(super) fn clear(&mut self, list: &str) {
        let below = format!("{list}[");
        self.entries.retain(|path, _| path != list && !path.starts_with(&below));
    }

    /// Where a path was written, if it was.
    pub(super) fn origin(&self, path: &str) -> Option<&Origin> {
        self.entries.get(path).map(|placed| &placed.origin)
    }

    /// How many tables a list has.
    pub(super) fn len(&self, list: &str) -> usize {
        match self.entries.get(list) {
            Some(Placed { value: Value::Tables(n), .. }) => *n,
            _ => 0,
        }
    }

    /// The settings of a table; `""` is the top level.
    pub(super) fn section(&self, table: &'static str) -> Section<'_> {
        Section { settings: self, place: table.to_owned(), pattern: table }
    }

    /// The tables below `table` with names of the user's own, each with its name.
    fn named<'s>(&'s self, table: &str, pattern: &'static str) -> Vec<(String, Section<'s>)> {
        let below = format!("{table}.");
        let from = self.entries.range(below.clone()..).take_while(|(path, _)| path.starts_with(&below));
        from.filter_map(|(path, placed)| {
            let step = path.strip_prefix(&below).filter(|rest| !rest.contains('.'))?;
            (placed.value == Value::Table).then(|| {
                let section = Section { settings: self, place: path.clone(), pattern };
                (step.replace(DOT, "."), section)
            })
        })
        .collect()
    }

    /// The tables of a list; `pattern` is its path with `[]`.
    pub(super) fn list(&self, name: &'static str, pattern: &'static str) -> impl Iterator<Item = Section<'_>> {
        (0..self.len(name)).map(move |i| Section { settings: self, place: format!("{name}[{i}]"), pattern })
    }
}

/// The settings of one table. What is not written reads as its default.
#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    settings: &'a Settings,
    place: String,
    pattern: &'static str,
}

/// Stands for a dot within a name of a path.
const DOT: char = '\u{1f}';

/// A name as one step of a path.
pub(super) fn step(name: &str) -> String {
    name.replace('.', &DOT.to_string())
}

impl<'a> Section<'a> {
    /// The table of this name below, of which `pattern` is the path.
    pub(super) fn below(&self, name: &str, pattern: &'static str) -> Section<'a> {
        Section { settings: self.settings, place: keys::join(&self.place, name), pattern }
    }

    /// The tables with names of the user's own in the table `name`.
    pub(super) fn named(&self, name: &str, pattern: &'static str) -> Vec<(String, Section<'a>)> {
        self.settings.named(&keys::join(&self.place, name), pattern)
    }
}

impl Section<'_> {
    /// Where the table was written.
    pub(super) fn origin(&self) -> Origin {
        self.settings.origin(&self.place).cloned().unwrap_or(Origin::Nowhere)
    }

    /// Whether the table was written.
    pub(super) fn is_written(&self) -> bool {
        self.settings.origin(&self.place).is_some()
    }

    /// Where a setting of the table was written.
    pub(super) fn placed(&self, name: &str) -> Origin {
        self.settings.origin(&keys::join(&self.place, name)).cloned().unwrap_or(Origin::Nowhere)
    }

    pub(super) fn text(&self, name: &str) -> Option<Placed<String>> {
        self.read(name, |value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// A text without which the table means nothing.
    pub(super) fn required(&self, name: &str, found: &mut Found) -> Option<Placed<String>> {
        let text = self.text(name);
        if text.is_none() {
            let path = keys::join(self.pattern, name);
            let example = keys::find(&path).map_or("\"…\"", |key| key.example);
            let table = keys::header(self.pattern);
            found.error(&self.origin(), format!("{table} needs `{name}`"), format!("write {name} = {example}"));
        }
        text
    }

    pub(super) fn texts(&self, name: &str) -> Option<Placed<Vec<Placed<String>>>> {
        self.read(name, |value| match value {
            Value::Texts(texts) => Some(texts),
            _ => None,
        })
    }

    pub(super) fn headers(&self, name: &str) -> Vec<(Placed<String>, String)> {
        let headers = self.read(name, |value| match value {
            Value::Headers(headers) => Some(headers),
            _ => None,
        });
        headers.map(|placed| placed.value).unwrap_or_default()
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.read(name, |value| match value {
            Value::Boolean(on) => Some(on),
            _ => None,
        })
        .is_some_and(|placed| placed.value)
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.number_if_any(name).unwrap_or(0)
    }

    /// A number without a default.
    pub(super) fn number_if_any(&self, name: &str) -> Option<u64> {
        self.read(name, |value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        })
        .map(|placed| placed.value)
    }

    /// A number as the machine counts; more than it can count is its most.
    pub(super) fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    pub(super) fn time(&self, name: &str) -> Duration {
        self.read(name, |value| match value {
            Value::Time(time) => Some(time),
            _ => None,
        })
        .map_or(Duration::ZERO, |placed| placed.value)
    }

    fn read<T>(&self, name: &str, take: fn(Value) -> Option<T>) -> Option<Placed<T>> {
        let written = self.settings.entries.get(&keys::join(&self.place, name)).cloned();
        let key = keys::find(&keys::join(self.pattern, name));
        debug_assert!(key.is_some(), "{name} is not in the table of keys");
        let Placed { value, origin } =
            written.or_else(|| default_value(key?).map(|value| Placed { value, origin: Origin::Nowhere }))?;
        take(value).map(|value| Placed { value, origin })
    }
}
