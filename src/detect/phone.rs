//! Telephone numbers: international by calling code and length (ITU-T E.164),
//! national by shape, and bare digits where a word says what they are.

use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::lexicon::Classes;
use crate::detect::load::CALLING_CODES;
use crate::detect::number::{Gap, Group, Number};
use crate::detect::scan::Pass;
use crate::detect::words;

/// Digits behind each calling code: least and most.
#[derive(Debug)]
pub(crate) struct DiallingCodes {
    /// Indexed by the code, 1 to 999; `(0, 0)` where there is none.
    lengths: Vec<(u8, u8)>,
}

impl DiallingCodes {
    pub(crate) fn builtin() -> Self {
        let mut lengths = vec![(0, 0); 1000];
        for line in CALLING_CODES.lines().filter(|l| !l.starts_with('#')) {
            let mut fields = line.split(' ');
            let mut next = || fields.next().and_then(|f| f.parse::<u16>().ok());
            if let (Some(code), Some(least), Some(most)) = (next(), next(), next())
                && let Some(slot) = lengths.get_mut(usize::from(code))
            {
                // E.164 allows 15 digits with the code.
                *slot = (least.min(15) as u8, most.min(13) as u8);
            }
        }
        Self { lengths }
    }

    /// Length of the calling code at the start of `digits`, and how many
    /// digits may follow.
    fn split(&self, digits: &[u8]) -> Option<(usize, u8, u8)> {
        let mut code = 0;
        if digits.first() == Some(&0) {
            return None;
        }
        for (i, &digit) in digits.iter().take(3).enumerate() {
            code = code * 10 + usize::from(digit);
            match self.lengths.get(code) {
                Some(&(least, most)) if most > 0 => return Some((i + 1, least, most)),
                _ => {}
            }
        }
        None
    }
}

impl Pass<'_> {
    /// A telephone number at the start of the number.
    pub(crate) fn phone(&mut self, number: &Number, plus: bool) -> Option<usize> {
        let groups = number.groups();
        let first = groups.first()?;
        if plus {
            return self.international(number, 0);
        }
        if is_date(number) || is_log_time(number) {
            return None;
        }
        match number.digits_of(first) {
            [0, 0, rest @ ..] if !matches!(rest, [0, ..]) && (!rest.is_empty() || groups.len() > 1) => {
                if let Some(end) = self.international(number, 2) {
                    return Some(end);
                }
            }
            [0, 1, 1] if groups.len() > 1 => {
                if let Some(end) = self.international(number, 3) {
                    return Some(end);
                }
            }
            _ => {}
        }
        self.dictated(number).or_else(|| self.national(number))
    }

    /// `0 7 7 0 0 9 …`: digit by digit. What it is a word must say.
    fn dictated(&mut self, number: &Number) -> Option<usize> {
        let groups = number.groups();
        let (first, last, gap) = (groups.first()?, groups.last()?, groups.get(1)?.gap);
        let even = groups.iter().skip(1).all(|g| g.gap == gap) && (gap == Gap::SPACE || gap == Gap::DASH);
        let single = groups.iter().all(|g| g.len() == 1) && (9..=15).contains(&groups.len());
        if !even || !single || number.truncated || !self.is_free_right(number, groups.len() - 1) {
            return None;
        }
        self.report(Finder::PhoneDigits, first.start, last.end, 0.0, Evidence::default()).then_some(last.end)
    }

    /// `+49 (0) 30 …`; `skip` digits of the international prefix come first.
    fn international(&mut self, number: &Number, skip: usize) -> Option<usize> {
        let groups = number.groups();
        let (code, least, most) = self.engine.dialling.split(number.digits(groups.len()).get(skip..)?)?;
        let start = self.with_prefix(groups.first()?.start);
        for last in (0..groups.len()).rev() {
            // The trunk prefix in brackets is not dialled from abroad.
            let head = groups.get(..=last)?;
            let trunk = head
                .iter()
                .enumerate()
                .filter(|(i, g)| *i > 0 && g.gap.has(Gap::OPEN) && number.digits_of(g) == [0])
                .count();
            let count = number.digits(last + 1).len().checked_sub(skip + code + trunk);
            let Some(count) = count.filter(|c| (usize::from(least)..=usize::from(most)).contains(c)) else { continue };
            let dots = head.iter().any(|g| g.gap.has(Gap::DOT) && g.gap.has(Gap::SPACE));
            if dots || count < 4 || !self.is_free_right(number, last) {
                continue;
            }
            let end = self.extension(groups.get(last)?.end);
            let bare = skip > 0 && last == 0;
            return self
                .report(Finder::PhoneInternational, start, end, if bare { -0.1 } else { 0.0 }, Evidence::default())
                .then_some(end);
        }
        None
    }

    fn national(&mut self, number: &Number) -> Option<usize> {
        let groups = number.groups();
        let first = groups.first()?;
        let open = matches!(self.before(first.start), Some('(' | '（'));
        let start = if open && groups.get(1).is_some_and(|g| g.gap.has(Gap::CLOSE)) {
            self.before(first.start).map_or(first.start, |c| first.start - c.len_utf8())
        } else {
            first.start
        };
        let mut grouped = false;
        for last in (0..groups.len().min(8)).rev() {
            let digits = number.digits(last + 1);
            if !(7..=15).contains(&digits.len()) || !self.is_free_right(number, last) {
                continue;
            }
            let head = groups.get(..=last)?;
            let Some((finder, raise, mut evidence)) = shape(number, head, digits, open) else { continue };
            // Without a word nearby a shorter run of groups is no number either.
            if finder == Finder::PhoneGrouped && std::mem::replace(&mut grouped, true) {
                continue;
            }
            let end = self.extension(groups.get(last)?.end);
            let mut raise = raise;
            if finder == Finder::PhoneDigits && self.bytes.get(start.wrapping_sub(1)) == Some(&b'=') {
                // The key must say it.
                raise = 0.0;
            }
            if end > groups.get(last)?.end {
                raise += 0.3;
            }
            if self.is_beside_international(end) {
                raise += 0.4;
            }
            if self.is_own_line(start, end) && !is_list(number, head) {
                // Below a name it is most often a number to call.
                let signed = start > 0 && (9..=12).contains(&digits.len());
                raise += if signed { 0.35 } else { 0.3 };
                evidence |= Evidence::OWN_LINE;
            }
            if self.report(finder, start, end, raise, evidence) {
                return Some(end);
            }
        }
        None
    }

    /// The start with `+` and an opening bracket in front of it.
    fn with_prefix(&self, mut start: usize) -> usize {
        for _ in 0..2 {
            match self.before(start) {
                Some(c @ ('+' | '＋')) => start -= c.len_utf8(),
                _ => break,
            }
        }
        start
    }

    /// The end of the number with its extension: "ext. 12", "x12".
    fn extension(&self, end: usize) -> usize {
        let mut at = end;
        while let Some(c) = self.at(at).filter(|c| matches!(c, ' ' | ',' | '\u{a0}' | '\u{3000}') && at - end < 4) {
            at += c.len_utf8();
        }
        match words::read(self.text, at) {
            Some(word) if self.engine.lexicon.classes(word.hash).has(Classes::EXTENSION) => at = word.end,
            _ if self.bytes.get(at) == Some(&b'#') && at > end => at += 1,
            _ => return end,
        }
        let behind = at;
        while let Some(c) =
            self.at(at).filter(|c| matches!(c, ' ' | '.' | ':' | '\u{a0}' | '\u{3000}') && at - behind < 6)
        {
            at += c.len_utf8();
        }
        let from = at;
        while let Some((_, len)) = self.digit(at).filter(|_| at - from < 18) {
            at += len;
        }
        let free = !self.at(at).is_some_and(char::is_alphanumeric);
        if at > from && free { at } else { end }
    }

    /// "0212355816 / +61 2 1237 4762": the second says what the first is.
    fn is_beside_international(&self, end: usize) -> bool {
        let rest = self.bytes.get(end..).unwrap_or_default();
        let gap = rest.iter().take(4).take_while(|b| matches!(b, b' ' | b'/' | b'|' | b',' | b';')).count();
        let separated = rest.iter().take(gap).any(|b| *b != b' ');
        separated && rest.get(gap) == Some(&b'+') && rest.get(gap + 1).is_some_and(u8::is_ascii_digit)
    }

    /// Whether nothing else but spaces and a full stop is on the line.
    fn is_own_line(&self, start: usize, end: usize) -> bool {
        let quiet = |c: char| !c.is_alphanumeric() && !"€$£%|=#_/\\".contains(c);
        let from = self.text.floor_char_boundary(start.saturating_sub(8));
        let to = self.text.floor_char_boundary((end + 8).min(self.text.len()));
        let before = self.text.get(from..start).unwrap_or_default();
        let behind = self.text.get(end..to).unwrap_or_default();
        let left = match before.rfind('\n') {
            Some(i) => before.get(i + 1..).unwrap_or_default().chars().all(quiet),
            None => from == 0 && before.chars().all(quiet),
        };
        let right = match behind.find('\n') {
            Some(i) => behind.get(..i).unwrap_or_default().chars().all(quiet),
            None => to == self.text.len() && behind.chars().all(quiet),
        };
        left && right
    }
}

/// What a national number can be by its groups, and how sure that is.
fn shape(number: &Number, groups: &[Group], digits: &[u8], open: bool) -> Option<(Finder, f32, Evidence)> {
    let first = groups.first()?;
    let none = Evidence::default();
    let rest = groups.get(1..).unwrap_or_default();
    let zero = number.digits_of(first).first() == Some(&0);
    if rest.is_empty() {
        let trunk = zero && (9..=12).contains(&digits.len()) && digits.get(1) != Some(&0);
        return Some(if trunk {
            // Numbers that are counted are not filled up with a single zero.
            let raise = if (10..=11).contains(&digits.len()) { 0.35 } else { 0.15 };
            (Finder::PhoneDigits, raise, Evidence::TRUNK_PREFIX)
        } else {
            (Finder::PhoneDigits, 0.0, none)
        });
    }
    let any = |gap: Gap| rest.iter().any(|g| g.gap.has(gap));
    let all = |gap: Gap| rest.iter().all(|g| g.gap == gap);
    let area = open && rest.first().is_some_and(|g| g.gap.has(Gap::CLOSE)) && (1..=5).contains(&first.len());
    // Groups of one digit or very long ones are lists or codes.
    if rest.iter().any(|g| g.len() < 2 && groups.len() > 3) || groups.iter().any(|g| g.len() > 9) || digits.len() > 12 {
        return None;
    }
    // A decimal fraction, and the United States' social security number.
    if (number.digits_of(first) == [0] && rest.first().is_some_and(|g| g.gap == Gap::DOT))
        || (all(Gap::DASH) && groups.iter().map(Group::len).eq([3, 2, 4]))
    {
        return None;
    }
    if any(Gap::DOT) && !all(Gap::DOT) {
        return None;
    }
    if is_north_american(number, groups) {
        let raise = if all(Gap::SPACE) { -0.35 } else { 0.05 };
        return Some((Finder::PhoneNational, raise, none));
    }
    if area && digits.len() >= 8 {
        return Some((Finder::PhoneNational, 0.0, none));
    }
    // A trunk prefix: 030 123456, 05 20 14 89 43, 0712-345-678, 030/123464.
    if zero && digits.get(1) != Some(&0) && (2..=6).contains(&first.len()) && (9..=12).contains(&digits.len()) {
        let raise = if any(Gap::DOT) { -0.1 } else { 0.0 };
        return Some((Finder::PhoneNational, raise, Evidence::TRUNK_PREFIX));
    }
    let raise = if zero { 0.1 } else { 0.0 };
    Some((Finder::PhoneGrouped, raise, none))
}

/// `(201) 555-0123` and `1-201-555-0123`: the North American plan, where
/// neither area nor exchange starts with 0 or 1.
fn is_north_american(number: &Number, groups: &[Group]) -> bool {
    let groups = match groups {
        [country, rest @ ..] if number.digits_of(country) == [1] => rest,
        all => all,
    };
    let [area, exchange, line] = groups else { return false };
    let starts = |g: &Group| number.digits_of(g).first().is_some_and(|&d| d >= 2);
    area.len() == 3 && exchange.len() == 3 && line.len() == 4 && starts(area) && starts(exchange)
}

/// "1 000 000", "36 38 40 42", "2024 2025 2026"
fn is_list(number: &Number, groups: &[Group]) -> bool {
    let value = |g: &Group| number.digits_of(g).iter().fold(0_u64, |n, &d| n * 10 + u64::from(d));
    let rest = groups.get(1..).unwrap_or_default();
    let rises = groups.windows(2).all(|pair| value(&pair[0]) < value(&pair[1]));
    let alike = |len: usize, least: usize| groups.len() >= least && groups.iter().all(|g| g.len() == len);
    rest.iter().any(|g| g.len() == 3 && value(g) == 0) || (rises && alike(2, 4)) || alike(4, 3)
}

/// Day, month and year in any order, with one kind of separator.
fn is_date(number: &Number) -> bool {
    let [a, b, c, ..] = number.groups() else { return false };
    let separated = b.gap == c.gap && [Gap::DOT, Gap::DASH, Gap::SLASH].contains(&b.gap);
    let value = |g: &Group| number.digits_of(g).iter().fold(0_u32, |n, &d| n * 10 + u32::from(d));
    let small = |g: &Group| g.len() <= 2 && (1..=31).contains(&value(g));
    let year = |g: &Group| g.len() == 4 && (1800..2200).contains(&value(g));
    let short = |g: &Group| g.len() == 2;
    let ends = number.groups().get(3).is_none_or(|g| g.gap.has(Gap::SPACE));
    separated && ends && small(b) && ((small(a) && (year(c) || short(c))) || (year(a) && small(c)))
}

/// "081109 203615 148": date, time and thread as some logs write them.
fn is_log_time(number: &Number) -> bool {
    let [date, time, ..] = number.groups() else { return false };
    let pairs = |g: &Group| {
        let pairs = number.digits_of(g).as_chunks::<2>().0;
        let [first, second, third] = pairs else { return None };
        let value = |[tens, units]: &[u8; 2]| 10 * tens + units;
        (g.len() == 6).then(|| (value(first), value(second), value(third)))
    };
    let is_day = pairs(date).is_some_and(|(_, month, day)| (1..=12).contains(&month) && (1..=31).contains(&day));
    let is_time = pairs(time).is_some_and(|(hour, minute, second)| hour < 24 && minute < 60 && second < 60);
    time.gap == Gap::SPACE && is_day && is_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calling_codes_are_read_and_split() {
        let codes = DiallingCodes::builtin();
        assert_eq!(codes.split(&[4, 9, 3, 0]).map(|s| s.0), Some(2));
        assert_eq!(codes.split(&[1, 2, 0, 1]).map(|s| s.0), Some(1));
        assert_eq!(codes.split(&[3, 5, 1, 9]).map(|s| s.0), Some(3));
        assert_eq!(codes.split(&[0, 1]), None);
        assert_eq!(codes.split(&[]), None);
    }

    #[test]
    fn no_code_is_the_start_of_another() {
        let codes = DiallingCodes::builtin();
        let used: Vec<String> = (1..1000).filter(|&c| codes.lengths[c].1 > 0).map(|c| c.to_string()).collect();
        assert!(used.len() > 200);
        for a in &used {
            assert!(!used.iter().any(|b| a != b && b.starts_with(a.as_str())), "{a}");
        }
    }
}
