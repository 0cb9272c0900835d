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
    let mut all = Findings::seeking(rules.sought.len());
    for packet in packets(text).map_err(|OlderProtocol| OLDER)? {
        let mut look = |at: Range<usize>, is_document: bool| {
            let part = text.get(at.clone()).unwrap_or_default();
            // The name of an event, and what else is a single value, is no member.
            let strict = rules.strict && part.starts_with(['{', '[']);
            let rules = Rules { strict, ..*rules };
            let found = match is_document.then(|| inspect::inspect_json(part, &rules, scratch)) {
                None | Some(Err(inspect::NOT_JSON)) => inspect::inspect_text(part, rules.detector, scratch),
                Some(looked) => looked,
            };
            all.append(found?, at.start);
            Ok(())
        };
        if packet.prefix.len() > PLAIN_PREFIX {
            look(packet.prefix, false)?;
        }
        match packet.payload {
            Payload::Documents(list) => list.into_iter().try_for_each(|at| look(at, true))?,
            Payload::Text(at) => look(at, false)?,
            Payload::Binary(at) if rules.binary == Binary::Pass => all.uninspected += at.len(),
            Payload::Binary(_) => return Err(Uninspectable("The body holds a binary attachment in base64.")),
        }
    }
    Ok(all)
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
