//! Where text can be read in several ways, or nearly as a token.

use super::*;

#[test]
fn what_stands_around_a_token_stays() {
    let kinds = kinds();
    for (before, after) in AROUND {
        for form in [token().to_string(), format!("\\[{}\\]", token().bare()), format!("%5B{}%5D", token().bare())] {
            let whole = format!("{before}{form}{after}");
            let mut expected = vec![text(before), found(token(), &form), text(after)];
            expected.retain(|piece| *piece != text(""));
            for at in 0..=whole.len() {
                assert_eq!(cuts_change_nothing(&kinds, &whole, &[at]), expected, "{whole}");
            }
        }
        if before == "E" {
            continue;
        }
        let bare = token().bare().to_string();
        let whole = format!("{before}{bare}{after}");
        let mut expected = vec![text(before), found(token(), &bare), text(after)];
        expected.retain(|piece| *piece != text(""));
        for at in 0..=whole.len() {
            assert_eq!(cuts_change_nothing(&kinds, &whole, &[at]), expected, "{whole}");
        }
    }
}

#[test]
fn what_is_no_token_stays() {
    let kinds = kinds();
    let bare = token().bare().to_string();
    let wrong = bare.replace("EMAIL", "EMALL");
    for no_token in [
        "",
        "[",
        "[]",
        "[EMAIL]",
        "[EMAIL_]",
        "[EMAIL_1234567]",
        "EMAIL",
        "\\",
        "\\\\\\\\\\\\\\\\\\\\\\\\",
        "&",
        "&amp;",
        "&#",
        "%",
        "%5",
        "[[[[[[[[",
        "EMAIL_EMAIL_EMAIL_",
        "I am",
        "e.g. per person",
        &wrong,
        &format!("x{bare}"),
        &format!("é{bare}"),
        &format!("7{bare}"),
        &format!("\\u0041{bare}"),
        &format!("%41{bare}"),
        &format!("{bare}x"),
        &format!("{bare}é"),
        &format!("[{bare}5"),
        &format!("[{}", bare.replace('_', "__")),
        &bare.replace('_', ""),
        &bare.replace('_', "\n"),
        &bare.replace("EMAIL", "PHONE"),
    ] {
        for at in 0..=no_token.len() {
            for piece in cuts_change_nothing(&kinds, no_token, &[at]) {
                assert!(matches!(piece, Owned::Text(_)), "{no_token}: {piece:?}");
            }
        }
    }
}

#[test]
fn tokens_stand_back_to_back_and_inside_false_starts() {
    let kinds = kinds();
    let other = Token::new(Entity::constant("IPX"), 77);
    for (whole, expected) in [
        (format!("{}{other}", token()), vec![found(token(), &token().to_string()), found(other, &other.to_string())]),
        (
            format!("{}{}", token().bare(), other),
            vec![found(token(), &token().bare().to_string()), found(other, &other.to_string())],
        ),
        (
            format!("%5B{}%5D{}", token().bare(), other.bare()),
            vec![found(token(), &format!("%5B{}%5D", token().bare())), found(other, &other.bare().to_string())],
        ),
        (format!("[EMAIL_{other}"), vec![text("[EMAIL_"), found(other, &other.to_string())]),
        (format!("[[{other}]]"), vec![text("[["), found(other, &other.to_string()), text("]]")]),
        (format!("[IPX [IPX_[IPX_000{other}"), vec![text("[IPX [IPX_[IPX_000"), found(other, &other.to_string())]),
        (format!("[{} EMAIL_", token().bare()), vec![found(token(), &format!("[{}", token().bare())), text(" EMAIL_")]),
    ] {
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                assert_eq!(cuts_change_nothing(&kinds, &whole, &[first, second]), expected);
            }
        }
    }
}

#[test]
fn a_close_bracket_belongs_to_the_open_one_before_it() {
    let bare = token().bare().to_string();
    for (whole, raw) in [
        (format!("see {bare}]"), format!("{bare}]")),
        (format!("[see {bare}]"), bare.clone()),
        (format!("[see {bare}](mailto:{bare})"), bare.clone()),
        (format!("[1] see {bare}]"), format!("{bare}]")),
        (format!("see {bare} ]"), bare.clone()),
        (format!("[x [see {bare} ]"), bare.clone()),
    ] {
        for at in 0..=whole.len() {
            let pieces = cuts_change_nothing(&kinds(), &whole, &[at]);
            assert_eq!(pieces[1], found(token(), &raw), "{whole}");
        }
    }
}

#[test]
fn a_name_that_begins_another_is_kept_apart() {
    for name in ["IP", "IPX", "CREDIT", "CREDIT_CARD"] {
        let token = Token::new(Entity::constant(name), 42);
        for form in forms(token) {
            for at in 0..=form.len() {
                assert_eq!(cuts_change_nothing(&kinds(), &form, &[at]), [found(token, &form)], "{form}");
            }
        }
    }
}

#[test]
fn of_two_readings_the_longer_counts() {
    // The second word of a name that reads as the code of the first.
    let short = Entity::constant("AB");
    let (word, code) = (0..1 << 35)
        .step_by(99_991)
        .map(|bits| Token::new(short, bits))
        .find(|token| token.code().bytes().all(|b| b.is_ascii_uppercase()))
        .map(|token| (token.code().to_owned(), token))
        .unwrap();
    let long = Token::new(format!("AB_{word}").parse().unwrap(), 5);
    let kinds = Arc::new(Kinds::new([short, long.entity()]));
    for (whole, expected) in [
        (format!("{} x", code.bare()), found(code, &code.bare().to_string())),
        (format!("{} x", long.bare()), found(long, &long.bare().to_string())),
        (format!("{}-, x", code.bare()), found(code, &code.bare().to_string())),
        (long.to_string(), found(long, &long.to_string())),
    ] {
        for at in 0..=whole.len() {
            assert_eq!(cuts_change_nothing(&kinds, &whole, &[at])[0], expected, "{whole} at {at}");
        }
    }
}

#[test]
fn the_turkish_letters_i_are_read() {
    let ip = Token::new(Entity::constant("IP"), 9);
    for form in [ip.bare().to_string().replacen('I', "ı", 1), ip.to_string().replacen('I', "İ", 1)] {
        let whole = format!("{form} {form}");
        for at in 0..=whole.len() {
            let expected = [found(ip, &form), text(" "), found(ip, &form)];
            assert_eq!(cuts_change_nothing(&kinds(), &whole, &[at]), expected);
        }
    }
}
