//! Whether the clock can be believed. Nothing is deleted by a clock that is
//! not: one that jumps ahead by years would make everything old at once.

use crate::clock;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// By how much the clock may go wrong while the process watches it.
const TOLERANCE: Duration = Duration::from_hours(24);

/// What the clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time of day, in Unix seconds.
    pub wall: u64,
    /// Time that passed since some moment; it never jumps.
    pub passed: Duration,
}

impl Reading {
    /// What they show now.
    pub fn now() -> Self {
        static BEGUN: OnceLock<Instant> = OnceLock::new();
        Self { wall: clock::unix_seconds(), passed: BEGUN.get_or_init(Instant::now).elapsed() }
    }
}

/// Why the clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// More time seems to have passed than can have.
    #[error(
        "the clock is {} days ahead of what can be explained; nothing was deleted. If it is right, run: privet vault purge --confirm-clock",
        seconds / 86_400
    )]
    Ahead {
        /// How many seconds too many.
        seconds: u64,
    },
    /// The clock shows a time before that of the last sweep.
    #[error("the clock is {seconds} seconds behind the last sweep; nothing was deleted")]
    Behind {
        /// How many seconds.
        seconds: u64,
    },
}

/// Judges readings of the clocks.
#[derive(Debug, Clone)]
pub struct ClockCheck {
    max_gap: Duration,
    /// The last reading that was believed, and what was noted of it.
    trusted: Option<Reading>,
}

impl ClockCheck {
    /// `max_gap` is for how long nobody may have watched the clock.
    pub fn new(max_gap: Duration) -> Self {
        Self { max_gap, trusted: None }
    }

    /// Judges a reading. `noted` is the time of day that was believed last, as
    /// the vault knows it: by this process, by another, or since a person
    /// confirmed it.
    pub fn judge(&mut self, now: Reading, noted: Option<u64>) -> Result<(), Doubt> {
        // What somebody else noted counts for more than what was seen here.
        let watched = self.trusted.filter(|trusted| noted.is_none_or(|noted| noted == trusted.wall));
        let (latest, allowed) = match (watched, noted) {
            (Some(trusted), _) => {
                let passed = now.passed.saturating_sub(trusted.passed);
                (trusted.wall, passed + TOLERANCE)
            }
            (None, Some(noted)) => (noted, self.max_gap),
            // Nothing is known: this is where watching begins.
            (None, None) => (now.wall, TOLERANCE),
        };
        let doubt = match now.wall.checked_sub(latest) {
            None if latest - now.wall > TOLERANCE.as_secs() => Some(Doubt::Behind { seconds: latest - now.wall }),
            Some(gone) if gone > allowed.as_secs() => Some(Doubt::Ahead { seconds: gone - allowed.as_secs() }),
            _ => None,
        };
        if let Some(doubt) = doubt {
            return Err(doubt);
        }
        self.trusted = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn at(wall_days: u64, passed_days: u64) -> Reading {
        Reading { wall: wall_days * DAY, passed: Duration::from_secs(passed_days * DAY) }
    }

    fn check() -> ClockCheck {
        ClockCheck::new(Duration::from_secs(30 * DAY))
    }

    #[test]
    fn a_clock_that_goes_on_is_believed() {
        let mut check = check();
        let mut noted = None;
        for day in 1000..1400 {
            assert_eq!(check.judge(at(day, day - 1000), noted), Ok(()), "day {day}");
            noted = Some(day * DAY);
        }
    }

    #[test]
    fn a_jump_is_not_and_stays_so_until_it_is_taken_back_or_confirmed() {
        for (jump, back) in [(3650, false), (2, false), (10, true), (3650, true)] {
            let mut check = check();
            check.judge(at(5000, 0), None).unwrap();
            let noted = Some(5000 * DAY);
            let wall = |day: u64| if back { day + 5000 - jump } else { day + 5000 + jump };
            for day in 1..400 {
                let doubt = check.judge(at(wall(day), day), noted);
                // A clock that is behind is believed again once it has caught up.
                let holds = back && day + 1 >= jump;
                assert_eq!(doubt.is_ok(), holds, "{jump} days, day {day}: {doubt:?}");
                if holds {
                    break;
                }
                if day == 5 && !back {
                    // Taken back.
                    let mut right = check.clone();
                    assert_eq!(right.judge(at(5000 + day, day), noted), Ok(()));
                    // Confirmed: the vault knows of it now.
                    let mut confirmed = check.clone();
                    assert_eq!(confirmed.judge(at(wall(day), day), Some(wall(day) * DAY)), Ok(()));
                    assert_eq!(confirmed.judge(at(wall(day + 9), day + 9), Some(wall(day) * DAY)), Ok(()));
                }
            }
        }
    }

    #[test]
    fn a_gateway_may_be_away_for_a_while() {
        for (gap, ok) in [(1, true), (29, true), (31, false), (3650, false)] {
            assert_eq!(check().judge(at(1000 + gap, 0), Some(1000 * DAY)).is_ok(), ok, "{gap} days");
        }
        let behind = check().judge(at(990, 0), Some(1000 * DAY));
        assert_eq!(behind, Err(Doubt::Behind { seconds: 10 * DAY }));
    }
}
