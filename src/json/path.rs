//! Where a value stands in its text.

use super::Str;

/// The way from the root to a value.
#[derive(Debug, Clone)]
pub struct Path<'a> {
    steps: Vec<Step<'a>>,
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into an object, to the value of this key.
    Key(Str<'a>),
    /// Into an array, to the value at this place; the first is 0.
    Index(u32),
}

impl<'a> Path<'a> {
    /// All steps, the outermost first; none for the root.
    pub fn steps(&self) -> &[Step<'a>] {
        &self.steps
    }

    /// The key nearest to the value, beyond any array: `content` for
    /// `content[0][1]`.
    pub fn last_key(&self) -> Option<Str<'a>> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(*key),
            Step::Index(_) => None,
        })
    }

    /// How deep the value stands; 0 for the root.
    pub fn depth(&self) -> usize {
        self.steps.len()
    }

    /// Whether the other path differs in nothing but the places in arrays.
    /// Names are held against each other as they are written.
    pub fn is_like(&self, other: &Path<'_>) -> bool {
        let alike = |(one, other): (&Step<'_>, &Step<'_>)| match (one, other) {
            (Step::Index(_), Step::Index(_)) => true,
            (Step::Key(one), Step::Key(other)) => one.raw == other.raw,
            _ => false,
        };
        // Paths differ most at their ends.
        self.steps.len() == other.steps.len() && self.steps.iter().zip(&other.steps).rev().all(alike)
    }

    pub(super) fn root() -> Self {
        // Deeper than chat formats go.
        Self { steps: Vec::with_capacity(16) }
    }

    pub(super) fn push(&mut self, step: Step<'a>) {
        self.steps.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Step<'a>> {
        self.steps.last_mut()
    }
}
