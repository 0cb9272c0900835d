//! Turns one written value into the kind that its key takes.

use toml::Spanned;
use toml::de::DeValue;

use super::super::keys::{Key, Kind};
use super::super::problem::{Origin, Wrong};
use super::super::settings::{Placed, Value};
use super::super::units;
use super::document::fragment;

/// Reads a TOML value. `place` gives the origin of a part of it.
pub(super) fn value(key: &Key, value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Origin) -> Result<Value, Wrong> {
    let inner = value.get_ref();
    match (key.kind, inner) {
        (Kind::Text | Kind::Word(_), DeValue::String(text)) => word(key, text),
        (Kind::Boolean, DeValue::Boolean(on)) => Ok(Value::Boolean(*on)),
        (Kind::Count { .. } | Kind::Size { .. } | Kind::Time { .. }, DeValue::Integer(number)) => {
            let plain = u64::from_str_radix(number.as_str(), number.radix()).map_err(|_| out_of_bounds(key))?;
            measure(key, &plain.to_string())
        }
        (Kind::Size { .. } | Kind::Time { .. }, DeValue::String(text)) => measure(key, text),
        (Kind::Score, DeValue::Float(number)) => measure(key, number.as_str()),
        (Kind::Score, DeValue::Integer(number)) => measure(key, number.as_str()),
        (Kind::Texts, DeValue::Array(items)) => items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => {
                    Ok(Placed { value: text.clone().into_owned(), origin: place(item.span().start) })
                }
                _ => Err(wrong_type(key, inner.type_str())),
            })
            .collect::<Result<_, _>>()
            .map(Value::Texts),
        (Kind::Headers, DeValue::Table(table)) => table
            .iter()
            .map(|(name, value)| match value.get_ref() {
                DeValue::String(text) => {
                    let name = Placed { value: name.get_ref().clone().into_owned(), origin: place(name.span().start) };
                    Ok((name, text.clone().into_owned()))
                }
                _ => Err(wrong_type(key, inner.type_str())),
            })
            .collect::<Result<_, _>>()
            .map(Value::Headers),
        _ => Err(wrong_type(key, inner.type_str())),
    }
}

/// Reads the text of a variable or a flag: as it stands where the key takes
/// text, else in the form of the file; lists also with commas between.
pub(super) fn text(key: &'static Key, text: &str, origin: &Origin) -> Result<Value, Wrong> {
    match key.kind {
        Kind::Text | Kind::Word(_) => word(key, text),
        Kind::Boolean => match text {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err(wrong_type(key, "text")),
        },
        Kind::Count { .. } | Kind::Size { .. } | Kind::Time { .. } | Kind::Score => measure(key, text),
        Kind::Texts if !text.trim_start().starts_with('[') => Ok(Value::Texts(
            text.split(',')
                .map(|item| Placed { value: item.trim().to_owned(), origin: origin.clone() })
                .filter(|item| !item.value.is_empty())
                .collect(),
        )),
        Kind::Texts | Kind::Headers | Kind::Tables => fragment(key, text, origin),
    }
}

fn word(key: &Key, text: &str) -> Result<Value, Wrong> {
    match key.kind {
        Kind::Word(words) if !words.contains(&text) => {
            let message = format!("`{}` does not take this word", key.path);
            Err(Wrong { message, mend: one_of(words, text) })
        }
        Kind::Text if text.trim().is_empty() => Err(Wrong {
            message: format!("`{}` is empty", key.path),
            mend: format!("write a value such as {}, or take it out", key.example),
        }),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn one_of(words: &[&str], text: &str) -> String {
    let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    match super::nearest(text, words.iter().copied()) {
        Some(word) => format!("write \"{word}\" (of {list})"),
        None => format!("write one of {list}"),
    }
}

fn measure(key: &Key, text: &str) -> Result<Value, Wrong> {
    match key.kind {
        Kind::Count { min, max } => {
            let number: u64 = text.trim().replace('_', "").parse().map_err(|_| wrong_type(key, "text"))?;
            if (min..=max).contains(&number) { Ok(Value::Number(number)) } else { Err(out_of_bounds(key)) }
        }
        Kind::Size { min, max } => {
            let bytes = units::size(text).ok_or_else(|| wrong_type(key, "text"))?;
            if (min..=max).contains(&bytes) { Ok(Value::Number(bytes)) } else { Err(out_of_bounds(key)) }
        }
        Kind::Time { min, max } => {
            let time = units::time(text).ok_or_else(|| wrong_type(key, "text"))?;
            if (min..=max).contains(&time) { Ok(Value::Time(time)) } else { Err(out_of_bounds(key)) }
        }
        Kind::Score => {
            let score: f64 = text.trim().parse().map_err(|_| wrong_type(key, "text"))?;
            if !(0.0..=1.0).contains(&score) {
                return Err(out_of_bounds(key));
            }
            // From 0 to 1000, so nothing is cut off.
            Ok(Value::Number((score * 1000.0).round() as u64))
        }
        _ => Err(wrong_type(key, "text")),
    }
}

fn wrong_type(key: &Key, got: &str) -> Wrong {
    let wanted = match key.kind {
        Kind::Text => "a text",
        Kind::Word(_) => "a word",
        Kind::Boolean => "true or false",
        Kind::Count { .. } => "a whole number",
        Kind::Size { .. } => "a size: bytes, or a text with B, KiB, MiB or GiB",
        Kind::Time { .. } => "a time: seconds, or a text with ms, s, m or h",
        Kind::Score => "a number from 0 to 1",
        Kind::Texts => "a list of texts",
        Kind::Headers => "a table of header names and texts",
        Kind::Tables => "a list of tables",
    };
    let mend = match key.kind {
        Kind::Tables => format!("write [[{}]] and its keys below", key.path),
        Kind::Boolean => "write true or false, without quotes".to_owned(),
        _ => format!("write a value such as {}", key.example),
    };
    let article = if got.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    Wrong { message: format!("`{}` takes {wanted}, and this is {article} {got}", key.path), mend }
}

fn out_of_bounds(key: &Key) -> Wrong {
    let (min, max) = match key.kind {
        Kind::Count { min, max } => (min.to_string(), max.to_string()),
        Kind::Size { min, max } => (units::show_size(min), units::show_size(max)),
        Kind::Time { min, max } => (units::show_time(min), units::show_time(max)),
        Kind::Score => ("0".to_owned(), "1".to_owned()),
        _ => return wrong_type(key, "number"),
    };
    Wrong { message: format!("`{}` is out of bounds", key.path), mend: format!("write a value from {min} to {max}") }
}
