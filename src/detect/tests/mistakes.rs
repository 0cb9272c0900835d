//! Mistakes in rule files: each has its place and its mend, whatever somebody
//! pastes into one.

use super::problem;

#[test]
fn mistakes_have_a_place_and_a_mend() {
    let rule = |rest: &str| format!("[[rule]]\nid = \"a\"\nentity = \"AA\"\n{rest}\n");
    for (rules, place, mend) in [
        (rule("pattern = '('"), "own.toml:4:11: ", "regular expression"),
        (rule("pattern = 'x*'"), "own.toml:4:11: ", "empty text"),
        (rule("pattern = '(a{1000}){1000}'"), "own.toml:4:11: ", "too large"),
        (rule("patterns = ['x', '((a{99}){99}){99}']"), "own.toml:4:18: ", "too large"),
        (rule("pattern = '(?:\\w{900}){9}'"), "own.toml:4:11: ", "too large"),
        (rule("pattern = '(?=x)'"), "own.toml:4:11: ", "regular expression"),
        (rule("finder = \"emial\""), "own.toml:4:10: ", "email, "),
        (rule("finder = \"email\"\npattern = 'x'"), "own.toml:2:6: ", "exactly one"),
        (rule(""), "own.toml:2:6: ", "exactly one"),
        (rule("pattern = 'x'\nscore = 1.5"), "own.toml:5:9: ", "0.0 to 1.0"),
        (rule("pattern = 'x'\noperator = \"tokenise\""), "own.toml:5:12: ", "token, surrogate, mask"),
        (rule("pattern = 'x'\nmatch = [\"«x\"]"), "own.toml:5:10: ", "pairs"),
        (rule("pattern = 'x'\ncontext = [\"two words\"]"), "own.toml:5:12: ", "one word"),
        (rule("pattern = 'x'\ncolour = 1"), "own.toml:5:1: ", "colour"),
        (rule("words = [\" x\"]"), "own.toml:4:10: ", "space"),
        (rule("pattern = 'x'") + &rule("pattern = 'y'"), "own.toml:6:6: ", "own"),
        ("[[rule]]\nid = \"A b\"\nentity = \"aa\"\npattern = 'x'".into(), "own.toml:2:6: ", "staff-number"),
        ("[words]\ngivn = [\"x\"]\n".into(), "own.toml:2:1: ", "given, "),
        ("[words]\ngiven = [\"two words\"]\n".into(), "own.toml:2:10: ", "one word"),
    ] {
        let problem = problem(&rules);
        assert!(problem.starts_with(place) && problem.contains(mend), "{rules}\n{problem}");
    }
    assert_eq!(problem("[[rule]]\nid = \"A b\"\nentity = \"aa\"\npattern = 'x'").lines().count(), 2);
}

#[test]
fn mistakes_in_shapes_are_named() {
    let rule = |fields: &str| problem(&format!("[[rule]]\nid = \"x\"\nentity = \"STAFF\"\n{fields}\n"));
    assert!(rule("shapes = [\"99:99\"]").contains("written with 9, A, X"), "{}", rule("shapes = [\"99:99\"]"));
    assert!(rule("shapes = [\"AAAAAA\"]").contains("a 9 or X among them"));
    assert!(rule("shapes = [\"XXXXXXXXXXX9\"]").contains("at most eight X"));
    assert!(rule("shapes = [\"999999\"]\nfinder = \"email\"").contains("exactly one of"));
    assert!(rule("shapes = [\"999999\"]\ncontext = [\"a b c d e\"]").contains("context word"));
    assert!(rule("shapes = [\"999999\"]\nvalidator = \"nope\"").contains("pl-pesel"));
}

/// What a stranger may paste into a rule: it is refused in time, and where it
/// stands is told, not what it says.
#[test]
fn what_no_rule_needs_is_refused_with_its_place() {
    let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
    for (pattern, mend) in [
        ("a".repeat(1 << 20), "at most 8192 bytes"),
        (nested(1 << 19), "at most 8192 bytes"),
        ("é".repeat(5000), "at most 8192 bytes"),
        (nested(4000), "regular expression"),
        ("(".repeat(8000), "regular expression"),
        ("[".repeat(8000), "regular expression"),
        ("(?:a{99}|b{99}){99}".repeat(400), "too large"),
    ] {
        let rule = format!("[[rule]]\nid = \"a\"\nentity = \"AA\"\npattern = '{pattern}'\n");
        let problem = problem(&rule);
        let start: String = problem.chars().take(400).collect();
        assert!(problem.starts_with("own.toml:4:11: ") && problem.contains(mend), "{start}");
        assert!(problem.len() < 2000, "{} bytes say {start}", problem.len());
    }
}

/// No file takes another in, so none can go round in a circle; who tries is
/// told so, as of any other key.
#[test]
fn a_file_takes_in_no_other() {
    let problem = problem("include = [\"own.toml\"]\n[[rule]]\nid = \"a\"\nentity = \"AA\"\npattern = 'x'\n");
    assert!(problem.starts_with("own.toml:1:1: unknown key `include`"), "{problem}");
}
