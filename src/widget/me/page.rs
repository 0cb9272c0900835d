//! The page itself, in the language of its reader.

use super::super::notice::{accepted, is_served_by};
use super::super::{Asked, parameters};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What the page may load: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The texts by language; the first serves where none is wanted that is here.
const TEXTS: [(&str, &str); 6] = [
    ("en", include_str!("texts/en.json")),
    ("de", include_str!("texts/de.json")),
    ("fr", include_str!("texts/fr.json")),
    ("es", include_str!("texts/es.json")),
    ("it", include_str!("texts/it.json")),
    ("nl", include_str!("texts/nl.json")),
];

/// The page in each language.
static PAGES: LazyLock<Vec<(&str, Bytes)>> =
    LazyLock::new(|| TEXTS.iter().map(|(lang, texts)| (*lang, Bytes::from(page(texts)))).collect());

/// The page in the language that is asked for: by `?lang=`, else by
/// `Accept-Language` (RFC 9110 section 12.5.4).
pub(super) fn answer(asked: &Asked<'_>) -> Response<Bytes> {
    let mut wanted = parameters(asked.query, "lang").chain(accepted(asked.headers));
    let page = wanted.find_map(|lang| PAGES.iter().find(|(known, _)| is_served_by(&lang, known)));
    let (lang, page) = page.or(PAGES.first()).map_or(("en", Bytes::new()), |(lang, page)| (*lang, page.clone()));
    let mut response = Response::new(page);
    let set: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_LANGUAGE, lang),
        (header::VARY, "accept-language"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    response.headers_mut().extend(set.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// The page with these texts; its script gets all of them.
fn page(texts: &str) -> String {
    let read: BTreeMap<String, String> = serde_json::from_str(texts).unwrap_or_default();
    // Nothing in a text ends the element that it stands in.
    let for_script = serde_json::to_string(&read).unwrap_or_default().replace('<', "\\u003c");
    let page = include_str!("page.html").replace("{{texts}}", &for_script);
    read.iter().fold(page, |page, (name, text)| page.replace(&format!("{{{{{name}}}}}"), &escaped(text)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn read(texts: &str) -> BTreeMap<String, String> {
        serde_json::from_str(texts).unwrap()
    }

    /// What a text leaves open, such as `{count}`.
    fn open(text: &str) -> Vec<&str> {
        text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
    }

    #[test]
    fn every_language_has_every_text() {
        let first = read(TEXTS[0].1);
        for (lang, texts) in TEXTS {
            let texts = read(texts);
            assert_eq!(texts["lang"], lang);
            assert!(texts.keys().eq(first.keys()), "{lang}");
            for (name, text) in &texts {
                assert!(!text.trim().is_empty());
                assert_eq!(open(text), open(&first[name]), "{lang}: {name}");
            }
            assert!(lang == "en" || texts.iter().filter(|(name, text)| first[*name] == **text).count() < 8, "{lang}");
        }
    }

    #[test]
    fn a_page_leaves_no_text_open() {
        for (lang, page) in PAGES.iter() {
            let page = std::str::from_utf8(page).unwrap();
            assert!(!page.contains("{{") && page.contains(&format!("<html lang=\"{lang}\">")));
        }
    }

    #[test]
    fn the_script_asks_for_texts_that_are_there() {
        let (script, texts) = (include_str!("me.js"), read(TEXTS[0].1));
        let asked: BTreeSet<&str> =
            script.split("text(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(asked.len() > 10);
        assert!(asked.iter().all(|name| texts.contains_key(*name)), "{asked:?}");
    }
}
