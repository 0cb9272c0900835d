//! What is planted: invented values of six kinds, each in a sentence that a
//! person could write. Domains, numbers and addresses are those reserved for
//! examples.

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Email,
    Phone,
    Iban,
    CreditCard,
    Person,
    Ip,
}

/// A value and the words around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planted {
    pub(super) before: &'static str,
    pub(super) value: String,
    pub(super) after: &'static str,
}

impl Planted {
    /// The value between its words.
    pub(super) fn text(&self) -> String {
        self.around(&self.value)
    }

    /// Something else between its words.
    pub(super) fn around(&self, other: &str) -> String {
        format!("{}{other}{}", self.before, self.after)
    }

    /// The sentence in two, cut within its value.
    pub(super) fn halves(&self) -> (Self, Self) {
        let (head, tail) = self.value.split_at(self.value.len() / 2);
        let half = |before, value: &str, after| Self { before, value: value.to_owned(), after };
        (half(self.before, head, ""), half("", tail, self.after))
    }

    /// What stands between its words.
    pub(super) fn stand_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.strip_prefix(self.before)?.strip_suffix(self.after)
    }
}

impl Kind {
    /// All kinds, in the order of the columns.
    pub(super) const ALL: [Self; 6] = [Self::Email, Self::Phone, Self::Iban, Self::CreditCard, Self::Person, Self::Ip];

    /// How many values of a kind there are.
    pub(super) const VALUES: usize = 400;

    /// The entity that findings of this kind have.
    pub(super) fn entity(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Iban => "IBAN",
            Self::CreditCard => "CREDIT_CARD",
            Self::Person => "PERSON",
            Self::Ip => "IP",
        }
    }

    /// The value with this number, in a sentence.
    pub(super) fn sentence(self, number: usize) -> Planted {
        let (before, after) = match self {
            Self::Email => ("Please write to ", " today."),
            Self::Phone => ("You can call me at ", " after five."),
            Self::Iban => ("The refund goes to IBAN ", ", thanks."),
            Self::CreditCard => ("I paid with the card ", " on Monday."),
            Self::Person => ("Hello, my name is ", "."),
            Self::Ip => ("I connect from ", " at home."),
        };
        Planted { before, value: self.value(number), after }
    }

    /// A value of somebody else in a sentence: none that may stand for one of the
    /// others, as numbers and addresses of the ranges for examples may.
    pub(super) fn of_others(self, number: usize) -> Planted {
        match self {
            Self::Phone => Planted { value: format!("+44 1632 960{number:03}"), ..self.sentence(number) },
            // Of the network for benchmarks (RFC 2544).
            Self::Ip => {
                Planted { value: format!("198.18.{}.{}", number / 100, 100 + number % 100), ..self.sentence(number) }
            }
            _ => self.sentence(number),
        }
    }

    /// The value with this number and nothing around it. A name alone is not
    /// known for one, so there is none.
    pub(super) fn alone(self, number: usize) -> Option<Planted> {
        (self != Self::Person).then(|| Planted { before: "", value: self.value(number), after: "" })
    }

    /// The name with this number, in the characters of an identifier.
    pub(super) fn identifier(self, number: usize) -> Option<Planted> {
        (self == Self::Person).then(|| Planted { before: "", value: self.value(number).replace(' ', "_"), after: "" })
    }

    /// The value with this number as a JSON number.
    pub(super) fn number(self, number: usize) -> Option<Planted> {
        (self == Self::CreditCard).then(|| Planted { before: "", value: self.value(number), after: "" })
    }

    /// The value with this number.
    fn value(self, number: usize) -> String {
        let number = number % Self::VALUES;
        match self {
            Self::Email => format!("mara{number}.lind@example.com"),
            Self::Phone => format!("+44 20 7946 0{number:03}"),
            Self::Iban => iban(number),
            Self::CreditCard => card(number),
            Self::Person => name(number),
            Self::Ip => address(number),
        }
    }
}

/// Values that every format has to escape, or that a careless one would cut.
pub(super) fn nasty() -> Vec<Planted> {
    let values = [
        "O\"Neil \\ \\\\ 'x'".to_owned(),
        "a\nb\r\nc\td\re".to_owned(),
        "<b>R&amp;D</b>]]>".to_owned(),
        "\u{1f468}\u{200d}\u{1f469} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}x \u{1}".to_owned(),
        "\u{e9}".repeat(200),
        "%41 + {\"a\": [1]}".to_owned(),
    ];
    // In each stands what reads otherwise where markup does not escape it.
    values.map(|value| Planted { before: "So ", value: value + " &lt;", after: " it is." }).into()
}

/// An IBAN (ISO 13616) with its check digits.
fn iban(number: usize) -> String {
    let account = format!("370400440532{number:06}");
    // `DE00` moved to the end, its letters as numbers.
    let remainder =
        format!("{account}131400").bytes().fold(0, |remainder, digit| (remainder * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{account}", 98 - remainder)
}

/// A card number (ISO/IEC 7812) of 16 digits with its check digit.
fn card(number: usize) -> String {
    let digits = format!("411111{number:09}");
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0') * if at % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn name(number: usize) -> String {
    const FIRST: [&str; 20] = [
        "Anna", "Peter", "Julia", "Thomas", "Elena", "Victor", "Clara", "Martin", "Nina", "Oscar", "Laura", "Daniel",
        "Sofia", "Robert", "Emma", "Michael", "Maria", "David", "Helen", "Simon",
    ];
    const LAST: [&str; 20] = [
        "Kowalska",
        "Lindqvist",
        "Moreau",
        "Keller",
        "Rossi",
        "Novak",
        "Santos",
        "Byrne",
        "Andersen",
        "Fischer",
        "Garcia",
        "Nowak",
        "Schneider",
        "Johnson",
        "Martinez",
        "Petrov",
        "Hansen",
        "Dubois",
        "Murphy",
        "Weber",
    ];
    let of = |names: [&'static str; 20], at: usize| names.get(at % 20).copied().unwrap_or_default();
    format!("{} {}", of(FIRST, number), of(LAST, number / 20 + number))
}

/// An address of a network for documentation (RFC 5737). The last number has
/// three digits, so that no address is the beginning of another.
fn address(number: usize) -> String {
    const NETWORKS: [&str; 3] = ["192.0.2", "198.51.100", "203.0.113"];
    let network = NETWORKS.get(number / 150 % 3).copied().unwrap_or_default();
    format!("{network}.{}", 100 + number % 150)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_value_is_found_in_its_sentence() {
        use crate::detect::{Engine, Input, Scratch};
        let engine = Engine::builtin().unwrap();
        let mut scratch = Scratch::default();
        for kind in Kind::ALL {
            for number in 0..Kind::VALUES {
                for Planted { before, value, after } in [kind.sentence(number), kind.of_others(number)] {
                    let text = format!("{before}{value}{after}");
                    let found = engine.scan(Input::text(&text), &mut scratch);
                    let found: Vec<_> =
                        found.iter().map(|f| (f.entity.as_str().to_owned(), &text[f.start..f.end])).collect();
                    assert_eq!(found, [(kind.entity().to_owned(), value.as_str())], "{text}");
                }
            }
        }
    }

    #[test]
    fn no_value_is_part_of_another() {
        for kind in Kind::ALL {
            let all: BTreeSet<_> = (0..Kind::VALUES).map(|number| kind.value(number)).collect();
            assert_eq!(all.len(), Kind::VALUES, "{kind:?}");
            for one in &all {
                assert_eq!(all.iter().filter(|other| other.contains(one.as_str())).count(), 1, "{one}");
            }
        }
    }
}
