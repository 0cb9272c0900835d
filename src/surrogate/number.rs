//! Stand-ins for addresses of networks and numbers with check digits.

use super::{Random, lay};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The networks of RFC 5737, for documentation.
const DOCUMENTATION: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// An address of the documentation ranges of RFC 5737 and RFC 3849; port
/// and prefix length stay. With a zone there is none.
pub(super) fn ip(text: &str, random: &mut Random) -> Option<String> {
    let v4_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (address, rest) = text.split_at_checked(v4_end)?;
    if address.parse::<Ipv4Addr>().is_ok() {
        let [a, b, c] = DOCUMENTATION.get(random.below(3)).copied()?;
        return plain_rest(rest).map(|rest| format!("{a}.{b}.{c}.{}{rest}", 1 + random.below(254)));
    }
    // With brackets it is no address here, and has none: they need an escape
    // in addresses.
    let (address, rest) = text.split_at_checked(text.find(['/', '%']).unwrap_or(text.len()))?;
    address.parse::<Ipv6Addr>().ok()?;
    let groups = [random.next(), random.next(), random.next()].map(|r| 0x1000 | (r & 0xefff));
    let [a, b, c] = groups;
    plain_rest(rest).map(|rest| format!("2001:db8:{a:x}:{b:x}::{c:x}{rest}"))
}

/// A port or a length of a prefix.
fn plain_rest(rest: &str) -> Option<&str> {
    rest.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'/').then_some(rest)
}

/// 00-00-5E-00-53-00 to -FF, for documentation (RFC 7042, 2.1.2), with the
/// separators and the case of the original.
pub(super) fn mac(text: &str, random: &mut Random) -> Option<String> {
    if text.bytes().filter(u8::is_ascii_hexdigit).count() != 12 {
        return None;
    }
    let mut digits = String::from("00005E0053");
    // Writing to a string cannot fail.
    let _ = write!(digits, "{:02X}", random.next() & 0xff);
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        digits.make_ascii_lowercase();
    }
    let mut digits = digits.chars();
    Some(text.chars().map(|c| if c.is_ascii_hexdigit() { digits.next().unwrap_or(c) } else { c }).collect())
}

/// An IBAN (ISO 13616) with right check digits, of a bank that does not exist:
/// its code starts with four zeros, or with XXXX where it is of letters.
pub(super) fn iban(text: &str, random: &mut Random) -> Option<String> {
    let plain: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_uppercase()).collect();
    let (head, account) = plain.split_at_checked(4)?;
    let country = head.get(..2).filter(|country| country.iter().all(u8::is_ascii_uppercase))?;
    if account.len() < 8 || text.bytes().any(|b| !b.is_ascii_alphanumeric() && b != b' ' && b != b'-') {
        return None;
    }
    let fake: Vec<u8> = (account.iter().enumerate())
        .map(|(at, b)| match (at, b.is_ascii_digit()) {
            (..4, true) => b'0',
            (..4, false) => b'X',
            (_, true) => b'0' + (random.next() % 10) as u8,
            (_, false) => b'A' + (random.next() % 26) as u8,
        })
        .collect();
    let check = 98 - remainder_97(fake.iter().chain(country).chain(b"00"));
    let mut made: Vec<u8> = country.to_vec();
    made.extend_from_slice(format!("{check:02}").as_bytes());
    made.extend_from_slice(&fake);
    let mut made = made.into_iter().map(char::from);
    let lower = text.bytes().any(|b| b.is_ascii_lowercase());
    let cased = |c: char| if lower { c.to_ascii_lowercase() } else { c };
    Some(text.chars().map(|c| if c.is_ascii_alphanumeric() { cased(made.next().unwrap_or(c)) } else { c }).collect())
}

/// ISO 7064, MOD 97-10; letters count as 10 to 35.
fn remainder_97<'b>(bytes: impl Iterator<Item = &'b u8>) -> u32 {
    bytes.fold(0, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b.wrapping_sub(b'A')) + 10) % 97,
    })
}

/// By the first digits of a card its network, and first digits of that network
/// that payment services use for tests alone.
const CARDS: &[(&str, &str)] = &[
    ("34", "37828224"),
    ("37", "37144963"),
    ("35", "35301113"),
    ("36", "36227206"),
    ("38", "38520000"),
    ("30", "30569309"),
    ("62", "62000000"),
    ("65", "65000000"),
    ("60", "60111111"),
    ("64", "60111111"),
    ("2", "22230000"),
    ("4", "40000000"),
    ("51", "51051051"),
    ("5", "55555555"),
    ("6", "67999901"),
];

/// A card number with a right check digit (Luhn, ISO/IEC 7812-1) of the same
/// network and length, in a range for tests.
pub(super) fn card(text: &str, random: &mut Random) -> Option<String> {
    let count = text.bytes().filter(u8::is_ascii_digit).count();
    let first: String = text.chars().filter(char::is_ascii_digit).collect();
    let (_, range) = CARDS.iter().find(|(network, _)| first.starts_with(network))?;
    if !(12..=19).contains(&count) {
        return None;
    }
    let mut digits: String = (*range).to_owned();
    while digits.len() < count - 1 {
        digits.push(random.digit());
    }
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(at, b)| {
            let digit = u32::from(b - b'0') * if at % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    digits.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
    lay(text, &digits)
}

/// A number of the United States whose first group is 000, or of the United
/// Kingdom with the prefix QQ: neither is ever given to anybody. Of other
/// countries there is none.
pub(super) fn national_id(text: &str, random: &mut Random) -> Option<String> {
    let groups: Vec<&str> = text.split('-').collect();
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    if groups.iter().all(|group| digits(group)) && groups.iter().map(|group| group.len()).eq([3, 2, 4]) {
        let mut made = String::from("000");
        (0..6).for_each(|_| made.push(random.digit()));
        return lay(text, &made);
    }
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let bytes = plain.as_bytes();
    let letters = |at: &[usize]| at.iter().all(|&at| bytes.get(at).is_some_and(u8::is_ascii_alphabetic));
    let middle = plain.get(2..8).is_some_and(digits);
    if bytes.len() != 9 || !middle || !letters(&[0, 1, 8]) {
        return None;
    }
    let mut made =
        String::from(if letters(&[0]) && bytes.first().is_some_and(u8::is_ascii_lowercase) { "qq" } else { "QQ" });
    (0..6).for_each(|_| made.push(random.digit()));
    made.push(char::from(*bytes.last()?));
    let mut made = made.chars();
    Some(text.chars().map(|c| if c == ' ' { c } else { made.next().unwrap_or(c) }).collect())
}

/// A day within three years of the original, in its form; only where that is
/// of digits. Both day and month are up to 12, so any order of them is right.
pub(super) fn date(text: &str, random: &mut Random) -> Option<String> {
    let groups: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let [a, b, c] = *groups.as_slice() else { return None };
    if text.chars().any(|c| !c.is_ascii_digit() && !matches!(c, '.' | '/' | '-' | ' ')) {
        return None;
    }
    let year = [a, c].into_iter().find(|group| group.len() == 4)?;
    let shifted = year.parse::<u32>().ok()? + random.below(7) as u32 - 3;
    let mut digits = String::new();
    for group in [a, b, c] {
        // Writing to a string cannot fail.
        let _ = match group.len() {
            4 => write!(digits, "{shifted:04}"),
            2 => write!(digits, "{:02}", 1 + random.below(12)),
            1 => write!(digits, "{}", 1 + random.below(9)),
            _ => return None,
        };
    }
    lay(text, &digits)
}
