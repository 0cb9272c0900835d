//! Synthetic people. All about them is made up from a seed, and valid enough
//! to be taken for real: cards pass Luhn, accounts pass mod 97 (ISO 7064).

use crate::random::Random;
use std::collections::HashSet;

const GIVEN: [&str; 20] = [
    "Jana", "Emeka", "Sofia", "Matteo", "Hanna", "Pieter", "Elena", "Andrei", "Zofia", "Henrik", "Marek", "Ayla",
    "Rafael", "Ingrid", "Claire", "Thomas", "Ana", "Lukas", "Beatriz", "Olga",
];
/// Family names are put together, so that each is its own needle and none of them a word.
const HEADS: [&str; 12] = ["Bar", "Dor", "Fen", "Gal", "Hol", "Jor", "Kel", "Mor", "Quin", "Tor", "Wal", "Zor"];
const MIDDLES: [&str; 8] = ["a", "e", "i", "o", "u", "ö", "é", "ą"];
const TAILS: [&str; 10] = ["bendt", "drich", "feldt", "gornik", "lisko", "quist", "stamm", "tresk", "voldt", "zakis"];
const DOMAINS: [&str; 4] = ["example.com", "mail.example.org", "example.net", "web.example.de"];

/// A person, and everything that must never be seen of them.
pub(crate) struct Identity {
    pub(crate) number: usize,
    /// Their pseudonymous id, as the site gives it.
    pub(crate) subject: String,
    pub(crate) person: String,
    pub(crate) family: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) ipv4: String,
    pub(crate) ipv6: String,
    /// In groups of four, as printed on cards.
    pub(crate) card: String,
    pub(crate) iban: String,
}

impl Identity {
    /// `n` people of whom no two share a value.
    pub(crate) fn crowd(n: usize, random: &mut Random) -> Vec<Self> {
        let mut taken = HashSet::new();
        let mut crowd = Vec::with_capacity(n);
        while crowd.len() < n {
            let one = Self::invent(crowd.len(), random);
            // Family names must differ in letters, as mail addresses hold them.
            let mut values: Vec<String> = one.values().iter().map(|(_, value)| (*value).to_owned()).collect();
            values.push(letters(&one.family));
            if values.iter().all(|value| !taken.contains(value)) {
                taken.extend(values);
                crowd.push(one);
            }
        }
        crowd
    }

    fn invent(number: usize, random: &mut Random) -> Self {
        let given = random.one_of(&GIVEN);
        let family = format!("{}{}{}", random.one_of(&HEADS), random.one_of(&MIDDLES), random.one_of(&TAILS));
        Self {
            number,
            subject: format!("kunde-{}{:012x}", random.one_of(&["a", "b", "c"]), random.next() >> 16),
            person: format!("{given} {family}"),
            email: format!(
                "{}.{}{}@{}",
                given.to_lowercase(),
                letters(&family),
                random.digits(2),
                random.one_of(&DOMAINS)
            ),
            family,
            phone: phone(random),
            ipv4: ipv4(random),
            ipv6: ipv6(random),
            card: card(random),
            iban: iban(random),
        }
    }

    /// What is found of them, with what each is.
    pub(crate) fn values(&self) -> [(&'static str, &str); 7] {
        [
            ("person", &self.person),
            ("email", &self.email),
            ("phone", &self.phone),
            ("ipv4", &self.ipv4),
            ("ipv6", &self.ipv6),
            ("card", &self.card),
            ("iban", &self.iban),
        ]
    }

    /// The values, and what else would give the person away: the family name
    /// alone, and numbers without their separators.
    pub(crate) fn traces(&self) -> Vec<(&'static str, String)> {
        let mut traces: Vec<_> = self.values().into_iter().map(|(what, value)| (what, value.to_owned())).collect();
        traces.push(("family name", self.family.clone()));
        traces.push(("phone digits", self.phone.chars().filter(char::is_ascii_digit).collect()));
        traces.push(("card digits", self.card_digits()));
        traces.push(("iban without spaces", self.iban.replace(' ', "")));
        traces
    }

    pub(crate) fn card_digits(&self) -> String {
        self.card.replace(' ', "")
    }

    /// They say who they are, as people do in chats.
    pub(crate) fn says(&self) -> String {
        let Self { person, email, phone, ipv4, ipv6, card, iban, .. } = self;
        format!(
            "Hello! My name is {person}. Write to {email} or call {phone}. I log in from {ipv4} and at home from \
             {ipv6}. My card is {card}, my account {iban}; is that all?"
        )
    }
}

/// As in a mail address.
fn letters(name: &str) -> String {
    name.to_lowercase().replace('ö', "oe").replace('é', "e").replace('ą', "a")
}

fn phone(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("+49 15{} {}", random.digits(1), 20_000_000 + random.below(70_000_000)),
        1 => format!("+44 7{} {}", random.between(300, 999), random.between(100_000, 999_999)),
        2 => format!("+1 {}-{}-{:04}", random.between(201, 989), random.between(211, 989), random.below(10_000)),
        _ => format!("+33 6 {} {} {} {}", tens(random), tens(random), tens(random), tens(random)),
    }
}

fn tens(random: &mut Random) -> usize {
    random.between(10, 99)
}

fn ipv4(random: &mut Random) -> String {
    let mut octet = || random.between(100, 255);
    let (b, c, d) = (octet(), octet(), octet());
    format!("{}.{b}.{c}.{d}", random.between(130, 190))
}

fn ipv6(random: &mut Random) -> String {
    let groups: Vec<String> = (0..6).map(|_| format!("{:x}", random.between(0x1000, 0x1_0000))).collect();
    format!("2001:db8:{}", groups.join(":"))
}

/// Sixteen digits of which the last is the check digit (ISO/IEC 7812-1).
fn card(random: &mut Random) -> String {
    let start = random.one_of(&["4", "51", "53", "55"]);
    let digits = format!("{start}{}", random.digits(15 - start.len()));
    let sum: u32 = digits
        .bytes()
        .enumerate()
        .map(|(at, digit)| match (at % 2, u32::from(digit - b'0') * 2) {
            (0, doubled) => doubled / 10 + doubled % 10,
            (_, doubled) => doubled / 2,
        })
        .sum();
    grouped(&format!("{digits}{}", (10 - sum % 10) % 10))
}

/// Check digits make the whole, with country and check in the back and letters
/// as numbers, 1 by modulo 97 (ISO 13616).
fn iban(random: &mut Random) -> String {
    let (country, account) = match random.below(3) {
        0 => ("DE", random.digits(18)),
        1 => ("NL", format!("ABNA{}", random.digits(10))),
        _ => ("ES", random.digits(20)),
    };
    let number = |text: &str| text.chars().map(|c| c.to_digit(36).unwrap().to_string()).collect::<String>();
    let whole = number(&format!("{account}{country}00"));
    let rest = whole.bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    let iban = format!("{country}{:02}{account}", 98 - rest);
    if random.once_in(2) { grouped(&iban) } else { iban }
}

fn grouped(digits: &str) -> String {
    let groups: Vec<&str> = (0..digits.len()).step_by(4).map(|at| &digits[at..digits.len().min(at + 4)]).collect();
    groups.join(" ")
}
