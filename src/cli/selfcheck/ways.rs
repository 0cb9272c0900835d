//! The ways in which replies and requests come besides: encoded, with a pause
//! behind their beginning, or broken off in the middle.

use bytes::Bytes;

use super::coding;
use super::plant::Kind;
use super::report::{Fault, Side};
use super::rig::{Answer, Call, Course, Exchange};
use super::said::{Said, Saying, Whose, written};
use super::sample::{Framing, ReplySample};
use super::{Effort, Trial};
use crate::config::Reply;

impl Trial<'_> {
    /// Tries a reply in these ways, with values of one kind.
    pub(super) async fn ways(&mut self, reply: &ReplySample) {
        let kind = Kind::ALL[0];
        if self.ground.known.get(&kind).is_none_or(Vec::is_empty) {
            return;
        }
        let plain = Saying::plain(kind);
        if self.effort > Effort::Little && !self.ground.nasty.is_empty() {
            for cut in [Some(usize::MAX), None] {
                self.say(reply, &Saying { whose: Whose::Nasty, cut, ..plain }, 0).await;
            }
        }
        if reply.framing == Framing::Messages {
            return;
        }
        if self.effort > Effort::Little {
            self.encoded(reply, &plain).await;
            self.begins_at_once(reply, &plain).await;
        }
        self.breaks_off(reply, &plain).await;
    }

    /// What comes encoded is the same.
    async fn encoded(&mut self, reply: &ReplySample, plain: &Saying<'_>) {
        let said = self.said(reply, plain);
        for coding in coding::ALL {
            let exchange = match coding::encode(coding, &[Bytes::copy_from_slice(&said.bytes)]) {
                Ok(pieces) => {
                    let encoded = pieces.concat();
                    let answer = Answer { coding: Some(coding), ..reply.answer(pieces) };
                    let exchange = self.rig.exchange(&self.asking(None), usize::MAX, answer).await;
                    exchange.map(|mut exchange| {
                        // What passes is as it came, its coding too.
                        if exchange.coding.as_deref() == Some(coding) && exchange.body == encoded {
                            exchange.body.clone_from(&said.bytes);
                        }
                        exchange
                    })
                }
                Err(why) => Err(why),
            };
            self.compare_reply(reply, plain, &said, exchange, 0);
        }
    }

    /// The first event waits for no other one.
    async fn begins_at_once(&mut self, reply: &ReplySample, plain: &Saying<'_>) {
        if !reply.is_streamed() || self.ground.route.reply == Reply::RestoreRedact {
            return;
        }
        let said = self.said(reply, plain);
        let (_, between, after) = reply.framing.marks();
        let Some(first) = said.frames.get(..1).map(|frames| written(reply, frames)) else { return };
        // An event ends with what parts it from the next, an element with itself.
        let end = first.len() - after.len() + if reply.framing == Framing::Array { 0 } else { between.len() };
        let (head, tail) = said.bytes.split_at(end.min(said.bytes.len()));
        let pieces = vec![Bytes::copy_from_slice(head), Bytes::copy_from_slice(tail)];
        let answer = Answer { course: Course::Waits, ..reply.answer(pieces) };
        let exchange = self.rig.exchange(&self.asking(None), usize::MAX, answer).await;
        if exchange.as_ref().is_ok_and(|exchange| exchange.late) {
            self.broke_off(reply, plain, "the first event came no sooner than the second");
        }
        self.compare_reply(reply, plain, &said, exchange, 0);
    }

    /// Where the upstream dies the client gets what was said before, and is
    /// told that there is more.
    async fn breaks_off(&mut self, reply: &ReplySample, plain: &Saying<'_>) {
        let said = self.said(reply, plain);
        let whole = said.frames.len();
        let mut ends: Vec<usize> = if reply.is_streamed() { vec![1, whole / 2, whole - 1] } else { vec![0] };
        ends.dedup();
        for end in ends {
            let frames = said.frames.get(..end).unwrap_or_default().to_vec();
            let bytes = written(reply, &frames);
            let sent = match reply.framing {
                // Half of a document.
                Framing::Document => said.bytes.get(..said.bytes.len() / 2).unwrap_or_default(),
                // The close bracket is not sent.
                Framing::Array => bytes.strip_suffix(b"]\n").unwrap_or(&bytes),
                _ => &bytes,
            };
            let answer = Answer { course: Course::Dies, ..reply.answer(vec![Bytes::copy_from_slice(sent)]) };
            let exchange = self.rig.exchange(&self.asking(None), usize::MAX, answer).await;
            let row = self.reply_row(reply, "(broken off)");
            let fault = self.broken(reply, plain, &Said { frames, bytes: Vec::new() }, exchange);
            self.report.check(&row, Some(plain.kind), fault.map(|why| (Fault::Changed, why)));
        }
    }

    /// What is wrong with a reply that broke off behind these frames.
    fn broken(
        &mut self,
        reply: &ReplySample,
        saying: &Saying<'_>,
        said: &Said<'_>,
        exchange: Result<Exchange, String>,
    ) -> Option<String> {
        let Ok(Exchange { status, mut body, broke_off, .. }) = exchange else { return None };
        if status != reply.status {
            // Nothing of it was sent yet.
            return (status != 502).then(|| format!("the client got {status}"));
        }
        if !broke_off {
            return Some("the client was told that it is whole".to_owned());
        }
        // With data of others looked for, what is undecided is not sent.
        if !reply.is_streamed() || self.ground.route.reply == Reply::RestoreRedact {
            return None;
        }
        if reply.framing == Framing::Array {
            body.extend_from_slice(b"]\n");
        }
        match std::str::from_utf8(&body) {
            Ok(text) => self.lay(reply, saying, said, text, 0).err(),
            Err(_) => Some("the client got what is no text".to_owned()),
        }
    }

    /// A request that comes encoded arrives as it would otherwise; where nothing
    /// is replaced in it, as it came.
    pub(super) async fn encoded_request(&mut self) {
        let call = self.planted_call(Kind::ALL[0]);
        if call.is_socket || call.body.is_empty() {
            return;
        }
        let Ok(Exchange { received: Some(wanted), .. }) = self.rig.exchange(&call, usize::MAX, Answer::empty()).await
        else {
            // What is refused is seen elsewhere.
            return;
        };
        let headers = |call: &Call| -> Vec<Option<String>> {
            let names = self.sample.request.headers.iter().map(|(name, _)| name.as_str());
            names.map(|name| call.header_value(name).map(str::to_owned)).collect()
        };
        let mut faults = Vec::new();
        for (nth, coding) in coding::ALL.into_iter().enumerate() {
            let Ok(pieces) = coding::encode(coding, &[Bytes::copy_from_slice(&call.body)]) else { continue };
            let mut encoded = Call { body: pieces.concat(), ..call.clone() };
            // The header goes with the coding, from among whichever others.
            let place = nth * encoded.headers.len() / (coding::ALL.len() - 1);
            encoded.headers.insert(place, ("content-encoding".to_owned(), coding.to_owned()));
            let got = self.rig.exchange(&encoded, usize::MAX, Answer::empty()).await;
            let body = if wanted.body == call.body { &encoded.body } else { &wanted.body };
            faults.push(match got.map(|got| (got.status, got.received)) {
                Ok((_, Some(got))) if got.body != *body || got.target != wanted.target => {
                    Some(format!("encoded with {coding} something else arrived"))
                }
                Ok((_, Some(got))) if headers(&got) != headers(&wanted) => {
                    Some(format!("encoded with {coding} other headers arrived"))
                }
                Ok((_, Some(_))) => None,
                Ok((status, None)) => Some(format!("encoded with {coding} it was not forwarded: {status}")),
                Err(why) => Some(why),
            });
        }
        let row = self.field(Side::Request, "(encoded)");
        for fault in faults {
            self.report.check(&row, Some(Kind::ALL[0]), fault.map(|why| (Fault::Changed, why)));
        }
    }
}
