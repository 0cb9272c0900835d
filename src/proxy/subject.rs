//! Who is chatting: the subject whose tokens these are.

use super::error::ProxyError;
use super::inspect::Findings;
use super::{Gateway, Route};
use crate::config::{SubjectConfig, SubjectSource};
use crate::consent;
use crate::consent::token::Claims;
use crate::protocol::{Conversation, Pattern, Protocol};
use crate::telemetry::VaultOperation;
use crate::vault::VaultError;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

/// Stands before the id of a conversation, so that it is no subject of the same
/// name: no id of a header holds a zero byte.
const CONVERSATION: &str = "conversation\0";

/// Privet's own headers, and what stands before the ids that they name.
const NAMED_BY: [(HeaderName, &str); 2] =
    [(HeaderName::from_static("privet-subject"), ""), (HeaderName::from_static("privet-conversation"), CONVERSATION)];

/// Where requests say whose they are, besides Privet's own headers.
pub(super) struct Sources(Vec<Source>);

enum Source {
    Request(SubjectSource),
    /// The n-th of the patterns that are looked for in the body.
    Body(usize),
}

impl Sources {
    /// With the patterns that the body is to be searched for.
    pub(super) fn new(config: &SubjectConfig) -> Result<(Self, Vec<Pattern>), String> {
        let mut patterns = Vec::new();
        let mut sources = Vec::new();
        for source in &config.from {
            sources.push(match source {
                SubjectSource::Body(path) => {
                    patterns.push(Pattern::parse(path)?);
                    Source::Body(patterns.len() - 1)
                }
                other => Source::Request(other.clone()),
            });
        }
        Ok((Self(sources), patterns))
    }

    /// The subject, as far as the head of a request can tell.
    pub(super) fn in_head(&self, named: &Named, head: &Parts, token: Option<&Claims>) -> Option<String> {
        match named {
            Named::Is(id) => Some(id.clone()),
            Named::Nobody => None,
            Named::Unsaid => {
                // What stands behind a place of the body may not come before it.
                let in_head = self.0.iter().map_while(|source| match source {
                    Source::Request(source) => Some(look_in(&head.headers, source, token)),
                    Source::Body(_) => None,
                });
                in_head.flatten().find(|id| !id.is_empty())
            }
        }
    }

    /// Whether the body may name the subject of a consent that stands.
    pub(super) fn look_in_body(&self) -> bool {
        self.0.iter().any(|source| matches!(source, Source::Body(_)))
    }

    /// The first place that names a subject: after `named` by Privet's own
    /// headers those of the configuration, then the conversation that the
    /// protocol carries.
    pub(super) fn choose(
        &self,
        named: Named,
        head: &Parts,
        token: Option<&Claims>,
        protocol: &Protocol,
        findings: &Findings,
    ) -> Whose {
        match named {
            Named::Is(id) => Whose::Subject(id),
            Named::Nobody => Whose::Own,
            Named::Unsaid => {
                let ids = self.0.iter().filter_map(|source| match source {
                    Source::Request(source) => look_in(&head.headers, source, token),
                    Source::Body(n) => findings.sought.get(*n).cloned().flatten(),
                });
                match ids.into_iter().find(|id| !id.is_empty()) {
                    Some(id) => Whose::Subject(id),
                    None => conversation(protocol, head.uri.path(), findings),
                }
            }
        }
    }
}

/// What Privet's own headers say of whose a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// This subject's.
    Is(String),
    /// Nothing: other places may tell.
    Unsaid,
    /// It may be nobody's that is named: the site has not signed who it is.
    Nobody,
}

impl Named {
    /// By the token where the deployment asks for one, which no header may
    /// contradict; else as the headers are sent.
    pub(super) fn by(headers: &HeaderMap, token: Option<&Claims>, must_be_signed: bool) -> Result<Self, ProxyError> {
        let named = in_headers(headers)?;
        if !must_be_signed {
            return Ok(named.map_or(Self::Unsaid, Self::Is));
        }
        let Some(token) = token else { return Ok(Self::Nobody) };
        let [(subject, _), _] = &NAMED_BY;
        if headers.contains_key(subject) && named.is_some_and(|named| named != token.subject) {
            let detail = "`privet-subject` names another person than the signed token; leave it out.";
            return Err(ProxyError::bad_header(detail));
        }
        Ok(Self::Is(token.subject.clone()))
    }
}

impl Whose {
    /// The subject by its id; none where the request is its own subject.
    pub(super) async fn resolve(
        self,
        gateway: &Gateway,
        route: &Route,
        protocol: &Protocol,
    ) -> Result<Option<String>, VaultError> {
        if let Self::After(reply) = &self {
            let linked = gateway.vault.linked(&route.tenant, reply).await;
            if let Some(subject) = gateway.watch.vault(VaultOperation::Link, linked)? {
                return Ok(Some(subject.expose().to_owned()));
            }
        }
        Ok(match self {
            Self::Subject(id) => Some(id),
            // To what is not known, or not any more, there is no way back.
            Self::After(_) | Self::First => Some(of_protocol(protocol, gateway.ids.next().as_str())),
            Self::Own => None,
        })
    }
}

/// Whose a request is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of this subject.
    Subject(String),
    /// That of whom the reply with this id went to.
    After(String),
    /// That of whoever goes on from its reply.
    First,
    /// Nobody's that is named: the request is its own subject.
    Own,
}

/// The conversation that the protocol carries, in the address or in the body.
fn conversation(protocol: &Protocol, path: &str, findings: &Findings) -> Whose {
    let in_body = |nth| findings.conversation.as_ref().filter(|(at, _)| *at == nth).map(|(_, id)| id.as_str());
    let places = protocol.request.conversation().iter().enumerate();
    let mut found = places.filter_map(|(nth, source)| match source {
        Conversation::Path(place) => place.of(path).map(|id| Whose::Subject(of_protocol(protocol, id))),
        Conversation::Body(_) => in_body(nth).map(|id| Whose::Subject(of_protocol(protocol, id))),
        Conversation::ReplyPath(place) => place.of(path).map(|id| Whose::After(of_protocol(protocol, id))),
        Conversation::Reply(_) => in_body(nth).map(|id| Whose::After(of_protocol(protocol, id))),
    });
    let begins = protocol.request.goes_on_from_replies() && !findings.forgotten;
    found.next().unwrap_or(if begins { Whose::First } else { Whose::Own })
}

/// The subject that an id of a protocol stands for. The ids of two protocols
/// have nothing in common.
pub(super) fn of_protocol(protocol: &Protocol, id: &str) -> String {
    [CONVERSATION, &protocol.name, "\0", id].concat()
}

/// The subject by `Privet-Subject`, else the conversation by
/// `Privet-Conversation`.
fn in_headers(headers: &HeaderMap) -> Result<Option<String>, ProxyError> {
    for (name, prefix) in NAMED_BY {
        let mut values = headers.get_all(&name).iter();
        let Some(value) = values.next() else { continue };
        let id = value.to_str().ok().and_then(|text| consent::subject_id(text).ok());
        return match id {
            Some(id) if values.next().is_none() => {
                Ok(Some(if prefix.is_empty() { id } else { [prefix, &id].concat() }))
            }
            _ => Err(ProxyError::bad_header(format!(
                "`{name}` must be sent once, as one string: up to 128 of A-Z a-z 0-9 . _ : @ / + - or a quoted string."
            ))),
        };
    }
    Ok(None)
}

fn look_in(headers: &HeaderMap, source: &SubjectSource, token: Option<&Claims>) -> Option<String> {
    match source {
        SubjectSource::Token => Some(token?.subject.clone()),
        SubjectSource::Header(name) => Some(headers.get(name)?.to_str().ok()?.to_owned()),
        SubjectSource::Cookie(name) => headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.to_owned()),
        SubjectSource::Body(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocols;
    use http::HeaderValue;

    fn head(path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_subject_comes_before_the_conversation() {
        let both = headers(&[("privet-conversation", "c1"), ("privet-subject", "u1")]);
        assert_eq!(in_headers(&both).unwrap().as_deref(), Some("u1"));
        let conversation = in_headers(&headers(&[("privet-conversation", "c1")])).unwrap();
        assert!(conversation.is_some_and(|id| id != "c1" && id.ends_with("c1")), "a subject has another id");
        assert_eq!(in_headers(&headers(&[])).unwrap(), None);
        assert!(in_headers(&headers(&[("privet-subject", "a b")])).is_err());
    }

    #[test]
    fn where_consent_is_signed_the_token_names_the_subject() {
        let said = consent::Said::default();
        let claims =
            Claims { subject: "u1".to_owned(), id: None, issued: None, expires: 0, scope: None, tenant: None, said };
        let by = |list: &[(&'static str, &'static str)], token| Named::by(&headers(list), token, true);
        assert_eq!(by(&[], Some(&claims)).unwrap(), Named::Is("u1".to_owned()));
        assert_eq!(by(&[("privet-subject", "u1")], Some(&claims)).unwrap(), Named::Is("u1".to_owned()));
        assert!(by(&[("privet-subject", "u2")], Some(&claims)).is_err());
        assert_eq!(by(&[("privet-conversation", "c1")], Some(&claims)).unwrap(), Named::Is("u1".to_owned()));
        assert_eq!(by(&[("privet-subject", "u1")], None).unwrap(), Named::Nobody);
        // Else a token names nobody by itself.
        let unsigned = Named::by(&headers(&[]), Some(&claims), false).unwrap();
        assert_eq!(unsigned, Named::Unsaid);
        let by_token = Sources(vec![Source::Request(SubjectSource::Token)]);
        assert_eq!(by_token.in_head(&unsigned, &head("/", &[]), Some(&claims)).as_deref(), Some("u1"));
        assert_eq!(by_token.in_head(&unsigned, &head("/", &[]), None), None);
    }

    #[test]
    fn other_places_are_looked_at_in_order() {
        let from = vec![
            SubjectSource::Header(HeaderName::from_static("x-user")),
            SubjectSource::Body("user".into()),
            SubjectSource::Cookie("sid".into()),
        ];
        let (sources, patterns) = Sources::new(&SubjectConfig { from, ..SubjectConfig::default() }).unwrap();
        assert_eq!(patterns.len(), 1);
        let protocols = Protocols::builtin().unwrap();
        let choose = |named: Option<&str>, body: Option<&str>, sent: &[(&str, &str)]| {
            let findings = Findings { sought: vec![body.map(str::to_owned)], ..Findings::default() };
            let json = protocols.named("json").unwrap();
            let named = named.map_or(Named::Unsaid, |id| Named::Is(id.to_owned()));
            let in_head = sources.in_head(&named, &head("/", sent), None);
            let whose = sources.choose(named, &head("/", sent), None, json, &findings);
            if let Some(id) = in_head {
                assert_eq!(whose, Whose::Subject(id), "the head has told another one");
            }
            match whose {
                Whose::Subject(id) => Some(id),
                _ => None,
            }
        };
        let cookie = [("cookie", "a=1; sid=s1")];
        assert_eq!(choose(None, None, &cookie).as_deref(), Some("s1"));
        assert_eq!(choose(None, Some("u2"), &cookie).as_deref(), Some("u2"));
        let header = [("cookie", "sid=s1"), ("x-user", "u3")];
        assert_eq!(choose(None, Some("u2"), &header).as_deref(), Some("u3"));
        assert_eq!(choose(Some("u4"), None, &header).as_deref(), Some("u4"));
    }

    #[test]
    fn a_protocol_carries_its_conversation() {
        let (sources, _) = Sources::new(&SubjectConfig::default()).unwrap();
        let protocols = Protocols::builtin().unwrap();
        let choose = |protocol: &str, path: &str, body: Option<(usize, &str)>| {
            let conversation = body.map(|(nth, id)| (nth, id.to_owned()));
            let findings = Findings { conversation, ..Findings::default() };
            let (head, protocol) = (head(path, &[]), protocols.named(protocol).unwrap());
            sources.choose(Named::Unsaid, &head, None, protocol, &findings)
        };
        let subject = |id: &str| Whose::Subject(format!("conversation\0{id}"));
        assert_eq!(choose("rasa", "/webhooks/rest/webhook", Some((0, "u1"))), subject("rasa\0u1"));
        assert_eq!(choose("rasa-socketio", "/socket.io/", Some((0, "u1"))), subject("rasa-socketio\0u1"));
        for path in ["/v3/directline/conversations/c1/activities", "/v3/directline/conversations/c1/upload"] {
            assert_eq!(choose("bot-framework", path, None), subject("bot-framework\0c1"));
        }
        assert_eq!(choose("bot-framework", "/v3/directline/conversations", None), Whose::Own);
        for path in ["/v2/projects/p/agent/sessions/s1:detectIntent", "/v2/projects/p/agent/sessions/s1/contexts/c"] {
            assert_eq!(choose("dialogflow-es", path, None), subject("dialogflow-es\0s1"));
        }
        assert_eq!(choose("openai-responses", "/v1/responses", Some((1, "c1"))), subject("openai-responses\0c1"));
        let after = Whose::After("conversation\0openai-responses\0r1".into());
        assert_eq!(choose("openai-responses", "/v1/responses", Some((2, "r1"))), after);
        assert_eq!(choose("openai-responses", "/v1/responses/r1", None), after);
        assert_eq!(choose("openai-responses", "/v1/responses", None), Whose::First);
        assert_eq!(choose("json", "/", None), Whose::Own);
    }
}
