//! A value that was put back for its token.

use crate::sensitive::Sensitive;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The value of a token, shared with the vault that gave it. `Debug` shows its
/// length alone.
#[derive(Clone)]
pub struct Value {
    text: Arc<Sensitive>,
    /// Where the value stands in `text`.
    at: Range<usize>,
}

impl Value {
    pub(super) fn part(text: Arc<Sensitive>, at: Range<usize>) -> Self {
        Self { text, at }
    }

    /// The value itself. Every call is a place where personal data is used.
    pub fn expose(&self) -> &str {
        self.text.expose().get(self.at.clone()).unwrap_or_default()
    }
}

impl From<Arc<Sensitive>> for Value {
    fn from(text: Arc<Sensitive>) -> Self {
        let at = 0..text.expose().len();
        Self { text, at }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.at.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_is_wiped_with_its_last_holder() {
        let Value { text, at } = Value::from(Arc::new(Sensitive::from("ana")));
        crate::vault::seal::wiping::shown_elsewhere::<Arc<Sensitive>>(&text);
        crate::vault::seal::wiping::no_secret(&at);
    }

    #[test]
    fn a_value_may_be_a_part_of_a_text() {
        let text = Arc::new(Sensitive::from("anabo"));
        let (ana, whole) = (Value::part(Arc::clone(&text), 0..3), Value::from(text));
        assert_eq!((ana.expose(), whole.expose()), ("ana", "anabo"));
        assert_ne!(ana, whole);
        assert_eq!(ana, Value::from(Arc::new(Sensitive::from("ana"))));
        assert_eq!(format!("{ana:?}"), "Value(3 bytes)");
    }
}
