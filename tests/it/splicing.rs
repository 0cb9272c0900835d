//! What is not personal data passes byte for byte, and how the network cuts a
//! stream changes nothing of it.

use crate::random::Random;
use crate::support::{Client, Setup, Upstream, chat_stream, tokens};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const DOCUMENTS: usize = 250;
const CUTTINGS: usize = 150;

/// A JSON document in an odd spelling, with mail addresses in it.
#[derive(Default)]
struct Document {
    /// What stands around the addresses: one piece more than there are addresses.
    around: Vec<String>,
    addresses: Vec<String>,
    /// The document as it is sent.
    text: String,
}

/// Words in which no rule finds anything.
const WORDS: [&str; 12] =
    ["the", "green", "boat", "drifts", "slowly", "past", "willows", "under", "low", "bridges", "of", "stone"];
const KEYS: [&str; 8] = ["a", "item", "Boat", "text", "b\\u0065st", "", "list of things", "\\ud83d\\ude80"];
const ODD: [&str; 14] = [
    "\\n",
    "\\\"",
    "\\\\",
    "\\/",
    "\\u00e9",
    "é",
    "\\ud83d\\ude00",
    "😀",
    "\\t",
    "<b>",
    "&amp;",
    "[x]",
    "{}",
    "\\u0000",
];
const NUMBERS: [&str; 10] = ["0", "-0", "1.50", "1e5", "-2.5E-3", "123456", "0.1e+2", "6.02e23", "100000", "-7"];
const SPACES: [&str; 6] = ["", "", "", " ", "\n\t", "\r\n "];

impl Document {
    fn invent(random: &mut Random) -> Self {
        let mut document = Self { around: vec![String::new()], ..Self::default() };
        document.value(random, 0, true);
        document.space(random);
        document
    }

    fn put(&mut self, text: &str) {
        self.around.last_mut().unwrap().push_str(text);
        self.text.push_str(text);
    }

    fn space(&mut self, random: &mut Random) {
        self.put(random.one_of(&SPACES));
    }

    fn value(&mut self, random: &mut Random, depth: usize, whole: bool) {
        self.space(random);
        match random.below(if whole {
            2
        } else if depth < 5 {
            8
        } else {
            5
        }) + if whole { 5 } else { 0 }
        {
            0..3 => self.string(random, &[]),
            3 => self.put(random.one_of(&NUMBERS)),
            4 => self.put(random.one_of(&["true", "false", "null"])),
            kind => {
                let (open, close) = if kind == 5 { ("[", "]") } else { ("{", "}") };
                self.put(open);
                for at in 0..random.below(if whole { 12 } else { 5 }) {
                    if at > 0 {
                        self.put(",");
                    }
                    self.space(random);
                    if kind != 5 {
                        self.string(random, &KEYS);
                        self.space(random);
                        self.put(":");
                    }
                    self.value(random, depth + 1, false);
                    self.space(random);
                }
                self.put(close);
            }
        }
    }

    /// A string of words, or one of these; sometimes with an address in it.
    fn string(&mut self, random: &mut Random, of: &[&str]) {
        self.put("\"");
        if !of.is_empty() && !random.once_in(6) {
            self.put(random.one_of(of));
            return self.put("\"");
        }
        for at in 0..random.below(6) {
            if at > 0 {
                self.put(" ");
            }
            match random.below(8) {
                0 => self.address(random),
                1 | 2 => self.put(random.one_of(&ODD)),
                _ => self.put(random.one_of(&WORDS)),
            }
        }
        self.put("\"");
    }

    fn address(&mut self, random: &mut Random) {
        let address = format!("{}.{}@example.com", random.one_of(&WORDS), random.digits(3));
        for c in address.chars() {
            if random.once_in(7) {
                write!(self.text, "\\u{:04x}", u32::from(c)).unwrap();
            } else {
                self.text.push(c);
            }
        }
        self.addresses.push(address);
        self.around.push(String::new());
    }

    /// The document with these in the places of the addresses.
    fn with(&self, instead: &[String]) -> String {
        let mut text = self.around[0].clone();
        for (one, behind) in instead.iter().zip(&self.around[1..]) {
            text.push_str(one);
            text.push_str(behind);
        }
        text
    }
}

#[tokio::test]
async fn all_but_the_addresses_of_any_document_passes_byte_for_byte() {
    let upstream =
        Upstream::start(|request| crate::support::Answer::new("application/json", vec![request.body.clone()])).await;
    let privet = Setup::new(&upstream).start();
    let client = Client::new(&privet.gateway);
    let headers = [("content-type", "application/json"), ("privet-consent", "support"), ("privet-subject", "u1")];
    let (mut replaced, mut without) = (0, 0);
    for seed in 0..DOCUMENTS as u64 {
        let document = Document::invent(&mut Random::new(seed));
        let reply = client.send("POST", "/webhook", &headers, document.text.clone()).await;
        assert_eq!(reply.status, 200, "seed {seed}: {}", document.text);
        let seen = upstream.last();
        let tokens = tokens(seen.text());
        assert_eq!(tokens.len(), document.addresses.len(), "seed {seed}: {}\n{}", document.text, seen.text());
        assert_eq!(seen.text(), document.with(&tokens), "seed {seed}: {}", document.text);
        // What was spelled by numbers comes back in letters; the rest as it was.
        assert_eq!(reply.text(), document.with(&document.addresses), "seed {seed}");
        replaced += tokens.len();
        without += usize::from(tokens.is_empty());
    }
    println!("{replaced} addresses in {DOCUMENTS} documents, {without} without any");
    assert!(replaced > DOCUMENTS && without > DOCUMENTS / 20, "the documents show too little");
}

#[tokio::test]
async fn however_the_network_cuts_a_stream_the_client_is_sent_the_same() {
    let plan = Arc::new(Mutex::new(Vec::new()));
    let address = raw_chatbot(Arc::clone(&plan)).await;
    let privet = Setup::at(&address).start();
    let client = Client::new(&privet.gateway);
    let said = "ana@example.com, bo.b@example.org, \"quoted\"";
    let request = chat_stream(said);
    let mut random = Random::new(7);
    let whole = client.chat(&request, &[("privet-subject", "u1")]).await;
    let (text, arguments) = heard(whole.text());
    assert_eq!(arguments, "{\"to\": \"bo.b@example.org\", \"n\": 1}", "{}", whole.text());
    assert_eq!(text, format!("{said} — so `ana@example.com`, and bo.b@example.org? [EMAIL_"), "{}", whole.text());
    for kept in [": hello", "retry: 1000", "id: 1", ": ping", "event: message", "retry: 5"] {
        assert!(whole.text().contains(kept), "{kept} is lost: {}", whole.text());
    }
    // Nothing but what the stream said has changed: the line ends are as they were.
    assert!(whole.text().contains("event: message\r\ndata: {\"usage\":null,\r\n"), "{:?}", whole.text());
    for cutting in 0..CUTTINGS {
        // Every byte on its own, then few cuts, some, or many.
        let cuts = if cutting == 0 { (1..4000).collect() } else { cuts(&mut random) };
        plan.lock().unwrap().clone_from(&cuts);
        let reply = client.chat(&request, &[("privet-subject", "u1")]).await;
        assert_eq!(reply.text(), whole.text(), "cut at {cuts:?}");
    }
}

fn cuts(random: &mut Random) -> Vec<usize> {
    let (least, most) = random.one_of(&[(1, 4), (4, 30), (30, 200)]);
    let mut cuts: Vec<usize> = (0..random.between(least, most)).map(|_| random.below(3000)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// The stream that is cut: two choices and a tool call in turns, tokens over
/// several events, all that a stream of events may hold besides.
fn stream_for(said: &str) -> Vec<u8> {
    let tokens = tokens(said);
    let event = |choice: Value| format!("data: {}\n\n", json!({"id": "c1", "choices": [choice]}));
    let says = |text: &str| event(json!({"index": 0, "delta": {"content": text}}));
    let calls = |text: &str| {
        let call = json!({"index": 0, "function": {"arguments": text}});
        event(json!({"index": 1, "delta": {"tool_calls": [call]}})).replace("data: ", "data:").replace('\n', "\r\n")
    };
    let (first, second) = (&tokens[0], &tokens[1]);
    [
        "\u{feff}: hello\n\n".to_owned(),
        "retry: 1000\nid: 1\n\n".to_owned(),
        says(&first[..3]),
        calls(&format!("{{\"to\": \"{}", &second[..9])),
        says(&first[3..]),
        ": ping\r\n\r\n".to_owned(),
        says(&format!(", {second}, \"quo")),
        calls(&format!("{}\", \"n\": 1}}", &second[9..])),
        says("ted\" — so `"),
        says(&first.to_lowercase().replace(['[', ']'], "")),
        lines("event: message", &says("`, and ")).replace('\n', "\r\n"),
        says(&second.replace('[', "\\[")[..6]),
        says(&second.replace('[', "\\[")[6..]),
        says("? [EMAIL_").replace('\n', "\r\n"),
        event(json!({"index": 0, "delta": {}, "finish_reason": "stop"})).replace('\n', "\r"),
        event(json!({"index": 1, "delta": {}, "finish_reason": "tool_calls"})),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
    .into()
}

/// What the first choice says and the second one calls, by a plain reading of
/// the whole stream (WHATWG HTML, 9.2.6).
fn heard(stream: &str) -> (String, String) {
    let (mut said, mut arguments) = (String::new(), String::new());
    for event in stream.replace("\r\n", "\n").replace('\r', "\n").split("\n\n") {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        let data = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let Ok(event) = serde_json::from_str::<Value>(&data) else {
            assert!(["", "[DONE]"].contains(&&*data), "no JSON: {data:?}");
            continue;
        };
        let delta = &event["choices"][0]["delta"];
        said.push_str(delta["content"].as_str().unwrap_or_default());
        arguments.push_str(delta["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or_default());
    }
    (said, arguments)
}

/// The event with a line more, and its data over two lines.
fn lines(line: &str, event: &str) -> String {
    format!("{line}\n{}", event.replace("\"choices\"", "\"usage\":null,\nretry: 5\ndata: \"choices\""))
}

/// A chatbot that writes its stream to the socket in the pieces of the plan.
async fn raw_chatbot(plan: Arc<Mutex<Vec<usize>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let cuts = plan.lock().unwrap().clone();
            tokio::spawn(async move {
                socket.set_nodelay(true).unwrap();
                let body = request_body(&mut socket).await;
                let said: Value = serde_json::from_slice(&body).unwrap();
                let stream = stream_for(said["messages"][0]["content"].as_str().unwrap());
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                socket.write_all(head.as_bytes()).await.unwrap();
                let mut from = 0;
                for cut in cuts.into_iter().filter(|cut| *cut < stream.len()).chain([stream.len()]) {
                    socket.write_all(&stream[from..cut]).await.unwrap();
                    from = cut;
                    // Time for the gateway to read the piece before the next one is there.
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            });
        }
    });
    address
}

async fn request_body(socket: &mut tokio::net::TcpStream) -> Vec<u8> {
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let n = socket.read(&mut piece).await.unwrap();
        read.extend_from_slice(&piece[..n]);
        let Some(head) = read.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let text = String::from_utf8(read[..head].to_vec()).unwrap().to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if read.len() == head + 4 + length.parse::<usize>().unwrap() {
            return read.split_off(head + 4);
        }
    }
}
