//! Training of the name model from labelled text: what is learned from, how,
//! and how good it got on texts that were held back.
//!
//! The weights are those of a conditional random field, found by stochastic
//! gradient descent with steps per weight (`AdaGrad`; Duchi, Hazan, Singer 2011)
//! and averaged over the rounds. Several models are trained, each with other
//! names in the templates, other variants and another order; their mean is the
//! model: what only one of them happened to learn fades, what all learned stays.
//! The same samples in the same order with the same seed give the same model.

mod template;
mod vary;

use crate::detect::name::feature::{FEATURES, IDENTITY, Opinion, Slots, Surroundings, TABLE_BITS};
use crate::detect::name::model::{self, BEGINS, GOES_ON, Model, OTHER, Odds, Transitions};
use crate::detect::name::run::{MAX_RUN, Run, Token};
use crate::detect::scan::{self, Pass, Scratch};
use crate::detect::{Engine, Input};
use crate::entity::Entity;
use std::ops::Range;
pub use template::TemplateError;
pub(crate) use vary::Chance;

/// Labelled text.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The text.
    pub text: String,
    /// The names in it, in bytes, in order, not overlapping.
    pub names: Vec<Range<usize>>,
    /// What may be found or not: it is neither learned nor counted.
    pub doubtful: Vec<Range<usize>>,
}

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How often all samples are gone through.
    pub rounds: usize,
    /// Of how many models the mean is taken.
    pub models: usize,
    /// Where all chance comes from.
    pub seed: u64,
    /// The probability from which on a word is one of a name.
    pub threshold: f32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { rounds: 8, models: 8, seed: 1, threshold: 0.5 }
    }
}

/// How far the training is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The model that is being trained, from 1.
    pub model: usize,
    /// Its round that ended, from 1.
    pub round: usize,
    /// Names of the held-back samples that were found to the letter.
    pub right: usize,
    /// Spans that were found in them.
    pub found: usize,
    /// Names in them.
    pub wanted: usize,
}

impl Progress {
    /// The harmonic mean of precision and recall, 0 to 1.
    pub fn f1(&self) -> f64 {
        let all = self.found + self.wanted;
        if all == 0 { 0.0 } else { 2.0 * self.right as f64 / all as f64 }
    }
}

/// Why no model came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// There is nothing to learn.
    #[error("no name is labelled PERSON in the samples; the model needs some to learn from")]
    NoNames,
}

/// The entity that is trained.
const PERSON: Entity = Entity::constant("PERSON");

/// A run to learn from.
struct Lecture {
    slots: Vec<Slots>,
    labels: Vec<u8>,
}

/// What the pass is told and what it collects while it goes through a sample.
pub(crate) struct Lesson {
    chance: Chance,
    names: Vec<Range<usize>>,
    doubtful: Vec<Range<usize>>,
    lectures: Vec<Lecture>,
}

/// What one of the models learns from: the samples with its own variants.
struct Student {
    chance: Chance,
    samples: Vec<Sample>,
}

/// Collects samples and learns from them.
pub struct Trainer {
    engine: Engine,
    schedule: Schedule,
    lists: vary::Lists,
    students: Vec<Student>,
    held: Vec<Sample>,
    scratch: Scratch,
}

impl Trainer {
    /// A trainer whose features come from the engine's rules and lists.
    pub fn new(engine: Engine, schedule: Schedule) -> Self {
        let seeds = (0..schedule.models.max(1) as u64).map(|n| schedule.seed.wrapping_add(n));
        let student = |seed| Student { chance: Chance::new(seed), samples: Vec::new() };
        Self {
            engine,
            schedule,
            lists: vary::Lists::builtin(),
            students: seeds.map(student).collect(),
            held: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Adds a sample to learn from, and variants of it: with other names, many
    /// of which stand in no list, in small letters, in capitals.
    pub fn learn(&mut self, sample: &Sample) {
        for student in &mut self.students {
            let variants = vary::variants(sample, &self.lists, &mut student.chance);
            student.samples.push(sample.clone());
            student.samples.extend(variants);
        }
    }

    /// Adds `times` samples for each line of a template file.
    pub fn learn_templates(&mut self, text: &str, times: usize) -> Result<(), TemplateError> {
        for student in &mut self.students {
            for sample in template::expand(text, times, &self.lists, &mut student.chance)? {
                let variant = vary::in_other_case(&sample, &mut student.chance);
                student.samples.push(sample);
                student.samples.extend(variant);
            }
        }
        Ok(())
    }

    /// Adds a sample to measure with.
    pub fn hold_back(&mut self, sample: Sample) {
        self.held.push(sample);
    }

    /// A number that is another one when the features of the samples are others.
    #[cfg(test)]
    pub(super) fn fingerprint(&mut self) -> u64 {
        let samples = self.students.first().map(|s| s.samples.clone()).unwrap_or_default();
        let lectures = self.lectures(&samples, 1);
        let slots = lectures.iter().flat_map(|l| l.slots.as_flattened());
        slots.fold(0xcbf2_9ce4_8422_2325, |hash, slot| (hash ^ u64::from(*slot)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// The runs of the samples, as they are learned from.
    fn lectures(&mut self, samples: &[Sample], seed: u64) -> Vec<Lecture> {
        let mut lesson = Lesson::new(seed);
        for sample in samples {
            lesson.names.clone_from(&sample.names);
            lesson.doubtful.clone_from(&sample.doubtful);
            scan::teach(&self.engine, &sample.text, &mut self.scratch, &mut lesson);
        }
        lesson.lectures
    }

    /// Learns, and gives the bytes of a model file.
    pub fn train(mut self, mut told: impl FnMut(Progress)) -> Result<Vec<u8>, TrainError> {
        let students = std::mem::take(&mut self.students);
        let mut learner = Learner::new();
        for (n, mut student) in students.into_iter().enumerate() {
            let lectures = self.lectures(&student.samples, self.schedule.seed.wrapping_add(n as u64));
            if !lectures.iter().any(|l| l.labels.iter().any(|label| usize::from(*label) != OTHER)) {
                return Err(TrainError::NoNames);
            }
            learner.start_model();
            let mut order: Vec<usize> = (0..lectures.len()).collect();
            for round in 1..=self.schedule.rounds.max(1) {
                student.chance.shuffle(&mut order);
                for lecture in order.iter().filter_map(|&i| lectures.get(i)) {
                    learner.step(lecture, &mut student.chance);
                }
                learner.end_round();
                self.engine.model = learner.model(self.schedule.threshold);
                told(self.measure(n + 1, round));
            }
        }
        Ok(self.engine.model.to_bytes())
    }

    fn measure(&mut self, model: usize, round: usize) -> Progress {
        let mut progress = Progress { model, round, right: 0, found: 0, wanted: 0 };
        for sample in &self.held {
            let found = self.engine.scan(Input::text(&sample.text), &mut self.scratch);
            let found = found.iter().filter(|f| f.entity == PERSON).map(|f| f.start..f.end);
            let overlaps = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
            let counted = found.filter(|f| {
                !sample.doubtful.iter().any(|d| overlaps(d, f)) || sample.names.iter().any(|n| overlaps(n, f))
            });
            for span in counted {
                progress.found += 1;
                progress.right += usize::from(sample.names.contains(&span));
            }
            progress.wanted += sample.names.len();
        }
        progress
    }
}

impl Lesson {
    fn new(seed: u64) -> Self {
        Self { chance: Chance::new(!seed), names: Vec::new(), doubtful: Vec::new(), lectures: Vec::new() }
    }

    /// The label of a word.
    fn label(&self, start: usize, end: usize, before: u8) -> u8 {
        let name = self.names.iter().find(|n| n.start < end && start < n.end);
        (match name {
            None => OTHER,
            Some(name) if usize::from(before) == OTHER || start <= name.start => BEGINS,
            Some(_) => GOES_ON,
        }) as u8
    }
}

impl Pass<'_> {
    /// Takes the run into the lesson, and the names that it should have found.
    pub(super) fn learn(&mut self, run: &Run, around: &Surroundings, opinions: &[Opinion; MAX_RUN]) {
        let slots = self.slots(run, around, opinions);
        let unlisted = self.unlisted(run).map(|run| {
            let (opinions, _) = self.opinions(&run);
            self.slots(&run, around, &opinions)
        });
        let Some(lesson) = self.names.lesson.as_deref_mut() else { return };
        let mut labels: Vec<u8> = Vec::with_capacity(run.tokens().len());
        let mut doubtful = false;
        for token in run.tokens() {
            let (start, end) = (token.word.start, token.word.end);
            let before = labels.last().copied().unwrap_or_default();
            labels.push(lesson.label(start, end, before));
            doubtful |= lesson.doubtful.iter().any(|d| d.start < end && start < d.end);
        }
        let spans = &mut self.names.kept.spans;
        for (token, label) in run.tokens().iter().zip(&labels) {
            match usize::from(*label) {
                BEGINS => {
                    let (start, end) = (token.word.start, token.word.end);
                    spans.push(super::Span { start, end, score: 1.0, ..Default::default() });
                }
                GOES_ON => {
                    if let Some(span) = spans.last_mut() {
                        span.end = token.word.end;
                    }
                }
                _ => {}
            }
        }
        if !doubtful || labels.iter().any(|l| usize::from(*l) != OTHER) {
            if let Some(slots) = unlisted {
                lesson.lectures.push(Lecture { slots, labels: labels.clone() });
            }
            lesson.lectures.push(Lecture { slots, labels });
        }
    }

    /// The slots of the features of each word.
    fn slots(&self, run: &Run, around: &Surroundings, opinions: &[Opinion; MAX_RUN]) -> Vec<Slots> {
        let slots = |i| {
            let mut slots = [0; FEATURES];
            let mut show = |kind: usize, slot| slots.get_mut(kind).into_iter().for_each(|room| *room = slot);
            self.features_of_word(run, i, &mut show);
            around.features(run, i, &mut show);
            around.features_of_opinion(run, i, opinions.get(i).copied().unwrap_or_default(), show);
            slots
        };
        (0..run.tokens().len()).map(slots).collect()
    }

    /// Now and then the run as it would be were none of its words in a list of
    /// names: what stands around must tell then.
    fn unlisted(&mut self, run: &Run) -> Option<Run> {
        let chance = &mut self.names.lesson.as_deref_mut()?.chance;
        if !run.tokens().iter().any(Token::is_known) || !chance.happens(UNLISTED) {
            return None;
        }
        Some(run.with(|token| {
            if chance.happens(0.5) {
                token.classes = token.classes.without_names();
            }
        }))
    }
}

/// The weights while they are learned.
struct Learner {
    weights: Vec<[f32; 2]>,
    /// Sums of the squares of the gradients.
    squares: Vec<[f32; 2]>,
    /// Sums of the weights over the rounds of all models that count.
    sums: Vec<[f32; 2]>,
    transitions: Transitions,
    transition_squares: Transitions,
    transition_sums: Transitions,
    /// Rounds of this model.
    rounds: usize,
    /// Rounds that the sums hold.
    summed: usize,
}

/// The length of a step, and what pulls each weight to zero.
const RATE: f32 = 0.15;
const DECAY: f32 = 0.012;
/// The chance that training does not see which word a word is.
const HIDDEN: f32 = 0.4;
/// The chance that a run is learned once more with some of its words in no list
/// of names.
const UNLISTED: f32 = 0.15;

impl Learner {
    fn new() -> Self {
        Self {
            weights: Vec::new(),
            squares: Vec::new(),
            sums: vec![[0.0; 2]; 1 << TABLE_BITS],
            transitions: Transitions::default(),
            transition_squares: Transitions::default(),
            transition_sums: Transitions::default(),
            rounds: 0,
            summed: 0,
        }
    }

    /// Starts another model; only what is summed up stays.
    fn start_model(&mut self) {
        self.weights = vec![[0.0; 2]; 1 << TABLE_BITS];
        self.squares.clone_from(&self.weights);
        self.transitions = Transitions::default();
        self.transition_squares = Transitions::default();
        self.rounds = 0;
    }

    fn step(&mut self, lecture: &Lecture, chance: &mut Chance) {
        let mut emissions = [Odds::default(); MAX_RUN];
        let mut from = [0; MAX_RUN];
        for ((slots, emission), from) in lecture.slots.iter().zip(&mut emissions).zip(&mut from) {
            *from = if chance.happens(HIDDEN) { IDENTITY } else { 0 };
            let mut sums = [0.0_f32; 2];
            for slot in slots.iter().skip(*from) {
                let [b, g] = self.weights[*slot as usize];
                sums[0] += b;
                sums[1] += g;
            }
            *emission = [1.0, sums[0].clamp(-30.0, 30.0).exp(), sums[1].clamp(-30.0, 30.0).exp()];
        }
        let count = lecture.slots.len().min(MAX_RUN);
        let factors = model::factors(&self.transitions);
        let mut odds = [Odds::default(); MAX_RUN];
        model::marginals(&factors, &emissions[..count], &mut odds);
        for (i, slots) in lecture.slots.iter().enumerate().take(count) {
            let label = usize::from(lecture.labels[i]);
            for (side, of) in [BEGINS, GOES_ON].into_iter().enumerate() {
                let gradient = odds[i][of] - f32::from(u8::from(label == of));
                if gradient.abs() < 1e-4 {
                    continue;
                }
                for slot in slots.iter().skip(from[i]) {
                    let slot = *slot as usize;
                    descend(&mut self.weights[slot][side], &mut self.squares[slot][side], gradient);
                }
            }
            // The transitions into this word: what was expected against what is.
            let before = if i == 0 { [1.0, 0.0, 0.0] } else { odds[i - 1] };
            let was = if i == 0 { OTHER } else { usize::from(lecture.labels[i - 1]) };
            let mut expected = Transitions::default();
            let mut sum = 0.0;
            for (a, row) in expected.iter_mut().enumerate() {
                for (b, share) in row.iter_mut().enumerate() {
                    *share = before[a] * factors[a][b] * odds[i][b];
                    sum += *share;
                }
            }
            for (a, row) in expected.iter().enumerate() {
                for (b, weight) in row.iter().enumerate() {
                    let share = if sum > 0.0 { weight / sum } else { 0.0 };
                    let gradient = share - f32::from(u8::from(a == was && b == label));
                    descend(&mut self.transitions[a][b], &mut self.transition_squares[a][b], gradient * 0.5);
                }
            }
        }
    }

    /// The first rounds only find the way; the later ones are averaged.
    fn end_round(&mut self) {
        self.rounds += 1;
        if self.rounds < 3 {
            return;
        }
        self.summed += 1;
        for (sum, weight) in self.sums.as_flattened_mut().iter_mut().zip(self.weights.as_flattened()) {
            *sum += weight;
        }
        let all = self.transition_sums.as_flattened_mut().iter_mut().zip(self.transitions.as_flattened());
        all.for_each(|(sum, weight)| *sum += weight);
    }

    fn model(&self, threshold: f32) -> Model {
        if self.summed == 0 {
            return Model::from_weights(&self.weights, self.transitions, threshold);
        }
        let n = self.summed as f32;
        let mean: Vec<[f32; 2]> = self.sums.iter().map(|w| w.map(|w| w / n)).collect();
        Model::from_weights(&mean, self.transition_sums.map(|row| row.map(|w| w / n)), threshold)
    }
}

fn descend(weight: &mut f32, squares: &mut f32, gradient: f32) {
    let gradient = gradient + DECAY * *weight;
    *squares += gradient * gradient;
    *weight -= RATE * gradient / (squares.sqrt() + 0.1);
}

const _: () = assert!(IDENTITY < FEATURES, "a word is more than its letters");
