//! Walks a JSON text (RFC 8259) and says where its strings and numbers stand,
//! so that single values can be replaced and all other bytes stay as they are.
//!
//! Nothing is built: a [`Visitor`] sees every value with its path, in the
//! order of the text, double keys included.

mod error;
mod path;
mod plain;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod string;
mod walker;

pub use error::{Fault, JsonError};
pub use path::{Path, Step};
pub use string::{ESCAPE_MEMORY, OffsetMap, Str, escape, unescape};
pub(crate) use walker::escape_end;
pub use walker::{walk, walk_within};

/// Arrays and objects may stand this deep in one another, where nothing else is
/// said.
pub const MAX_DEPTH: usize = 128;

/// What [`walk`] calls for each part of the text. Every `start` is a byte
/// offset in the text. The path is that of the value; for a key, that of its
/// object.
#[expect(unused_variables, reason = "the default bodies pass everything over")]
pub trait Visitor<'a> {
    /// A key of the object at `path`.
    fn key(&mut self, path: &Path<'a>, key: Str<'a>) {}

    /// A string value.
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {}

    /// A number as it is written; of any length and size.
    fn number(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {}

    /// `true`, `false` or `null`.
    fn literal(&mut self, path: &Path<'a>, raw: &'a str, start: usize) {}

    /// An object's open brace.
    fn begin_object(&mut self, path: &Path<'a>, start: usize) {}

    /// An object's close brace.
    fn end_object(&mut self, path: &Path<'a>, start: usize) {}

    /// An array's open bracket.
    fn begin_array(&mut self, path: &Path<'a>, start: usize) {}

    /// An array's close bracket.
    fn end_array(&mut self, path: &Path<'a>, start: usize) {}
}
