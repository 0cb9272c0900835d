//! `/rules`: the rules that run, how often they fired, and what they find in a
//! text that is tried. Rules are files, so nothing is changed here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::at_most;
use super::{Call, Endpoint, Json, Nothing};
use crate::admin::role::Role;
use crate::config::Config;
use crate::detect::{Engine, Input, Plan, RuleInfo, Scratch, Wishes};
use crate::problem::{Problem, ProblemKind};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/rules", Role::Tuner, "Lists the rules, and how often each has found something.", list),
        Endpoint::post(
            "/rules/try",
            Role::Tuner,
            "Tells what the rules find in a text. Nothing of it is kept.",
            try_on,
        ),
    ]
}

/// The rules that run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rules {
    /// A short hash of them all.
    version: String,
    items: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rule {
    id: String,
    /// The kind of its findings.
    entity: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack: Option<String>,
    /// `on`, `shadow` or `off`, with what switches its pack off.
    state: &'static str,
    /// What it asks to be done with a finding.
    operator: &'static str,
    /// The score of a candidate by itself, from 0 to 1.
    score: f64,
    /// Whether it finds data of special categories (GDPR Article 9).
    sensitive: bool,
    languages: Vec<String>,
    regions: Vec<String>,
    /// Examples in its file.
    examples: usize,
    /// What it has found in requests since this process began.
    found_in_requests: u64,
    /// The same in replies.
    found_in_replies: u64,
}

/// A text that is tried.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The text.
    #[serde(deserialize_with = "at_most::<_, _, 32768>")]
    #[schemars(length(max = 32_768))]
    text: String,
    /// The key in front of it, such as `phone`.
    #[serde(default, deserialize_with = "at_most::<_, _, 256>")]
    #[schemars(length(max = 256))]
    label: Option<String>,
    /// The path of a request, by whose route rules are chosen; without it as
    /// their files say.
    #[serde(default, deserialize_with = "at_most::<_, _, 1024>")]
    #[schemars(length(max = 1024))]
    path: Option<String>,
}

/// What is found in it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tried {
    findings: Vec<Found>,
}

/// A finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// Its first byte in UTF-8.
    start: usize,
    /// The byte behind its last.
    end: usize,
    entity: String,
    score: f64,
    rule: String,
    /// What would be done with it.
    operator: &'static str,
}

async fn list(call: Call) -> Result<Json<Rules>, Problem> {
    let engine = engine(call.services.engine.as_deref())?;
    let of = |rule: &RuleInfo| {
        let counted = call.services.metrics.rule(rule.entity, &rule.id).ok();
        Rule {
            id: rule.id.clone(),
            entity: rule.entity.to_string(),
            description: rule.description.clone(),
            pack: rule.pack.clone(),
            state: rule.effective_state().as_str(),
            operator: rule.operator.as_str(),
            score: hundredths(rule.score),
            sensitive: rule.sensitive,
            languages: rule.languages.clone(),
            regions: rule.regions.clone(),
            examples: rule.examples.0.len() + rule.examples.1.len(),
            found_in_requests: counted.as_ref().map_or(0, |counted| counted.request.get()),
            found_in_replies: counted.as_ref().map_or(0, |counted| counted.reply.get()),
        }
    };
    Ok(Json(Rules { version: engine.version().to_owned(), items: engine.rules().map(of).collect() }))
}

async fn try_on(call: Call<Nothing, Nothing, Trial>) -> Result<Json<Tried>, Problem> {
    let engine = engine(call.services.engine.as_deref())?;
    let Trial { text, label, path } = &call.body;
    let plan = path.as_ref().map(|path| plan_of(&call.services.config, engine, path)).transpose()?;
    let (input, mut scratch) = (Input { text, label: label.as_deref() }, Scratch::default());
    let findings = match &plan {
        Some(plan) => engine.scan_with(plan, input, &mut scratch),
        None => engine.scan(input, &mut scratch),
    };
    let rules: Vec<&RuleInfo> = engine.rules().collect();
    let found = findings.iter().map(|found| Found {
        start: found.start,
        end: found.end,
        entity: found.entity.to_string(),
        score: hundredths(found.score),
        rule: rules.get(found.rule.index()).map(|rule| rule.id.clone()).unwrap_or_default(),
        operator: found.operator.as_str(),
    });
    Ok(Json(Tried { findings: found.collect() }))
}

/// What the route of a path asks of findings.
fn plan_of(config: &Config, engine: &Engine, path: &str) -> Result<Plan, Problem> {
    let nowhere = || Problem::new(ProblemKind::BadRequest, "No route covers this `path`.");
    let route = config.route(path).ok_or_else(nowhere)?;
    let reversible = config.purpose(&route.purpose).and_then(|purpose| purpose.reversible.clone());
    Ok(engine.plan(&Wishes { reversible, ..route.detection.wishes() }))
}

fn engine(engine: Option<&Engine>) -> Result<&Engine, Problem> {
    let nowhere = || Problem::new(ProblemKind::Conflict, "Rules run in a gateway, and none is running here.");
    engine.ok_or_else(nowhere)
}

fn hundredths(score: f32) -> f64 {
    (f64::from(score) * 100.0).round() / 100.0
}
