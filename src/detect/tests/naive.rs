//! The engine against a slow and simple one: each pattern of each rule is run
//! by the `regex` crate through the whole text, and overlaps are settled by
//! comparing all with all.

use super::*;
use proptest::prelude::*;
use std::fmt::Write;

#[derive(Clone, Debug)]
struct Rule {
    patterns: Vec<String>,
    words: Vec<String>,
    operator: &'static str,
    score: f32,
    context: Vec<String>,
    against: Vec<String>,
    luhn: bool,
}

const WEIGHT: f32 = 0.3;

impl Rule {
    fn toml(&self, index: usize) -> String {
        let list = |all: &[String]| all.iter().map(|s| format!("'{s}'")).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "[[rule]]\nid = \"r{index}\"\nentity = \"E{}\"\noperator = \"{}\"\nscore = {}\nweight = {WEIGHT}\ncontext = [{}]\nagainst = [{}]\n",
            (b'A' + index as u8) as char,
            self.operator,
            self.score,
            list(&self.context),
            list(&self.against)
        );
        let source = if self.words.is_empty() { ("patterns", &self.patterns) } else { ("words", &self.words) };
        writeln!(text, "{} = [{}]", source.0, list(source.1)).unwrap();
        if self.luhn {
            text.push_str("validator = \"luhn\"\n");
        }
        text
    }

    /// The rule's patterns as one; the first that matches wins.
    fn regex(&self) -> regex::Regex {
        let mut words = self.words.clone();
        words.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        let words = words.iter().map(|w| {
            let edge = |c: Option<char>| if c.is_some_and(char::is_alphanumeric) { r"\b" } else { "" };
            let (first, last) = (edge(w.chars().next()), edge(w.chars().last()));
            format!("(?i:{first}{}{last})", regex::escape(w))
        });
        let all: Vec<String> = self.patterns.iter().map(|p| format!("(?:{p})")).chain(words).collect();
        regex::Regex::new(&all.join("|")).unwrap()
    }
}

fn luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = |d: u32| if d > 4 { 2 * d - 9 } else { 2 * d };
    let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 1 { doubled(*d) } else { *d }).sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}

/// Of `fooBar` the last part counts.
fn words_of(text: &str) -> Vec<String> {
    let last_part = |word: &str| {
        let hump = word.as_bytes().windows(2).rposition(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
        word[hump.map_or(0, |i| i + 1)..].to_lowercase()
    };
    text.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).map(last_part).collect()
}

/// +1 where a word speaks for the rule, -1 where one speaks against it.
fn context(rule: &Rule, text: &str, start: usize, end: usize) -> i32 {
    let judge = |word: &String| match (rule.context.contains(word), rule.against.contains(word)) {
        (true, _) => 1,
        (_, true) => -1,
        _ => 0,
    };
    let mut found = 0;
    let from = text.floor_char_boundary(start.saturating_sub(64));
    let mut before = &text[from..start];
    // A word that is cut is none.
    if text[..from].ends_with(char::is_alphabetic) {
        before = before.trim_start_matches(char::is_alphabetic);
    }
    for piece in before.split(|c: char| c.is_ascii_digit() || ",;/|\n".contains(c)) {
        let mut last = 0;
        for word in words_of(piece) {
            let mut said = judge(&word);
            if said == 1 && last == -1 {
                said = -1;
            }
            last = said;
            if said != 0 {
                found = said;
            }
        }
    }
    if found != 0 {
        return found;
    }
    let to = text.floor_char_boundary((end + 32).min(text.len()));
    let mut behind = &text[end..to];
    if text[to..].starts_with(char::is_alphabetic) {
        behind = behind.trim_end_matches(char::is_alphabetic);
    }
    let first = words_of(behind.lines().next().unwrap_or_default()).iter().map(judge).find(|s| *s != 0);
    first.unwrap_or(0).max(0)
}

#[derive(Clone, Debug)]
struct Span {
    start: usize,
    end: usize,
    rule: usize,
    score: f32,
}

fn naive(rules: &[Rule], text: &str) -> Vec<(usize, usize, usize)> {
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for found in rule.regex().find_iter(text) {
            let score = rule.score + WEIGHT * context(rule, text, found.start(), found.end()) as f32;
            if (!rule.luhn || luhn(found.as_str())) && score > 0.4985 {
                all.push(Span { start: found.start(), end: found.end(), rule: index, score: score.clamp(0.5, 1.0) });
            }
        }
    }
    let operator = |s: &Span| rules[s.rule].operator;
    let keeps: Vec<Span> = all.iter().filter(|s| operator(s) == "keep").cloned().collect();
    let kept = |s: &Span| keeps.iter().any(|k| k.start <= s.start && s.end <= k.end);
    all.retain(|s| operator(s) != "keep" && (operator(s) == "block" || !kept(s)));
    let strictness = |s: &Span| match operator(s) {
        "block" => 2,
        "token" => 0,
        _ => 1,
    };
    all.sort_by(|a, b| {
        (strictness(b), b.end - b.start)
            .cmp(&(strictness(a), a.end - a.start))
            .then(b.score.total_cmp(&a.score))
            .then((a.start, a.rule).cmp(&(b.start, b.rule)))
    });
    let overlap = |a: &Span, b: &Span| a.start < b.end && b.start < a.end;
    let mut won: Vec<Span> = Vec::new();
    for span in &all {
        if !won.iter().any(|w| overlap(w, span)) {
            won.push(span.clone());
        }
    }
    // What a stricter operator left of a span, byte by byte.
    let winners = won.clone();
    let mut held: Vec<bool> = (0..text.len()).map(|i| won.iter().any(|w| (w.start..w.end).contains(&i))).collect();
    for lost in &all {
        let stricter = |w: &&Span| overlap(w, lost) && operator(w) != "block" && strictness(w) > strictness(lost);
        if !winners.iter().any(|w| stricter(&w)) {
            continue;
        }
        let mut at = lost.start;
        while at < lost.end {
            let end = (at..lost.end).find(|i| held[*i]).unwrap_or(lost.end);
            let rest = &text[at..end];
            let trimmed = rest.trim_matches(|c: char| !c.is_alphanumeric());
            let start = at + rest.find(trimmed).unwrap_or(0);
            if !trimmed.is_empty() {
                won.push(Span { start, end: start + trimmed.len(), ..lost.clone() });
            }
            held[at..end].fill(true);
            at = (end..lost.end).find(|i| !held[*i]).unwrap_or(lost.end);
        }
    }
    won.sort_by_key(|s| s.start);
    won.into_iter().map(|s| (s.start, s.end, s.rule)).collect()
}

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r"ghp_[a-z0-9]{4}",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{3,5}\b",
        r"sk-[a-z]+",
        r"B-\d{2,4}",
        r"\d{4}",
        r"\b\d{2}-\d{3}\b",
        r"[0-9a-f]{12}",
        r"(?i)[a-z0-9]{12,16}",
        r"\w+@corp",
        r"[a-z]{1,6}@corp",
        r"(?i:straße|secret)\s?\d",
        r"[A-Z][a-z]+ [A-Z]",
        r"x?(?:foo|ba[rz])+",
        r"(?:x{0,9}-----begin|b-\d)",
        r"a.{0,6}z",
        r"#\d+",
        r"é+",
        r"-----BEGIN[ A-Z]{0,9}-----",
        r"id:?\s*(\d{3}|[A-Z]{3})",
    ])
    .prop_map(str::to_owned)
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["Blue Heron", "heron", "x", "ACME-7", "Müller", "ab", "foo", "(c)", "kiosk", "12 34"])
        .prop_map(str::to_owned)
}

fn rule() -> impl Strategy<Value = Rule> {
    let source = prop_oneof![
        prop::collection::vec(pattern(), 1..3).prop_map(|p| (p, Vec::new())),
        prop::collection::vec(word(), 1..5).prop_map(|w| (Vec::new(), w)),
    ];
    let cues = |all: Vec<&'static str>| prop::collection::vec(prop::sample::select(all).prop_map(str::to_owned), 0..3);
    (
        source,
        prop::sample::select(vec!["token", "token", "token", "mask", "hash", "remove", "block", "keep"]),
        prop::sample::select(vec![0.2_f32, 0.4, 0.6, 0.8, 0.9]),
        cues(vec!["nr", "ref", "id"]),
        cues(vec!["sku", "foo"]),
        prop::bool::weighted(0.1),
    )
        .prop_map(|((patterns, words), operator, score, context, against, luhn)| Rule {
            patterns,
            words,
            operator,
            score,
            context,
            against,
            luhn,
        })
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "ghp_",
        "ab12",
        "AKIA",
        "ASIA",
        "0A1B",
        "sk-",
        "B-",
        "12",
        "345",
        "6789",
        "-",
        "deadbeef0123",
        "x",
        "xx",
        "@corp",
        "ana",
        "Straße",
        "SECRET",
        " ",
        " ",
        " ",
        "\n",
        "Blue Heron",
        "HERON",
        "ACME-7",
        "müller",
        "MÜLLER",
        "foo",
        "bar",
        "baz",
        "-----BEGIN",
        " KEY-----",
        "a",
        "z",
        "é",
        "#",
        "id",
        "staff",
        "badge",
        "order",
        "(c)",
        "ſ",
        "\u{212a}io\u{17f}k",
        ".",
        "漢",
        "fooRef",
        "🙂",
    ]);
    let dense = prop::collection::vec(piece.clone(), 0..40).prop_map(|p| p.concat());
    // Few places of interest in much text, across the pieces that are searched at a time.
    let sparse = (prop::collection::vec((0_usize..40_000, piece), 1..12)).prop_map(|places| {
        let mut text = String::new();
        for (gap, piece) in places {
            text.extend(std::iter::repeat_n("just words, ", gap / 12));
            text.extend(std::iter::repeat_n(' ', gap % 12));
            text.push_str(piece);
            text.push_str("2345 6");
        }
        text
    });
    prop_oneof![9 => dense, 1 => sparse]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_the_engine(rules in prop::collection::vec(rule(), 1..8), texts in prop::collection::vec(text(), 1..6)) {
        let mut set = RuleSet::empty();
        let files: String = rules.iter().enumerate().map(|(i, rule)| rule.toml(i)).collect();
        set.add("random.toml", &files).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let engine = Engine::compile(&set).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let mut scratch = Scratch::default();
        for text in &texts {
            let found: Vec<_> = engine.scan(Input::text(text), &mut scratch).iter().map(|f| (f.start, f.end, f.rule.index())).collect();
            prop_assert_eq!(found, naive(&rules, text), "{:?}\n{}", text, files);
        }
    }
}
