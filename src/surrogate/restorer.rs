//! Finds surrogates in one channel of text that arrives in pieces: exact
//! matches of whole words, the longest first.
//!
//! The result does not depend on the pieces. What is held back is a proper
//! prefix of a surrogate, or a whole one of which it is not known yet whether
//! a word goes on behind it.

use std::fmt::Write as _;
use std::mem;
use std::sync::Arc;

/// What is searched for: texts, each with something that it stands for.
#[derive(Debug)]
pub struct Matcher<V> {
    /// Sorted by text, each once.
    texts: Vec<(Box<str>, V)>,
    /// The first bytes that occur.
    first: [bool; 256],
}

/// A piece of the text. All pieces together are the text that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a, V> {
    /// Text in which there is no surrogate; never empty.
    Text(&'a str),
    /// A surrogate.
    Surrogate {
        /// What it stands for.
        value: &'a V,
        /// The surrogate itself.
        raw: &'a str,
    },
}

impl<V: Clone> Matcher<V> {
    /// A matcher for these texts. Of two that are alike the first counts. Where
    /// a text is not ASCII it is also found with `\u` escapes in place of its
    /// other characters (RFC 8259, section 7), as JSON within text has them.
    pub fn new(texts: impl IntoIterator<Item = (String, V)>) -> Self {
        let mut all: Vec<(Box<str>, V)> = Vec::new();
        for (text, value) in texts.into_iter().filter(|(text, _)| !text.is_empty()) {
            if !text.is_ascii() {
                all.push((escaped(&text).into_boxed_str(), value.clone()));
            }
            all.push((text.into_boxed_str(), value));
        }
        // A stable sort, so that the first of two stays the first.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|later, first| later.0 == first.0);
        let mut first = [false; 256];
        for (text, _) in &all {
            if let Some(&byte) = text.as_bytes().first() {
                first[usize::from(byte)] = true;
            }
        }
        Self { texts: all, first }
    }
}

impl<V> Matcher<V> {
    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// What starts at `start` of a text in front of which is `before`.
    fn read(&self, text: &str, start: usize, before: Before, is_end: bool) -> Outcome<'_, V> {
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let Some(&byte) = rest.first() else { return Outcome::Nothing };
        if !self.first[usize::from(byte)] || !text.is_char_boundary(start) {
            return Outcome::Nothing;
        }
        let starts_word = text.get(start..).and_then(|t| t.chars().next()).is_some_and(is_word);
        if starts_word && before.is_word_after(text.get(..start).unwrap_or_default()) {
            return Outcome::Nothing;
        }
        // Among the sorted texts those that agree with `rest` so far are neighbours.
        let (mut from, mut to) = (0, self.texts.len());
        let mut longest = Outcome::Nothing;
        let mut depth = 0;
        while from < to {
            let Some(candidates) = self.texts.get(from..to) else { break };
            if let Some((whole, value)) = candidates.first().filter(|(whole, _)| whole.len() == depth) {
                match ends_well(whole, text.get(start + depth..).unwrap_or_default(), is_end) {
                    Some(true) => longest = Outcome::Found(value, depth),
                    Some(false) => {}
                    None => return Outcome::Wait,
                }
                from += 1;
                continue;
            }
            let Some(&next) = rest.get(depth) else {
                // All that are left go on: any of them may come.
                return if is_end { longest } else { Outcome::Wait };
            };
            let at = |text: &str| text.as_bytes().get(depth).copied();
            let low = candidates.partition_point(|(text, _)| at(text) < Some(next));
            let high = candidates.partition_point(|(text, _)| at(text) <= Some(next));
            (from, to) = (from + low, from + high);
            depth += 1;
        }
        longest
    }
}

enum Outcome<'m, V> {
    Found(&'m V, usize),
    Wait,
    Nothing,
}

/// Whether `behind` lets a match end here; none where that is not known yet.
pub(super) fn ends_well(whole: &str, behind: &str, is_end: bool) -> Option<bool> {
    let Some(last) = whole.chars().next_back().filter(|c| is_word(*c)) else { return Some(true) };
    let mut next = behind.chars();
    let Some(joint) = next.next() else { return is_end.then_some(true) };
    if is_word(joint) {
        return Some(false);
    }
    // "192.0.2.1" is no part of "192.0.2.1.5", nor "a@example.com" of
    // "a@example.com.br"; but a name is one in "Klara-Marie".
    let is_number_or_address = last.is_ascii_digit() || whole.contains('@');
    if !is_number_or_address || !matches!(joint, '.' | '-') {
        return Some(true);
    }
    match next.next() {
        Some(c) => Some(!is_word(c)),
        None => is_end.then_some(true),
    }
}

/// What is in front of a text.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    last: Option<char>,
    /// Whether backslashes odd in number end with the last character, or in
    /// front of it where it is none.
    odd: bool,
}

impl Before {
    /// Whether a word goes on behind `text`. The letter of an escape (RFC 8259,
    /// section 7) belongs to none: tool calls carry JSON as text.
    fn is_word_after(self, text: &str) -> bool {
        let last = text.chars().next_back().or(self.last);
        last.is_some_and(is_word) && !(matches!(last, Some('n' | 't' | 'r' | 'b' | 'f')) && self.after(text).odd)
    }

    /// What is in front of what follows `text`.
    fn after(self, text: &str) -> Self {
        let Some(last) = text.chars().next_back() else { return self };
        let head = if last == '\\' { text } else { text.strip_suffix(last).unwrap_or_default() };
        let slashes = head.bytes().rev().take_while(|b| *b == b'\\').count();
        let goes_on = slashes == head.len() && self.last == Some('\\') && self.odd;
        Self { last: Some(last), odd: (slashes % 2 == 1) != goes_on }
    }
}

/// A letter or digit of a script that puts spaces between words. The underscore
/// is none: Markdown puts it around words.
pub(super) fn is_word(c: char) -> bool {
    let unspaced = matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !unspaced
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Finds the surrogates in one channel of text.
#[derive(Debug)]
pub struct Restorer<V> {
    matcher: Arc<Matcher<V>>,
    held: String,
    /// What was given out last.
    before: Before,
}

impl<V> Restorer<V> {
    /// A restorer for what the matcher finds.
    pub fn new(matcher: Arc<Matcher<V>>) -> Self {
        Self { matcher, held: String::new(), before: Before::default() }
    }

    /// Takes the next text of the channel and gives out what is decided.
    pub fn push(&mut self, text: &str, out: &mut impl FnMut(Piece<'_, V>)) {
        if self.held.is_empty() {
            let decided = self.scan(text, false, out);
            self.held.push_str(text.get(decided..).unwrap_or_default());
            return;
        }
        let mut joined = mem::take(&mut self.held);
        joined.push_str(text);
        let decided = self.scan(&joined, false, out);
        joined.drain(..decided);
        self.held = joined;
    }

    /// Gives out what was held, as nothing follows that could belong to it.
    /// What is pushed then has `before` in front of it, if anything.
    pub fn finish(&mut self, before: Option<char>, out: &mut impl FnMut(Piece<'_, V>)) {
        if !self.held.is_empty() {
            let held = mem::take(&mut self.held);
            self.scan(&held, true, out);
        }
        self.before = Before { last: before, odd: false };
    }

    /// What is held back.
    pub fn held(&self) -> &str {
        &self.held
    }

    /// Gives out the pieces of `text` as far as they are decided, and says how
    /// far that is.
    fn scan(&mut self, text: &str, is_end: bool, out: &mut impl FnMut(Piece<'_, V>)) -> usize {
        let (mut sent, mut at) = (0, 0);
        let matcher = Arc::clone(&self.matcher);
        let bytes = text.as_bytes();
        while at < text.len() {
            let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| matcher.first[usize::from(*b)]))
            else {
                break;
            };
            at += next;
            match matcher.read(text, at, self.before, is_end) {
                Outcome::Found(value, length) => {
                    give(text.get(sent..at).unwrap_or_default(), out);
                    out(Piece::Surrogate { value, raw: text.get(at..at + length).unwrap_or_default() });
                    at += length;
                    sent = at;
                }
                Outcome::Wait => {
                    give(text.get(sent..at).unwrap_or_default(), out);
                    self.before = self.before.after(text.get(..at).unwrap_or_default());
                    return at;
                }
                Outcome::Nothing => at += 1,
            }
        }
        give(text.get(sent..).unwrap_or_default(), out);
        self.before = self.before.after(text);
        text.len()
    }
}

fn give<V>(text: &str, out: &mut impl FnMut(Piece<'_, V>)) {
    if !text.is_empty() {
        out(Piece::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher(texts: &[&str]) -> Arc<Matcher<String>> {
        Arc::new(Matcher::new(texts.iter().map(|text| ((*text).to_owned(), format!("<{text}>")))))
    }

    fn restored(matcher: &Arc<Matcher<String>>, pieces: &[&str]) -> String {
        let mut restorer = Restorer::new(Arc::clone(matcher));
        let mut text = String::new();
        let mut take = |piece: Piece<'_, String>| match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Surrogate { value, .. } => text.push_str(value),
        };
        for piece in pieces {
            restorer.push(piece, &mut take);
        }
        restorer.finish(None, &mut take);
        text
    }

    const TEXTS: &[&str] =
        &["Klara", "Klara Marie", "K. Berg", "Zoë", "klara@example.com", "192.0.2.1", "+1 202 555 0101", "Böhm"];

    #[test]
    fn whole_words_are_found_and_the_longest_first() {
        let matcher = matcher(TEXTS);
        for (text, wanted) in [
            ("Dear Klara,", "Dear <Klara>,"),
            ("Klara Marie and Klara", "<Klara Marie> and <Klara>"),
            ("Klara Mariele", "<Klara> Mariele"),
            ("Klaras, xKlara, 1Klara", "Klaras, xKlara, 1Klara"),
            ("_Klara_, __Klara Marie__", "_<Klara>_, __<Klara Marie>__"),
            (r"Dear\nKlara,\tKlara\r\nKlara\\\nKlara", r"Dear\n<Klara>,\t<Klara>\r\n<Klara>\\\n<Klara>"),
            (r"nKlara, \\nKlara, \\\\tKlara, \xKlara", r"nKlara, \\nKlara, \\\\tKlara, \xKlara"),
            ("Klara's, *Klara*, Klara-Marie", "<Klara>'s, *<Klara>*, <Klara>-Marie"),
            ("(K. Berg)", "(<K. Berg>)"),
            ("Zoë Zoëy Zo\\u00eb!", "<Zoë> Zoëy <Zoë>!"),
            ("klara@example.com.", "<klara@example.com>."),
            ("klara@example.com.br, x-klara@example.com", "klara@example.com.br, x-<klara@example.com>"),
            ("192.0.2.1. 192.0.2.10 192.0.2.1.5 192.0.2.1:80", "<192.0.2.1>. 192.0.2.10 192.0.2.1.5 <192.0.2.1>:80"),
            ("call +1 202 555 0101 now", "call <+1 202 555 0101> now"),
            ("こんにちはKlaraさん", "こんにちは<Klara>さん"),
            ("klara KLARA", "klara KLARA"),
            ("", ""),
        ] {
            assert_eq!(restored(&matcher, &[text]), wanted, "{text}");
        }
        assert_eq!(restored(&self::matcher(&[]), &["Klara"]), "Klara");
    }

    #[test]
    fn only_what_may_go_on_is_held() {
        let mut restorer = Restorer::new(matcher(TEXTS));
        for (text, held) in
            [("Dear ", ""), ("Kl", "Kl"), ("a", "Kla"), ("us, ", ""), ("Klara", "Klara"), ("!", ""), ("x", "")]
        {
            restorer.push(text, &mut |_| {});
            assert_eq!(restorer.held(), held, "{text}");
        }
    }

    #[test]
    fn any_two_cuts_give_the_same() {
        let matcher = matcher(TEXTS);
        let text = "Klara Marie, Klara! \\nKlara \\\\nKlara \\\\\\tKlara Zoë? K. Berg's klara@example.com.x +1 202 555 0101 Klar Zo\\u00eb";
        let whole = restored(&matcher, &[text]);
        let borders: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        for &a in &borders {
            for &b in borders.iter().filter(|b| **b >= a) {
                assert_eq!(restored(&matcher, &[&text[..a], &text[a..b], &text[b..]]), whole, "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_cuts_change_the_result(
            words in prop::collection::vec(prop::sample::select(vec![
                "Klara", "Klar", " ", "Marie", "K. ", "Berg", ".", "-", "Zoë", "é", "klara@example", ".com", "192.0.2.", "1", "+1 202 ", "555 0101", "\\u00eb", "さ",
                "\\", "n", "_",
            ]), 0..24),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let matcher = matcher(TEXTS);
            let text = words.concat();
            let mut at: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|two| &text[two[0]..two[1]]).collect();
            prop_assert_eq!(restored(&matcher, &pieces), restored(&matcher, &[&text]));
        }
    }
}
