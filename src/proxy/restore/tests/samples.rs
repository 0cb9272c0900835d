//! The replies of all samples, which are those of every protocol there is: cut
//! by events and by the network, and without anything to restore.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What of the file of a sample is asked for here.
#[derive(Deserialize)]
struct File {
    request: Request,
    #[serde(default)]
    replies: Vec<Reply>,
}

#[derive(Deserialize)]
struct Request {
    target: String,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "type", default)]
    content_type: String,
    body: Option<Box<RawValue>>,
    events: Option<Vec<Event>>,
    lines: Option<Vec<Box<RawValue>>>,
    array: Option<Vec<Box<RawValue>>>,
    messages: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Event {
    event: Option<String>,
    data: Box<RawValue>,
}

/// A reply of a protocol.
struct Sample {
    name: String,
    protocol: String,
    shape: Shape,
    /// What stands in front of each frame and behind it, and around all.
    marks: [&'static str; 4],
    frames: Vec<String>,
    is_json: bool,
    /// Its frames are the messages of a socket.
    is_socket: bool,
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(samples);

static HOLE: LazyLock<regex::Regex> = LazyLock::new(|| regex::Regex::new(r#""?\{\{(\w+)(:[^}]*)?\}\}"?"#).unwrap());

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/protocols")
}

fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    all.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    for protocol in names(&folder().join("samples"), "") {
        let here = folder().join("samples").join(&protocol);
        for name in names(&here, ".json") {
            let text = std::fs::read_to_string(here.join(format!("{name}.json"))).unwrap();
            let file: File = serde_json::from_str(&text).unwrap();
            for (nth, reply) in file.replies.iter().enumerate() {
                all.push(sample(&protocol, &format!("{protocol}/{name} {nth}"), &file.request.target, reply));
            }
        }
    }
    all
}

fn sample(name: &str, called: &str, target: &str, reply: &Reply) -> Sample {
    let protocol = protocol(name);
    let mut headers = HeaderMap::new();
    if !reply.content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&reply.content_type).unwrap());
    }
    let mut shape = Shape::of_reply(&headers, protocol.socket.framing);
    if shape == Shape::Document && protocol.reply.comes_in_elements(target.split('?').next().unwrap()) {
        shape = Shape::Elements;
    }
    let plain = |raw: &RawValue| {
        let text = serde_json::from_str::<String>(raw.get());
        let lines = || serde_json::from_str::<Vec<String>>(raw.get()).map(|lines| lines.join("\n"));
        text.or_else(|_| lines()).unwrap()
    };
    let of = |raw: &RawValue| if raw.get().starts_with('"') { plain(raw) } else { compact(raw.get()) };
    let each = |list: &[Box<RawValue>]| list.iter().map(|one| of(one)).collect();
    let is_json = reply.body.is_none() || reply.content_type.contains("json");
    let (marks, frames) = match reply {
        Reply { body: Some(body), .. } if is_json => (["", "", "", ""], vec![body.get().to_owned()]),
        Reply { body: Some(body), .. } => (["", "", "", ""], vec![plain(body)]),
        Reply { events: Some(events), .. } => {
            let event = |event: &Event| {
                let name = event.event.as_ref().map(|name| format!("event: {name}\n")).unwrap_or_default();
                format!("{name}data: {}", of(&event.data))
            };
            (["", "", "\n\n", ""], events.iter().map(event).collect())
        }
        Reply { lines: Some(lines), .. } => (["", "", "\n", ""], each(lines)),
        Reply { array: Some(array), .. } => (["[", ",\n", "", "]"], each(array)),
        Reply { messages, .. } => (["", "", "\n", ""], each(messages.as_ref().unwrap())),
    };
    let (name, protocol, is_socket) = (called.to_owned(), name.to_owned(), reply.messages.is_some());
    Sample { name, protocol, shape, marks, frames, is_json, is_socket }
}

/// A JSON text without the blanks between its parts.
fn compact(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
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

/// What is said in a reply.
struct Said<'s> {
    text: &'s str,
    /// What goes on in the next event is cut at this character.
    cut: usize,
}

impl Sample {
    fn goes_on(frame: &str) -> bool {
        frame.contains("{{piece") || frame.contains("{{json")
    }

    /// The frames with their holes filled, and how often the text is said in
    /// places where it comes back: all of it surely, or perhaps not yet.
    fn fill(&self, said: &Said<'_>) -> (Vec<String>, std::ops::RangeInclusive<usize>) {
        let (mut frames, mut count, mut growing) = (Vec::new(), 0, 0);
        for frame in &self.frames {
            for half in 0..=usize::from(Self::goes_on(frame)) {
                let filled = HOLE.replace_all(frame, |found: &regex::Captures<'_>| {
                    let all = &found[0];
                    let (open, close) = (all.starts_with('"'), all.ends_with('"'));
                    let text = match &found[1] {
                        "number" | "count" => return "42".to_owned(),
                        "offset" => return "null".to_owned(),
                        "never" => "id_1".to_owned(),
                        "media" => "iVBORw0KGgo=".to_owned(),
                        "json" => piece(&json!({"note": said.text}).to_string(), said.cut, half),
                        "piece" => piece(said.text, said.cut, half),
                        _ if half > 0 => "said".to_owned(),
                        _ => said.text.to_owned(),
                    };
                    growing += usize::from(&found[1] == "growing");
                    count += usize::from(half == 0 && !matches!(&found[1], "never" | "media"));
                    // Within a text that is JSON itself it is escaped too.
                    let text = if self.is_json || open { json!(text).to_string() } else { format!("\"{text}\"") };
                    let text = &text[1..text.len() - 1];
                    let quote = |is: bool| if is { "\"" } else { "" };
                    format!("{}{text}{}", quote(open), quote(close))
                });
                frames.push(filled.into_owned());
            }
        }
        (frames, count - growing..=count)
    }

    fn written(&self, frames: &[String]) -> String {
        let [before, between, behind, after] = self.marks;
        let all: Vec<String> = frames.iter().map(|frame| format!("{frame}{behind}")).collect();
        format!("{before}{}{after}", all.join(between))
    }
}

/// The characters before or behind the cut.
fn piece(text: &str, cut: usize, half: usize) -> String {
    let chars = text.chars();
    if half == 0 { chars.take(cut).collect() } else { chars.skip(cut).collect() }
}

/// What the client of a socket gets.
async fn heard(sample: &Sample, frames: &[String], context: Context) -> Vec<String> {
    if context.protocol.socket.framing.is_some() {
        let mut all = Vec::new();
        for frame in frames {
            let restored = super::super::whole(frame.clone().into(), Shape::Document, &context).await;
            all.push(String::from_utf8(restored.to_vec()).unwrap());
        }
        return all;
    }
    assert!(sample.is_socket);
    let mut messages = Messages::new(context);
    let mut all = Vec::new();
    for frame in frames {
        all.extend(messages.restore(frame).await);
    }
    all.extend(messages.finish().await);
    all
}

/// What the client gets of a reply that comes whole.
async fn got(sample: &Sample, frames: &[String], context: Context) -> String {
    let stream = sample.written(frames);
    if sample.is_socket {
        return sample.written(&heard(sample, frames, context).await);
    }
    if context.protocol.socket.framing.is_some() {
        return String::from_utf8(super::super::whole(stream.into(), sample.shape, &context).await.to_vec()).unwrap();
    }
    whole(sample.shape, &stream, &context).await
}

#[test]
fn every_protocol_has_a_reply_to_be_cut() {
    let known: BTreeSet<String> = SAMPLES.iter().map(|sample| sample.protocol.clone()).collect();
    assert_eq!(known, names(&folder(), ".toml"));
    let streamed = |sample: &&Sample| sample.frames.iter().any(|frame| Sample::goes_on(frame));
    let streams: BTreeSet<String> = SAMPLES.iter().filter(streamed).map(|sample| sample.protocol.clone()).collect();
    let want = ["anthropic", "gemini", "json", "ollama", "openai-chat", "openai-completions", "openai-responses"];
    assert!(want.iter().all(|name| streams.contains(*name)), "{streams:?}");
}

#[tokio::test]
async fn what_is_said_in_any_field_comes_back_wherever_its_events_cut_it() {
    let desk = Desk::new().await;
    let text = format!("é {} ok.", desk.email);
    for sample in SAMPLES.iter() {
        for cut in 0..text.chars().count() {
            let (frames, count) = sample.fill(&Said { text: &text, cut });
            for redacts in [false, true] {
                let protocol = protocol(&sample.protocol);
                let context = if redacts { desk.redacting(protocol).await } else { desk.context(protocol).await };
                let got = got(sample, &frames, context).await;
                let back = got.matches(EMAIL).count();
                assert!(count.contains(&back), "{} cut at {cut}: {back} of {count:?} {got}", sample.name);
            }
            if !sample.frames.iter().any(|frame| Sample::goes_on(frame)) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_network_may_cut_the_replies_of_every_protocol_anywhere() {
    let desk = Desk::new().await;
    let text = format!("é {} of {}. [EM", desk.email, desk.nasty);
    for sample in SAMPLES.iter().filter(|sample| !sample.is_socket) {
        let protocol = protocol(&sample.protocol);
        if protocol.socket.framing.is_some() {
            // It is read whole.
            continue;
        }
        let (frames, count) = sample.fill(&Said { text: &text, cut: 7 });
        let stream = sample.written(&frames);
        for context in [desk.context(Arc::clone(&protocol)).await, desk.redacting(Arc::clone(&protocol)).await] {
            let want = whole(sample.shape, &stream, &context).await;
            assert!(count.contains(&want.matches(EMAIL).count()), "{}: {count:?} {want}", sample.name);
            // Every byte is cut behind in one of these ways, most in many.
            for size in [1, 2, 5, 17] {
                for first in 0..size {
                    let (head, tail) = stream.as_bytes().split_at(first.min(stream.len()));
                    let chunks: Vec<&[u8]> = std::iter::once(head).chain(tail.chunks(size)).collect();
                    let got = restored(sample.shape, &chunks, &context).await;
                    assert!(got == want, "{} in pieces of {size} behind {first}: {got}", sample.name);
                }
            }
        }
    }
}

#[tokio::test]
async fn no_event_of_any_protocol_waits_where_nothing_may_come_back() {
    let desk = Desk::new().await;
    for sample in SAMPLES.iter().filter(|sample| !sample.is_socket && sample.frames.len() > 1) {
        let context = desk.context(protocol(&sample.protocol)).await;
        let (frames, _) = sample.fill(&Said { text: "a blue teapot, that is all", cut: 9 });
        let [before, between, behind, after] = sample.marks;
        let mut restorer = Restorer::new(sample.shape, 1 << 20, &context);
        let (mut out, mut sent) = (BytesMut::new(), String::from(before));
        for (nth, frame) in frames.iter().enumerate() {
            let next = format!("{}{frame}{behind}", if nth > 0 { between } else { "" });
            sent.push_str(&next);
            let chunk = if nth == 0 { format!("{before}{next}") } else { next };
            restorer.push(chunk.into(), 1 << 20, &context, &mut out).await.unwrap();
            // It is the client's before the next one is said.
            assert_eq!(out, sent, "{} event {nth}", sample.name);
        }
        restorer.push(Bytes::from_static(after.as_bytes()), 1 << 20, &context, &mut out).await.unwrap();
        restorer.finish(&context, &mut out).await;
        assert_eq!(out, sample.written(&frames), "{}", sample.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Any words in all fields of any reply, in any chunks: always the same bytes.
    #[test]
    fn no_chunks_change_a_reply_of_any_protocol(
        nth in any::<prop::sample::Index>(),
        words in prop::collection::vec(prop::sample::select(vec![
            "@@", "~~", "[EMAIL", "\\[@@", "&#91;", "[", "]", "é", "\u{1f600}", "\n", "\\", "PERSON_", "so", "boris@example.org",
        ]), 0..8),
        cut in 0..80_usize,
        chunks in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        redacts: bool,
    ) {
        let is_streamed = |one: &&Sample| !one.is_socket && protocol(&one.protocol).socket.framing.is_none();
        let all: Vec<&Sample> = SAMPLES.iter().filter(is_streamed).collect();
        let sample = nth.get(&all);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (desk, protocol) = (Desk::new().await, protocol(&sample.protocol));
            let context = if redacts { desk.redacting(protocol).await } else { desk.context(protocol).await };
            let text = words.concat().replace("@@", &desk.email).replace("~~", &desk.nasty);
            let stream = sample.written(&sample.fill(&Said { text: &text, cut }).0);
            let want = whole(sample.shape, &stream, &context).await;
            let mut cuts: Vec<usize> = chunks.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
            assert_eq!(restored(sample.shape, &chunks, &context).await, want, "{}", sample.name);
        });
    }
}
