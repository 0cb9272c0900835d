//! The pass over the bytes, and the state it keeps.

use crate::detect::compile::{Scoring, Verdict};
use crate::detect::evidence::Evidence;
use crate::detect::finder::Finder;
use crate::detect::letters;
use crate::detect::lexicon::{Asked, Classes, Cue, MAX_PHRASE};
use crate::detect::name::{Kept, Lesson, Names};
use crate::detect::normalize::{self, Reading};
use crate::detect::said::Listened;
use crate::detect::words::{self, Block, Shape, Word, not_before};
use crate::detect::{Engine, Finding, Input, Operator, Plan, RuleId, State, Treatment, pattern, resolve};
use std::hash::Hasher;

/// What a finding needs where no plan says otherwise.
pub(crate) const THRESHOLD: f32 = 0.5;

/// How far a context word may be in front of or behind a candidate, in bytes.
pub(crate) const CONTEXT_BEFORE: usize = 64;
const CONTEXT_BEHIND: usize = 32;

/// Memory of a scan, to be used again for the next one. After some scans no
/// memory is taken any more.
#[derive(Default)]
pub struct Scratch {
    pub(crate) findings: Vec<Finding>,
    pub(crate) candidates: Vec<Candidate>,
    /// What rules in shadow found.
    pub(super) shadow: Vec<Finding>,
    /// How often rules in shadow found something since that was last asked for.
    shadow_counts: Vec<u64>,
    /// What all scans found so far, in shadow too.
    pub(super) found: u64,
    /// Everything that was proposed, where somebody wants to know.
    pub(crate) near: Option<Vec<Candidate>>,
    label: Vec<u64>,
    /// The names that were found, in this text or in the conversation.
    pub(super) names: Kept,
    /// How many words of names were known before the last text.
    pub(super) known_before: u64,
    pub(super) in_conversation: bool,
    patterns: pattern::Scratch,
    reading: Reading,
    ahead: Vec<Ahead>,
}

impl Scratch {
    /// The findings of the last scan.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The texts of the scans that follow belong together: a name that is found
    /// in one counts in the ones behind it. What was known before is forgotten.
    pub fn start_conversation(&mut self) {
        self.names.forget();
        self.in_conversation = true;
    }

    /// Each text stands for itself again, as in a new scratch.
    pub fn end_conversation(&mut self) {
        self.names.forget();
        self.in_conversation = false;
    }

    /// What rules in shadow found in the last scan: sorted, not overlapping,
    /// and apart from the findings, which they do not touch.
    pub fn shadow(&self) -> &[Finding] {
        &self.shadow
    }

    /// A number that grows with everything that scans find or learn, in shadow
    /// too: where it is the same behind a scan, the text holds nothing.
    pub fn found(&self) -> u64 {
        self.found.wrapping_add(self.names.learned())
    }

    /// Feeds a hash with all that the next scan depends on besides its text,
    /// label and plan: the names that are known in the conversation.
    pub fn hash_known(&self, state: &mut impl Hasher) {
        self.names.hash_known(state);
    }

    /// Hands out how often each rule in shadow found something in all scans
    /// since the last call.
    pub fn drain_shadow(&mut self, mut each: impl FnMut(RuleId, u64)) {
        for (rule, count) in self.shadow_counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            each(RuleId(rule as u16), std::mem::take(count));
        }
    }

    /// What led to the finding with this index in the last scan's result.
    pub fn evidence(&self, finding: usize) -> Evidence {
        self.candidates.get(finding).map_or(Evidence::default(), |c| c.evidence)
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("findings", &self.findings.len()).finish_non_exhaustive()
    }
}

/// A span that a rule would report, before overlaps are settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: RuleId,
    pub(crate) score: f32,
    pub(crate) operator: Operator,
    pub(crate) evidence: Evidence,
}

/// Scans `input` and leaves candidates and findings in `scratch`, index by index.
pub(crate) fn scan(engine: &Engine, plan: &Plan, input: Input<'_>, scratch: &mut Scratch) {
    if !normalize::is_needed(input.text) {
        find(engine, plan, input, scratch);
        return;
    }
    let mut reading = std::mem::take(&mut scratch.reading);
    reading.read(input.text);
    find(engine, plan, Input { text: reading.text(), ..input }, scratch);
    for finding in scratch.findings.iter_mut().chain(&mut scratch.shadow) {
        (finding.start, finding.end) = reading.original(finding.start, finding.end);
    }
    for candidate in scratch.near.iter_mut().flatten() {
        (candidate.start, candidate.end) = reading.original(candidate.start, candidate.end);
    }
    scratch.reading = reading;
}

/// Scans a text as it stands.
fn find(engine: &Engine, plan: &Plan, input: Input<'_>, scratch: &mut Scratch) {
    scratch.findings.clear();
    scratch.candidates.clear();
    scratch.shadow.clear();
    scratch.label.clear();
    if !scratch.in_conversation {
        scratch.names.forget();
    }
    scratch.known_before = scratch.names.learned();
    if let Some(label) = input.label.filter(|l| l.len() <= 256) {
        words::each(label, |hash| scratch.label.push(hash));
    }
    let Scratch { candidates, patterns, label, near, names, ahead, .. } = scratch;
    let mut pass = Pass {
        engine,
        plan,
        text: input.text,
        bytes: input.text.as_bytes(),
        label,
        out: candidates,
        near: near.as_mut(),
        recent: Recent::default(),
        cue: None,
        named_until: 0,
        names: Names::new(names),
        resume: 0,
        url_until: 0,
    };
    if pass.label.iter().any(|&h| engine.lexicon.classes(h).has(Classes::NAME_LABEL)) {
        pass.cue = Some(Pending { cue: Cue::Strong, end: 0, label: true });
    }
    pass.labelled_secret();
    pass.run(ahead);
    pass.second_look();
    if !engine.patterns.is_empty() {
        pass.patterns(patterns);
    }
    if plan.has_shadow() {
        part_shadow(engine, plan, input.text, scratch);
    }
    resolve::resolve(&mut scratch.candidates, input.text);
    scratch.findings.extend(scratch.candidates.iter().map(|c| finding(engine, c)));
    scratch.found += (scratch.findings.len() + scratch.shadow.len()) as u64;
}

/// Takes the candidates of rules in shadow out, and settles them among themselves.
fn part_shadow(engine: &Engine, plan: &Plan, text: &str, scratch: &mut Scratch) {
    let is_shadow = |c: &Candidate| plan.treatment(c.rule).state == State::Shadow;
    let mut apart: Vec<Candidate> = scratch.candidates.extract_if(.., |c| is_shadow(c)).collect();
    // What they would do does not count: an exception is shown as found.
    for c in &mut apart {
        c.operator = Operator::Token;
    }
    resolve::resolve(&mut apart, text);
    let told = |c: &Candidate| Finding { operator: plan.treatment(c.rule).operator, ..finding(engine, c) };
    scratch.shadow.extend(apart.iter().map(told));
    scratch.shadow_counts.resize(engine.rules.len(), 0);
    for c in &apart {
        if let Some(count) = scratch.shadow_counts.get_mut(c.rule.index()) {
            *count += 1;
        }
    }
}

fn finding(engine: &Engine, c: &Candidate) -> Finding {
    Finding {
        start: c.start,
        end: c.end,
        entity: engine.rule(c.rule).entity,
        rule: c.rule,
        score: c.score,
        operator: c.operator,
    }
}

/// Goes through a labelled text and collects what the name model can learn.
pub(crate) fn teach(engine: &Engine, text: &str, scratch: &mut Scratch, lesson: &mut Lesson) {
    scratch.candidates.clear();
    let mut pass = Pass {
        engine,
        plan: &engine.plan,
        text,
        bytes: text.as_bytes(),
        label: &[],
        out: &mut scratch.candidates,
        recent: Recent::default(),
        cue: None,
        named_until: 0,
        near: None,
        names: Names::taught(&mut scratch.names, lesson),
        resume: 0,
        url_until: 0,
    };
    pass.run(&mut scratch.ahead);
}

/// The last word of a run that speaks for or against a rule.
struct Nearest<'a> {
    listened: &'a Listened,
    scoring: &'a Scoring,
    /// What the word before the present one said.
    last: Option<Verdict>,
    found: Option<Verdict>,
}

impl<'a> Nearest<'a> {
    fn new(engine: &'a Engine, scoring: &'a Scoring) -> Self {
        Self { listened: &engine.listened, scoring, last: None, found: None }
    }

    fn step(&mut self, hash: u64) {
        let mut judged = if self.listened.may_heed(hash) { self.scoring.judge(hash) } else { None };
        // In "order number" the first word says what the second is of.
        let says = |verdict: Option<Verdict>, what| verdict.is_some_and(|v| v.evidence == what);
        if says(judged, Evidence::CONTEXT) && says(self.last, Evidence::AGAINST) {
            judged = self.last;
        }
        self.last = judged;
        self.found = judged.or(self.found);
    }
}

/// A word that the pass comes to next.
#[derive(Clone, Copy)]
struct Ahead {
    word: Word,
    asked: Asked,
    /// The byte behind it.
    behind: u8,
}

/// A cue that waits for its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) cue: Cue,
    pub(crate) end: usize,
    pub(crate) label: bool,
}

/// Stands among the last words for a name.
const A_NAME: u64 = 0x6e61_6d65_6e61_6d65;

/// Hashes of the last words, as many as a phrase may have.
#[derive(Clone, Copy, Default)]
pub(crate) struct Recent {
    ring: [u64; Self::ROOM],
    pushed: usize,
}

impl Recent {
    const ROOM: usize = MAX_PHRASE.next_power_of_two();

    #[inline]
    fn push(&mut self, hash: u64) {
        self.ring[self.pushed % Self::ROOM] = hash;
        self.pushed += 1;
    }

    /// The last word; 0 for none.
    #[inline]
    fn last(&self) -> u64 {
        self.back(1)
    }

    /// The word so many back, from 1; 0 for none.
    #[inline]
    fn back(&self, words: usize) -> u64 {
        self.ring[self.pushed.wrapping_sub(words) % Self::ROOM]
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = u64> {
        let count = self.pushed.min(MAX_PHRASE);
        (1..=count).map(|back| self.ring[(self.pushed - back) % Self::ROOM])
    }
}

/// The state of one pass.
pub(crate) struct Pass<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) plan: &'a Plan,
    pub(crate) text: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) label: &'a [u64],
    pub(crate) out: &'a mut Vec<Candidate>,
    pub(crate) near: Option<&'a mut Vec<Candidate>>,
    /// The last words.
    pub(crate) recent: Recent,
    pub(crate) cue: Option<Pending>,
    /// Where the last name ends; 0 for none.
    pub(crate) named_until: usize,
    /// What is known of the run that the pass is in.
    pub(crate) names: Names<'a>,
    /// Colons before this offset have been looked at.
    pub(crate) resume: usize,
    /// Addresses of the web before this offset have been looked at.
    pub(crate) url_until: usize,
}

impl Pass<'_> {
    /// The main loop. It takes 64 bytes at a time, as bit sets of the places
    /// where something may start: with a branch for each byte the processor
    /// would guess wrong about once a word, which costs more than the work.
    fn run(&mut self, ahead: &mut Vec<Ahead>) {
        let bytes = self.bytes;
        let mut at = 0;
        let mut behind_letter = false;
        let block_at = |base| if base < bytes.len() { Block::at(bytes, base) } else { Block::default() };
        let mut next = block_at(0);
        for base in (0..bytes.len()).step_by(Block::LEN) {
            let block = std::mem::replace(&mut next, block_at(base + Block::LEN));
            // What has been read is done with.
            let starts = block.word_starts(behind_letter) & not_before(at, base);
            let mut stops = starts | block.others & not_before(at, base);
            behind_letter = block.ends_with_letter();
            self.look_ahead([&block, &next], base, starts, ahead);
            let mut words = ahead.iter();
            while stops != 0 {
                let bit = stops.trailing_zeros();
                stops &= stops - 1;
                let start = base + bit as usize;
                at = if block.letters >> bit & 1 == 0 {
                    self.other(start)
                } else if let Some(ahead) = words.find(|ahead| ahead.word.start == start) {
                    let Ahead { word, asked, .. } = ahead;
                    if self.is_of_no_matter(ahead) {
                        self.recent.push(word.hash);
                        word.end
                    } else {
                        self.word(word, self.engine.lexicon.answer(word, *asked))
                    }
                } else {
                    start + 1
                };
                stops &= not_before(at, base);
            }
        }
    }

    /// Reads the words of a block and asks for them all before any is looked at:
    /// the lists are larger than the caches near the processor, and so the reads
    /// of several words are under way at the same time.
    #[inline]
    fn look_ahead(&self, [block, next]: [&Block; 2], base: usize, mut starts: u64, ahead: &mut Vec<Ahead>) {
        ahead.clear();
        while starts != 0 {
            let bit = starts.trailing_zeros();
            let (word, behind) = words::read_in(self.text, base + bit as usize, block.letters_from(bit, next));
            ahead.push(Ahead { word, asked: self.engine.lexicon.ask(&word), behind });
            starts &= starts - 1;
        }
    }

    /// What stands at an offset and is no ASCII letter.
    fn other(&mut self, i: usize) -> usize {
        match self.bytes.get(i) {
            Some(b'0'..=b'9') => self.number(i),
            Some(b'@') => self.email(i),
            Some(b':') => {
                if self.bytes.get(i + 1..i + 3) == Some(b"//") {
                    self.url(i);
                }
                self.ipv6(i)
            }
            Some(b'/') => {
                self.slash(i);
                i + 1
            }
            _ => self.high(i),
        }
    }

    /// A character outside ASCII: a letter or something between.
    fn high(&mut self, i: usize) -> usize {
        match self.text.get(i..).and_then(|rest| rest.chars().next()) {
            Some(c) if letters::is_letter(c) => {
                let word = words::read_once(self.text, i);
                self.word(&word, self.engine.lexicon.classes(word.hash))
            }
            Some(c) => i + c.len_utf8(),
            None => i + 1,
        }
    }

    /// A word in small letters that is in no list of use. Most words are.
    #[inline]
    fn is_of_no_matter(&self, Ahead { word, asked, behind }: &Ahead) -> bool {
        // As bits, so that one branch decides: of truths the compiler would make a
        // branch for each, and the processor would guess wrong more often.
        let speaks = self.engine.lexicon.trace_of_phrase(word.hash, self.recent.last())
            | self.names.trace(word.hash)
            | u64::from(asked.may_matter)
            | u64::from(self.cue.is_some())
            | u64::from(word.may_be_initial(*behind))
            // An IBAN may be written in small letters.
            | u64::from(behind.is_ascii_digit());
        speaks == 0 && !self.may_go_on(word)
    }

    fn word(&mut self, word: &Word, classes: Classes) -> usize {
        if word.end == word.start {
            return word.start + 1;
        }
        if self.starts_iban(word)
            && matches!(word.end - word.start, 2 | 6)
            && let Some(end) = self.iban(word.end - 2)
        {
            return end;
        }
        if self.is_no_name(word, classes) {
            // No name stands directly behind the cue.
            self.cue = None;
            self.remember(word, classes);
            return word.end;
        }
        if classes.has(Classes::AT)
            && let Some(end) = self.at_word(word)
        {
            return end;
        }
        if classes.has(Classes::NUMBER_WORD)
            && let Some(end) = self.spelled_number(word)
        {
            self.forget();
            return end;
        }
        if let Some(end) = self.name(word, classes) {
            self.forget();
            // For the words behind a name it is worth to know that one stood here.
            self.recent.push(A_NAME);
            self.named_until = end;
            return end;
        }
        self.remember(word, classes);
        word.end
    }

    /// A word in small letters that starts no name and no number, whatever
    /// stands around it.
    #[inline]
    fn is_no_name(&self, word: &Word, classes: Classes) -> bool {
        const OTHER: Classes = Classes::of(&[Classes::AT, Classes::NUMBER_WORD]);
        const CUED: Classes = Classes::of(&[Classes::GIVEN, Classes::SURNAME, OTHER]);
        const ALONE: Classes = Classes::of(&[Classes::NAME_ALONE, OTHER]);
        let asked = std::hint::select_unpredictable(self.cue.is_some(), CUED, ALONE);
        // Bits as in `is_of_no_matter`, for the same reason.
        let speaks = self.names.trace(word.hash)
            | u64::from((classes & asked).bits())
            // Behind a strong cue any word may be a name.
            | u64::from(self.cue.is_some_and(|cue| !cue.cue.is_faint()))
            | u64::from(word.shape != Shape::Lower)
            | u64::from(self.names.is_in_run(word.start))
            | u64::from(self.may_be_small_initial(word));
        speaks == 0
    }

    /// A word of the last run that the lists know may be one of its names.
    #[inline]
    fn may_go_on(&self, word: &Word) -> bool {
        self.names.is_in_run(word.start) && self.engine.lexicon.classes(word.hash).matters_small()
    }

    #[inline]
    pub(crate) fn may_be_small_initial(&self, word: &Word) -> bool {
        word.may_be_initial(self.bytes.get(word.end).copied().unwrap_or_default())
    }

    /// Shifts the word into the recent ones and looks whether a cue ends here.
    fn remember(&mut self, word: &Word, classes: Classes) {
        self.recent.push(word.hash);
        let alone = self.engine.lexicon.trace_of_cue(words::join(0, word.hash)) & classes.mask_of_phrase(1);
        let together = self.engine.lexicon.trace_of_phrase(word.hash, self.recent.back(2));
        if alone | together == 0 {
            return;
        }
        let longest = if together == 0 { 1 } else { classes.longest_phrase() };
        let mut phrase = 0;
        let mut secret = None;
        // The longest phrase wins: "I am not" is none, though "am" may be.
        for (words, hash) in (1..=longest).zip(self.recent.newest_first()) {
            phrase = words::join(phrase, hash);
            if classes.has(Classes::ends_phrase(words))
                && let Some(cue) = self.engine.lexicon.cue(phrase)
            {
                match cue {
                    Cue::Token | Cue::Key | Cue::Passcode | Cue::Password => secret = Some(cue),
                    _ => self.cue = Some(Pending { cue, end: word.end, label: false }),
                }
            }
        }
        if let Some(cue) = secret {
            self.secret(cue, word.end);
        }
    }

    pub(crate) fn forget(&mut self) {
        self.recent = Recent::default();
        self.cue = None;
    }

    /// Reports a span for all rules of a finder. `raise` is what the finder
    /// itself adds to the rule's score. Says whether one took it.
    pub(crate) fn report(&mut self, finder: Finder, start: usize, end: usize, raise: f32, evidence: Evidence) -> bool {
        let engine = self.engine;
        let mut taken = false;
        for &rule in engine.finders.get(finder as usize).map_or(&[][..], Vec::as_slice) {
            taken |= self.propose(rule, start, end, raise, evidence);
        }
        taken
    }

    pub(crate) fn propose(
        &mut self,
        rule: RuleId,
        start: usize,
        end: usize,
        raise: f32,
        mut evidence: Evidence,
    ) -> bool {
        let index = usize::from(rule.0);
        let Some(scoring) = self.engine.rules.get(index).filter(|_| self.plan.treatment(rule).state != State::Off)
        else {
            return false;
        };
        let mut score = scoring.score + raise;
        if !scoring.is_deaf()
            && let Some(found) = self.context(rule, start, end)
        {
            evidence |= found.evidence;
            score += if found.evidence == Evidence::AGAINST { -found.weight } else { found.weight };
        }
        self.submit(rule, start, end, score, evidence)
    }

    /// Takes a span with its final score, if that is enough. Says whether other
    /// rules need not look at the place any more.
    pub(crate) fn submit(&mut self, rule: RuleId, start: usize, end: usize, score: f32, evidence: Evidence) -> bool {
        let Treatment { operator, threshold, state } = self.plan.treatment(rule);
        if state == State::Off {
            return false;
        }
        if let Some(near) = self.near.as_deref_mut() {
            near.push(Candidate { start, end, rule, score, operator, evidence });
        }
        // The small slack takes the rounding of sums of tenths.
        if score < threshold - 0.001 {
            return false;
        }
        let score = score.clamp(threshold, 1.0);
        self.out.push(Candidate { start, end, rule, score, operator, evidence });
        // What is in shadow must not keep other rules from the place.
        state == State::On
    }

    /// The context word that is nearest in front, else the label, else the
    /// first behind on the same line.
    fn context(&self, rule: RuleId, start: usize, end: usize) -> Option<Verdict> {
        let scoring = self.engine.rules.get(usize::from(rule.0))?;
        let mut in_front = Nearest::new(self.engine, scoring);
        let from = self.text.floor_char_boundary(start.saturating_sub(CONTEXT_BEFORE));
        if let Some(before) = self.text.get(from..start) {
            // A word that the window cuts is another word.
            let cut = self.before(from).is_some_and(char::is_alphabetic);
            let whole = if cut { before.trim_start_matches(char::is_alphabetic) } else { before };
            words::each_with_gaps(whole, |gap, word| {
                // In "order 4711, phone …" the first word says nothing of the second.
                if gap.iter().any(|b| b.is_ascii_digit() || matches!(b, b',' | b';' | b'/' | b'|' | b'\n')) {
                    in_front.last = None;
                }
                if let Some(hash) = word {
                    in_front.step(hash);
                }
            });
        }
        // Of `key=value` the key says what the value is, and nothing else does.
        if self.bytes.get(start.wrapping_sub(1)) == Some(&b'=') {
            return in_front.last;
        }
        if in_front.found.is_some() {
            return in_front.found;
        }
        let mut label = Nearest::new(self.engine, scoring);
        self.label.iter().for_each(|&hash| label.step(hash));
        match label.found {
            Some(found) if found.evidence == Evidence::CONTEXT => {
                return Some(Verdict { evidence: Evidence::LABEL, ..found });
            }
            Some(against) => return Some(against),
            None => {}
        }
        let to = self.text.floor_char_boundary((end + CONTEXT_BEHIND).min(self.text.len()));
        let behind = self.text.get(end..to).unwrap_or_default();
        let cut = self.at(to).is_some_and(char::is_alphabetic);
        let whole = if cut { behind.trim_end_matches(char::is_alphabetic) } else { behind };
        let behind = whole.lines().next().unwrap_or_default();
        let mut first = None;
        words::each_in_text(behind, |hash| {
            if first.is_none() && self.engine.listened.may_heed(hash) {
                first = scoring.judge(hash);
            }
        });
        first.filter(|found: &Verdict| found.evidence == Evidence::CONTEXT)
    }

    /// The character in front of an offset.
    #[inline]
    pub(crate) fn before(&self, at: usize) -> Option<char> {
        match self.bytes.get(at.checked_sub(1)?)? {
            b if b.is_ascii() => Some(char::from(*b)),
            _ => self.high_before(at),
        }
    }

    #[cold]
    #[inline(never)]
    fn high_before(&self, at: usize) -> Option<char> {
        self.text.get(..at).and_then(|t| t.chars().next_back())
    }

    /// The character at an offset.
    #[inline]
    pub(crate) fn at(&self, at: usize) -> Option<char> {
        match self.bytes.get(at)? {
            b if b.is_ascii() => Some(char::from(*b)),
            _ => self.high_at(at),
        }
    }

    #[cold]
    #[inline(never)]
    fn high_at(&self, at: usize) -> Option<char> {
        self.text.get(at..).and_then(|t| t.chars().next())
    }
}
