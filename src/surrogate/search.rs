//! Finds which of many texts stand in a text already, all in one pass.

use super::restorer::{ends_well, is_word};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::fmt;

/// Texts that are searched for as whole words, where the restorer would find
/// them.
pub struct Search {
    texts: Vec<Box<str>>,
    /// None where there are more texts than it can hold.
    automaton: Option<AhoCorasick>,
}

impl Search {
    /// A search for these texts.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let texts: Vec<Box<str>> = texts.into_iter().map(Box::from).collect();
        let mut builder = AhoCorasick::builder();
        // Much is searched once: this one is small, and soon made.
        builder.kind(Some(AhoCorasickKind::ContiguousNFA));
        let automaton = builder.build(texts.iter().map(|text| text.as_bytes())).ok();
        Self { texts, automaton }
    }

    /// The texts.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// Marks the texts that stand in one of `places`, in their order. What is
    /// not UTF-8 there counts as a border.
    pub fn marks<'p>(&self, places: impl IntoIterator<Item = &'p [u8]>) -> Vec<bool> {
        let Some(automaton) = &self.automaton else { return vec![true; self.texts.len()] };
        let mut marks = vec![false; self.texts.len()];
        for place in places.into_iter().flat_map(<[u8]>::utf8_chunks).map(|chunk| chunk.valid()) {
            for found in automaton.find_overlapping_iter(place) {
                let nth = found.pattern().as_usize();
                let (Some(text), Some(mark)) = (self.texts.get(nth), marks.get_mut(nth)) else { continue };
                if !*mark {
                    let before = place.get(..found.start()).unwrap_or_default();
                    let behind = place.get(found.end()..).unwrap_or_default();
                    *mark = starts_well(text, before) && ends_well(text, behind, true) == Some(true);
                }
            }
        }
        marks
    }
}

/// Whether `before` lets a match start behind it. Within JSON in JSON the
/// backslashes of an escape are not to be told apart, so any of them counts.
fn starts_well(text: &str, before: &str) -> bool {
    let mut last = before.chars().rev();
    match last.next() {
        Some('n' | 't' | 'r' | 'b' | 'f') if last.next() == Some('\\') => true,
        Some(c) => !is_word(c) || !text.chars().next().is_some_and(is_word),
        None => true,
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Search({})", self.texts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_marked_and_those_within_them_too() {
        let texts = ["Roman", "Klara", "Klara Marie", "192.0.2.1", "+1 202 555 0101", "Zoë", "Marie"];
        let search = Search::new(texts);
        let marked = |place: &str| -> Vec<&str> {
            let marks = search.marks([place.as_bytes()]);
            texts.iter().zip(marks).filter(|(_, marked)| *marked).map(|(text, _)| *text).collect()
        };
        for (place, wanted) in [
            ("Romania and aRoman", &[][..]),
            ("Romania, Roman", &["Roman"]),
            ("Klara Marie", &["Klara", "Klara Marie", "Marie"]),
            ("Klara Maries", &["Klara"]),
            (r"x\nKlara \\tZoë nMarie", &["Klara", "Zoë"]),
            ("192.0.2.10 192.0.2.1.5", &[]),
            ("192.0.2.1.", &["192.0.2.1"]),
            ("x+1 202 555 0101", &["+1 202 555 0101"]),
            ("", &[]),
        ] {
            assert_eq!(marked(place), wanted, "{place}");
        }
        assert_eq!(search.marks([b"\xffRoman\xff".as_slice(), b"Marie"]).iter().filter(|marked| **marked).count(), 2);
        assert!(Search::new([]).marks([b"x".as_slice()]).is_empty());
    }
}
