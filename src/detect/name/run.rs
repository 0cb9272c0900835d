//! A run: words side by side that may belong to a name, and what stands around
//! them. The model labels a run as a whole.

use crate::detect::lexicon::{Classes, Cue, phrase_hash};
use crate::detect::name::inflection;
use crate::detect::scan::{Pass, Pending};
use crate::detect::words::{self, Shape, Word};

/// More words than this are labelled as two runs.
pub(crate) const MAX_RUN: usize = 12;

/// What stands between a word of a run and the word before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// It is the first.
    First,
    Space,
    Hyphen,
    Apostrophe,
    /// The point of an initial.
    Point,
    /// "Novak, Jana"
    Comma,
}

/// The Arabic article, as it is written in Latin letters.
const ARTICLES: &[&str] = &["al", "el", "ul", "as", "ash", "at", "ar", "ad", "an", "az"];

/// A word of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) word: Word,
    pub(crate) classes: Classes,
    pub(crate) gap: Gap,
}

impl Token {
    /// Fills the room of a run that has no word yet.
    const NONE: Self = Self {
        word: Word { start: 0, end: 0, hash: 0, shape: Shape::Lower },
        classes: Classes::of(&[]),
        gap: Gap::First,
    };

    pub(crate) fn is_known(&self) -> bool {
        self.classes.has(Classes::of(&[Classes::GIVEN, Classes::SURNAME]))
    }

    pub(crate) fn is_ordinary(&self) -> bool {
        self.classes.has(Classes::of(&[Classes::COMMON, Classes::PLACE, Classes::AFTER]))
    }

    /// One bit each for a given name, a family name and an ordinary word.
    pub(crate) fn listed(&self) -> usize {
        let name = |class| usize::from(self.classes.has(class));
        name(Classes::GIVEN) | name(Classes::SURNAME) << 1 | usize::from(self.is_ordinary()) << 2
    }

    #[inline]
    pub(crate) fn is_particle(&self) -> bool {
        self.classes.has(Classes::PARTICLE) && self.is_small_or_no_name()
    }

    fn is_small_or_no_name(&self) -> bool {
        match self.word.shape {
            Shape::Lower => true,
            // "Ben Goldacre"
            Shape::Capitalised => {
                !self.classes.has(Classes::FREQUENT_GIVEN) && (self.classes.has(Classes::STOP) || !self.is_known())
            }
            _ => false,
        }
    }

    /// "May Whitaker called", "N. Whitaker": what stands in front of a name so is
    /// one the sooner.
    pub(crate) fn is_in_front_of(&self, next: &Self) -> bool {
        let given = self.word.shape == Shape::Capitalised
            && self.classes.has(Classes::GIVEN)
            && next.gap == Gap::Space
            && next.classes.has(Classes::SURNAME)
            && !next.is_ordinary();
        let initial = self.word.shape == Shape::Initial && next.gap == Gap::Point;
        (given || initial) && next.word.shape == Shape::Capitalised
    }

    pub(crate) fn len(&self) -> usize {
        self.word.end - self.word.start
    }

    /// "I" to "XXIII", as kings and popes are counted.
    pub(crate) fn is_numeral(&self, text: &str) -> bool {
        matches!(self.word.shape, Shape::Upper | Shape::Initial)
            && self.len() <= 5
            && text
                .get(self.word.start..self.word.end)
                .is_some_and(|t| t.bytes().all(|b| matches!(b, b'I' | b'V' | b'X')))
    }
}

/// The words of a run; never empty.
pub(crate) struct Run {
    room: [Token; MAX_RUN],
    count: usize,
    /// The word behind that is none of the run, and its classes.
    behind: Option<(Word, Classes)>,
    pub(crate) cue: Option<Pending>,
}

impl Run {
    /// A run of one word so far.
    #[inline]
    pub(crate) fn new(word: Word, classes: Classes, cue: Option<Pending>) -> Self {
        let mut run = Self { room: [Token::NONE; MAX_RUN], count: 0, behind: None, cue };
        run.push(Token { word, classes, gap: Gap::First });
        run
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        self.room.get(..self.count).unwrap_or_default()
    }

    pub(crate) fn start(&self) -> usize {
        self.tokens().first().map_or(0, |t| t.word.start)
    }

    pub(crate) fn end(&self) -> usize {
        self.tokens().last().map_or(0, |t| t.word.end)
    }

    /// The same words, each changed.
    pub(crate) fn with(&self, change: impl FnMut(&mut Token)) -> Self {
        let mut run = Self { room: self.room, ..*self };
        run.room.iter_mut().take(run.count).for_each(change);
        run
    }

    fn push(&mut self, token: Token) -> bool {
        let Some(slot) = self.room.get_mut(self.count) else { return false };
        *slot = token;
        self.count += 1;
        true
    }
}

impl Pass<'_> {
    /// Adds the words behind the first that may belong to its name.
    pub(crate) fn complete(&self, run: &mut Run) {
        while let Some(last) = run.tokens().last().copied() {
            let Some((start, gap)) = self.joint(&last, run.count == 1) else { break };
            let Some(word) = words::read(self.text, start) else { break };
            let listed = self.engine.lexicon.classes(word.hash);
            let classes = inflection::classes(&self.engine.lexicon, self.text, &word, listed);
            let token = Token { word, classes, gap };
            if !self.continues(&last, &token) || !run.push(token) {
                run.behind = Some((word, listed));
                break;
            }
        }
        while run.count > 1 && run.tokens().last().is_some_and(|t| t.is_particle() && t.word.shape == Shape::Lower) {
            run.count -= 1;
        }
    }

    /// The word that starts at an offset behind the run, and its classes.
    #[inline]
    pub(crate) fn word_behind(&self, run: &Run, at: usize) -> Option<(Word, Classes)> {
        run.behind.filter(|(word, _)| word.start == at).or_else(|| self.listed_word(at))
    }

    /// The word that starts at an offset, and its classes.
    pub(crate) fn listed_word(&self, at: usize) -> Option<(Word, Classes)> {
        let word = words::read(self.text, at)?;
        Some((word, self.engine.lexicon.classes(word.hash)))
    }

    /// Whether a word may stand in a name behind the last one.
    #[expect(clippy::needless_bitwise_bool, reason = "the processor would guess branches wrong")]
    fn continues(&self, last: &Token, token: &Token) -> bool {
        let (word, classes) = (&token.word, token.classes);
        // Most words behind a name are small and in no list of names.
        let small = (word.shape == Shape::Lower) & (token.gap != Gap::Hyphen) & (token.gap != Gap::Apostrophe);
        if word.is_too_long() || (small && !self.continues_small(last, token)) {
            return false;
        }
        if token.gap == Gap::Space && self.is_local_part(word) {
            // "Jana Novak jana@example.com"
            return false;
        }
        if matches!(token.gap, Gap::Hyphen | Gap::Apostrophe) {
            // "Ludovic al XIV-lea": what is hung on capitals is an ending.
            return word.shape != Shape::Lower
                || last.word.shape == Shape::Lower
                || (token.len() <= 5 && !last.is_numeral(self.text));
        }
        if token.gap == Gap::Space
            && token.is_numeral(self.text)
            && (last.word.shape == Shape::Capitalised || last.is_particle())
        {
            return true;
        }
        let initial = self.is_initial(word)
            || (word.shape == Shape::Initial && (self.has_capital_next(word.end) || self.is_parted_initial(word)));
        if classes.has(Classes::TITLE) || (self.is_cue_alone(token) && !token.is_particle() && !self.is_initial(word)) {
            return false;
        }
        // "Nguyễn Văn An"
        let goes_on = word.shape == Shape::Capitalised && token.is_known() && last.word.shape == Shape::Capitalised;
        if classes.has(Classes::STOP)
            && !token.is_particle()
            && !initial
            && !goes_on
            && !self.is_name_in_spite(word, classes)
        {
            return false;
        }
        match word.shape {
            Shape::Initial => initial || self.is_parted_initial(word) || self.is_free_initial(word),
            Shape::Hump => false,
            _ => true,
        }
    }

    /// The same for a word in small letters, but for what holds of all words.
    #[inline]
    fn continues_small(&self, last: &Token, token: &Token) -> bool {
        let small = last.word.shape == Shape::Lower;
        // "ed sheeran"
        let unlisted = small & (token.classes.bits() == 0) & last.classes.has(Classes::FREQUENT_GIVEN);
        (token.is_known() & !token.is_ordinary()) | (small & (last.len() == 1)) | (unlisted & (token.len() > 3))
            // "al-Sadr", but not "Sharon le-a cerut"
            || (token.classes.has(Classes::PARTICLE) && !self.is_clitic(token.word.end))
    }

    /// A hyphen and a small letter stand at `end`.
    fn is_clitic(&self, end: usize) -> bool {
        self.bytes.get(end) == Some(&b'-') && self.at(end + 1).is_some_and(char::is_lowercase)
    }

    /// Whether a word starts the local part of a mail address.
    fn is_local_part(&self, word: &Word) -> bool {
        let more = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-');
        let rest = self.bytes.get(word.end..).unwrap_or_default();
        let Some(at) = rest.iter().take(64).position(|b| !more(b)) else { return false };
        let mut domain = rest.iter().skip(at + 1).take(64).take_while(|b| more(b));
        // "John Griffith@EXAMPLE" is how some programs write an account.
        rest.get(at) == Some(&b'@') && (word.shape == Shape::Lower || domain.any(|b| *b == b'.'))
    }

    /// A function word of some language that is a name in another: "Min-jun",
    /// or "Per" with a capital that no start of a sentence explains.
    pub(crate) fn is_name_in_spite(&self, word: &Word, classes: Classes) -> bool {
        if word.shape != Shape::Capitalised {
            return word.shape == Shape::Lower
                && classes.has(Classes::GIVEN)
                && word.end - word.start > 2
                && self.is_hyphened(word.end);
        }
        self.is_hyphened(word.end)
            || (classes.has(Classes::FREQUENT_GIVEN) && word.end - word.start > 2)
            || (classes.has(Classes::GIVEN)
                && ((word.end - word.start > 2 && !self.starts_sentence(word.start))
                    || self.has_capital_next(word.end)))
            // "when De Jong scores"
            || (classes.has(Classes::PARTICLE) && !self.starts_sentence(word.start) && self.has_capital_next(word.end))
    }

    /// A space stands at `end`, and a word with a capital that is no function word.
    pub(crate) fn has_capital_next(&self, end: usize) -> bool {
        self.bytes.get(end) == Some(&b' ')
            && words::read(self.text, end + 1).is_some_and(|next| {
                matches!(next.shape, Shape::Capitalised | Shape::Mixed)
                    && !self.engine.lexicon.classes(next.hash).has(Classes::STOP)
            })
    }

    /// A hyphen and a letter stand at `end`.
    fn is_hyphened(&self, end: usize) -> bool {
        self.bytes.get(end) == Some(&b'-') && self.at(end + 1).is_some_and(char::is_alphabetic)
    }

    /// The "k" of "k. wiggins": a small letter, a point, and a name behind it.
    #[inline]
    pub(crate) fn is_small_initial(&self, word: &Word) -> bool {
        self.may_be_small_initial(word) && word.shape == Shape::Lower && self.is_before_small_name(word.end)
    }

    /// A point stands at `end`, and a family name in small letters behind it.
    fn is_before_small_name(&self, end: usize) -> bool {
        let at = end + if self.bytes.get(end + 1) == Some(&b' ') { 2 } else { 1 };
        words::read(self.text, at).is_some_and(|next| {
            let classes = self.engine.lexicon.classes(next.hash);
            next.shape == Shape::Lower
                && next.end - next.start > 2
                && classes.has(Classes::SURNAME)
                && !classes.has(Classes::STOP)
        })
    }

    /// The "O" of "O ' Connor".
    fn is_parted_initial(&self, word: &Word) -> bool {
        self.text.get(word.end..).is_some_and(|t| {
            ["' ", "’ "].iter().any(|quote| {
                t.strip_prefix(' ')
                    .and_then(|t| t.strip_prefix(quote))
                    .is_some_and(|t| t.starts_with(char::is_uppercase))
            })
        })
    }

    /// "Cosmin S", "John F Kennedy": a capital alone, and none of a list.
    fn is_free_initial(&self, word: &Word) -> bool {
        !matches!(self.at(word.end), Some(c) if c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '/' | '&' | '+' | ':'))
    }

    /// A word that is a cue by itself and no name: what follows is a run of its own.
    pub(crate) fn is_cue_alone(&self, token: &Token) -> bool {
        token.classes.has(Classes::ends_phrase(1))
            && !token.is_known()
            && self.engine.lexicon.cue(phrase_hash(std::iter::once(token.word.hash))).is_some()
    }

    /// Where the next word would start, and what joins it.
    fn joint(&self, last: &Token, first: bool) -> Option<(usize, Gap)> {
        let end = last.word.end;
        let byte = *self.bytes.get(end)?;
        if byte == b' ' {
            // "O ' Connor", as some tools part words
            if last.len() == 1 && self.text.get(end..).is_some_and(|t| t.starts_with(" ' ") || t.starts_with(" ’ ")) {
                return Some((end + 2 + self.at(end + 1)?.len_utf8(), Gap::Apostrophe));
            }
            return Some((end + 1 + usize::from(self.bytes.get(end + 1) == Some(&b' ')), Gap::Space));
        }
        if !matches!(byte, b'-' | b'\'' | b'.' | b',' | 128..) {
            return None;
        }
        match self.at(end)? {
            // "Jean- Marc"
            '-' if self.bytes.get(end + 1) == Some(&b' ') => {
                let capital = self.at(end + 2).is_some_and(char::is_uppercase);
                (capital && last.len() > 1).then_some((end + 2, Gap::Hyphen))
            }
            c @ ('\u{a0}' | '\u{202f}') => Some((end + c.len_utf8(), Gap::Space)),
            c @ ('-' | '\u{2010}' | '\u{2011}') => Some((end + c.len_utf8(), Gap::Hyphen)),
            c @ ('\'' | '’') if last.len() <= 2 => Some((end + c.len_utf8(), Gap::Apostrophe)),
            '.' if last.word.shape == Shape::Initial || self.is_small_initial(&last.word) => {
                let at = if self.bytes.get(end + 1) == Some(&b' ') { end + 2 } else { end + 1 };
                Some((at, Gap::Point))
            }
            ',' if first && self.bytes.get(end + 1) == Some(&b' ') => {
                let next = words::read(self.text, end + 2)?;
                let classes = self.engine.lexicon.classes(next.hash);
                let given = classes.has(Classes::GIVEN) && !classes.has(Classes::COMMON) && !classes.has(Classes::STOP);
                let family = (last.classes.has(Classes::SURNAME) || !last.is_known())
                    && !last.is_ordinary()
                    && !last.classes.has(Classes::CITY)
                    && (!last.classes.has(Classes::FREQUENT_GIVEN) || last.classes.has(Classes::FREQUENT_SURNAME));
                let capitals =
                    matches!((last.word.shape, next.shape), (Shape::Capitalised | Shape::Mixed, Shape::Capitalised));
                (given && family && capitals && !self.is_listed(next.end)).then_some((end + 2, Gap::Comma))
            }
            _ => None,
        }
    }

    /// "Burgess, Adrian, Novak", "Pralea, Adrian Novak": behind the second name
    /// stands what makes it one of a list, not the given name of the first.
    fn is_listed(&self, end: usize) -> bool {
        let gap = match (self.bytes.get(end), self.bytes.get(end + 1)) {
            (Some(b','), Some(b' ')) => 2,
            (Some(b' '), _) => 1,
            _ => return false,
        };
        let Some(next) = words::read(self.text, end + gap) else { return false };
        let classes = self.engine.lexicon.classes(next.hash);
        let capital = matches!(next.shape, Shape::Capitalised | Shape::Mixed);
        match gap {
            2 => capital,
            _ => {
                classes.has(Classes::AND) || (capital && classes.has(Classes::SURNAME) && !classes.has(Classes::GIVEN))
            }
        }
    }

    /// Where the article starts that a hyphen joins to the word at `start`:
    /// "al-Sadr".
    pub(crate) fn article_before(&self, start: usize) -> Option<usize> {
        let text = self.text.get(..start)?.strip_suffix('-')?;
        let before = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let free = !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '@' | '#' | '.'));
        (free && ARTICLES.contains(&text.get(before.len()..)?)).then_some(before.len())
    }

    /// Whether the word at place `i` is an article that a hyphen joins to the next.
    pub(crate) fn is_article(&self, run: &Run, i: usize) -> bool {
        let (Some(token), Some(next)) = (run.tokens().get(i), run.tokens().get(i + 1)) else { return false };
        next.gap == Gap::Hyphen
            && next.word.shape == Shape::Capitalised
            && token.gap == Gap::Space
            && self.text.get(token.word.start..token.word.end).is_some_and(|t| ARTICLES.contains(&t))
    }

    /// "J." of "J. Novak", "O'" of "O'Brien"; not "I'" of "I'm".
    pub(crate) fn is_initial(&self, word: &Word) -> bool {
        word.shape == Shape::Initial
            && match self.at(word.end) {
                Some('.') => true,
                Some(c @ ('\'' | '’')) => self.at(word.end + c.len_utf8()).is_some_and(char::is_uppercase),
                _ => false,
            }
    }

    /// The cue that waits for a name at `start`, if only light punctuation
    /// stands between.
    pub(crate) fn cue_at(&mut self, start: usize) -> Option<Pending> {
        let mut pending = self.cue?;
        let gap = match self.text.get(pending.end..start) {
            Some(gap) if gap.len() <= 6 => gap,
            _ => {
                self.cue = None;
                return None;
            }
        };
        if gap != " " {
            if !gap.chars().all(|c| is_light(c) || (c == '.' && pending.cue == Cue::Title)) {
                self.cue = None;
                return None;
            }
            match pending.cue {
                Cue::Strong | Cue::Weak | Cue::Hint | Cue::Title if gap.contains('\n') && !pending.label => {
                    return None;
                }
                Cue::Weak | Cue::Hint | Cue::Title if gap.contains([',', '!', '(']) => return None,
                _ => {}
            }
        }
        match pending.cue {
            // A farewell stands on the line before; else it is but a word of thanks.
            Cue::SignOff if !gap.contains('\n') => pending.cue = Cue::Greeting,
            Cue::Field if pending.label || gap.contains([':', '=']) => pending.cue = Cue::Strong,
            Cue::Field => pending.cue = Cue::Hint,
            _ => {}
        }
        Some(pending)
    }
}

/// What may stand between a cue and its name.
fn is_light(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\t' | ',' | ':' | '"' | '\'' | '*' | '\n' | '\r' | '-' | '=' | '“' | '„' | '’' | '!' | '('
    )
}

#[cfg(test)]
mod tests {
    use crate::detect::{Engine, Input, Scratch};

    /// The names that are found in a text.
    fn names(text: &str) -> Vec<&str> {
        let engine = Engine::builtin().unwrap();
        let found = engine.scan(Input::text(text), &mut Scratch::default()).to_vec();
        found.iter().filter(|f| f.entity.as_str() == "PERSON").map(|f| &text[f.start..f.end]).collect()
    }

    #[test]
    fn a_numeral_belongs_to_the_name_and_its_ending_does_not() {
        assert_eq!(names("Regele Ferdinand al XIV-lea a murit la Viena."), ["Ferdinand al XIV"]);
        assert_eq!(names("Thanks to Anna I found the parcel."), ["Anna"]);
    }

    #[test]
    fn a_pronoun_that_hangs_on_a_verb_ends_a_name() {
        assert_eq!(names("Premierul Vasile Ionescu le-a cerut asta."), ["Vasile Ionescu"]);
        assert_eq!(names("my name is Fatima al-Zahrani, hello"), ["Fatima al-Zahrani"]);
    }

    #[test]
    fn an_account_with_a_program_behind_it_is_a_name_and_an_address_is_none() {
        assert_eq!(names("To: Robert Hartwell@EXAMPLE"), ["Robert Hartwell"]);
        assert_eq!(names("Contact Maria Lopez maria.lopez@example.com"), ["Maria Lopez"]);
    }

    #[test]
    fn an_arabic_article_belongs_to_the_name_behind_it() {
        assert_eq!(names("The cleric Hamid al-Rashid left; al-Rashid said no."), ["Hamid al-Rashid", "al-Rashid"]);
        // What stands in front of the hyphen is no article.
        assert_eq!(names("Thanks to ex-Rashid and a/al-Rashid"), [""; 0]);
    }

    #[test]
    fn a_comma_joins_a_family_and_a_given_name_but_not_the_names_of_a_list() {
        assert_eq!(names("Contact: Kowalska, Maria (sales)"), ["Kowalska, Maria"]);
        assert_eq!(names("Contact: Kowalska, Maria and Peter"), ["Kowalska", "Maria", "Peter"]);
        assert_eq!(names("Contact: Kowalska, Maria, Novak"), ["Kowalska", "Maria", "Novak"]);
        assert_eq!(names("Poeți ca Pralea, Dimitrie Mihalache"), ["Pralea", "Dimitrie Mihalache"]);
    }

    #[test]
    fn initials_belong_to_the_name_and_names_of_a_list_are_apart() {
        assert_eq!(names("activitatea lui N. Ionescu și colonelul M.A. Dobre"), ["N. Ionescu", "M.A. Dobre"]);
        assert_eq!(names("Opere de Mozart, Bach și Vivaldi au fost cântate."), ["Mozart", "Bach", "Vivaldi"]);
    }
}
