//! The routes of the configuration under test: which samples go to each, and
//! what is to be expected there.

use std::collections::BTreeMap;

use http::HeaderName;

use super::consent::Consent;
use super::plant::{Kind, Planted, nasty};
use super::rig::{Answer, Call, Rig};
use super::sample::Sample;
use super::template::Escape;
use crate::config::{Config, Route};
use crate::detect::{Engine, Input, Operator, Plan, Scratch, Wishes};
use crate::proxy::Gateway;
use crate::token::Token;

/// Whose data it is.
pub(super) const SUBJECT: &str = "selfcheck-1";

/// How many values of each kind have their tokens told before replies are checked.
const PRIMED: usize = 4;

/// A route under test.
pub(super) struct Ground<'c> {
    pub(super) route: &'c Route,
    /// How replies are treated, where it is not as the route says.
    pub(super) mode: &'static str,
    /// The samples that go there, each with what is put before its path.
    pub(super) samples: Vec<(&'c Sample, String)>,
    /// What the upstream's address puts before each path.
    pub(super) prefix: String,
    /// The consent that it asks for.
    pub(super) consent: Consent<'c>,
    /// Headers of the samples that travel as they are.
    pub(super) kept_headers: Vec<&'c str>,
    /// What is done with findings of a kind; none where nobody looks for them.
    pub(super) operators: BTreeMap<Kind, Option<Operator>>,
    /// Values that come back, each with what stands for it.
    pub(super) known: BTreeMap<Kind, Vec<(Planted, String)>>,
    /// Values that are hard to write, with their tokens.
    pub(super) nasty: Vec<(Planted, String)>,
}

/// All routes of `config`, with the samples that each of them is to be tried with.
pub(super) fn of<'c>(
    config: &'c Config,
    engine: &Engine,
    samples: &'c [Sample],
    mode: &'static str,
) -> Vec<Ground<'c>> {
    config.routes.iter().map(|route| Ground::new(config, engine, route, samples, mode)).collect()
}

impl<'c> Ground<'c> {
    fn new(config: &'c Config, engine: &Engine, route: &'c Route, samples: &'c [Sample], mode: &'static str) -> Self {
        let reversible = config.purpose(&route.purpose).and_then(|purpose| purpose.reversible.clone());
        let plan = engine.plan(&Wishes { reversible, ..route.detection.wishes() });
        let upstream = config.upstream(route.upstream.as_deref());
        let samples = placed(config, route, samples);
        let kept = |name: &&str| name.parse::<HeaderName>().is_ok_and(|name| Gateway::keeps_header(config, &name));
        let headers = samples.iter().flat_map(|(sample, _)| &sample.request.headers);
        Self {
            route,
            mode,
            kept_headers: headers.map(|(name, _)| name.as_str()).filter(kept).collect(),
            samples,
            prefix: upstream.map(|upstream| upstream.path_prefix().to_owned()).unwrap_or_default(),
            consent: Consent::of(route, config),
            operators: Kind::ALL.iter().map(|kind| (*kind, operator(*kind, engine, &plan))).collect(),
            known: BTreeMap::new(),
            nasty: Vec::new(),
        }
    }

    /// A request of this subject to this route, with consent.
    pub(super) fn call(&self, subject: &str, method: &str, target: impl Into<String>) -> Call {
        let call = Call { method: method.to_owned(), target: target.into(), ..Call::default() };
        self.consent.give(call.header("privet-subject", subject), subject)
    }

    /// Sends values of each kind in an address, which every route takes, to
    /// learn what stands for them.
    pub(super) async fn prime(&mut self, rig: &Rig) -> Result<(), String> {
        let back = |kind: &Kind| matches!(self.operators.get(kind), Some(Some(Operator::Token | Operator::Surrogate)));
        // The last of the values, which no sample needs.
        let all = Kind::ALL.into_iter().filter(back);
        let planted: Vec<(Kind, Planted)> =
            all.flat_map(|kind| (1..=PRIMED).map(move |at| (kind, kind.sentence(Kind::VALUES - at)))).collect();
        let pairs: Vec<String> =
            planted.iter().map(|(_, planted)| format!("v={}", Escape::Percent.write(&planted.text()))).collect();
        let call = self.call(SUBJECT, "GET", format!("{}?{}", self.route.path, pairs.join("&")));
        let exchange = rig.exchange(&call, usize::MAX, Answer::empty()).await?;
        let received = exchange.received.ok_or(format!("a query was answered with {}", exchange.status))?;
        let query = received.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        for ((kind, planted), pair) in planted.into_iter().zip(query.split('&')) {
            let text = Escape::Percent.read(pair.strip_prefix("v=").unwrap_or_default());
            let stand = planted.stand_in(&text).ok_or("a query arrived changed")?.to_owned();
            self.known.entry(kind).or_default().push((planted, stand));
        }
        if self.operators.get(&Kind::Email) == Some(&Some(Operator::Token)) {
            let nasty = nasty();
            let values: Vec<&str> = nasty.iter().map(|planted| planted.value.as_str()).collect();
            let tokens = rig.tokens(&self.route.tenant, SUBJECT, Kind::Email.entity(), &values).await?;
            self.nasty = nasty.into_iter().zip(tokens).collect();
        }
        Ok(())
    }
}

/// The samples for a route: those whose path leads there, or those of the
/// protocol that it names, below its path. A route that no sample's path leads to is
/// tried with those of any chatbot that speaks JSON.
fn placed<'c>(config: &Config, route: &Route, samples: &'c [Sample]) -> Vec<(&'c Sample, String)> {
    let leads = |target: &str| {
        let path = target.split('?').next().unwrap_or_default();
        config.route(path).is_some_and(|found| found.path == route.path)
    };
    let target = |sample: &Sample| sample.request.target.fill(Escape::Percent, |_, _| "x".to_owned());
    let below = |protocol: &str| -> Vec<_> {
        let of = samples.iter().filter(|sample| sample.protocol == protocol);
        of.map(|sample| {
            let prefix = if leads(&target(sample)) { "" } else { route.path.trim_end_matches('/') };
            (sample, prefix.to_owned())
        })
        .collect()
    };
    if route.protocol != "auto" {
        return below(&route.protocol);
    }
    let led: Vec<_> =
        samples.iter().filter(|sample| leads(&target(sample))).map(|sample| (sample, String::new())).collect();
    if led.is_empty() { below("json") } else { led }
}

/// What the plan of the route does with a value of this kind in its sentence.
fn operator(kind: Kind, engine: &Engine, plan: &Plan) -> Option<Operator> {
    let planted = kind.sentence(0);
    let (text, mut scratch) = (planted.text(), Scratch::default());
    let found = engine.scan_with(plan, Input::text(&text), &mut scratch);
    let covers = |at: usize, end: usize| at <= planted.before.len() && end >= text.len() - planted.after.len();
    found
        .iter()
        .find(|found| covers(found.start, found.end))
        .map(|found| found.operator)
        .filter(|operator| *operator != Operator::Keep)
}

/// Whether `stand` is a token of this kind.
pub(super) fn is_token(stand: &str, kind: Kind) -> bool {
    Token::parse(stand).is_some_and(|token| token.entity().as_str() == kind.entity())
}
