//! What is known of each chat protocol: which members of its JSON carry text,
//! and how its replies are streamed. Declared in `rules/protocols/*.toml`;
//! there is one engine for all of them, and no protocol by `if` in the code.

mod glob;
mod pattern;
mod reply;
mod request;
mod socket;

pub use pattern::{Pattern, PatternSet};
pub use reply::{ReplyField, ReplyFields};
pub use request::{RequestField, RequestFields};
pub use socket::{MessageFraming, SocketFields};

use glob::Glob;
use serde::Deserialize;
use std::sync::Arc;

/// The embedded protocol files. The first whose `paths` match is taken, so the
/// one that matches everything stands last.
const BUILTIN: [&str; 13] = [
    include_str!("../rules/protocols/openai-chat.toml"),
    include_str!("../rules/protocols/openai-completions.toml"),
    include_str!("../rules/protocols/openai-responses.toml"),
    include_str!("../rules/protocols/anthropic.toml"),
    include_str!("../rules/protocols/gemini.toml"),
    include_str!("../rules/protocols/ollama.toml"),
    include_str!("../rules/protocols/rasa.toml"),
    include_str!("../rules/protocols/rasa-socketio.toml"),
    include_str!("../rules/protocols/dialogflow-es.toml"),
    include_str!("../rules/protocols/dialogflow-cx.toml"),
    include_str!("../rules/protocols/bot-framework.toml"),
    include_str!("../rules/protocols/mcp.toml"),
    include_str!("../rules/protocols/json.toml"),
];

/// One chat protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// What a route calls it in its `protocol` key.
    pub name: String,
    /// Request paths by which `auto` knows it: `*` is one segment, `**` any number.
    paths: Vec<Glob>,
    /// The members of requests.
    #[serde(default)]
    pub request: RequestFields,
    /// The members of replies.
    #[serde(default)]
    pub reply: ReplyFields,
    /// What is particular of sockets.
    #[serde(default)]
    pub socket: SocketFields,
}

/// All protocols of this gateway.
#[derive(Debug, Clone)]
pub struct Protocols(Arc<[Arc<Protocol>]>);

/// A protocol file does not hold.
#[derive(Debug, thiserror::Error)]
#[error("protocol file: {0}")]
pub struct ProtocolError(#[from] toml::de::Error);

impl Protocols {
    /// The embedded ones.
    pub fn builtin() -> Result<Self, ProtocolError> {
        let all = BUILTIN.iter().map(|text| Ok(Arc::new(toml::from_str(text)?)));
        Ok(Self(all.collect::<Result<_, ProtocolError>>()?))
    }

    /// The names a route may use, besides `auto`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|p| p.name.as_str())
    }

    /// The protocol called `name`; with `auto`, the first that knows the path of the request.
    pub fn find(&self, name: &str, path: &str) -> Option<&Arc<Protocol>> {
        if name != "auto" {
            return self.0.iter().find(|p| p.name == name);
        }
        let path: Vec<_> = path.split('/').skip(1).collect();
        self.0.iter().find(|p| p.paths.iter().any(|glob| glob.matches(&path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_picks_by_path() {
        let all = Protocols::builtin().unwrap();
        let name = |path| all.find("auto", path).unwrap().name.as_str();
        assert_eq!(name("/v1/chat/completions"), "openai-chat");
        assert_eq!(name("/chat/completions"), "openai-chat");
        assert_eq!(name("/openai/deployments/x/chat/completions"), "openai-chat");
        assert_eq!(name("/v1/embeddings"), "openai-chat");
        assert_eq!(name("/v1/chat/completionsx"), "json");
        assert_eq!(name("/webhooks/rest/webhook"), "json");
        assert_eq!(name("/"), "json");
    }

    #[test]
    fn a_name_picks_regardless_of_the_path() {
        let all = Protocols::builtin().unwrap();
        assert_eq!(all.find("openai-chat", "/bot").unwrap().name, "openai-chat");
        assert!(all.find("telepathy", "/bot").is_none());
    }
}
