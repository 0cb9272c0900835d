//! IBAN (ISO 13616): country, length, structure and check digits.

/// What follows the check digits, as the SWIFT registry writes it: so many `n`
/// digits, `a` letters, `c` of both.
type Structure = &'static [(u8, u8)];

/// The countries of the registry, in order.
const REGISTRY: &[(&[u8; 2], Structure)] = &[
    (b"AD", &[(8, b'n'), (12, b'c')]),
    (b"AE", &[(19, b'n')]),
    (b"AL", &[(8, b'n'), (16, b'c')]),
    (b"AT", &[(16, b'n')]),
    (b"AZ", &[(4, b'a'), (20, b'c')]),
    (b"BA", &[(16, b'n')]),
    (b"BE", &[(12, b'n')]),
    (b"BG", &[(4, b'a'), (6, b'n'), (8, b'c')]),
    (b"BH", &[(4, b'a'), (14, b'c')]),
    (b"BI", &[(23, b'n')]),
    (b"BR", &[(23, b'n'), (1, b'a'), (1, b'c')]),
    (b"BY", &[(4, b'c'), (4, b'n'), (16, b'c')]),
    (b"CH", &[(5, b'n'), (12, b'c')]),
    (b"CR", &[(18, b'n')]),
    (b"CY", &[(8, b'n'), (16, b'c')]),
    (b"CZ", &[(20, b'n')]),
    (b"DE", &[(18, b'n')]),
    (b"DJ", &[(23, b'n')]),
    (b"DK", &[(14, b'n')]),
    (b"DO", &[(4, b'c'), (20, b'n')]),
    (b"EE", &[(16, b'n')]),
    (b"EG", &[(25, b'n')]),
    (b"ES", &[(20, b'n')]),
    (b"FI", &[(14, b'n')]),
    (b"FK", &[(2, b'a'), (12, b'n')]),
    (b"FO", &[(14, b'n')]),
    (b"FR", &[(10, b'n'), (11, b'c'), (2, b'n')]),
    (b"GB", &[(4, b'a'), (14, b'n')]),
    (b"GE", &[(2, b'a'), (16, b'n')]),
    (b"GI", &[(4, b'a'), (15, b'c')]),
    (b"GL", &[(14, b'n')]),
    (b"GR", &[(7, b'n'), (16, b'c')]),
    (b"GT", &[(24, b'c')]),
    (b"HN", &[(4, b'a'), (20, b'n')]),
    (b"HR", &[(17, b'n')]),
    (b"HU", &[(24, b'n')]),
    (b"IE", &[(4, b'a'), (14, b'n')]),
    (b"IL", &[(19, b'n')]),
    (b"IQ", &[(4, b'a'), (15, b'n')]),
    (b"IS", &[(22, b'n')]),
    (b"IT", &[(1, b'a'), (10, b'n'), (12, b'c')]),
    (b"JO", &[(4, b'a'), (4, b'n'), (18, b'c')]),
    (b"KW", &[(4, b'a'), (22, b'c')]),
    (b"KZ", &[(3, b'n'), (13, b'c')]),
    (b"LB", &[(4, b'n'), (20, b'c')]),
    (b"LC", &[(4, b'a'), (24, b'c')]),
    (b"LI", &[(5, b'n'), (12, b'c')]),
    (b"LT", &[(16, b'n')]),
    (b"LU", &[(3, b'n'), (13, b'c')]),
    (b"LV", &[(4, b'a'), (13, b'c')]),
    (b"LY", &[(21, b'n')]),
    (b"MC", &[(10, b'n'), (11, b'c'), (2, b'n')]),
    (b"MD", &[(20, b'c')]),
    (b"ME", &[(18, b'n')]),
    (b"MK", &[(3, b'n'), (10, b'c'), (2, b'n')]),
    (b"MN", &[(16, b'n')]),
    (b"MR", &[(23, b'n')]),
    (b"MT", &[(4, b'a'), (5, b'n'), (18, b'c')]),
    (b"MU", &[(4, b'a'), (19, b'n'), (3, b'a')]),
    (b"NI", &[(4, b'a'), (20, b'n')]),
    (b"NL", &[(4, b'a'), (10, b'n')]),
    (b"NO", &[(11, b'n')]),
    (b"OM", &[(3, b'n'), (16, b'c')]),
    (b"PK", &[(4, b'a'), (16, b'c')]),
    (b"PL", &[(24, b'n')]),
    (b"PS", &[(4, b'a'), (21, b'c')]),
    (b"PT", &[(21, b'n')]),
    (b"QA", &[(4, b'a'), (21, b'c')]),
    (b"RO", &[(4, b'a'), (16, b'c')]),
    (b"RS", &[(18, b'n')]),
    (b"RU", &[(14, b'n'), (15, b'c')]),
    (b"SA", &[(2, b'n'), (18, b'c')]),
    (b"SC", &[(4, b'a'), (20, b'n'), (3, b'a')]),
    (b"SD", &[(14, b'n')]),
    (b"SE", &[(20, b'n')]),
    (b"SI", &[(15, b'n')]),
    (b"SK", &[(20, b'n')]),
    (b"SM", &[(1, b'a'), (10, b'n'), (12, b'c')]),
    (b"SO", &[(19, b'n')]),
    (b"ST", &[(21, b'n')]),
    (b"SV", &[(4, b'a'), (20, b'n')]),
    (b"TL", &[(19, b'n')]),
    (b"TN", &[(20, b'n')]),
    (b"TR", &[(6, b'n'), (16, b'c')]),
    (b"UA", &[(6, b'n'), (19, b'c')]),
    (b"VA", &[(18, b'n')]),
    (b"VG", &[(4, b'a'), (16, b'n')]),
    (b"XK", &[(16, b'n')]),
    (b"YE", &[(4, b'a'), (4, b'n'), (18, b'c')]),
];

/// The longest IBAN that the standard allows.
pub(crate) const MAX_IBAN: usize = 34;

fn structure(country: [u8; 2]) -> Option<Structure> {
    let country = [country[0].to_ascii_uppercase(), country[1].to_ascii_uppercase()];
    let at = REGISTRY.binary_search_by(|(code, _)| (**code).cmp(&country)).ok()?;
    REGISTRY.get(at).map(|(_, structure)| *structure)
}

/// The length of a country's IBAN, check digits and country code included. The
/// code may be in small letters.
pub(crate) fn iban_len(country: [u8; 2]) -> Option<usize> {
    structure(country).map(|parts| 4 + parts.iter().map(|(count, _)| usize::from(*count)).sum::<usize>())
}

/// Country, length and check digits (ISO 7064 MOD 97-10) of an IBAN given as
/// its letters and digits alone.
pub(crate) fn iban(characters: impl Iterator<Item = u8> + Clone) -> bool {
    let mut head = characters.clone();
    let (Some(a), Some(b)) = (head.next(), head.next()) else { return false };
    let Some(len) = iban_len([a, b]) else { return false };
    if characters.clone().count() != len {
        return false;
    }
    let rotated = characters.clone().skip(4).chain(characters.take(4));
    let mut rest = 0_u32;
    for (i, c) in rotated.enumerate() {
        rest = match c {
            b'0'..=b'9' => rest * 10 + u32::from(c - b'0'),
            // The check digits are digits.
            _ if i >= len - 2 => return false,
            b'A'..=b'Z' => rest * 100 + u32::from(c - b'A') + 10,
            b'a'..=b'z' => rest * 100 + u32::from(c - b'a') + 10,
            _ => return false,
        } % 97;
    }
    rest == 1
}

/// Whether letters and digits stand where the registry has them.
pub(crate) fn is_structured(iban: &[u8]) -> bool {
    let Some((country, rest)) = iban.split_first_chunk::<2>() else { return false };
    let Some(parts) = structure(*country) else { return false };
    let mut rest = rest.iter().skip(2);
    parts.iter().all(|&(count, kind)| {
        rest.by_ref().take(usize::from(count)).all(|b| match kind {
            b'n' => b.is_ascii_digit(),
            b'a' => b.is_ascii_alphabetic(),
            _ => b.is_ascii_alphanumeric(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the registry.
    const EXAMPLES: &[&str] = &[
        "AD1200012030200359100100",
        "AE070331234567890123456",
        "AL47212110090000000235698741",
        "AT611904300234573201",
        "BE68539007547034",
        "BG80BNBG96611020345678",
        "BR1800360305000010009795493C1",
        "CH9300762011623852957",
        "CY17002001280000001200527600",
        "CZ6508000000192000145399",
        "DE89370400440532013000",
        "DK5000400440116243",
        "EE382200221020145685",
        "ES9121000418450200051332",
        "FI2112345600000785",
        "FR1420041010050500013M02606",
        "GB29NWBK60161331926819",
        "GR1601101250000000012300695",
        "HR1210010051863000160",
        "HU42117730161111101800000000",
        "IE29AIBK93115212345678",
        "IS140159260076545510730339",
        "IT60X0542811101000000123456",
        "LT121000011101001000",
        "LU280019400644750000",
        "LV80BANK0000435195001",
        "MT84MALT011000012345MTLCAST001S",
        "NL91ABNA0417164300",
        "NO9386011117947",
        "PL61109010140000071219812874",
        "PT50000201231234567890154",
        "RO49AAAA1B31007593840000",
        "SE4550000000058398257466",
        "SI56263300012039086",
        "SK3112000000198742637541",
        "TR330006100519786457841326",
        "UA213223130000026007233566001",
    ];

    #[test]
    fn examples_of_the_registry_hold_and_a_changed_digit_does_not() {
        for example in EXAMPLES {
            assert!(iban(example.bytes()), "{example}");
            assert!(iban(example.to_lowercase().bytes()), "{example}");
            assert!(is_structured(example.as_bytes()), "{example}");
            for at in (2..example.len()).filter(|&at| example.as_bytes()[at].is_ascii_digit()) {
                let mut changed = example.as_bytes().to_vec();
                changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
                assert!(!iban(changed.iter().copied()), "{example} at {at}");
            }
        }
    }

    #[test]
    fn the_registry_is_in_order_and_no_iban_is_too_long() {
        assert!(REGISTRY.is_sorted_by(|a, b| a.0 < b.0));
        assert!(REGISTRY.iter().all(|(code, _)| iban_len(**code).is_some_and(|len| (15..=MAX_IBAN).contains(&len))));
        assert_eq!(iban_len(*b"ZZ"), None);
        assert!(!is_structured(b"DE8937040044053201300X"));
        assert!(!is_structured(b"D"));
    }
}
