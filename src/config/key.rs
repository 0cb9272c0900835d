//! The keys of the vault, and the service that keeps them.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use super::build::{checked, judge};
use super::check::{self, Wrong};
use super::problem::{Found, Origin};
use super::settings::Section;
use super::source::Sources;
use crate::sensitive::Sensitive;

/// The keys of the vault: each 32 bytes in base64 (RFC 4648 section 4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// From `PRIVET_SENSITIVE_KEY` or `sensitive_key_file`: that of the second
    /// layer, where it is not derived.
    pub sensitive: Option<Sensitive>,
    /// From `PRIVET_OLD_KEYS` and `old_key_files`: what records may still be
    /// under while a key is changed.
    pub old: Vec<Sensitive>,
    /// A key service, which keeps the key instead.
    pub transit: Option<Transit>,
}

/// A Transit engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transit {
    /// The server.
    pub address: Uri,
    /// Where the engine is mounted.
    pub mount: String,
    /// The name of the key in it.
    pub key: String,
    /// From `VAULT_TOKEN`, where no file is named.
    pub token: Option<Sensitive>,
    /// The file that holds the token.
    pub token_file: Option<PathBuf>,
    /// The namespace of the engine.
    pub namespace: Option<String>,
    /// A PEM file (RFC 7468) with roots to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Duration,
}

pub(super) fn keys(top: &Section<'_>, transit: &Section<'_>, sources: &Sources, found: &mut Found) -> Keys {
    let variable = |name: &str| Origin::Environment(name.to_owned());
    let sensitive = match sources.variable("PRIVET_SENSITIVE_KEY") {
        Some(text) => judge(check::key(text), &variable("PRIVET_SENSITIVE_KEY"), found),
        None => checked(top.text("sensitive_key_file"), check::key_file, found),
    };
    let listed = sources.variable("PRIVET_OLD_KEYS").unwrap_or_default();
    let listed = listed.split([',', ' ', '\n']).filter(|text| !text.is_empty());
    let mut old: Vec<Sensitive> =
        listed.filter_map(|text| judge(check::key(text), &variable("PRIVET_OLD_KEYS"), found)).collect();
    let files = top.texts("old_key_files").map(|placed| placed.value).unwrap_or_default();
    old.extend(files.into_iter().filter_map(|file| checked(Some(file), check::key_file, found)));
    Keys { sensitive, old, transit: engine(transit, sources, found) }
}

fn engine(section: &Section<'_>, sources: &Sources, found: &mut Found) -> Option<Transit> {
    if !section.is_written() {
        return None;
    }
    let address = checked(section.required("address", found), address, found);
    let token_file = section.text("token_file").map(|placed| PathBuf::from(placed.value));
    let token = sources.variable("VAULT_TOKEN").filter(|_| token_file.is_none()).map(Sensitive::from);
    if token.is_none() && token_file.is_none() {
        let mend = "name the file of a token as `token_file`, or set VAULT_TOKEN";
        found.error(&section.origin(), "the key service needs a token", mend);
    }
    let named = |name: &str, found: &mut Found| checked(section.text(name), path, found).unwrap_or_default();
    let (mount, key) = (named("mount", found), named("key", found));
    Some(Transit {
        address: address?,
        mount,
        key,
        token,
        token_file,
        namespace: section.text("namespace").map(|placed| placed.value),
        ca: checked(section.text("ca"), check::certificates, found),
        timeout: section.time("timeout"),
    })
}

/// The address of a key service: what it answers is a key.
fn address(text: &str) -> Result<Uri, Wrong> {
    let mend = "write \"https://vault.example:8200\"; http:// is for this machine alone";
    let wrong = |message: &str| Wrong { message: message.to_owned(), mend: mend.to_owned() };
    let url: Uri = text.parse().map_err(|_| wrong("this is no address"))?;
    let is_bare = url.query().is_none() && !url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    match (url.scheme_str(), url.host()) {
        (Some("https" | "http"), Some(host)) if !host.is_empty() && is_bare => Ok(url),
        _ => Err(wrong("this is no address of a key service")),
    }
}

/// A part of a path.
fn path(text: &str) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) && !text.contains("..") {
        return Ok(text.to_owned());
    }
    Err(Wrong {
        message: "this cannot stand in a path".to_owned(),
        mend: "write letters, digits and - _ . / alone".to_owned(),
    })
}
