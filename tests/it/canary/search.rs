//! A search for many values at once, in every form in which a program may have
//! written them down.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Shorter patterns stand in any file by chance.
const SHORTEST: usize = 6;

/// Finds values, and names them by what they are.
pub(crate) struct Search {
    automaton: AhoCorasick,
    /// What each pattern is: of which value, in which form.
    patterns: Vec<(usize, &'static str)>,
    values: Vec<String>,
}

/// The values found, each with the forms it stands in.
pub(crate) type Found = BTreeMap<String, BTreeSet<&'static str>>;

impl Search {
    /// For these values; each has a name.
    pub(crate) fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut names, mut patterns, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in values {
            for (form, pattern) in forms(&value) {
                if pattern.len() >= SHORTEST {
                    patterns.push((names.len(), form));
                    bytes.push(pattern);
                }
            }
            names.push(name);
        }
        // Without regard to case: of values, of hexadecimal digits and escapes.
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(bytes).unwrap();
        Self { automaton, patterns, values: names }
    }

    pub(crate) fn find(&self, haystack: &[u8]) -> Found {
        let mut found = Found::new();
        for hit in self.automaton.find_overlapping_iter(haystack) {
            let (value, form) = self.patterns[hit.pattern().as_usize()];
            found.entry(self.values[value].clone()).or_default().insert(form);
        }
        found
    }

    /// Fails where anything is found.
    pub(crate) fn expect_nothing(&self, place: &str, haystack: &[u8]) {
        let found = self.find(haystack);
        assert!(found.is_empty(), "{} values in {place}: {found:#?}", found.len());
    }
}

/// A value in all its forms.
pub(crate) fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("raw", value.into()),
        ("small letters", value.to_lowercase().into()),
        ("capital letters", value.to_uppercase().into()),
        ("JSON", serde_json::to_string(value).unwrap().trim_matches('"').into()),
        ("JSON, not ASCII escaped", json_escaped(value, |c| !c.is_ascii())),
        ("JSON, all escaped", json_escaped(value, |_| true)),
        ("JSON in JSON, not ASCII escaped", twice(&json_escaped(value, |c| !c.is_ascii()))),
        ("JSON in JSON, all escaped", twice(&json_escaped(value, |_| true))),
        ("percent-encoded", percent(value, |byte| !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte))),
        ("percent-encoded, separators kept", percent(value, |b| !b.is_ascii_graphic() || b == b'%')),
        ("percent-encoded, all", percent(value, |_| true)),
        (
            "form",
            String::from_utf8(percent(value, |b| !b.is_ascii_graphic() || b"+@:".contains(&b)))
                .unwrap()
                .replace("%20", "+")
                .into(),
        ),
        ("hexadecimal", each_byte(value, "")),
        ("hexadecimal, spaced", each_byte(value, " ")),
        ("debug print", value.escape_debug().to_string().into()),
        ("debug print, ASCII", value.escape_default().to_string().into()),
        ("debug print of bytes", value.as_bytes().escape_ascii().to_string().into()),
        ("UTF-16", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    for skipped in 0..3 {
        forms.push((["base64", "base64, second place", "base64, third place"][skipped], base64(value, skipped)));
    }
    let mut seen = BTreeSet::new();
    // The search does not regard case.
    forms.retain(|(_, bytes)| seen.insert(bytes.to_ascii_lowercase()));
    forms
}

/// What of the base64 does not depend on what stands around the value, where
/// `before` bytes of a group of three stand in front of it.
fn base64(value: &str, before: usize) -> Vec<u8> {
    let padded = [&b"\0\0"[..before], value.as_bytes()].concat();
    let encoded = STANDARD_NO_PAD.encode(&padded);
    assert_eq!(URL_SAFE_NO_PAD.encode(&padded).replace('-', "+").replace('_', "/"), encoded);
    // A letter holds six bits; the first and last ones may share theirs with neighbours.
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded.as_bytes()[first..last].to_vec()
}

fn json_escaped(value: &str, which: impl Fn(char) -> bool) -> Vec<u8> {
    let mut out = String::new();
    for c in value.chars() {
        if which(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(out, "\\u{unit:04x}").unwrap());
        } else {
            out.push(c);
        }
    }
    out.into()
}

fn twice(escaped: &[u8]) -> Vec<u8> {
    String::from_utf8(escaped.to_vec()).unwrap().replace('\\', "\\\\").into()
}

fn percent(value: &str, which: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value.bytes() {
        if which(byte) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
    out
}

fn each_byte(value: &str, between: &str) -> Vec<u8> {
    let bytes: Vec<String> = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between).into()
}

#[test]
fn a_value_is_found_in_each_form_and_only_there() {
    let value = "Zoé O'Bran+7@x.example";
    let search = Search::new([("it".to_owned(), value.to_owned())]);
    for (form, bytes) in forms(value) {
        let haystack = [b"\x00\xffsome 12", &*bytes, b"\xfe and so on"].concat();
        assert!(search.find(&haystack)["it"].contains(form), "not found: {form}");
        let cut = [b"\x00\xffsome 12", &bytes[1..], b"\xfe and so on"].concat();
        assert!(
            !search.find(&cut).get("it").is_some_and(|forms| forms.contains(form)),
            "found without its start: {form}"
        );
    }
    // Base64 of a text that holds it, wherever it stands in there.
    for before in 0..6 {
        let text = format!("{}{value}{}", &"......"[..before], &"......"[before..]);
        assert!(search.find(STANDARD_NO_PAD.encode(&text).as_bytes()).contains_key("it"), "behind {before} bytes");
        let other = format!("{}zoe o'bran+7@x.exampl{}", &"......"[..before], &"......"[before..]);
        assert!(search.find(STANDARD_NO_PAD.encode(&other).as_bytes()).is_empty());
    }
}
