//! A chatbot that answers each request as the test says, with the tokens that
//! it received.

use super::{Answer, Client, Privet, Recorded, Reply, Setup, Upstream, tokens};
use bytes::Bytes;
use std::sync::{Arc, Mutex};

type Script = dyn Fn(&Recorded) -> Answer + Send;

/// A chatbot, the gateway in front of it, and a client.
pub struct Dialogue {
    pub upstream: Upstream,
    pub privet: Privet,
    pub client: Client,
    script: Arc<Mutex<Box<Script>>>,
}

impl Dialogue {
    /// With this much more configuration.
    pub async fn new(toml: &str) -> Self {
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(|_| Answer::says("ok"))));
        let current = Arc::clone(&script);
        let upstream = Upstream::start(move |request| current.lock().unwrap()(request)).await;
        let privet = Setup::new(&upstream).toml(toml).start();
        let client = Client::new(&privet.gateway);
        Self { upstream, privet, client, script }
    }

    /// From now on the chatbot answers so.
    pub fn answers(&self, script: impl Fn(&Recorded) -> Answer + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// The same, given the first token of the request.
    pub fn answers_with(&self, script: impl Fn(&str) -> Answer + Send + 'static) {
        self.answers(move |request| script(&tokens(request.text())[0]));
    }

    /// The chatbot answers with this body, in which `@@` and `~~` stand for the
    /// first token of the request, cut into pieces of so many bytes.
    pub fn answers_text(&self, content_type: &'static str, body: &str, piece: usize) {
        let body = body.to_owned();
        self.answers_with(move |token| {
            let body = body.replace("@@", token).replace("~~", token).into_bytes();
            Answer::new(content_type, body.chunks(piece).map(Bytes::copy_from_slice).collect())
        });
    }

    /// Sends this body as JSON, with consent.
    pub async fn ask(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.ask_with(path, &[], body).await
    }

    pub async fn ask_with(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let mut all = vec![("content-type", "application/json"), super::CONSENT];
        all.extend_from_slice(headers);
        self.client.send("POST", path, &all, body).await
    }
}
