//! The consent of a request: taken from its headers, or from its address where
//! a browser cannot set headers, and held against the route's purpose and
//! against what stands in the ledger.

use super::error::ProxyError;
use super::{Gateway, Route};
use crate::clock;
use crate::config::{Basis, Purpose, WithoutConsent};
use crate::consent::token::Claims;
use crate::consent::{self, Answer, Decision, Standing, is_objected_by_signal};
use crate::ledger::{Act, Channel, Known, Registered, What, word};
use crate::store::Row;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The headers that may stand in the query instead.
const IN_QUERY: [&str; 4] = ["privet-consent", "privet-consent-token", "privet-subject", "privet-conversation"];

const CONSENT: HeaderName = HeaderName::from_static("privet-consent");
const TOKEN: HeaderName = HeaderName::from_static("privet-consent-token");
const GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// What the request says of consent.
#[derive(Clone, Default)]
pub(super) struct Presented {
    /// `Privet-Consent` as it came.
    pub(super) header: Option<String>,
    /// `Privet-Consent-Token`, where it holds.
    pub(super) token: Option<Arc<Claims>>,
    /// Whether there is a `Privet-Consent-Token` that does not hold.
    is_token_void: bool,
    pub(super) gpc: bool,
}

impl Presented {
    /// Takes the consent out of the request; parameters of Privet's own in the
    /// query become headers, and do not travel on.
    pub(super) async fn take(head: &mut Parts, gateway: &Gateway) -> Result<Self, ProxyError> {
        // A name may be percent-encoded, and an upstream would read it all the same.
        if head.uri.query().is_some_and(|query| query.contains("privet-") || query.contains('%')) {
            move_query_to_headers(head)?;
        }
        Ok(Self::of_headers(head, gateway).await)
    }

    /// What the headers alone say.
    pub(super) async fn of_headers(head: &Parts, gateway: &Gateway) -> Self {
        let mut header: Option<String> = None;
        for value in head.headers.get_all(CONSENT) {
            // What is no text does not parse, and so counts as absent.
            let value = value.to_str().unwrap_or("?");
            header = Some(header.map_or_else(|| value.to_owned(), |before| format!("{before}, {value}")));
        }
        // One line that objects is enough.
        let gpc = head.headers.get_all(GPC).iter().any(|value| value.as_bytes() == b"1");
        let has_token = head.headers.contains_key(TOKEN);
        let mut tokens = head.headers.get_all(TOKEN).iter();
        let token = match (tokens.next().and_then(|token| token.to_str().ok()), tokens.next()) {
            (Some(token), None) => gateway.tokens.verify(token.trim()).await,
            _ => None,
        };
        let is_token_void = has_token && token.is_none();
        Self { header, token, is_token_void, gpc }
    }

    /// What a client that is refused for want of consent is to mend.
    pub(super) fn advice(&self, gateway: &Gateway) -> &'static str {
        let is_unread = self.header.as_deref().is_some_and(|header| consent::read_header(header).is_none());
        if self.is_token_void {
            "The `Privet-Consent-Token` does not hold: its signature, issuer, audience, subject or time is not right."
        } else if gateway.config.consent.require_signed {
            "This chat needs consent to the purposes in `missing`: send it as `Privet-Consent-Token`."
        } else if is_unread {
            "`Privet-Consent` cannot be read: write names of purposes, such as `support, policy=\"1\"` (RFC 9651)."
        } else if self.gpc {
            "This chat needs consent to the purposes in `missing`; `Sec-GPC` objects to what sells, shares or profiles."
        } else {
            "This chat needs consent to the purposes in `missing`: send it as `Privet-Consent`."
        }
    }

    /// Decides by what is presented and by what stands of the purpose.
    fn decide(&self, standing: &Standing, purpose: &Purpose, gateway: &Gateway) -> Decision {
        let header = self.header.as_deref().and_then(consent::read_header);
        let (header, token) = (header.as_ref(), self.token.as_ref().map(|token| &token.said));
        let presented = consent::Presented { header, token, gpc: self.gpc, now: clock::unix_seconds() };
        consent::decide(&presented, standing, purpose, &gateway.config.consent)
    }

    /// The hash of what is presented, where it says something that is not kept yet.
    fn news(&self, known: &Known, route: &Route, gateway: &Gateway) -> Option<u64> {
        let says = self.header.is_some() || self.token.is_some() || self.gpc;
        says.then(|| self.hash(route, gateway)).filter(|hash| !known.has_recorded(*hash))
    }

    /// Equal for what is equal, on one route.
    fn hash(&self, route: &Route, gateway: &Gateway) -> u64 {
        let token = self.token.as_ref().map(|token| (&token.said.at, token.expires, &token.id));
        let presented = (&self.header, token, self.gpc, &route.purpose.name, &route.upstream.recipient);
        gateway.presented.hash_one(presented)
    }

    /// What it says, as it is kept; none where it says nothing of a purpose.
    fn statement(&self, route: &Route, gateway: &Gateway) -> Option<(What, Option<u64>)> {
        let header = self.header.as_deref().and_then(consent::read_header);
        let token = self.token.as_ref().map(|token| &token.said);
        let mut purposes = BTreeMap::new();
        for purpose in &gateway.config.purposes {
            let answers =
                [token, header.as_ref()].map(|said| said.map_or(Answer::Silent, |said| said.answer(&purpose.name)));
            if answers.contains(&Answer::Refused) {
                purposes.insert(purpose.name.clone(), false);
            } else if answers.contains(&Answer::Given) {
                purposes.insert(purpose.name.clone(), true);
            }
        }
        let signal = consent::Presented { gpc: self.gpc, ..consent::Presented::default() };
        let gpc = is_objected_by_signal(&signal, &route.purpose);
        if gpc {
            purposes.insert(route.purpose.name.clone(), false);
        }
        if purposes.is_empty() {
            return None;
        }
        let said = token.or(header.as_ref());
        let policy = said.and_then(|said| said.policy.as_deref()).map(word);
        let channel = if token.is_some() { Channel::Token } else { Channel::Header };
        let what = What {
            purposes,
            policy: policy.or_else(|| gateway.config.consent.policy.clone()),
            method: said.and_then(|said| said.method.as_deref()).map(word),
            scope: Some(route.purpose.name.clone()),
            recipient: Some(route.upstream.recipient.clone()),
            signed: token.is_some(),
            gpc,
            ..What::new(Act::Request, channel)
        };
        Some((what, said.and_then(|said| said.at)))
    }
}

/// What was decided of a request, and by whose record.
pub(super) struct Judged {
    pub(super) decision: Decision,
    /// Whoever is named; what ends their exchanges ends this one.
    whose: Option<(Row, Registered)>,
    /// The hash of what is presented, where it is to be kept.
    news: Option<u64>,
}

impl Judged {
    /// Nothing is asked for.
    pub(super) fn free() -> Self {
        Self { decision: Decision::Given, whose: None, news: None }
    }

    /// Whether the purpose may be served in full (true), or with everything
    /// removed beyond recovery (false). Else the request is refused.
    pub(super) async fn allow(
        &self,
        presented: &Presented,
        route: &Route,
        gateway: &Gateway,
    ) -> Result<bool, ProxyError> {
        let may_be_used = self.may_be_used(route, gateway).await?;
        let Decision::Missing(refusal) = &self.decision else { return Ok(may_be_used) };
        match route.without_consent {
            WithoutConsent::Anonymize => Ok(false),
            WithoutConsent::Block => {
                self.note_refusal(self.news, presented, route, gateway).await;
                route.denied.inc();
                Err(ProxyError::consent(refusal.clone(), presented.advice(gateway)))
            }
        }
    }

    /// Whether somebody is named.
    pub(super) fn is_of_somebody(&self) -> bool {
        self.whose.is_some()
    }

    /// Whether the person has asked that their data is kept and not used.
    pub(super) async fn is_restricted(&self, gateway: &Gateway) -> Result<bool, ProxyError> {
        match &self.whose {
            Some((row, _)) => Ok(gateway.rights.restrictions().hold_for(*row).await?),
            None => Ok(false),
        }
    }

    /// Whether the person's data may be used; what a restriction forbids is
    /// refused, or anonymized where the route does so without consent.
    pub(super) async fn may_be_used(&self, route: &Route, gateway: &Gateway) -> Result<bool, ProxyError> {
        match route.without_consent {
            _ if !self.is_restricted(gateway).await? => Ok(true),
            WithoutConsent::Anonymize => Ok(false),
            WithoutConsent::Block => Err(ProxyError::restricted()),
        }
    }

    /// Keeps what the request says, unless it is known. It is durable when this returns.
    pub(super) async fn note(&self, presented: &Presented, route: &Route, gateway: &Gateway) -> Result<(), ProxyError> {
        self.keep(self.news, presented, route, gateway).await
    }

    /// Whether a further purpose may be served, by the same record. Its
    /// withdrawal ends the exchange too. What the request says is kept even
    /// where the route asks for no consent: here it is used.
    pub(super) async fn allow_also(
        &self,
        presented: &Presented,
        purpose: &Purpose,
        route: &Route,
        gateway: &Gateway,
    ) -> Result<bool, ProxyError> {
        let (decision, news) = match &self.whose {
            Some((row, registered)) => {
                registered.also(&purpose.name);
                let known = gateway.ledger.known(*row).await?;
                if purpose.yields_to_gpc() && !presented.gpc {
                    registered.yields();
                    gateway.ledger.opens(*row).await?;
                }
                let decision = presented.decide(known.state().of(&purpose.name), purpose, gateway);
                (decision, presented.news(&known, route, gateway))
            }
            None => (presented.decide(&Standing::default(), purpose, gateway), None),
        };
        match decision {
            Decision::Given => self.keep(news, presented, route, gateway).await.map(|()| true),
            Decision::Missing(_) if route.without_consent == WithoutConsent::Anonymize => Ok(false),
            Decision::Missing(refusal) => {
                self.note_refusal(news, presented, route, gateway).await;
                Err(ProxyError::consent(refusal, presented.advice(gateway)))
            }
        }
    }

    /// That somebody refuses is kept too. Whether it can be makes no difference
    /// to the answer.
    async fn note_refusal(&self, news: Option<u64>, presented: &Presented, route: &Route, gateway: &Gateway) {
        if let Err(error) = self.keep(news, presented, route, gateway).await {
            tracing::warn!(problem = error.problem.kind.name(), "A refusal of consent cannot be kept.");
        }
    }

    async fn keep(
        &self,
        news: Option<u64>,
        presented: &Presented,
        route: &Route,
        gateway: &Gateway,
    ) -> Result<(), ProxyError> {
        let (Some((row, _)), Some(hash)) = (&self.whose, news) else { return Ok(()) };
        let Some((what, at)) = presented.statement(route, gateway) else { return Ok(()) };
        // Boxed, or each exchange would have the size of that.
        Ok(Box::pin(gateway.ledger.note(*row, hash, what, at)).await?)
    }

    /// What is told where the exchange must end.
    pub(super) fn into_registered(self) -> Option<Registered> {
        self.whose.map(|(_, registered)| registered)
    }
}

/// Holds what a request presents against its purpose, and against the record
/// of whose it is. From now on a withdrawal cancels `ended`, and so does, on
/// whatever basis, an erasure or a restriction.
pub(super) async fn judge(
    presented: &Presented,
    whose: Option<&str>,
    route: &Route,
    gateway: &Gateway,
    ended: CancellationToken,
) -> Result<Judged, ProxyError> {
    let is_asked = matches!(route.purpose.basis, Basis::Consent | Basis::LegitimateInterest);
    let row = whose.map(|whose| gateway.ledger.row(&route.tenant, whose));
    let purpose = is_asked.then_some(&route.purpose_name);
    // In this order no withdrawal can come between.
    let whose = row.map(|row| (row, gateway.ledger.register(row, purpose, ended)));
    if let Some((row, _)) = whose.as_ref().filter(|_| presented.gpc && gateway.heeds_gpc) {
        gateway.ledger.signal(*row).await?;
    }
    let Some((row, registered)) = whose.as_ref().filter(|_| is_asked) else {
        let decision = presented.decide(&Standing::default(), &route.purpose, gateway);
        return Ok(Judged { decision, whose, news: None });
    };
    if route.purpose.yields_to_gpc() && !presented.gpc {
        registered.yields();
        gateway.ledger.opens(*row).await?;
    }
    let known = gateway.ledger.known(*row).await?;
    let decision = presented.decide(known.state().of(&route.purpose.name), &route.purpose, gateway);
    let news = presented.news(&known, route, gateway);
    Ok(Judged { decision, whose, news })
}

fn move_query_to_headers(head: &mut Parts) -> Result<(), ProxyError> {
    let mut kept = Vec::new();
    let mut moved = Vec::new();
    for pair in head.uri.query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name);
        let Some(header) = IN_QUERY.into_iter().find(|header| name.clone().eq(header.bytes())) else {
            kept.push(pair);
            continue;
        };
        let value = percent_decode_str(&value.replace('+', " ")).decode_utf8().ok().map(String::from);
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        let value = value
            .ok_or_else(|| ProxyError::bad_header(format!("The query parameter `{header}` is no header value.")))?;
        moved.push((HeaderName::from_static(header), value));
    }
    if moved.is_empty() {
        return Ok(());
    }
    // What a header says outweighs the address. A parameter that is repeated is
    // as a header that is.
    moved.retain(|(name, _)| !head.headers.contains_key(name));
    for (name, value) in moved {
        head.headers.append(name, value);
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    let path: PathAndQuery = format!("{}{query}", head.uri.path()).parse().map_err(|_| ProxyError::bad_address())?;
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts).map_err(|_| ProxyError::bad_address())?;
    // A referrer may repeat the address.
    head.headers.remove(header::REFERER);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn taken(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        move_query_to_headers(&mut head).unwrap();
        head
    }

    fn consent(head: &Parts) -> Vec<&str> {
        head.headers.get_all(CONSENT).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn the_query_may_stand_in_for_headers_and_does_not_travel() {
        let head = taken("/v1/events?a=1&privet-consent=support%2C%20x%3D%3F0&privet-subject=u1&b=2", &[]);
        assert_eq!(consent(&head), ["support, x=?0"]);
        assert_eq!(head.headers["privet-subject"], "u1");
        assert_eq!(head.uri, "/v1/events?a=1&b=2");
        assert_eq!(taken("/v1?privet-consent=support", &[]).uri, "/v1");
        let head = taken("/v1?%70rivet%2Dconsent=support&a=%20&privet%2dsubject=u1", &[]);
        assert_eq!(consent(&head), ["support"]);
        assert_eq!(head.uri, "/v1?a=%20");
        assert_eq!(taken("/v1?a=%20&&b", &[]).uri, "/v1?a=%20&&b");
    }

    #[test]
    fn a_parameter_that_is_repeated_is_as_a_header_that_is() {
        let twice = "/v1?privet-consent=support&privet-consent=support%3D%3F0&privet-subject=a&privet-subject=b";
        let head = taken(twice, &[]);
        assert_eq!(consent(&head), ["support", "support=?0"]);
        assert_eq!(head.headers.get_all("privet-subject").iter().count(), 2);
        let head = taken(twice, &[("privet-consent", "support"), ("privet-subject", "c")]);
        assert_eq!(consent(&head), ["support"]);
        assert_eq!(head.headers.get_all("privet-subject").iter().collect::<Vec<_>>(), ["c"]);
    }
}
