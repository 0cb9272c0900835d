//! The settings in print: every key with its default and meaning as TOML, and
//! a JSON Schema of the file (draft 2020-12).

use serde_json::{Map, Value, json};

use super::keys::{self, Key, Kind, TABLES};

const HEAD: &str = "\
# Every setting of Privet with its default.
# A line that is commented out is an example; in a table that is commented out it shows the default, if there is one.
# Each setting is also an environment variable: PRIVET_ and the key in capitals, levels joined by two
# underscores, as in PRIVET_CONSENT__POLICY or PRIVET_ROUTES__0__PATH. Flags outweigh variables, variables
# outweigh this file. PRIVET_KEY holds the key and has no place in a file.
";

/// A TOML file with every setting. It parses, and says nothing but the defaults.
pub(super) fn defaults() -> String {
    let mut out = HEAD.to_owned();
    for key in below("") {
        entry(&mut out, key, false);
    }
    for table in TABLES {
        let is_list = keys::find(table.path).is_some();
        let path = if is_list { format!("{}[]", table.path) } else { table.path.to_owned() };
        out.push('\n');
        comment(&mut out, table.doc);
        let off = if table.optional { "# " } else { "" };
        out.push_str(off);
        out.push_str(&keys::header(&path));
        out.push('\n');
        for key in below(&path) {
            entry(&mut out, key, table.optional);
        }
    }
    out
}

/// The schema of the file.
pub(super) fn schema() -> Value {
    let mut root = object(below(""), None);
    for table in TABLES {
        let is_list = keys::find(table.path).is_some();
        let value = if is_list {
            let items = object(below(&format!("{}[]", table.path)), None);
            json!({ "type": "array", "items": items, "description": table.doc })
        } else {
            object(below(table.path), Some(table.doc))
        };
        put(&mut root, table.path, value);
    }
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("Privet"));
        root.insert("description".to_owned(), json!("The configuration file of Privet."));
    }
    root
}

/// Puts the schema of a table at its path below `parent`.
fn put(parent: &mut Value, path: &str, value: Value) {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let Some(parent) = parent.as_object_mut() else { return };
    let (place, name) = match step {
        // Below it every name is the user's own.
        keys::ANY => (Some(parent), "additionalProperties"),
        step => (parent.get_mut("properties").and_then(Value::as_object_mut), step.trim_end_matches("[]")),
    };
    let Some(place) = place else { return };
    let Some(rest) = rest else {
        place.insert(name.to_owned(), value);
        return;
    };
    let below = place.entry(name).or_insert_with(|| object(std::iter::empty(), None));
    let below = if step.ends_with("[]") { below.get_mut("items") } else { Some(below) };
    if let Some(below) = below {
        put(below, rest, value);
    }
}

fn below(table: &str) -> impl Iterator<Item = &'static Key> {
    keys::all().filter(move |key| key.kind != Kind::Tables && keys::split(key.path).0 == table)
}

fn entry(out: &mut String, key: &Key, off: bool) {
    let name = keys::split(key.path).1.unwrap_or(key.path);
    out.push('\n');
    comment(out, key.doc);
    if let Kind::Word(words) = key.kind {
        comment(out, &format!("One of: {}.", words.join(", ")));
    }
    let (mark, value) = match key.default {
        Some(default) if !off => ("", default),
        Some(default) => ("# ", default),
        None => ("# ", key.example),
    };
    out.extend([mark, name, " = ", value, "\n"]);
}

/// Comment lines of at most 110 characters.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split(' ') {
        if width == 0 || width + word.len() + 1 > 110 {
            out.push_str(if width == 0 { "#" } else { "\n#" });
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += word.len() + 1;
    }
    out.push('\n');
}

fn object(keys: impl Iterator<Item = &'static Key>, doc: Option<&str>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        let name = keys::split(key.path).1.unwrap_or(key.path);
        if key.doc.ends_with("Required.") {
            required.push(name);
        }
        properties.insert(name.to_owned(), property(key));
    }
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if let Some(members) = object.as_object_mut() {
        if !required.is_empty() {
            members.insert("required".to_owned(), json!(required));
        }
        if let Some(doc) = doc {
            members.insert("description".to_owned(), json!(doc));
        }
    }
    object
}

fn property(key: &Key) -> Value {
    let mut property = match key.kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Size { min, max } => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            { "type": "string", "pattern": "^ *[0-9]+ *(B|[kK]B|MB|GB|KiB|MiB|GiB)? *$" },
        ] }),
        Kind::Time { min, max } => json!({ "anyOf": [
            { "type": "integer", "minimum": min.as_secs(), "maximum": max.as_secs() },
            { "type": "string", "pattern": "^ *[0-9]+ *(ms|s|m|min|h)? *$" },
        ] }),
        Kind::Score => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Headers => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Tables => json!({}),
    };
    if let Some(members) = property.as_object_mut() {
        members.insert("description".to_owned(), json!(key.doc));
        if let Some(default) = key.default.and_then(as_json) {
            members.insert("default".to_owned(), default);
        }
        if let Some(example) = as_json(key.example) {
            members.insert("examples".to_owned(), json!([example]));
        }
    }
    property
}

/// A TOML value of the table of keys as JSON.
fn as_json(toml: &str) -> Option<Value> {
    let value: toml::Table = toml::from_str(&format!("value = {toml}")).ok()?;
    serde_json::to_value(value.get("value")?).ok()
}
