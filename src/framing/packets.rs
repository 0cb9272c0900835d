//! Cuts messages of socket.io (protocol 5) into their packets, as engine.io
//! (protocol 4) carries them: one in a message of a WebSocket, several with a
//! record separator between them in a body of HTTP long polling. A packet is
//!
//! ```text
//! 4 2 1- /support, 12 ["user_uttered",{"message":"hello"}]
//! | | |  |         |  the name of the event, and what it carries
//! | | |  |         acknowledgement
//! | | |  namespace
//! | | number of binary attachments
//! | type of socket.io, behind a 4 alone
//! type of engine.io
//! ```
//!
//! without the spaces; all between the types and the JSON may be absent.

use crate::json::{self, Path, Str, Visitor};
use std::ops::Range;

/// Stands between the packets of one body.
const SEPARATOR: char = '\u{1e}';

/// A packet. All places are in the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Types, attachments, namespace and acknowledgement.
    pub prefix: Range<usize>,
    /// What the packet carries.
    pub payload: Payload,
}

/// What a packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON documents: the name of an event and each of its arguments.
    Documents(Vec<Range<usize>>),
    /// Anything else, such as `probe`; mostly nothing.
    Text(Range<usize>),
    /// An attachment in base64.
    Binary(Range<usize>),
}

/// The text is that of an older protocol, in which the length of each packet
/// stands in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OlderProtocol;

/// Cuts a message, or the body of a poll.
pub fn packets(text: &str) -> Result<Vec<Packet>, OlderProtocol> {
    let first = text.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0);
    if first.is_some_and(|at| text.get(at..).is_some_and(|rest| rest.starts_with(':'))) {
        return Err(OlderProtocol);
    }
    let mut start = 0;
    Ok(text
        .split(SEPARATOR)
        .map(|record| {
            let packet = packet(record, start);
            start += record.len() + SEPARATOR.len_utf8();
            packet
        })
        .collect())
}

/// Cuts one packet, which starts at `start` of the whole.
fn packet(record: &str, start: usize) -> Packet {
    let end = start + record.len();
    let is_base64 = |data: &str| data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    if let Some(data) = record.strip_prefix('b').filter(|data| is_base64(data)) {
        return Packet { prefix: start..end - data.len(), payload: Payload::Binary(end - data.len()..end) };
    }
    let body = body(record);
    let place = end - body.len()..end;
    let payload = if body.starts_with('[') {
        Payload::Documents(elements(body, place.start).unwrap_or_else(|| vec![place.clone()]))
    } else if body.starts_with('{') {
        Payload::Documents(vec![place.clone()])
    } else {
        Payload::Text(place.clone())
    };
    Packet { prefix: start..place.start, payload }
}

/// What stands behind the prefix.
fn body(record: &str) -> &str {
    let digit = |text: &str, highest: u8| text.as_bytes().first().is_some_and(|b| (b'0'..=highest).contains(b));
    if !digit(record, b'6') {
        return record;
    }
    let rest = record.get(1..).unwrap_or_default();
    if !record.starts_with('4') || !digit(rest, b'6') {
        return rest;
    }
    let mut rest = rest.get(1..).unwrap_or_default();
    let behind_digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if let Some(after) = rest.get(behind_digits(rest)..).and_then(|rest| rest.strip_prefix('-')) {
        rest = after;
    }
    if rest.starts_with('/') {
        rest = rest.split_once(',').map_or("", |(_, after)| after);
    }
    rest.get(behind_digits(rest)..).unwrap_or_default()
}

/// The elements of a JSON array that starts at `start` of the whole; none
/// where it is no JSON.
fn elements(array: &str, start: usize) -> Option<Vec<Range<usize>>> {
    let mut walk = Elements { start, list: Vec::new(), open: 0 };
    json::walk(array, &mut walk).is_ok().then_some(walk.list)
}

struct Elements {
    start: usize,
    list: Vec<Range<usize>>,
    /// Where the element at hand starts.
    open: usize,
}

impl Elements {
    fn add(&mut self, path: &Path<'_>, at: Range<usize>) {
        if path.steps().len() == 1 {
            self.list.push(self.start + at.start..self.start + at.end);
        }
    }

    fn begin(&mut self, path: &Path<'_>, start: usize) {
        if path.steps().len() == 1 {
            self.open = start;
        }
    }
}

impl<'a> Visitor<'a> for Elements {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        // With its quotes.
        self.add(path, value.start - 1..value.start + value.raw.len() + 1);
    }

    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.add(path, start..start + raw.len());
    }

    fn literal(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {
        self.add(path, start..start + raw.len());
    }

    fn begin_object(&mut self, path: &Path<'a>, start: usize) {
        self.begin(path, start);
    }

    fn end_object(&mut self, path: &Path<'a>, start: usize) {
        self.add(path, self.open..start + 1);
    }

    fn begin_array(&mut self, path: &Path<'a>, start: usize) {
        self.begin(path, start);
    }

    fn end_array(&mut self, path: &Path<'a>, start: usize) {
        self.add(path, self.open..start + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The prefix of each packet, and its documents or else its text.
    fn cut(text: &str) -> Vec<(&str, Vec<&str>)> {
        let one = |packet: Packet| {
            let parts = match packet.payload {
                Payload::Documents(list) => list,
                Payload::Text(at) | Payload::Binary(at) => vec![at],
            };
            (&text[packet.prefix], parts.into_iter().map(|at| &text[at]).collect())
        };
        packets(text).unwrap().into_iter().map(one).collect()
    }

    #[test]
    fn a_packet_is_told_from_what_it_carries() {
        for (text, prefix, parts) in [
            (r#"42["user_uttered",{"message":"hi"}]"#, "42", &[r#""user_uttered""#, r#"{"message":"hi"}"#][..]),
            (r#"42["a", "b,]" , [1,[2]],3 ,null]"#, "42", &[r#""a""#, r#""b,]""#, "[1,[2]]", "3", "null"]),
            (r#"421["ack"]"#, "421", &[r#""ack""#]),
            (r#"42/support,12["ack"]"#, "42/support,12", &[r#""ack""#]),
            (
                r#"4551-/a?b=c,7["f",{"_placeholder":true,"num":0}]"#,
                "4551-/a?b=c,7",
                &[r#""f""#, r#"{"_placeholder":true,"num":0}"#],
            ),
            (r#"40{"token":"t"}"#, "40", &[r#"{"token":"t"}"#]),
            ("40/support,", "40/support,", &[""]),
            (r#"0{"sid":"x"}"#, "0", &[r#"{"sid":"x"}"#]),
            ("2probe", "2", &["probe"]),
            ("2", "2", &[""]),
            ("", "", &[""]),
            ("4hello", "4", &["hello"]),
            ("hello", "", &["hello"]),
            ("42[broken", "42", &["[broken"]),
            ("bAQID", "b", &["AQID"]),
            ("bonjour à tous", "", &["bonjour à tous"]),
        ] {
            assert_eq!(cut(text), [(prefix, parts.to_vec())], "{text}");
        }
    }

    #[test]
    fn a_body_holds_several() {
        let packets = cut("42[\"é\"]\u{1e}2\u{1e}bAQID");
        assert_eq!(packets, [("42", vec!["\"é\""]), ("2", vec![""]), ("b", vec!["AQID"])]);
        assert_eq!(super::packets("11:42[\"hello\"]"), Err(OlderProtocol));
    }

    proptest! {
        #[test]
        fn places_follow_one_another_and_miss_no_text(parts in prop::collection::vec(
            prop::sample::select(vec!["4", "2", "51-", "/n,", "7", "[\"a\",", "{\"b\":[1]}", "]", "b", "AQ=", "é", "\u{1e}", "x", ":"]),
            0..12,
        )) {
            let text = parts.concat();
            let Ok(packets) = packets(&text) else { return Ok(()) };
            let mut end = 0;
            for packet in packets {
                prop_assert!(text[end..packet.prefix.start].chars().all(|c| c == SEPARATOR));
                end = packet.prefix.end;
                match packet.payload {
                    Payload::Text(at) | Payload::Binary(at) => {
                        prop_assert_eq!(at.start, end);
                        end = at.end;
                    }
                    Payload::Documents(list) => {
                        for at in list {
                            // Between the elements of an array nothing stands but its brackets and commas.
                            prop_assert!(text[end..at.start].chars().all(|c| "[, ".contains(c)));
                            end = at.end;
                        }
                        let rest = &text[end..];
                        end += rest.find(SEPARATOR).unwrap_or(rest.len());
                        prop_assert!(rest.starts_with([']', SEPARATOR]) || rest.is_empty());
                    }
                }
            }
            prop_assert_eq!(end, text.len());
        }
    }
}
