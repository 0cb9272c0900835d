//! Why a text is no JSON.

/// The text is no JSON, or too deep. It says where and why, and holds nothing
/// of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {offset}: {fault}")]
pub struct JsonError {
    /// The byte offset at which the text stops being JSON.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong in a text that should be JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A backslash in a string, and no escape of RFC 8259.
    #[error("an unknown escape in a string")]
    BadEscape,
    /// A number that RFC 8259 does not know, like `01` or `1.`.
    #[error("a malformed number")]
    BadNumber,
    /// A control character that stands in a string without an escape.
    #[error("a bare control character in a string")]
    ControlCharacter,
    /// A colon was expected after a key.
    #[error("expected a colon")]
    ExpectedColon,
    /// A comma or the end of the array or object was expected.
    #[error("expected a comma or a closing bracket")]
    ExpectedComma,
    /// A key was expected.
    #[error("expected a key")]
    ExpectedKey,
    /// A value was expected.
    #[error("expected a value")]
    ExpectedValue,
    /// Something follows the value.
    #[error("expected the end")]
    TrailingText,
    /// More arrays and objects in one another than the walk allows.
    #[error("nested too deeply")]
    TooDeep,
    /// The text ends too early.
    #[error("unexpected end")]
    UnexpectedEnd,
}
