//! Mail addresses: `ana@example.com` and `"ana b"@example.com` (RFC 5321, with the
//! letters of RFC 6531), with comments (RFC 5322), and addresses in words, "ana
//! (at) example dot com".

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::letters;
use crate::detect::lexicon::Classes;
use crate::detect::scan::Pass;
use crate::detect::words::{self, Word};

/// Octets of a local part and of a label (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4).
const MAX_LOCAL: usize = 64;
const MAX_LABEL: usize = 63;
const MAX_DOMAIN: usize = 255;

/// What may follow the first word of a sign: "snabel-a", "kuyruklu a", "coada de
/// maimuță".
const TAILS: [&str; 6] = ["-a", " a", " de maimuță", " de maimuţă", " de maimuta", " de maimuța"];

/// What people put around "at" and "dot".
const OPENING: [char; 4] = ['(', '[', '{', '<'];
const CLOSING: [char; 4] = [')', ']', '}', '>'];

impl Pass<'_> {
    /// Looks at the `@` at `at`.
    pub(crate) fn email(&mut self, at: usize) -> usize {
        self.forget();
        let spaced = |c: Option<char>| matches!(c, Some(' ' | '\u{a0}'));
        if spaced(self.before(at)) && spaced(self.at(at + 1)) {
            // "ana @ example . com" is an address in disguise.
            return self.spelled_email(at, at + 1).unwrap_or(at + 1);
        }
        let behind = self.over_comment(at + 1);
        let (local, quoted) = match self.before(at) {
            Some('"') => (self.quoted_local(at), true),
            Some(')') => (self.commented_local(at), true),
            _ => (self.local_part(at), false),
        };
        let Some(start) = local else { return at + 1 };
        if let Some(end) = self.domain(behind) {
            let mail = quoted || behind > at + 1 || !self.is_no_mail(start, at, end);
            let taken = mail && self.report(Finder::Email, start, end, 0.0, Evidence::default());
            return if taken { end } else { at + 1 };
        }
        // "ana@example dot com"
        match self.spelled_domain(at + 1, false) {
            Some(Domain { end, dots_spelled: true, .. })
                if self.report(Finder::EmailSpelled, start, end, 0.0, Evidence::default()) =>
            {
                end
            }
            _ => at + 1,
        }
    }

    /// The start of a quoted string (RFC 5321, 4.1.2) that ends at `end`.
    fn quoted_local(&self, end: usize) -> Option<usize> {
        let close = end - 1;
        let mut at = close;
        loop {
            at -= self.before(at)?.len_utf8();
            let before = self.bytes.get(..at)?.iter().rev().take(MAX_LOCAL);
            let escaped = before.take_while(|b| **b == b'\\').count() % 2 == 1;
            match self.bytes.get(at)? {
                b'"' if !escaped => break,
                b if b.is_ascii_control() => return None,
                _ if end - at > MAX_LOCAL => return None,
                _ => {}
            }
        }
        // Else it is the end of one string and the start of the next.
        let opens =
            self.before(at).is_none_or(|c| c.is_whitespace() || matches!(c, '<' | '(' | '[' | ':' | ',' | ';' | '='));
        (opens && close - at > 1).then_some(at)
    }

    /// The start of a local part with a comment (RFC 5322, 3.2.2) behind it.
    fn commented_local(&self, end: usize) -> Option<usize> {
        let from = self.text.floor_char_boundary(end.saturating_sub(MAX_LOCAL));
        let open = from + self.text.get(from..end - 1)?.rfind(['(', ')', '\n'])?;
        if self.bytes.get(open) == Some(&b'(') && open + 2 < end { self.local_part(open) } else { None }
    }

    /// Steps over a comment at the start of a domain.
    fn over_comment(&self, start: usize) -> usize {
        if self.bytes.get(start) != Some(&b'(') {
            return start;
        }
        let inside = self.bytes.get(start + 1..).unwrap_or_default().iter().take(MAX_LOCAL);
        let length = inside.take_while(|b| !matches!(b, b'(' | b')' | b'\n')).count();
        let close = start + 1 + length;
        if length > 0 && self.bytes.get(close) == Some(&b')') { close + 1 } else { start }
    }

    /// The start of the local part that ends at `end`.
    fn local_part(&self, end: usize) -> Option<usize> {
        let mut start = end;
        let latin = self.before(end)?.is_ascii();
        while let Some(c) = self.before(start) {
            let allowed = match c {
                'a'..='z'
                | 'A'..='Z'
                | '0'..='9'
                | '.'
                | '_'
                | '-'
                | '%'
                | '~'
                | '^'
                | '!'
                | '#'
                | '$'
                | '&'
                | '\''
                | '='
                | '+' => true,
                c if c.is_ascii() => false,
                c => letters::is_mark(c) || (c.is_alphanumeric() && (!latin || c < '\u{250}')),
            };
            if !allowed || end - start >= MAX_LOCAL {
                break;
            }
            start -= c.len_utf8();
        }
        // `=`, `&`, `$` and `#` are allowed in a local part, but nearly always
        // they end what stands in front: `email=ana@…`, `&to=ana@…`.
        // Not so behind a plus, which no key has: `q+tag=1@…`.
        let signs = ['=', '&', '$', '#', '%', '^'];
        let local = self.text.get(start..end)?;
        if let Some(sign) = local.rfind(signs) {
            let key = local.get(..sign)?.rfind(signs).map_or(0, |before| before + 1);
            let tagged = local.get(key..sign)?.find('+').is_some_and(|at| at > 0);
            start += if tagged { key } else { sign + 1 };
        }
        while self.bytes.get(start).is_some_and(|b| matches!(b, b'.' | b'-' | b'~' | b'\'' | b'+')) && start < end {
            start += 1;
        }
        let local = self.text.get(start..end)?;
        let good = !local.is_empty() && !local.ends_with('.') && !local.as_bytes().windows(2).any(|two| two == b"..");
        good.then_some(start)
    }

    /// The end of the domain that starts at `start`.
    fn domain(&self, start: usize) -> Option<usize> {
        let mut end = None;
        let mut at = start;
        let mut labels = 0;
        while let Some((label_end, top)) = self.label(at) {
            labels += 1;
            if labels > 1 && top {
                end = Some(label_end);
            } else if labels > 1 && self.bytes.get(label_end) != Some(&b'.') {
                // `ana@host.1x`: the last label is no top-level domain.
                end = None;
            }
            if self.bytes.get(label_end) != Some(&b'.') || label_end - start > MAX_DOMAIN {
                break;
            }
            at = label_end + 1;
        }
        end
    }

    /// The end of the label that starts at `start`, and whether it can be a
    /// top-level domain.
    fn label(&self, start: usize) -> Option<(usize, bool)> {
        let ascii = self.at(start)?.is_ascii();
        let mut end = start;
        while let Some(c) = self.at(end) {
            let allowed = match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => true,
                c => !c.is_ascii() && (letters::is_mark(c) || c.is_alphanumeric()) && (!ascii || c < '\u{370}'),
            };
            if !allowed || end - start > MAX_LABEL {
                break;
            }
            end += c.len_utf8();
        }
        let text = self.text.get(start..end)?.trim_end_matches('-');
        if text.is_empty() || text.starts_with('-') {
            return None;
        }
        let end = start + text.len();
        let length = text.chars().count();
        let alphabetic = !text.contains(|c: char| c.is_ascii_digit() || c == '-');
        let top =
            (alphabetic && (2..=24).contains(&length)) || text.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--"));
        Some((end, top))
    }

    /// Things that look like addresses: remotes, URL credentials, image sizes.
    fn is_no_mail(&self, start: usize, at: usize, end: usize) -> bool {
        let domain = self.text.get(at + 1..end).unwrap_or_default();
        let local = self.text.get(start..at).unwrap_or_default();
        // `git@host:path`
        if self.bytes.get(end) == Some(&b':')
            && self.bytes.get(end + 1).is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'~' | b'/'))
        {
            let path = self.bytes.get(end + 1..).unwrap_or_default();
            let path = path.get(..path.len().min(256)).unwrap_or_default();
            let path = path.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            let remote = matches!(local, "git" | "hg" | "svn");
            let git = path.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b".git"));
            if remote || git {
                return true;
            }
        }
        // `https://user:secret@host.example`, but not `mailto:`
        if matches!(self.before(start), Some(':' | '/')) {
            let from = self.text.floor_char_boundary(start.saturating_sub(80));
            let before = self.text.get(from..start).unwrap_or_default();
            let chain =
                before.rsplit(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '(')).next().unwrap_or_default();
            // Behind the host it is no longer user and password.
            let authority =
                chain.rsplit_once("://").map(|(_, rest)| rest).filter(|rest| !rest.contains(['/', '?', '#']));
            if authority.is_some_and(|rest| rest.is_empty() || rest.contains(':')) {
                return true;
            }
        }
        // `logo@2x.png`
        let mut head = domain.bytes();
        head.next().is_some_and(|b| b.is_ascii_digit()) && head.next() == Some(b'x') && head.next() == Some(b'.')
    }

    /// Looks at a word that may stand for `@`.
    pub(crate) fn at_word(&mut self, word: &Word) -> Option<usize> {
        let behind = self.text.get(word.end..).unwrap_or_default();
        let tail = TAILS.iter().find(|tail| {
            let starts = behind.get(..tail.len()).is_some_and(|t| t.eq_ignore_ascii_case(tail));
            starts && !behind.get(tail.len()..).is_some_and(|t| t.starts_with(char::is_alphanumeric))
        });
        self.spelled_email(word.start, word.end + tail.map_or(0, |tail| tail.len()))
    }

    /// Looks for an address around what stands for its `@`.
    fn spelled_email(&mut self, at_start: usize, at_end: usize) -> Option<usize> {
        let (left, open) = self.unwrap_left(at_start, OPENING)?;
        let (right, closed) = self.unwrap_right(at_end, CLOSING)?;
        let sign = self.text.get(at_start..at_end)?;
        if open != closed {
            return None;
        }
        let start = self.spelled_local(left)?;
        let english = !open && sign.eq_ignore_ascii_case("at");
        let Domain { end, dots_spelled, turkish } = self.spelled_domain(right, english)?;
        // "visitor-7 at ana.silva@example.org": what follows is an address itself.
        if matches!(self.bytes.get(end), Some(b'@' | b'+' | b'_')) {
            return None;
        }
        // Turkish "et" is French for "and": alone it counts in front of a
        // Turkish "nokta" only.
        if !open && !turkish && sign.eq_ignore_ascii_case("et") {
            return None;
        }
        if sign == "@" && !dots_spelled {
            return None;
        }
        let local = self.text.get(start..left)?;
        // "look at example.com" is no address; "ana.novak at example.com" is, and
        // "ana chiocciola example.it": that word is nothing else.
        let plain_word = ["at", "et", "@"].iter().any(|word| sign.eq_ignore_ascii_case(word));
        if plain_word
            && !open
            && !dots_spelled
            && !local.contains(['.', '_'])
            && !local.bytes().any(|b| b.is_ascii_digit())
        {
            return None;
        }
        let domain = self.text.get(right..end)?;
        if !open && (if dots_spelled { is_said_otherwise(local) } else { self.is_of_a_program(local, domain, end) }) {
            return None;
        }
        let taken = self.report(Finder::EmailSpelled, start, end, 0.0, Evidence::default());
        self.forget();
        taken.then_some(end)
    }

    /// "java.lang.Error at com.example.Main.run(", "app.js at main.rs", "v1.2 at example.com"
    fn is_of_a_program(&self, local: &str, domain: &str, end: usize) -> bool {
        const FILES: [&str; 28] = [
            "c", "conf", "cpp", "css", "csv", "dll", "exe", "go", "h", "html", "java", "js", "json", "lock", "log",
            "md", "php", "py", "rb", "rs", "sh", "so", "sql", "toml", "ts", "txt", "xml", "yaml",
        ];
        let camel = |text: &str| {
            text.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        };
        let ending = local.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let version = local.trim_start_matches(['v', 'V']).bytes().all(|b| b.is_ascii_digit() || b == b'.');
        matches!(self.bytes.get(end), Some(b'(' | b'$'))
            || camel(local)
            || camel(domain)
            || ["com.", "org.", "io.", "net."].iter().any(|top| domain.starts_with(top))
            || FILES.contains(&ending.as_str())
            || version
    }

    /// Steps over one of `brackets` and spaces to the left; whether there was a bracket.
    fn unwrap_left(&self, from: usize, brackets: [char; 4]) -> Option<(usize, bool)> {
        let mut at = from;
        let mut bracket = false;
        for _ in 0..4 {
            match self.before(at)? {
                ' ' | '\u{a0}' => at -= self.before(at)?.len_utf8(),
                c if !bracket && brackets.contains(&c) => {
                    bracket = true;
                    at -= 1;
                }
                _ => break,
            }
        }
        (at < from).then_some((at, bracket))
    }

    /// Steps over one of `brackets` and spaces to the right; whether there was a bracket.
    fn unwrap_right(&self, from: usize, brackets: [char; 4]) -> Option<(usize, bool)> {
        let mut at = from;
        let mut bracket = false;
        for _ in 0..4 {
            match self.at(at)? {
                c @ (' ' | '\u{a0}') => at += c.len_utf8(),
                c if !bracket && brackets.contains(&c) => {
                    bracket = true;
                    at += 1;
                }
                _ => break,
            }
        }
        (at > from).then_some((at, bracket))
    }

    /// The start of a local part that ends at `end`, its signs maybe spelled.
    fn spelled_local(&self, end: usize) -> Option<usize> {
        let mut start = self.local_part(end)?;
        for _ in 0..3 {
            let Some((sign_end, closed)) = self.unwrap_left(start, CLOSING) else { break };
            let Some(sign) = self.word_before(sign_end) else { break };
            let classes = self.engine.lexicon.classes(sign.hash);
            if !classes.has(Classes::DOT) && !classes.has(Classes::JOINER) {
                break;
            }
            let Some((mut left, open)) = self.unwrap_left(sign.start, OPENING) else { break };
            if open != closed {
                break;
            }
            // "guión bajo", "alt çizgi"
            if classes.has(Classes::JOINER)
                && let Some(first) = self.word_before(left)
                && self.engine.lexicon.classes(first.hash).has(Classes::JOINER)
                && let Some((behind, _)) = self.unwrap_left(first.start, OPENING)
            {
                left = behind;
            }
            let Some(next) = self.local_part(left) else { break };
            start = next;
        }
        Some(start)
    }

    fn word_before(&self, end: usize) -> Option<Word> {
        let mut start = end;
        while let Some(c) =
            self.before(start).filter(|c| (c.is_alphabetic() || letters::is_mark(*c)) && end - start < 24)
        {
            start -= c.len_utf8();
        }
        words::read(self.text, start).filter(|w| w.end == end)
    }

    /// A domain whose dots are spelled, maybe. Behind the English "at",
    /// "point" is a word like any other.
    fn spelled_domain(&self, start: usize, english: bool) -> Option<Domain> {
        let mut at = start;
        let mut end = None;
        let (mut dots_spelled, mut turkish) = (false, false);
        // Of the label that is being read: "my dash shop" is one.
        let mut joined = false;
        let mut labels = 0;
        for _ in 0..7 {
            let Some((label_end, top)) = self.label(at) else { break };
            labels += usize::from(!std::mem::take(&mut joined));
            if labels > 1 && top {
                end = Some(label_end);
            }
            if self.bytes.get(label_end) == Some(&b'.') && self.label(label_end + 1).is_some() {
                at = label_end + 1;
                continue;
            }
            let Some((dot_at, open)) = self.unwrap_right(label_end, OPENING) else { break };
            let after = if self.bytes.get(dot_at) == Some(&b'.') && (open || dot_at > label_end) {
                dot_at + 1
            } else {
                let Some(word) = words::read(self.text, dot_at) else { break };
                let text = self.text.get(word.start..word.end).unwrap_or_default();
                let classes = self.engine.lexicon.classes(word.hash);
                joined = labels == 1 && classes.has(Classes::JOINER);
                if !joined && ((english && text.eq_ignore_ascii_case("point")) || !classes.has(Classes::DOT)) {
                    break;
                }
                turkish |= text.eq_ignore_ascii_case("nokta");
                word.end
            };
            let Some((next, closed)) = self.unwrap_right(after, CLOSING) else { break };
            if open != closed || self.label(next).is_none() {
                break;
            }
            dots_spelled |= !joined;
            at = next;
        }
        end.map(|end| Domain { end, dots_spelled, turkish })
    }
}

/// "meet us at booking dot com", "we met at example dot com"
fn is_said_otherwise(local: &str) -> bool {
    const WORDS: [&str; 50] = [
        "me",
        "us",
        "you",
        "him",
        "her",
        "them",
        "it",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "look",
        "looked",
        "looking",
        "met",
        "meet",
        "meeting",
        "work",
        "works",
        "worked",
        "working",
        "bought",
        "buy",
        "ordered",
        "order",
        "shopping",
        "saw",
        "seen",
        "found",
        "find",
        "available",
        "arrived",
        "read",
        "hosted",
        "registered",
        "signed",
        "logged",
        "booked",
        "stayed",
        "up",
        "out",
        "in",
        "here",
        "there",
        "back",
        "live",
        "only",
        "started",
    ];
    WORDS.iter().any(|word| local.eq_ignore_ascii_case(word))
}

/// A domain of an address in words.
struct Domain {
    end: usize,
    dots_spelled: bool,
    /// A dot is the Turkish word for it.
    turkish: bool,
}
