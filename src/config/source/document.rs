//! Reads a TOML file against the table of keys.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::keys::{self, Key, Kind, Node};
use super::super::problem::{Found, Origin, Problem, Problems, Wrong};
use super::super::settings::{self, Settings, Value};
use super::convert;
use super::nearest;

/// Reads the text of a file. It fails where the text is no TOML; what is
/// wrong with keys and values goes to `found`.
pub(super) fn read(text: &str, file: &Path, settings: &mut Settings, found: &mut Found) -> Result<(), Problems> {
    let place = |offset: usize| at(text, file, offset);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: toml::de::Error| Problem {
            origin: place(error.span().map_or(0, |span| span.start)),
            message: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
            mend: "mend this line first; the rest is read after it".to_owned(),
        };
        return Err(Problems { errors: errors.into_iter().map(problem).collect(), warnings: Vec::new() });
    }
    Reader { place: &place, settings, found }.table(document.get_ref(), "", "");
    Ok(())
}

/// Reads one value in the form of the file, such as a default, or a list in a
/// variable.
pub(super) fn fragment(key: &'static Key, text: &str, origin: &Origin) -> Result<Value, Wrong> {
    let place = |_| origin.clone();
    match DeValue::parse(text) {
        Ok(value) => convert::value(key, &value, &place),
        Err(error) => Err(Wrong {
            message: format!("`{}` is not TOML: {}", key.path, error.message().replace('\n', ", ")),
            mend: if key.example.is_empty() {
                "write a list of inline tables".to_owned()
            } else {
                format!("write a value such as {}", key.example)
            },
        }),
    }
}

/// Reads a list of tables from a variable, over what stands there.
pub(super) fn tables(key: &'static Key, text: &str, origin: &Origin, settings: &mut Settings, found: &mut Found) {
    let place = |_| origin.clone();
    match DeValue::parse(text) {
        Ok(value) => {
            settings.clear(key.path);
            Reader { place: &place, settings, found }.value(key, &value, key.path, origin);
        }
        Err(_) => {
            found.error(origin, format!("`{}` is not TOML", key.path), "write a list of inline tables, [{ … }, { … }]");
        }
    }
}

struct Reader<'a> {
    place: &'a dyn Fn(usize) -> Origin,
    settings: &'a mut Settings,
    found: &'a mut Found,
}

impl Reader<'_> {
    /// Reads a table: `pattern` is its path in the table of keys, `path` the
    /// one with the numbers of list entries.
    fn table(&mut self, table: &DeTable<'_>, pattern: &str, path: &str) {
        for (name, value) in table {
            let origin = (self.place)(name.span().start);
            let name = name.get_ref().as_ref();
            let named = keys::join(pattern, name);
            let any = keys::join(pattern, keys::ANY);
            // A table may take names of the user's own.
            let pattern_here = if keys::lookup(&named).is_none() && keys::lookup(&any).is_some() { any } else { named };
            let path = keys::join(path, &settings::step(name));
            match keys::lookup(&pattern_here) {
                Some(Node::Key(key)) => self.value(key, value, &path, &origin),
                Some(Node::Table) => match value.get_ref() {
                    DeValue::Table(below) => {
                        self.settings.insert(path.clone(), Value::Table, origin);
                        self.table(below, &pattern_here, &path);
                    }
                    _ => self.found.error(
                        &origin,
                        format!("`{name}` is a table"),
                        format!("write {} and its keys below", keys::header(&keys::join(pattern, name))),
                    ),
                },
                None => self.unknown(name, pattern, &origin),
            }
        }
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>, path: &str, origin: &Origin) {
        match (key.kind, value.get_ref()) {
            (Kind::Tables, DeValue::Array(items)) if items.iter().all(|item| item.get_ref().is_table()) => {
                self.settings.insert(path.to_owned(), Value::Tables(items.len()), origin.clone());
                for (i, item) in items.iter().enumerate() {
                    let place = format!("{path}[{i}]");
                    self.settings.insert(place.clone(), Value::Table, (self.place)(item.span().start));
                    if let DeValue::Table(table) = item.get_ref() {
                        self.table(table, &format!("{}[]", key.path), &place);
                    }
                }
            }
            _ => match convert::value(key, value, self.place) {
                Ok(value) => self.settings.insert(path.to_owned(), value, origin.clone()),
                Err(Wrong { message, mend }) => self.found.error(origin, message, mend),
            },
        }
    }

    fn unknown(&mut self, name: &str, table: &str, origin: &Origin) {
        let names = keys::names_below(table);
        let homes = keys::tables_with(name);
        let mend = if !table.is_empty() && keys::lookup(name).is_some() {
            "write it at the top, before the first [table]".to_owned()
        } else if !homes.is_empty() {
            format!("write it under {}", homes.join(" or "))
        } else if let Some(near) = nearest(name, names.iter().copied()) {
            format!("write `{near}`")
        } else {
            format!("the keys here are {}", names.join(", "))
        };
        let message = if table.is_empty() {
            format!("there is no key `{name}`")
        } else {
            format!("there is no key `{name}` in {}", keys::header(table))
        };
        self.found.error(origin, message, mend);
    }
}

/// The line and the column, in characters, of a byte of the text.
fn at(text: &str, file: &Path, offset: usize) -> Origin {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    Origin::File { file: file.to_owned(), line: before.matches('\n').count() + 1, column }
}
