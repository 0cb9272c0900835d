//! The built-in finders: recognisers that need more than a pattern. A rule
//! names one with `finder = "…"` and gives it entity, score, context, operator.

/// A built-in recogniser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finder {
    /// Payment card number: issuer prefix, length, Luhn (ISO/IEC 7812-1).
    Card,
    /// Addr-spec (RFC 5321, RFC 6531).
    Email,
    /// "ana (at) example dot com" and its kin in other languages.
    EmailSpelled,
    /// ISO 13616.
    Iban,
    /// Dotted quad.
    Ipv4,
    /// All text forms of RFC 4291, section 2.2.
    Ipv6,
    /// A name behind "my name is" and its kin, or in a field that holds names.
    PersonCue,
    /// A name that the lists know.
    PersonName,
    /// A name behind a title.
    PersonTitle,
    /// Seven to fifteen digits without separators.
    PhoneDigits,
    /// Digits in groups that fit no known national format.
    PhoneGrouped,
    /// `+` or `00` and a country calling code (ITU-T E.164).
    PhoneInternational,
    /// A national format with trunk prefix or area code.
    PhoneNational,
    /// A number read out in words.
    PhoneSpelled,
}

impl Finder {
    const ALL: [(&'static str, Self); Self::COUNT] = [
        ("card", Self::Card),
        ("email", Self::Email),
        ("email-spelled", Self::EmailSpelled),
        ("iban", Self::Iban),
        ("ipv4", Self::Ipv4),
        ("ipv6", Self::Ipv6),
        ("person-cue", Self::PersonCue),
        ("person-name", Self::PersonName),
        ("person-title", Self::PersonTitle),
        ("phone-digits", Self::PhoneDigits),
        ("phone-grouped", Self::PhoneGrouped),
        ("phone-international", Self::PhoneInternational),
        ("phone-national", Self::PhoneNational),
        ("phone-spelled", Self::PhoneSpelled),
    ];
    /// How many finders there are.
    pub(crate) const COUNT: usize = 14;
    /// Their names in rule files.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "card",
        "email",
        "email-spelled",
        "iban",
        "ipv4",
        "ipv6",
        "person-cue",
        "person-name",
        "person-title",
        "phone-digits",
        "phone-grouped",
        "phone-international",
        "phone-national",
        "phone-spelled",
    ];

    /// The name in rule files.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or_default()
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, finder)| *finder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_finders_agree() {
        for (i, name) in Finder::NAMES.iter().enumerate() {
            assert_eq!(Finder::parse(name).map(|f| (f as usize, f.name())), Some((i, *name)));
        }
    }
}
