//! Notices: what persons are asked to agree to.

use super::check;
use super::problem::Found;
use super::settings::{Section, Settings};

/// The longest text of a notice, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// A notice in one language and of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its language (RFC 5646), in small letters.
    pub lang: String,
    /// Its version; none where the deployment counts none.
    pub policy: Option<String>,
    /// What stands above it.
    pub title: String,
    /// The text. An empty line begins a paragraph.
    pub text: String,
    /// How it speaks of purposes, by their names.
    pub purposes: Vec<(String, PurposeText)>,
}

/// How a notice speaks of a purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeText {
    /// The purpose in two or three words.
    pub title: String,
    /// What data is used for, in a sentence.
    pub text: Option<String>,
}

/// Reads `[[notices]]`.
pub(super) fn read(settings: &Settings, policy: Option<&str>, found: &mut Found) -> Vec<Notice> {
    let mut all: Vec<Notice> = Vec::new();
    for section in settings.list("notices", "notices[]") {
        let Some(notice) = notice(&section, policy, found) else { continue };
        if all.iter().any(|other| other.lang == notice.lang && other.policy == notice.policy) {
            found.error(&section.origin(), "two notices have one language and version", "keep one of them");
        }
        all.push(notice);
    }
    all
}

fn notice(section: &Section<'_>, policy: Option<&str>, found: &mut Found) -> Option<Notice> {
    let lang = super::build::checked(section.required("lang", found), check::language, found);
    let title = section.required("title", found).map(|placed| placed.value);
    let own = super::build::checked(section.text("policy"), check::policy, found);
    let text = text(section, found);
    let mut purposes = Vec::new();
    for (name, table) in section.named("purposes", "notices[].purposes.*") {
        let Some(title) = table.required("title", found) else { continue };
        let text = table.text("text").map(|placed| placed.value);
        purposes.push((name, PurposeText { title: title.value, text }));
    }
    Some(Notice { lang: lang?, policy: own.or(policy.map(str::to_owned)), title: title?, text: text?, purposes })
}

fn text(section: &Section<'_>, found: &mut Found) -> Option<String> {
    let (written, file) = (section.text("text"), section.text("file"));
    let (text, origin) = match (written, file) {
        (Some(text), None) => (text.value, text.origin),
        (None, Some(file)) => match std::fs::read_to_string(&file.value) {
            Ok(text) => (text, file.origin),
            Err(error) => {
                let mend = "name a file of UTF-8 text that this user may read";
                found.error(&file.origin, format!("the file of the notice cannot be read: {error}"), mend);
                return None;
            }
        },
        _ => {
            let message = "the notice needs one of `text` and `file`";
            found.error(&section.origin(), message, "write text = \"…\", or name a file that holds it");
            return None;
        }
    };
    if text.len() > MAX_TEXT || text.trim().is_empty() {
        let mend = "write a text of up to 64 KiB; a longer one belongs at `notice_url`";
        found.error(&origin, "the text of the notice is empty or too long", mend);
        return None;
    }
    Some(text)
}
