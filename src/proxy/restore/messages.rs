//! The messages of a socket: each is one event, or one text, and texts go on
//! from message to message as they do from event to event.

use super::events::EventRestorer;
use super::framing::Framing;
use super::{Context, Pause};
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
        let raw = Bytes::copy_from_slice(message.as_bytes());
        let event = Event { data: (0..raw.len()).into(), raw };
        let mut out = BytesMut::new();
        self.events.event(event, &self.context, &mut out).await;
        self.each(&out)
    }

    /// What is left when nothing follows.
    pub(in crate::proxy) async fn finish(&mut self) -> Vec<String> {
        let mut out = BytesMut::new();
        self.events.finish(&self.context, &mut out).await;
        self.each(&out)
    }

    /// What is left when what follows will never come, but for what may be half
    /// of somebody else's value.
    pub(in crate::proxy) async fn break_off(&mut self) -> Vec<String> {
        if self.context.redaction.is_some() { self.pause(Pause::Breath).await } else { self.finish().await }
    }

    /// What likely is whole, as it may be long until something follows.
    pub(in crate::proxy) async fn pause(&mut self, pause: Pause) -> Vec<String> {
        let mut out = BytesMut::new();
        self.events.pause(pause, &self.context, &mut out).await;
        self.each(&out)
    }

    /// How many pieces of text have come.
    pub(in crate::proxy) fn heard(&self) -> u64 {
        self.events.heard
    }

    /// Whether what follows has nothing to do with what came.
    pub(in crate::proxy) fn is_over(&self) -> bool {
        !self.events.is_waiting() && self.context.redaction.is_none()
    }

    fn each(&mut self, out: &[u8]) -> Vec<String> {
        let ends = std::mem::take(&mut self.events.ends);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts = starts.zip(&ends).map(|(start, end)| out.get(start..*end).unwrap_or_default());
        // Text in, text out: only whole strings are spliced.
        parts.map(|part| std::str::from_utf8(part).unwrap_or_default().to_owned()).collect()
    }
}
