//! Finds what is to be replaced in one channel of text: tokens, in the text
//! between them surrogates, and in what is left data of others, where the
//! route wants that replaced too.

use super::screen::{Other, Screen};
use super::{Context, Pause};
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
    /// Personal data that is not the caller's.
    Other { other: Other, raw: &'p str },
}

impl<'p> Piece<'p> {
    /// The text as it came.
    pub(super) fn raw(&self) -> &'p str {
        match *self {
            Self::Text(raw) | Self::Token { raw, .. } | Self::Surrogate { raw, .. } | Self::Other { raw, .. } => raw,
        }
    }
}

/// Finds what is to be replaced in one channel.
pub(super) struct Finder {
    tokens: Restorer,
    rest: Rest,
    /// In so many pieces came what is held.
    pieces: u32,
}

/// What looks at the text between the tokens.
struct Rest {
    /// None where the subject has none.
    surrogates: Option<surrogate::Restorer<Surrogate>>,
    /// None where data of others passes.
    screen: Option<Screen>,
}

impl Finder {
    /// Of all that is replaced in replies to this caller.
    pub(super) fn new(context: &Context) -> Self {
        let mut finder = Self::of_own(context);
        finder.rest.screen = context.redaction.as_ref().map(|redaction| Screen::new(Arc::clone(redaction)));
        finder
    }

    /// Of the caller's own alone.
    pub(super) fn of_own(context: &Context) -> Self {
        let surrogates = context.surrogates.as_ref().map(|matcher| surrogate::Restorer::new(Arc::clone(matcher)));
        let rest = Rest { surrogates, screen: None };
        Self { tokens: Restorer::new(Arc::clone(&context.kinds)), rest, pieces: 0 }
    }

    /// Takes the next text of the channel and gives out what is decided.
    pub(super) fn push(&mut self, text: &str, out: &mut impl FnMut(Piece<'_>)) {
        self.pieces = self.pieces.saturating_add(u32::from(!text.is_empty()));
        let rest = &mut self.rest;
        self.tokens.push(text, &mut |piece| rest.look(&piece, out));
    }

    /// Says that nothing follows and gives out what was held. The finder is
    /// then as new.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let rest = &mut self.rest;
        self.tokens.finish(&mut |piece| rest.look(&piece, out));
        rest.finish(out);
        self.pieces = 0;
    }

    /// Says that it may be long until something follows: of what is held, what
    /// is likely all that is said for now is given out. A text that came in one
    /// piece is likely a message, and one in many what a model is still at.
    pub(super) fn pause(&mut self, pause: Pause, out: &mut impl FnMut(Piece<'_>)) {
        self.settle_word(out);
        let (next, rest) = (self.tokens.held().chars().next(), &mut self.rest);
        let screen = &mut rest.screen;
        if let Some(surrogates) = &mut rest.surrogates {
            surrogates.finish(next, &mut |piece| screened(screen, found(&piece), out));
        }
        if let Some(screen) = screen {
            screen.pause(if self.pieces > 1 { pause } else { Pause::Silence }, out);
            if screen.is_empty() {
                self.pieces = 0;
            }
        }
    }

    /// Takes a last word for what it is, though it might start a token: most
    /// tokens come in brackets, and most words are words.
    pub(super) fn settle_word(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let rest = &mut self.rest;
        if self.tokens.held().starts_with(char::is_alphabetic) {
            self.tokens.finish(&mut |piece| rest.look(&piece, out));
        }
    }
}

impl Rest {
    fn look(&mut self, piece: &token::Piece<'_>, out: &mut impl FnMut(Piece<'_>)) {
        let screen = &mut self.screen;
        let mut next = |piece: Piece<'_>| screened(screen, piece, out);
        match (&mut self.surrogates, *piece) {
            (Some(surrogates), token::Piece::Text(text)) => surrogates.push(text, &mut |piece| next(found(&piece))),
            (Some(surrogates), token::Piece::Token { token, raw }) => {
                surrogates.finish(raw.chars().next_back(), &mut |piece| next(found(&piece)));
                next(Piece::Token { token, raw });
            }
            (None, token::Piece::Text(text)) => next(Piece::Text(text)),
            (None, token::Piece::Token { token, raw }) => next(Piece::Token { token, raw }),
        }
    }

    fn finish(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let screen = &mut self.screen;
        if let Some(surrogates) = &mut self.surrogates {
            surrogates.finish(None, &mut |piece| screened(screen, found(&piece), out));
        }
        if let Some(screen) = screen {
            screen.finish(out);
        }
    }
}

fn screened(screen: &mut Option<Screen>, piece: Piece<'_>, out: &mut impl FnMut(Piece<'_>)) {
    match screen {
        Some(screen) => screen.push(piece, out),
        None => out(piece),
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
