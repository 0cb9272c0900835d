//! The personal parts of an address of the web: user info, values of a query,
//! segments of a path, and profiles in social networks. An address without
//! them is no finding.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::Classes;
use crate::detect::scan::Pass;
use crate::detect::secret;
use crate::detect::terms::Kinds;
use crate::detect::words;

/// Longer values are no names.
const MAX_VALUE: usize = 96;
/// Shorter values are no tokens, whatever their key.
const MIN_TOKEN: usize = 10;
const MAX_HOST: usize = 40;

/// Social networks, and what stands in front of the handle in their paths.
const PROFILES: &[(&str, &[&str])] = &[
    ("bsky.app", &["profile/"]),
    ("calendly.com", &[""]),
    ("facebook.com", &["people/", ""]),
    ("fb.com", &[""]),
    ("fb.me", &[""]),
    ("instagram.com", &["stories/", ""]),
    ("linkedin.com", &["in/", "pub/"]),
    ("medium.com", &["@"]),
    ("m.me", &[""]),
    ("ok.ru", &["profile/"]),
    ("paypal.me", &[""]),
    ("pinterest.com", &[""]),
    ("reddit.com", &["user/", "u/"]),
    ("signal.me", &["#p/", "#eu/"]),
    ("snapchat.com", &["add/"]),
    ("soundcloud.com", &[""]),
    ("strava.com", &["athletes/"]),
    ("t.me", &[""]),
    ("telegram.me", &[""]),
    ("threads.net", &["@"]),
    ("tiktok.com", &["@"]),
    ("tinder.com", &["@"]),
    ("twitch.tv", &[""]),
    ("twitter.com", &[""]),
    ("venmo.com", &["u/", ""]),
    ("vk.com", &[""]),
    ("wa.me", &["+", ""]),
    ("x.com", &[""]),
    ("xing.com", &["profile/"]),
    ("youtube.com", &["@", "user/"]),
];

impl Pass<'_> {
    /// Looks at the `://` whose colon is at `colon`.
    pub(crate) fn url(&mut self, colon: usize) {
        if colon < self.url_until || !self.before(colon).is_some_and(|c| c.is_ascii_alphanumeric()) {
            return;
        }
        let start = colon + 3;
        let end = self.url_end(start);
        self.url_until = end;
        let find = |from: usize, to: usize, all: &[u8]| {
            let found = self.bytes.get(from..to).unwrap_or_default().iter().position(|b| all.contains(b));
            found.map_or(to, |i| from + i)
        };
        let authority = find(start, end, b"/?#");
        let fragment = find(authority, end, b"#");
        let query = find(authority, fragment, b"?");
        let host = self.user_info(start, authority);
        if self.bytes.get(authority) == Some(&b'/') && !self.profile(host, authority, end) {
            self.path(authority + 1, query);
        }
        if query < fragment {
            self.query(query + 1, fragment);
        }
        // `#access_token=…`, as OAuth 2.0 (RFC 6749, 4.2.2) gives it.
        if fragment < end {
            self.query(fragment + 1, end);
        }
    }

    /// Looks at the `/` at `slash`: a profile may be written without a scheme.
    pub(crate) fn slash(&mut self, slash: usize) {
        // All their domains end in two or three letters: most slashes go no further.
        let dot = |back: usize| slash.checked_sub(back).and_then(|at| self.bytes.get(at)) == Some(&b'.');
        if slash < self.url_until || !(dot(4) || dot(3)) {
            return;
        }
        let host = self.bytes.get(..slash).unwrap_or_default().iter().rev().take(MAX_HOST);
        let len = host.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')).count();
        if PROFILES.iter().any(|(name, _)| self.is_host(slash - len, slash, name)) {
            let end = self.url_end(slash);
            self.url_until = end;
            self.profile(slash - len, slash, end);
        }
    }

    fn url_end(&self, start: usize) -> usize {
        let ends = |c: char| {
            c.is_whitespace()
                || matches!(c, '"' | '<' | '>' | '`' | '\'' | ')' | ']' | '}' | '|' | '\\' | '^' | '«' | '»')
        };
        let rest = self.text.get(start..).unwrap_or_default();
        let url = rest.find(ends).and_then(|len| rest.get(..len)).unwrap_or(rest);
        start + url.trim_end_matches(['.', ',', ';', ':', '!']).len()
    }

    /// Reports user and password in front of a host, and gives where that starts.
    fn user_info(&mut self, start: usize, end: usize) -> usize {
        let authority = self.text.get(start..end).unwrap_or_default();
        let Some((info, _)) = authority.rsplit_once('@') else { return start };
        let (user, password) = info.split_once(':').unwrap_or((info, ""));
        if !user.is_empty() && !self.is_nobody(user) && is_value(user) && user.bytes().any(|b| b.is_ascii_alphabetic())
        {
            self.report(Finder::UrlUser, start, start + user.len(), 0.0, Evidence::default());
        }
        // "secret" stands for one, and "secret99" is one.
        let has_digit = password.bytes().any(|b| b.is_ascii_digit());
        if is_value(password) && !self.is_nobody(password) && (has_digit || !self.is_no_secret(password)) {
            let from = start + user.len() + 1;
            self.report(Finder::UrlSecret, from, from + password.len(), 0.0, Evidence::default());
        }
        start + info.len() + 1
    }

    fn is_host(&self, start: usize, end: usize, name: &str) -> bool {
        let Some(from) = end.checked_sub(name.len()).filter(|&from| from >= start) else { return false };
        self.text.get(from..end).is_some_and(|t| t.eq_ignore_ascii_case(name))
            && (from == start || self.bytes.get(from - 1) == Some(&b'.'))
    }

    /// Reports the handle in a profile's address; false where the host has none.
    fn profile(&mut self, host: usize, slash: usize, end: usize) -> bool {
        let Some((name, prefixes)) = PROFILES.iter().find(|(name, _)| self.is_host(host, slash, name)) else {
            return false;
        };
        let path = self.text.get(slash + 1..end).unwrap_or_default();
        let Some(prefix) = prefixes.iter().find(|p| path.starts_with(**p)) else { return true };
        let rest = path.get(prefix.len()..).unwrap_or_default();
        let start = slash + 1 + prefix.len();
        if let Some(id) = rest.strip_prefix("profile.php?id=") {
            let digits = id.bytes().take_while(u8::is_ascii_digit).count();
            let from = end - id.len();
            if digits > 4 {
                self.report(Finder::UrlUser, from, from + digits, 0.0, Evidence::default());
            }
            return true;
        }
        let handle = rest.split(['/', '?', '#', '&']).next().unwrap_or_default();
        let bare = handle.trim_start_matches('@');
        let (start, handle) = (start + handle.len() - bare.len(), bare);
        let letters = handle.bytes().any(|b| b.is_ascii_alphabetic() || b == b'%' || b >= 0x80);
        if *name == "wa.me" && !letters && handle.len() >= 7 {
            self.report(Finder::UrlPhone, start, start + handle.len(), 0.0, Evidence::default());
        } else if letters
            && handle.len() >= 2
            && is_value(handle)
            && !handle.contains('.') | !handle.ends_with("php")
            && !self.is_nobody(handle)
        {
            self.report(Finder::UrlUser, start, start + handle.len(), 0.0, Evidence::default());
        }
        true
    }

    /// Segments behind "users" and the like that hold a name.
    fn path(&mut self, start: usize, end: usize) {
        let (mut at, mut led) = (start, false);
        let path = self.text.get(start..end).unwrap_or_default();
        for segment in path.split('/') {
            let tilde = segment.starts_with('~') && segment.len() > 2;
            let bare = segment.trim_start_matches(['~', '@']);
            let from = at + segment.len() - bare.len();
            if (led || tilde) && is_value(bare) && !self.is_nobody(bare) && (tilde || self.names(bare).known > 0) {
                self.report(Finder::UrlUser, from, from + bare.len(), 0.0, Evidence::default());
            }
            led = !segment.is_empty() && self.engine.terms.any(segment).has(Kinds::USER_PATH);
            at += segment.len() + 1;
        }
    }

    /// Values whose key says that they are somebody's.
    fn query(&mut self, start: usize, end: usize) {
        let mut at = start;
        let query = self.text.get(start..end).unwrap_or_default();
        for pair in query.split(['&', ';']) {
            if let Some((key, value)) = pair.split_once('=') {
                let from = at + key.len() + 1;
                if let Some(finder) = self.value(key, value) {
                    self.report(finder, from, from + value.len(), 0.0, Evidence::LABEL);
                }
            }
            at += pair.len() + 1;
        }
    }

    /// What the value of a key is.
    fn value(&self, key: &str, value: &str) -> Option<Finder> {
        let is_token = || self.engine.terms.whole(key).has(Kinds::TOKEN_KEY) && secret::is_random(value);
        if key.len() <= 40 && (MIN_TOKEN..=secret::MAX_TOKEN).contains(&value.len()) && is_token() {
            return Some(Finder::UrlSecret);
        }
        if key.len() > 40 || !is_value(value) {
            return None;
        }
        let kinds = self.engine.terms.any(key);
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
        if kinds.has(Kinds::SECRET_KEY) && value.len() >= 4 && !self.is_no_secret(value) {
            return Some(Finder::UrlSecret);
        }
        if kinds.has(Kinds::EMAIL_KEY) {
            let mail = value.contains('.') && (value.contains("%40") || value.contains('@'));
            return mail.then_some(Finder::UrlEmail);
        }
        if kinds.has(Kinds::PHONE_KEY) {
            let phone = (7..=17).contains(&digits) && letters <= digits / 2;
            return phone.then_some(Finder::UrlPhone);
        }
        if kinds.has(Kinds::BIRTH_KEY) {
            return ((6..=10).contains(&digits) && letters <= 4).then_some(Finder::UrlBirth);
        }
        if kinds.has(Kinds::ADDRESS_KEY) {
            return (letters >= 4 && (1..=10).contains(&digits)).then_some(Finder::UrlPlace);
        }
        // "file_name" is nobody's: the whole key must be one of a person's name.
        if self.engine.terms.whole(key).has(Kinds::NAME_KEY) {
            let names = self.names(value);
            let sure = names.known > 0 || (names.words > 0 && !key.eq_ignore_ascii_case("name") && names.capitals > 0);
            let whole = names.words <= 4 && digits <= 2 * value.matches('%').count();
            return (whole && sure && !self.is_nobody(value)).then_some(Finder::UrlPerson);
        }
        if self.engine.terms.whole(key).has(Kinds::USER_KEY) {
            let named = letters >= 3 && value.len() <= 40 && !self.is_nobody(value);
            let random = value.len() >= 20 && digits > 4;
            return (named && !random && self.names(value).known > 0).then_some(Finder::UrlUser);
        }
        None
    }

    /// The words of a handle or value and what they say of a name.
    fn names(&self, value: &str) -> Names {
        let mut names = Names::default();
        for part in value.split(['+', '.', '-', '_', '%', ' ', ',']).flat_map(|p| p.split(|c: char| c.is_ascii_digit()))
        {
            let Some(word) = words::read(part, 0).filter(|w| w.end == part.len() && w.end > 1) else { continue };
            let classes = self.engine.lexicon.classes(word.hash);
            let name = classes.has(Classes::GIVEN) || classes.has(Classes::SURNAME);
            let other = classes.has(Classes::of(&[Classes::STOP, Classes::COMMON, Classes::PLACE]));
            names.words += 1;
            names.known += usize::from(name && !other && part.len() > 2);
            names.capitals += usize::from(part.starts_with(char::is_uppercase));
        }
        names
    }

    /// "admin", "settings": a handle of the site, not of a person.
    fn is_nobody(&self, value: &str) -> bool {
        self.engine.terms.whole(value).has(Kinds::NOBODY)
    }

    fn is_no_secret(&self, value: &str) -> bool {
        let mut any = false;
        words::each(value, |hash| {
            any |= self.engine.terms.word(hash).has(Kinds::NO_SECRET) && value.len() < 20;
        });
        any || value.bytes().all(|b| matches!(b, b'*' | b'x' | b'X' | b'.'))
    }
}

#[derive(Default)]
struct Names {
    words: usize,
    known: usize,
    capitals: usize,
}

/// No placeholder, and not too long.
fn is_value(value: &str) -> bool {
    !value.is_empty() && value.len() <= MAX_VALUE && !value.starts_with(['$', '{', '<', '[', '(', '*', ':'])
}
