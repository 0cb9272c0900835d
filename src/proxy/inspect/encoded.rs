//! Texts in base64 (RFC 4648) within another text: a file in a member of which
//! no protocol speaks, the claims in a header, what somebody asks to have decoded. Pure.

use super::findings::{Base64, Findings, Form};
use super::reading::{Manner, Reading};
use crate::detect::{Input, Scratch};
use crate::proxy::guess;
use memchr::memmem;
use std::ops::Range;

/// What is shorter, in characters, holds no address of mail, and may be a word.
const SHORTEST: usize = 16;

/// So many characters are a group of which the bytes tell whether it is a text.
const PROBE: usize = 16;

/// A signature has at least so many characters, in hexadecimal so many, and of
/// one with what stands in front of it so many are looked at.
const SIGNATURE: usize = 20;
const HEX_SIGNATURE: usize = 40;
const LONGEST_SIGNATURE: usize = 1024;

/// A line that is this long may go on in the next (RFC 2045, 6.8; RFC 7468, 2).
const FULL_LINE: usize = 60;

/// A text in base64.
pub(in crate::proxy) struct Run {
    pub(in crate::proxy) at: Range<usize>,
    pub(in crate::proxy) text: String,
    pub(super) base64: Base64,
}

/// Those in a text, in order. What has a signature behind it
/// (`header.claims.signature`, `session:time:signature`) is none, as nothing in
/// it can be replaced.
pub(in crate::proxy) fn runs(text: &str) -> impl Iterator<Item = Run> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = next(text.as_bytes(), from)?;
            from = at.end;
            if let Some(run) = read(text, at) {
                return Some(run);
            }
        }
    })
}

/// Adds what is found in them, each of which is then replaced as a whole. What
/// was found in the text as it stands begins at `first` of the list.
pub(in crate::proxy) fn look(
    text: &str,
    how: Manner<'_>,
    scratch: &mut Scratch,
    findings: &mut Findings,
    first: usize,
    mut place: impl FnMut(Range<usize>) -> Range<usize>,
) {
    let form = how.form;
    let before = findings.list.len();
    for run in runs(text) {
        let mut inner = Findings::default();
        for found in how.detector.scan(Input { text: &run.text, label: None }, scratch) {
            if (how.wanted)(&run.text, found) {
                let value = run.text.get(found.start..found.end).unwrap_or_default();
                inner.add(found.start..found.end, found, value, Form::Text);
            }
        }
        let how = Manner { label: None, form: Form::Text, ..how };
        for reading in Reading::all(&run.text, None) {
            reading.look(how, scratch, &mut inner, 0, |range| range);
        }
        if !inner.list.is_empty() {
            findings.encode(inner, place(run.at), run.text, run.base64, form);
        }
    }
    if findings.list.len() > before {
        findings.settle_encoded(first);
    }
}

/// The next run of characters of base64 that is long enough.
fn next(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    // Words are shorter: from the end of so many bytes the last of their gaps is near.
    while let Some(gap) = bytes.get(start..start + SHORTEST)?.iter().rposition(|b| !is_digit(*b)) {
        start += gap + 1;
    }
    let is_digit = |at: usize| bytes.get(at).is_some_and(|b| is_digit(*b));
    let mut line = start;
    let mut end = start + SHORTEST;
    loop {
        while is_digit(end) {
            end += 1;
        }
        let next = match bytes.get(end..) {
            Some([b'\n', ..]) => end + 1,
            Some([b'\r', b'\n', ..]) => end + 2,
            _ => break,
        };
        if end - line < FULL_LINE || !is_digit(next) {
            break;
        }
        (line, end) = (next, next);
    }
    let padding = bytes.get(end..).unwrap_or_default().iter().take(2).take_while(|b| **b == b'=').count();
    Some(start..end + padding)
}

fn read(text: &str, at: Range<usize>) -> Option<Run> {
    let bytes = text.as_bytes();
    // In front of it the rest of an address may stand.
    let slash = text.get(at.clone())?.rfind('/').map(|slash| at.start + slash + 1..at.end);
    [Some(at), slash].into_iter().flatten().find_map(|at| {
        let raw = bytes.get(at.clone())?;
        let (probe, _) = Base64::decode(raw.get(..PROBE)?)?;
        if !guess::begins_utf8(&probe) {
            return None;
        }
        let bare: Vec<u8> = raw.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        let (decoded, base64) = Base64::decode(&bare)?;
        let text = String::from_utf8(decoded).ok().filter(|text| guess::is_text(text) && !is_signed(bytes, &at))?;
        Some(Run { at, text, base64 })
    })
}

/// Whether it is a part of a signed text: one behind the header of a JWS (RFC
/// 7515), or one with a signature behind it, as in the cookies of web
/// frameworks. What only stands beside a point or a colon is none.
fn is_signed(bytes: &[u8], at: &Range<usize>) -> bool {
    let joins = |b: &u8| matches!(b, b'.' | b':' | b'|');
    let is_part = |b: &&u8| is_digit(**b) || joins(b);
    let behind = bytes.get(at.end..).unwrap_or_default();
    let chain = behind.iter().take(LONGEST_SIGNATURE).take_while(is_part).count();
    let mut parts = behind.get(..chain).unwrap_or_default().rsplit(joins).skip_while(|part| part.is_empty());
    let is_padded = at.end.checked_sub(1).is_some_and(|last| bytes.get(last) == Some(&b'='));
    let shortest = if is_padded { HEX_SIGNATURE } else { SIGNATURE };
    let is_signature = |part: &[u8]| {
        let is_text = || Base64::decode(part).is_some_and(|(decoded, _)| guess::is_utf8(&decoded));
        part.len() >= shortest && is_random(part) && !is_text()
    };
    let has_signature = behind.first().is_some_and(joins) && parts.next().is_some_and(is_signature);
    let before = bytes.get(at.start.saturating_sub(LONGEST_SIGNATURE)..at.start).unwrap_or_default();
    let chain = before.iter().rev().take_while(is_part).count();
    let header = before.get(before.len() - chain..).unwrap_or_default().split(joins).next().unwrap_or_default();
    let is_header = |(decoded, _): (Vec<u8>, Base64)| memmem::find(&decoded, b"\"alg\"").is_some();
    has_signature || chain > 0 && Base64::decode(header).is_some_and(is_header)
}

/// Whether these may be random digits of base64 or base 16, and are no words,
/// path or date: letters and numbers follow on each other in any order.
fn is_random(digits: &[u8]) -> bool {
    let class = |b: &u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let has = |one| digits.iter().any(|b| class(b) == one);
    let changes = digits.windows(2).filter(|pair| matches!(pair, [a, b] if class(a) != class(b))).count();
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit) && has(2);
    is_hex || has(0) && has(1) && changes * 5 >= digits.len() * 2
}

/// Whether a byte is a digit of base64, in either alphabet.
fn is_digit(byte: u8) -> bool {
    const DIGITS: [bool; 256] = {
        let mut digits = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            digits[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'+' | b'/' | b'-' | b'_');
            byte += 1;
        }
        digits
    };
    DIGITS[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<(String, String)> {
        runs(text).map(|run| (text[run.at].to_owned(), run.text)).collect()
    }

    #[test]
    fn texts_in_base64_are_told_from_words() {
        let said = "my mail is ana@example.com, ok?";
        let (plain, safe) = (STANDARD.encode(said), URL_SAFE_NO_PAD.encode(said));
        for (before, run, after) in [
            ("", &plain, ""),
            ("decode this: ", &plain, "."),
            ("decode this: ", &safe, ". Thanks"),
            ("data=", &plain, "&x=1"),
            ("https://docs.example/d/", &safe, ""),
            ("\"", &safe, "\""),
        ] {
            let found = texts(&[before, run, after].concat());
            assert_eq!(found, [(run.clone(), said.to_owned())], "{before}");
        }
        let long = "Ana <ana@example.com>\r\n".repeat(9);
        let lines: Vec<String> =
            STANDARD.encode(&long).as_bytes().chunks(76).map(|l| String::from_utf8(l.to_vec()).unwrap()).collect();
        for end in ["\r\n", "\n"] {
            let mail = format!("Content-Transfer-Encoding: base64\n\n{}\n\nBye", lines.join(end));
            assert_eq!(texts(&mail), [(lines.join(end), long.clone())]);
        }
        for none in [
            "internationalization of characteristically",
            "d41d8cd98f00b204e9800998ecf8427e",
            "/usr/share/documentation/packages",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "",
            "short",
        ] {
            assert!(texts(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn what_is_signed_is_none() {
        let claims = URL_SAFE_NO_PAD.encode("{\"email\":\"ana@example.com\"}");
        let signature = URL_SAFE_NO_PAD.encode([0x91, 0xe2, 0x07, 0xc8].repeat(8));
        let hex = "91e207c8".repeat(8);
        let padded = STANDARD.encode("ana.lopez@example.com");
        for token in [
            format!("eyJhbGciOiJIUzI1NiJ9.{claims}.{signature}"),
            format!("{claims}.{signature}"),
            format!("{claims}.Zm9v.{signature}"),
            format!("{claims}:1kxYzW:{signature}."),
            format!("2|1:0|10:1790000000|4:user|28:{padded}|{hex}"),
        ] {
            assert!(texts(&token).is_empty(), "{token}");
        }
        // Of one that says to have none nothing is read but its header.
        let read = texts(&format!("eyJhbGciOiJub25lIn0.{claims}."));
        assert_eq!(read, [("eyJhbGciOiJub25lIn0".to_owned(), "{\"alg\":\"none\"}".to_owned())]);
        // Words beside it are no signature, and nothing is behind padding but one in full.
        for (before, run, after) in [
            ("decode ", &padded, ".Thanks"),
            ("user:", &padded, ":x"),
            ("k=", &padded, "|next"),
            ("", &claims, ".pdf"),
            ("v1.", &claims, ""),
            ("", &padded, ".c2lnbmF0dXJlLW9mLWFu"),
            ("", &claims, ".dGhlIG90aGVyIHRleHQgaXMgaGVyZQ"),
            ("", &claims, ".my-long-file-name-with-words"),
            ("", &claims, ":this_is_a_snake_case_identifier"),
            ("", &claims, ".2026-11-22T22-08-32-000000"),
            ("", &claims, ".https://www.example.com/some/very/long/path"),
        ] {
            let token = [before, run, after].concat();
            assert_eq!(texts(&token).first().map(|(raw, _)| raw), Some(run), "{token}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_gone_through(parts in prop::collection::vec(prop_oneof![
            "[A-Za-z0-9+/_-]{0,40}", "[=. \r\n\"é]{0,3}", "[a-z ]{0,20}".prop_map(|text| STANDARD.encode(text)),
        ], 0..12)) {
            let text = parts.concat();
            let mut end = 0;
            for run in runs(&text) {
                prop_assert!(end <= run.at.start && run.at.start < run.at.end);
                prop_assert!(text.get(run.at.clone()).is_some());
                end = run.at.end;
            }
        }
    }
}
