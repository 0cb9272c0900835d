//! Finds what is to be restored in one channel of text: tokens, and in the
//! text between them surrogates.

use super::Context;
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::token::{self, Token};
use crate::vault::Surrogate;
use crate::{surrogate, token::Restorer};
use std::sync::Arc;

/// A piece of the text. All pieces together, with `raw` for what was found, are
/// the text that was pushed.
#[derive(Clone, Copy)]
pub(super) enum Piece<'p> {
    /// Text in which nothing is found; never empty.
    Text(&'p str),
    /// A token, of the subject or not.
    Token { token: Token, raw: &'p str },
    /// A surrogate of the subject, with its value.
    Surrogate { entity: Entity, value: &'p Arc<Sensitive>, raw: &'p str },
}

/// Finds tokens and surrogates in one channel.
pub(super) struct Finder {
    tokens: Restorer,
    /// None where the subject has none.
    surrogates: Option<surrogate::Restorer<Surrogate>>,
}

impl Finder {
    pub(super) fn new(context: &Context) -> Self {
        let surrogates = context.surrogates.as_ref().map(|matcher| surrogate::Restorer::new(Arc::clone(matcher)));
        Self { tokens: Restorer::new(Arc::clone(&context.kinds)), surrogates }
    }

    /// Takes the next text of the channel and gives out what is decided.
    pub(super) fn push(&mut self, text: &str, out: &mut impl FnMut(Piece<'_>)) {
        let surrogates = &mut self.surrogates;
        self.tokens.push(text, &mut |piece| pass(surrogates, &piece, out));
    }

    /// Says that nothing follows and gives out what was held.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let surrogates = &mut self.surrogates;
        self.tokens.finish(&mut |piece| pass(surrogates, &piece, out));
        if let Some(surrogates) = surrogates {
            surrogates.finish(None, &mut |piece| out(found(&piece)));
        }
    }

    /// How many bytes wait for what follows.
    pub(super) fn held(&self) -> usize {
        self.tokens.held().len() + self.surrogates.as_ref().map_or(0, |surrogates| surrogates.held().len())
    }
}

/// Looks for surrogates in what the search for tokens gives out.
fn pass(
    surrogates: &mut Option<surrogate::Restorer<Surrogate>>,
    piece: &token::Piece<'_>,
    out: &mut impl FnMut(Piece<'_>),
) {
    match (surrogates, *piece) {
        (Some(surrogates), token::Piece::Text(text)) => surrogates.push(text, &mut |piece| out(found(&piece))),
        (Some(surrogates), token::Piece::Token { token, raw }) => {
            surrogates.finish(raw.chars().next_back(), &mut |piece| out(found(&piece)));
            out(Piece::Token { token, raw });
        }
        (None, token::Piece::Text(text)) => out(Piece::Text(text)),
        (None, token::Piece::Token { token, raw }) => out(Piece::Token { token, raw }),
    }
}

fn found<'p>(piece: &surrogate::Piece<'p, Surrogate>) -> Piece<'p> {
    match *piece {
        surrogate::Piece::Text(text) => Piece::Text(text),
        surrogate::Piece::Surrogate { value, raw } => {
            Piece::Surrogate { entity: value.entity, value: &value.value, raw }
        }
    }
}
