//! The packets of socket.io: each document that they carry is looked through,
//! or restored, by itself. Of the prefixes all that is no number is text.

use super::inspect::{self, Findings, Rules, Uninspectable};
use super::restore::{self, Context};
use crate::config::Binary;
use crate::detect::Scratch;
use crate::framing::packets::{OlderProtocol, Payload, packets};
use bytes::Bytes;
use std::ops::Range;

/// A prefix of so many bytes holds no more than types and counters.
const PLAIN_PREFIX: usize = 6;

const OLDER: Uninspectable = Uninspectable(
    "The body is long polling of engine.io 3, which is not supported; use `transports: [\"websocket\"]` or a newer client.",
);

/// Looks through the packets of a message or of the body of a poll.
pub(super) fn inspect(text: &str, rules: &Rules<'_>, scratch: &mut Scratch) -> Result<Findings, Uninspectable> {
    let mut all = inspect::Series::new(rules);
    for packet in packets(text).map_err(|OlderProtocol| OLDER)? {
        let part = |at: &Range<usize>| text.get(at.clone()).unwrap_or_default();
        let look_at_text = |at: &Range<usize>, all: &mut inspect::Series, scratch: &mut Scratch| {
            let found = inspect::inspect_text(part(at), rules.detector, scratch)?;
            let has_some = !found.list.is_empty();
            all.findings.append(found, at.start);
            Ok(has_some)
        };
        if packet.prefix.len() > PLAIN_PREFIX && !matches!(packet.payload, Payload::Text(_)) {
            look_at_text(&packet.prefix, &mut all, scratch)?;
        }
        match packet.payload {
            Payload::Documents(list) => {
                for (nth, at) in list.iter().enumerate() {
                    // The name of an event, and what else is a single value, is no member.
                    let strict = rules.strict && part(at).starts_with(['{', '[']);
                    let rules = Rules { strict, ..*rules };
                    match inspect::check_json(part(at), &rules) {
                        // Nobody goes on in a text from the name of its event.
                        Ok(()) if nth == 0 && part(at).starts_with('"') => {
                            all.findings.append(inspect::inspect_json(part(at), &rules, scratch)?, at.start);
                        }
                        Ok(()) => all.look(text, at.clone(), &rules, scratch)?,
                        Err(inspect::NOT_JSON) => drop(look_at_text(at, &mut all, scratch)?),
                        Err(why) => return Err(why),
                    }
                }
            }
            // Digits that begin a text look like a prefix, behind up to two types.
            Payload::Text(at) => {
                for types in 0..=packet.prefix.len().min(2) {
                    if look_at_text(&(packet.prefix.start + types..at.end), &mut all, scratch)? {
                        break;
                    }
                }
            }
            Payload::Binary(at) if rules.binary == Binary::Pass => all.findings.uninspected += at.len(),
            Payload::Binary(_) => return Err(Uninspectable("The body holds a binary attachment in base64.")),
        }
    }
    Ok(all.findings)
}

/// Restores the packets of a message or of the answer to a poll.
pub(super) async fn restore(message: Bytes, context: &Context) -> Bytes {
    let Ok(text) = std::str::from_utf8(&message) else { return message };
    // The client says which protocol is spoken; what it says in an older one is refused.
    let Ok(packets) = packets(text) else { return message };
    let mut out = Vec::with_capacity(message.len());
    let mut copied = 0;
    for packet in packets {
        let parts = match packet.payload {
            Payload::Documents(list) => list,
            Payload::Text(at) => vec![at],
            Payload::Binary(_) => Vec::new(),
        };
        for at in parts {
            out.extend_from_slice(message.get(copied..at.start).unwrap_or_default());
            out.extend_from_slice(&restore::whole_document(message.slice(at.clone()), context).await);
            copied = at.end;
        }
    }
    out.extend_from_slice(message.get(copied..).unwrap_or_default());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, Engine};
    use crate::protocol::Protocols;

    fn places(protocol: &str, text: &str) -> Vec<(Range<usize>, inspect::Form)> {
        let (engine, protocols) = (Engine::builtin().unwrap(), Protocols::builtin().unwrap());
        let rules = Rules {
            detector: Detector::from(&engine),
            clean: None,
            fields: &protocols.named(protocol).unwrap().request,
            identity: crate::config::Identity::Scan,
            binary: Binary::Refuse,
            files: Binary::Refuse,
            strict: false,
            texts: false,
            sought: &[],
            depth: 128,
        };
        let found = inspect(text, &rules, &mut Scratch::default()).unwrap();
        found.list.iter().map(|found| (found.at.clone(), found.form)).collect()
    }

    #[test]
    fn values_cut_over_arguments_and_packets_are_found() {
        for text in [
            "42[\"m\",\"mail ana.no\",\"vak@example.com\"]",
            "42[\"m\",{\"message\":\"mail ana.no\"}]\u{1e}42[\"m\",{\"message\":\"vak@example.com\"}]",
        ] {
            let (first, rest) = (text.find("ana.no").unwrap(), text.find("vak@").unwrap());
            let want = [(first..first + 6, inspect::Form::Text), (rest..rest + 15, inspect::Form::Rest)];
            assert_eq!(places("rasa-socketio", text), want, "{text}");
        }
        // Nobody goes on from the name of an event.
        let places = places("rasa-socketio", "42[\"user_no\",\"vak@example.com\"]");
        assert_eq!(places, [(14..29, inspect::Form::Text)]);
    }

    #[test]
    fn a_text_that_begins_like_a_prefix_is_looked_at_as_a_whole() {
        let (engine, protocols) = (Engine::builtin().unwrap(), Protocols::builtin().unwrap());
        let rules = Rules {
            detector: Detector::from(&engine),
            clean: None,
            fields: &protocols.named("json").unwrap().request,
            identity: crate::config::Identity::Scan,
            binary: Binary::Refuse,
            files: Binary::Refuse,
            strict: false,
            texts: false,
            sought: &[],
            depth: 128,
        };
        for (text, at) in [
            ("44111 1111 1111 1111", 1..20),
            ("4111 1111 1111 1111", 0..19),
            ("4111111111111111", 0..16),
            ("2probe\u{1e}42to ana@example.com", 12..27),
            ("42[\"m\",\"ana@example.com\"]", 8..23),
        ] {
            let found = inspect(text, &rules, &mut Scratch::default()).unwrap();
            let places: Vec<_> = found.list.iter().map(|found| found.at.clone()).collect();
            assert!(places.len() == 1 && places[0].start <= at.start && places[0].end >= at.end, "{text} {places:?}");
        }
        assert!(inspect("2probe", &rules, &mut Scratch::default()).unwrap().list.is_empty());
    }
}
