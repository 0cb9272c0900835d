//! Numbers: a run of digit groups is collected once, then read as a dotted
//! quad, a payment card, a telephone number. Also IBANs, which start with two
//! letters.

use crate::detect::eight;
use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::letters;
use crate::detect::scan::{Pass, Recent};
use crate::detect::validate::{self, iban};
use crate::detect::words::{Shape, Word};

/// What stands between two groups, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap(u8);

/// By the byte of the separator; empty for any other.
const GAPS: [Gap; 128] = {
    let mut gaps = [Gap(0); 128];
    gaps[b' ' as usize] = Gap::SPACE;
    gaps[b'-' as usize] = Gap::DASH;
    gaps[b'.' as usize] = Gap::DOT;
    gaps[b'/' as usize] = Gap::SLASH;
    gaps[b'(' as usize] = Gap::OPEN;
    gaps[b')' as usize] = Gap::CLOSE;
    gaps
};

impl Gap {
    pub(crate) const SPACE: Self = Self(1);
    pub(crate) const DASH: Self = Self(2);
    pub(crate) const DOT: Self = Self(4);
    pub(crate) const SLASH: Self = Self(8);
    pub(crate) const OPEN: Self = Self(16);
    pub(crate) const CLOSE: Self = Self(32);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A group of digits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Group {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Where its digits are in [`Number::digits`].
    from: u8,
    to: u8,
    /// What stands in front of it; empty for the first.
    pub(crate) gap: Gap,
}

impl Group {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.to - self.from)
    }
}

const MAX_GROUPS: usize = 16;
const MAX_DIGITS: usize = 32;

/// A run of digit groups.
pub(crate) struct Number {
    /// Eight more than there may be, as eight are written at once.
    digits: [u8; MAX_DIGITS + 8],
    groups: [Group; MAX_GROUPS],
    count: usize,
    /// The run goes on behind the last group.
    pub(crate) truncated: bool,
}

impl Number {
    fn new() -> Self {
        Self { digits: [0; _], groups: [Group::default(); _], count: 0, truncated: false }
    }

    pub(crate) fn groups(&self) -> &[Group] {
        self.groups.get(..self.count).unwrap_or_default()
    }

    /// The digits, 0 to 9, of the first `groups` groups.
    pub(crate) fn digits(&self, groups: usize) -> &[u8] {
        let to = self.groups().get(..groups).and_then(<[Group]>::last).map_or(0, |g| g.to);
        self.digits.get(..usize::from(to)).unwrap_or_default()
    }

    pub(crate) fn digits_of(&self, group: &Group) -> &[u8] {
        self.digits.get(usize::from(group.from)..usize::from(group.to)).unwrap_or_default()
    }

    /// The first groups that hang together without a space.
    fn chain(&self) -> usize {
        1 + self.groups().iter().skip(1).take_while(|g| !g.gap.has(Gap::SPACE)).count()
    }
}

impl Pass<'_> {
    /// Looks at the digit at `start`; every digit run comes here once.
    pub(crate) fn number(&mut self, start: usize) -> usize {
        if let Some(end) = self.day_or_address(start) {
            self.forget();
            return end;
        }
        let small = self.small_number(start);
        if small.is_none_or(|end| self.engine.shapes.short || self.touches_letters(start, end))
            && let Some(end) = self.shape(start).or_else(|| self.mac(start))
        {
            self.forget();
            return end;
        }
        if let Some(end) = small {
            let end = self.account(start).unwrap_or(end);
            self.recent = Recent::default();
            return end;
        }
        let mut number = Number::new();
        self.collect(start, &mut number);
        let groups = number.groups();
        let Some(first) = groups.first() else { return start + 1 };
        let first_end = first.end;
        self.recent = Recent::default();
        let plus = matches!(self.before(start), Some('+' | '＋'));
        let alone = groups.len() == 1 && !number.truncated;
        if alone && first.len() < 7 && !plus {
            return first_end;
        }
        if first.len() <= 3
            && self.bytes.get(first_end) == Some(&b'.')
            && let Some(end) = self.ipv4(start)
        {
            return end;
        }
        let free = self.is_free_left(start);
        // A card has no `+`, but one number in ten passes the card check.
        if !plus
            && (free || matches!(self.before(start), Some('#' | '/' | '\\' | ',')))
            && let Some(end) = self.card(&number)
        {
            return end;
        }
        if !plus && let Some(end) = self.account(start) {
            return end;
        }
        if free && let Some(end) = self.phone(&number, plus) {
            return end;
        }
        // What hangs together stands or falls together.
        groups.get(number.chain() - 1).map_or(first_end, |g| g.end)
    }

    /// The end of a number that is too short to be anything and stands alone:
    /// nearly all numbers are, and they need not be collected.
    #[inline]
    fn small_number(&self, start: usize) -> Option<usize> {
        let digits = eight::digits(self.bytes, start);
        let end = start + digits;
        let ends = match self.bytes.get(end) {
            None => true,
            Some(b) if b.is_ascii_digit() => false,
            Some(b' ' | b'-' | b'.' | b'/' | b'(' | b')') => !self
                .bytes
                .get(end + 1)
                .is_some_and(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | 0x80..)),
            Some(b) => b.is_ascii(),
        };
        let plus = start > 0 && matches!(self.bytes.get(start - 1), Some(b'+' | 0x80..));
        (digits > 0 && digits < 7 && ends && !plus).then_some(end)
    }

    /// Whether letters stand so near that the digits can be part of a code.
    #[inline]
    fn touches_letters(&self, start: usize, end: usize) -> bool {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(b' ');
        let near = |at: usize, next: usize| {
            byte(at).is_ascii_alphabetic() || byte(at) != b' ' && byte(next).is_ascii_alphanumeric()
        };
        // `AB 123456 C`, `123456 A`, `AB 123456`.
        let apart = end - start > 4
            && (byte(end + 1).is_ascii_alphabetic() || start > 1 && byte(start - 2).is_ascii_alphabetic());
        start > 1 && near(start - 1, start - 2)
            || start == 1 && byte(0).is_ascii_alphabetic()
            || near(end, end + 1)
            || apart
    }

    /// Reads groups from `start` on until the text, or the room, ends.
    fn collect(&self, start: usize, number: &mut Number) {
        let mut at = start;
        let mut used = 0;
        let mut gap = Gap::default();
        loop {
            let (from, group_start) = (used, at);
            loop {
                let (digits, count) = eight::values_of_digits(self.bytes, at);
                let (digits, count, len) = match self.wide_digit(at) {
                    Some(digit) if count == 0 => (u64::from(digit), 1, '０'.len_utf8()),
                    None if count == 0 => break,
                    _ => (digits, count, count),
                };
                if let Some(room) = number.digits.get_mut(used..).and_then(|room| room.first_chunk_mut()) {
                    *room = digits.to_le_bytes();
                }
                at += len;
                used += count;
                number.truncated |= used > MAX_DIGITS;
                used = used.min(MAX_DIGITS);
            }
            if let Some(slot) = number.groups.get_mut(number.count) {
                *slot = Group { start: group_start, end: at, from: from as u8, to: used as u8, gap };
                number.count += 1;
            } else {
                number.truncated = true;
            }
            if number.truncated {
                return;
            }
            let Some((next, between)) = self.gap(at) else { return };
            (at, gap) = (next, between);
        }
    }

    /// The digit at an offset and its length; ASCII or full width.
    pub(crate) fn digit(&self, at: usize) -> Option<(u8, usize)> {
        match self.bytes.get(at)? {
            b @ b'0'..=b'9' => Some((b - b'0', 1)),
            _ => Some((self.wide_digit(at)?, '０'.len_utf8())),
        }
    }

    /// The digit of full width at an offset.
    #[inline]
    fn wide_digit(&self, at: usize) -> Option<u8> {
        if self.bytes.get(at) != Some(&0xEF) {
            return None;
        }
        match self.at(at)? {
            c @ '０'..='９' => Some((c as u32 - '０' as u32) as u8),
            _ => None,
        }
    }

    /// Separators between two groups, three at most: where the next digit stands.
    fn gap(&self, from: usize) -> Option<(usize, Gap)> {
        let mut gap = 0;
        let mut at = from;
        for _ in 0..4 {
            let byte = *self.bytes.get(at)?;
            if let Some(&Gap(bit)) = GAPS.get(usize::from(byte)) {
                if bit == 0 {
                    return (at > from && byte.is_ascii_digit()).then_some((at, Gap(gap)));
                }
                gap |= bit;
                at += 1;
                continue;
            }
            if at > from && self.wide_digit(at).is_some() {
                return Some((at, Gap(gap)));
            }
            let (bit, len) = self.wide_gap(at)?;
            gap |= bit.0;
            at += len;
        }
        None
    }

    /// The separator outside ASCII at an offset, and its length.
    #[cold]
    fn wide_gap(&self, at: usize) -> Option<(Gap, usize)> {
        let gap = match self.at(at)? {
            '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => Gap::SPACE,
            '\u{2010}'..='\u{2014}' | '－' => Gap::DASH,
            '．' => Gap::DOT,
            '（' => Gap::OPEN,
            '）' => Gap::CLOSE,
            _ => return None,
        };
        self.at(at).map(|c| (gap, c.len_utf8()))
    }

    /// Whether a number can start here: not in the middle of a word, an amount
    /// or a code.
    fn is_free_left(&self, start: usize) -> bool {
        let mut at = start;
        for _ in 0..3 {
            match self.before(at) {
                Some(c @ ('+' | '＋' | '(' | '（')) => at -= c.len_utf8(),
                _ => break,
            }
        }
        match self.before(at) {
            // Between underscores it is written in italics.
            Some('_') => !self.before(at - 1).is_some_and(letters::joins),
            Some('#' | '$' | '€' | '£' | '@' | '\\') => false,
            Some('-' | '.' | '/' | ',' | ':' | '–') if at == start => {
                // `ORD-2026-…`, `1,5`, `12:30`; but `tel:+49…`, "call:030 …".
                let one = self.before(at).map_or(0, char::len_utf8);
                match self.before(at - one) {
                    Some(c) if c.is_ascii_digit() => false,
                    // A sentence that ends without a space: "call them.201-555-0123".
                    Some(c) if self.bytes.get(at - 1) == Some(&b'.') => {
                        let word = self.bytes.get(at.saturating_sub(4)..at - 1).unwrap_or_default();
                        !c.is_alphabetic() || (word.len() == 3 && word.iter().all(u8::is_ascii_lowercase))
                    }
                    Some(c) => !letters::joins(c) || matches!(self.bytes.get(at - 1), Some(b':' | b',')),
                    None => true,
                }
            }
            Some(c) => !letters::joins(c),
            None => true,
        }
    }

    /// Whether a number that ends with group `last` ends there.
    pub(crate) fn is_free_right(&self, number: &Number, last: usize) -> bool {
        let Some(group) = number.groups().get(last) else { return false };
        if let Some(next) = number.groups().get(last + 1) {
            return next.gap == Gap::SPACE
                || next.gap.has(Gap::SPACE) && (next.gap.has(Gap::SLASH) || next.gap.has(Gap::OPEN));
        }
        if number.truncated {
            return false;
        }
        match self.at(group.end) {
            Some('_') => !self.at(group.end + 1).is_some_and(letters::joins),
            Some('%' | '@' | '€' | '$') => false,
            Some(',') if !may_be_amount(number, last) => true,
            Some('-' | '/' | '=') => !self.at(group.end + 1).is_some_and(letters::joins_as_letter),
            Some('.') if self.at(group.end + 1).is_some_and(letters::joins_as_letter) => !self.is_label(group.end + 1),
            Some(',' | ':' | '.') => self.digit(group.end + 1).is_none(),
            // "x42" is an extension.
            Some('x' | 'X') => self.digit(group.end + 1).is_some(),
            Some(c) => !letters::joins(c),
            None => true,
        }
    }

    /// Whether the letters behind a full stop belong to the name of a host or a
    /// path of members, and are neither a next sentence nor the ending of a file.
    pub(crate) fn is_label(&self, start: usize) -> bool {
        let letters = self.bytes.iter().skip(start).take_while(|b| b.is_ascii_alphabetic()).count();
        match self.at(start + letters) {
            Some('.' | '-' | '@' | '/' | ':') => self.at(start + letters + 1).is_some_and(char::is_alphanumeric),
            Some(c) => c == '_' || c == '(' || c.is_alphanumeric(),
            None => false,
        }
    }

    /// A payment card at the start of the number.
    fn card(&mut self, number: &Number) -> Option<usize> {
        let start = number.groups().first()?.start;
        let tagged = self.before(start) == Some('#');
        let behind_slash = matches!(self.before(start), Some('/' | '\\'));
        // Most numbers in paths and addresses are ids, of which one in ten passes the check.
        let in_path = behind_slash && !self.is_free_left(start);
        let behind_comma = self.before(start) == Some(',') && !self.is_free_left(start) && !self.is_behind_card(start);
        // A shorter number at the start of a card passes the check at times.
        for last in (0..number.groups().len().min(6)).rev() {
            let digits = number.digits(last + 1);
            let Some(end) = number.groups().get(last).map(|group| group.end) else { continue };
            if !validate::is_card_number(digits) || !is_card_grouping(number, last) {
                continue;
            }
            let known = !tagged && is_of_issuer(digits);
            let is_segment = behind_slash && matches!(self.at(end), Some('/' | '\\'));
            let ends = is_segment
                || self.is_free_right(number, last)
                || known && (self.is_before_expiry(end) || self.is_before_card(end) || self.is_in_columns(start, end));
            if !ends || behind_comma && !(known && self.is_in_columns(start, end)) {
                continue;
            }
            // In one group with an ending it is the name of a file.
            if last == 0 && self.at(end) == Some('.') && self.at(end + 1).is_some_and(letters::joins_as_letter) {
                continue;
            }
            // Longer numbers are ids of machines far more often than cards.
            let raise = if last > 0 {
                0.05
            } else if digits.len() > 16 {
                -0.4
            } else {
                0.0
            };
            if in_path && (last > 0 || !known) {
                continue;
            }
            let finder = if known { Finder::Card } else { Finder::CardByCue };
            // Some groups of a card whose check fails are none either.
            let goes_on = number.groups().get(last + 1).is_some_and(|next| next.gap == Gap::SPACE);
            if !known && last > 0 && (goes_on || self.hangs_left(start)) {
                continue;
            }
            if self.report(finder, start, end, raise, Evidence::CHECK_DIGITS) {
                return Some(end);
            }
        }
        None
    }

    /// Whether a comma and another card follow: of two numbers side by side that
    /// pass the check and have the digits of an issuer, both are cards.
    fn is_before_card(&self, end: usize) -> bool {
        if self.at(end) != Some(',') {
            return false;
        }
        let mut number = Number::new();
        self.collect(end + 1, &mut number);
        (0..number.groups().len().min(6)).any(|last| {
            let digits = number.digits(last + 1);
            is_of_issuer(digits) && validate::is_card_number(digits) && is_card_grouping(&number, last)
        })
    }

    /// Whether commas stand on both sides, or a comma and the month and year of
    /// expiry: a decimal has one comma.
    fn is_in_columns(&self, start: usize, end: usize) -> bool {
        let digits = eight::digits(self.bytes, end + 1);
        self.at(end) == Some(',') && (self.before(start) == Some(',') || digits == 2 && self.at(end + 3) == Some('/'))
    }

    /// Whether a comma stands in front, and a card in front of that.
    fn is_behind_card(&self, start: usize) -> bool {
        let cards = self.engine.finders.get(Finder::Card as usize).map_or(&[][..], Vec::as_slice);
        self.before(start) == Some(',')
            && self.out.last().is_some_and(|found| found.end + 1 == start && cards.contains(&found.rule))
    }

    /// Whether the month of expiry of a card, or its code, follows behind a
    /// slash; behind a colon or a comma, as many numbers do, month, year and code.
    fn is_before_expiry(&self, end: usize) -> bool {
        let part = |at: usize| {
            let digits = self.bytes.iter().skip(at + 1).take(5).take_while(|b| b.is_ascii_digit());
            let (count, value) = digits.fold((0, 0), |(count, n), b| (count + 1, n * 10 + u32::from(b - b'0')));
            let is_whole = !self.at(at + 1 + count).is_some_and(char::is_alphanumeric);
            (matches!(self.at(at), Some('/' | ':' | ',')) && is_whole).then_some((count, value, at + 1 + count))
        };
        let is_month = |count: usize, value: u32| count == 2 && (1..=12).contains(&value);
        match part(end) {
            Some((count, value, _)) if self.at(end) == Some('/') => is_month(count, value) || matches!(count, 3 | 4),
            Some((count, value, behind)) if is_month(count, value) => {
                let year = part(behind).filter(|(count, ..)| matches!(count, 2 | 4));
                year.and_then(|(.., behind)| part(behind)).is_some_and(|(count, ..)| matches!(count, 3 | 4))
            }
            _ => false,
        }
    }

    /// Whether an IBAN may start with the last two letters of a word: digits
    /// follow, behind capitals also after a space.
    #[inline]
    pub(crate) fn starts_iban(&self, word: &Word) -> bool {
        match self.bytes.get(word.end) {
            Some(b) if b.is_ascii_digit() => true,
            Some(b' ') => word.shape == Shape::Upper && self.bytes.get(word.end + 1).is_some_and(u8::is_ascii_digit),
            _ => false,
        }
    }

    /// An IBAN that starts with the two letters at `start`.
    pub(crate) fn iban(&mut self, start: usize) -> Option<usize> {
        let country = [*self.bytes.get(start)?, *self.bytes.get(start + 1)?];
        let len = iban::iban_len(country)?;
        // A label may be glued to it, as in `IBANDE89…`.
        let glued = start.checked_sub(4).and_then(|at| self.bytes.get(at..start));
        let label = if glued.is_some_and(|label| label.eq_ignore_ascii_case(b"iban")) { 4 } else { 0 };
        if self.before(start - label).is_some_and(|c| letters::joins(c) || c == '_') {
            return None;
        }
        let mut characters = [0_u8; iban::MAX_IBAN];
        let mut count = 0;
        let mut at = start;
        let mut gap = 0;
        loop {
            let (b, width) = (*self.bytes.get(at)?, self.iban_gap(at));
            if b.is_ascii_alphanumeric() {
                *characters.get_mut(count)? = b;
                count += 1;
                at += 1;
                gap = 0;
            } else if width > 0 && gap < 2 {
                at += width;
                gap += 1;
            } else {
                return None;
            }
            if count == len {
                break;
            }
        }
        if self.at(at).is_some_and(|c| letters::joins(c) || c == '_') {
            return None;
        }
        let characters = characters.get(..count)?;
        if !iban::iban(characters.iter().copied()) {
            return None;
        }
        // One text in 97 passes the check.
        let raise = if iban::is_structured(characters) { 0.0 } else { -0.5 };
        self.report(Finder::Iban, start, at, raise, Evidence::CHECK_DIGITS).then(|| {
            self.forget();
            at
        })
    }

    /// The length of a separator in an IBAN, or 0.
    fn iban_gap(&self, at: usize) -> usize {
        match self.bytes.get(at) {
            Some(b' ' | b'-' | b'.' | b'\t') => 1,
            Some(0xC2 | 0xE2 | 0xE3) => match self.at(at) {
                Some(c @ ('\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{2010}'..='\u{2013}' | '\u{202f}' | '\u{3000}')) => {
                    c.len_utf8()
                }
                _ => 0,
            },
            _ => 0,
        }
    }
}

/// Whether the groups up to `last` may be the whole part of a decimal: one
/// group without a zero in front, or thousands. Another has the next column
/// of a table behind its comma.
fn may_be_amount(number: &Number, last: usize) -> bool {
    let Some((first, rest)) = number.groups().get(..=last).and_then(<[Group]>::split_first) else { return true };
    let zero = first.len() > 1 && number.digits_of(first).first() == Some(&0);
    !zero && first.len() <= if rest.is_empty() { MAX_DIGITS } else { 3 } && rest.iter().all(|group| group.len() == 3)
}

/// Whether a number has as many digits as a card, and starts as those of an
/// issuer do. Cards of 13 digits are no longer issued, but articles have 13 (EAN).
fn is_of_issuer(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(6).fold(0, |n, &d| n * 10 + u32::from(d));
    digits.len() > 13 && validate::is_card_prefix(prefix, digits.len())
}

/// Whether the groups up to `last` are as cards are printed and typed: in one
/// piece, in fours with a shorter or longer rest, 4-6-5 and 4-6-4.
fn is_card_grouping(number: &Number, last: usize) -> bool {
    let Some(groups) = number.groups().get(..=last) else { return false };
    let Some((tail, head)) = groups.split_last() else { return false };
    let joined = |g: &Group| [Gap::SPACE, Gap::DASH, Gap::DOT].contains(&g.gap);
    if !groups.iter().skip(1).all(joined) {
        return false;
    }
    // Fours may be separated in two ways, others in one.
    let even = groups.iter().skip(2).all(|g| groups.get(1).is_some_and(|first| first.gap == g.gap));
    match head {
        [] => true,
        [a, b] if a.len() == 4 && b.len() == 6 => even && matches!(tail.len(), 4 | 5),
        fours if fours.iter().all(|g| g.len() == 4) => (even || groups.len() == 4) && (1..=7).contains(&tail.len()),
        // Maestro and UnionPay are printed 6-13 and 8-8 too.
        [a] => matches!((a.len(), tail.len()), (6, 10 | 13) | (8, 8..=11)),
        _ => false,
    }
}
