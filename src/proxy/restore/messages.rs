//! The messages of a socket: each is one event, or one text, and texts go on
//! from message to message as they do from event to event.

use super::Context;
use super::events::EventRestorer;
use super::framing::Framing;
use crate::framing::Event;
use bytes::{Bytes, BytesMut};

/// Restores the messages that one socket brings.
pub(in crate::proxy) struct Messages {
    events: EventRestorer,
    context: Context,
}

impl Messages {
    /// Of a socket whose messages follow the protocol of the context.
    pub(in crate::proxy) fn new(context: Context) -> Self {
        Self { events: EventRestorer::new(Framing::Messages), context }
    }

    /// What is to be sent now that this message has come: mostly itself,
    /// restored. Where a text of it may go on it may have to wait for the next.
    pub(in crate::proxy) async fn restore(&mut self, message: &str) -> Vec<String> {
        let mut out = BytesMut::new();
        self.events.event(as_event(message), &self.context, &mut out).await;
        self.each(&out)
    }

    /// What is left when nothing follows.
    pub(in crate::proxy) async fn finish(&mut self) -> Vec<String> {
        let mut out = BytesMut::new();
        self.events.finish(&self.context, &mut out).await;
        self.each(&out)
    }

    fn each(&mut self, out: &[u8]) -> Vec<String> {
        let ends = std::mem::take(&mut self.events.ends);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts = starts.zip(&ends).map(|(start, end)| out.get(start..*end).unwrap_or_default());
        // Text in, text out: only whole strings are spliced.
        parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }
}

/// Restores a message behind which none comes.
pub(super) async fn restore_one(message: &str, context: &Context) -> Bytes {
    let mut events = EventRestorer::new(Framing::Messages);
    let mut out = BytesMut::with_capacity(message.len());
    events.event(as_event(message), context, &mut out).await;
    events.finish(context, &mut out).await;
    out.freeze()
}

fn as_event(message: &str) -> Event {
    let raw = Bytes::copy_from_slice(message.as_bytes());
    Event { data: (head_of(message)..raw.len()).into(), raw }
}

/// How long the head of a packet of socket.io is: numbers that say of what kind
/// it is, and a namespace. What follows is an array or an object.
fn head_of(message: &str) -> usize {
    let digits = |at: usize| {
        let rest = message.get(at..).unwrap_or_default();
        at + rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count()
    };
    let kind = digits(0);
    let rest = message.get(kind..).unwrap_or_default();
    let namespace = rest.find(',').filter(|_| rest.starts_with('/')).map_or(0, |comma| comma + 1);
    let head = digits(kind + namespace);
    let is_packet = kind > 0 && message.get(head..).is_some_and(|rest| rest.starts_with(['[', '{']));
    if is_packet { head } else { 0 }
}
