//! The protocols that are known: the built-in files, and those of a deployment.

use super::{Pattern, Protocol};
use crate::json::{self, Str, Visitor};
use std::path::Path;
use std::sync::Arc;

/// The embedded files. Where a path or a body tells several, the first is
/// taken, so the one that takes everything stands last.
const BUILTIN: [(&str, &str); 14] = [
    ("openai-chat.toml", include_str!("../../rules/protocols/openai-chat.toml")),
    ("openai-completions.toml", include_str!("../../rules/protocols/openai-completions.toml")),
    ("openai-responses.toml", include_str!("../../rules/protocols/openai-responses.toml")),
    ("anthropic.toml", include_str!("../../rules/protocols/anthropic.toml")),
    ("gemini.toml", include_str!("../../rules/protocols/gemini.toml")),
    ("ollama.toml", include_str!("../../rules/protocols/ollama.toml")),
    ("rasa.toml", include_str!("../../rules/protocols/rasa.toml")),
    ("rasa-socketio.toml", include_str!("../../rules/protocols/rasa-socketio.toml")),
    ("dialogflow-es.toml", include_str!("../../rules/protocols/dialogflow-es.toml")),
    ("dialogflow-cx.toml", include_str!("../../rules/protocols/dialogflow-cx.toml")),
    ("bot-framework.toml", include_str!("../../rules/protocols/bot-framework.toml")),
    ("mcp.toml", include_str!("../../rules/protocols/mcp.toml")),
    ("text.toml", include_str!("../../rules/protocols/text.toml")),
    ("json.toml", include_str!("../../rules/protocols/json.toml")),
];

/// All protocols of this gateway.
#[derive(Debug, Clone)]
pub struct Protocols(Arc<[Arc<Protocol>]>);

/// A protocol file does not hold: where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct ProtocolError {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl Protocols {
    /// The built-in ones.
    pub fn builtin() -> Result<Self, ProtocolError> {
        let all = BUILTIN.iter().map(|(file, text)| read(file, text).map(Arc::new));
        Ok(Self(all.collect::<Result<_, _>>()?))
    }

    /// The built-in ones, and in front of them all files `*.toml` of a folder,
    /// in the order of their names. One with the name of a built-in protocol
    /// stands in its place.
    pub fn with_folder(folder: &Path) -> Result<Self, ProtocolError> {
        let whole = |path: &Path, problem: String| ProtocolError {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            problem,
        };
        let unreadable = |path: &Path, error: &std::io::Error| {
            whole(path, format!("cannot be read: {error}; name a folder that this user may read"))
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, &e))? {
            let path = entry.map_err(|e| unreadable(folder, &e))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            let problem = "no *.toml file here; name a folder that holds protocol files";
            return Err(whole(folder, problem.to_owned()));
        }
        paths.sort();
        let mut all: Vec<Arc<Protocol>> = Vec::new();
        for path in &paths {
            let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
            let protocol = read(&path.display().to_string(), &text)?;
            if protocol.name == "auto" || all.iter().any(|other| other.name == protocol.name) {
                let problem = format!("the name `{}` is taken; give the protocol another", protocol.name);
                return Err(whole(path, problem));
            }
            all.push(Arc::new(protocol));
        }
        for builtin in Self::builtin()?.0.iter() {
            if !all.iter().any(|own| own.name == builtin.name) {
                all.push(Arc::clone(builtin));
            }
        }
        Ok(Self(all.into()))
    }

    /// The names a route may use, besides `auto`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|p| p.name.as_str())
    }

    /// The protocol called `name`.
    pub fn named(&self, name: &str) -> Option<&Arc<Protocol>> {
        self.0.iter().find(|p| p.name == name)
    }

    /// The protocol of a request to `path` with this body, if it is JSON:
    /// the first that the path tells, then the one that the body tells by most
    /// of its members, on a path of its own before others; else the one for all.
    pub fn tell<'b>(&self, path: &str, body: impl FnOnce() -> Option<&'b str>) -> Option<&Arc<Protocol>> {
        let path: Vec<_> = path.split('/').skip(1).collect();
        let by_path = self.0.iter().find(|p| p.has_path(&path));
        let by_body = |body: &str| {
            let all = self.0.iter().flat_map(|p| p.bodies.iter().map(move |one| (p, one)));
            let wanted: Vec<_> = all.filter(|(_, one)| one.has_path(&path)).collect();
            let has = Members::of(body, wanted.iter().flat_map(|(_, one)| &one.has))?;
            let told = wanted.iter().filter(|(_, one)| one.has.iter().all(|pattern| has.contains(pattern)));
            // What asks for most is the surest; of several the first.
            let surest = told.rev().max_by_key(|(_, one)| (one.path.is_some(), one.has.len()));
            surest.map(|(protocol, _)| *protocol)
        };
        by_path.or_else(|| body().and_then(by_body)).or_else(|| self.named(FOR_ALL))
    }
}

/// Of some patterns those that cover a member of a document.
struct Members<'p> {
    wanted: Vec<&'p Pattern>,
    found: Vec<&'p Pattern>,
}

impl<'p> Members<'p> {
    /// None where the text is no JSON.
    fn of(document: &str, patterns: impl Iterator<Item = &'p Pattern>) -> Option<Self> {
        let mut members = Self { wanted: patterns.collect(), found: Vec::new() };
        json::walk(document, &mut members).is_ok().then_some(members)
    }

    fn contains(&self, pattern: &Pattern) -> bool {
        self.found.iter().any(|found| std::ptr::eq(*found, pattern))
    }

    fn at(&mut self, path: &json::Path<'_>) {
        self.found.extend(self.wanted.extract_if(.., |pattern| pattern.matches(path)));
    }
}

impl<'a> Visitor<'a> for Members<'_> {
    fn string(&mut self, path: &json::Path<'a>, _value: Str<'a>) {
        self.at(path);
    }

    fn number(&mut self, path: &json::Path<'a>, _raw: &'a str, _start: usize) {
        self.at(path);
    }

    fn begin_object(&mut self, path: &json::Path<'a>, _start: usize) {
        self.at(path);
    }

    fn begin_array(&mut self, path: &json::Path<'a>, _start: usize) {
        self.at(path);
    }
}

/// The protocol of chatbots that no path or body tells.
const FOR_ALL: &str = "json";

fn read(file: &str, text: &str) -> Result<Protocol, ProtocolError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let last = before.rsplit('\n').next().unwrap_or_default();
        ProtocolError {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: last.chars().count() + 1,
            problem: error.message().replace('\n', ", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_picks_by_path() {
        let all = Protocols::builtin().unwrap();
        for (path, name) in [
            ("/v1/chat/completions", "openai-chat"),
            ("/chat/completions", "openai-chat"),
            ("/openai/deployments/x/chat/completions", "openai-chat"),
            ("/openai/deployments/x/completions", "openai-completions"),
            ("/openai/deployments/x/embeddings", "openai-completions"),
            ("/openai/v1/responses", "openai-responses"),
            ("/v1/responses/resp_1/input_items", "openai-responses"),
            ("/v1/embeddings", "openai-completions"),
            ("/v1/completions", "openai-completions"),
            ("/v1/messages", "anthropic"),
            ("/v1/messages/count_tokens", "anthropic"),
            ("/v1/messages/batches", "anthropic"),
            ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini"),
            ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini"),
            ("/v1/projects/p/locations/l/publishers/google/models/g:countTokens", "gemini"),
            ("/api/generate", "ollama"),
            ("/api/embed", "ollama"),
            ("/webhooks/rest/webhook", "rasa"),
            ("/socket.io/", "rasa-socketio"),
            ("/v2/projects/p/agent/sessions/s:detectIntent", "dialogflow-es"),
            ("/v2beta1/projects/p/agent/sessions/s:detectIntent", "dialogflow-es"),
            ("/v3/projects/p/locations/l/agents/a/sessions/s:detectIntent", "dialogflow-cx"),
            ("/v3/directline/conversations/c/activities", "bot-framework"),
            ("/v3/conversations/c/activities/a", "bot-framework"),
            ("/mcp", "mcp"),
            ("/v1/chat/completionsx", "json"),
            ("/", "json"),
        ] {
            assert_eq!(all.tell(path, || None).unwrap().name, name, "{path}");
        }
    }

    #[test]
    fn auto_picks_by_body_where_no_path_tells() {
        let all = Protocols::builtin().unwrap();
        for (path, body, name) in [
            ("/bot", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, "openai-chat"),
            ("/api/chat", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, "ollama"),
            ("/api/chat", r#"{"messages":[{"role":"user","parts":[{"type":"text","text":"hi"}]}]}"#, "json"),
            (
                "/bot",
                r#"{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":"hi"}]}"#,
                "anthropic",
            ),
            (
                "/bot",
                r#"{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"}]}]}"#,
                "anthropic",
            ),
            ("/bot", r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#, "gemini"),
            ("/bot", r#"{"model":"m","input":"hi"}"#, "openai-responses"),
            ("/bot", r#"{"model":"m","input":[1,2],"dimensions":3}"#, "openai-completions"),
            ("/bot", r#"{"sender":"u","message":"hi"}"#, "rasa"),
            ("/bot", r#"{"queryInput":{"text":{"text":"hi","languageCode":"en"}}}"#, "dialogflow-es"),
            ("/bot", r#"{"queryInput":{"text":{"text":"hi"},"languageCode":"en"}}"#, "dialogflow-cx"),
            ("/bot", r#"{"type":"message","from":{"id":"u"},"channelId":"c","text":"hi"}"#, "bot-framework"),
            ("/api/messages", r#"{"type":"message","from":{"id":"u"},"text":"hi"}"#, "json"),
            ("/forms/responses", r#"{"answers":["hi"]}"#, "json"),
            ("/bot", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#, "mcp"),
            ("/bot", r#"{"text":"hi"}"#, "json"),
            ("/bot", "hi", "json"),
        ] {
            assert_eq!(all.tell(path, || Some(body)).unwrap().name, name, "{path} {body}");
        }
    }

    #[test]
    fn a_folder_adds_and_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let problem = || Protocols::with_folder(folder.path()).unwrap_err().to_string();
        assert!(problem().ends_with("no *.toml file here; name a folder that holds protocol files"), "{}", problem());
        file("own.toml", "name = \"own\"\npaths = [\"/own\"]\n[request]\nnever = [\"id\"]\n");
        file("rasa.toml", "name = \"rasa\"\npaths = [\"/hook\"]\n");
        let all = Protocols::with_folder(folder.path()).unwrap();
        assert_eq!(all.tell("/own", || None).unwrap().name, "own");
        assert_eq!(all.tell("/hook", || None).unwrap().name, "rasa");
        assert_eq!(all.tell("/webhooks/rest/webhook", || None).unwrap().name, "json");
        assert_eq!(all.names().filter(|name| *name == "rasa").count(), 1);

        file("own.toml", "name = \"own\"\npaths = [\"/own\"]\n[request]\nnever = [\"id\", \"a..b\"]\n");
        let said = problem();
        assert!(said.contains("own.toml:4:") && said.contains("`a..b`: `` is no step; write"), "{said}");
        file("own.toml", "name = \"own\"\npaths = [\"own\"]\n");
        assert!(problem().contains("own.toml:2:"), "{}", problem());
        file("own.toml", "name = \"own\"\n[request]\nnevr = []\n");
        assert!(problem().contains("own.toml:3:1: unknown field `nevr`, expected one of"), "{}", problem());
        file("own.toml", "name = \"auto\"\n");
        assert!(problem().contains("the name `auto` is taken"), "{}", problem());
    }
}
