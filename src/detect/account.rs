//! Numbers that an organisation gives to its customers, orders and contracts.
//! Their form says nothing, so a word in front must.

use crate::detect::compile::Verdict;
use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::scan::Pass;

/// Characters of a number, separators included.
const LENGTH: std::ops::RangeInclusive<usize> = 5..=24;
/// How far in front the word may be, in bytes and in words.
const BEFORE: usize = 40;
const WORDS: usize = 4;

impl Pass<'_> {
    /// Looks at the code around the digit at `at`.
    pub(crate) fn account(&mut self, at: usize) -> Option<usize> {
        let engine = self.engine;
        let rules = engine.finders.get(Finder::Account as usize).filter(|rules| !rules.is_empty())?;
        let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'_');
        let before = self.bytes.get(at.saturating_sub(*LENGTH.end())..at)?;
        let mut start = at - before.iter().rev().take_while(|b| part(b)).count();
        while start < at && !self.bytes.get(start).is_some_and(u8::is_ascii_alphanumeric) {
            start += 1;
        }
        let behind = self.bytes.get(at..)?.iter().take(LENGTH.end() + 1);
        let mut end = at + behind.take_while(|b| part(b)).count();
        while end > at && !self.bytes.get(end - 1).is_some_and(u8::is_ascii_alphanumeric) {
            end -= 1;
        }
        let code = self.text.get(start..end)?;
        let letters = code.bytes().filter(u8::is_ascii_alphanumeric).count();
        let joined = matches!(self.at(end), Some('@' | '%' | '€' | '$' | '_'))
            || (matches!(self.at(end), Some('.' | ',' | ':')) && self.at(end + 1).is_some_and(char::is_alphanumeric));
        let bound = self
            .before(start)
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | ',' | '@' | '/' | '€' | '$' | '£' | '+'));
        if joined || bound || letters < *LENGTH.start() || !LENGTH.contains(&code.len()) || is_date(code) {
            return None;
        }
        let in_front = engine.listened.hear(self.clause_before(start));
        let label = engine.listened.hear_label(self.label);
        let mut taken = false;
        for &rule in rules {
            let Some(scoring) = engine.rules.get(rule.index()) else { continue };
            let judge = |hash| scoring.judge(hash);
            let said = in_front.said(judge);
            let (found, evidence) = match said.last.filter(|_| said.since < WORDS) {
                Some(found) => (Some(found), found.evidence),
                None => (label.said(judge).last, Evidence::LABEL),
            };
            if let Some(Verdict { evidence: Evidence::CONTEXT, weight }) = found {
                taken |= self.submit(rule, start, end, scoring.score + weight, evidence);
            }
        }
        taken.then_some(end)
    }

    /// The text in front of an offset, back to the end of the sentence before.
    fn clause_before(&self, at: usize) -> &str {
        let from = self.text.floor_char_boundary(at.saturating_sub(BEFORE));
        let before = self.text.get(from..at).unwrap_or_default();
        let cut = [". ", "! ", "? ", "; ", "\n"].iter().filter_map(|end| {
            let at = before.rfind(end)?;
            // "no. ", "č. ", "Kundennr. " end no sentence.
            let word = before.get(..at)?.rsplit(char::is_whitespace).next()?;
            (*end != ". " || (word.chars().count() > 3 && !word.ends_with("nr"))).then_some(at + end.len())
        });
        before.get(cut.max().unwrap_or(0)..).unwrap_or_default()
    }
}

/// `2024-05-17`, `17/05/2024`.
fn is_date(code: &str) -> bool {
    let sizes =
        code.split(['-', '/']).map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { part.len() } else { 0 });
    let sizes: [usize; 4] = {
        let mut all = [0; 4];
        all.iter_mut().zip(sizes).for_each(|(slot, size)| *slot = size);
        all
    };
    matches!(sizes, [4, 1 | 2, 1 | 2, 0] | [1 | 2, 1 | 2, 2 | 4, 0])
}
