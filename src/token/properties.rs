//! What must hold of the restorer for every input. The property tests and the
//! fuzz targets share it.

use std::sync::Arc;

use super::{Kinds, MAX_HELD, Piece, Restorer, Token};
use crate::entity::Entity;

/// A piece that owns its text; texts next to each other are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// Text without a token.
    Text(String),
    /// A token and how it stood.
    Token(Token, String),
}

/// Kinds that make trouble: one name begins another, one is two words, one
/// starts with a letter that has look-alikes.
pub fn kinds() -> Arc<Kinds> {
    let names = ["EMAIL", "IP", "IPX", "CREDIT_CARD", "CREDIT", "PERSON", "DATE_OF_BIRTH"];
    Arc::new(Kinds::new(names.map(Entity::constant)))
}

/// The pieces of a text that is pushed in these parts.
pub fn restore<'t>(kinds: &Arc<Kinds>, parts: impl IntoIterator<Item = &'t str>) -> Vec<Owned> {
    let mut pieces = Vec::new();
    let mut restorer = Restorer::new(Arc::clone(kinds));
    let mut out = |piece: Piece<'_>| match (piece, pieces.last_mut()) {
        (Piece::Text(text), Some(Owned::Text(last))) => last.push_str(text),
        (Piece::Text(text), _) => pieces.push(Owned::Text(text.to_owned())),
        (Piece::Token { token, raw }, _) => pieces.push(Owned::Token(token, raw.to_owned())),
    };
    for part in parts {
        restorer.push(part, &mut out);
        assert!(restorer.held().len() < MAX_HELD);
    }
    restorer.finish(&mut out);
    assert_eq!(restorer.held(), "");
    pieces
}

/// Cuts `text` at the boundaries of characters nearest before each of `cuts`.
pub fn cut<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut cuts: Vec<_> = cuts.iter().map(|&at| text.floor_char_boundary(at)).collect();
    cuts.push(0);
    cuts.push(text.len());
    cuts.sort_unstable();
    cuts.windows(2).filter_map(|pair| text.get(pair[0]..pair[1])).collect()
}

/// The pieces are the text, and do not depend on how it is cut. Gives the
/// pieces.
pub fn cuts_change_nothing(kinds: &Arc<Kinds>, text: &str, cuts: &[usize]) -> Vec<Owned> {
    let whole = restore(kinds, [text]);
    let joined: String = whole
        .iter()
        .map(|piece| match piece {
            Owned::Text(text) | Owned::Token(_, text) => text.as_str(),
        })
        .collect();
    assert_eq!(joined, text);
    assert_eq!(restore(kinds, cut(text, cuts)), whole, "{:?}", cut(text, cuts));
    whole
}

/// A token that parses prints as it stood, and is found where it stands.
pub fn parse_agrees_with_print(text: &str) {
    let Some(token) = Token::parse(text) else { return };
    let printed = if text.starts_with('[') { token.to_string() } else { token.bare().to_string() };
    assert_eq!(printed, text);
    assert_eq!(Token::new(token.entity(), token.bits()), token);
    let kinds = Arc::new(Kinds::new([token.entity()]));
    assert_eq!(restore(&kinds, [text]), [Owned::Token(token, text.to_owned())]);
}
