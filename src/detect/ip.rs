//! Internet addresses: dotted quads, and all text forms of RFC 4291.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::letters;
use crate::detect::mac::is_mac;
use crate::detect::scan::Pass;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest text form: eight groups, the last two as a dotted quad.
const MAX_IPV6: usize = 45;

impl Pass<'_> {
    /// Looks at the number at `start` as a dotted quad.
    pub(crate) fn ipv4(&mut self, start: usize) -> Option<usize> {
        if self.before(start).is_some_and(|c| letters::joins(c) || matches!(c, '.' | '_' | '+')) {
            return None;
        }
        let run = self.bytes.get(start..)?.iter().take(16).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        let mut text = self.text.get(start..start + run)?;
        text = text.strip_suffix('.').unwrap_or(text);
        let address: Ipv4Addr = text.parse().ok()?;
        let end = start + text.len();
        let follows = |at: usize| self.at(at).is_some_and(letters::joins);
        let bad_end = match self.at(end) {
            Some('.') => follows(end + 1) && (self.digit(end + 1).is_some() || self.is_label(end + 1)),
            Some('-') => self.at(end + 1).is_some_and(letters::joins_as_letter),
            Some(c) => letters::joins(c) || c == '_',
            None => false,
        };
        if bad_end {
            return None;
        }
        // Four small numbers are as often a version or a section.
        let small = address.octets().iter().all(|&o| o < 32);
        let raise = if small { -0.2 } else { 0.0 };
        self.report(Finder::Ipv4, start, end, raise, Evidence::default()).then_some(end)
    }

    /// Looks at the colon at `at`. Each run of hex digits, colons and dots is
    /// looked at once.
    pub(crate) fn ipv6(&mut self, at: usize) -> usize {
        let next = at + 1;
        if at < self.resume {
            return next;
        }
        let in_run = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        let is_part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_hexdigit() || *b == b':');
        let doubled = at > 0 && self.bytes.get(at - 1) == Some(&b':');
        if !doubled && !is_part(self.bytes.get(next)) {
            return next;
        }
        let mut start = at;
        while start > 0 && at - start <= MAX_IPV6 && in_run(self.bytes.get(start - 1)) {
            start -= 1;
        }
        let mut end = next;
        while in_run(self.bytes.get(end)) {
            end += 1;
        }
        self.resume = end;
        // A sentence may end behind the address; a word and a colon may stand in front.
        while end > start && matches!(self.bytes.get(end - 1), Some(b'.')) {
            end -= 1;
        }
        let Some(mut run) = self.text.get(start..end) else { return next };
        if run.ends_with(':') && !run.ends_with("::") {
            end -= 1;
            run = &run[..run.len() - 1];
        }
        if run.starts_with(':') && !run.starts_with("::") {
            start += 1;
            run = &run[1..];
        } else if run.starts_with('.') {
            return next;
        }
        if run.len() > MAX_IPV6 || self.before(start).is_some_and(is_word) || self.at(end).is_some_and(is_word) {
            return next;
        }
        if is_mac(run) {
            return self.mac(start).unwrap_or(next);
        }
        let Ok(address) = run.parse::<Ipv6Addr>() else { return next };
        let digits = run.bytes().filter(u8::is_ascii_hexdigit).count();
        let short = digits < 4 || !run.bytes().any(|b| b.is_ascii_digit());
        if address.is_unspecified() {
            return next;
        }
        let raise = if short { -0.5 } else { 0.0 };
        if self.report(Finder::Ipv6, start, end, raise, Evidence::default()) { end.max(next) } else { next }
    }
}

fn is_word(c: char) -> bool {
    letters::joins(c) || c == '_'
}
