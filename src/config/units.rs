//! Sizes and times with their units.

use std::time::Duration;

/// Bytes: `"32 MiB"` (IEC 80000-13), `"10 MB"`, or a bare number.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A time: `"30s"`, `"500ms"`, `"2m"`, `"1h"`, or a bare number of seconds.
pub(super) fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// The size in its largest whole unit.
pub(super) fn show_size(bytes: u64) -> String {
    let unit = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(f, _)| bytes >= *f && bytes.is_multiple_of(*f));
    match unit {
        Some((factor, name)) => format!("{} {name}", bytes / factor),
        None => format!("{bytes} B"),
    }
}

/// The time in its largest whole unit.
pub(super) fn show_time(time: Duration) -> String {
    let millis = time.as_millis();
    let unit = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(f, _)| millis >= *f && millis.is_multiple_of(*f));
    match unit {
        Some((factor, name)) => format!("{}{name}", millis / factor),
        None => format!("{millis}ms"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("32 MiB", Some(32 << 20)),
            ("32MiB", Some(32 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("16 KiB", Some(16 << 10)),
            ("10 MB", Some(10_000_000)),
            ("512", Some(512)),
            ("512 B", Some(512)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5 MiB", None),
            ("1 mib", None),
            ("99999999999 GiB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, millis) in [
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("1 h", Some(3_600_000)),
            ("30", Some(30_000)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(time(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1023, 1024, 5 << 20, 3 << 30, 1_000_000] {
            assert_eq!(size(&show_size(bytes)), Some(bytes));
        }
        for millis in [0, 1, 999, 1_000, 90_000, 120_000, 7_200_000] {
            let t = Duration::from_millis(millis);
            assert_eq!(time(&show_time(t)), Some(t));
        }
    }
}
