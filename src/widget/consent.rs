//! `/.privet/consent`: consent given (`POST`), shown (`GET`) and withdrawn
//! (`DELETE`), each answered by what it changes and by a receipt.

use super::{Asked, Refused, json, parameters, refused};
use crate::clock;
use crate::config::{Basis, Config, Purpose, WithoutConsent};
use crate::consent::{self, AHEAD, Answer, Said};
use crate::ledger::{Act, Changed, Channel, Ledger, What, receipt, standing, word};
use crate::problem::{Problem, ProblemKind};
use crate::store::Row;
use bytes::Bytes;
use http::{Method, Response, header};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const METHODS: &str = "GET, HEAD, POST, DELETE";

const USED: &str = "The signed token was used before; its `jti` is good for one act.";

/// Who asks, and what the body says.
struct Person<'a> {
    asked: &'a Asked<'a>,
    row: Row,
    tenant: &'a str,
    body: Option<Map<String, Value>>,
}

pub(super) async fn answer(config: &Config, ledger: &Ledger, asked: &Asked<'_>) -> Result<Response<Bytes>, Refused> {
    let method = asked.method;
    if ![Method::GET, Method::HEAD, Method::POST, Method::DELETE].contains(method) {
        return Err(Refused::Method(METHODS));
    }
    if config.consent.require_signed && asked.token.is_none() {
        return Err(required(config, "A signed `Privet-Consent-Token` that holds says who asks; there is none."));
    }
    let Some(subject) = &asked.subject else {
        let detail = "The request does not say whose consent it is: send `Privet-Subject` or `Privet-Conversation`.";
        return Err(refused(ProblemKind::BadRequest, detail));
    };
    let tenant = tenant(config, asked)?;
    let person = Person { asked, row: ledger.row(tenant, subject), tenant, body: body(asked)? };
    match *method {
        Method::POST => person.give(config, ledger).await,
        Method::DELETE => person.withdraw(config, ledger).await,
        _ => {
            let (known, latest) = ledger.latest(person.row).await?;
            Ok(json(&receipt(config, ledger.notices(), person.row, known.state(), &latest)))
        }
    }
}

impl Person<'_> {
    async fn give(&self, config: &Config, ledger: &Ledger) -> Result<Response<Bytes>, Refused> {
        let (statement, at) = self.statement(config, ledger).await?;
        self.use_token(config, ledger).await?;
        let changed = ledger.give(self.row, statement, at).await?;
        self.tell(config, ledger, &changed).await
    }

    async fn withdraw(&self, config: &Config, ledger: &Ledger) -> Result<Response<Bytes>, Refused> {
        let named = self.withdrawn(config)?;
        let id = self.asked.token.and_then(|token| Some((token.id.as_ref()?, token.expires)));
        if let Some((id, _)) = id
            && ledger.is_used(self.tenant, id).await?
        {
            return Err(required(config, USED));
        }
        let purposes = named.into_iter().map(|purpose| (purpose.name.clone(), false)).collect();
        let statement = self.what(Act::Withdrawn, purposes, None, config);
        let changed = ledger.withdraw(self.row, statement).await?;
        // Only now, so that a token is not used up by a withdrawal that fails;
        // twice at once they come to the same.
        if let Some((id, expires)) = id {
            ledger.use_once(self.tenant, id, expires).await?;
        }
        self.tell(config, ledger, &changed).await
    }

    /// What a `POST` says, as it is kept: by its body, else by its header, else
    /// by its token. Where consent must be signed the token alone gives.
    async fn statement(&self, config: &Config, ledger: &Ledger) -> Result<(What, Option<u64>), Refused> {
        let asked = self.asked;
        let of_body = match &self.body {
            Some(body) => Some(Said::of_json(body).ok_or_else(|| {
                refused(
                    ProblemKind::BadRequest,
                    "The body must be {\"purposes\": {\"NAME\": true}}, with `policy`, `method` and `at` beside it.",
                )
            })?),
            None => None,
        };
        let of_header = match asked.header {
            Some(header) => Some(consent::read_header(header).ok_or_else(|| {
                refused(ProblemKind::BadHeader, "`Privet-Consent` is no dictionary of Structured Fields (RFC 9651).")
            })?),
            None => None,
        };
        let of_token = asked.token.map(|token| &token.said);
        let unsigned = of_body.as_ref().or(of_header.as_ref());
        let said = if config.consent.require_signed { of_token } else { unsigned.or(of_token) };
        let Some(said) = said else {
            let detail = "The request says nothing of consent: send `Privet-Consent`, or a JSON body.";
            return Err(refused(ProblemKind::BadRequest, detail));
        };

        let known = ledger.known(self.row).await?;
        let mut purposes = BTreeMap::new();
        let mut stale = Vec::new();
        for purpose in &config.purposes {
            let name = &purpose.name;
            let refuses = |said: &Said<'_>| said.answer(name) == Answer::Refused;
            if unsigned.is_some_and(refuses) || refuses(said) {
                purposes.insert(name.clone(), false);
                continue;
            }
            if said.answer(name) != Answer::Given || (purpose.explicit && !said.is_explicit()) {
                continue;
            }
            if said.policy.as_deref().is_some_and(|version| !config.consent.accepts(version)) {
                stale.push(name.clone());
            } else if self.is_old(said, known.state().of(name).withdrawn, config) {
                // A token of before the withdrawal is no new consent.
            } else {
                purposes.insert(name.clone(), !(asked.gpc && purpose.yields_to_gpc()));
            }
        }
        if purposes.is_empty() {
            return Err(Self::nothing(config, said, stale));
        }
        let at = said.at.filter(|at| *at <= clock::unix_seconds() + AHEAD);
        Ok((self.what(Act::Given, purposes, Some(said), config), at))
    }

    /// Whether a signed consent was given before a withdrawal. What names itself
    /// cannot have been sent before, so it may be of the same second.
    fn is_old(&self, said: &Said<'_>, withdrawn: Option<u64>, config: &Config) -> bool {
        let is_named = self.asked.token.is_some_and(|token| token.id.is_some());
        let is_before = |withdrawn: u64| {
            let before = withdrawn.saturating_sub(u64::from(is_named));
            !said.is_after(before, clock::unix_seconds())
        };
        config.consent.require_signed && withdrawn.is_some_and(is_before)
    }

    fn nothing(config: &Config, said: &Said<'_>, stale: Vec<String>) -> Refused {
        if !stale.is_empty() {
            let detail = "The consent was given under another version of the notice: show the current one.";
            let problem = Problem::new(ProblemKind::ConsentStale, detail);
            return Refused::Problem(Box::new(problem.with_consent(stale, config.consent.notice_url.clone())));
        }
        if config.purposes.iter().any(|purpose| said.answer(&purpose.name) == Answer::Given) {
            return required(config, "The consent was said before it was withdrawn, or names no act of the person.");
        }
        let names: Vec<&str> = config.purposes.iter().map(|purpose| purpose.name.as_str()).collect();
        let detail = format!("The request says true or false of no purpose; the purposes are {}.", names.join(", "));
        refused(ProblemKind::BadRequest, detail)
    }

    /// The purposes that a `DELETE` names: in the query, in the body, or in the
    /// header. All of them, where it names none.
    fn withdrawn<'c>(&self, config: &'c Config) -> Result<Vec<&'c Purpose>, Refused> {
        let mut named: Vec<String> = parameters(self.asked.query, "purpose").collect();
        if named.is_empty() {
            named = match self.body.as_ref().and_then(|body| body.get("purposes")) {
                None => Vec::new(),
                Some(Value::Array(names)) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
                Some(Value::Object(members)) => members.keys().cloned().collect(),
                Some(_) => {
                    let detail = "`purposes` must be a list of names, or an object with names as keys.";
                    return Err(refused(ProblemKind::BadRequest, detail));
                }
            };
        }
        let said = self.asked.header.and_then(consent::read_header);
        if let Some(said) = said.filter(|_| named.is_empty()) {
            let with = |wanted| said.answers.iter().filter(move |(_, answer)| *answer == wanted);
            let wanted = if with(Answer::Refused).next().is_some() { Answer::Refused } else { Answer::Given };
            named = with(wanted).map(|(name, _)| name.to_string()).collect();
        }
        if named.is_empty() {
            let can = |purpose: &&Purpose| matches!(purpose.basis, Basis::Consent | Basis::LegitimateInterest);
            return Ok(config.purposes.iter().filter(can).collect());
        }
        let known: Vec<&Purpose> = named.iter().filter_map(|name| config.purpose(name)).collect();
        if known.is_empty() {
            let names: Vec<&str> = config.purposes.iter().map(|purpose| purpose.name.as_str()).collect();
            let detail = format!("There is no such purpose; the purposes are {}.", names.join(", "));
            return Err(refused(ProblemKind::BadRequest, detail));
        }
        Ok(known)
    }

    fn what(&self, act: Act, purposes: BTreeMap<String, bool>, said: Option<&Said<'_>>, config: &Config) -> What {
        let member = |name: &str| self.body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_str);
        let policy = said.and_then(|said| said.policy.as_deref()).map(word);
        let signed = config.consent.require_signed || (self.body.is_none() && self.asked.header.is_none());
        let signed = signed && self.asked.token.is_some();
        let channel = match member("channel") {
            _ if signed => Channel::Token,
            Some("widget") => Channel::Widget,
            _ => Channel::Endpoint,
        };
        What {
            purposes,
            policy: policy.or_else(|| config.consent.policy.clone()),
            lang: member("lang").map(word),
            method: said.and_then(|said| said.method.as_deref()).or_else(|| member("method")).map(word),
            signed,
            gpc: self.asked.gpc,
            ..What::new(act, channel)
        }
    }

    /// A token that names itself gives once.
    async fn use_token(&self, config: &Config, ledger: &Ledger) -> Result<(), Refused> {
        let Some(token) = self.asked.token else { return Ok(()) };
        let Some(id) = &token.id else { return Ok(()) };
        if ledger.use_once(self.tenant, id, token.expires).await? {
            return Ok(());
        }
        Err(required(config, USED))
    }

    async fn tell(&self, config: &Config, ledger: &Ledger, changed: &Changed) -> Result<Response<Bytes>, Refused> {
        let (known, latest) = ledger.latest(self.row).await?;
        Ok(json(&json!({
            "given": changed.given,
            "withdrawn": changed.withdrawn,
            "ended": changed.ended,
            "effects": effects(config, changed),
            "consent": standing(config, &changed.state),
            "receipt": receipt(config, ledger.notices(), self.row, known.state(), &latest),
        })))
    }
}

/// What is different from now on, route by route.
fn effects(config: &Config, changed: &Changed) -> Vec<Value> {
    let effect = |path: &str, purpose: &str, is_served: bool, without: WithoutConsent| {
        let (from_now_on, says) = match without {
            _ if is_served => ("served", "Messages are answered; personal data is replaced by tokens."),
            WithoutConsent::Block => ("refused", "Messages are refused before anything of them is forwarded."),
            WithoutConsent::Anonymize => {
                ("anonymized", "Messages are answered; personal data is removed from them for good.")
            }
        };
        json!({"path": path, "purpose": purpose, "from_now_on": from_now_on, "says": says})
    };
    let mut effects = Vec::new();
    for route in &config.routes {
        for (purposes, is_served) in [(&changed.given, true), (&changed.withdrawn, false)] {
            if purposes.contains(&route.purpose) {
                effects.push(effect(&route.path, &route.purpose, is_served, route.without_consent));
            }
        }
    }
    effects
}

/// The tenant that a page speaks for: the one of the deployment, or another
/// one of its routes by `?tenant=`.
fn tenant<'c>(config: &'c Config, asked: &Asked<'_>) -> Result<&'c str, Refused> {
    let Some(named) = parameters(asked.query, "tenant").next() else { return Ok(&config.tenant) };
    let mut all = config.routes.iter().map(|route| route.tenant.as_str()).chain([config.tenant.as_str()]);
    all.find(|tenant| *tenant == named)
        .ok_or_else(|| refused(ProblemKind::BadRequest, "There is no such tenant at this gateway."))
}

/// The body as a JSON object; none where it is empty. Its type must be JSON,
/// which a page of another origin cannot send without leave.
fn body(asked: &Asked<'_>) -> Result<Option<Map<String, Value>>, Refused> {
    if asked.body.is_empty() {
        return Ok(None);
    }
    let is_json = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media = value.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("application/json")
    });
    if !is_json {
        return Err(refused(ProblemKind::UnsupportedBody, "The body must be of the type application/json."));
    }
    match serde_json::from_slice(&asked.body) {
        Ok(Value::Object(members)) => Ok(Some(members)),
        _ => Err(refused(ProblemKind::BadRequest, "The body is no JSON object.")),
    }
}

fn required(config: &Config, detail: &'static str) -> Refused {
    let asks = config.purposes.iter().filter(|purpose| purpose.basis == Basis::Consent);
    let missing = asks.map(|purpose| purpose.name.clone()).collect();
    let problem = Problem::new(ProblemKind::ConsentRequired, detail);
    Refused::Problem(Box::new(problem.with_consent(missing, config.consent.notice_url.clone())))
}
