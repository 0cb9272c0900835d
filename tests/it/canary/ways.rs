//! The ways in which people's data comes to the gateway, and what each of them
//! must lead to.

use super::chatbot::PLAY;
use super::identity::Identity;
use crate::support::{Client, Reply, chat, streamed_text};
use bytes::Bytes;
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest request body of the gateway under test.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// What the rule of the gateway under test blocks.
pub(crate) const FORBIDDEN: &str = "zz-forbidden";

const CHAT: &str = "/v1/chat/completions";
const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");
const CONSENT: (&str, &str) = ("privet-consent", "support");

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    // Answered, and all comes back.
    Chat,
    ChatStream,
    ChatEscaped,
    ToolCall,
    ToolCallEscaped,
    IdentityFields,
    PlainText,
    Untyped,
    NumbersAndKeys,
    Query,
    Path,
    Cookie,
    Header,
    Form,
    ChatbotRefuses,
    ChatbotFails,
    // Answered without the data.
    Anonymized,
    // Refused.
    NoConsent,
    ConsentGarbled,
    SubjectGarbled,
    TooLarge,
    UnknownType,
    BrokenJson,
    NotUtf8,
    Blocked,
    OwnPath,
    HeadTooLarge,
    NotHttp,
    // Gone wrong on the way.
    ChatbotBreaksOff,
    ChatbotBreaksOffInReply,
    ClientGoneInReply,
    ClientGoneInRequest,
}

impl Way {
    pub(crate) const ALL: [Self; 32] = [
        Self::Chat,
        Self::ChatStream,
        Self::ChatEscaped,
        Self::ToolCall,
        Self::ToolCallEscaped,
        Self::IdentityFields,
        Self::PlainText,
        Self::Untyped,
        Self::NumbersAndKeys,
        Self::Query,
        Self::Path,
        Self::Cookie,
        Self::Header,
        Self::Form,
        Self::ChatbotRefuses,
        Self::ChatbotFails,
        Self::Anonymized,
        Self::NoConsent,
        Self::ConsentGarbled,
        Self::SubjectGarbled,
        Self::TooLarge,
        Self::UnknownType,
        Self::BrokenJson,
        Self::NotUtf8,
        Self::Blocked,
        Self::OwnPath,
        Self::HeadTooLarge,
        Self::NotHttp,
        Self::ChatbotBreaksOff,
        Self::ChatbotBreaksOffInReply,
        Self::ClientGoneInReply,
        Self::ClientGoneInRequest,
    ];
}

/// What the client was sent.
#[derive(Default)]
pub(crate) struct Got {
    /// Status and headers.
    pub(crate) head: Vec<u8>,
    /// The text of the reply, streams put together.
    pub(crate) body: Vec<u8>,
    /// Whether the body is to hold the person's data, all of it; else none.
    pub(crate) restored: bool,
}

/// Sends what `one` has to say, and checks how it is answered.
pub(crate) async fn plant(way: Way, one: &Identity, gateway: &str) -> Got {
    let client = Client::new(gateway);
    let plan = Planting { one, client: &client };
    match way {
        Way::Chat => plan.restored_text("", chat(&one.says()).to_string()).await,
        Way::ChatStream => {
            let reply = plan.send(CHAT, "stream", JSON, chat(&one.says()).to_string()).await;
            let text = streamed_text(reply.text(), 0);
            assert_eq!(text, one.says());
            Got { body: text.into(), ..got(&reply, true) }
        }
        Way::ChatEscaped => plan.restored_text("", chat("@").to_string().replace('@', &escaped(&one.says()))).await,
        Way::ToolCall => plan.tool_call(&arguments(one).to_string()).await,
        Way::ToolCallEscaped => {
            let Value::Object(members) = arguments(one) else { unreachable!() };
            let members =
                members.iter().map(|(key, value)| format!("{key:?} :\t\"{}\"", escaped(value.as_str().unwrap())));
            plan.tool_call(&format!("{{ {} }}", members.collect::<Vec<_>>().join(","))).await
        }
        Way::IdentityFields => {
            let said = json!({"model": "mock", "user": one.email, "safety_identifier": one.phone,
                "messages": [{"role": "user", "name": one.person, "content": "Who am I?"}],
                "metadata": {"ip": one.ipv4, "home": one.ipv6, "card": one.card, "iban": one.iban}});
            let reply = plan.send(CHAT, "body", JSON, said.to_string()).await;
            assert_eq!(reply.json(), said);
            got(&reply, true)
        }
        Way::PlainText => plan.restored_body(TEXT, one.says()).await,
        Way::Untyped => plan.restored_body(("x-untyped", "1"), one.says()).await,
        Way::NumbersAndKeys => {
            let number =
                |card: &str| format!("{{\"card\": {card}, \"name\": \"{}\", \"iban\":\"{}\",", one.person, one.iban);
            let keys = format!(
                "\"{}\": [{{\"from\": \"{}\"}}, \"{}\"], \"tel\":\"{}\"}}",
                one.email, one.ipv4, one.ipv6, one.phone
            );
            let reply = plan.send("/webhooks/chat", "body", JSON, number(&one.card_digits()) + &keys).await;
            assert_eq!(reply.text(), number(&format!("\"{}\"", one.card_digits())) + &keys);
            got(&reply, true)
        }
        Way::Query => plan.head(&format!("/hook?{}&x=1", fields(one)), ("x-nothing", "1")).await,
        Way::Path => plan.head(&format!("/hook/{}/end", percent(&one.says())), ("x-nothing", "1")).await,
        Way::Cookie => plan.head("/hook", ("cookie", &format!("sid=1; said={}; x=1", percent(&one.says())))).await,
        Way::Header => plan.head("/hook", ("x-said", &one.says())).await,
        Way::Form => {
            let form = ("content-type", "application/x-www-form-urlencoded");
            got(&plan.send("/hook", "body as text", form, fields(one)).await, true)
        }
        Way::ChatbotRefuses => plan.echoed("refuse", 400).await,
        Way::ChatbotFails => plan.echoed("fail", 500).await,
        Way::Anonymized => {
            let body = chat(&one.says()).to_string();
            let reply = client.send("POST", &format!("/anon{CHAT}"), &[JSON, plan.whose()], body).await;
            assert!(reply.says().contains("My name is [PERSON]. Write to [EMAIL] or"), "{}", reply.says());
            got(&reply, false)
        }
        Way::NoConsent => {
            plan.refused(&[JSON, plan.whose()], chat(&one.says()).to_string(), 403, "consent-required").await
        }
        Way::ConsentGarbled => {
            let headers = [JSON, ("privet-consent", &*one.email), plan.whose()];
            plan.refused(&headers, chat(&one.says()).to_string(), 403, "consent-required").await
        }
        Way::SubjectGarbled => {
            let headers = [JSON, CONSENT, ("privet-subject", &*format!("I am {}", one.email))];
            plan.refused(&headers, chat(&one.says()).to_string(), 400, "bad-header").await
        }
        Way::TooLarge => {
            let body = chat(&format!("{} {}", one.says(), "and so on ".repeat(BODY_LIMIT / 10))).to_string();
            plan.refused(&[JSON, CONSENT, plan.whose()], body, 413, "too-large").await
        }
        Way::UnknownType => {
            let headers = [("content-type", "application/x-protobuf"), CONSENT, plan.whose()];
            plan.refused(&headers, one.says(), 415, "unsupported-body").await
        }
        Way::BrokenJson => {
            let body = chat(&one.says()).to_string().replace('}', "");
            plan.refused(&[JSON, CONSENT, plan.whose()], body, 415, "unsupported-body").await
        }
        Way::NotUtf8 => {
            let body = [chat(&one.says()).to_string().as_bytes(), b"\xff\xfe"].concat();
            plan.refused(&[JSON, CONSENT, plan.whose()], body, 415, "unsupported-body").await
        }
        Way::Blocked => {
            let body = chat(&format!("{} {FORBIDDEN}-{}", one.says(), one.number)).to_string();
            plan.refused(&[JSON, CONSENT, plan.whose()], body, 422, "blocked").await
        }
        Way::OwnPath => {
            let reply = client.get(&format!("/.privet/{}?ip={}", one.email, one.ipv4)).await;
            reply.problem(404, "not-found");
            got(&reply, false)
        }
        Way::HeadTooLarge => {
            let said = format!("GET / HTTP/1.1\r\nhost: x\r\nx-said: {}\r\n\r\n", one.says().repeat(300));
            plan.raw(gateway, said.as_bytes()).await
        }
        Way::NotHttp => plan.raw(gateway, format!("{}\r\n\r\n", one.says()).as_bytes()).await,
        Way::ChatbotBreaksOff => {
            let reply = plan.send(CHAT, "break off", JSON, chat(&one.says()).to_string()).await;
            reply.problem(502, "upstream-failed");
            got(&reply, false)
        }
        Way::ChatbotBreaksOffInReply => {
            let mut reply = plan.open("break off in the reply").await.into_body();
            let mut broken = false;
            while let Some(frame) = reply.frame().await {
                broken = frame.is_err();
            }
            assert!(broken, "the client was told that the reply is whole");
            Got::default()
        }
        Way::ClientGoneInReply => {
            let mut reply = plan.open("stream slowly").await.into_body();
            reply.frame().await.unwrap().unwrap();
            Got::default()
        }
        Way::ClientGoneInRequest => plan.gone_in_request(gateway).await,
    }
}

/// Sends what `one` has to say in every place of a request, and asks for no way
/// back: what the operators of the gateway leave of it is for others to see.
pub(crate) async fn tell(one: &Identity, gateway: &str) {
    let client = Client::new(gateway);
    let plan = Planting { one, client: &client };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let mut fields_of_json = arguments(one);
    fields_of_json["card_number"] = one.card_digits().parse::<u64>().unwrap().into();
    for (path, play, kind, body) in [
        (CHAT, "", JSON, chat(&one.says()).to_string()),
        (CHAT, "stream", JSON, chat(&one.says()).to_string()),
        ("/hook", "body", JSON, fields_of_json.to_string()),
        ("/hook", "body", TEXT, one.says()),
        ("/hook", "body as text", form, fields(one)),
    ] {
        assert_eq!(plan.send(path, play, kind, body).await.status, 200, "{path} {play}");
    }
    plan.head(&format!("/hook?{}&x=1", fields(one)), ("x-nothing", "1")).await;
    plan.head(&format!("/hook/{}/end", percent(&one.says())), ("x-nothing", "1")).await;
    plan.head("/hook", ("cookie", &format!("sid=1; said={}; x=1", percent(&one.says())))).await;
    plan.head("/hook", ("x-said", &one.says())).await;
}

/// A chat whose reply is still being streamed when something happens to the
/// gateway. Gives what came of the reply.
pub(crate) async fn chat_slowly(one: &Identity, gateway: &str) -> String {
    let client = Client::new(gateway);
    let mut reply = Planting { one, client: &client }.open("stream slowly").await.into_body();
    let mut came = Vec::new();
    while let Some(Ok(frame)) = reply.frame().await {
        came.extend_from_slice(&frame.into_data().unwrap());
    }
    String::from_utf8(came).unwrap()
}

/// A chat that finds no chatbot.
pub(crate) async fn chat_with_nobody(one: &Identity, gateway: &str) -> Got {
    let client = Client::new(gateway);
    let reply = Planting { one, client: &client }.send(CHAT, "", JSON, chat(&one.says()).to_string()).await;
    reply.problem(502, "upstream-failed");
    got(&reply, false)
}

struct Planting<'p> {
    one: &'p Identity,
    client: &'p Client,
}

impl Planting<'_> {
    /// Some are known to the site, some by their conversation, some not at all.
    fn whose(&self) -> (&'static str, &str) {
        match self.one.number % 3 {
            0 => ("privet-subject", &self.one.subject),
            1 => ("privet-conversation", &self.one.subject),
            _ => ("x-nobody", "1"),
        }
    }

    async fn send(&self, path: &str, play: &str, kind: (&str, &str), body: impl Into<Bytes>) -> Reply {
        self.client.send("POST", path, &[kind, CONSENT, self.whose(), (PLAY, play)], body).await
    }

    async fn open(&self, play: &str) -> http::Response<hyper::body::Incoming> {
        let body = chat(&self.one.says()).to_string();
        self.client.open("POST", CHAT, &[JSON, CONSENT, self.whose(), (PLAY, play)], body).await
    }

    /// The chatbot says it back.
    async fn restored_text(&self, play: &str, body: String) -> Got {
        let reply = self.send(CHAT, play, JSON, body).await;
        assert_eq!(reply.says(), self.one.says());
        got(&reply, true)
    }

    /// The chatbot sends the body back.
    async fn restored_body(&self, kind: (&str, &str), body: String) -> Got {
        let reply = self
            .send("/hook", if kind.0 == "content-type" { "body" } else { "body as text" }, kind, body.clone())
            .await;
        assert_eq!(reply.text(), body);
        got(&reply, true)
    }

    /// The chatbot says what stood in the head of the request.
    async fn head(&self, path: &str, header: (&str, &str)) -> Got {
        let headers = [CONSENT, self.whose(), (PLAY, "head"), header];
        let reply = self.client.send("GET", path, &headers, "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        got(&reply, true)
    }

    async fn tool_call(&self, arguments: &str) -> Got {
        let call = json!({"id": "call_1", "type": "function", "function": {"name": "save", "arguments": arguments}});
        let body = json!({"model": "mock", "messages": [{"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": self.one.says()}]});
        let reply = self.send(CHAT, "call a tool", JSON, body.to_string()).await;
        let called = reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].take();
        let called: Value = serde_json::from_str(called.as_str().unwrap()).unwrap();
        assert_eq!(called, serde_json::from_str::<Value>(arguments).unwrap());
        Got { body: called.to_string().into(), ..got(&reply, true) }
    }

    /// The chatbot complains, and quotes what was said.
    async fn echoed(&self, play: &str, status: u16) -> Got {
        let reply = self.send(CHAT, play, JSON, chat(&self.one.says()).to_string()).await;
        assert_eq!(reply.status, status);
        assert!(reply.text().contains(&self.one.says()), "{}", reply.text());
        got(&reply, true)
    }

    async fn refused(&self, headers: &[(&str, &str)], body: impl Into<Bytes>, status: u16, problem: &str) -> Got {
        let reply = self.client.send("POST", CHAT, headers, body).await;
        reply.problem(status, problem);
        got(&reply, false)
    }

    /// Most of the body is sent when the connection ends.
    async fn gone_in_request(&self, gateway: &str) -> Got {
        let address = gateway.strip_prefix("http://").unwrap();
        let body = chat(&self.one.says()).to_string();
        let (name, value) = self.whose();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nprivet-consent: support\r\n\
             {name}: {value}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.raw(gateway, (head + &body[..body.len() - 1]).as_bytes()).await
    }

    /// These bytes, and no more. Whether the gateway answers or hangs up is up to it.
    async fn raw(&self, gateway: &str, bytes: &[u8]) -> Got {
        let mut socket = TcpStream::connect(gateway.strip_prefix("http://").unwrap()).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
        Got { body: answer, ..Got::default() }
    }
}

fn got(reply: &Reply, restored: bool) -> Got {
    let mut head = format!("{}\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.push(b'\n');
    }
    Got { head, body: reply.body.to_vec(), restored }
}

/// As a query or a form.
fn fields(one: &Identity) -> String {
    let Value::Object(members) = arguments(one) else { unreachable!() };
    let field = |(name, value): (&String, &Value)| format!("{name}={}", percent(value.as_str().unwrap()));
    let fields: Vec<String> = members.iter().map(field).collect();
    format!("{}&said={}", fields.join("&"), percent(&one.says()).replace("%20", "+"))
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn arguments(one: &Identity) -> Value {
    let names = [("person", "name"), ("ipv4", "last_login_from"), ("ipv6", "home")];
    let name = |what: &str| names.iter().find(|(from, _)| *from == what).map_or(what, |(_, to)| to).to_owned();
    one.values()
        .into_iter()
        .map(|(what, value)| (name(what), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// As a JSON string may spell it: every character by its number.
fn escaped(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut all, unit| {
        write!(all, "\\u{unit:04x}").unwrap();
        all
    })
}
