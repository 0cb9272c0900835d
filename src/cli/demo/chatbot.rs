//! The demo's chatbot: an upstream of the `OpenAI` chat-completions format on
//! loopback. It answers from what it was sent, and shows on its site what
//! that was.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialogue::{self, Turn};
use super::site::{Feed, Seen, Speaker};
use crate::clock;

const MODEL: &str = "corner-shop-1";

/// What all requests share.
pub(super) struct Chatbot {
    feed: Feed,
    answered: AtomicU64,
}

impl Chatbot {
    /// A chatbot that tells `feed` what it receives and answers.
    pub(super) fn new(feed: Feed) -> Self {
        Self { feed, answered: AtomicU64::new(0) }
    }
}

/// `POST /v1/chat/completions` and `GET /v1/models`.
pub(super) fn router(chatbot: Chatbot) -> axum::Router {
    axum::Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/models", get(models))
        .with_state(Arc::new(chatbot))
}

#[derive(Deserialize)]
struct ChatRequest {
    #[serde(default)]
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    n: Option<u8>,
    #[serde(default)]
    metadata: Option<Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

async fn models() -> Response {
    json_response(
        StatusCode::OK,
        &json!({
            "object": "list",
            "data": [{"id": MODEL, "object": "model", "created": 1_767_225_600, "owned_by": "corner-shop"}],
        }),
    )
}

async fn chat(State(chatbot): State<Arc<Chatbot>>, request: Request) -> Response {
    let head = head_of(&request);
    let Ok(body) = axum::body::to_bytes(request.into_body(), 32 << 20).await else {
        return refusal("The body is too large or was cut off.");
    };
    let Ok(asked) = serde_json::from_slice::<ChatRequest>(&body) else {
        return refusal("The body is not a chat-completions request.");
    };
    let turns: Vec<Turn> =
        asked.messages.iter().map(|m| Turn { from_person: m.role == "user", text: text_of(&m.content) }).collect();
    let number = chatbot.answered.fetch_add(1, Ordering::Relaxed);
    chatbot.feed.tell(&Seen::Request {
        id: number,
        window: asked.metadata.as_ref().and_then(|m| m.get("window")).and_then(Value::as_str),
        text: turns.iter().rev().find(|t| t.from_person).map_or("", |t| &t.text),
        head: &head,
        body: std::str::from_utf8(&body).unwrap_or_default(),
    });
    let answer = Answer {
        speaker: Speaker::new(chatbot.feed.clone(), number),
        text: dialogue::reply(&turns),
        id: format!("chatcmpl-demo-{number}"),
        created: clock::unix_seconds(),
        model: asked.model.unwrap_or_else(|| MODEL.to_owned()),
        choices: asked.n.unwrap_or(1).clamp(1, 8),
        prompt_words: turns.iter().map(|t| words(&t.text)).sum(),
    };
    if asked.stream { answer.streamed(asked.stream_options.is_some_and(|o| o.include_usage)) } else { answer.whole() }
}

struct Answer {
    speaker: Speaker,
    text: String,
    id: String,
    created: u64,
    model: String,
    choices: u8,
    prompt_words: usize,
}

impl Answer {
    fn whole(self) -> Response {
        self.speaker.say(&self.text);
        let choices: Vec<Value> = (0..self.choices)
            .map(|index| {
                json!({
                    "index": index,
                    "message": {"role": "assistant", "content": self.text, "refusal": null},
                    "logprobs": null,
                    "finish_reason": "stop",
                })
            })
            .collect();
        json_response(
            StatusCode::OK,
            &json!({
                "id": self.id,
                "object": "chat.completion",
                "created": self.created,
                "model": self.model,
                "choices": choices,
                "usage": self.usage(),
            }),
        )
    }

    /// Server-sent events, a piece of the text at a time, as a model would
    /// make them.
    fn streamed(self, include_usage: bool) -> Response {
        let frames = self.frames(include_usage);
        let events = stream::unfold((frames.into_iter(), self.speaker), |(mut frames, speaker)| async move {
            let frame = frames.next()?;
            tokio::time::sleep(frame.pause).await;
            if let Some(said) = &frame.said {
                speaker.say(said);
            }
            Some((Ok::<_, Infallible>(Event::default().data(frame.data)), (frames, speaker)))
        });
        Sse::new(events).into_response()
    }

    fn frames(&self, include_usage: bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        for index in 0..self.choices {
            frames.push(self.chunk(index, &json!({"role": "assistant", "content": ""}), None));
        }
        for (i, piece) in dialogue::pieces(&self.text).into_iter().enumerate() {
            for index in 0..self.choices {
                let mut frame = self.chunk(index, &json!({"content": piece}), None);
                if index == 0 {
                    // 20 to 40 ms, as if somebody were thinking about it.
                    frame.pause = Duration::from_millis(20 + (i as u64 * 13) % 21);
                    frame.said = Some(piece.to_owned());
                }
                frames.push(frame);
            }
        }
        for index in 0..self.choices {
            frames.push(self.chunk(index, &json!({}), Some("stop")));
        }
        if include_usage {
            let mut last = self.envelope();
            if let Some(fields) = last.as_object_mut() {
                fields.insert("choices".to_owned(), json!([]));
                fields.insert("usage".to_owned(), self.usage());
            }
            frames.push(Frame::new(last.to_string()));
        }
        frames.push(Frame::new("[DONE]".to_owned()));
        frames
    }

    fn chunk(&self, index: u8, delta: &Value, finish: Option<&str>) -> Frame {
        let mut chunk = self.envelope();
        if let Some(fields) = chunk.as_object_mut() {
            let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
            fields.insert("choices".to_owned(), json!([choice]));
        }
        Frame::new(chunk.to_string())
    }

    fn envelope(&self) -> Value {
        json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model})
    }

    fn usage(&self) -> Value {
        let said = words(&self.text) * usize::from(self.choices);
        json!({
            "prompt_tokens": self.prompt_words,
            "completion_tokens": said,
            "total_tokens": self.prompt_words + said,
        })
    }
}

/// One server-sent event, the pause before it, and what it adds to the text
/// of the first choice.
struct Frame {
    data: String,
    pause: Duration,
    said: Option<String>,
}

impl Frame {
    fn new(data: String) -> Self {
        Self { data, pause: Duration::ZERO, said: None }
    }
}

/// The text of a message: a string, or the text parts of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|p| p.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// The request's head as it arrived, for the page. What proves an identity
/// is left out.
fn head_of(request: &Request) -> String {
    let mut head = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in visible(request.headers()) {
        // Writing to a string cannot fail.
        let _ = writeln!(head, "{name}: {value}");
    }
    head
}

fn visible(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .iter()
        .filter(|(name, _)| **name != header::AUTHORIZATION && **name != header::COOKIE)
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("…")))
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn refusal(why: &str) -> Response {
    let error = json!({"message": why, "type": "invalid_request_error", "param": null, "code": null});
    json_response(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let bytes = Bytes::from(body.to_string());
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    async fn ask(body: &str) -> (StatusCode, String) {
        let app = TowerToHyperService::new(router(Chatbot::new(Feed::new())));
        let request = Request::post("/v1/chat/completions").body(Body::from(body.to_owned())).unwrap();
        let response = app.call(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, std::str::from_utf8(&bytes).unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_whole_answer_has_the_format_of_chat_completions() {
        let (status, body) =
            ask(r#"{"messages": [{"role": "user", "content": "I am [PERSON_7K3FQ2MZ]"}], "n": 2}"#).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["object"], "chat.completion");
        assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
        assert_eq!(answer["choices"][1]["finish_reason"], "stop");
        assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("[PERSON_7K3FQ2MZ]"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_streamed_answer_is_role_pieces_stop_usage_done() {
        let (_, body) =
            ask(r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi, [EMAIL_7K3FQ2MZ]"}]}],
                "stream": true, "stream_options": {"include_usage": true}}"#)
            .await;
        let data: Vec<&str> = body.lines().filter_map(|l| l.strip_prefix("data: ")).collect();
        let chunks: Vec<Value> = data.iter().filter_map(|d| serde_json::from_str(d).ok()).collect();
        assert_eq!(data.last(), Some(&"[DONE]"));
        assert_eq!(chunks.len() + 1, data.len());
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
        assert!(text.contains("[EMAIL_7K3FQ2MZ]"), "{text}");
        assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
        assert!(chunks[chunks.len() - 1]["usage"]["total_tokens"].as_u64().unwrap() > 0);
    }

    #[tokio::test]
    async fn what_is_no_chat_request_is_refused_in_the_format() {
        let (status, body) = ask(r#"{"messages": 7}"#).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(serde_json::from_str::<Value>(&body).unwrap()["error"]["message"].is_string());
    }
}
