//! What is known of the two who talk, and what becomes of their messages.

use crate::audit;
use crate::config::Reply;
use crate::ledger::Registered;
use crate::protocol::Protocol;
use crate::proxy::charset::Charset;
use crate::proxy::error::ProxyError;
use crate::proxy::exchange::{self, INLINE_LIMIT, Looked, Restoring};
use crate::proxy::gate::{self, Judged, Presented};
use crate::proxy::inspect::Findings;
use crate::proxy::reply::ReplyBody;
use crate::proxy::restore::{self, Context, Messages, Pause};
use crate::proxy::standing::Standing;
use crate::proxy::subject::{Named, Whose};
use crate::proxy::{Gateway, Route, lookalike, special, transcribe};
use crate::telemetry::{Held, Outcome, Stage};
use crate::token::Kinds;
use crate::transcripts::Draft;
use crate::vault::{Subject, SurrogateMatcher};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri};
use hyper::body::Incoming;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A WebSocket as the place of a conversation.
pub(in crate::proxy) struct Conversation {
    pub(super) gateway: Arc<Gateway>,
    pub(super) route: Arc<Route>,
    /// By the address alone.
    protocol: Arc<Protocol>,
    /// The address of the handshake, and no headers: messages have none.
    head: Parts,
    /// What the handshake presented.
    presented: Presented,
    /// Cancelled where the consent is withdrawn.
    pub(super) withdrawn: CancellationToken,
    state: Mutex<State>,
    /// The line of the access log, which is written when the socket ends.
    line: Arc<audit::Exchange>,
    /// The transcript, which is written when the socket ends.
    transcript: Option<Arc<Draft>>,
}

/// The consent that a handshake has.
pub(in crate::proxy) struct Consent {
    /// What it presents.
    pub(in crate::proxy) presented: Presented,
    /// What was decided.
    pub(in crate::proxy) judged: Judged,
    /// Cancelled where it is withdrawn.
    pub(in crate::proxy) withdrawn: CancellationToken,
}

/// What becomes known of it.
struct State {
    /// None: findings are removed, and there is no way back.
    subject: Option<Subject>,
    /// What was decided, by the record of whoever is named.
    judged: Arc<Judged>,
    surrogates: Option<Arc<SurrogateMatcher>>,
    /// The protocol that a message told, where the address does not.
    told: Option<Arc<Protocol>>,
    /// Findings that were replaced.
    replaced: u32,
}

impl Conversation {
    /// On the consent that the handshake has.
    pub(in crate::proxy) fn new(
        gateway: &Arc<Gateway>,
        route: &Arc<Route>,
        restoring: Restoring,
        address: &Uri,
        consent: Consent,
    ) -> Self {
        let Restoring { protocol, subject, surrogates, line, transcript, .. } = restoring;
        let Consent { presented, judged, withdrawn } = consent;
        let state = Mutex::new(State { subject, judged: Arc::new(judged), surrogates, told: None, replaced: 0 });
        let (mut head, ()) = Request::new(()).into_parts();
        head.uri = address.clone();
        let (gateway, route) = (Arc::clone(gateway), Arc::clone(route));
        Self { gateway, route, protocol, head, presented, withdrawn, state, line, transcript }
    }

    /// How it ends if nothing goes wrong.
    pub(super) fn outcome(&self) -> Outcome {
        if self.state().subject.is_some() { Outcome::Forwarded } else { Outcome::Anonymized }
    }

    /// Findings that were replaced in messages so far.
    pub(super) fn replaced(&self) -> u32 {
        self.state().replaced
    }

    /// What the chatbot is sent for a message of the client: its findings
    /// replaced, and what replaces them durable.
    ///
    /// Cancel safety: what is dropped has been forwarded nowhere.
    pub(super) async fn conceal(&self, message: Bytes) -> Result<Bytes, ProxyError> {
        let (gateway, route) = (&self.gateway, &self.route);
        let _in_memory = Held::new(&gateway.watch.metrics.body_bytes_in_flight, message.len());
        let message = gateway.bodies.hold(message)?;
        let mut clock = Instant::now();
        let looked = exchange::look_through(gateway, route, &self.head.uri, &self.head.headers, message).await?;
        let Looked { content, findings, protocol } = looked;
        gateway.watch.ends(Stage::Scan, &mut clock);
        gateway.watch.metrics.uninspected_bytes.inc_by(findings.uninspected as u64);
        route.coverage.add(&findings);
        exchange::judge(gateway, findings.each())?;
        let subject = self.subject(&protocol, &findings).await?;
        // Of what is removed beyond recovery nothing is asked, and nothing kept.
        let subject = match subject {
            Some(subject) if self.allows(&findings).await? => Some(subject),
            _ => None,
        };
        let lookalikes = lookalike::unknown(&lookalike::tokens_in(content.text()), subject.as_ref()).await?;
        gateway.watch.metrics.unknown_tokens_sent.inc_by(lookalikes as u64);
        let standing = Standing::of_message(content.text(), content.text().len() > INLINE_LIMIT);
        let parts = [&findings, &Findings::default()];
        let (mut replacements, surrogates) =
            exchange::stand_ins(gateway, route, parts, subject.as_ref(), &standing).await?;
        if let Some(transcript) = self.transcript.as_ref().filter(|_| subject.is_some()) {
            transcribe::request(content.text(), &findings, surrogates.as_ref(), transcript);
        }
        let message = content.forward(&findings.list, &mut replacements, &mut HeaderMap::new())?;
        gateway.watch.ends(Stage::Vault, &mut clock);
        let mut state = self.state();
        state.surrogates = surrogates;
        if !Arc::ptr_eq(&protocol, &self.protocol) {
            state.told = Some(protocol);
        }
        state.replaced += replacements.counts.sum();
        replacements.counts.each().for_each(|(entity, count)| self.line.tokenized(entity, count));
        if state.subject.is_some() && self.route.reply != Reply::Pass {
            self.line.announce();
        }
        Ok(message.bytes)
    }

    /// What is needed to restore; none where nothing is to be.
    async fn context(&self) -> Result<Option<Context>, ProxyError> {
        let (subject, surrogates, told, judged) = {
            let state = self.state();
            (state.subject.clone(), state.surrogates.clone(), state.told.clone(), Arc::clone(&state.judged))
        };
        let is_restricted = judged.is_restricted(&self.gateway).await?;
        let subject = subject.filter(|_| !is_restricted);
        // They hold values of their own.
        let surrogates = surrogates.filter(|_| subject.is_some());
        let transcript = self.transcript.clone().filter(|_| subject.is_some());
        if self.route.reply == Reply::Pass {
            return Ok(None);
        }
        let kinds = match &subject {
            Some(subject) => subject.kinds().await.map_err(|error| ProxyError::unrestorable(&error))?,
            None => Arc::default(),
        };
        let subject = subject.filter(|_| !kinds.is_empty() || surrogates.is_some());
        let redaction = self.route.redaction.clone();
        if subject.is_none() && redaction.is_none() && transcript.is_none() {
            return Ok(None);
        }
        let (protocol, watch) = (told.unwrap_or_else(|| Arc::clone(&self.protocol)), Arc::clone(&self.gateway.watch));
        let (line, charset) = (Some(Arc::clone(&self.line)), Some(Charset::Utf8));
        let declares = false;
        Ok(Some(Context {
            subject,
            kinds,
            surrogates,
            protocol,
            watch,
            redaction,
            line,
            transcript,
            charset,
            declares,
        }))
    }

    /// Puts the values back into the headers of the chatbot's handshake.
    pub(super) async fn restore_headers(&self, headers: &mut HeaderMap) -> Result<(), ProxyError> {
        if let Some(context) = self.context().await? {
            restore::headers::restore(headers, &context).await;
        }
        self.shown().await
    }

    /// Waits until the access log tells of what was put back so far.
    pub(super) async fn shown(&self) -> Result<(), ProxyError> {
        self.line.shown().await.map_err(|error| ProxyError::unrecorded(&error))
    }

    /// What the client is sent where the chatbot opens no WebSocket.
    pub(super) async fn reply(&self, reply: Response<Incoming>) -> Result<Response<ReplyBody>, ProxyError> {
        let restoring = {
            let (state, protocol) = (self.state(), Arc::clone(&self.protocol));
            let (subject, surrogates) = (state.subject.clone(), state.surrogates.clone());
            let (line, transcript) = (Arc::clone(&self.line), self.transcript.clone());
            Restoring { protocol, subject, surrogates, in_elements: false, door: None, chain: None, line, transcript }
        };
        exchange::restore(&self.gateway, &self.route, restoring, reply).await
    }

    /// What is told where the consent is withdrawn, of a conversation that does
    /// not come about.
    pub(super) fn into_registered(self) -> Option<Registered> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Arc::into_inner(state.judged)?.into_registered()
    }

    /// Whose tokens this message needs. A conversation that nobody was named
    /// for is that of the first whom a message names.
    async fn subject(&self, protocol: &Protocol, findings: &Findings) -> Result<Option<Subject>, ProxyError> {
        let judged = Arc::clone(&self.state().judged);
        let may_be_used = judged.may_be_used(&self.route, &self.gateway).await?;
        let (subject, is_named) = {
            let state = self.state();
            (state.subject.clone(), state.judged.is_of_somebody())
        };
        if subject.is_none() || is_named || self.gateway.config.consent.require_signed {
            return Ok(subject.filter(|_| may_be_used));
        }
        let token = self.presented.token.as_deref();
        let whose = self.gateway.subjects.choose(Named::Unsaid, &self.head, token, protocol, findings);
        let Whose::Subject(id) = whose else { return Ok(subject) };
        let (gateway, route, withdrawn) = (&self.gateway, &self.route, self.withdrawn.clone());
        let judged = gate::judge(&self.presented, Some(&id), route, gateway, withdrawn).await?;
        let subject = if judged.allow(&self.presented, route, gateway).await? {
            judged.note(&self.presented, route, gateway).await?;
            Some(gateway.subject(route, &id).await?)
        } else {
            route.denied.inc();
            None
        };
        if let Some(subject) = &subject {
            self.line.is_of(subject);
            self.transcript.iter().for_each(|transcript| transcript.is_of(subject, &id));
        }
        let mut state = self.state();
        (state.subject, state.judged) = (subject.clone(), Arc::new(judged));
        Ok(subject)
    }

    /// Whether a message may go on with a way back, with what it holds of
    /// special categories.
    async fn allows(&self, findings: &Findings) -> Result<bool, ProxyError> {
        let (gateway, route) = (&self.gateway, &self.route);
        if !findings.sensitive && !special::is_among(findings.each(), gateway) {
            return Ok(true);
        }
        let judged = Arc::clone(&self.state().judged);
        special::allow(true, &judged, &self.presented, route, gateway).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the chatbot says, on its way to the client.
pub(super) struct Replies<'c> {
    conversation: &'c Conversation,
    /// Texts that go on from message to message, where the protocol has such.
    going_on: Option<GoingOn>,
}

struct GoingOn {
    messages: Messages,
    /// What its texts are searched for.
    kinds: Arc<Kinds>,
    surrogates: Option<Arc<SurrogateMatcher>>,
}

impl<'c> Replies<'c> {
    pub(super) fn new(conversation: &'c Conversation) -> Self {
        Self { conversation, going_on: None }
    }

    /// What the client is sent for a message of the chatbot: mostly one.
    pub(super) async fn reveal(&mut self, message: Bytes) -> Result<Vec<Bytes>, ProxyError> {
        let Some(context) = self.conversation.context().await? else { return Ok(vec![message]) };
        match std::str::from_utf8(&message) {
            Ok(text) if context.protocol.socket.framing.is_none() => Ok(self.restore(text, context).await),
            _ => Ok(vec![restore::whole(message, restore::Shape::Document, &context).await]),
        }
    }

    /// How many pieces of text that may go on have come; none where there is no such text.
    pub(super) fn heard(&self) -> Option<u64> {
        self.going_on.as_ref().map(|going_on| going_on.messages.heard())
    }

    /// What likely is whole, where nothing follows for a while.
    pub(super) async fn pause(&mut self, pause: Pause) -> Vec<Bytes> {
        let Some(going_on) = &mut self.going_on else { return Vec::new() };
        let messages = as_bytes(going_on.messages.pause(pause).await);
        // A socket that sleeps needs no memory of it.
        self.going_on.take_if(|going_on| going_on.messages.is_over());
        messages
    }

    /// What was held back of texts that do not go on.
    pub(super) async fn finish(&mut self) -> Vec<Bytes> {
        match self.going_on.take() {
            Some(mut going_on) => as_bytes(going_on.messages.finish().await),
            None => Vec::new(),
        }
    }

    /// What was held back of texts that break off.
    pub(super) async fn break_off(&mut self) -> Vec<Bytes> {
        match self.going_on.take() {
            Some(mut going_on) => as_bytes(going_on.messages.break_off().await),
            None => Vec::new(),
        }
    }

    async fn restore(&mut self, text: &str, context: Context) -> Vec<Bytes> {
        let (started, watch) = (Instant::now(), Arc::clone(&context.watch));
        let is_same = |going_on: &GoingOn| {
            let matcher = |matcher: &Option<Arc<SurrogateMatcher>>| matcher.as_ref().map(Arc::as_ptr);
            Arc::ptr_eq(&going_on.kinds, &context.kinds)
                && matcher(&going_on.surrogates) == matcher(&context.surrogates)
        };
        // The client has said something new since: what was going on is over.
        let mut out = if self.going_on.as_ref().is_none_or(is_same) { Vec::new() } else { self.finish().await };
        let going_on = self.going_on.get_or_insert_with(|| {
            let (kinds, surrogates) = (Arc::clone(&context.kinds), context.surrogates.clone());
            GoingOn { messages: Messages::new(context), kinds, surrogates }
        });
        out.extend(as_bytes(going_on.messages.restore(text).await));
        watch.took(Stage::Restore, started.elapsed());
        out
    }
}

fn as_bytes(messages: Vec<String>) -> Vec<Bytes> {
    messages.into_iter().map(Bytes::from).collect()
}
