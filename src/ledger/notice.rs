//! The notices that consent is given to, each known by the hash of its text.

use crate::config::Notice;
use crate::hex;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::atomic::{AtomicBool, Ordering};

/// Stands before the hash in the key under which a text is kept.
const KEY: &[u8] = b"notice:";

/// All notices of a deployment.
#[derive(Debug, Default)]
pub struct Notices(Vec<Known>);

/// A notice as statements name it.
#[derive(Debug)]
pub struct Known {
    /// The SHA-256 of title and text, in hexadecimal digits.
    pub hash: String,
    /// Its language.
    pub lang: String,
    /// The notice.
    pub notice: Notice,
    /// The key under which the text is kept.
    pub(super) key: Vec<u8>,
    /// What is kept: title and text.
    pub(super) text: String,
    saved: AtomicBool,
}

impl Notices {
    /// Those of the configuration.
    pub fn new(notices: &[Notice]) -> Self {
        Self(notices.iter().map(Known::new).collect())
    }

    /// The notice of a version: in the language that is wanted, or in one that
    /// it is a part of, else the first one.
    pub fn find(&self, policy: Option<&str>, lang: Option<&str>) -> Option<&Known> {
        let of_version = || self.0.iter().filter(|known| known.notice.policy.as_deref() == policy);
        let wanted = lang.and_then(|lang| {
            let lang = lang.to_ascii_lowercase();
            let primary = lang.split('-').next().unwrap_or_default().to_owned();
            let exact = of_version().find(|known| known.lang == lang);
            exact.or_else(|| of_version().find(|known| known.lang == primary))
        });
        wanted.or_else(|| of_version().next())
    }

    /// The languages of a version.
    pub fn languages<'n>(&'n self, policy: Option<&'n str>) -> impl Iterator<Item = &'n str> {
        let of_version = self.0.iter().filter(move |known| known.notice.policy.as_deref() == policy);
        of_version.map(|known| known.lang.as_str())
    }

    /// The notice of this hash, where its text is not kept yet by this process.
    pub(super) fn unsaved(&self, hash: &str) -> Option<&Known> {
        self.0.iter().find(|known| known.hash == hash && !known.saved.load(Ordering::Relaxed))
    }
}

impl Known {
    fn new(notice: &Notice) -> Self {
        let text = format!("{}\n\n{}", notice.title, notice.text);
        let hash = hex::encode(digest(&SHA256, text.as_bytes()).as_ref());
        let key = [KEY, hash.as_bytes()].concat();
        Self { hash, lang: notice.lang.clone(), notice: notice.clone(), key, text, saved: AtomicBool::new(false) }
    }

    pub(super) fn is_saved(&self) {
        self.saved.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(lang: &str, policy: &str) -> Notice {
        let (title, text) = (lang.to_owned(), format!("{lang} {policy}"));
        Notice { lang: lang.to_owned(), policy: Some(policy.to_owned()), title, text, purposes: Vec::new() }
    }

    #[test]
    fn a_notice_is_found_by_version_and_language() {
        let all = [notice("en", "2"), notice("pt-br", "2"), notice("pt", "2"), notice("de", "1")];
        let notices = Notices::new(&all);
        let found = |policy, lang| notices.find(policy, lang).map(|known| known.notice.text.as_str());
        for (policy, lang, wanted) in [
            (Some("2"), None, Some("en 2")),
            (Some("2"), Some("pt-BR"), Some("pt-br 2")),
            (Some("2"), Some("pt-PT"), Some("pt 2")),
            (Some("2"), Some("de"), Some("en 2")),
            (Some("1"), Some("en"), Some("de 1")),
            (Some("3"), Some("en"), None),
            (None, None, None),
        ] {
            assert_eq!(found(policy, lang), wanted, "{policy:?} {lang:?}");
        }
        let hash = &notices.find(Some("2"), None).unwrap().hash;
        assert_eq!((hash.len(), notices.unsaved(hash).is_some()), (64, true));
        notices.unsaved(hash).unwrap().is_saved();
        assert!(notices.unsaved(hash).is_none());
    }
}
