//! One request and its reply, from socket to socket, read straight down.

use super::body::ReadBody;
use super::chain::Chain;
use super::content::{self, Content, Unread};
use super::encoding::Codings;
use super::error::ProxyError;
use super::gate::{self, Judged};
use super::inspect::{self, Findings, Located};
use super::redact::{Replacements, redact};
use super::reply::{ReplyBody, Settle};
use super::restore::{self, Shape};
use super::standing::Standing;
use super::subject::{Named, Whose};
use super::unpacked::Unpacked;
use super::websocket::{self, Conversation, Handshake};
use super::{Gateway, Route, cors, head, headers, links, lookalike, special, transcribe};
use crate::audit;
use crate::config::{Binary, Reply};
use crate::detect::{Operator, Scratch};
use crate::protocol::Protocol;
use crate::telemetry::{Held, Outcome, Stage, VaultOperation};
use crate::transcripts::Draft;
use crate::vault::{Subject, SurrogateMatcher};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) const REDACTED: HeaderName = HeaderName::from_static("privet-redacted");

/// Larger bodies are looked through on a thread where waiting harms nobody.
pub(super) const INLINE_LIMIT: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Forwards the request and gives the reply; an error means that nothing was
/// forwarded, or that there is no reply.
pub(super) async fn exchange(
    gateway: &Arc<Gateway>,
    request: Request<Incoming>,
    settle: &mut Settle,
) -> Result<Response<ReplyBody>, ProxyError> {
    let (head, body) = request.into_parts();
    // A client that asks first need not send what nobody wants.
    let sends_all = !head.headers.contains_key(header::EXPECT);
    let version = head.version;
    let mut unread = Some(body);
    let answered = forward(gateway, head, &mut unread, settle).await;
    if answered.is_err()
        && sends_all
        && let Some(body) = unread
    {
        gateway.bodies.discard(body, version).await;
    }
    answered
}

/// The stages of an exchange. A refusal before the body is read leaves it `unread`.
async fn forward(
    gateway: &Arc<Gateway>,
    mut head: http::request::Parts,
    unread: &mut Option<Incoming>,
    settle: &mut Settle,
) -> Result<Response<ReplyBody>, ProxyError> {
    // 1. Admit: the route, and a place among the requests in flight.
    let route = gateway.route(head.uri.path())?;
    settle.on_route(&route.metrics);
    settle.hold(gateway.admit()?);

    // 2. Vet: what cannot be proxied, and who is asking.
    vet(&head)?;
    let has_body = unread.as_ref().is_some_and(|body| !body.is_end_stream());
    let handshake = Handshake::take(&mut head, has_body)?;
    let presented = gate::Presented::take(&mut head, gateway).await?;
    let token = presented.token.as_deref();
    let named = Named::by(&head.headers, token, gateway.config.consent.require_signed)?;

    // 3. Consent: may this purpose be served, and with a way back?
    // (A preflight has no body; what has one is a message.)
    let preflight = cors::is_preflight(&head.method, &head.headers) && !has_body;
    let withdrawn = CancellationToken::new();
    let early = gateway.subjects.in_head(&named, &head, token);
    let mut judged = if preflight {
        Judged::free()
    } else {
        gate::judge(&presented, early.as_deref(), route, gateway, withdrawn.clone()).await?
    };
    // Where the body may name who it is, that one's record may say more.
    let may_change = early.is_none() && !preflight;
    let mut reversible = true;
    let mut handshake = handshake;
    if !(may_change && gateway.subjects.look_in_body()) {
        match (judged.allow(&presented, route, gateway).await, handshake.take()) {
            (Err(refusal), Some(handshake)) => return Ok(websocket::refuse(handshake, &refusal, settle)),
            (allowed, taken) => (reversible, handshake) = (allowed?, taken),
        }
    }

    // 4. Read: the whole body, within bounds.
    let body = unread.take().ok_or_else(ProxyError::internal)?;
    let body = gateway.bodies.read(body, head.version).await?;
    let in_memory = Held::new(&gateway.watch.metrics.body_bytes_in_flight, body.bytes.len());

    // 5. Walk the body, and what travels on of the head (nothing of the
    // client's place or of Privet), and 6. detect in each text.
    let mut clock = Instant::now();
    let Looked { content, findings, protocol } = look_through(gateway, route, &head.uri, &head.headers, body).await?;
    let whose = gateway.subjects.choose(named, &head, token, &protocol, &findings);
    let is_chained = matches!(whose, Whose::After(_) | Whose::First);
    let chosen = whose.resolve(gateway, route, &protocol).await?;
    if may_change {
        if let Some(id) = &chosen {
            judged = gate::judge(&presented, Some(id), route, gateway, withdrawn.clone()).await?;
        }
        match (judged.allow(&presented, route, gateway).await, handshake.take()) {
            (Err(refusal), Some(handshake)) => return Ok(websocket::refuse(handshake, &refusal, settle)),
            (allowed, taken) => (reversible, handshake) = (allowed?, taken),
        }
    }
    if !reversible {
        route.denied.inc();
    }
    let door = if protocol.socket.has_urls() { links::door(&head, gateway) } else { None };
    headers::clean_request(&mut head.headers, &gateway.headers);
    if !findings.list.is_empty() {
        headers::drop_digests(&mut head.headers);
    }
    let in_head = SCRATCH.with_borrow_mut(|scratch| {
        scratch.end_conversation();
        head::inspect(&head, gateway.detector(route), &gateway.headers, &protocol.socket, &route.clean, scratch)
    })?;
    gateway.watch.ends(Stage::Scan, &mut clock);
    gateway.watch.metrics.uninspected_bytes.inc_by(findings.uninspected as u64);
    route.coverage.add(&findings);
    let in_shadow = SCRATCH.with_borrow_mut(|scratch| gateway.watch.found_in_shadow(scratch));
    let all_found = || findings.each().chain(in_head.findings.each());
    judge(gateway, all_found())?;
    // Of what is removed beyond recovery nothing is asked, and nothing kept.
    let is_sensitive = reversible && (findings.sensitive || in_shadow || special::is_among(all_found(), gateway));
    match (special::allow(is_sensitive, &judged, &presented, route, gateway).await, handshake.take()) {
        (Err(refusal), Some(handshake)) => return Ok(websocket::refuse(handshake, &refusal, settle)),
        (allowed, taken) => (reversible, handshake) = (reversible & allowed?, taken),
    }

    // 7. Tokenize: durable before anything is forwarded, and 8. rewrite.
    let subject = match &chosen {
        _ if !reversible => None,
        // Consent has not been asked for, so nothing of a preflight is kept.
        Some(id) if !preflight => Some(gateway.subject(route, id).await?),
        _ => Some(gateway.vault.passing_subject()),
    };
    // What cannot be recorded is not done. Where nobody is named for a request
    // there is nobody to name.
    let named = subject.clone().filter(|_| chosen.is_some() && !preflight);
    let line = Arc::new(gateway.audit.begin(&route.place, settle.id(), named)?);
    let lookalikes = lookalike::unknown(&lookalike::tokens_in(content.text()), subject.as_ref()).await?;
    gateway.watch.metrics.unknown_tokens_sent.inc_by(lookalikes as u64);
    let standing = Standing::new(content.text(), &head, content.text().len() > INLINE_LIMIT);
    // What was said of consent is kept together with what it covers.
    let parts = [&findings, &in_head.findings];
    let noting = async { if reversible { judged.note(&presented, route, gateway).await } else { Ok(()) } };
    let ((mut replacements, surrogates), ()) =
        tokio::try_join!(stand_ins(gateway, route, parts, subject.as_ref(), &standing), noting)?;
    drop(standing);
    let may_be_kept = reversible && !preflight;
    let transcript = may_be_kept
        .then(|| transcribe::begin(gateway, route, subject.as_ref().zip(chosen.as_deref()), &withdrawn))
        .flatten();
    if let Some(transcript) = &transcript {
        transcribe::request(content.text(), &findings, surrogates.as_ref(), transcript);
    }
    let body = content.forward(&findings.list, &mut replacements, &mut head.headers)?;
    in_head.rewrite(&mut head, &mut replacements)?;
    let counts = replacements.counts;
    gateway.watch.ends(Stage::Vault, &mut clock);
    settle.replaced(counts.sum());
    counts.each().for_each(|(entity, count)| line.tokenized(entity, count));
    if reversible && route.reply != Reply::Pass {
        line.announce();
    }

    // 9. Forward. A WebSocket goes on from here by itself.
    let in_elements = protocol.reply.comes_in_elements(head.uri.path());
    if route.reply != Reply::Pass {
        // What is asked for in parts could not be restored where it is cut.
        headers::drop_ranges(&mut head.headers);
    }
    let chain = chosen.as_ref().filter(|_| is_chained && reversible).map(|subject| {
        let (vault, watch, tenant) = (gateway.vault.clone(), Arc::clone(&gateway.watch), route.tenant.clone());
        Chain { vault, watch, protocol: Arc::clone(&protocol), tenant, subject: subject.clone() }
    });
    let restoring = Restoring { protocol, subject, surrogates, in_elements, line, transcript, door, chain };
    if let Some(handshake) = handshake {
        let consent = websocket::Consent { presented, judged, withdrawn };
        let conversation = Conversation::new(gateway, route, restoring, &handshake.address, consent);
        // Boxed, or each exchange would have its size.
        return Box::pin(websocket::open(handshake, head, conversation, &counts, settle)).await;
    }
    let answering = async {
        let response = route.upstream.send(Request::from_parts(head, Full::new(body.bytes))).await?;
        gateway.watch.ends(Stage::Upstream, &mut clock);
        drop((body.share, in_memory));

        // 10. Restore: as the reply streams. What is left to do then, 11. settling,
        // falls to the reply's body when it ends. Boxed, or exchanges would have that
        // size for as long as they wait for the upstream.
        Box::pin(restore(gateway, route, restoring, response)).await
    };
    let mut response = tokio::select! {
        biased;
        () = withdrawn.cancelled() => return Err(ProxyError::withdrawn(&route.purpose, &gateway.config.consent)),
        response = answering => response?,
    };
    if let Some(registered) = judged.into_registered() {
        response = response.map(|body| body.until(registered));
    }
    if !counts.is_empty()
        && let Ok(value) = HeaderValue::from_str(&counts.to_header())
    {
        response.headers_mut().insert(REDACTED, value);
    }
    settle.outcome(if reversible { Outcome::Forwarded } else { Outcome::Anonymized });
    Ok(response)
}

fn vet(head: &http::request::Parts) -> Result<(), ProxyError> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(ProxyError::bad_request("The methods CONNECT and TRACE are not served."));
    }
    Ok(())
}

/// Counts what was found, and refuses what no way leads past.
pub(super) fn judge<'f>(gateway: &Gateway, found: impl Iterator<Item = &'f Located>) -> Result<(), ProxyError> {
    let mut refused = None;
    for found in found {
        gateway.watch.found_in_request(found.rule);
        if found.operator == Operator::Block {
            refused.get_or_insert(found.entity);
        }
    }
    refused.map_or(Ok(()), |entity| Err(ProxyError::blocked(entity)))
}

/// What stands in for the findings of all parts, durable when this returns; and
/// what finds the surrogates that may come back.
pub(super) async fn stand_ins(
    gateway: &Gateway,
    route: &Route,
    parts: [&Findings; 2],
    subject: Option<&Subject>,
    standing: &Standing,
) -> Result<(Replacements, Option<Arc<SurrogateMatcher>>), ProxyError> {
    let redacted = redact(parts, subject, &route.means, standing).await;
    let replacements = gateway.watch.vault(VaultOperation::Tokenize, redacted)?;
    let surrogates = match subject {
        Some(subject) if gateway.gives_surrogates => {
            let known = subject.surrogates().await.inspect_err(|_| {
                // They are mostly at hand, so what is read is no measure.
                gateway.watch.metrics.vault_operation(VaultOperation::Restore, false);
            })?;
            known.matcher(&|search| Box::pin(standing.marks(search))).await
        }
        _ => None,
    };
    Ok((replacements, surrogates))
}

/// A body, or a message, that was looked through.
pub(super) struct Looked {
    pub(super) content: Content,
    pub(super) findings: Findings,
    pub(super) protocol: Arc<Protocol>,
}

/// What stands in a body, or in a message, which has no headers. What cannot be
/// inspected is refused, or passes
/// where the route says so.
pub(super) async fn look_through(
    gateway: &Arc<Gateway>,
    route: &Arc<Route>,
    uri: &Uri,
    headers: &HeaderMap,
    body: ReadBody,
) -> Result<Looked, ProxyError> {
    let unread = |body: ReadBody| {
        let told = body.bytes.get(..).filter(|bytes| bytes.len() <= INLINE_LIMIT).unwrap_or_default();
        let protocol = route.protocol(uri.path(), told, gateway).ok_or_else(ProxyError::internal)?;
        let findings = Findings { uninspected: body.bytes.len(), ..Findings::default() };
        Ok(Looked { content: Content::unread(body), findings, protocol })
    };
    let length = body.bytes.len();
    if length == 0 {
        return unread(body);
    }
    // What is encoded may be much more than it seems.
    let is_encoded = headers.contains_key(header::CONTENT_ENCODING);
    let looked = if length <= INLINE_LIMIT && !is_encoded {
        read_and_inspect(gateway, route, uri, headers, body)
    } else {
        let (gateway, route) = (Arc::clone(gateway), Arc::clone(route));
        let (uri, headers) = (uri.clone(), headers.clone());
        let looked = tokio::task::spawn_blocking(move || read_and_inspect(&gateway, &route, &uri, &headers, body));
        looked.await.map_err(|_| ProxyError::internal())?
    };
    match looked {
        Ok(Looked { findings: Findings { unknown: Some(member), .. }, .. }) => {
            route.coverage.refused(length);
            Err(ProxyError::unknown_member(&member))
        }
        Ok(looked) => Ok(looked),
        Err(Unread::Uninspectable(_, body)) if route.binary == Binary::Pass => unread(body),
        Err(Unread::Uninspectable(why, _)) => {
            route.coverage.refused(length);
            Err(ProxyError::unsupported_body(why.0))
        }
        Err(Unread::Refused(error)) => {
            route.coverage.refused(length);
            Err(error)
        }
    }
}

fn read_and_inspect(
    gateway: &Gateway,
    route: &Route,
    uri: &Uri,
    headers: &HeaderMap,
    body: ReadBody,
) -> Result<Looked, Unread> {
    let (content, format) = Content::read(body, headers, &gateway.bodies)?;
    let protocol = route.protocol(uri.path(), content.text(), gateway);
    let protocol = protocol.ok_or_else(|| Unread::Refused(ProxyError::internal()))?;
    let detector = gateway.detector(route);
    let looked = SCRATCH.with_borrow_mut(|scratch| {
        let rules = inspect::Rules {
            detector,
            clean: Some(&route.clean),
            fields: &protocol.request,
            identity: route.identity,
            binary: route.binary,
            files: route.files,
            strict: route.strict,
            texts: gateway.transcribes(route),
            sought: &gateway.sought,
            depth: gateway.config.limits.json_depth,
        };
        // The texts of a request are turns of one conversation.
        scratch.start_conversation();
        let format = format.framed(protocol.socket.framing);
        let looked = content::inspect(content.text(), &format, &rules, scratch);
        scratch.end_conversation();
        (looked, gateway.watch.found_in_shadow(scratch))
    });
    match looked {
        (Ok(mut findings), in_shadow) => {
            findings.sensitive |= in_shadow;
            Ok(Looked { content, findings, protocol })
        }
        (Err(why), _) => Err(Unread::Uninspectable(why, content.into_unread())),
    }
}

/// By what a reply is restored.
pub(super) struct Restoring {
    pub(super) protocol: Arc<Protocol>,
    pub(super) subject: Option<Subject>,
    pub(super) surrogates: Option<Arc<SurrogateMatcher>>,
    /// Whether a JSON reply is an array that comes element by element.
    pub(super) in_elements: bool,
    /// The line of the access log that is in the making.
    pub(super) line: Arc<audit::Exchange>,
    /// The transcript that is in the making.
    pub(super) transcript: Option<Arc<Draft>>,
    /// Where the client came in, for addresses that are to lead through there.
    pub(super) door: Option<String>,
    /// By what the next request of a conversation is known that the upstream keeps.
    pub(super) chain: Option<Chain>,
}

/// Puts the values back into a reply. What is in its head, and in what is whole,
/// stands in the access log when this returns.
pub(super) async fn restore(
    gateway: &Gateway,
    route: &Route,
    restoring: Restoring,
    response: Response<Incoming>,
) -> Result<Response<ReplyBody>, ProxyError> {
    let line = Arc::clone(&restoring.line);
    let restored = restore_parts(gateway, route, restoring, response).await?;
    line.shown().await.map_err(|error| ProxyError::unrecorded(&error))?;
    Ok(restored)
}

async fn restore_parts(
    gateway: &Gateway,
    route: &Route,
    Restoring { protocol, subject, surrogates, in_elements, door, chain, line, transcript }: Restoring,
    response: Response<Incoming>,
) -> Result<Response<ReplyBody>, ProxyError> {
    let (mut head, body) = response.into_parts();
    headers::clean_reply(&mut head.headers);
    let (codings, charset) = (Codings::of(&head.headers), restore::charset(&head.headers));
    let declares = restore::declares(&head.headers);
    let shape = match Shape::of_reply(&head.headers, protocol.socket.framing) {
        _ if !has_body(head.status) => Shape::Opaque,
        Shape::Unknown if route.redaction.as_ref().is_none_or(|redaction| redaction.passes_binary) => Shape::Opaque,
        Shape::Opaque => Shape::Opaque,
        // What cannot be read passes, but not where data of others is looked
        // for, or an address that may lead past this gateway.
        _ if codings.is_err() && (route.redaction.is_some() || protocol.socket.has_urls()) => {
            return Err(ProxyError::undecodable_reply());
        }
        _ if codings.is_err() => Shape::Opaque,
        Shape::Text(_) if charset.is_none() && route.redaction.as_ref().is_some_and(|by| !by.passes_binary) => {
            return Err(ProxyError::undecodable_reply());
        }
        Shape::Document if in_elements => Shape::Elements,
        shape => shape,
    };
    let in_headers = surrogates.is_some() || restore::headers::may_hold_tokens(&head.headers);
    let in_body = route.reply != Reply::Pass && shape != Shape::Opaque;
    let in_headers = in_headers && route.reply != Reply::Pass;
    let (subject, kinds) = match subject.filter(|_| in_headers || in_body) {
        Some(subject) => {
            let kinds = subject.kinds().await.map_err(|error| ProxyError::unrestorable(&error))?;
            (Some(subject).filter(|_| !kinds.is_empty() || surrogates.is_some()), kinds)
        }
        None => (None, Arc::default()),
    };
    let (idle, limit, watch) = (gateway.stream_idle, gateway.reply_limit, Arc::clone(&gateway.watch));
    let fields = Arc::clone(&protocol);
    let redaction = route.redaction.clone().filter(|_| in_body);
    let transcript = transcript.filter(|_| in_body);
    let context = (subject.is_some() || redaction.is_some() || transcript.is_some()).then(|| restore::Context {
        subject,
        kinds,
        surrogates,
        protocol,
        watch,
        line: Some(line),
        transcript,
        redaction,
        charset,
        declares,
    });
    if let Some(context) = context.as_ref().filter(|context| in_headers && context.subject.is_some()) {
        restore::headers::restore(&mut head.headers, context).await;
    }
    // An address may lead past this gateway also where there is nothing to restore.
    let has_links = fields.socket.has_urls() && shape.may_be_document();
    let changes = (context.is_some() && in_body) || has_links;
    let Some(codings) = codings.ok().filter(|_| changes) else {
        return Ok(Response::from_parts(head, ReplyBody::passing(body, idle)));
    };
    headers::drop_validators(&mut head.headers);
    if body.is_end_stream() {
        return Ok(Response::from_parts(head, ReplyBody::passing(body, idle)));
    }
    head.headers.remove(header::CONTENT_ENCODING);
    let body = Unpacked::new(body, &codings, gateway.config.limits.decode_ratio);
    let body = match context.filter(|_| in_body) {
        Some(context) if shape != Shape::Document && shape.streams_in(charset) && !has_links => {
            let stream = restore::stream(body, shape, limit, idle, context);
            match chain {
                Some(chain) => ReplyBody::restored(chain.note_stream(stream)),
                None => ReplyBody::restored(stream),
            }
        }
        context => {
            let mut whole = restore::read(body, limit, idle).await?;
            if has_links {
                whole = links::rewrite(whole, &fields.socket, door.as_deref(), gateway);
            }
            if let Some(context) = context {
                let shape = shape.of_whole(&whole);
                whole = restore::whole_reply(whole, shape, context).await?;
            }
            if let Some(chain) = chain {
                chain.note(&whole).await;
            }
            ReplyBody::whole(whole)
        }
    };
    Ok(Response::from_parts(head, body))
}

fn has_body(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}
