//! The way to the upstream: values are planted in every field, and what
//! arrived is laid against what was sent.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Trial;
use super::ground::{SUBJECT, is_token};
use super::plant::{Kind, Planted};
use super::report::{Fault, Field, Side};
use super::rig::{Answer, Call, Exchange};
use super::socket;
use super::template::{Escape, Hole, Template, Want};
use crate::config::{Identity, WithoutConsent};
use crate::detect::Operator;

/// Words in which nothing is found.
const PLAIN: &str = "a blue teapot";

/// A part of a request: its template, how it is escaped, and what it was filled with.
struct Part<'t> {
    place: Place<'t>,
    template: &'t Template,
    escape: Escape,
    fillings: Vec<Filling>,
    /// Whether it is a header that travels as it is.
    is_kept: bool,
}

#[derive(Clone, Copy)]
enum Place<'t> {
    Target,
    Header(&'t str),
    Body,
}

/// What was put into a hole.
struct Filling {
    text: String,
    /// None where no value of this kind fits.
    planted: Option<Planted>,
}

impl<'a> Trial<'a> {
    /// Tries the request of the sample.
    pub(super) async fn request(&mut self) {
        if self.is_refused() {
            return self.refused().await;
        }
        for kind in Kind::ALL {
            self.planted(kind).await;
        }
        self.untouched().await;
        self.encoded_request().await;
        self.without_consent().await;
    }

    /// Whether the route takes no such request.
    pub(super) fn is_refused(&self) -> bool {
        self.ground.route.strict && self.sample.request.is_unknown
    }

    /// A strict route forwards nothing that it does not know.
    async fn refused(&mut self) {
        let call = self.assemble(&self.parts(None));
        match self.rig.exchange(&call, usize::MAX, Answer::empty()).await {
            Ok(exchange) => {
                let holds = match exchange.received {
                    None => exchange.status == 415,
                    // Of a socket it is the message that is refused.
                    Some(received) => exchange.status == socket::REFUSED && received.body.is_empty(),
                };
                self.whole(None, holds, Fault::Leak, || {
                    format!("not refused, though it is strict: {}", exchange.status)
                });
            }
            Err(why) => self.broke(None, why),
        }
    }

    /// Plants values of one kind in all fields at once.
    async fn planted(&mut self, kind: Kind) {
        let parts = self.parts(Some(kind));
        let call = self.assemble(&parts);
        let exchange = match self.rig.exchange(&call, usize::MAX, Answer::empty()).await {
            Ok(exchange) => exchange,
            Err(why) => return self.broke(Some(kind), why),
        };
        if self.operator(kind) == Some(Operator::Block) && parts.iter().any(Part::asks) {
            let all = exchange.received.as_ref().map(everything).unwrap_or_default();
            let sought = parts.iter().flat_map(Part::sought);
            let is_out = sought.into_iter().any(|(_, planted)| leaks(&all, &planted.value));
            let refused = exchange.status == 422 || call.is_socket && exchange.status == socket::REFUSED;
            return self
                .whole(Some(kind), refused && !is_out, Fault::Leak, || format!("not blocked: {}", exchange.status));
        }
        let Some(received) = exchange.received else {
            return self.broke(Some(kind), refusal(&exchange));
        };
        self.compare(&parts, &received, kind);
        if kind != Kind::ALL[0] {
            return;
        }
        // The second time the values are known, and byte for byte the same
        // stands for them, however the request is cut on its way.
        for piece in [usize::MAX, 1] {
            let again = self.rig.exchange(&call, piece, Answer::empty()).await.ok().and_then(|again| again.received);
            let same = again.is_some_and(|again| again.body == received.body && again.target == received.target);
            self.whole(Some(kind), same, Fault::Changed, || "the second time something else arrived".to_owned());
        }
        let row = self.row("(all)");
        self.report.cut(&row, call.body.len().saturating_sub(1) as u64);
    }

    /// A request without findings arrives byte for byte.
    async fn untouched(&mut self) {
        let parts = self.parts(None);
        let call = self.assemble(&parts);
        let exchange = match self.rig.exchange(&call, usize::MAX, Answer::empty()).await {
            Ok(exchange) => exchange,
            Err(why) => return self.broke(None, why),
        };
        let Some(received) = exchange.received else {
            return self.broke(None, refusal(&exchange));
        };
        let same = parts.iter().all(|part| {
            let (sent, arrived) = (part.place.of(&call), part.place.of(&received));
            // Some headers are dropped by policy.
            let arrived = arrived.map(|arrived| self.without_prefix(part.place, arrived));
            arrived.is_none_or(|arrived| Some(arrived) == sent || self.is_identified(part, arrived))
        });
        self.whole(None, same, Fault::Changed, || "without findings other bytes arrived".to_owned());
    }

    /// Whether the same arrived but for the fields of which the route makes
    /// tokens whatever they hold.
    fn is_identified(&self, part: &Part<'_>, arrived: &str) -> bool {
        let all = part.template.holes.iter().zip(&part.fillings);
        self.ground.route.identity == Identity::Token
            && part.template.fit(arrived, part.escape).is_ok_and(|contents| {
                contents.iter().zip(all).all(|(got, (hole, filling))| hole.want == Want::Who || *got == filling.text)
            })
    }

    /// Without consent nothing is forwarded, or nothing that can be restored.
    async fn without_consent(&mut self) {
        if !self.ground.consent.is_asked() {
            return;
        }
        let kind = Kind::ALL[0];
        let parts = self.parts(Some(kind));
        let call = self.ground.consent.withhold(self.assemble(&parts));
        let exchange = match self.rig.exchange(&call, usize::MAX, Answer::empty()).await {
            Ok(exchange) => exchange,
            Err(why) => return self.broke(None, why),
        };
        let holds = match (self.ground.route.without_consent, &exchange.received) {
            (WithoutConsent::Block, received) => received.is_none() && exchange.status == 403,
            (WithoutConsent::Anonymize, Some(received)) => {
                let all = everything(received);
                let sought = parts.iter().flat_map(Part::sought);
                self.operator(kind).is_none() || !sought.into_iter().any(|(_, planted)| leaks(&all, &planted.value))
            }
            (WithoutConsent::Anonymize, None) => self.operator(kind) == Some(Operator::Block),
        };
        self.whole(None, holds, Fault::Leak, || format!("forwarded without consent, status {}", exchange.status));
    }

    /// Lays what arrived against what was sent, field by field.
    fn compare(&mut self, parts: &[Part<'_>], received: &Call, kind: Kind) {
        let all = everything(received);
        for part in parts {
            if part.is_kept {
                part.template.holes.iter().for_each(|hole| self.report.kept(&self.row(&hole.field), kind));
                continue;
            }
            let arrived = part.place.of(received);
            let contents = arrived.map(|arrived| {
                let arrived = self.without_prefix(part.place, arrived);
                // What the sample's path was put below has no holes.
                let arrived =
                    if matches!(part.place, Place::Target) { arrived.strip_prefix(self.prefix) } else { Some(arrived) };
                part.template.fit(arrived.unwrap_or_default(), part.escape)
            });
            for (at, (hole, filling)) in part.template.holes.iter().zip(&part.fillings).enumerate() {
                let fault = match (&contents, &filling.planted) {
                    // A header that is dropped by policy.
                    (None, _) => None,
                    (_, Some(planted)) if self.leaked(hole, kind, &all, planted) => {
                        Some((Fault::Leak, format!("a value of {} arrived", kind.entity())))
                    }
                    (Some(Ok(contents)), planted) => contents
                        .get(at)
                        .and_then(|content| self.fault(hole, kind, filling, planted.as_ref(), content))
                        .map(|why| (Fault::Changed, why)),
                    (Some(Err(changed)), _) => {
                        let here = changed.0 == at || (at + 1 == part.fillings.len() && changed.0 > at);
                        here.then(|| (Fault::Changed, "other bytes around it arrived".to_owned()))
                    }
                };
                let row = self.row(&hole.field);
                if fault.is_none() && self.operator(kind).is_none() && looked_at(hole.want) {
                    self.report.kept(&row, kind);
                } else if filling.planted.is_some() || fault.is_some() {
                    self.report.check(&row, Some(kind), fault);
                }
            }
        }
    }

    /// Whether the value arrived where it should not.
    fn leaked(&self, hole: &Hole, kind: Kind, all: &str, planted: &Planted) -> bool {
        let kept = match hole.want {
            // The name of a person is one of the fields that name whoever speaks.
            Want::Who | Want::Name => self.ground.route.identity == Identity::Keep,
            // Half a value may stand anywhere; the fields themselves tell.
            Want::Never | Want::First | Want::Rest => true,
            _ => false,
        };
        !kept && self.operator(kind).is_some() && leaks(all, &planted.value)
    }

    /// What is wrong with the content of a hole.
    fn fault(
        &self,
        hole: &Hole,
        kind: Kind,
        filling: &Filling,
        planted: Option<&Planted>,
        content: &str,
    ) -> Option<String> {
        let (Some(planted), true) = (planted, looked_at(hole.want)) else {
            let is_identified = hole.want == Want::Who && self.ground.route.identity == Identity::Token;
            return (content != filling.text && !is_identified)
                .then(|| format!("{content:?} stands for what should stay"));
        };
        let Some(stand) = planted.stand_in(content) else {
            return Some(format!("the words around the value became {content:?}"));
        };
        let right = match (self.operator(kind), hole.want) {
            (None, _) => true,
            // All of a value that was cut stands in front.
            (_, Want::Rest) => stand.is_empty(),
            (_, Want::Who | Want::Name) if self.ground.route.identity != Identity::Scan => true,
            (Some(Operator::Token), Want::Number) => is_token(stand.trim_matches('"'), kind),
            (Some(Operator::Token), _) => is_token(stand, kind),
            (Some(_), _) => stand != planted.value,
        };
        (!right).then(|| format!("{stand:?} stands for the value"))
    }

    /// The parts of the request, filled with values of this kind, or with words.
    fn parts(&self, kind: Option<Kind>) -> Vec<Part<'a>> {
        let request = &self.sample.request;
        let mut number = 0;
        let mut part = |place, template, escape| Part::new(place, template, escape, kind, &mut number);
        let mut parts = vec![part(Place::Target, &request.target, Escape::Percent)];
        parts.extend(request.headers.iter().map(|(name, value)| part(Place::Header(name), value, Escape::None)));
        parts.push(part(Place::Body, &request.body, request.escape));
        for part in &mut parts {
            part.is_kept = matches!(part.place, Place::Header(name) if self.ground.kept_headers.contains(&name));
        }
        parts
    }

    fn assemble(&self, parts: &[Part<'_>]) -> Call {
        self.assemble_of(SUBJECT, parts)
    }

    fn assemble_of(&self, subject: &str, parts: &[Part<'_>]) -> Call {
        let request = &self.sample.request;
        let mut call = self.ground.call(subject, &request.method, self.prefix);
        call.is_socket = request.is_socket;
        if let Some(content_type) = &request.content_type {
            call = call.header("content-type", content_type.clone());
        }
        for part in parts {
            let text = part.text();
            match part.place {
                Place::Target => call.target.push_str(&text),
                Place::Header(name) => call = call.header(name, text),
                Place::Body => call.body = text.into_bytes(),
            }
        }
        call
    }

    /// What arrived, without what the upstream's address puts before each path.
    fn without_prefix<'s>(&self, place: Place<'_>, arrived: &'s str) -> &'s str {
        match place {
            Place::Target => arrived.strip_prefix(self.ground.prefix.as_str()).unwrap_or(arrived),
            Place::Header(_) | Place::Body => arrived,
        }
    }

    /// The request with words in all fields, for whose reply it is sent.
    pub(super) fn asking(&self, subject: Option<&str>) -> Call {
        self.assemble_of(subject.unwrap_or(SUBJECT), &self.parts(None))
    }

    /// The request with values of this kind in all fields.
    pub(super) fn planted_call(&self, kind: Kind) -> Call {
        self.assemble(&self.parts(Some(kind)))
    }

    pub(super) fn operator(&self, kind: Kind) -> Option<Operator> {
        self.ground.operators.get(&kind).copied().flatten()
    }

    fn row(&self, name: &str) -> Field {
        self.field(Side::Request, name)
    }

    /// A check of the request as a whole.
    fn whole(&mut self, kind: Option<Kind>, holds: bool, fault: Fault, why: impl FnOnce() -> String) {
        let row = self.row("(all)");
        self.report.check(&row, kind, (!holds).then(|| (fault, why())));
    }

    fn broke(&mut self, kind: Option<Kind>, why: String) {
        self.whole(kind, false, Fault::Changed, || why);
    }
}

impl<'t> Part<'t> {
    fn new(place: Place<'t>, template: &'t Template, escape: Escape, kind: Option<Kind>, number: &mut usize) -> Self {
        let fillings = template.holes.iter().map(|hole| {
            // The rest of a sentence is that of the same one.
            *number += usize::from(hole.want != Want::Rest);
            Filling::new(hole.want, kind, *number)
        });
        Self { place, template, escape, fillings: fillings.collect(), is_kept: false }
    }

    fn text(&self) -> String {
        let text = |at: usize, _: &Hole| self.fillings.get(at).map(|filling| filling.text.clone()).unwrap_or_default();
        self.template.fill(self.escape, text)
    }

    /// The values that must not arrive.
    fn sought(&self) -> Vec<(&Hole, &Planted)> {
        let all = self.template.holes.iter().zip(&self.fillings);
        all.filter(|_| !self.is_kept)
            .filter(|(hole, _)| matches!(hole.want, Want::Text | Want::Value | Want::Name | Want::Number))
            .filter_map(|(hole, filling)| Some((hole, filling.planted.as_ref()?)))
            .collect()
    }

    /// Whether a value stands in it that the rules look at.
    fn asks(&self) -> bool {
        !self.sought().is_empty()
    }
}

impl Place<'_> {
    /// What stands there; none where a header is missing.
    fn of(self, call: &Call) -> Option<&str> {
        match self {
            Self::Target => Some(&call.target),
            Self::Header(name) => call.header_value(name),
            Self::Body => Some(std::str::from_utf8(&call.body).unwrap_or_default()),
        }
    }
}

impl Filling {
    fn new(want: Want, kind: Option<Kind>, number: usize) -> Self {
        let planted = kind.and_then(|kind| match want {
            Want::Text | Want::Markup | Want::Growing => Some(kind.sentence(number)),
            Want::First => Some(kind.sentence(number).halves().0),
            Want::Rest => Some(kind.sentence(number).halves().1),
            Want::Value | Want::Who => kind.alone(number),
            // What has a blank or an `@` is no id, and looked at.
            Want::Never => {
                kind.alone(number).filter(|planted| !planted.text().contains(|c: char| c.is_whitespace() || c == '@'))
            }
            Want::Name => kind.identifier(number),
            Want::Number => kind.number(number),
            Want::Media | Want::Piece | Want::JsonPiece | Want::Count | Want::Offset => None,
        });
        let plain = || match want {
            Want::Number | Want::Count | Want::Offset => "42".to_owned(),
            Want::Media => "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgID".to_owned(),
            Want::Name | Want::Never | Want::Who => "teapot_7".to_owned(),
            _ => PLAIN.to_owned(),
        };
        Self { text: planted.as_ref().map_or_else(plain, Planted::text), planted }
    }
}

/// Whether the rules look at such a place.
fn looked_at(want: Want) -> bool {
    matches!(want, Want::Text | Want::First | Want::Rest | Want::Value | Want::Name | Want::Number | Want::Who)
}

/// All that arrived, as one text.
fn everything(call: &Call) -> String {
    let mut all = call.target.clone();
    for (name, value) in &call.headers {
        all.extend([name, ": ", value, "\n"].map(AsRef::<str>::as_ref));
    }
    all.push_str(std::str::from_utf8(&call.body).unwrap_or_default());
    all
}

/// Whether the value stands there, in one of the spellings in which it may have been sent.
pub(super) fn leaks(all: &str, value: &str) -> bool {
    let encoded = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    all.contains(value) || all.contains(&encoded) || all.contains(&value.replace(' ', "+"))
}

fn refusal(exchange: &Exchange) -> String {
    let problem = serde_json::from_slice::<serde_json::Value>(&exchange.body).unwrap_or_default();
    let detail = problem.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
    format!("not forwarded: {} {detail}", exchange.status)
}
