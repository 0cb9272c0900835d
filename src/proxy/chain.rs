//! Conversations of which the upstream keeps what was said: each request goes
//! on from the id of a reply, and so its subject is found again by that id.

use super::reply::ReplyError;
use super::subject;
use super::watch::Watch;
use crate::json::{self, Path, Str, Visitor};
use crate::protocol::Protocol;
use crate::telemetry::VaultOperation;
use crate::vault::Vault;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::sync::Arc;

/// The id of a reply stands in the first event of a stream; further than this
/// it is not looked for.
const LONGEST_SEARCH: usize = 64 * 1024;

/// Links the ids of the replies to one request to its subject.
pub(super) struct Chain {
    pub(super) vault: Vault,
    pub(super) watch: Arc<Watch>,
    pub(super) protocol: Arc<Protocol>,
    pub(super) tenant: String,
    pub(super) subject: String,
}

impl Chain {
    /// Links the id of a whole reply. When this returns the link is durable.
    pub(super) async fn note(&self, reply: &[u8]) {
        if let Some(id) = str::from_utf8(reply).ok().and_then(|text| self.id_in(text)) {
            self.link(&id).await;
        }
    }

    /// Passes a stream of events on, and links the id that one of the first of
    /// them holds, before it is passed on.
    pub(super) fn note_stream<S>(self, stream: S) -> impl Stream<Item = Result<Bytes, ReplyError>> + Send
    where
        S: Stream<Item = Result<Bytes, ReplyError>> + Send + 'static,
    {
        let search = Search { chain: Some(self), line: Vec::new(), seen: 0 };
        futures_util::stream::unfold((Box::pin(stream), search), |(mut stream, mut search)| async move {
            let item = stream.next().await?;
            if let Ok(bytes) = &item {
                search.push(bytes).await;
            }
            Some((item, (stream, search)))
        })
    }

    async fn link(&self, id: &str) {
        let name = subject::of_protocol(&self.protocol, id);
        let linked = self.vault.link(&self.tenant, &name, &self.subject).await;
        if let Err(error) = self.watch.vault(VaultOperation::Link, linked) {
            tracing::warn!(%error, "The id of a reply could not be kept; what goes on from it has a subject of its own.");
        }
    }

    /// The id in a document, or in the data of an event.
    fn id_in(&self, text: &str) -> Option<String> {
        let mut seek = Seek { protocol: &self.protocol, id: None };
        // What stands in front of an error counts.
        let _ = json::walk(text, &mut seek);
        seek.id
    }
}

/// Looks for the id in the lines of a stream.
struct Search {
    /// None once it was found, or is looked for no more.
    chain: Option<Chain>,
    line: Vec<u8>,
    seen: usize,
}

impl Search {
    async fn push(&mut self, bytes: &[u8]) {
        let Some(chain) = &self.chain else { return };
        self.seen += bytes.len();
        let mut is_found = false;
        for part in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || part.ends_with(b"\r") {
                let line = str::from_utf8(&self.line).unwrap_or_default().trim();
                let data = line.strip_prefix("data:").unwrap_or(line).trim_start();
                if data.starts_with('{')
                    && let Some(id) = chain.id_in(data)
                {
                    chain.link(&id).await;
                    is_found = true;
                    break;
                }
                self.line.clear();
            }
        }
        if is_found || self.seen > LONGEST_SEARCH {
            self.chain = None;
            self.line = Vec::new();
        }
    }
}

struct Seek<'p> {
    protocol: &'p Protocol,
    id: Option<String>,
}

impl<'a> Visitor<'a> for Seek<'_> {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        if self.id.is_none() && !value.raw.is_empty() && self.protocol.request.is_reply_id(path) {
            self.id = Some(value.decode().into_owned());
        }
    }
}
