//! Tokens for values: from the cache, from the store, or new.
//!
//! A value's token is a keyed function of entity, value and a counter. The
//! counter is 0 unless that token stands for another value of the subject;
//! then it is the next that fits. So the same questions in the same order lead
//! everybody to the same token, and the store's put-if-absent decides between
//! two who ask at once.

use super::error::VaultError;
use super::retention::PurposeId;
use super::seal::Nonces;
use super::subject::State;
use super::subject_keys::{Origin, SubjectKeys, is_anonymized};
use super::{Shared, clock};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Batch, Blind, Outcome};
use crate::token::Token;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// How many tokens are tried for one value. Even the second is rare: a subject
/// with a million values of one entity needs it once in 30 000.
pub(super) const MAX_COUNTER: u32 = 1000;

pub(super) const NO_ROOM: VaultError =
    VaultError::Unavailable { cause: Cow::Borrowed("a subject has too many values of one entity") };

/// How often a subject's keys may change under one call.
const MAX_ADOPTIONS: usize = 8;

pub(super) async fn tokenize(
    vault: &Shared,
    state: &State,
    purpose: Option<PurposeId>,
    values: &[(Entity, &str)],
) -> Result<Vec<Token>, VaultError> {
    let mut minting = Minting::start(vault, state, state.keys_to_write(vault).await?, values)?;
    let mut adoptions = 0;
    loop {
        minting.look_up().await?;
        if minting.open.is_empty() {
            return Ok(minting.tokens);
        }
        let contact = if minting.keys.are_stored() { None } else { Some(state.contact(vault).await?) };
        if let Some((_, keys)) = &contact
            && (keys.are_stored() || !Arc::ptr_eq(keys, &minting.keys))
        {
            // Another call was first, or another key has come into use.
            adoptions += 1;
            minting = Minting::start(vault, state, Arc::clone(keys), values)?;
            continue;
        }
        match vault.store.put(minting.batch(purpose)?).await? {
            Outcome::Stored => {
                if let Some((contact, _)) = contact {
                    contact.end(vault, state.row, &minting.keys).await?;
                }
                minting.settle();
            }
            Outcome::Taken(records) => minting.yield_to(&records)?,
            Outcome::Superseded(standing) => {
                // Another key may have to come into use.
                drop(contact);
                adoptions += 1;
                if adoptions > MAX_ADOPTIONS {
                    return Err(VaultError::unavailable("the keys of a subject keep changing"));
                }
                let keys = state.adopt(vault, &minting.keys, standing).await?;
                minting = Minting::start(vault, state, keys, values)?;
            }
        }
    }
}

/// One batch on its way. `tokens` has a token for every value; those of the
/// values in `open` are not known to be right.
struct Minting<'a> {
    vault: &'a Shared,
    state: &'a State,
    keys: Arc<SubjectKeys>,
    values: &'a [(Entity, &'a str)],
    /// The state's doubts when this began.
    doubts: u64,
    tokens: Vec<Token>,
    open: Vec<Open>,
}

/// A value whose token neither cache nor (where `absent`) store knows.
struct Open {
    index: usize,
    entity: Entity,
    counter: u32,
    absent: bool,
}

impl<'a> Minting<'a> {
    fn start(
        vault: &'a Shared,
        state: &'a State,
        keys: Arc<SubjectKeys>,
        values: &'a [(Entity, &'a str)],
    ) -> Result<Self, VaultError> {
        let (doubts, tokens) = (state.doubts(), Vec::with_capacity(values.len()));
        let mut minting = Self { vault, state, keys, values, doubts, tokens, open: Vec::new() };
        for (index, (entity, value)) in values.iter().enumerate() {
            let (token, open) = minting.first_fit(index, *entity, value, 0)?;
            minting.tokens.push(token);
            minting.open.extend(open);
        }
        Ok(minting)
    }

    /// The first token from `counter` on that the cache does not know to be
    /// another value's. Open, where the cache does not know it at all.
    fn first_fit(
        &self,
        index: usize,
        entity: Entity,
        value: &str,
        from: u32,
    ) -> Result<(Token, Option<Open>), VaultError> {
        for counter in from..MAX_COUNTER {
            let token = self.keys.token(entity, value, counter, self.vault.token_mask);
            match self.vault.remembered(self.state, &token) {
                Some(same) if same.expose() == value => return Ok((token, None)),
                Some(_) => {}
                // Where a look-up is a round trip, it is taken for absent: the
                // write says whether it is.
                None => {
                    return Ok((token, Some(Open { index, entity, counter, absent: self.vault.store.is_shared() })));
                }
            }
        }
        Err(NO_ROOM)
    }

    /// Moves a value to its next token, as this one is another value's.
    fn advance(&mut self, open: &Open) -> Result<(), VaultError> {
        let (token, next) = self.first_fit(open.index, open.entity, self.value(open), open.counter + 1)?;
        if let Some(place) = self.tokens.get_mut(open.index) {
            *place = token;
        }
        self.open.extend(next);
        Ok(())
    }

    /// Asks the store for the open tokens, until each is known or absent.
    async fn look_up(&mut self) -> Result<(), VaultError> {
        loop {
            let (mut absent, unread): (Vec<_>, Vec<_>) = self.open.drain(..).partition(|open| open.absent);
            if unread.is_empty() {
                self.open = absent;
                return Ok(());
            }
            if !self.keys.are_stored() {
                // No mapping was ever made under keys that are not stored.
                absent.extend(unread.into_iter().map(|open| Open { absent: true, ..open }));
                self.open = absent;
                continue;
            }
            let tokens: Vec<Token> = unread.iter().map(|open| self.token(open)).collect();
            let records = self.vault.store.mappings(self.state.row, &tokens).await?;
            self.open = absent;
            for ((open, token), record) in unread.into_iter().zip(tokens).zip(records) {
                match record {
                    None => self.open.push(Open { absent: true, ..open }),
                    Some(record) => self.compare(&open, token, &record)?,
                }
            }
        }
    }

    /// Settles a value whose token has a record: the same value, or the next
    /// token.
    fn compare(&mut self, open: &Open, token: Token, record: &[u8]) -> Result<(), VaultError> {
        if is_anonymized(record) {
            // Nobody knows what it stood for, and it never stands for a value again.
            return self.advance(open);
        }
        let value = self.keys.open_value(self.state.row, &token, record)?;
        let same = value.expose() == self.value(open);
        self.state.remember(self.vault, &self.keys, token, Arc::new(value), self.doubts);
        if same { Ok(()) } else { self.advance(open) }
    }

    /// Seals what is to be written. Where two values meet at one token, the
    /// later one waits for the next batch: it moves on to another token only
    /// once this one is known to be another value's for good.
    fn batch(&mut self, purpose: Option<PurposeId>) -> Result<Batch, VaultError> {
        let mut firsts: HashMap<Token, usize> = HashMap::with_capacity(self.open.len());
        let mut minted = Vec::with_capacity(self.open.len());
        for open in &mut self.open {
            // Every index comes from enumerating `values`, so all are there.
            let Some(token) = self.tokens.get(open.index) else { continue };
            match firsts.entry(*token) {
                Entry::Vacant(free) => {
                    free.insert(open.index);
                    minted.push((*token, open.index));
                }
                Entry::Occupied(first) => open.absent = self.values.get(*first.get()) == self.values.get(open.index),
            }
        }
        let mut nonces = Nonces::default();
        let origin = Origin { created: clock::unix_seconds(), purpose };
        let mut found_by: Vec<Blind> = Vec::new();
        for (token, index) in &minted {
            let value = self.values.get(*index).map_or("", |(_, value)| *value);
            found_by.extend(self.vault.entry(self.state.identity().0, token.entity(), value));
        }
        let mappings = minted.into_iter().map(|(token, index)| {
            let value = self.values.get(index).map_or("", |(_, value)| *value);
            let nonce = nonces.next()?;
            let sealed = self.keys.seal(self.state.row, &token, token.entity(), value, origin, nonce);
            sealed.map(|record| (token, record))
        });
        Ok(Batch {
            row: self.state.row,
            subject: Arc::clone(self.keys.record()),
            first_contact: !self.keys.are_stored(),
            mappings: mappings.collect::<Result<_, _>>()?,
            found_by,
            // Of the first token of its kind, before anybody gets it: in a reply
            // through other replicas they would not look for it.
            is_told: self.keys.are_stored() && self.state.lacks(self.open.iter().map(|open| open.entity)),
        })
    }

    /// The batch is durable.
    fn settle(&mut self) {
        if !self.keys.are_stored() {
            self.keys.mark_stored();
        }
        let (stored, waiting) = self.open.drain(..).partition(|open| open.absent);
        self.open = waiting;
        for open in stored {
            let value = Arc::new(Sensitive::from(self.value(&open)));
            self.state.remember(self.vault, &self.keys, self.token(&open), value, self.doubts);
        }
    }

    /// Somebody else was first with some of the tokens.
    fn yield_to(&mut self, records: &[(Token, Vec<u8>)]) -> Result<(), VaultError> {
        let records: HashMap<_, _> = records.iter().map(|(token, record)| (*token, record)).collect();
        for open in std::mem::take(&mut self.open) {
            let token = self.token(&open);
            match records.get(&token).filter(|_| open.absent) {
                Some(record) => self.compare(&open, token, record)?,
                None => self.open.push(open),
            }
        }
        Ok(())
    }

    fn token(&self, open: &Open) -> Token {
        // Every index comes from enumerating `values`, so the token is there.
        self.tokens.get(open.index).copied().unwrap_or_else(|| Token::new(open.entity, 0))
    }

    fn value(&self, open: &Open) -> &'a str {
        self.values.get(open.index).map_or("", |(_, value)| *value)
    }
}
