//! What a transcript is given of a request: the texts that were looked
//! through, with the names of kinds in place of findings. And by what all of a
//! transcript is redacted: it is read in every way that a request is.

use super::inspect::{self, Findings, Spelling, Spot};
use super::percent::Encoding;
use super::{Gateway, Route, lookalike};
use crate::detect::{Detector, Engine, Plan, Scratch, Wishes};
use crate::entity::Entity;
use crate::json::{self, OffsetMap};
use crate::transcripts::{Draft, Redactor};
use crate::vault::{Subject, SurrogateMatcher};
use std::ops::Range;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// By what the transcripts of a route with this plan are redacted: by this, and
/// by the plan of the rules themselves, under which nothing is kept.
pub(crate) fn redactor(engine: &Arc<Engine>, plan: &Plan) -> Redactor {
    let plans = [plan.clone(), engine.plan(&Wishes::default())];
    let (kinds, engine) = (engine.rules().map(|rule| rule.entity).collect::<Vec<_>>(), Arc::clone(engine));
    let clean = move |text: &str, scratch: &mut Scratch| {
        plans.iter().fold(without_tokens(text), |text, plan| {
            let findings = inspect::inspect_value(&text, None, Detector { engine: &engine, plan }, scratch);
            redacted(text.as_bytes(), &Spot { at: 0..text.len(), spelling: Spelling::Plain }, &findings)
        })
    };
    Redactor::new(kinds.into_iter(), Box::new(clean))
}

/// The text without what in base64 holds a token, which leads to its person.
fn without_tokens(text: &str) -> String {
    let (mut clean, mut copied) = (String::with_capacity(text.len()), 0);
    for run in inspect::encoded_runs(text) {
        if let Some(token) = lookalike::tokens_in(run.text.as_bytes()).first() {
            clean.push_str(text.get(copied..run.at.start).unwrap_or_default());
            push_kind(&mut clean, token.entity());
            copied = run.at.end;
        }
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    clean
}

/// The transcript of an exchange on this route; none where none is kept. What
/// it stands on holds until `withdrawn` is cancelled.
pub(super) fn begin(
    gateway: &Gateway,
    route: &Route,
    subject: Option<(&Subject, &str)>,
    withdrawn: &CancellationToken,
) -> Option<Arc<Draft>> {
    let (transcripts, redactor) = (gateway.transcripts.as_ref()?, route.redactor.as_ref()?);
    let draft = transcripts.begin(&route.place, redactor).unless(withdrawn.clone());
    if let Some((subject, id)) = subject {
        draft.is_of(subject, id);
    }
    Some(Arc::new(draft))
}

/// Adds the texts of a request. Of very many the last are taken: what was said
/// just now stands there.
pub(super) fn request(body: &[u8], findings: &Findings, surrogates: Option<&Arc<SurrogateMatcher>>, draft: &Draft) {
    let mut left = draft.max_bytes();
    let fits = findings.texts.iter().rev().take_while(|spot| {
        let is_first = left == draft.max_bytes();
        let length = spot.at.len();
        let fits = length <= left || is_first;
        left = left.saturating_sub(length);
        fits
    });
    let first = findings.texts.len() - fits.count();
    for spot in findings.texts.get(first..).unwrap_or_default() {
        draft.asked(&redacted(body, &end_of(body, spot, draft.max_bytes()), findings));
    }
    for found in findings.each().filter(|found| found.form.is_first()) {
        draft.found(found.entity, 1);
    }
    if let Some(surrogates) = surrogates {
        draft.knows(surrogates);
    }
}

/// So many bytes of the end of a text, from a blank on, which no escape holds:
/// nobody waits for more of it to be copied than is kept.
fn end_of(body: &[u8], spot: &Spot, most: usize) -> Spot {
    let Spot { at: Range { start, end }, spelling } = *spot;
    if end.saturating_sub(start) <= most {
        return Spot { at: start..end, spelling };
    }
    let last = end - most..end;
    let blank = if spelling == Spelling::Form { b'+' } else { b' ' };
    let blank = memchr::memchr(blank, body.get(last.clone()).unwrap_or_default());
    Spot { at: blank.map_or(end, |blank| last.start + blank)..end, spelling }
}

/// The text with its findings replaced beyond recovery, and without escapes.
fn redacted(body: &[u8], spot: &Spot, findings: &Findings) -> String {
    let mut text = String::with_capacity(spot.at.len());
    let mut copied = spot.at.start;
    let first = findings.list.partition_point(|found| found.at.end <= spot.at.start);
    let here = findings.list.get(first..).unwrap_or_default().iter();
    for found in here.take_while(|found| found.at.start < spot.at.end) {
        copy(body.get(copied..found.at.start).unwrap_or_default(), spot.spelling, &mut text);
        copied = copied.max(found.at.end);
        if found.form.is_first() {
            push_kind(&mut text, found.entity);
        }
    }
    copy(body.get(copied..spot.at.end).unwrap_or_default(), spot.spelling, &mut text);
    text
}

fn push_kind(text: &mut String, entity: Entity) {
    text.push('[');
    text.push_str(entity.as_str());
    text.push(']');
}

fn copy(part: &[u8], spelling: Spelling, text: &mut String) {
    // A text that was looked through is UTF-8, and no finding ends within a character.
    let Ok(part) = std::str::from_utf8(part) else { return };
    match spelling {
        Spelling::Plain => text.push_str(part),
        Spelling::Json => {
            let mut plain = String::with_capacity(part.len());
            json::unescape(part, &mut plain, &mut OffsetMap::default());
            text.push_str(&plain);
        }
        Spelling::Form => text.push_str(&Encoding::FORM.decode(part).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::inspect::inspect_value;

    #[test]
    fn of_a_long_text_the_end_is_kept() {
        let body = format!(r"{}\u00e9 the caf\u00e9", "x\\n\u{e9} ".repeat(1_000));
        let plain = format!("{}\u{e9} the caf\u{e9}", "x\n\u{e9} ".repeat(1_000));
        let whole = Spot { at: 0..body.len(), spelling: Spelling::Json };
        for most in 0..80 {
            let end = end_of(body.as_bytes(), &whole, most);
            let text = redacted(body.as_bytes(), &end, &Findings::default());
            assert!(end.at.len() <= most && plain.ends_with(&text), "{most}: {text}");
            assert!(text.len() + 12 >= most / 2, "{most}: {text}");
        }
        assert_eq!(end_of(body.as_bytes(), &whole, body.len()).at, whole.at);
    }

    #[test]
    fn a_text_keeps_nothing_of_what_was_found() {
        let engine = Engine::builtin().unwrap();
        let body = r#"{"a": "x", "text": "caf\u00e9: ana.silva@example.org, \"yes\""}"#;
        let mut findings = inspect_value(body, None, (&engine).into(), &mut Scratch::default());
        assert_eq!(findings.list.len(), 1);
        let at = body.find("caf").unwrap()..body.len() - 2;
        for (at, wanted) in [(at, "caf\u{e9}: [EMAIL], \"yes\""), (7..8, "x")] {
            let spot = Spot { at, spelling: Spelling::Json };
            assert_eq!(redacted(body.as_bytes(), &spot, &findings), wanted);
        }
        // Part of a finding is no text either.
        let middle = findings.list[0].at.start + 3;
        let spot = Spot { at: middle..middle + 4, spelling: Spelling::Plain };
        assert_eq!(redacted(body.as_bytes(), &spot, &findings), "[EMAIL]");
        findings.list.clear();
        assert_eq!(redacted(body.as_bytes(), &spot, &findings), ".sil");
    }
}
