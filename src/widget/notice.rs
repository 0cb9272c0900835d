//! `GET /.privet/notice`: what a person is asked to agree to, for a page to show.

use super::{Asked, NOTICE, json, parameters};
use crate::config::{Basis, Config, PurposeText};
use crate::ledger::Notices;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};

/// The notice of the version and in the language that are asked for: by
/// `?policy=` and `?lang=`, else the current one, by `Accept-Language`
/// (RFC 9110 section 12.5.4).
pub(super) fn answer(config: &Config, notices: &Notices, asked: &Asked<'_>) -> Response<Bytes> {
    let consent = &config.consent;
    let wanted = parameters(asked.query, "policy").next();
    let policy = wanted.as_deref().filter(|version| consent.accepts(version)).or(consent.policy.as_deref());
    let known = (parameters(asked.query, "lang").chain(accepted(asked.headers)))
        .find(|lang| notices.languages(policy).any(|known| is_served_by(lang, known)));
    let notice = notices.find(policy, known.as_deref());
    let text = |name: &str| {
        let texts = notice.into_iter().flat_map(|known| &known.notice.purposes);
        texts.filter(|(purpose, _)| purpose == name).map(|(_, text)| text).next()
    };
    let purposes: Vec<Value> = (config.purposes.iter())
        .map(|purpose| {
            let PurposeText { title, text } = text(&purpose.name)
                .cloned()
                .unwrap_or_else(|| PurposeText { title: titled(&purpose.name), text: None });
            json!({
                "name": purpose.name,
                "basis": purpose.basis.as_str(),
                "title": title,
                "text": text,
                "asks": purpose.basis == Basis::Consent,
                "may_object": purpose.basis == Basis::LegitimateInterest,
                "explicit": purpose.explicit,
                "objected_by_gpc": asked.gpc && purpose.yields_to_gpc(),
            })
        })
        .collect();
    let mut document = json!({
        "policy": policy,
        "lang": notice.map(|known| known.lang.as_str()),
        "languages": notices.languages(policy).collect::<Vec<_>>(),
        "title": notice.map(|known| known.notice.title.as_str()),
        "text": notice.map(|known| known.notice.text.as_str()),
        "hash": notice.map(|known| format!("sha-256:{}", known.hash)),
        "purposes": purposes,
    });
    if consent.notice_url != NOTICE
        && let Some(members) = document.as_object_mut()
    {
        members.insert("notice_url".to_owned(), json!(consent.notice_url));
    }
    let mut response = json(&document);
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language"));
    if let Some(language) = notice.and_then(|known| HeaderValue::from_str(&known.lang).ok()) {
        response.headers_mut().insert(header::CONTENT_LANGUAGE, language);
    }
    response
}

/// What purposes are called in the language of whoever asks, under the current
/// policy.
pub(super) struct Titles<'n>(Vec<(&'n str, &'n str)>);

impl<'n> Titles<'n> {
    pub(super) fn new(config: &'n Config, notices: &'n Notices, asked: &Asked<'_>) -> Self {
        let policy = config.consent.policy.as_deref();
        let mut wanted = parameters(asked.query, "lang").chain(accepted(asked.headers));
        let lang = wanted.find(|lang| notices.languages(policy).any(|known| is_served_by(lang, known)));
        let texts = notices.find(policy, lang.as_deref()).into_iter().flat_map(|known| &known.notice.purposes);
        Self(texts.map(|(name, text)| (name.as_str(), text.title.as_str())).collect())
    }

    pub(super) fn of(&self, name: &str) -> String {
        let known = self.0.iter().find(|(known, _)| *known == name);
        known.map_or_else(|| titled(name), |(_, title)| (*title).to_owned())
    }
}

/// Whether somebody who wants `lang` is served by a notice in `known`: the
/// same, or the language that it is a kind of (RFC 4647 section 3.4).
pub(super) fn is_served_by(lang: &str, known: &str) -> bool {
    let primary = lang.split('-').next().unwrap_or_default();
    lang.eq_ignore_ascii_case(known) || primary.eq_ignore_ascii_case(known)
}

/// The languages that a browser wants, the dearest first.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
    let mut wanted: Vec<(u32, &str)> = lines
        .flat_map(|line| line.split(','))
        .take(64)
        .filter_map(|range| {
            let (lang, weight) = range.split_once(';').map_or((range, None), |(lang, rest)| (lang, Some(rest)));
            let weight = weight.and_then(|rest| rest.trim().strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
            let thousandths = (weight.filter(|q| (0.0..=1.0).contains(q))? * 1000.0_f32) as u32;
            (thousandths > 0).then_some((thousandths, lang.trim()))
        })
        .collect();
    wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    wanted.into_iter().map(|(_, lang)| lang.to_owned()).collect()
}

/// The name of a purpose, as a title where there is no other.
fn titled(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).map(|c| if matches!(c, '_' | '-') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_language_comes_first() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("fr;q=0.5, de-AT, en;q=0.8, *;q=0, x;q=2"));
        assert_eq!(accepted(&headers), ["de-AT", "en", "fr"]);
        assert!(is_served_by("de-AT", "de") && is_served_by("DE", "de") && !is_served_by("d", "de"));
    }

    #[test]
    fn a_purpose_has_a_title_by_its_name() {
        assert_eq!(titled("product-news"), "Product news");
    }
}
