//! Checks of single texts: addresses, names, files. What is wrong is said
//! without the text itself, which may hold a secret.

use std::path::{Path, PathBuf};

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{HeaderPattern, Jwks, SubjectSource, Syslog};
use crate::consent::RESERVED_MEMBERS;
use crate::consent::token::Keys;
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::vault::{Key, KeyError, VaultUrl};

pub(super) use super::problem::Wrong;

/// Headers that frame a message or belong to one connection (RFC 9110
/// section 7.6.1); setting them by hand would break the framing.
const CONNECTION_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
];

/// `HOST:PORT`, with an IPv6 address in brackets (RFC 3986 section 3.2.2).
pub(super) fn address(text: &str) -> Result<String, Wrong> {
    let wrong = |message: &str| Err(wrong(message, "write HOST:PORT, such as \"127.0.0.1:8080\" or \"[::]:8080\""));
    let Some((host, port)) = text.rsplit_once(':') else { return wrong("the address has no port") };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if !digits || port.parse::<u16>().is_err() {
        return wrong("the port is no number from 0 to 65535");
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if fits { Ok(text.to_owned()) } else { wrong("the address has no host that can be listened on") }
}

/// The address of a vault.
pub(super) fn vault(text: &str) -> Result<String, Wrong> {
    let mend = "write \"embedded:FOLDER\", \"postgres://USER@HOST/DATABASE\" or \"memory:\"";
    match text.split_once(':') {
        Some(("embedded", "")) => Err(wrong("the vault has no folder", mend)),
        Some(("memory", rest)) if !rest.is_empty() => Err(wrong("\"memory:\" takes nothing after the colon", mend)),
        Some(("embedded" | "memory", _)) => Ok(text.to_owned()),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => match text.parse::<VaultUrl>() {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(Wrong { message: error.to_string(), mend: mend.to_owned() }),
        },
        _ => Err(wrong("the vault is of no known kind", mend)),
    }
}

/// A server that takes syslog.
pub(super) fn syslog(text: &str) -> Result<Syslog, Wrong> {
    let wrong = || wrong("the address is none of a syslog server", "write \"tcp://HOST:PORT\" or \"udp://HOST:PORT\"");
    let (scheme, address) = text.split_once("://").ok_or_else(wrong)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let is_address = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
    let udp = scheme == "udp";
    if is_address && (udp || scheme == "tcp") { Ok(Syslog { udp, address: address.to_owned() }) } else { Err(wrong()) }
}

/// Two hours of the day.
pub(super) fn hours(text: &str) -> Result<(u8, u8), Wrong> {
    let hour = |text: &str| text.trim().parse::<u8>().ok().filter(|hour| *hour <= 24);
    let read = text.split_once('-').and_then(|(from, to)| Some((hour(from)?, hour(to)?)));
    read.ok_or_else(|| wrong("these are no hours", "write the first hour and the one after the last, such as \"8-18\""))
}

/// The address of an upstream.
pub(super) fn url(text: &str) -> Result<Uri, Wrong> {
    let mend = "write \"https://HOST\", \"http://HOST:PORT\", or one of these with a path";
    let Ok(url) = text.parse::<Uri>() else { return Err(wrong("the upstream is no URL", mend)) };
    let Some(authority) = url.authority() else { return Err(wrong("the upstream is no absolute URL", mend)) };
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(wrong("the upstream is neither http nor https", mend));
    }
    if authority.as_str().contains('@') {
        let mend = "take it out; write set_headers = { Authorization = \"env:NAME\" } under [[upstreams]]";
        return Err(wrong("the upstream's URL holds a user name or password", mend));
    }
    if authority.host().is_empty() {
        return Err(wrong("the upstream's URL has no host", mend));
    }
    if url.query().is_some() || text.contains('#') {
        return Err(wrong(
            "the upstream's URL has a query or fragment",
            "take it out; only a path is put before the request's",
        ));
    }
    Ok(url)
}

/// Where clients reach the gateway.
pub(super) fn public_url(text: &str) -> Result<Uri, Wrong> {
    let mend = "write \"https://HOST\", and the path behind which the gateway stands, if any";
    url(text).map_err(|_| wrong("the public address is no http or https URL without user, query and fragment", mend))
}

/// A name that stands in labels and records: 1 to 64 letters, digits, `-`, `_`, `.`.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(wrong("the name has other characters, or more than 64", "write 1 to 64 of A-Z a-z 0-9 - _ ."))
    }
}

/// A purpose: a key of Structured Fields (RFC 9651 section 3.1.2) that no
/// other member of `Privet-Consent` has.
pub(super) fn purpose(text: &str) -> Result<String, Wrong> {
    if RESERVED_MEMBERS.contains(&text) {
        let message = format!("`{text}` is a member of Privet-Consent itself and cannot name a purpose");
        return Err(Wrong { message, mend: "choose another name".to_owned() });
    }
    if text.len() > 64 || sfv::KeyRef::from_str(text).is_err() {
        let mend = "write 1 to 64 of a-z 0-9 _ - . *, a letter first";
        return Err(wrong("Privet-Consent cannot spell this purpose", mend));
    }
    Ok(text.to_owned())
}

/// The path of a route, without a slash at its end.
pub(super) fn path(text: &str) -> Result<String, Wrong> {
    let mend = "write a path such as \"/v1/chat\", as a browser would show it";
    if !text.starts_with('/') {
        return Err(wrong("the path does not start with a slash", mend));
    }
    if text.contains(['?', '#', '*']) || !text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Err(wrong("the path has a query, a wildcard, or characters that need percent-encoding", mend));
    }
    let plain = text.trim_end_matches('/');
    if super::path::normalize(plain) != plain {
        return Err(wrong("the path has empty, dot or needlessly encoded segments, and would never match", mend));
    }
    Ok(if plain.is_empty() { "/".to_owned() } else { plain.to_owned() })
}

/// A version of the notice: a string of Structured Fields (RFC 9651 section 3.3.3).
pub(super) fn policy(text: &str) -> Result<String, Wrong> {
    if text.len() <= 128 && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        Ok(text.to_owned())
    } else {
        Err(wrong("Privet-Consent cannot spell this version", "write up to 128 printable ASCII characters"))
    }
}

/// The address of the notice: a URL, or a path of this gateway.
pub(super) fn notice(text: &str) -> Result<String, Wrong> {
    let web = ["https://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if (web || text.starts_with('/')) && text.parse::<Uri>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err(wrong(
            "the notice has no address that a browser can open",
            "write \"https://…\", or a path that starts with a slash",
        ))
    }
}

/// A language (RFC 5646): letters, then parts of letters and digits.
pub(super) fn language(text: &str) -> Result<String, Wrong> {
    let mut parts = text.split('-');
    let first = parts.next().is_some_and(|part| (2..=8).contains(&part.len()) && is_of(part, u8::is_ascii_alphabetic));
    let rest = parts.all(|part| (1..=8).contains(&part.len()) && is_of(part, u8::is_ascii_alphanumeric));
    if first && rest && text.len() <= 35 {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(wrong("this is no language", "write a tag such as \"en\", \"de\" or \"pt-BR\""))
    }
}

/// A country: two letters (ISO 3166-1 alpha-2).
pub(super) fn country(text: &str) -> Result<String, Wrong> {
    if text.len() == 2 && is_of(text, u8::is_ascii_alphabetic) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(wrong("this is no country", "write two letters, such as \"DE\""))
    }
}

/// A region, by a name of the deployment's own such as `eu` or `us-east`.
pub(super) fn region(text: &str) -> Result<String, Wrong> {
    name(text).map(|name| name.to_ascii_lowercase())
}

/// The secret of HS256: 32 bytes at least (RFC 7518 section 3.2).
pub(super) fn secret(text: &str) -> Result<Sensitive, Wrong> {
    if text.len() >= 32 {
        Ok(Sensitive::from(text))
    } else {
        Err(wrong("the secret has less than 32 bytes", "make one with: openssl rand -base64 48"))
    }
}

/// Where a JWK Set is: a URL, or a file, which is read.
pub(super) fn jwks(text: &str) -> Result<Jwks, Wrong> {
    if text.starts_with("https://") || text.starts_with("http://") {
        let mend = "write https://HOST/PATH, or name a file; http:// is for this machine alone";
        let is_here = |url: &Uri| url.host().is_some_and(is_this_machine);
        return match text.parse::<Uri>() {
            Ok(url) if !text.contains('#') && !url.authority().is_some_and(|a| a.as_str().contains('@')) => {
                // Whoever can answer in the stead of the site signs for everybody.
                if text.starts_with("http:") && !is_here(&url) {
                    return Err(wrong("the keys would be read over a connection that anybody can change", mend));
                }
                Ok(Jwks::Url(url))
            }
            _ => Err(wrong("the address of the keys is no URL", mend)),
        };
    }
    let file = PathBuf::from(text);
    let problem = |message| Wrong { message, mend: "name a file that holds a JWK Set (RFC 7517)".to_owned() };
    let document =
        std::fs::read(&file).map_err(|error| problem(format!("the file of the keys cannot be read: {error}")))?;
    match Keys::parse(&document) {
        Ok(_) => Ok(Jwks::File(file)),
        Err(error) => Err(problem(format!("the file of the keys is of no use: {error}"))),
    }
}

/// Whether the host of a URL is this machine, whatever its names resolve to.
pub(super) fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The name of a host, without a port.
pub(super) fn host_name(text: &str) -> Result<String, Wrong> {
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let mend = "write it without scheme and port, such as \"privet.example\"";
    if is_name { Ok(text.to_owned()) } else { Err(wrong("this is no name of a host", mend)) }
}

/// An entity.
pub(super) fn entity(text: &str) -> Result<Entity, Wrong> {
    text.parse().map_err(|_| wrong("this is no name of an entity", "write an entity such as \"PERSON\", in capitals"))
}

fn is_of(text: &str, class: fn(&u8) -> bool) -> bool {
    text.bytes().all(|byte| class(&byte))
}

/// A place that names the subject.
pub(super) fn subject_source(text: &str) -> Result<SubjectSource, Wrong> {
    let mend = "write \"header:NAME\", \"cookie:NAME\", \"jwt:sub\" or \"body:KEY.KEY\"";
    match text.split_once(':') {
        Some(("header", name)) => {
            name.parse().map(SubjectSource::Header).map_err(|_| wrong("this is no name of a header", mend))
        }
        Some(("cookie", name)) if is_token(name) => Ok(SubjectSource::Cookie(name.to_owned())),
        Some(("body", path)) if path.split('.').all(|key| !key.is_empty()) => Ok(SubjectSource::Body(path.to_owned())),
        Some(("jwt", "sub")) => Ok(SubjectSource::Token),
        _ => Err(wrong("this is no place that can name a subject", mend)),
    }
}

/// The name of a header, or of several with a `*` at one end.
pub(super) fn header_pattern(text: &str) -> Result<HeaderPattern, Wrong> {
    let mend = "write a name, or a name with `*` at one end, such as \"x-forwarded-*\" or \"*-client-ip\"";
    let wrong = || wrong("this names no header", mend);
    let name = |text: &str| text.parse::<HeaderName>().map_err(|_| wrong()).map(|name| name.as_str().to_owned());
    match (text.strip_suffix('*'), text.strip_prefix('*')) {
        (Some(""), _) => Ok(HeaderPattern::Beginning(String::new())),
        (Some(beginning), None) if !beginning.contains('*') => Ok(HeaderPattern::Beginning(name(beginning)?)),
        (None, Some(ending)) if !ending.contains('*') => Ok(HeaderPattern::Ending(name(ending)?)),
        (None, None) if !text.contains('*') => text.parse().map(HeaderPattern::Name).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// A web origin (RFC 6454): scheme, host, perhaps a port.
pub(super) fn origin(text: &str) -> Result<String, Wrong> {
    let mend = "write \"https://shop.example\", with a port where it is not the usual one, and nothing after it";
    if text == "*" {
        return Err(wrong("any page of the web could use the gateway", mend));
    }
    let bare = text.split_once("://").is_some_and(|(scheme, rest)| {
        // Browsers leave the usual port out, so an origin with it would never match.
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let ends_badly = rest.ends_with(':') || rest.ends_with(usual);
        matches!(scheme, "http" | "https") && !rest.contains(['/', '?', '#', '@']) && !ends_badly
    });
    match text.parse::<Uri>() {
        Ok(uri) if bare && uri.host().is_some_and(|host| !host.is_empty()) => Ok(text.to_lowercase()),
        _ => Err(wrong("this is no origin", mend)),
    }
}

/// A header to set, its value perhaps from a variable. The value is marked
/// sensitive, and no message holds it.
pub(super) fn header<'a>(
    name: &str,
    value: &str,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> Result<(HeaderName, HeaderValue), Wrong> {
    let Ok(header) = name.parse::<HeaderName>() else {
        return Err(wrong("this is no name of a header", "write a name such as Authorization"));
    };
    if CONNECTION_HEADERS.contains(&header.as_str()) {
        return Err(wrong("this header belongs to the connection", "take it out; Privet sets it"));
    }
    let value = match value.strip_prefix("env:") {
        None => value,
        Some(name) => variable(name).ok_or_else(|| Wrong {
            message: format!("the value of {header} stands in a variable that is not set"),
            mend: format!("set {name}"),
        })?,
    };
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        let message = format!("the value of {header} has characters that a header cannot carry");
        Wrong { message, mend: "take out line breaks and control characters".to_owned() }
    })?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// A folder.
pub(super) fn folder(text: &str) -> Result<PathBuf, Wrong> {
    let folder = PathBuf::from(text);
    match std::fs::read_dir(&folder) {
        Ok(_) => Ok(folder),
        Err(error) => Err(Wrong {
            message: format!("the folder cannot be read: {error}"),
            mend: "name a folder that this user may read".to_owned(),
        }),
    }
}

/// A PEM file with certificates (RFC 7468 section 5).
pub(super) fn certificates(text: &str) -> Result<PathBuf, Wrong> {
    let file = PathBuf::from(text);
    let read = CertificateDer::pem_file_iter(&file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(all) if all.is_empty() => Err(unreadable(&PemError::NoItemsFound, "CERTIFICATE")),
        Ok(_) => Ok(file),
        Err(error) => Err(unreadable(&error, "CERTIFICATE")),
    }
}

/// A PEM file with a private key (RFC 7468 section 10).
pub(super) fn private_key(text: &str) -> Result<PathBuf, Wrong> {
    let file = PathBuf::from(text);
    match PrivateKeyDer::from_pem_file(&file) {
        Ok(_) => Ok(file),
        Err(error) => Err(unreadable(&error, "PRIVATE KEY")),
    }
}

/// The key: 32 random bytes in base64.
pub(super) fn key(text: &str) -> Result<Sensitive, Wrong> {
    let mend = "make one with: openssl rand -base64 32";
    match Key::from_base64(text) {
        Ok(_) => Ok(Sensitive::from(text.trim())),
        Err(KeyError::Weak) => Err(wrong("the key follows a pattern, so it is no secret", mend)),
        Err(_) => Err(wrong("the key is not 32 bytes in base64", mend)),
    }
}

/// The file that holds the key.
pub(super) fn key_file(file: &str) -> Result<Sensitive, Wrong> {
    match std::fs::read_to_string(Path::new(file)).map(zeroize::Zeroizing::new) {
        Ok(text) => key(&text),
        Err(error) => Err(Wrong {
            message: format!("the file of the key cannot be read: {error}"),
            mend: "name a file that this user may read; make one with: openssl rand -base64 32".to_owned(),
        }),
    }
}

fn unreadable(error: &PemError, label: &str) -> Wrong {
    let message = match error {
        PemError::Io(error) => format!("the file cannot be read: {error}"),
        PemError::NoItemsFound => format!("the file holds no {label}"),
        _ => "the file is not PEM".to_owned(),
    };
    Wrong { message, mend: format!("name a PEM file with a \"BEGIN {label}\" block") }
}

/// A token of HTTP (RFC 9110 section 5.6.2), which a cookie's name is too.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(super) fn wrong(message: &str, mend: &str) -> Wrong {
    Wrong { message: message.to_owned(), mend: mend.to_owned() }
}
