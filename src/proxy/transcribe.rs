//! What a transcript is given of a request: the texts that were looked
//! through, with the names of kinds in place of findings.

use super::inspect::{Findings, Spelling, Spot};
use super::percent::Encoding;
use super::{Gateway, Route};
use crate::json::{self, OffsetMap};
use crate::transcripts::Draft;
use crate::vault::{Subject, SurrogateMatcher};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

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
        draft.asked(&redacted(body, spot, findings));
    }
    for found in findings.each().filter(|found| found.form.is_first()) {
        draft.found(found.entity, 1);
    }
    if let Some(surrogates) = surrogates {
        draft.knows(surrogates);
    }
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
            text.push('[');
            text.push_str(found.entity.as_str());
            text.push(']');
        }
    }
    copy(body.get(copied..spot.at.end).unwrap_or_default(), spot.spelling, &mut text);
    text
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
    use crate::detect::{Engine, Scratch};
    use crate::proxy::inspect::inspect_value;

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
