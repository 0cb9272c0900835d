//! The linear model: a conditional random field (Lafferty, `McCallum`, Pereira
//! 2001) over the labels "begins", "goes on" and "other". A table gives for the
//! slot of a feature the weights of the first two labels; "other" weighs 0.

use crate::detect::name::feature::{FEATURES, TABLE_BITS};
use crate::detect::name::run::MAX_RUN;

/// Labels of a word.
pub(crate) const OTHER: usize = 0;
pub(crate) const BEGINS: usize = 1;
pub(crate) const GOES_ON: usize = 2;
pub(crate) const LABELS: usize = 3;

/// Changes whenever the slots of a word's features do; a test holds it to them. A
/// file made for other features is refused.
pub(crate) const FEATURE_VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"PRIVETNM";
const SLOTS: usize = 1 << TABLE_BITS;
const HEAD: usize = 8 + 4 + 4 + 4 * (1 + 1 + LABELS * LABELS);

/// The probabilities of a word's labels.
pub(crate) type Odds = [f32; LABELS];

/// Transition weights: `[before][now]`.
pub(crate) type Transitions = [[f32; LABELS]; LABELS];

/// The weights of all slots. Its length is known, so that no look-up need check it.
pub(crate) type Weights = [[i8; 2]; SLOTS];

/// Of no model.
static NO_WEIGHTS: Weights = [[0; 2]; SLOTS];

/// What the model learned.
#[derive(Clone)]
pub(crate) struct Model {
    /// The weights of "begins" and "goes on" for each slot, in steps of `step`.
    table: Vec<[i8; 2]>,
    step: f32,
    /// From this probability on a word is one of a name.
    pub(crate) threshold: f32,
    transitions: Transitions,
    /// The exponentials of the transitions.
    factors: Transitions,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

/// Why bytes are no model for this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadModel {
    NoModel,
    OtherFeatures,
    Damaged,
}

impl BadModel {
    /// What is wrong, and the mend.
    pub(crate) const fn problem(self) -> &'static str {
        match self {
            Self::NoModel => "this is no model of names; make one with `privet rules train`",
            Self::OtherFeatures => "this model was made by another version; make it again with `privet rules train`",
            Self::Damaged => {
                "this model is cut short or damaged; copy it again, or make it again with `privet rules train`"
            }
        }
    }
}

impl Model {
    /// A model of real weights, rounded to steps.
    pub(crate) fn from_weights(weights: &[[f32; 2]], transitions: Transitions, threshold: f32) -> Self {
        // What few words weigh so much that it is cut off matters no more.
        const LARGEST: f32 = 4.0;
        let step = LARGEST / 127.0;
        let round = |w: &f32| (w / step).round().clamp(-127.0, 127.0) as i8;
        let mut table: Vec<[i8; 2]> = weights.iter().map(|[b, g]| [round(b), round(g)]).collect();
        table.resize(SLOTS, [0; 2]);
        Self { table, step, threshold, transitions, factors: factors(&transitions) }
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadModel> {
        if !bytes.starts_with(MAGIC) {
            return Err(BadModel::NoModel);
        }
        let mut words = bytes.chunks_exact(4).skip(2).map(|c| match c {
            [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
            _ => 0,
        });
        let mut next = || words.next().ok_or(BadModel::Damaged);
        let (version, sum) = (next()?, next()?);
        if version != FEATURE_VERSION {
            return Err(BadModel::OtherFeatures);
        }
        let step = f32::from_bits(next()?);
        let threshold = f32::from_bits(next()?);
        let mut transitions = Transitions::default();
        for weight in transitions.as_flattened_mut() {
            *weight = f32::from_bits(next()?);
        }
        let finite = step.is_finite() && transitions.as_flattened().iter().all(|w| w.is_finite());
        let body = bytes.get(16..).unwrap_or_default();
        if bytes.len() != HEAD + 2 * SLOTS || checksum(body) != sum || !finite || !(0.0..1.0).contains(&threshold) {
            return Err(BadModel::Damaged);
        }
        let weights = bytes.get(HEAD..).unwrap_or_default().as_chunks::<2>().0;
        let table = weights.iter().map(|pair| pair.map(u8::cast_signed)).collect();
        Ok(Self { table, step, threshold, transitions, factors: factors(&transitions) })
    }

    /// The file's bytes: mark, version, check sum, step, threshold, transitions, table.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(HEAD + 2 * SLOTS);
        let numbers = [self.step, self.threshold];
        for number in numbers.iter().chain(self.transitions.as_flattened()) {
            body.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        body.extend(self.table.as_flattened().iter().map(|w| w.cast_unsigned()));
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FEATURE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&checksum(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// The weights of all slots.
    #[inline]
    pub(crate) fn weights(&self) -> &Weights {
        self.table.as_slice().try_into().unwrap_or(&NO_WEIGHTS)
    }

    /// How much each label of a run's first word weighs, as a factor of its odds.
    /// No name goes on there.
    #[inline]
    pub(crate) fn first_emission(&self, sum: Sum) -> Odds {
        [1.0, self.factor(sum.begins), 0.0]
    }

    /// The same of a word behind the first.
    #[inline]
    pub(crate) fn emission(&self, sum: Sum) -> Odds {
        [1.0, self.factor(sum.begins), self.factor(sum.goes_on)]
    }

    #[inline]
    fn factor(&self, sum: i32) -> f32 {
        // Beyond this there is no doubt, and no exponential runs over.
        (sum as f32 * self.step).clamp(-30.0, 30.0).exp()
    }

    /// The probabilities of the labels of each word, given what each word weighs
    /// by itself: the forward-backward algorithm.
    pub(crate) fn marginals(&self, emissions: &[Odds], odds: &mut [Odds; MAX_RUN]) {
        marginals(&self.factors, emissions, odds);
    }
}

/// What the features of a word weigh together, in steps.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    begins: i32,
    goes_on: i32,
}

impl Sum {
    /// Adds the feature with this slot.
    #[inline]
    pub(crate) fn add(&mut self, weights: &Weights, slot: u32) {
        if let Some([begins, goes_on]) = weights.get(slot as usize) {
            self.begins += i32::from(*begins);
            self.goes_on += i32::from(*goes_on);
        }
    }
}

/// Forward and backward over the run, each step scaled to a sum of one.
pub(crate) fn marginals(factors: &Transitions, emissions: &[Odds], odds: &mut [Odds; MAX_RUN]) {
    let Some((first, rest)) = emissions.split_first() else { return };
    let [start, behind @ ..] = odds;
    // In front of a run stands no name.
    let mut ahead = scaled(times(factors[OTHER], *first));
    *start = ahead;
    for (emission, forward) in rest.iter().zip(behind) {
        let mut now = *emission;
        for (label, odd) in now.iter_mut().enumerate() {
            *odd *= ahead.iter().zip(factors).map(|(a, row)| a * row[label]).sum::<f32>();
        }
        ahead = scaled(now);
        *forward = ahead;
    }
    let Some((last, before)) = odds.get_mut(..emissions.len()).and_then(<[Odds]>::split_last_mut) else { return };
    *last = scaled(*last);
    let mut back = [1.0; LABELS];
    for (odd, emission) in before.iter_mut().zip(rest).rev() {
        let weight = times(*emission, back);
        back = scaled(factors.map(|row| row.iter().zip(weight).map(|(f, w)| f * w).sum()));
        *odd = scaled(times(*odd, back));
    }
}

fn times(one: Odds, other: Odds) -> Odds {
    let mut product = one;
    product.iter_mut().zip(other).for_each(|(odd, factor)| *odd *= factor);
    product
}

/// The factors of transition weights. A name cannot go on where none began.
pub(crate) fn factors(transitions: &Transitions) -> Transitions {
    let mut factors = transitions.map(|row| row.map(f32::exp));
    factors[OTHER][GOES_ON] = 0.0;
    factors
}

fn scaled(odds: Odds) -> Odds {
    let sum: f32 = odds.iter().sum();
    if sum > 0.0 { odds.map(|o| o / sum) } else { [1.0, 0.0, 0.0] }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

const _: () = assert!(FEATURES <= 64, "the sums of a word stay far below the range of their type");

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let mut weights = vec![[0.0; 2]; SLOTS];
        weights[7] = [2.0, -1.0];
        weights[9] = [-9.0, 0.5];
        Model::from_weights(&weights, [[0.5, -0.5, 0.0], [0.0, -1.0, 1.0], [0.0, -2.0, 0.25]], 0.4)
    }

    #[test]
    fn a_file_gives_the_model_back() {
        let bytes = model().to_bytes();
        assert!(bytes.len() < 2_000_000, "{}", bytes.len());
        let read = Model::parse(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        let emission = |model: &Model| {
            let mut sum = Sum::default();
            sum.add(model.weights(), 7);
            model.emission(sum)
        };
        let bits = |odds: Odds| odds.map(f32::to_bits);
        assert_eq!(bits(emission(&read)), bits(emission(&model())));
        assert!(emission(&read)[BEGINS] > 1.9_f32.exp() && emission(&read)[GOES_ON] < 1.0);
    }

    #[test]
    fn other_bytes_are_told_apart() {
        let bytes = model().to_bytes();
        assert_eq!(Model::parse(b"[[rule]]").unwrap_err(), BadModel::NoModel);
        assert_eq!(Model::parse(&bytes[..bytes.len() - 1]).unwrap_err(), BadModel::Damaged);
        assert_eq!(Model::parse(&bytes[..20]).unwrap_err(), BadModel::Damaged);
        for at in [12, 16, 30, HEAD + 7, bytes.len() - 1] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Model::parse(&bad).unwrap_err(), BadModel::Damaged, "byte {at}");
        }
        let mut other = bytes.clone();
        other[8] ^= 1;
        assert_eq!(Model::parse(&other).unwrap_err(), BadModel::OtherFeatures);
    }

    /// All label sequences of a run, each with its weight.
    fn by_hand(factors: &Transitions, emissions: &[Odds]) -> Vec<Odds> {
        let mut sums = vec![[0.0_f64; LABELS]; emissions.len()];
        for code in 0..LABELS.pow(emissions.len() as u32) {
            let labels: Vec<usize> = (0..emissions.len()).map(|i| code / LABELS.pow(i as u32) % LABELS).collect();
            let mut weight = 1.0_f64;
            let mut before = OTHER;
            for (label, emission) in labels.iter().zip(emissions) {
                weight *= f64::from(factors[before][*label] * emission[*label]);
                before = *label;
            }
            labels.iter().zip(&mut sums).for_each(|(label, sum)| sum[*label] += weight);
        }
        sums.iter().map(|s| s.map(|odd| (odd / s.iter().sum::<f64>()) as f32)).collect()
    }

    #[test]
    fn probabilities_are_those_of_all_label_sequences() {
        let model = model();
        let emissions = [[1.0, 3.0, 0.2], [1.0, 0.5, 4.0], [1.0, 0.1, 0.7], [1.0, 2.0, 2.0]];
        for count in 1..=emissions.len() {
            let mut odds = [Odds::default(); MAX_RUN];
            model.marginals(&emissions[..count], &mut odds);
            for (odd, wanted) in odds.iter().zip(by_hand(&model.factors, &emissions[..count])) {
                for label in 0..LABELS {
                    assert!((odd[label] - wanted[label]).abs() < 1e-5, "{odd:?} {wanted:?}");
                }
            }
        }
        // No name goes on where none began.
        let mut odds = [Odds::default(); MAX_RUN];
        model.marginals(&[[1.0, 0.0, 9.0]], &mut odds);
        assert!(odds[0][GOES_ON] < f32::MIN_POSITIVE);
    }
}
