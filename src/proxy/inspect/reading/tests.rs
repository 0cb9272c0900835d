use super::*;
use crate::detect::Engine;
use crate::proxy::inspect::inspect_value;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::builtin().unwrap());

/// The text with its findings replaced by their entities, and their values.
fn redacted(text: &str, label: Option<&str>) -> (String, Vec<String>) {
    let found = inspect_value(text, label, Detector::from(&*ENGINE), &mut Scratch::default());
    let (mut out, mut copied, mut values) = (String::new(), 0, Vec::new());
    for one in &found.list {
        assert!(copied <= one.at.start && one.at.start < one.at.end, "{text:?}");
        out.push_str(&text[copied..one.at.start]);
        copied = one.at.end;
        if one.form.is_first() {
            let _ = write!(out, "[{}]", one.entity);
            values.push(found.value(one).to_owned());
        }
    }
    out.push_str(&text[copied..]);
    (out, values)
}

#[test]
fn markup_hides_nothing_and_stays() {
    for (text, want, value) in [
        ("to ana.lopez<wbr>@example.com.", "to [EMAIL]<wbr>.", "ana.lopez@example.com"),
        ("to ana.lopez@<b>example</b>.com now", "to [EMAIL]<b></b> now", "ana.lopez@example.com"),
        ("to ana.<!-- x@y -->lopez@example.com", "to [EMAIL]<!-- x@y -->", "ana.lopez@example.com"),
        ("<m>ana.lopez<![CDATA[@example]]>.com</m>", "<m>[EMAIL]<![CDATA[]]></m>", "ana.lopez@example.com"),
        ("<t>ana.lopez<?x y?>@example.com</t>", "<t>[EMAIL]<?x y?></t>", "ana.lopez@example.com"),
        ("<span title='a>b'>ana.lo</span>pez@example.com", "<span title='a>b'>[EMAIL]</span>", "ana.lopez@example.com"),
        ("<w:t>ana.lo</w:t><w:t>pez@example.com</w:t>", "<w:t>[EMAIL]</w:t><w:t></w:t>", "ana.lopez@example.com"),
        ("card <b>4111</b><i>1111</i>11111111.", "card <b>[CREDIT_CARD]</b><i></i>.", "4111111111111111"),
        (
            "IBAN <td>DE89</td><td>3704 0044 0532</td><td>0130 00</td>",
            "IBAN <td>[IBAN]</td><td></td><td></td>",
            "DE89 3704 0044 0532 0130 00",
        ),
        ("I am <b>Anna</b> <i>Kowalska</i>.", "I am <b>[PERSON]</b><i></i>.", "Anna Kowalska"),
        ("to ana.lopez@<br>example.com", "to [EMAIL]<br>", "ana.lopez@example.com"),
        ("card 41111111<BR/>11111111.", "card [CREDIT_CARD]<BR/>.", "4111111111111111"),
        ("card 4111 1111<br>1111 1111.", "card [CREDIT_CARD]<br>.", "4111 1111 1111 1111"),
        ("card 4111 1111 1111 111<br>1.", "card [CREDIT_CARD]<br>.", "4111 1111 1111 1111"),
        ("room 12 4111111111<br>111111.", "room 12 [CREDIT_CARD]<br>.", "4111111111111111"),
    ] {
        assert_eq!(redacted(text, None), (want.to_owned(), vec![value.to_owned()]), "{text}");
    }
}

#[test]
fn a_value_that_is_spelled_otherwise_is_kept_as_it_stands() {
    for marked in [
        "«ana.lopez&#64example.com»",
        "«ana.lopez&#0000000000064;example.com»",
        "to «ana\\.lopez\\@example\\.com»",
        "x = '«ana.lopez\\x40example.com»'",
        "card «4111\\t1111\\t1111\\t1111»",
        "«=?utf-8?Q?ana=2Elopez?= =?utf-8?B?QGV4YW1wbGUuY29t?=»",
        // All that is written as one is replaced as one.
        "from «=?utf-8?Q?mail=20ana=40example.com_ok?=» x",
        "puts(\"«ana.lopez\\100example.com»\")",
        "a { content: '«ana.lopez\\40 example.com»' }",
    ] {
        let (start, end) = (marked.find('«').unwrap(), marked.find('»').unwrap());
        let value = &marked[start + '«'.len_utf8()..end];
        let (out, values) = redacted(&marked.replace(['«', '»'], ""), None);
        assert_eq!(values, [value], "{marked}");
        let entity = if marked.starts_with("card") { "[CREDIT_CARD]" } else { "[EMAIL]" };
        assert_eq!(out, [&marked[..start], entity, &marked[end + '»'.len_utf8()..]].concat());
    }
}

#[test]
fn lines_of_mail_and_address_books_hide_nothing() {
    for (text, want, value) in [
        (
            "BEGIN:VCARD\r\nEMAIL:ana.lo\r\n pez@example.com\r\nEND:VCARD",
            "BEGIN:VCARD\r\nEMAIL:[EMAIL]\r\n \r\nEND:VCARD",
            "ana.lopez@example.com",
        ),
        (
            "BEGIN:VEVENT\nATTENDEE;ROLE=REQ-PARTICIPANT:mailto:ana.lopez@exam\n\tple.com\nEND:VEVENT",
            "BEGIN:VEVENT\nATTENDEE;ROLE=REQ-PARTICIPANT:mailto:[EMAIL]\n\t\nEND:VEVENT",
            "ana.lopez@example.com",
        ),
        (
            "EMAIL;ENCODING=QUOTED-PRINTABLE:ana.lopez=40example.com",
            "EMAIL;ENCODING=QUOTED-PRINTABLE:[EMAIL]",
            "ana.lopez=40example.com",
        ),
        (
            "Content-Transfer-Encoding: quoted-printable\n\nwrite to ana.lopez@exa=\nmple.com now",
            "Content-Transfer-Encoding: quoted-printable\n\nwrite to [EMAIL]=\n now",
            "ana.lopez@example.com",
        ),
    ] {
        assert_eq!(redacted(text, None), (want.to_owned(), vec![value.to_owned()]), "{text}");
    }
    for same in ["a=40 b=C3=BC\n c", "x = 1\n y", "BEGIN:VTODO\n SUMMARY:nothing", "quoted-printable: =E2=82=AC 5"] {
        assert_eq!(redacted(same, None).0, same);
    }
}

#[test]
fn what_markup_parts_stays_apart() {
    for (text, want) in [
        ("<td>Anna</td><td>kowalska@example.com</td>", "<td>[PERSON]</td><td>[EMAIL]</td>"),
        ("<name>acme</name><mail>kowalska@example.com</mail>", "<name>acme</name><mail>[EMAIL]</mail>"),
        ("<p>ana@example.com</p><p>bo@example.org</p>", "<p>[EMAIL]</p><p>[EMAIL]</p>"),
        ("<mail>ana@example.com</mail><mail>bo@example.org</mail>", "<mail>[EMAIL]</mail><mail>[EMAIL]</mail>"),
        ("<p>ana@example.com<br>bo@example.org<br>Thanks</p>", "<p>[EMAIL]<br>[EMAIL]<br>Thanks</p>"),
        ("write to <ana@example.com>, \\*please\\*", "write to <[EMAIL]>, \\*please\\*"),
        ("<a href='mailto:ana@example.com'>ana@example.com</a>", "<a href='mailto:[EMAIL]'>[EMAIL]</a>"),
        ("a < b && c \\n <br> nothing =? here", "a < b && c \\n <br> nothing =? here"),
    ] {
        assert_eq!(redacted(text, None).0, want, "{text}");
    }
}

#[test]
fn names_of_files_hide_nothing() {
    for (name, want) in [
        ("Anna_Kowalska.pdf", "[PERSON].pdf"),
        ("cv_of_Anna_Kowalska.docx", "cv_of_[PERSON].docx"),
        ("Anna\\ Kowalska.txt", "[PERSON]\\.txt"),
        ("scan_4111111111111111.png", "scan_[CREDIT_CARD].png"),
        ("4111111111111111.txt", "[CREDIT_CARD].txt"),
        ("report_2024_final.pdf", "report_2024_final.pdf"),
    ] {
        assert_eq!(redacted(name, Some("filename")).0, want, "{name}");
        assert_eq!(redacted(name, Some("name")).0, want, "{name}");
        if !name.contains('\\') {
            let prose = |name: &str| format!("see {name}, please");
            assert_eq!(redacted(&prose(name), None).0, prose(want), "{name}");
        }
    }
    for (name, want) in [
        ("/home/Anna Kowalska/x.txt", "/home/[PERSON]/x.txt"),
        ("C:\\Users\\Anna Kowalska\\x.txt", "C:\\Users\\[PERSON]\\x.txt"),
    ] {
        assert_eq!(redacted(name, Some("filename")).0, want, "{name}");
    }
}

proptest! {
    #[test]
    fn no_markup_hides_an_address(
        cuts in prop::collection::vec((0..22_usize, prop::sample::select(vec![
            "<wbr>", "<b>", "</b>", "<br>", "<!-- x -->", "<?x?>", "<![CDATA[]]>", "<span a='>'>", "<m:b>", "\\",
        ])), 0..4),
        around in prop::sample::select(vec![("to ", " ok"), ("<p>", "</p>"), ("\"", "\""), ("", "")]),
    ) {
        let mut address = "anna.lopez@example.com".to_owned();
        let mut cuts = cuts;
        cuts.sort_unstable();
        for (at, markup) in cuts.into_iter().rev() {
            // A backslash is none in front of a letter.
            if markup != "\\" || !address[at..].starts_with(char::is_alphanumeric) {
                address.insert_str(at, markup);
            }
        }
        let text = format!("{}{address}{}", around.0, around.1);
        let (out, _) = redacted(&text, None);
        let lines = mail::Lines::of(&out, marks::of(&out));
        let read = Reading::of(&out, lines, tag::Break::Nothing).map_or(out.clone(), |reading| reading.text);
        prop_assert!(!read.contains("lopez@") && !read.contains("@example"), "{text} -> {out}");
    }

    #[test]
    fn findings_of_any_text_are_sound(parts in prop::collection::vec(prop::sample::select(vec![
        "ana@example.com", "ana.lo", "pez@", "example.com", "<b>", "</b>", "<x>", "<td>", "<!--", "-->", "<![CDATA[", "]]>",
        "\\", "\\n", "\\40 ", "\\100", "<br>", "BEGIN:VCARD\r\n", "\r\n ", "quoted-printable", "=\n", "_", ".pdf", "bWFpbCBhbmFAZXhhbXBsZS5jb20=", "&#64", "&#64;", "=?utf-8?Q?", "=40", "?=", "4111 1111 ", "1111 1111", "Anna ", "Kowalska", "é", "<", ">", "\"", " ",
    ]), 0..14)) {
        let text = parts.concat();
        let (out, _) = redacted(&text, None);
        prop_assert!(out.len() <= text.len() + 14 * 13);
        prop_assert!(redacted(&text, Some("filename")).0.len() <= text.len() + 14 * 13);
    }
}
