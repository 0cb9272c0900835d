//! Reads `PRIVET_…` variables: the key in capitals, levels joined by `__`, as
//! in `PRIVET_CONSENT__POLICY`. The tables of a list are numbered from 0, as in
//! `PRIVET_ROUTES__0__PATH`; a whole list may be written as TOML.

use std::ffi::OsString;

use super::super::keys::{self, Key, Kind, Node};
use super::super::problem::{Found, Origin, Wrong};
use super::super::settings::{Settings, Value};
use super::convert;
use super::{document, nearest};

/// What the names of all begin with.
const PREFIX: &str = "PRIVET_";

/// Variables that are no settings: the keys themselves, the name of the file.
const RESERVED: [&str; 6] = [
    "PRIVET_KEY",
    "PRIVET_CONFIG",
    "PRIVET_SENSITIVE_KEY",
    "PRIVET_OLD_KEYS",
    "PRIVET_NEW_KEY",
    "PRIVET_NEW_SENSITIVE_KEY",
];

/// Reads the settings among the variables. One that names no setting is a
/// warning: orchestrators add variables of their own.
pub(super) fn read(variables: &[(String, OsString)], settings: &mut Settings, found: &mut Found) {
    let mut written = Vec::new();
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        if value.is_empty() || RESERVED.contains(&name.as_str()) {
            continue;
        }
        match (resolve(path), value.to_str()) {
            (Some((key, steps)), Some(value)) => written.push((steps, key, name, value)),
            (Some(_), None) => {
                let origin = Origin::Environment(name.clone());
                found.error(&origin, "the value is not UTF-8", "write it in UTF-8, or unset it");
            }
            (None, _) => unknown(name, found),
        }
    }
    // Lists come before their entries, and entries in their order.
    written.sort_by(|a, b| a.0.cmp(&b.0));
    for (steps, key, name, value) in written {
        set(key, &steps, value, &Origin::Environment(name.clone()), settings, found);
    }
}

/// The name of the variable of a key.
pub(in crate::config) fn name(key: &Key) -> String {
    let path = keys::spelled(key.path).replace("[].", "__0__").replace('.', "__").replace('-', "_");
    format!("{PREFIX}{}", path.to_uppercase())
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Name(String),
    Entry(usize),
}

fn resolve(path: &str) -> Option<(&'static Key, Vec<Step>)> {
    if path.bytes().any(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let mut pattern = String::new();
    let mut steps = Vec::new();
    for part in path.split("__") {
        match part.parse() {
            Ok(number) if !pattern.is_empty() => {
                pattern.push_str("[]");
                steps.push(Step::Entry(number));
            }
            _ => {
                let lower = part.to_lowercase();
                let (named, any) = (keys::join(&pattern, &lower), keys::join(&pattern, keys::ANY));
                if keys::lookup(&named).is_none() && keys::lookup(&any).is_some() {
                    // Entities have capitals; rules and purposes have not, and
                    // rules no underscores as a rule.
                    let own = match pattern.rsplit('.').next() {
                        Some("rules") => lower.replace('_', "-"),
                        Some("purposes") => lower,
                        _ => part.to_owned(),
                    };
                    pattern = any;
                    steps.push(Step::Name(own));
                } else {
                    pattern = named;
                    steps.push(Step::Name(lower));
                }
            }
        }
    }
    match keys::lookup(&pattern)? {
        Node::Key(key) => Some((key, steps)),
        Node::Table => None,
    }
}

fn set(key: &'static Key, steps: &[Step], value: &str, origin: &Origin, settings: &mut Settings, found: &mut Found) {
    if key.kind == Kind::Tables {
        document::tables(key, value, origin, settings, found);
        return;
    }
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Name(name) => {
                path = keys::join(&path, name);
                if settings.origin(&path).is_none() && keys::find(&path).is_none() {
                    settings.insert(path.clone(), Value::Table, origin.clone());
                }
            }
            Step::Entry(number) => {
                let have = settings.len(&path);
                if *number > have {
                    let mend = format!("number the entries from 0; the next one is {have}");
                    found.error(origin, format!("`{path}` has no entry before this one"), mend);
                    return;
                }
                if *number == have {
                    settings.insert(path.clone(), Value::Tables(have + 1), origin.clone());
                    settings.insert(format!("{path}[{number}]"), Value::Table, origin.clone());
                }
                path = format!("{path}[{number}]");
            }
        }
    }
    match convert::text(key, value, origin) {
        Ok(value) => settings.insert(path, value, origin.clone()),
        Err(Wrong { message, mend }) => found.error(origin, message, mend),
    }
}

fn unknown(name: &str, found: &mut Found) {
    // What all of them begin with makes none like another.
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let names: Vec<String> =
        keys::all().map(|key| own(&self::name(key))).chain(RESERVED.iter().map(|name| own(name))).collect();
    let mend = match nearest(&own(name), names.iter().map(String::as_str)) {
        Some(near) => format!("write {PREFIX}{near}, or unset it"),
        None => "unset it, or see `privet config --defaults` for the settings".to_owned(),
    };
    found.warning(&Origin::Environment(name.to_owned()), "no setting has this name, so it does nothing", mend);
}
