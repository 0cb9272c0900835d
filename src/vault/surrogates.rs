//! A subject's surrogates: chosen under its token key, stored like values, and
//! all at hand once the first is asked for, as a reply is searched for them.

use super::error::VaultError;
use super::mint::NO_ROOM;
use super::retention::PurposeId;
use super::seal::random;
use super::subject::State;
use super::subject_keys::{Origin, SubjectKeys};
use super::{Shared, clock};
use crate::entity::Entity;
use crate::sensitive::Sensitive;
use crate::store::{Batch, Outcome};
use crate::surrogate::{self, ATTEMPTS, Matcher, Part, Search};
use crate::token::Token;
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

/// A subject has no more of them; further values get tokens.
const MAX: usize = 4096;

/// How often a choice is made again because of others.
const MAX_ROUNDS: usize = 64;

/// How often surrogates are chosen again because their texts stand somewhere
/// already; then their values get tokens.
const MAX_STANDING: usize = 8;

/// Says which texts stand somewhere already, in their order: such a surrogate
/// would be taken for what stands there.
pub type Standing<'s> = dyn Fn(Arc<Search>) -> Pin<Box<dyn Future<Output = Vec<bool>> + Send + 's>> + Sync + 's;

/// What a surrogate stands for.
#[derive(Clone)]
pub struct Surrogate {
    /// The kind of the value.
    pub entity: Entity,
    /// The value itself.
    pub value: Arc<Sensitive>,
}

/// Finds the surrogates of a subject in text.
pub type SurrogateMatcher = Matcher<Surrogate>;

/// The surrogates of a subject at one time.
#[derive(Clone, Default)]
pub struct Surrogates(Option<Arc<Snapshot>>);

struct Snapshot {
    list: Vec<(String, Surrogate)>,
    /// Finds all of them.
    matcher: Arc<SurrogateMatcher>,
    /// Says which of them stand somewhere already.
    search: OnceLock<Arc<Search>>,
}

impl Surrogates {
    /// Finds all of them but those that stand in a text of the client's own;
    /// none where none is left.
    pub async fn matcher(&self, standing: &Standing<'_>) -> Option<Arc<SurrogateMatcher>> {
        let snapshot = self.0.as_ref()?;
        let search = || Arc::new(Search::new(snapshot.list.iter().map(|(text, _)| text.as_str())));
        let marks = standing(Arc::clone(snapshot.search.get_or_init(search))).await;
        if !marks.contains(&true) {
            return Some(Arc::clone(&snapshot.matcher));
        }
        let left = snapshot.list.iter().zip(marks).filter(|(_, stands)| !stands).map(|(one, _)| one.clone());
        Some(Arc::new(Matcher::new(left))).filter(|matcher| !matcher.is_empty())
    }
}

impl fmt::Debug for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surrogate({})", self.entity)
    }
}

impl fmt::Debug for Surrogates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surrogates({})", self.0.as_ref().map_or(0, |snapshot| snapshot.list.len()))
    }
}

/// What is known of a subject's surrogates in this process.
#[derive(Default)]
pub(super) struct Known {
    all: Vec<(String, Surrogate)>,
    /// Places in `all`.
    by_value: HashMap<Entity, HashMap<Keyed, Vec<usize>>>,
    texts: HashSet<String>,
    /// What was handed out last, as long as nothing was added.
    shared: Option<Surrogates>,
    /// The record of the subject's keys for which the store was asked.
    loaded_for: Option<Arc<[u8]>>,
    /// About how many bytes all of this takes.
    cost: usize,
}

/// A value that others are found by. Its memory is wiped like that of all.
#[derive(PartialEq, Eq)]
struct Keyed(Arc<Sensitive>);

impl Borrow<str> for Keyed {
    fn borrow(&self) -> &str {
        self.0.expose()
    }
}

impl Hash for Keyed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.expose().hash(state);
    }
}

/// A surrogate that is not stored yet.
struct New {
    text: String,
    entity: Entity,
    value: Sensitive,
}

/// Which texts may be used in one request, as far as that is known.
#[derive(Default)]
pub(super) struct Choosing {
    avoided: HashSet<String>,
    /// They stand nowhere.
    cleared: HashSet<String>,
    /// How often some stood somewhere.
    stood: usize,
}

/// Surrogates for the values of one request.
struct Choice {
    chosen: Vec<Option<String>>,
    /// What must be stored first.
    new: Vec<New>,
    /// Of these it is not known whether they stand somewhere.
    unclear: Vec<String>,
}

impl Choosing {
    fn refuses(&self, text: &str) -> bool {
        self.avoided.contains(text) || self.stood >= MAX_STANDING && !self.cleared.contains(text)
    }

    /// Asks which of the texts stand somewhere.
    pub(super) async fn clear(&mut self, unclear: Vec<String>, standing: &Standing<'_>) {
        let search = Arc::new(Search::new(unclear.iter().map(String::as_str)));
        let marks = standing(search).await;
        self.stood += usize::from(marks.contains(&true));
        for (text, stands) in unclear.into_iter().zip(marks) {
            if stands { &mut self.avoided } else { &mut self.cleared }.insert(text);
        }
    }
}

impl Known {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Forgets all but those of which `stays` says so, by their places.
    pub(super) fn retain(&mut self, stays: impl Fn(usize) -> bool) {
        for (place, (text, surrogate)) in mem::take(self).all.into_iter().enumerate() {
            if stays(place) {
                self.insert(text, surrogate.entity, surrogate.value.expose());
            }
        }
    }

    /// All of them, as they would be stored.
    pub(super) fn contents(&self) -> impl Iterator<Item = Sensitive> {
        self.all.iter().map(|(text, surrogate)| content(text, surrogate.entity, &surrogate.value))
    }

    /// The place of a surrogate.
    pub(super) fn place(&self, text: &str) -> Option<usize> {
        self.all.iter().position(|(known, _)| known == text)
    }

    /// Lets a surrogate stand for another value; false where there is none.
    pub(super) fn rectify(&mut self, place: usize, value: &str) -> bool {
        let Some((_, surrogate)) = self.all.get_mut(place) else { return false };
        let new = Arc::new(Sensitive::from(value));
        let old = mem::replace(&mut surrogate.value, Arc::clone(&new));
        let of_entity = self.by_value.entry(surrogate.entity).or_default();
        if let Some(places) = of_entity.get_mut(old.expose()) {
            places.retain(|known| *known != place);
        }
        of_entity.entry(Keyed(new)).or_default().push(place);
        self.shared = None;
        true
    }

    fn insert(&mut self, text: String, entity: Entity, value: &str) {
        if !self.texts.insert(text.clone()) {
            return;
        }
        let value = Arc::new(Sensitive::from(value));
        // A text stands in here, in the snapshot, its matcher and its search.
        self.cost += 40 * text.len() + value.expose().len() + 256;
        let of_entity = self.by_value.entry(entity).or_default();
        of_entity.entry(Keyed(Arc::clone(&value))).or_default().push(self.all.len());
        self.all.push((text, Surrogate { entity, value }));
        self.shared = None;
    }

    /// About how many bytes this takes.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Of the surrogates of a value, their places in `all`.
    fn places(&self, entity: Entity, value: &str) -> &[usize] {
        let places = self.by_value.get(&entity).and_then(|of_entity| of_entity.get(value));
        places.map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn share(&mut self) -> Surrogates {
        if let Some(shared) = &self.shared {
            return shared.clone();
        }
        let shared = Surrogates((!self.all.is_empty()).then(|| {
            let matcher = Arc::new(Matcher::new(self.all.iter().cloned()));
            Arc::new(Snapshot { list: self.all.clone(), matcher, search: OnceLock::new() })
        }));
        self.shared = Some(shared.clone());
        shared
    }

    /// Chooses for each value.
    fn choose(&self, values: &[(Entity, &str)], seed: &dyn Fn(Entity, &str) -> u64, choosing: &Choosing) -> Choice {
        let (mut new, mut used) = (Vec::new(), HashSet::new());
        let refused = &|text: &str| choosing.refuses(text);
        let chosen = values
            .iter()
            .map(|(entity, value)| self.choose_one(*entity, value, seed, refused, &mut new, &mut used))
            .collect();
        used.extend(new.iter().map(|new| new.text.clone()));
        let unclear = used.into_iter().filter(|text| !choosing.cleared.contains(text)).collect();
        Choice { chosen, new, unclear }
    }

    fn choose_one(
        &self,
        entity: Entity,
        value: &str,
        seed: &dyn Fn(Entity, &str) -> u64,
        refused: &dyn Fn(&str) -> bool,
        new: &mut Vec<New>,
        used: &mut HashSet<String>,
    ) -> Option<String> {
        let parts = surrogate::parts(entity, value)?;
        let before = new.len();
        let refused = &|text: &str| refused(text) || surrogate::shows(entity, value, text);
        let mut texts = Vec::with_capacity(parts.len());
        for part in &parts {
            let Some(text) = self.choose_part(entity, value, part, seed, refused, new) else {
                new.truncate(before);
                return None;
            };
            texts.push(text);
        }
        let joined = surrogate::join(value, &parts, texts.iter().map(String::as_str));
        let joined = joined.filter(|joined| joined != value);
        if joined.is_none() {
            new.truncate(before);
            return None;
        }
        used.extend(texts);
        joined
    }

    fn choose_part(
        &self,
        entity: Entity,
        value: &str,
        part: &Part,
        seed: &dyn Fn(Entity, &str) -> u64,
        refused: &dyn Fn(&str) -> bool,
        new: &mut Vec<New>,
    ) -> Option<String> {
        let text = value.get(part.at.clone())?;
        let known = self.places(entity, text).iter().filter_map(|at| self.all.get(*at)).map(|(text, _)| text);
        let drafted = new.iter().filter(|new| new.entity == entity && new.value.expose() == text).map(|new| &new.text);
        let usable: Vec<&String> = known.chain(drafted).filter(|text| !refused(text)).collect();
        let seed = seed(entity, &surrogate::seed_text(entity, text));
        let attempts = || (0..ATTEMPTS).filter_map(|attempt| surrogate::attempt(entity, value, part, seed, attempt));
        // Of several the one that would be tried first, whatever the order in
        // which they were read.
        match *usable.as_slice() {
            [] => {}
            [only] => return Some(only.clone()),
            _ => return attempts().find(|made| usable.contains(&made)).or_else(|| usable.into_iter().min().cloned()),
        }
        if self.all.len() + new.len() >= MAX {
            return None;
        }
        let is_free = |text: &str, new: &[New]| {
            !self.texts.contains(text) && !new.iter().any(|other| other.text == text) && !refused(text)
        };
        // Models write names as names are written, so "jana" is also known as "Jana".
        let titled = surrogate::other_spelling(entity, text);
        let of_titled = titled.as_ref().and_then(|titled| self.of_value(entity, titled, new));
        let as_titled = of_titled.as_ref().map(|text| text.to_lowercase()).filter(|made| is_free(made, new));
        let chosen = as_titled.or_else(|| attempts().find(|made| is_free(made, new)))?;
        new.push(New { text: chosen.clone(), entity, value: Sensitive::from(text) });
        if let (Some(value), None, Some(other)) = (titled, of_titled, surrogate::other_spelling(entity, &chosen))
            && is_free(&other, new)
        {
            new.push(New { text: other, entity, value: Sensitive::new(value) });
        }
        Some(chosen)
    }

    /// Some surrogate of a value, stored or not yet.
    fn of_value(&self, entity: Entity, value: &str, new: &[New]) -> Option<String> {
        let known = self.places(entity, value).first();
        let known = known.and_then(|at| self.all.get(*at)).map(|(text, _)| text);
        let drafted =
            || new.iter().find(|new| new.entity == entity && new.value.expose() == value).map(|new| &new.text);
        known.or_else(drafted).cloned()
    }

    /// The same in memory alone, unless it must be asked first which of these
    /// texts stand somewhere.
    pub(super) fn mint(
        &mut self,
        values: &[(Entity, &str)],
        seed: &dyn Fn(Entity, &str) -> u64,
        choosing: &Choosing,
    ) -> Result<Vec<Option<String>>, Vec<String>> {
        let Choice { chosen, new, unclear } = self.choose(values, seed, choosing);
        if !unclear.is_empty() {
            return Err(unclear);
        }
        for New { text, entity, value } in new {
            self.insert(text, entity, value.expose());
        }
        Ok(chosen)
    }
}

/// Surrogates for `values`, durable when this returns; none where a value can
/// have none.
pub(super) async fn mint(
    vault: &Shared,
    state: &State,
    purpose: Option<PurposeId>,
    values: &[(Entity, &str)],
    standing: &Standing<'_>,
) -> Result<Vec<Option<String>>, VaultError> {
    let mut choosing = Choosing::default();
    for _ in 0..MAX_ROUNDS {
        let keys = load(vault, state).await?;
        let Choice { chosen, new, .. } = loop {
            let mut choice = state.surrogates().choose(values, &|entity, text| keys.seed(entity, text), &choosing);
            match mem::take(&mut choice.unclear) {
                none if none.is_empty() => break choice,
                unclear => choosing.clear(unclear, standing).await,
            }
        };
        if new.is_empty() {
            return Ok(chosen);
        }
        let token = |new: &New| keys.token(Entity::SURROGATE, &new.text, 0, vault.token_mask);
        let mut tokens = HashSet::new();
        if let Some(second) = new.iter().find(|new| !tokens.insert(token(new))) {
            choosing.avoided.insert(second.text.clone());
            continue;
        }
        let contact = if keys.are_stored() { None } else { Some(state.contact(vault).await?) };
        if contact.as_ref().is_some_and(|(_, now)| now.are_stored() || !Arc::ptr_eq(now, &keys)) {
            continue;
        }
        let origin = Origin { created: clock::unix_seconds(), purpose };
        let (mut mappings, mut found_by) = (Vec::with_capacity(new.len()), Vec::new());
        for one in &new {
            found_by.extend(vault.entry(state.identity().0, one.entity, one.value.expose()));
            let token = token(one);
            let content = content(&one.text, one.entity, &one.value);
            let sealed = keys.seal(state.row, &token, one.entity, content.expose(), origin, *random()?)?;
            mappings.push((token, sealed));
        }
        let batch = Batch {
            row: state.row,
            subject: Arc::clone(keys.record()),
            first_contact: !keys.are_stored(),
            mappings,
            found_by,
            // In a reply through another replica they would not be looked for.
            is_told: keys.are_stored(),
        };
        let is_first = !keys.are_stored();
        match vault.store.put(batch).await? {
            Outcome::Stored => {
                if let Some((contact, _)) = contact {
                    contact.end(vault, state.row, &keys).await?;
                }
                keys.mark_stored();
                {
                    let mut known = state.surrogates();
                    if !state.keys().are_those_of(&keys) {
                        // The subject was erased meanwhile.
                        continue;
                    }
                    if is_first && known.loaded_for.is_none() {
                        // These are the first of the subject, so there is nothing to load.
                        known.loaded_for = Some(Arc::clone(keys.record()));
                    }
                    for New { text, entity, value } in new {
                        known.insert(text, entity, value.expose());
                    }
                }
                vault.cache.recharge_subject(state.row, state.cost());
                return Ok(chosen);
            }
            // Somebody else was first; their surrogates count.
            Outcome::Taken(records) => {
                for one in &new {
                    let taken = token(one);
                    let Some((_, record)) = records.iter().find(|(token, _)| *token == taken) else { continue };
                    let (text, entity, value) = read(&keys, state, &taken, record)?;
                    if text != one.text {
                        choosing.avoided.insert(one.text.clone());
                    }
                    state.surrogates().insert(text, entity, value.expose());
                }
            }
            Outcome::Superseded(standing) => {
                // Another key may have to come into use.
                drop(contact);
                state.adopt(vault, &keys, standing).await?;
            }
        }
    }
    Err(NO_ROOM)
}

/// Reads the surrogates of the subject from the store, unless that was done;
/// the keys that they are under.
pub(super) async fn load(vault: &Shared, state: &State) -> Result<Arc<SubjectKeys>, VaultError> {
    let (doubts, mut keys) = (state.doubts(), state.keys());
    if state.is_certain(vault) && state.surrogates().loaded_for.as_ref() == Some(keys.record()) {
        return Ok(keys);
    }
    keys = state.current_keys(vault).await?;
    // Nothing was ever stored under keys that are not.
    let records = if keys.are_stored() { vault.store.all(state.row, Entity::SURROGATE).await? } else { Vec::new() };
    let mut loaded = Known::default();
    for (token, record) in records {
        let (text, entity, value) = read(&keys, state, &token, &record)?;
        loaded.insert(text, entity, value.expose());
    }
    {
        let mut known = state.surrogates();
        let is_current = state.keys().are_those_of(&keys);
        if is_current && known.loaded_for.as_ref() == Some(keys.record()) {
            for (text, Surrogate { entity, value }) in loaded.all {
                known.insert(text, entity, value.expose());
            }
        } else if is_current {
            *known = loaded;
            let is_whole = keys.are_stored() && state.doubts() == doubts;
            known.loaded_for = is_whole.then(|| Arc::clone(keys.record()));
        }
    }
    vault.cache.recharge_subject(state.row, state.cost());
    Ok(keys)
}

/// What is kept of a surrogate: its text, the entity, and the value.
pub(super) fn content(text: &str, entity: Entity, value: &Sensitive) -> Sensitive {
    Sensitive::new(format!("{text}\0{entity}\0{}", value.expose()))
}

/// The parts of such a content.
pub(super) fn parts(content: &str) -> Option<(&str, Entity, &str)> {
    let mut fields = content.splitn(3, '\0');
    Some((fields.next()?, fields.next()?.parse().ok()?, fields.next()?))
}

fn read(
    keys: &SubjectKeys,
    state: &State,
    token: &Token,
    record: &[u8],
) -> Result<(String, Entity, Sensitive), VaultError> {
    let content = keys.open_value(state.row, token, record)?;
    let corrupt = VaultError::Corrupt { what: "record of a surrogate" };
    let (text, entity, value) = parts(content.expose()).ok_or(corrupt)?;
    Ok((text.to_owned(), entity, Sensitive::from(value)))
}
