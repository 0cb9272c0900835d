//! The names that were found in a conversation: once "Jana Novak" is known,
//! "jana" and "Novak" count.

use crate::detect::lexicon::Classes;
use crate::detect::name::run::Token;
use crate::detect::words::Shape;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// So many words are kept; the oldest are forgotten first.
const ROOM: usize = 64;

/// A name must be at least so sure to be remembered.
const SURE: f32 = 0.7;

/// Hashes of the words of names that were found. The caller owns it, hands it
/// to the scans of the texts that belong together, and clears it between
/// conversations. It takes no more room however much it is told.
#[derive(Clone)]
pub(crate) struct Memory {
    words: [u64; ROOM],
    /// Where each stands in the text that it was learned from.
    places: [(usize, usize); ROOM],
    count: usize,
    /// A bit for each word, so that most words need no search.
    filter: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { words: [0; ROOM], places: [(0, 0); ROOM], count: 0, filter: 0 }
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("words", &self.count.min(ROOM)).finish_non_exhaustive()
    }
}

impl Hash for Memory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // More of them take the places of the first ones.
        state.write_usize(self.count);
        self.words.iter().take(self.count.min(ROOM)).for_each(|word| state.write_u64(*word));
    }
}

fn bit(hash: u64) -> u64 {
    1 << (hash >> 58)
}

impl Memory {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        (self.count, self.filter) = (0, 0);
    }

    /// How many words were learned since it was cleared.
    pub(crate) fn learned(&self) -> u64 {
        self.count as u64
    }

    /// 0 where a word is not known; else it may be.
    #[inline]
    pub(crate) fn trace(&self, hash: u64) -> u64 {
        self.filter & bit(hash)
    }

    fn has(&self, hash: u64) -> bool {
        self.trace(hash) != 0 && self.words.iter().take(self.count.min(ROOM)).any(|w| *w == hash)
    }

    /// Whether a word is known as one of a name, however it is written.
    #[inline]
    pub(crate) fn knows(&self, hash: u64) -> bool {
        self.has(hash)
    }

    /// Whether a word is known as one of a name. An ordinary word counts only
    /// with a capital.
    pub(crate) fn holds(&self, token: &Token) -> bool {
        self.has(token.word.hash) && (token.word.shape != Shape::Lower || !token.is_ordinary())
    }

    /// Keeps the words of a name.
    pub(crate) fn learn(&mut self, parts: &[Token], sure: f32) {
        if sure < SURE {
            return;
        }
        for part in parts {
            let short = part.len() < 3 || part.is_particle() || part.classes.has(Classes::STOP);
            // An ordinary word alone ("Will") says little of the next one, a month nothing.
            let ordinary = part.classes.has(Classes::CALENDAR) || (parts.len() == 1 && part.is_ordinary());
            if short || ordinary || self.has(part.word.hash) {
                continue;
            }
            self.add(part.word.hash, part.word.start..part.word.end);
        }
    }

    /// Keeps a word that stands here in its text.
    pub(crate) fn add(&mut self, hash: u64, at: Range<usize>) {
        let nth = self.count % ROOM;
        if let (Some(word), Some(place)) = (self.words.get_mut(nth), self.places.get_mut(nth)) {
            (*word, *place) = (hash, (at.start, at.end));
            self.count += 1;
            self.filter |= bit(hash);
        }
    }

    /// The words that were learned since there were so many, in order, and where
    /// they stand; none where some of them are forgotten again.
    pub(crate) fn learned_since(&self, count: u64) -> Option<impl Iterator<Item = (u64, Range<usize>)>> {
        let since = usize::try_from(count).ok()?;
        self.count.checked_sub(since).filter(|learned| *learned <= ROOM)?;
        let nth = move |nth: usize| Some((*self.words.get(nth % ROOM)?, *self.places.get(nth % ROOM)?));
        Some((since..self.count).filter_map(nth).map(|(hash, (start, end))| (hash, start..end)))
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::{Engine, Input, Scratch};

    fn names(engine: &Engine, text: &str, scratch: &mut Scratch) -> Vec<String> {
        let found = engine.scan(Input::text(text), scratch).iter().filter(|f| f.entity.as_str() == "PERSON");
        found.map(|f| text[f.start..f.end].to_owned()).collect()
    }

    #[test]
    fn a_name_of_a_conversation_counts_in_its_later_texts() {
        let (engine, mut scratch) = (Engine::builtin().unwrap(), Scratch::default());
        let later = "the quixel order is late";
        assert!(names(&engine, later, &mut scratch).is_empty());
        scratch.start_conversation();
        assert_eq!(names(&engine, "Hello, my name is Jana Quixel.", &mut scratch), ["Jana Quixel"]);
        assert_eq!(names(&engine, later, &mut scratch), ["quixel"]);
        scratch.start_conversation();
        assert!(names(&engine, later, &mut scratch).is_empty(), "another conversation");
        names(&engine, "Hello, my name is Jana Quixel.", &mut scratch);
        scratch.end_conversation();
        assert!(names(&engine, later, &mut scratch).is_empty(), "the conversation is over");
    }

    #[test]
    fn a_name_counts_in_front_of_where_it_is_clear() {
        let (engine, mut scratch) = (Engine::builtin().unwrap(), Scratch::default());
        let text = "Quixel order late.\nBest regards,\nJana Quixel";
        let found = names(&engine, text, &mut scratch);
        assert!(found.contains(&"Jana Quixel".to_owned()) && found.len() <= 2, "{found:?}");
        let found = names(&engine, "My name is April Zorbana, we met in April. Will you come in April?", &mut scratch);
        assert_eq!(found, ["April Zorbana"]);
    }
}
