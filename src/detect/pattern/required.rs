//! What every match of a pattern must hold, read off the pattern: then a text
//! without it needs no search.

use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Class, Hir, HirKind};

/// The shortest literal that is worth looking for.
const MIN_LITERAL: usize = 2;
/// From this length on a literal costs half as much.
pub(super) const LONG: usize = 4;
/// Literals this long are rare enough; behind it they are cut.
pub(super) const MAX_LITERAL: usize = 12;
/// More alternatives than this are no help.
const MAX_LITERALS: usize = 300;
/// A run of letters and digits tells something from this length on.
const MIN_TOKEN: usize = 12;
const MIN_DIGITS: usize = 2;
/// Longer strings are not worth more where others are in long runs.
const WORTH: usize = 8;
/// Few words are so long, and nearly all keys.
pub(super) const LONG_RUN: usize = 16;

/// A part of the text that every match has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// One of these strings.
    Literals(Vec<Literal>),
    /// So many digits in a row.
    Digits(usize),
    /// So many bytes in a row of those that keys and ids are made of.
    Token(usize),
}

/// A string of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Its bytes, folded.
    pub(super) bytes: Vec<u8>,
    /// The bytes that a match may have in front of it.
    pub(super) before: Option<usize>,
    /// It is part of so many bytes in a row of those that keys are made of.
    pub(super) run: usize,
}

impl Literal {
    pub(super) fn is_in_long_run(&self) -> bool {
        self.run >= LONG_RUN
    }
}

/// The best anchor of a pattern; `None` where it has none of use.
pub(super) fn anchor(hir: &Hir) -> Option<Anchor> {
    let literals = literals(hir);
    let shortest = literals.iter().flatten().map(|literal| literal.bytes.len()).min().unwrap_or(0);
    let digits = run(hir, |c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())).best;
    let token = token_run(hir).best;
    // The rarer, the better.
    match literals {
        Some(all) if shortest > 2 || (shortest >= MIN_LITERAL && digits < 5) => Some(Anchor::Literals(all)),
        _ if digits >= MIN_DIGITS => Some(Anchor::Digits(digits)),
        _ if token >= MIN_TOKEN => Some(Anchor::Token(token)),
        _ => None,
    }
}

/// Bytes of keys and ids, and of the addresses that hold some. All bytes
/// outside ASCII count too: a pattern that takes letters in any case takes some
/// of those. A few marks are in that are not needed: every text goes through
/// this, and an order is tested sooner than a list.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch, and loops with one are no vector code")]
pub(super) fn is_token_byte(byte: u8) -> bool {
    (byte >= b'-') | (byte == b'+') | (byte == b'$') | (byte == b'%')
}

fn token_run(hir: &Hir) -> Run {
    run(hir, |c| !c.is_ascii() || is_token_byte(c as u8))
}

/// Strings one of which is in every match.
fn literals(hir: &Hir) -> Option<Vec<Literal>> {
    let start = extracted(hir, 0);
    let inner = match hir.kind() {
        HirKind::Capture(capture) => literals(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => literals(&repetition.sub),
        HirKind::Alternation(all) => {
            let mut joined = Vec::new();
            let complete = all.iter().all(|one| literals(one).map(|mut found| joined.append(&mut found)).is_some());
            (complete && joined.len() <= MAX_LITERALS).then_some(joined)
        }
        HirKind::Concat(all) => {
            let all: Vec<Hir> = all.iter().flat_map(pieces).collect();
            let mut best = None;
            let mut before = Some(0_usize);
            let mut in_front = Run::whole(0);
            for (i, one) in all.iter().enumerate() {
                let tail = all.get(i..).map(|tail| Hir::concat(tail.to_vec()));
                let tail = tail.and_then(|tail| extracted(&tail, in_front.suffix));
                for found in [tail, literals(one)].into_iter().flatten() {
                    let moved = found.into_iter().map(|literal| Literal {
                        before: literal.before.zip(before).map(|(own, before)| own + before),
                        ..literal
                    });
                    best = better(best, Some(moved.collect()));
                }
                before = before.zip(one.properties().maximum_len()).map(|(before, len)| before + len);
                in_front = in_front.then(token_run(one));
            }
            best
        }
        _ => None,
    };
    better(start, inner)
}

/// A string in parts, each of one kind of bytes; all else as it is.
fn pieces(hir: &Hir) -> Vec<Hir> {
    let HirKind::Literal(literal) = hir.kind() else { return vec![hir.clone()] };
    let one_kind = |a: &u8, b: &u8| is_token_byte(*a) == is_token_byte(*b);
    literal.0.chunk_by(one_kind).map(Hir::literal).collect()
}

/// The list that is worth more, the first of two that are equal: its strings
/// are all in long runs, its shortest one is longer, there are fewer of them.
fn better(one: Option<Vec<Literal>>, other: Option<Vec<Literal>>) -> Option<Vec<Literal>> {
    let value = |all: &Option<Vec<Literal>>| {
        let all = all.as_ref()?;
        let shortest = all.iter().map(|literal| literal.bytes.len()).min()?;
        let in_runs = shortest >= LONG && all.iter().all(Literal::is_in_long_run);
        Some((in_runs, shortest.min(WORTH), usize::MAX - all.len()))
    };
    if value(&other) > value(&one) { other } else { one }
}

/// The strings one of which every match starts with. In front of them stand
/// `in_front` bytes of a run.
fn extracted(hir: &Hir, in_front: usize) -> Option<Vec<Literal>> {
    let with_classes_up_to = |limit: usize| {
        let mut extractor = Extractor::new();
        extractor.kind(ExtractKind::Prefix).limit_literal_len(MAX_LITERAL).limit_total(MAX_LITERALS);
        let found: Seq = extractor.limit_class(limit).extract(hir);
        let mut all: Vec<Vec<u8>> = found.literals()?.iter().map(|literal| fold(literal.as_bytes())).collect();
        all.sort_unstable();
        all.dedup();
        Some(all)
    };
    let shortest = |all: &Vec<Vec<u8>>| all.iter().map(Vec::len).min().unwrap_or(0);
    let mut found = with_classes_up_to(10).filter(|all| shortest(all) >= MIN_LITERAL);
    if found.as_ref().is_some_and(|all| shortest(all) < LONG) {
        // A short string and the letter or digit behind it are worth many strings.
        found = with_classes_up_to(70).filter(|all| shortest(all) >= LONG).or(found);
    }
    let prefix = token_run(hir).prefix;
    let literal = |bytes: Vec<u8>| {
        let run = if bytes.len() <= prefix { in_front + prefix } else { 0 };
        Literal { bytes, before: Some(0), run }
    };
    found.map(|all| all.into_iter().map(literal).collect())
}

/// Bytes without the bit that tells small letters from capitals.
pub(super) fn fold(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| b | 0x20).collect()
}

/// How long a run of characters of one class is in every match.
#[derive(Clone, Copy)]
struct Run {
    /// The match is nothing but such a run.
    all: bool,
    prefix: usize,
    suffix: usize,
    best: usize,
}

impl Run {
    const NONE: Self = Self { all: false, prefix: 0, suffix: 0, best: 0 };

    fn whole(len: usize) -> Self {
        Self { all: true, prefix: len, suffix: len, best: len }
    }

    fn then(self, next: Self) -> Self {
        Self {
            all: self.all && next.all,
            prefix: if self.all { self.best + next.prefix } else { self.prefix },
            suffix: if next.all { next.best + self.suffix } else { next.suffix },
            best: self.best.max(next.best).max(self.suffix + next.prefix),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            all: self.all && other.all,
            prefix: self.prefix.min(other.prefix),
            suffix: self.suffix.min(other.suffix),
            best: self.best.min(other.best),
        }
    }
}

fn run(hir: &Hir, member: fn(char) -> bool) -> Run {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Run::whole(0),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => {
                text.chars().map(|c| if member(c) { Run::whole(1) } else { Run::NONE }).fold(Run::whole(0), Run::then)
            }
            Err(_) => Run::NONE,
        },
        HirKind::Class(class) => {
            let whole = match class {
                // Large classes are negated ones, and no run is meant by them.
                Class::Unicode(class) => class.ranges().iter().all(|range| {
                    (!range.start().is_ascii() && member(range.start()) && member(range.end()))
                        || (range.len() <= 128 && (range.start()..=range.end()).all(member))
                }),
                Class::Bytes(class) => {
                    class.ranges().iter().all(|r| (r.start()..=r.end()).all(|b| b.is_ascii() && member(char::from(b))))
                }
            };
            if whole { Run::whole(1) } else { Run::NONE }
        }
        HirKind::Repetition(repetition) => {
            let one = run(&repetition.sub, member);
            let times = repetition.min as usize;
            if one.all {
                Run::whole(one.best.saturating_mul(times))
            } else if times == 0 {
                Run::NONE
            } else {
                one
            }
        }
        HirKind::Capture(capture) => run(&capture.sub, member),
        HirKind::Concat(all) => all.iter().map(|one| run(one, member)).fold(Run::whole(0), Run::then),
        HirKind::Alternation(all) => all.iter().map(|one| run(one, member)).reduce(Run::or).unwrap_or(Run::NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<Anchor> {
        anchor(&regex_syntax::parse(pattern).unwrap())
    }

    fn literals(pattern: &str) -> Vec<(String, Option<usize>)> {
        match of(pattern) {
            Some(Anchor::Literals(all)) => {
                all.into_iter().map(|literal| (String::from_utf8(literal.bytes).unwrap(), literal.before)).collect()
            }
            other => panic!("{pattern}: {other:?}"),
        }
    }

    #[test]
    fn literals_are_found_wherever_they_stand() {
        let fold = |s: &str| String::from_utf8(super::fold(s.as_bytes())).unwrap();
        assert_eq!(literals(r"ghp_[A-Za-z0-9]{36}"), [(fold("ghp_"), Some(0))]);
        assert_eq!(literals(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), [("akia".into(), Some(0)), ("asia".into(), Some(0))]);
        assert_eq!(literals(r"(?i)hidden[:=]\w+"), [("hidden:".into(), Some(0)), ("hidden=".into(), Some(0))]);
        assert_eq!(literals(r"\w{1,3}-staff\d"), [("-staff".into(), Some(12))]);
        assert_eq!(literals(r"\w+@corp\.example"), [(fold("@corp.exampl"), None)]);
        let all = ["bar", "baz", "foo"].map(|literal| (literal.to_owned(), Some(1)));
        assert_eq!(literals(r"x?(?:foo|ba[rz])+!"), all);
    }

    #[test]
    fn strings_of_keys_are_known_by_the_run_they_are_in() {
        let in_runs = |pattern: &str| match of(pattern) {
            Some(Anchor::Literals(all)) => all.iter().all(Literal::is_in_long_run),
            other => panic!("{pattern}: {other:?}"),
        };
        for key in [r"\bghp_[A-Za-z0-9]{36}", r"[0-9]{8}:AA[\w-]{28}", r"(?i)hidden[:=]\w{12}", r"x y[a-z]{12}_key\d"] {
            assert!(in_runs(key), "{key}");
        }
        for other in [r"ghp_[A-Za-z0-9]{11}", r"ghp_ [A-Za-z0-9]{36}", r"-----BEGIN \w{20}", r"hidden[^ ]{20}"] {
            assert!(!in_runs(other), "{other}");
        }
    }

    #[test]
    fn runs_are_as_long_as_the_shortest_match_has_them() {
        assert_eq!(of(r"\b\d{16}\b"), Some(Anchor::Digits(16)));
        assert_eq!(of(r"\b\d{3}-\d{2}-\d{4}\b"), Some(Anchor::Digits(4)));
        assert_eq!(of(r"[A-Z]\d{3}(\d\d)?\d"), Some(Anchor::Digits(4)));
        assert_eq!(of(r"\d{2}(?:\d|x)\d{3}"), Some(Anchor::Digits(3)));
        assert_eq!(of(r"[0-9a-f]{32}"), Some(Anchor::Token(32)));
        assert_eq!(of(r"(?i)[a-z0-9_-]{20,40}"), Some(Anchor::Token(20)));
        assert_eq!(of(r"[A-Z][a-z]+ [A-Z][a-z]+"), None);
        assert_eq!(of(r"[^ ]{40}"), None);
        assert_eq!(of(r"\d?"), None);
    }
}
