//! What a scan found, without its text: who sees the same text again, under the
//! same label, plan and known names, need not scan it again.

use crate::detect::{Finding, Scratch, words};
use std::ops::Range;

/// What a scan left in its scratch. It holds places in the text and nothing of
/// what stands there.
#[derive(Debug)]
pub struct Outcome {
    findings: Box<[Finding]>,
    /// Where the words stand that were learned as those of names.
    learned: Box<[Range<usize>]>,
}

impl Outcome {
    /// How many findings there are, one at least.
    pub fn count(&self) -> usize {
        self.findings.len()
    }
}

impl Scratch {
    /// What the last scan found, which was of `text` and in a conversation; none
    /// where that is nothing, or places do not tell all of it.
    pub fn outcome(&self, text: &str) -> Option<Outcome> {
        let is_told = self.in_conversation && self.shadow().is_empty();
        if !is_told || self.findings().is_empty() {
            return None;
        }
        // Words of a text that was read otherwise stand elsewhere in it.
        let place = |(hash, at): (u64, Range<usize>)| (word(text, &at) == Some(hash)).then_some(at);
        let learned = self.names.learned_since(self.known_before)?.map(place).collect::<Option<_>>()?;
        Some(Outcome { findings: self.findings().into(), learned })
    }

    /// Leaves the scratch as a scan of `text` would, of which this is the outcome
    /// where the same is known.
    pub fn recall(&mut self, text: &str, outcome: &Outcome) {
        self.candidates.clear();
        self.shadow.clear();
        self.findings.clear();
        self.findings.extend_from_slice(&outcome.findings);
        self.found += outcome.findings.len() as u64;
        self.known_before = self.names.learned();
        for at in &outcome.learned {
            if let Some(hash) = word(text, at) {
                self.names.learn(hash, at.clone());
            }
        }
    }
}

fn word(text: &str, at: &Range<usize>) -> Option<u64> {
    words::hash_of(text.get(at.clone())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Engine, Input};

    /// All that the scans to come depend on, and what the last one found.
    fn left(scratch: &Scratch) -> (Vec<Finding>, u64, u64) {
        use std::hash::{DefaultHasher, Hasher as _};
        let mut known = DefaultHasher::new();
        scratch.hash_known(&mut known);
        (scratch.findings().to_vec(), scratch.found(), known.finish())
    }

    #[test]
    fn what_is_recalled_is_what_a_scan_leaves() {
        let engine = Engine::builtin().unwrap();
        let (mut scanned, mut recalled) = (Scratch::default(), Scratch::default());
        // More names than are kept.
        let many = |start: &str| -> String {
            let names = ('a'..='z').map(|c| format!("My name is Jana {start}{c}xeluk."));
            names.collect::<Vec<_>>().join(" ")
        };
        for _ in 0..2 {
            scanned.start_conversation();
            recalled.start_conversation();
            for text in [
                "Hello, my name is Jana Quixel, mail jana@example.com.",
                "the quixel order is late, call +49 151 23456789",
                &many("Q"),
                &many("V"),
                &many("Z"),
                "Regards, Anne-Marie O'Brannigan (née Łuczak) and Дарья Кузнецова",
                "the oʼbrannigan order, quixel, łuczak and jana",
            ] {
                engine.scan(Input::text(text), &mut scanned);
                let outcome = scanned.outcome(text).expect(text);
                recalled.recall(text, &outcome);
                assert_eq!(left(&recalled), left(&scanned), "{text}");
            }
        }
    }

    #[test]
    fn what_places_do_not_tell_has_no_outcome() {
        let (engine, mut scratch) = (Engine::builtin().unwrap(), Scratch::default());
        let text = "Hello, my name is Jana Quixel.";
        engine.scan(Input::text(text), &mut scratch);
        assert!(scratch.outcome(text).is_none(), "what is known before is not asked");
        scratch.start_conversation();
        engine.scan(Input::text(text), &mut scratch);
        assert!(scratch.outcome(text).is_some());
        // Half of its characters are full-width and not read as they stand.
        let spelled = "Hello, my name is \u{ff2a}\u{ff41}\u{ff4e}\u{ff41} Quixel.";
        scratch.start_conversation();
        assert!(!engine.scan(Input::text(spelled), &mut scratch).is_empty());
        assert!(scratch.outcome(spelled).is_none());
    }
}
