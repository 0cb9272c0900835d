//! Stand-ins for phone numbers, of ranges that regulators keep free for
//! fiction; where a country has none, of a prefix with which no number of its
//! plan can start, so that nobody can have it.

use super::{Random, lay};

/// A range: calling code, first digits of the national number behind it (with
/// no trunk prefix), and how many digits that has in all; 0 for any.
struct Kept {
    code: &'static str,
    /// First digits of real numbers that this range stands for.
    like: &'static [&'static str],
    ranges: &'static [&'static str],
    length: usize,
}

const fn kept(
    code: &'static str,
    like: &'static [&'static str],
    ranges: &'static [&'static str],
    length: usize,
) -> Kept {
    Kept { code, like, ranges, length }
}

/// Kept free: Ofcom (numbers for drama), Arcep (decision 2009-0637),
/// Bundesnetzagentur (notice 148/2021), PTS (070-174 06 05 to 99 and four
/// areas), ACMA (single numbers), `ComReg` (020 91), and 555-0100 to 555-0199 of
/// the North American plan (ATIS-0300115).
///
/// The others cannot be assigned by the plan of their country, and the metadata
/// of libphonenumber 9.0 takes none of them for valid: Spain uses the first
/// digits 5 to 9; Italy keeps 2 for later (AGCOM); behind the trunk prefix of
/// the Netherlands, Austria, Switzerland and Belgium 0 makes the international
/// prefix; Romania has nothing under 4 and 5, Portugal short numbers alone under
/// 1 and nothing under 5; in Poland no area is 10 or 20; Czechia has short
/// numbers under 1 and nothing under 0; Turkey has nothing under 1 and 6.
const KEPT: &[Kept] = &[
    kept("44", &["7"], &["7700900"], 10),
    kept("44", &["20"], &["2079460"], 10),
    kept("44", &["8"], &["8081570"], 10),
    kept("44", &[""], &["1134960", "1144960", "1214960", "1314960", "1414960", "1514960", "1614960"], 10),
    kept("33", &["6", "7"], &["63998"], 9),
    kept("33", &["1"], &["19900"], 9),
    kept("33", &["2"], &["26191"], 9),
    kept("33", &["3"], &["35301"], 9),
    kept("33", &["4"], &["46571"], 9),
    kept("33", &[""], &["53649"], 9),
    kept("49", &["15", "16", "17"], &["17139200", "176040690"], 0),
    kept("49", &[""], &["3023125", "6990009", "4066969", "2214710", "8999998"], 0),
    kept(
        "46",
        &["7"],
        &["70174061", "70174062", "70174063", "70174064", "70174065", "70174066", "70174067", "70174068", "70174069"],
        9,
    ),
    kept("46", &["8"], &["8465004"], 9),
    kept("46", &[""], &["3139006", "4062804"], 9),
    kept(
        "61",
        &["4"],
        &["491570006", "491570110", "491570156", "491570157", "491570158", "491570159", "491570313", "491570737"],
        9,
    ),
    kept("61", &["3"], &["35550", "37010"], 9),
    kept("61", &["7"], &["75550", "77010"], 9),
    kept("61", &["8"], &["85550", "87010"], 9),
    kept("61", &[""], &["25550", "27010"], 9),
    kept("353", &[""], &["20910", "20911"], 9),
    kept("34", &[""], &["10", "30"], 9),
    kept("39", &[""], &["25", "26"], 10),
    kept("31", &[""], &["001", "002"], 9),
    kept("40", &[""], &["41", "51"], 9),
    kept("48", &[""], &["10", "20"], 9),
    kept("351", &[""], &["10", "50"], 9),
    kept("420", &[""], &["10", "00"], 9),
    kept("90", &[""], &["101", "601"], 10),
    kept("43", &[""], &["001", "002"], 0),
    kept("41", &[""], &["001", "002"], 9),
    kept("32", &[""], &["001", "002"], 0),
];

/// A number of the same country and grouping.
pub(super) fn attempt(text: &str, random: &mut Random) -> Option<String> {
    if text.chars().any(char::is_alphabetic) {
        // An extension, or digits spelled out.
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !(7..=15).contains(&digits.len()) {
        return None;
    }
    let made = if let Some(rest) = digits.strip_prefix("00").filter(|_| !text.starts_with('+')) {
        format!("00{}", international(rest, random)?)
    } else if text.trim_start().starts_with(['+', '＋']) {
        international(&digits, random)?
    } else {
        national(&digits, text, random)?
    };
    lay(text, &made)
}

/// A number with its calling code.
fn international(digits: &str, random: &mut Random) -> Option<String> {
    if let Some(rest) = digits.strip_prefix('1') {
        return north_american(rest, random).map(|made| format!("1{made}"));
    }
    let known = KEPT.iter().find_map(|kept| digits.strip_prefix(kept.code).map(|rest| (kept.code, rest)));
    let Some((code, rest)) = known else {
        // No national number starts with two zeros. The longest codes have three digits.
        let code = digits.get(..3)?;
        return Some(format!("{code}00{}", filled("", digits.len().checked_sub(5)?, random)));
    };
    // "+44 (0)20": the trunk prefix that does not belong there.
    let trunk = if rest.starts_with('0') && code != "39" { "0" } else { "" };
    let number = of_country(code, rest.get(trunk.len()..)?, random)?;
    Some(format!("{code}{trunk}{number}"))
}

/// A number as it is dialled within a country that nobody names.
fn national(digits: &str, text: &str, random: &mut Random) -> Option<String> {
    let groups: Vec<usize> =
        text.split(|c: char| !c.is_ascii_digit()).map(str::len).filter(|length| *length > 0).collect();
    let pairs = groups.len() == 5 && groups.iter().all(|length| *length == 2);
    let Some(rest) = digits.strip_prefix('0') else {
        return match digits.len() {
            7 => Some(format!("55501{}{}", random.digit(), random.digit())),
            10 => north_american(digits, random),
            11 if digits.starts_with('1') => Some(format!("1{}", north_american(digits.get(1..)?, random)?)),
            // Neither Spain nor Portugal, Poland, Czechia assign it.
            length => Some(filled("10", length, random)),
        };
    };
    let country = match digits.len() {
        10 if pairs => "33",
        11 if digits.starts_with("07") || digits.starts_with("020") => "44",
        10 if digits.starts_with("04") => "61",
        10 if digits.starts_with("07") => "46",
        _ => "49",
    };
    of_country(country, rest, random).map(|number| format!("0{number}"))
}

/// A number of a country in place of `number`, both without the trunk prefix.
fn of_country(code: &str, number: &str, random: &mut Random) -> Option<String> {
    let of_code = || KEPT.iter().filter(|kept| kept.code == code);
    let kept = of_code().find(|kept| kept.like.iter().any(|like| number.starts_with(like)))?;
    let range = random.pick(kept.ranges)?;
    let fits = kept.length == 0 || kept.length == number.len();
    // Where the length is odd the prefix alone still keeps the number unassigned.
    (number.len() >= range.len() && (fits || number.len() > 6)).then(|| filled(range, number.len(), random))
}

/// An area code as it was, with 555-01xx behind it.
fn north_american(number: &str, random: &mut Random) -> Option<String> {
    let area = ["202", "212", "303", "312", "404", "415", "503", "512", "617", "702", "713", "808"];
    (number.len() == 10)
        .then(|| Some(format!("{}55501{}{}", random.pick(&area)?, random.digit(), random.digit())))
        .flatten()
}

/// The prefix with random digits up to a length.
fn filled(prefix: &str, length: usize, random: &mut Random) -> String {
    let mut digits = prefix.to_owned();
    while digits.len() < length {
        digits.push(random.digit());
    }
    digits.truncate(length);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Vec<String> {
        (0..40).filter_map(|seed| attempt(text, &mut Random::new(seed, 0))).collect()
    }

    #[test]
    fn where_single_numbers_are_kept_no_other_is_made() {
        for number in made("+46 70 123 45 67") {
            let last: u32 = number.replace(' ', "").strip_prefix("+467017406").unwrap().parse().unwrap();
            assert!((5..=99).contains(&last), "{number}");
        }
        for number in made("0412 345 678") {
            assert!(KEPT.iter().any(|kept| kept.ranges.contains(&&number.replace(' ', "")[1..])), "{number}");
        }
    }

    /// First digits that the plans of these countries know.
    #[test]
    fn what_nobody_keeps_free_no_plan_can_assign() {
        for (code, known) in [
            ("34", "56789"),
            ("39", "01345789"),
            ("31", "123456789"),
            ("40", "23789"),
            ("351", "236789"),
            ("420", "23456789"),
            ("90", "2345789"),
            ("43", "123456789"),
            ("41", "123456789"),
            ("32", "123456789"),
        ] {
            for number in made(&format!("+{code} 712 345 678")) {
                let rest = number.replace(' ', "").strip_prefix(&format!("+{code}")).unwrap().to_owned();
                assert!(!known.contains(&rest[..1]), "{number}");
            }
        }
        for number in made("+48 712 345 678") {
            assert!(number.starts_with("+48 10") || number.starts_with("+48 20"), "{number}");
        }
    }
}
