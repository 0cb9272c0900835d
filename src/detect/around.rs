//! What stands beside an anchor: the word that ends there, the digits, and what
//! may be stepped over. Each step is bounded, so that an anchor costs no more
//! in a hostile text.

use crate::detect::eight;
use crate::detect::letters;
use crate::detect::lexicon::Classes;
use crate::detect::scan::Pass;
use crate::detect::terms::Kinds;
use crate::detect::words::{self, MAX_WORD, Word};

impl Pass<'_> {
    /// The word that ends at an offset.
    #[inline]
    pub(crate) fn word_ending(&self, end: usize) -> Option<Word> {
        let mut letters = eight::letters_before(self.bytes, end);
        if letters == 8 {
            let more = self.bytes.get(..end - letters)?.iter().rev().take(MAX_WORD - letters);
            letters += more.take_while(|b| b.is_ascii_alphabetic()).count();
        }
        let start = end - letters;
        match start.checked_sub(1).and_then(|at| self.bytes.get(at)) {
            Some(0x80..) => self.unicode_word_ending(end),
            _ if letters == 0 => None,
            _ => words::read(self.text, start).filter(|w| w.end == end),
        }
    }

    fn unicode_word_ending(&self, end: usize) -> Option<Word> {
        let mut start = end;
        while let Some(c) =
            self.before(start).filter(|c| (c.is_alphabetic() || letters::is_mark(*c)) && end - start < MAX_WORD)
        {
            start -= c.len_utf8();
        }
        words::read(self.text, start).filter(|w| w.end == end)
    }

    #[inline]
    pub(crate) fn kinds(&self, word: &Word) -> Kinds {
        self.engine.terms.word(word.hash)
    }

    pub(crate) fn is_stop(&self, word: &Word) -> bool {
        self.engine.lexicon.classes(word.hash).has(Classes::STOP)
    }

    #[inline]
    pub(crate) fn digits_end(&self, start: usize) -> usize {
        let digits = eight::digits(self.bytes, start);
        // Nine say that there are too many.
        let more = digits == 8 && self.bytes.get(start + 8).is_some_and(u8::is_ascii_digit);
        start + digits + usize::from(more)
    }

    pub(crate) fn digits_start(&self, end: usize) -> usize {
        end - eight::digits_before(self.bytes, end).min(5)
    }

    /// Steps over at most `most` of these characters.
    #[inline]
    pub(crate) fn over(&self, mut at: usize, most: usize, all: &[char]) -> usize {
        for _ in 0..most {
            match self.at(at) {
                Some(c) if all.contains(&c) => at += c.len_utf8(),
                _ => break,
            }
        }
        at
    }

    /// The same to the left.
    #[inline]
    pub(crate) fn back_over(&self, mut at: usize, most: usize, all: &[char]) -> usize {
        for _ in 0..most {
            match self.before(at) {
                Some(c) if all.contains(&c) => at -= c.len_utf8(),
                _ => break,
            }
        }
        at
    }
}
