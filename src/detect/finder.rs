//! The built-in finders: recognisers that need more than a pattern. A rule
//! names one with `finder = "…"` and gives it entity, score, context, operator.

/// A built-in recogniser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finder {
    /// A customer's, order's or contract's number behind a word that says so.
    Account,
    /// A street with its number, and what belongs to it.
    Address,
    /// A key or token behind its cue.
    ApiKey,
    /// A date with a word of birth beside it.
    Birth,
    /// Payment card number: issuer prefix, length, Luhn (ISO/IEC 7812-1).
    Card,
    /// A number that only a word makes a payment card's: Luhn alone.
    CardByCue,
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
    /// EUI-48 and EUI-64 (IEEE 802) with colons, hyphens or dots.
    Mac,
    /// A PIN or one-time code behind its cue.
    Passcode,
    /// A password behind its cue, or in its field.
    Password,
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
    /// A postcode with its place, or one of strong shape alone.
    Postcode,
    /// A day of birth in a query value.
    UrlBirth,
    /// A mail address, by its key, in a query value.
    UrlEmail,
    /// A person's name in a query value.
    UrlPerson,
    /// A telephone number in a query value.
    UrlPhone,
    /// A street or place in a query value.
    UrlPlace,
    /// A password in a URL.
    UrlSecret,
    /// Somebody's handle in a URL.
    UrlUser,
}

impl Finder {
    const ALL: [(&'static str, Self); Self::COUNT] = [
        ("account", Self::Account),
        ("address", Self::Address),
        ("api-key", Self::ApiKey),
        ("birth", Self::Birth),
        ("card", Self::Card),
        ("card-by-cue", Self::CardByCue),
        ("email", Self::Email),
        ("email-spelled", Self::EmailSpelled),
        ("iban", Self::Iban),
        ("ipv4", Self::Ipv4),
        ("ipv6", Self::Ipv6),
        ("mac", Self::Mac),
        ("passcode", Self::Passcode),
        ("password", Self::Password),
        ("person-cue", Self::PersonCue),
        ("person-name", Self::PersonName),
        ("person-title", Self::PersonTitle),
        ("phone-digits", Self::PhoneDigits),
        ("phone-grouped", Self::PhoneGrouped),
        ("phone-international", Self::PhoneInternational),
        ("phone-national", Self::PhoneNational),
        ("phone-spelled", Self::PhoneSpelled),
        ("postcode", Self::Postcode),
        ("url-birth", Self::UrlBirth),
        ("url-email", Self::UrlEmail),
        ("url-person", Self::UrlPerson),
        ("url-phone", Self::UrlPhone),
        ("url-place", Self::UrlPlace),
        ("url-secret", Self::UrlSecret),
        ("url-user", Self::UrlUser),
    ];
    /// How many finders there are.
    pub(crate) const COUNT: usize = 30;
    /// Their names in rule files.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "account",
        "address",
        "api-key",
        "birth",
        "card",
        "card-by-cue",
        "email",
        "email-spelled",
        "iban",
        "ipv4",
        "ipv6",
        "mac",
        "passcode",
        "password",
        "person-cue",
        "person-name",
        "person-title",
        "phone-digits",
        "phone-grouped",
        "phone-international",
        "phone-national",
        "phone-spelled",
        "postcode",
        "url-birth",
        "url-email",
        "url-person",
        "url-phone",
        "url-place",
        "url-secret",
        "url-user",
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
