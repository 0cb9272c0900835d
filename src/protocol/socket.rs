//! What is particular of a protocol where it is spoken over sockets.

use super::pattern::PatternSet;
use crate::json::Path;
use serde::Deserialize;

/// The `[socket]` table of a protocol file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocketFields {
    /// How a message carries its JSON, where it is not one document. It holds
    /// for plain text over HTTP as well, the socket's stand-in.
    pub framing: Option<MessageFraming>,
    /// Members of replies with the address of a socket, which is to lead
    /// through this gateway.
    urls: PatternSet,
    /// Members of a query with ids and keys of the protocol, never prose.
    query: Vec<String>,
}

/// How a message carries its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum MessageFraming {
    /// In packets of socket.io.
    #[serde(rename = "socket.io")]
    SocketIo,
}

impl SocketFields {
    /// Whether replies may hold addresses of sockets.
    pub fn has_urls(&self) -> bool {
        !self.urls.is_empty()
    }

    /// Whether the string at `path` is the address of a socket.
    pub fn is_url(&self, path: &Path<'_>) -> bool {
        self.urls.matches(path)
    }

    /// Whether the value of this member of the query is never touched.
    pub fn never_in_query(&self, name: &str) -> bool {
        self.query.iter().any(|never| never == name)
    }
}
