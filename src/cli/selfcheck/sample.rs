//! The samples: for each protocol requests and replies as its clients and
//! servers send them, with a hole in every field that carries text. They are
//! data, `rules/protocols/samples/PROTOCOL/NAME.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::template::{Escape, Template};

macro_rules! embedded {
    ($($protocol:literal: $($name:literal)+;)+) => {
        &[$($((
            $protocol,
            $name,
            include_str!(concat!("../../../rules/protocols/samples/", $protocol, "/", $name, ".json")),
        ),)+)+]
    };
}

/// The embedded samples: protocol, name, text.
const EMBEDDED: &[(&str, &str, &str)] = embedded! {
    "openai-chat": "azure" "chat" "unknown";
    "openai-completions": "completions" "embeddings" "prompt";
    "openai-responses": "responses" "text";
    "anthropic": "count-tokens" "messages";
    "gemini": "generate" "stream";
    "ollama": "chat" "embed" "generate";
    "rasa": "intent" "webhook";
    "rasa-socketio": "polling" "websocket";
    "dialogflow-es": "detect-intent" "event";
    "dialogflow-cx": "detect-intent" "digits";
    "bot-framework": "poll-activities" "post-activity" "stream";
    "mcp": "call-tool" "sampling";
    "text": "plain" "xml";
    "json": "bot" "form" "multipart" "ndjson" "websocket";
};

/// One exchange of a protocol.
#[derive(Debug)]
pub(super) struct Sample {
    /// The name of the protocol.
    pub(super) protocol: &'static str,
    pub(super) name: &'static str,
    pub(super) request: RequestSample,
    pub(super) replies: Vec<ReplySample>,
}

/// A request with holes.
#[derive(Debug)]
pub(super) struct RequestSample {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: Template,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) content_type: Option<String>,
    /// Of a WebSocket, its messages, one a line.
    pub(super) body: Template,
    pub(super) escape: Escape,
    pub(super) is_socket: bool,
    /// It has members that its protocol does not know, which strict routes refuse.
    pub(super) is_unknown: bool,
}

/// A reply with holes: one frame where it is a document.
#[derive(Debug)]
pub(super) struct ReplySample {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) escape: Escape,
    pub(super) framing: Framing,
    pub(super) frames: Vec<Template>,
}

/// How the frames of a reply are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Document,
    /// Server-sent events.
    Events,
    /// One JSON text a line.
    Lines,
    /// The elements of one JSON array, written piece by piece.
    Array,
    /// The messages of a WebSocket.
    Messages,
}

impl Framing {
    /// What stands before all frames, between two, and after all.
    pub(super) fn marks(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Document => ("", "", ""),
            Self::Events => ("", "\n\n", "\n\n"),
            Self::Lines => ("", "\n", "\n"),
            Self::Array => ("[", ",\r\n", "]\n"),
            Self::Messages => ("", "\n", ""),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleFile {
    /// Where the shapes are written down.
    #[serde(rename = "source")]
    _source: String,
    request: RequestFile,
    #[serde(default)]
    replies: Vec<ReplyFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    #[serde(default = "post")]
    method: String,
    target: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
    body: Option<Box<RawValue>>,
    /// What a client sends over a WebSocket.
    messages: Option<Vec<Box<RawValue>>>,
    #[serde(default)]
    unknown: bool,
}

fn post() -> String {
    "POST".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyFile {
    #[serde(default = "ok")]
    status: u16,
    #[serde(rename = "type", default)]
    content_type: String,
    body: Option<Box<RawValue>>,
    events: Option<Vec<EventFile>>,
    lines: Option<Vec<Box<RawValue>>>,
    array: Option<Vec<Box<RawValue>>>,
    /// What an upstream sends over a WebSocket.
    messages: Option<Vec<Box<RawValue>>>,
}

fn ok() -> u16 {
    200
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    event: Option<String>,
    data: Box<RawValue>,
}

/// All samples. The error names the file that does not hold.
pub(super) fn all() -> Result<Vec<Sample>, String> {
    let read = |&(protocol, name, text)| {
        Sample::read(protocol, name, text).map_err(|why| format!("the sample {protocol}/{name}: {why}"))
    };
    EMBEDDED.iter().map(read).collect()
}

impl Sample {
    fn read(protocol: &'static str, name: &'static str, text: &str) -> Result<Self, String> {
        let file: SampleFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let replies = file.replies.into_iter().map(ReplySample::read).collect::<Result<_, _>>()?;
        Ok(Self { protocol, name, request: RequestSample::read(file.request)?, replies })
    }
}

impl RequestSample {
    fn read(file: RequestFile) -> Result<Self, String> {
        let in_header = |(name, value): (String, String)| {
            let template = Template::parse(&value, |_| format!("header {name}"))?;
            Ok((name, template))
        };
        let is_socket = file.messages.is_some();
        let (escape, body) = match (file.body, file.messages) {
            (Some(body), None) => content(&body, file.content_type.as_deref().unwrap_or("application/json"))?,
            (None, Some(all)) => {
                let all = all.iter().map(|one| message(one)).collect::<Result<_, _>>()?;
                (Escape::Json, Template::joined(all, "\n"))
            }
            (None, None) => (Escape::None, Template::parse("", |_| String::new())?),
            (Some(_), Some(_)) => return Err("a request has `body` or `messages`".to_owned()),
        };
        Ok(Self {
            method: file.method,
            target: Template::parse(&file.target, |_| "address".to_owned())?,
            headers: file.headers.into_iter().map(in_header).collect::<Result<_, String>>()?,
            content_type: file.content_type,
            body,
            escape,
            is_socket,
            is_unknown: file.unknown,
        })
    }
}

impl ReplySample {
    fn read(file: ReplyFile) -> Result<Self, String> {
        let json = |raw: &RawValue| Template::parse_json(&compact(raw.get()));
        let mut status = file.status;
        let (framing, escape, frames) = match (file.body, file.events, file.lines, file.array, file.messages) {
            (Some(body), None, None, None, None) => {
                let (escape, body) = content(&body, &file.content_type)?;
                (Framing::Document, escape, vec![body])
            }
            (None, Some(events), None, None, None) => {
                let event = |event: EventFile| {
                    let name = event.event.map(|name| format!("event: {name}\n")).unwrap_or_default();
                    let data = match text_of(&event.data) {
                        Some(text) => Template::parse(&text, |_| "data".to_owned())?,
                        None => json(&event.data)?,
                    };
                    Ok(data.within(&format!("{name}data: "), ""))
                };
                (Framing::Events, Escape::Json, events.into_iter().map(event).collect::<Result<_, String>>()?)
            }
            (None, None, Some(lines), None, None) => {
                (Framing::Lines, Escape::Json, lines.iter().map(|line| json(line)).collect::<Result<_, _>>()?)
            }
            (None, None, None, Some(array), None) => {
                (Framing::Array, Escape::Json, array.iter().map(|one| json(one)).collect::<Result<_, _>>()?)
            }
            (None, None, None, None, Some(messages)) => {
                status = super::socket::OPENED;
                (Framing::Messages, Escape::Json, messages.iter().map(|one| message(one)).collect::<Result<_, _>>()?)
            }
            _ => return Err("a reply has one of `body`, `events`, `lines`, `array` and `messages`".to_owned()),
        };
        Ok(Self { status, content_type: file.content_type, escape, framing, frames })
    }
}

/// A body as it stands in the file: JSON as itself, all else as a string, or
/// as the lines of a text.
fn content(body: &RawValue, content_type: &str) -> Result<(Escape, Template), String> {
    let is_lines = content_type.contains("ndjson") || content_type.contains("jsonl");
    if content_type.contains("json") && !is_lines {
        return Ok((Escape::Json, Template::parse_json(body.get())?));
    }
    let end = if content_type.starts_with("multipart/") { "\r\n" } else { "\n" };
    let text = match text_of(body) {
        Some(text) => text,
        None => serde_json::from_str::<Vec<String>>(body.get()).map_err(|error| error.to_string())?.join(end),
    };
    let escape = match content_type {
        _ if is_lines => Escape::Json,
        "application/x-www-form-urlencoded" => Escape::Percent,
        "application/xml" | "text/html" => Escape::Markup,
        _ => Escape::None,
    };
    Ok((escape, Template::parse(&text, |_| "body".to_owned())?))
}

/// A message of a WebSocket: JSON, or a text that may hold some.
fn message(raw: &RawValue) -> Result<Template, String> {
    match text_of(raw) {
        Some(text) => Template::parse(&text, |_| "message".to_owned()),
        None => Template::parse_json(&compact(raw.get())),
    }
}

fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A JSON text without the blanks between its parts.
fn compact(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocols;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_sample_holds() {
        let all = all().unwrap();
        for sample in &all {
            let holes = sample.request.body.holes.len() + sample.request.target.holes.len();
            let replies = sample.replies.iter().flat_map(|reply| &reply.frames).map(|frame| frame.holes.len());
            assert!(holes + replies.sum::<usize>() > 0, "{}/{}", sample.protocol, sample.name);
        }
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/protocols/samples");
        let mut files = BTreeSet::new();
        for protocol in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            for file in std::fs::read_dir(&protocol).unwrap().map(|entry| entry.unwrap().path()) {
                let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
                files.insert((name(&protocol), name(&file)));
            }
        }
        let embedded = EMBEDDED.iter().map(|&(protocol, name, _)| (protocol.to_owned(), name.to_owned()));
        assert_eq!(embedded.collect::<BTreeSet<_>>(), files);
    }

    #[test]
    fn every_protocol_has_samples_and_auto_knows_them() {
        let protocols = Protocols::builtin().unwrap();
        let samples = all().unwrap();
        for name in protocols.names() {
            assert!(samples.iter().any(|sample| sample.protocol == name), "no sample of {name}");
        }
        for sample in &samples {
            let target = sample.request.target.fill(Escape::Percent, |_, _| "x".to_owned());
            let path = target.split('?').next().unwrap();
            let body = sample.request.body.fill(sample.request.escape, |_, _| "x".to_owned());
            let found = protocols.tell(path, || Some(&body)).map(|protocol| protocol.name.as_str());
            // Text is told by its type, not by its path.
            let wanted = if sample.protocol == "text" { "json" } else { sample.protocol };
            assert_eq!(found, Some(wanted), "{}: {path}", sample.name);
        }
    }

    #[test]
    fn a_stream_is_written_as_it_is_sent() {
        let file = r#"{"type": "text/event-stream", "events": [
            {"event": "say", "data": {"a b": "{{piece}}", "n": [1, 2]}}, {"data": "[DONE]"}]}"#;
        let reply = ReplySample::read(serde_json::from_str(file).unwrap()).unwrap();
        let frames: Vec<_> =
            reply.frames.iter().map(|frame| frame.fill(Escape::Json, |_, _| "x y".to_owned())).collect();
        assert_eq!(frames, ["event: say\ndata: {\"a b\":\"x y\",\"n\":[1,2]}", "data: [DONE]"]);
    }
}
