//! `/.privet/me`: what a person finds out and asks for by themselves.
//!
//! Who asks is shown by a token that the site has signed for this alone, or by
//! a code that the site sends to the address on file; then there is a session
//! of a quarter of an hour, whose word the page holds in memory alone, so no
//! other page can act in the person's name. An answer never tells whether
//! somebody exists.

mod page;

use super::{Asked, Refused, assets, json, notice, refused};
use crate::audit::{Action, Look, Recorder};
use crate::clock::{self, Time};
use crate::config::{Basis, Config};
use crate::consent::token::Claims;
use crate::entity::Entity;
use crate::ledger::{Act, Channel, Ledger, What};
use crate::problem::{Problem, ProblemKind};
use crate::rights::case::{Case, Verification};
use crate::rights::{By, Export, Format, Rights, RightsError, Session};
use crate::token::Token;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The page.
pub const ME: &str = "/.privet/me";

/// How many values one answer holds.
const PAGE: usize = 200;

/// What a token of the site says that is to open a session (`scope`).
const SCOPE: &str = "privet:me";
/// For so many seconds such a token may have been on its way.
const FRESH: u64 = 300;

/// A code is refused after a multiple of this time, so that whoever guesses does
/// not learn by a write whether somebody was sent one.
const REFUSAL: Duration = Duration::from_millis(250);

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// A file that is written while it is sent.
    Export(Box<Export>),
}

/// Whether a path is of this page.
pub fn is_below(path: &str) -> bool {
    path.strip_prefix(ME).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request to the page or to what it calls.
pub async fn answer(
    config: &Config,
    ledger: &Ledger,
    rights: &Arc<Rights>,
    audit: &Recorder,
    asked: &Asked<'_>,
) -> Result<Response<Body>, Refused> {
    let me = Me { config, ledger, rights, audit, asked };
    let operation = asked.path.strip_prefix(ME).unwrap_or_default();
    let whole = match (operation, asked.method) {
        ("", &Method::GET | &Method::HEAD) => Ok(page::answer(asked)),
        ("/ways", &Method::GET) => Ok(json(&me.ways())),
        ("/code", &Method::POST) => me.code(),
        ("/session", &Method::POST) => me.open().await,
        ("/session", &Method::DELETE) => me.close().await,
        ("/data", &Method::GET) => me.data().await,
        ("/export", &Method::GET) => return me.export().await,
        ("/rectify", &Method::POST) => me.rectify().await,
        ("/erase", &Method::POST) => me.erase().await,
        ("/restrict", &Method::POST) => me.restrict().await,
        ("/object", &Method::POST) => me.object().await,
        ("", _) => Err(Refused::Method("GET, HEAD")),
        ("/ways" | "/data" | "/export", _) => Err(Refused::Method("GET")),
        ("/session", _) => Err(Refused::Method("POST, DELETE")),
        ("/code" | "/rectify" | "/erase" | "/restrict" | "/object", _) => Err(Refused::Method("POST")),
        (_, &Method::GET | &Method::HEAD) => match assets::find(asked.path) {
            Some(asset) => Ok(asset.answer(asked.headers)),
            None => Err(refused(ProblemKind::NotFound, "Privet has nothing at this path.")),
        },
        _ => Err(refused(ProblemKind::NotFound, "Privet has nothing at this path.")),
    };
    whole.map(|response| response.map(Body::Whole))
}

struct Me<'a> {
    config: &'a Config,
    ledger: &'a Ledger,
    rights: &'a Arc<Rights>,
    audit: &'a Recorder,
    asked: &'a Asked<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sought {
    who: String,
    tenant: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    tenant: Option<String>,
    question: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Correction {
    token: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restriction {
    restricted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Objection {
    purposes: Vec<String>,
}

impl Me<'_> {
    /// How one can show who one is.
    fn ways(&self) -> Value {
        json!({"account": self.config.consent.accepts_tokens(), "code": self.rights.sends_codes()})
    }

    /// A question for a code. Whoever asks gets the same answer in the same
    /// time: what is sent is found out afterwards.
    fn code(&self) -> Result<Response<Bytes>, Refused> {
        let Sought { who, tenant } = self.body()?;
        if who.is_empty() || who.len() > 512 {
            return Err(refused(ProblemKind::BadRequest, "Say who you are by 1 to 512 bytes."));
        }
        let tenant = self.tenant(tenant)?;
        if !self.rights.sends_codes() {
            return Err(refused(ProblemKind::NotFound, "This deployment sends no codes."));
        }
        let question = self.rights.question().map_err(|error| problem(&error))?;
        if !self.rights.ask_for_code(&tenant, &who, &question) {
            return Err(refused(ProblemKind::RateLimited, "Too many codes are asked for; try again in a minute."));
        }
        Ok(with_status(json(&json!({"question": question})), StatusCode::ACCEPTED))
    }

    /// A session for who shows a token of the account, or a code.
    async fn open(&self) -> Result<Response<Bytes>, Refused> {
        let shown: Shown = if self.asked.body.is_empty() { Shown::default() } else { self.body()? };
        let opened = match (self.asked.token, shown) {
            (_, Shown { question: Some(question), code: Some(code), .. }) => {
                let begun = Instant::now();
                let opened = self.rights.answer(&question, &code).await.map_err(|error| problem(&error))?;
                if opened.is_none() {
                    tokio::time::sleep(left_of_refusal(begun.elapsed())).await;
                }
                opened
            }
            (Some(token), Shown { tenant, .. }) => {
                let tenant = self.tenant(tenant)?;
                self.admit(token, &tenant).await?;
                let opened = self.rights.open_session(&tenant, &token.subject, Verification::AccountToken);
                Some(opened.await.map_err(|error| problem(&error))?)
            }
            (None, _) => None,
        };
        let Some((word, session)) = opened else {
            return Err(refused(ProblemKind::Unauthorized, "The code is wrong, was used, or has run out."));
        };
        Ok(json(&json!({"session": word.expose(), "until": Time(session.until)})))
    }

    /// Whether a token opens a session: one that the site has made for this,
    /// just now, and that was not used before. A token that gives consent
    /// travels with every message, so it is no proof of who is there.
    async fn admit(&self, token: &Claims, tenant: &str) -> Result<(), Refused> {
        let detail = "The token is none for this: it needs `scope` with `privet:me`, an `iat` of the last five \
                      minutes, a `jti` that was not used before, and `tenant` where there are several.";
        let is_for_this = token.scope.as_deref().is_some_and(|scope| scope.split(' ').any(|word| word == SCOPE));
        let is_fresh = token.issued.is_some_and(|issued| clock::unix_seconds().saturating_sub(issued) <= FRESH);
        let is_of_tenant = token.tenant.as_deref().unwrap_or(&self.config.tenant) == tenant;
        match &token.id {
            Some(id) if is_for_this && is_fresh && is_of_tenant => {
                let is_new = self.ledger.use_once(tenant, id, token.expires).await?;
                is_new.then_some(()).ok_or_else(|| refused(ProblemKind::Unauthorized, detail))
            }
            _ => Err(refused(ProblemKind::Unauthorized, detail)),
        }
    }

    /// The tenant that is named, where some route has it, or the usual one.
    fn tenant(&self, named: Option<String>) -> Result<String, Refused> {
        let Some(named) = named else { return Ok(self.config.tenant.clone()) };
        if named == self.config.tenant || self.config.routes.iter().any(|route| route.tenant == named) {
            return Ok(named);
        }
        Err(refused(ProblemKind::BadRequest, "Name a tenant of this deployment."))
    }

    async fn close(&self) -> Result<Response<Bytes>, Refused> {
        if let Some(word) = self.word() {
            self.rights.close_session(word).await.map_err(|error| problem(&error))?;
        }
        Ok(with_status(Response::new(Bytes::new()), StatusCode::NO_CONTENT))
    }

    /// What is kept, page by page.
    async fn data(&self) -> Result<Response<Bytes>, Refused> {
        let session = self.session().await?;
        let after = super::parameters(self.asked.query, "after").next();
        let after = after.and_then(|mark| self.rights.read_mark(&mark));
        let (tenant, subject) = (&session.tenant, session.subject.expose());
        let (values, next) = self.rights.values(tenant, subject, after, PAGE).await.map_err(|error| problem(&error))?;
        let mut counts = BTreeMap::new();
        for entity in values.iter().filter_map(|value| value["entity"].as_str()) {
            *counts.entry(entity.to_owned()).or_default() += 1;
        }
        self.record(&session, Action::Show, counts).await?;
        let cases = self.rights.register().of_subject(tenant, subject).await.map_err(|error| problem(&error))?;
        let row = self.ledger.row(tenant, subject);
        let known = self.ledger.known(row).await?;
        let titles = notice::Titles::new(self.config, self.ledger.notices(), self.asked);
        let restricted = self.rights.restrictions().hold_for(row).await?;
        let purposes: Vec<Value> = (self.config.purposes.iter())
            .map(|purpose| {
                let standing = known.state().of(&purpose.name);
                json!({
                    "name": purpose.name,
                    "title": titles.of(&purpose.name),
                    "basis": purpose.basis.as_str(),
                    "given": standing.given.is_some(),
                    "withdrawn": standing.withdrawn.is_some(),
                    "may_object": matches!(purpose.basis, Basis::Consent | Basis::LegitimateInterest),
                })
            })
            .collect();
        let recipients: Vec<Value> = (self.config.upstreams.iter())
            .map(|upstream| json!({"name": upstream.recipient, "region": upstream.region}))
            .collect();
        Ok(json(&json!({
            "until": Time(session.until),
            "restricted": restricted,
            "values": values,
            "next": next,
            "purposes": purposes,
            "recipients": recipients,
            "cases": cases.iter().map(shown).collect::<Vec<_>>(),
        })))
    }

    async fn export(&self) -> Result<Response<Body>, Refused> {
        let session = self.session_for(Action::Export).await?;
        let format = super::parameters(self.asked.query, "format").next();
        let format: Format = (format.as_deref().unwrap_or("json").parse())
            .map_err(|_| refused(ProblemKind::BadRequest, "The format is `json` or `csv`."))?;
        let by = By::person(session.verification);
        let export = self.rights.export(&session.tenant, session.subject.expose(), format, by).await;
        let export = export.map_err(|error| problem(&error))?;
        let mut response = Response::new(Body::Export(Box::new(export)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"my-data.{}\"", format.extension())) {
            headers.insert(header::CONTENT_DISPOSITION, name);
        }
        Ok(response)
    }

    async fn rectify(&self) -> Result<Response<Bytes>, Refused> {
        let session = self.session().await?;
        let Correction { token, value } = self.body()?;
        let entity = Token::parse(&token).map_or(Entity::SURROGATE, |token| token.entity());
        self.record(&session, Action::Rectify, [(entity.to_string(), 1)].into()).await?;
        let by = By::person(session.verification);
        let done = self.rights.rectify(&session.tenant, session.subject.expose(), &token, &value, &by).await;
        done.map(|case| json(&shown(&case))).map_err(|error| problem(&error))
    }

    async fn erase(&self) -> Result<Response<Bytes>, Refused> {
        let session = self.session_for(Action::Erase).await?;
        let by = By::person(session.verification);
        let done = self.rights.erase(&session.tenant, session.subject.expose(), &by).await;
        let case = done.map_err(|error| problem(&error))?;
        if let Some(word) = self.word() {
            self.rights.close_session(word).await.map_err(|error| problem(&error))?;
        }
        Ok(json(&shown(&case)))
    }

    async fn restrict(&self) -> Result<Response<Bytes>, Refused> {
        let session = self.session_for(Action::Restrict).await?;
        let Restriction { restricted } = self.body()?;
        let by = By::person(session.verification);
        let done = self.rights.restrict(&session.tenant, session.subject.expose(), restricted, &by).await;
        done.map(|case| json(&shown(&case))).map_err(|error| problem(&error))
    }

    /// Objects to purposes, or withdraws consent to them: in the ledger it is
    /// one, and it holds at once.
    async fn object(&self) -> Result<Response<Bytes>, Refused> {
        let session = self.session_for(Action::Object).await?;
        let Objection { purposes } = self.body()?;
        let known = |name: &String| self.config.purpose(name).is_some();
        if purposes.is_empty() || !purposes.iter().all(known) {
            return Err(refused(ProblemKind::BadRequest, "Name purposes of this deployment."));
        }
        let (tenant, subject) = (&session.tenant, session.subject.expose());
        let withdrawn = purposes.iter().map(|name| (name.clone(), false)).collect();
        let what =
            What { purposes: withdrawn, method: Some("me".to_owned()), ..What::new(Act::Withdrawn, Channel::Endpoint) };
        self.ledger.withdraw(self.ledger.row(tenant, subject), what).await?;
        let by = By::person(session.verification);
        let done = self.rights.objected(tenant, subject, &purposes, &by).await;
        done.map(|case| json(&shown(&case))).map_err(|error| problem(&error))
    }

    /// The session for this, which the access log tells before it is done.
    async fn session_for(&self, action: Action) -> Result<Session, Refused> {
        let session = self.session().await?;
        let counts = if action.is_of_values() {
            let located = self.rights.located(&session.tenant, session.subject.expose()).await;
            located.map_err(|error| problem(&error))?
        } else {
            BTreeMap::new()
        };
        self.record(&session, action, counts).await?;
        Ok(session)
    }

    async fn record(&self, session: &Session, action: Action, entities: BTreeMap<String, u64>) -> Result<(), Refused> {
        let alias = self.rights.alias(&session.tenant, session.subject.expose());
        let actor = "subject".to_owned();
        let look = Look {
            recipient: if action.shows() { actor.clone() } else { String::new() },
            actor,
            action,
            tenant: session.tenant.clone(),
            subject: alias.await.map_err(|error| problem(&error))?,
            reason: ME.to_owned(),
            entities,
            request_id: self.asked.request_id.to_owned(),
            ..Look::default()
        };
        self.audit.record(look).await.map_err(|error| problem(&error.into()))
    }

    async fn session(&self) -> Result<Session, Refused> {
        let missing =
            || refused(ProblemKind::Unauthorized, "There is no session, or it has run out: show who you are.");
        let word = self.word().ok_or_else(missing)?;
        self.rights.session(word).await.map_err(|error| problem(&error))?.ok_or_else(missing)
    }

    fn word(&self) -> Option<&str> {
        self.asked.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }

    /// The body. It must say that it is JSON: no form of another page can.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let kind = self.asked.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(refused(ProblemKind::UnsupportedBody, "The body must be of type application/json."));
        }
        let wrong = |_| refused(ProblemKind::BadRequest, "The body has not the form that is asked for.");
        serde_json::from_slice(&self.asked.body).map_err(wrong)
    }
}

/// How long a refusal waits after so much time.
fn left_of_refusal(elapsed: Duration) -> Duration {
    let steps = u32::try_from(elapsed.as_millis() / REFUSAL.as_millis()).unwrap_or(u32::MAX - 1) + 1;
    REFUSAL.saturating_mul(steps).saturating_sub(elapsed)
}

/// A case as its person sees it.
fn shown(case: &Case) -> Value {
    json!({
        "id": case.id,
        "kind": case.kind,
        "state": case.state,
        "received": case.received,
        "due": case.due,
        "proof": case.proof,
    })
}

fn with_status(mut response: Response<Bytes>, status: StatusCode) -> Response<Bytes> {
    *response.status_mut() = status;
    response
}

fn problem(error: &RightsError) -> Refused {
    let (kind, detail) = match error {
        RightsError::Vault(_) => (ProblemKind::VaultUnavailable, "The vault cannot be used now."),
        RightsError::NoToken => (ProblemKind::NotFound, "There is no such token."),
        RightsError::Value => (ProblemKind::BadRequest, "A value has 1 to 4096 bytes."),
        RightsError::Case(_) | RightsError::NoCase | RightsError::OtherCase | RightsError::Busy => {
            (ProblemKind::Conflict, "The request cannot be served as things stand.")
        }
        RightsError::Restricted => (ProblemKind::Restricted, "The data is restricted."),
        _ => (ProblemKind::InternalError, "The request cannot be served."),
    };
    Refused::Problem(Box::new(Problem::new(kind, detail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_come_at_multiples_of_one_time() {
        for (millis, left) in [(0, 250), (1, 249), (249, 1), (250, 250), (613, 137)] {
            assert_eq!(left_of_refusal(Duration::from_millis(millis)), Duration::from_millis(left));
        }
        assert_eq!(left_of_refusal(Duration::MAX), Duration::ZERO);
    }
}
