//! How long values are kept: `[[retention]]`.

use super::build::{checked, choice};
use super::check::Wrong;
use super::choice::Expiry;
use super::problem::Found;
use super::settings::Settings;
use crate::clock::Time;
use crate::entity::Entity;

const DAY: u64 = 24 * 3600;

/// For how long values are kept that fit it. What it does not name fits all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The entity of the values.
    pub entity: Option<Entity>,
    /// The purpose for which they came first.
    pub purpose: Option<String>,
    /// The tenant whose subjects they are of.
    pub tenant: Option<String>,
    /// For how long.
    pub keep: Keep,
    /// What happens then.
    pub action: Expiry,
}

/// For how long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// So many seconds; a day has 86,400 of them.
    Seconds(u64),
    /// So many months of the (proleptic Gregorian) calendar, in UTC.
    Months(u32),
    /// Until the person's data is erased.
    UntilErased,
}

impl Keep {
    /// Reads `30d`, `12mo`, `until erased`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "until erased" {
            return Some(Self::UntilErased);
        }
        let end = text.bytes().position(|b| !b.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(end)?;
        let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
        let seconds = |of_one: u64| u64::from(number).checked_mul(of_one).map(Self::Seconds);
        // A bare "m" would be minutes to one reader and months to the next.
        match unit.trim_start() {
            "s" => seconds(1),
            "min" => seconds(60),
            "h" => seconds(3600),
            "d" => seconds(DAY),
            "w" => seconds(7 * DAY),
            "mo" => Some(Self::Months(number)),
            "y" => number.checked_mul(12).map(Self::Months),
            _ => None,
        }
    }

    /// What came before this moment (Unix seconds) has been kept long enough
    /// at `now`; nothing has where the answer is 0.
    pub fn cutoff(self, now: u64) -> u64 {
        match self {
            Self::UntilErased => 0,
            Self::Seconds(seconds) => now.saturating_sub(seconds),
            Self::Months(months) => months_before(now, months),
        }
    }
}

impl std::fmt::Display for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UntilErased => f.write_str("until erased"),
            Self::Months(months) => write!(f, "{months}mo"),
            Self::Seconds(seconds) => {
                let units = [(DAY, "d"), (3600, "h"), (60, "min")];
                let unit = units.into_iter().find(|(of_one, _)| seconds.is_multiple_of(*of_one));
                let (of_one, unit) = unit.unwrap_or((1, "s"));
                write!(f, "{}{unit}", seconds / of_one)
            }
        }
    }
}

/// All tables `[[retention]]`.
pub(super) fn all(settings: &Settings, found: &mut Found) -> Vec<Retention> {
    let mut all: Vec<Retention> = Vec::new();
    for section in settings.list("retention", "retention[]") {
        let keep = checked(section.required("keep", found), keep, found);
        let entity = section.text("entity");
        let named = entity.is_some();
        let entity = checked(entity, self::entity, found);
        let Some(keep) = keep else { continue };
        if named && entity.is_none() {
            continue;
        }
        let text = |name| section.text(name).map(|placed| placed.value);
        let one = Retention {
            entity,
            purpose: text("purpose"),
            tenant: text("tenant"),
            keep,
            action: choice(&section, "action"),
        };
        let same = |other: &&Retention| {
            (other.entity, &other.purpose, &other.tenant) == (one.entity, &one.purpose, &one.tenant)
        };
        if all.iter().find(same).is_some() {
            let message = "two [[retention]] are for the same entity, purpose and tenant";
            found.error(&section.origin(), message, "keep one of them");
        }
        all.push(one);
    }
    all
}

pub(super) fn keep(text: &str) -> Result<Keep, Wrong> {
    Keep::parse(text).ok_or_else(|| Wrong {
        message: "`keep` is no time that values can be kept".to_owned(),
        mend: "write a number with min, h, d, w, mo (months) or y, such as \"90d\" or \"12mo\", or \"until erased\""
            .to_owned(),
    })
}

fn entity(text: &str) -> Result<Entity, Wrong> {
    text.parse().map_err(|_| Wrong {
        message: "`entity` is no name of an entity".to_owned(),
        mend: "write it in capitals, such as \"EMAIL\"; `privet rules list` names those that rules find".to_owned(),
    })
}

/// The same time of day so many months earlier; on the last day of that month
/// where it has no such day.
fn months_before(now: u64, months: u32) -> u64 {
    let (year, month, day) = Time(now).date();
    let Some(index) = (year * 12 + month - 1).checked_sub(u64::from(months)) else { return 0 };
    let (year, month) = (index / 12, index % 12 + 1);
    if year < 1970 {
        return 0;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    days(year, month, day.min(last)) * DAY + now % DAY
}

/// The day since 1970-01-01 of a date from 1970 on.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;

    #[test]
    fn times_to_keep() {
        for (text, keep) in [
            ("30d", Some(Keep::Seconds(30 * DAY))),
            ("90 d", Some(Keep::Seconds(90 * DAY))),
            ("12mo", Some(Keep::Months(12))),
            ("2y", Some(Keep::Months(24))),
            ("2w", Some(Keep::Seconds(14 * DAY))),
            ("1s", Some(Keep::Seconds(1))),
            ("until erased", Some(Keep::UntilErased)),
            ("12m", None),
            ("0d", None),
            ("30", None),
            ("-1d", None),
            ("1.5d", None),
            ("forever", None),
            ("", None),
            ("99999999999d", None),
        ] {
            assert_eq!(Keep::parse(text), keep, "{text}");
            if let Some(keep) = keep {
                assert_eq!(Keep::parse(&keep.to_string()), Some(keep), "{keep}");
            }
        }
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |year, month, day| days(year, month, day) * DAY + 12_345;
        assert_eq!(Keep::Months(12).cutoff(at(2026, 11, 22)), at(2025, 11, 22));
        assert_eq!(Keep::Months(1).cutoff(at(2026, 3, 31)), at(2026, 2, 28));
        assert_eq!(Keep::Months(1).cutoff(at(2028, 3, 31)), at(2028, 2, 29));
        assert_eq!(Keep::Months(13).cutoff(at(2026, 1, 31)), at(2024, 12, 31));
        assert_eq!(Keep::Months(1200).cutoff(at(2026, 1, 31)), 0);
        assert_eq!(Keep::UntilErased.cutoff(u64::MAX), 0);
        assert_eq!(Keep::Seconds(10).cutoff(5), 0);
    }

    proptest! {
        #[test]
        fn dates_and_days_agree(day in 0..200_000_u64) {
            let (year, month, of_month) = Time(day * DAY).date();
            prop_assert_eq!(days(year, month, of_month), day);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&of_month));
        }
    }

    #[test]
    fn tables_are_read_and_checked() {
        let read = |tables: &str| {
            let text = format!("upstream = \"https://chatbot.example\"\n{tables}");
            Config::parse(&text).map(|loaded| loaded.config.retention)
        };
        let all = read("[[retention]]\nkeep = \"12mo\"\n[[retention]]\nentity = \"EMAIL\"\ntenant = \"shop\"\npurpose = \"support\"\nkeep = \"30d\"\naction = \"anonymize\"").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].entity, all[0].keep, all[0].action), (None, Keep::Months(12), Expiry::Delete));
        let email = Retention {
            entity: Some("EMAIL".parse().unwrap()),
            purpose: Some("support".to_owned()),
            tenant: Some("shop".to_owned()),
            keep: Keep::Seconds(30 * DAY),
            action: Expiry::Anonymize,
        };
        assert_eq!(all[1], email);
        for (tables, message) in [
            ("[[retention]]\nentity = \"EMAIL\"", "needs `keep`"),
            ("[[retention]]\nkeep = \"12m\"", "no time that values can be kept"),
            ("[[retention]]\nkeep = \"1d\"\nentity = \"e-mail\"", "no name of an entity"),
            ("[[retention]]\nkeep = \"1d\"\n[[retention]]\nkeep = \"2d\"", "the same entity, purpose and tenant"),
            ("[[retention]]\nkeep = \"1d\"\naction = \"shred\"", "action"),
            ("[backup]\nkeep = 3", "needs `dir`"),
        ] {
            let problems = read(tables).unwrap_err();
            let text = problems.errors.iter().map(ToString::to_string).collect::<String>();
            assert!(text.contains(message), "{tables}: {text}");
        }
    }
}
