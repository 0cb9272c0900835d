//! The one place that reads the system's time of day, and how a time is
//! written and read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX time).
/// A clock set before 1970 reads as 0.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// How long this thread has run, in nanoseconds: of other work on the machine it
/// tells nothing, so that tests may hold against each other how long two texts
/// take.
#[cfg(test)]
pub(crate) fn thread_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How long a busy machine may take for what comes at once on an idle one.
#[cfg(test)]
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A moment, to the second; written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(
    /// Seconds since 1970-01-01T00:00:00Z; up to the year 9999.
    pub u64,
);

/// The text is no time of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as 2026-05-31T12:00:00Z, a day as 2026-05-31")]
pub struct NoTime;

/// The last second that has four digits for its year.
const LAST: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

impl Time {
    /// Now.
    pub fn now() -> Self {
        Self(unix_seconds())
    }

    /// Year, month and day (proleptic Gregorian calendar).
    pub fn date(self) -> (u64, u64, u64) {
        // Days since 0000-03-01: a year then ends with the day that may be missing.
        let days = self.0.min(LAST) / DAY + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + u64::from(month <= 2), month, day)
    }

    /// Hour, minute and second of the day.
    pub fn of_day(self) -> (u64, u64, u64) {
        let seconds = self.0.min(LAST) % DAY;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

impl Time {
    /// Its day: `2026-05-31`.
    pub fn day(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// A time as it is written.
struct Written([u8; 20]);

impl Written {
    /// Every line of the access log has one, which is why no formatter is asked.
    fn of(time: Time) -> Self {
        let ((year, month, day), (hour, minute, second)) = (time.date(), time.of_day());
        let mut text = *b"0000-00-00T00:00:00Z";
        for (end, mut number) in [(4, year), (7, month), (10, day), (13, hour), (16, minute), (19, second)] {
            for digit in text.iter_mut().take(end).rev() {
                if !digit.is_ascii_digit() {
                    break;
                }
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Written::of(*self).as_str())
    }
}

impl FromStr for Time {
    type Err = NoTime;

    /// Reads RFC 3339 with any offset, or a day alone, which begins at midnight
    /// UTC. Fractions of a second are dropped.
    fn from_str(text: &str) -> Result<Self, NoTime> {
        let number = |text: &str, digits: usize, least: u64, most: u64| {
            let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|n| is_number && (least..=most).contains(n)).ok_or(NoTime)
        };
        let (date, rest) = text.split_at_checked(10).ok_or(NoTime)?;
        let mut parts = date.splitn(3, '-');
        let mut part = || parts.next().ok_or(NoTime);
        let (year, month, day) =
            (number(part()?, 4, 1970, 9999)?, number(part()?, 2, 1, 12)?, number(part()?, 2, 1, 31)?);
        let start = Self(days_before(year, month, day) * DAY);
        if start.date() != (year, month, day) {
            return Err(NoTime);
        }
        if rest.is_empty() {
            return Ok(start);
        }
        let (clock, rest) = rest.split_at_checked(9).ok_or(NoTime)?;
        let clock = clock.strip_prefix(['T', 't', ' ']).ok_or(NoTime)?;
        let mut parts = clock.splitn(3, ':');
        let mut part = || parts.next().ok_or(NoTime);
        let seconds = number(part()?, 2, 0, 23)? * 3600 + number(part()?, 2, 0, 59)? * 60 + number(part()?, 2, 0, 60)?;
        let fraction = rest.strip_prefix('.').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        if fraction.is_some_and(|rest_after| rest.len() - rest_after.len() < 2) {
            return Err(NoTime);
        }
        let zone = fraction.unwrap_or(rest);
        let at = start.0 + seconds;
        if zone == "Z" || zone == "z" {
            return Ok(Self(at));
        }
        let (hours, minutes) = zone.get(1..).and_then(|zone| zone.split_once(':')).ok_or(NoTime)?;
        let offset = number(hours, 2, 0, 23)? * 3600 + number(minutes, 2, 0, 59)? * 60;
        let at = match zone.as_bytes().first() {
            Some(b'+') => at.checked_sub(offset).ok_or(NoTime)?,
            Some(b'-') => at + offset,
            _ => return Err(NoTime),
        };
        if at <= LAST { Ok(Self(at)) } else { Err(NoTime) }
    }
}

/// Days from 1970-01-01 to a date.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Written::of(*self).as_str())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Time(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Time(seconds)));
        }
        for (text, seconds) in [
            ("2026-01-01", 1_767_225_600),
            ("2026-01-01t01:30:00.25+01:30", 1_767_225_600),
            ("2025-12-31T23:00:00-01:00", 1_767_225_600),
        ] {
            assert_eq!(text.parse(), Ok(Time(seconds)), "{text}");
        }
        for wrong in [
            "",
            "2026",
            "2026-02-29",
            "2026-13-01",
            "2026-01-01T",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1",
            "1969-12-31T00:00:00Z",
            "1970-01-01T00:00:00+00:01",
            "2026-01-01T00:00:00Zé",
            "é026-01-01",
        ] {
            assert_eq!(wrong.parse::<Time>(), Err(NoTime), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_second_comes_back(seconds in 0..=LAST) {
            proptest::prop_assert_eq!(Time(seconds).to_string().parse(), Ok(Time(seconds)));
        }
    }
}
