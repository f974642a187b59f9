//! Where the time of an entry comes from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gives the time that an entry is stamped with. A trait, so that tests and replays choose it.
pub trait Clock: Send + Sync {
    /// Time since 1970-01-01T00:00:00Z, without leap seconds.
    fn now(&self) -> Duration;
}

/// The machine's clock; a time before 1970 reads as 1970.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// Writes a time as RFC 3339 in UTC with milliseconds: `2026-11-23T15:04:05.678Z`. Text order is time order until
/// the year 9999.
#[must_use]
pub fn format_time(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let milli = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar. Counting years from March puts the
/// leap day at their end, so that months have a closed form.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    let from_march_of_year_0 = days + 719_468;
    let (era, day_of_era) = (
        from_march_of_year_0 / DAYS_PER_ERA,
        from_march_of_year_0 % DAYS_PER_ERA,
    );
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Reads what [`format_time`] wrote; `None` for anything else.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let time = Duration::from_secs(
        days_before(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second,
    ) + Duration::from_millis(field(20, 23)?);
    (format_time(time) == text).then_some(time)
}

/// As precisely as entries tell it.
pub(crate) fn whole_millis(time: Duration) -> Duration {
    Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000)
}

/// The time that stands in an entry's bytes, if they are an entry's.
pub(crate) fn entry_time(entry: &[u8]) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Timed {
        time: String,
    }
    let timed: Timed = serde_json::from_slice(entry).ok()?;
    parse_time(&timed.time)
}

/// Days from 1970-01-01 to a day, the other way round from [`civil_date`].
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.checked_sub(719_468)
}

/// How far the clock may step back unnoticed: entries have the time of the last one until it has caught up. Time
/// services step by less; a clock that is set wrong is off by more.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(10);

/// The time to stamp an entry with, at `now`, after one of the time `last`: never before it. `None` when the clock
/// stepped back by more than [`CLOCK_TOLERANCE`].
pub(crate) fn stamp(now: Duration, last: Duration) -> Option<Duration> {
    (now + CLOCK_TOLERANCE >= last).then_some(now.max(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written() {
        for day in (0..80_000_u64).step_by(13) {
            let time = Duration::from_millis(day * 86_400_000 + day * 977);
            assert_eq!(parse_time(&format_time(time)), Some(time));
        }
        for odd in [
            "",
            "2026-02-30T00:00:00.000Z",
            "1969-12-31T00:00:00.000Z",
            "2026-01-01T00:00:00.000+",
        ] {
            assert_eq!(parse_time(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_small_step_back_stands_still_and_a_large_one_is_refused() {
        let at = Duration::from_secs;
        assert_eq!(stamp(at(101), at(100)), Some(at(101)));
        assert_eq!(stamp(at(90), at(100)), Some(at(100)));
        assert_eq!(stamp(at(89), at(100)), None);
    }

    #[test]
    fn known_times_are_written_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_446_245_678, "2026-11-23T15:04:05.678Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format_time(Duration::from_millis(millis)), text);
        }
    }
}
