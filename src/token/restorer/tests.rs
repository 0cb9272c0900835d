//! Every form of a token, at every cut.

mod readings;

use proptest::prelude::*;

use super::super::properties::{Owned, cut, cuts_change_nothing, kinds, restore};
use super::*;
use crate::clock::thread_nanos;
use crate::entity::Entity;

const EMAIL: Entity = Entity::constant("EMAIL");

fn token() -> Token {
    Token::new(EMAIL, 0x1_2345_6789)
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn found(token: Token, raw: &str) -> Owned {
    Owned::Token(token, raw.to_owned())
}

/// The forms in which a model may write a token; each is replaced whole.
fn forms(token: Token) -> Vec<String> {
    let (text, bare, code) = (token.to_string(), token.bare().to_string(), token.code());
    let wrap = |open: &str, separator: &str, close: &str| {
        format!("{open}{}{separator}{code}{close}", token.entity().as_str().replace('_', separator))
    };
    let join = |by: &str| text.chars().map(String::from).collect::<Vec<_>>().join(by);
    let each = |f: fn(u32) -> String| text.chars().map(|c| f(c.into())).collect::<String>();
    let title = format!("{}{}", &bare[..1], bare[1..].to_lowercase());
    let mut forms = vec![
        text.to_lowercase(),
        bare.to_lowercase(),
        format!("[{title}]"),
        text.replace('0', "O").replace('1', "l"),
        join("\u{200B}"),
        join("\u{AD}"),
        join("\u{2060}\u{FEFF}"),
        join("&shy;"),
        each(|c| char::from_u32(c + 0xFEE0).unwrap().to_string()),
        each(|c| format!("\\u{c:04x}")),
        each(|c| format!("&#{c};")),
    ];
    for separator in ["_", "-", " ", "\u{A0}", "\u{2011}", "\u{202F}", "\\_", "\\\\_", "\\-", "\\u005f", "＿"] {
        forms.push(wrap("[", separator, "]"));
        forms.push(wrap("", separator, ""));
    }
    for separator in ["&#95;", "&#x5F;", "&lowbar;", "&UnderBar;", "&nbsp;", "&amp;#95;", "%5F", "%5f", "%20"] {
        forms.push(wrap("[", separator, "]"));
    }
    for (open, close) in [
        ("\\[", "\\]"),
        ("\\\\[", "\\\\]"),
        ("\\u005b", "\\u005d"),
        ("\\\\u005B", "\\\\u005D"),
        ("&#91;", "&#93;"),
        ("&#x5B;", "&#x5D;"),
        ("&lbrack;", "&rbrack;"),
        ("&lsqb;", "&rsqb;"),
        ("&amp;#91;", "&amp;#93;"),
        ("%5B", "%5D"),
        ("%5b", "%5d"),
        ("%255B", "%255D"),
        ("［", "］"),
        ("[ ", " ]"),
        ("[\u{A0}", "&nbsp;]"),
        ("[\u{200B}", "\u{200B}]"),
        ("[", ""),
        ("\\[", ""),
        ("", "]"),
        ("", "&#93;"),
    ] {
        forms.push(wrap(open, "_", close));
    }
    forms
}

/// What may stand around a token and stays: before, after.
const AROUND: [(&str, &str); 24] = [
    ("", ""),
    (" ", " "),
    ("Write to ", "."),
    ("**", "**"),
    ("`", "`"),
    ("_", "_"),
    ("<b>", "</b>"),
    ("(", ")"),
    ("<", ">"),
    ("\"", "\""),
    ("\\\"", "\\\""),
    ("\\n", "\\n"),
    ("\\u000a", "\\u000a"),
    ("mailto:", "?subject=x"),
    ("?to=", "&cc="),
    ("%20", "%20"),
    ("%3D", "%26"),
    ("é ", " é"),
    ("邮箱", "是"),
    ("😀", "😀"),
    ("\u{200B}", "\u{200B}"),
    ("EMAIL_", "'s"),
    ("[EMAIL_", "_"),
    ("E", ""),
];

#[test]
fn every_form_is_found_at_every_two_cuts() {
    let kinds = kinds();
    for token in [token(), Token::new(Entity::constant("DATE_OF_BIRTH"), 0x6_0000_0001)] {
        for form in forms(token) {
            let form = form.as_str();
            let whole = format!("a {form}, b");
            let expected = [text("a "), found(token, form), text(", b")];
            for first in 0..=whole.len() {
                for second in first..=whole.len() {
                    assert_eq!(restore(&kinds, cut(&whole, &[first, second])), expected, "{form} at {first}, {second}");
                }
            }
        }
    }
}

#[test]
fn the_text_s_own_backslashes_stay() {
    let kinds = kinds();
    let form = token().to_string();
    for (before, behind) in [("C:\\users\\", "\\x"), ("1\\", ""), ("é\\\\", " "), ("a\\", "]")] {
        let whole = format!("{before}{form}{behind}");
        let expected: Vec<_> = [text(before), found(token(), &form), text(behind)].into_iter().collect();
        let expected = if behind.is_empty() { &expected[..2] } else { &expected[..] };
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                assert_eq!(restore(&kinds, cut(&whole, &[first, second])), expected, "{whole} at {first}, {second}");
            }
        }
    }
}

#[test]
fn every_form_is_found_by_single_characters_and_at_the_end() {
    let kinds = kinds();
    for form in forms(token()) {
        let chars: Vec<_> = form.char_indices().map(|(at, c)| &form[at..at + c.len_utf8()]).collect();
        assert_eq!(restore(&kinds, chars), [found(token(), &form)], "{form}");
    }
}

#[test]
fn a_wrong_check_character_is_no_token() {
    let kinds = kinds();
    let right = token().to_string();
    for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars() {
        let other = format!("{}{wrong}]", &right[..right.len() - 2]);
        let expected = if other == right { found(token(), &right) } else { text(&other) };
        assert_eq!(restore(&kinds, [other.as_str()]), [expected]);
    }
}

#[test]
fn a_whole_token_is_given_out_at_once() {
    for form in [token().to_string(), format!("\\[{}\\]", token().bare()), format!("[ {} ]", token().bare())] {
        let mut restorer = Restorer::new(kinds());
        let mut pieces = 0;
        restorer.push(&form, &mut |piece| {
            assert_eq!(piece, Piece::Token { token: token(), raw: &form });
            pieces += 1;
        });
        assert_eq!((pieces, restorer.held()), (1, ""));
    }
}

#[test]
fn only_a_prefix_of_a_token_is_held() {
    let bare = token().bare().to_string();
    for (pushed, held) in [
        ("Hello", ""),
        ("Hello [", "["),
        ("Hello [E", "[E"),
        ("Hello [X", ""),
        ("Hello [1", ""),
        ("Hello e", "e"),
        ("Hello me", ""),
        ("Hello ex", ""),
        ("Hello email", "email"),
        ("Hello emails", ""),
        ("Hello email ", "email "),
        ("Hello email u", ""),
        ("Hello email addres", "email addres"),
        ("Hello email address ", ""),
        ("Hello email addressee", ""),
        ("A line\\", "\\"),
        ("A line\\n", ""),
        ("A line\\ne", "e"),
        ("100%", "%"),
        ("100% ", ""),
        ("%2", "%2"),
        ("%3", ""),
        ("Q&", "&"),
        ("Q&A", ""),
        ("Q&a", "&a"),
        ("Q&ap", ""),
        ("Q&r", ""),
        ("Q&#9", "&#9"),
        ("Q&#8", ""),
        ("，", ""),
        ("Ｅ", "Ｅ"),
        ("Ｘ", ""),
        (&bare, &bare),
        (&format!("{bare}\\"), &format!("{bare}\\")),
        (&format!("{bare},"), ""),
        (&format!("[{bare} "), &format!("[{bare} ")),
        (&format!("[{bare} ,"), ""),
    ] {
        let mut restorer = Restorer::new(Arc::new(Kinds::new([EMAIL])));
        let mut out = String::new();
        restorer.push(pushed, &mut |piece| match piece {
            Piece::Text(text) | Piece::Token { raw: text, .. } => out.push_str(text),
        });
        assert_eq!(restorer.held(), held, "{pushed}");
        assert_eq!(out + held, pushed);
    }
}

#[test]
fn without_kinds_nothing_is_held() {
    let none = Arc::new(Kinds::default());
    assert_eq!(restore(&none, [token().to_string().as_str()]), [text(&token().to_string())]);
    let mut restorer = Restorer::new(none);
    restorer.push("[", &mut |piece| assert_eq!(piece, Piece::Text("[")));
    assert_eq!(restorer.held(), "");
}

#[test]
fn what_is_held_is_bounded_and_the_bound_is_no_chunk_border() {
    let kinds = kinds();
    let token = token();
    let code = token.code();
    for filler in ["\u{200B}", "&shy;", "\u{AD}", "\\u200b"] {
        for n in [1, 10, 40, 41, 42, 80, 81, 82, 83, 84, 119, 120, 121, 122, 1000] {
            let whole = format!("[EMAIL{}_{code}] EMAIL_{code}{}]", filler.repeat(n), filler.repeat(n));
            let chars: Vec<_> = (1..whole.len()).collect();
            cuts_change_nothing(&kinds, &whole, &chars);
        }
    }
    cuts_change_nothing(&kinds, &"\\".repeat(1000), &(0..1000).collect::<Vec<_>>());
    cuts_change_nothing(&kinds, &"[EMAIL_".repeat(200), &(0..1400).collect::<Vec<_>>());
}

/// Seen in the ratio of two lengths rather than in seconds.
#[test]
fn time_is_linear_in_backslashes() {
    let took = |length: usize| {
        let text = "\\".repeat(length);
        let once = || {
            let start = thread_nanos();
            assert_eq!(restore(&kinds(), [text.as_str()]).len(), 1);
            thread_nanos() - start
        };
        (0..5).map(|_| once()).min().unwrap()
    };
    // What is no run takes longer than a run that is passed over at once.
    let (run, words) = (took(1 << 20), {
        let text = "\\x".repeat(1 << 19);
        let start = thread_nanos();
        restore(&kinds(), [text.as_str()]);
        thread_nanos() - start
    });
    assert!(run < words, "{run} ns for a run, {words} ns for as much text");
    assert!(run < 40 * took(1 << 16) + 20_000_000, "{run} ns");
}

#[test]
fn a_finished_restorer_is_as_new() {
    let mut restorer = Restorer::new(kinds());
    restorer.push("[x", &mut |_| {});
    restorer.finish(&mut |_| {});
    let form = format!("{}]", token().bare());
    restorer.push(&form, &mut |piece| assert_eq!(piece, Piece::Token { token: token(), raw: &form }));
}

/// Adds one character after the other until the held text has become a token,
/// and says whether it did.
fn becomes_a_token(restorer: &Restorer) -> bool {
    let mut restorer = restorer.clone();
    loop {
        let held = restorer.held().to_owned();
        let is_token = |piece: Piece<'_>| matches!(piece, Piece::Token { raw, .. } if raw.starts_with(&held));
        let mut found = false;
        restorer.clone().finish(&mut |piece| found |= is_token(piece));
        let next = "0123456789[]_ #;ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".chars().find_map(|c| {
            let mut next = restorer.clone();
            next.push(c.encode_utf8(&mut [0; 4]), &mut |piece| found |= is_token(piece));
            (next.held().len() == held.len() + 1).then_some(next)
        });
        match next {
            _ if found => return true,
            Some(next) => restorer = next,
            None => return false,
        }
    }
}

#[test]
fn every_prefix_of_every_form_becomes_a_token() {
    for form in forms(token()) {
        for (cut, _) in form.char_indices().skip(1) {
            let mut restorer = Restorer::new(kinds());
            restorer.push(&form[..cut], &mut |piece| panic!("{form} at {cut}: {piece:?}"));
            assert!(becomes_a_token(&restorer), "{form} at {cut}");
        }
    }
}

fn pieces_of_trouble() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec!["EMAIL", "IP", "IPX", "CREDIT", "CREDIT_CARD", "DATE_OF_BIRTH"])
        .prop_flat_map(|name| (Just(Entity::constant(name)), any::<u64>()))
        .prop_map(|(entity, bits)| Token::new(entity, bits));
    let form = token.prop_flat_map(|token| prop::sample::select(forms(token)));
    let broken = (form.clone(), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(form, a, b)| {
        let (a, b) = (a.index(form.len() + 1), b.index(form.len() + 1));
        form[form.floor_char_boundary(a.min(b))..form.floor_char_boundary(a.max(b))].to_owned()
    });
    let around = prop::sample::select(AROUND.to_vec()).prop_map(|(before, after)| format!("{before}{after}"));
    let piece = prop_oneof![form, broken, around, "[a-zA-Z0-9\\[\\]\\\\&%#; _é中\u{200B}]{0,6}"];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_cuts_give_the_same_pieces(text in pieces_of_trouble(), cuts in prop::collection::vec(0..300_usize, 0..12)) {
        cuts_change_nothing(&kinds(), &text, &cuts);
    }

    #[test]
    fn single_characters_give_the_same_pieces(text in pieces_of_trouble()) {
        cuts_change_nothing(&kinds(), &text, &(0..text.len()).collect::<Vec<_>>());
    }

    #[test]
    fn tokens_in_text_are_found_in_order(
        parts in prop::collection::vec(("[ a-z.,\n]{0,10}", any::<u64>(), any::<prop::sample::Index>()), 1..6),
        cuts in prop::collection::vec(0..200_usize, 0..8),
    ) {
        let mut whole = String::new();
        let mut expected = Vec::new();
        for (before, bits, pick) in &parts {
            let token = Token::new(EMAIL, *bits);
            let form = pick.get(&forms(token)).clone();
            whole.push_str(before);
            whole.push_str(", ");
            whole.push_str(&form);
            whole.push_str(", ");
            expected.push(found(token, &form));
        }
        let kinds = Arc::new(Kinds::new([EMAIL]));
        let mut pieces = cuts_change_nothing(&kinds, &whole, &cuts);
        pieces.retain(|piece| matches!(piece, Owned::Token(..)));
        prop_assert_eq!(pieces, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_held_can_become_a_token(text in pieces_of_trouble(), end in any::<prop::sample::Index>()) {
        let text = &text[..text.floor_char_boundary(end.index(text.len() + 1))];
        let mut restorer = Restorer::new(kinds());
        restorer.push(text, &mut |_| {});
        // Near the bound there may be no room for the rest.
        prop_assume!(restorer.held().len() < MAX_HELD - 60);
        prop_assert!(restorer.held().is_empty() || becomes_a_token(&restorer), "{}", restorer.held());
    }
}
