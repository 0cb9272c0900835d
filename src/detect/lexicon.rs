//! What is known about words: one table from a word's hash to its classes, and
//! one from the hash of a phrase to the cue it is.

use crate::detect::filter::Filter;
use crate::detect::table::Table;
use crate::detect::words::{self, Shape, Word};
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of word classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u32);

impl Classes {
    /// A given name.
    pub(crate) const GIVEN: Self = Self(1);
    /// A family name.
    pub(crate) const SURNAME: Self = Self(1 << 1);
    /// An ordinary word; as a name it needs more evidence.
    pub(crate) const COMMON: Self = Self(1 << 2);
    /// A function word; never part of a name.
    pub(crate) const STOP: Self = Self(1 << 3);
    /// A place, month, product …; as a name it needs more evidence.
    pub(crate) const PLACE: Self = Self(1 << 4);
    /// Stands inside names in small letters: "de", "van".
    pub(crate) const PARTICLE: Self = Self(1 << 5);
    /// Makes what stands before it no person: "Street", "Inc".
    pub(crate) const ORGANISATION: Self = Self(1 << 6);
    /// Makes what stands behind it less of a person: "the", "der".
    pub(crate) const ARTICLE: Self = Self(1 << 7);
    /// Behind a name it says that it is one: "here", "hier".
    pub(crate) const AFTER: Self = Self(1 << 8);
    /// "at" as it is spelled in addresses.
    pub(crate) const AT: Self = Self(1 << 9);
    /// "dot" as it is spelled in addresses.
    pub(crate) const DOT: Self = Self(1 << 10);
    /// In front of the extension of a telephone number: "ext".
    pub(crate) const EXTENSION: Self = Self(1 << 13);
    /// Starts the name of a place: "North", "Lake".
    pub(crate) const DIRECTION: Self = Self(1 << 14);
    /// A title: "Mr".
    pub(crate) const TITLE: Self = Self(1 << 15);
    /// Joins two of a kind: "and", "or".
    pub(crate) const AND: Self = Self(1 << 16);
    /// A month or a day of the week, in full or in short: "January", "Tue".
    pub(crate) const CALENDAR: Self = Self(1 << 17);
    /// A word of the name of a city, region or country.
    pub(crate) const CITY: Self = Self(1 << 11);
    /// A firm, a brand or a product.
    pub(crate) const BRAND: Self = Self(1 << 18);
    /// A given name that many people bear.
    pub(crate) const FREQUENT_GIVEN: Self = Self(1 << 19);
    /// A family name that many people bear.
    pub(crate) const FREQUENT_SURNAME: Self = Self(1 << 20);
    /// Joins the parts of a spelled address: "underscore", "dash".
    pub(crate) const JOINER: Self = Self(1 << 22);
    /// A name that is no ordinary family name; see [`Self::is_ordinary_surname`].
    /// No list gives it: it follows from the other classes.
    pub(crate) const NAME_ALONE: Self = Self(1 << 21);
    /// Stands in numbers that are read out: "seven", "double".
    pub(crate) const NUMBER_WORD: Self = Self(1 << 23);
    /// A key that holds a person's name.
    pub(crate) const NAME_LABEL: Self = Self(1 << 12);

    /// The word is the last of a phrase of `words` words in the cue table,
    /// `words` being 1 to [`MAX_PHRASE`]: most last words belong to short
    /// phrases only, and the scan need not look for longer ones.
    pub(crate) const fn ends_phrase(words: usize) -> Self {
        Self(1 << (23 + words))
    }

    /// All bits where the word is the last of a phrase of `words` words, else none.
    #[inline]
    pub(crate) const fn mask_of_phrase(self, words: usize) -> u64 {
        ((self.0 >> (23 + words) & 1) as u64).wrapping_neg()
    }

    /// Whether the word is the last of any phrase.
    pub(crate) const fn ends_any_phrase(self) -> bool {
        self.0 >> 24 != 0
    }

    /// Whether the word matters in small letters.
    #[inline]
    pub(crate) fn matters_small(self) -> bool {
        self.stands_alone() || self.ends_any_phrase()
    }

    fn is_name(self) -> bool {
        self.has(Self::of(&[Self::GIVEN, Self::SURNAME]))
    }

    /// Whether it does so as a name or a part of one, of an address or of a number.
    fn stands_alone(self) -> bool {
        const PART: Classes = Classes::of(&[Classes::AT, Classes::PARTICLE, Classes::NUMBER_WORD]);
        self.is_name() && !self.has(Self::STOP) || self.has(PART)
    }

    /// A family name that is an ordinary word too and nothing else: "long". In
    /// small letters it starts no name where nothing announces one.
    #[inline]
    pub(crate) fn is_ordinary_surname(self) -> bool {
        const ORDINARY: Classes = Classes::of(&[Classes::COMMON, Classes::PLACE]);
        const OTHER: Classes = Classes::of(&[Classes::GIVEN, Classes::AT, Classes::PARTICLE, Classes::NUMBER_WORD]);
        self.has(Self::SURNAME) && self.has(ORDINARY) && !self.has(OTHER)
    }

    /// The words of the longest phrase that the word is the last of; 0 for none.
    #[inline]
    pub(crate) const fn longest_phrase(self) -> usize {
        (u32::BITS - (self.0 >> 24).leading_zeros()) as usize
    }

    /// All of the classes together.
    pub(crate) const fn of(all: &[Self]) -> Self {
        let mut bits = 0;
        let mut rest = all;
        while let [first, more @ ..] = rest {
            bits |= first.0;
            rest = more;
        }
        Self(bits)
    }

    const NAMES: u32 = Self::GIVEN.0 | Self::SURNAME.0 | Self::FREQUENT_GIVEN.0 | Self::FREQUENT_SURNAME.0;

    /// The name classes of the set alone.
    pub(crate) const fn names(self) -> Self {
        Self(self.0 & Self::NAMES)
    }

    /// The set without the name classes.
    pub(crate) const fn without_names(self) -> Self {
        Self(self.0 & !Self::NAMES)
    }

    /// The set as a number.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn has(self, class: Self) -> bool {
        self.0 & class.0 != 0
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "given" => Self::GIVEN,
            "surname" => Self::SURNAME,
            "frequent-given" => Self::FREQUENT_GIVEN,
            "frequent-surname" => Self::FREQUENT_SURNAME,
            "common" => Self::COMMON,
            "stop" => Self::STOP,
            "place" => Self::PLACE,
            "particle" => Self::PARTICLE,
            "organisation" => Self::ORGANISATION,
            "and" => Self::AND,
            "article" => Self::ARTICLE,
            "calendar" => Self::CALENDAR,
            "after" => Self::AFTER,
            "at" => Self::AT,
            "dot" => Self::DOT,
            "direction" => Self::DIRECTION,
            "city" => Self::CITY,
            "brand" => Self::BRAND,
            "extension" => Self::EXTENSION,
            "joiner" => Self::JOINER,
            "number-word" => Self::NUMBER_WORD,
            "label" => Self::NAME_LABEL,
            _ => return None,
        })
    }
}

impl BitOr for Classes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Classes {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOrAssign for Classes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a phrase in front of a name says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cue {
    /// "API key": a key or token follows.
    Key,
    /// "verification code": digits follow.
    Passcode,
    /// "password": a secret follows.
    Password,
    /// "from", "and": a name may follow.
    Hint,
    /// "hello", "dear"
    Greeting,
    /// "I am", "call", "from": often a name follows, often not.
    Weak,
    /// "best regards": a name follows on the next line.
    SignOff,
    /// "name": a name follows behind a colon.
    Field,
    /// "my name is": a name follows.
    Strong,
    /// "Mr", "Frau Dr": a name follows.
    Title,
    /// "token", "session id": a random text behind a sign is a key.
    Token,
}

impl Cue {
    /// Whether what follows must look like a name to be one.
    pub(crate) const fn is_faint(self) -> bool {
        matches!(self, Self::Hint | Self::Greeting | Self::Weak | Self::SignOff)
    }

    /// In their order.
    const ALL: [Self; 11] = [
        Self::Key,
        Self::Passcode,
        Self::Password,
        Self::Hint,
        Self::Greeting,
        Self::Weak,
        Self::SignOff,
        Self::Field,
        Self::Strong,
        Self::Title,
        Self::Token,
    ];

    /// From 1, in their order.
    const fn number(self) -> u32 {
        self as u32 + 1
    }

    fn numbered(number: u32) -> Option<Self> {
        Self::ALL.get((number as usize).wrapping_sub(1)).copied()
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "field" => Self::Field,
            "greeting" => Self::Greeting,
            "hint" => Self::Hint,
            "key-cue" => Self::Key,
            "passcode-cue" => Self::Passcode,
            "password-cue" => Self::Password,
            "weak-cue" => Self::Weak,
            "sign-off" => Self::SignOff,
            "strong-cue" => Self::Strong,
            "title" => Self::Title,
            "token-cue" => Self::Token,
            _ => return None,
        })
    }
}

/// Names of the classes in rule files.
pub(crate) const CLASS_NAMES: &str = "given, surname, frequent-given, frequent-surname, and, common, stop, place, particle, organisation, article, after, at, brand, calendar, city, dot, direction, extension, \
     joiner, number-word, label, greeting, hint, field, key-cue, passcode-cue, password-cue, weak-cue, sign-off, strong-cue, title, token-cue";

/// The longest phrase, in words.
pub(crate) const MAX_PHRASE: usize = 5;

/// Of the words of a text that do not matter by themselves in small letters,
/// about one in eighteen is taken for one that may, with the built-in lists.
const SMALL_BITS: u32 = 20;

/// With the built-in cues one phrase in fifty is taken for one.
const PHRASE_BITS: u32 = 16;

/// The compiled word lists.
#[derive(Debug)]
pub(crate) struct Lexicon {
    /// The bits of their classes.
    words: Table,
    /// The cues; see [`Cue::number`].
    phrases: Table,
    /// Of the phrases: nearly all that is asked for is none.
    phrase_filter: Filter,
    /// Of the words that matter in small letters by themselves, where no cue waits.
    small: Filter,
    /// Of the last two words of all longer phrases.
    ends: Filter,
}

impl Lexicon {
    pub(crate) fn builder() -> LexiconBuilder {
        LexiconBuilder { words: Vec::new(), phrases: Vec::new(), ends: Vec::new() }
    }

    /// The classes of the word with this hash.
    #[inline]
    pub(crate) fn classes(&self, hash: u64) -> Classes {
        Classes(self.words.find(hash))
    }

    /// The same in two steps: the memory is read in the first, and nothing waits
    /// for it before the second. A word in small letters that matters by itself
    /// to nobody is not looked for.
    #[inline]
    pub(crate) fn ask(&self, word: &Word) -> Asked {
        let may_matter = (word.shape != Shape::Lower) | self.small.may_hold(word.hash);
        // No branch: whether a word matters the processor cannot guess.
        let classes = self.classes(std::hint::select_unpredictable(may_matter, word.hash, 0));
        Asked { may_matter, classes }
    }

    /// The classes of the word that was asked for.
    #[inline]
    pub(crate) fn answer(&self, word: &Word, asked: Asked) -> Classes {
        if asked.may_matter { asked.classes } else { self.classes(word.hash) }
    }

    /// 0 where a word and the one before it end no longer cue. Of the words that
    /// end phrases, such as "is", few end one where they stand.
    #[inline]
    pub(crate) fn trace_of_phrase(&self, hash: u64, before: u64) -> u64 {
        self.ends.trace(words::join(words::join(0, hash), before))
    }

    /// 0 where a phrase is no cue; nearly all that are asked for are none.
    #[inline]
    pub(crate) fn trace_of_cue(&self, phrase: u64) -> u64 {
        self.phrase_filter.trace(phrase)
    }

    /// The cue that a phrase is.
    #[inline]
    pub(crate) fn cue(&self, phrase: u64) -> Option<Cue> {
        if self.phrase_filter.may_hold(phrase) { Cue::numbered(self.phrases.find(phrase)) } else { None }
    }
}

/// What is known of a word before its classes are.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Whether it may matter, where no cue waits: as a name, as a part of an
    /// address, as a cue of one word. Most words of a text do not.
    pub(crate) may_matter: bool,
    /// Its classes, where it may.
    classes: Classes,
}

/// Why a word could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadWord {
    UnknownClass,
    NotOneWord,
    TooLong,
}

pub(crate) struct LexiconBuilder {
    words: Vec<(u64, Classes)>,
    phrases: Vec<(u64, Cue)>,
    /// The last two words of those that have so many.
    ends: Vec<u64>,
}

impl LexiconBuilder {
    /// Adds a word, or for the cue classes a phrase of up to [`MAX_PHRASE`] words.
    pub(crate) fn add(&mut self, class: &str, text: &str) -> Result<(), BadWord> {
        if let Some(class) = Classes::named(class) {
            let hash = words::hash_of(text).ok_or(BadWord::NotOneWord)?;
            self.words.push((hash, class));
            return Ok(());
        }
        let cue = Cue::named(class).ok_or(BadWord::UnknownClass)?;
        let mut phrase = Vec::new();
        words::each(text, |hash| phrase.push(hash));
        let last = *phrase.last().ok_or(BadWord::NotOneWord)?;
        if phrase.len() > MAX_PHRASE {
            return Err(BadWord::TooLong);
        }
        let class = if cue == Cue::Title && phrase.len() == 1 { Classes::TITLE } else { Classes::default() };
        self.words.push((last, Classes::ends_phrase(phrase.len()) | class));
        if phrase.len() > 1 {
            self.ends.push(phrase_hash(phrase.iter().rev().take(2).copied()));
        }
        self.phrases.push((phrase_hash(phrase.into_iter().rev()), cue));
        Ok(())
    }

    pub(crate) fn build(self) -> Lexicon {
        let mut words = Table::with_room(distinct(&self.words));
        for (hash, class) in &self.words {
            *words.entry(*hash) |= class.bits();
        }
        let mut small = Filter::with_bits(SMALL_BITS);
        for (hash, _) in &self.words {
            let classes = Classes(words.find(*hash));
            if classes.is_name() && !classes.is_ordinary_surname() {
                *words.entry(*hash) |= Classes::NAME_ALONE.bits();
            }
            if classes.stands_alone() && !classes.is_ordinary_surname() || classes.has(Classes::ends_phrase(1)) {
                small.add(*hash);
            }
        }
        let mut phrases = Table::with_room(self.phrases.len());
        let mut phrase_filter = Filter::with_bits(PHRASE_BITS);
        for (hash, cue) in self.phrases {
            phrase_filter.add(hash);
            let slot = phrases.entry(hash);
            *slot = (*slot).max(cue.number());
        }
        let mut ends = Filter::with_bits(PHRASE_BITS);
        self.ends.into_iter().for_each(|end| ends.add(end));
        Lexicon { words, phrases, phrase_filter, small, ends }
    }
}

/// About how many different words there are: many stand in several lists, and
/// a table with room for each of them would be twice as large.
fn distinct(words: &[(u64, Classes)]) -> usize {
    let mut seen = Filter::with_bits(22);
    let mut count = 0;
    for (hash, _) in words {
        count += usize::from(!seen.may_hold(*hash));
        seen.add(*hash);
    }
    // What was taken for another: there is room for some more.
    count + count / 16
}

/// Hash of a phrase from the hashes of its words, the last word first.
pub(crate) fn phrase_hash(words_backwards: impl Iterator<Item = u64>) -> u64 {
    words_backwards.fold(0, words::join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_add_up() {
        let mut builder = Lexicon::builder();
        builder.add("given", "will").unwrap();
        builder.add("common", "Will").unwrap();
        builder.add("strong-cue", "my name is").unwrap();
        let lexicon = builder.build();
        let hash = |s: &str| words::hash_of(s).unwrap();
        let will = lexicon.classes(hash("WILL"));
        assert!(will.has(Classes::GIVEN) && will.has(Classes::COMMON) && !will.has(Classes::SURNAME));
        assert!(lexicon.classes(hash("is")).has(Classes::ends_phrase(3)));
        assert!(lexicon.trace_of_phrase(hash("is"), hash("name")) != 0);
        assert_eq!(lexicon.trace_of_phrase(hash("is"), hash("it")), 0);
        for (text, matters) in [("will", true), ("parcel", false), ("Parcel", true), ("is", false)] {
            let word = words::read(text, 0).unwrap();
            let asked = lexicon.ask(&word);
            assert_eq!(asked.may_matter, matters, "{text}");
            assert_eq!(lexicon.answer(&word, asked), lexicon.classes(word.hash), "{text}");
        }
        let phrase = |s: &str| {
            let mut all = Vec::new();
            words::each(s, |h| all.push(h));
            lexicon.cue(phrase_hash(all.into_iter().rev()))
        };
        assert_eq!(phrase("my name is"), Some(Cue::Strong));
        assert_eq!(phrase("name is"), None);
        assert_eq!(phrase("is name my"), None);
    }

    #[test]
    fn cues_have_numbers() {
        for cue in Cue::ALL {
            assert_eq!(Cue::numbered(cue.number()), Some(cue));
        }
        assert_eq!(Cue::numbered(0), None);
    }

    #[test]
    fn bad_words_are_refused() {
        let mut builder = Lexicon::builder();
        assert_eq!(builder.add("given", "two words"), Err(BadWord::NotOneWord));
        assert_eq!(builder.add("nonsense", "word"), Err(BadWord::UnknownClass));
        assert_eq!(builder.add("title", "a b c d e f"), Err(BadWord::TooLong));
        assert_eq!(builder.add("title", "--"), Err(BadWord::NotOneWord));
    }

    #[test]
    fn a_full_table_still_ends_a_search() {
        let mut builder = Lexicon::builder();
        for a in 'a'..='z' {
            for b in 'a'..='z' {
                for c in 'a'..='h' {
                    builder.add("common", &format!("{a}{b}{c}")).unwrap();
                }
            }
        }
        let lexicon = builder.build();
        assert!(lexicon.classes(words::hash_of("abc").unwrap()).has(Classes::COMMON));
        assert_eq!(lexicon.classes(words::hash_of("abcd").unwrap()), Classes::default());
    }
}
