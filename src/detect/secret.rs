//! Passwords, PINs and one-time codes behind the words that announce them.
//! Keys and tokens with a shape of their own are pattern rules; others are told
//! from words and names by how random they look.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::{Classes, Cue};
use crate::detect::scan::Pass;
use crate::detect::terms::Kinds;
use crate::detect::words;

/// Bytes of the shortest and longest password.
const PASSWORD: std::ops::RangeInclusive<usize> = 4..=128;

/// How many words may stand between the cue and the secret: "for my mail is".
const MAX_BETWEEN: usize = 5;

/// What announces a secret besides the cue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Announced {
    No,
    Copula,
    Colon,
}

impl Pass<'_> {
    /// Looks behind a cue that ends at `end`.
    pub(crate) fn secret(&mut self, cue: Cue, end: usize) {
        // The parts of an address of the web have been looked at.
        if end < self.url_until {
            return;
        }
        let Some((at, announced)) = self.announced(end) else { return };
        // `<password>@` is a placeholder.
        if at == end || self.bytes.get(end) == Some(&b'>') {
            return;
        }
        match cue {
            Cue::Passcode => self.passcode(at),
            Cue::Key => self.api_key(at, announced),
            Cue::Token => self.token(end),
            Cue::Password => self.password(at, announced),
            _ => {}
        }
    }

    /// Where the secret starts, behind colons and words like "is".
    fn announced(&self, end: usize) -> Option<(usize, Announced)> {
        let mut announced = Announced::No;
        // The closing quote of a key: `"password": …`
        let key = matches!(self.bytes.get(end..end + 2), Some([b'"' | b'\'' | b'`', b':' | b'=' | b' ' | b',']));
        let mut at = end + usize::from(key);
        let mut small = None;
        // "my password's …"
        if let Some(of) = ["'s ", "’s "].iter().find(|of| self.text.get(at..).is_some_and(|t| t.starts_with(**of))) {
            (at, announced) = (at + of.len(), Announced::Copula);
        }
        for _ in 0..=MAX_BETWEEN {
            let next = self.over(at, 6, &[' ', '\u{a0}', ':', '=', '>', '*', '\t', '-', ',']);
            let gap = self.text.get(at..next)?;
            if gap.contains([':', '=', '>']) {
                announced = Announced::Colon;
            }
            at = next;
            let Some(word) = words::read(self.text, at) else { break };
            // "Password (for the mail): …" is read by its colon, "hunter2" is no word.
            let whole = matches!(self.at(word.end), None | Some(' ' | ':' | '=' | ',' | '\u{a0}'));
            if !whole || announced == Announced::Colon {
                break;
            }
            if self.kinds(&word).has(Kinds::COPULA) {
                announced = Announced::Copula;
                small = None;
                at = word.end;
                continue;
            }
            if announced == Announced::Copula {
                break;
            }
            small.get_or_insert(at);
            at = word.end;
        }
        // Words that no "is" follows are not passed over.
        match (announced, small) {
            (Announced::No, Some(first)) => Some((first, announced)),
            _ => Some((at, announced)),
        }
    }

    /// Three to eight digits, maybe in two groups: "482 913", "G-482913".
    fn passcode(&mut self, at: usize) {
        let mut at = self.over(at, 1, &['"', '“', '„', '«', '\'', '`']);
        if self.bytes.get(at + 1) == Some(&b'-') && self.bytes.get(at).is_some_and(u8::is_ascii_uppercase) {
            at += 2;
        }
        let mut end = self.digits_end(at);
        let first = end - at;
        if first == 3 && matches!(self.bytes.get(end), Some(b' ' | b'-')) && self.digits_end(end + 1) == end + 4 {
            end += 4;
        }
        let free = match self.at(end) {
            Some('.' | ',' | ':' | '/' | '-') => !self.bytes.get(end + 1).is_some_and(u8::is_ascii_digit),
            Some(c) => !c.is_alphanumeric() && !matches!(c, '%' | '€' | '$' | '_'),
            None => true,
        };
        let digits = self.text.get(at..end).unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
        if free && (3..=8).contains(&digits) {
            self.report(Finder::Passcode, at, end, 0.0, Evidence::CONTEXT);
        }
    }

    /// Letters and digits mixed, longer than words are.
    fn api_key(&mut self, at: usize, announced: Announced) {
        let start = self.over(at, 1, &['"', '\'', '`', '“', '„', '«']);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let allowed = |b: &&u8| b.is_ascii_alphanumeric() || b"_-./+=~:".contains(b);
        let len = rest.iter().take(2048).take_while(allowed).count();
        let Some(key) = self.text.get(start..start + len) else { return };
        let key = key.trim_end_matches(['.', ':', '-']);
        let count = |is: fn(&u8) -> bool| key.as_bytes().iter().filter(|b| is(b)).count();
        let digits = count(u8::is_ascii_digit);
        let cases = count(u8::is_ascii_lowercase).min(count(u8::is_ascii_uppercase));
        let mixed = count(u8::is_ascii_alphabetic) >= 2 && (digits >= 2 || (digits == 1 && cases >= 3));
        let least = if announced == Announced::No { 20 } else { 14 };
        if mixed && key.len() >= least && !key.contains("://") {
            self.report(Finder::ApiKey, start, start + key.len(), 0.0, Evidence::CONTEXT);
        }
    }

    /// `token=…`, `"sig": "…"`: behind its key at once, and random.
    fn token(&mut self, cue: usize) {
        let key = self.over(cue, 1, &['"', '\'', '`']);
        let quoted = key > cue;
        let at = self.over(key, 1, &[' ']);
        let sign = match self.bytes.get(at) {
            Some(b'=') => b'=',
            Some(b':') => b':',
            _ => return,
        };
        let start = self.over(at + 1, 2, &[' ', '"', '\'', '`']);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let allowed = |b: &&u8| b.is_ascii_alphanumeric() || b"_-./+=~%".contains(b);
        let len = rest.iter().take(MAX_TOKEN).take_while(allowed).count();
        let Some(token) = self.text.get(start..start + len) else { return };
        let token = token.trim_end_matches(['.', '-']);
        // In prose a colon also announces the codes of parcels.
        let least = if sign == b'=' || quoted { MIN_TOKEN } else { MIN_TOKEN + 8 };
        let called = matches!(self.bytes.get(start + len), Some(b'(' | b'[' | b'@'));
        if token.len() >= least && !called && is_random(token) {
            self.report(Finder::ApiKey, start, start + token.len(), 0.0, Evidence::CONTEXT);
        }
    }

    fn password(&mut self, at: usize, announced: Announced) {
        let quote = self.at(at).filter(|c| matches!(c, '"' | '\'' | '“' | '„' | '«' | '`' | '‘' | '»'));
        let start = at + quote.map_or(0, char::len_utf8);
        let rest = self.text.get(start..).unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '“' | '”' | '«' | '»' | '`' | '<' | '>');
        let until = rest.char_indices().take(200).find(|(_, c)| ends(*c)).map_or(rest.len().min(200), |(i, _)| i);
        let Some(token) = rest.get(..self.text.floor_char_boundary(start + until) - start) else { return };
        let token = token.trim_end_matches(['.', ',', ';', ':', ')', '\'', '’', ']', '}']);
        let closed = quote.is_some() && rest.get(token.len()..).is_some_and(|t| !t.starts_with(char::is_whitespace));
        if is_password(token, announced, closed) && !self.is_said_of_passwords(token, announced, closed) {
            self.report(Finder::Password, start, start + token.len(), 0.0, Evidence::CONTEXT);
        }
    }

    /// Words like "wrong", "required", and other ordinary ones.
    fn is_said_of_passwords(&self, token: &str, announced: Announced, quoted: bool) -> bool {
        let mut said = false;
        let mut ordinary = announced < Announced::Colon && !quoted;
        words::each(token, |hash| {
            let classes = self.engine.lexicon.classes(hash);
            said |= self.engine.terms.word(hash).has(Kinds::NO_SECRET | Kinds::COPULA);
            ordinary |= classes.has(Classes::STOP) || classes.has(Classes::COMMON);
        });
        let letters = token.chars().all(|c| c.is_alphabetic() || matches!(c, '!' | '?' | '-' | '’' | '\''));
        (said && !token.bytes().any(|b| b.is_ascii_digit())) || (letters && ordinary && is_plain(token))
    }

    /// The whole text, where its key says that it is a password.
    pub(crate) fn labelled_secret(&mut self) {
        let keyed = |hash: &u64| self.engine.terms.word(*hash).has(Kinds::SECRET_KEY);
        if self.label.last().is_some_and(keyed) && is_password(self.text, Announced::Colon, true) {
            self.report(Finder::Password, 0, self.text.len(), 0.0, Evidence::LABEL);
        }
    }
}

/// Bytes of the shortest and longest token that is known by its randomness.
const MIN_TOKEN: usize = 12;
pub(crate) const MAX_TOKEN: usize = 4096;

/// Whether letters of both cases and digits change about as in no word, name
/// or date: at least four times, and once in five characters.
pub(crate) fn is_random(text: &str) -> bool {
    #[derive(PartialEq)]
    enum Class {
        Small,
        Capital,
        Digit,
        None,
    }
    let (mut last, mut changes, mut letters) = (Class::None, 0, 0);
    for b in text.bytes() {
        let class = match b {
            b'a'..=b'z' => Class::Small,
            b'A'..=b'Z' => Class::Capital,
            b'0'..=b'9' => Class::Digit,
            _ => Class::None,
        };
        // "Word" is one piece.
        let word = last == Class::Capital && class == Class::Small;
        changes += usize::from(class != last && !word && class != Class::None && last != Class::None);
        letters += usize::from(class != Class::None);
        last = class;
    }
    changes >= 4 && changes * 5 >= letters
}

/// Only small letters behind the first.
fn is_plain(token: &str) -> bool {
    token.chars().skip(1).all(|c| !c.is_uppercase()) || token.chars().all(|c| !c.is_lowercase())
}

/// Whether a token may be a password by its shape.
fn is_password(token: &str, announced: Announced, quoted: bool) -> bool {
    if !PASSWORD.contains(&token.len()) || token.contains(char::is_whitespace) {
        return false;
    }
    // Placeholders, variables, markup, addresses.
    let first = token.chars().next().unwrap_or_default();
    let holder = matches!(first, '<' | '{' | '[' | '(' | '*' | '•' | '…' | '%' | '/' | '\\')
        || token.starts_with("${")
        || token.starts_with("$(")
        || token.contains("://")
        || token.contains("***")
        || token.contains("...")
        || token.contains("()")
        || token.chars().all(|c| c == first);
    if holder {
        return false;
    }
    let digit = token.bytes().any(|b| b.is_ascii_digit());
    let letter = token.chars().any(char::is_alphabetic);
    let inner = token.trim_end_matches(['!', '?']);
    let sign =
        inner.chars().any(|c| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’' | '.' | ',' | '/' | '_' | ':'));
    let humps = inner.chars().skip(1).any(char::is_uppercase) && inner.chars().any(char::is_lowercase);
    let mixed = letter && (digit || sign);
    match announced {
        // "password hunter2": only what no word looks like.
        Announced::No => mixed && (token.len() >= 6 || quoted),
        Announced::Copula => mixed || humps || quoted || (digit && token.len() >= 4 && !token.contains('.')),
        Announced::Colon => mixed || humps || digit || quoted || (letter && token.len() >= 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_are_told_from_words() {
        for random in
            ["9fK2mQ8xLw7ZpV3s", "8f14e45fceea167a", "Zm9vYmFyYmF6cXV4", "k3j4h5g6f7d8", "aBcD-eFgH_iJkL-mNoP"]
        {
            assert!(is_random(random), "{random}");
        }
        for word in [
            "hello-world-2024",
            "SUMMER25",
            "gpt-4o-mini-2024-07-18",
            "accessTokenExpired",
            "2026-01-02T03:04:05",
            "123456789012",
            "",
            "é",
        ] {
            assert!(!is_random(word), "{word}");
        }
    }

    #[test]
    fn shapes_of_passwords() {
        for (token, announced, quoted) in [
            ("hunter2", Announced::No, false),
            ("Tr0ub4dor&3", Announced::Copula, false),
            ("sunShine", Announced::Copula, false),
            ("sunshine", Announced::Colon, false),
            ("sunshine", Announced::Copula, true),
            ("5550123", Announced::Copula, false),
        ] {
            assert!(is_password(token, announced, quoted), "{token}");
        }
        for (token, announced, quoted) in [
            ("wrong", Announced::No, false),
            ("wrong", Announced::Copula, false),
            ("abc", Announced::Colon, true),
            ("********", Announced::Colon, true),
            ("<password>", Announced::Colon, true),
            ("${DB_PASSWORD}", Announced::Colon, true),
            ("xxxxxxxx", Announced::Colon, true),
            ("two words", Announced::Colon, true),
            ("https://example.com/1", Announced::Colon, false),
        ] {
            assert!(!is_password(token, announced, quoted), "{token}");
        }
    }
}
