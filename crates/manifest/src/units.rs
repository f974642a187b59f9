//! Sizes and times as people write them.

use std::time::Duration;

/// Reads `512`, `64KiB`, `256MiB`, `2GiB` as bytes; at least 1, at most 1 TiB.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number
        .checked_mul(factor)
        .filter(|bytes| (1..=1 << 40).contains(bytes))
}

/// Reads `500ms`, `30s`, `5m`, `1h`; at least 1 ms, at most 24 h.
#[must_use]
pub fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number
        .checked_mul(factor)
        .filter(|millis| (1..=86_400_000).contains(millis))
        .map(Duration::from_millis)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_and_bounded() {
        assert_eq!(size("256MiB"), Some(256 << 20));
        assert_eq!(size("1 KiB"), Some(1024));
        assert_eq!(size("7"), Some(7));
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("1h"), Some(Duration::from_secs(3600)));
        for wrong in [
            "",
            "0",
            "-1",
            "1MB",
            "2000GiB",
            "99999999999999999999",
            "1.5GiB",
            "KiB",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
        for wrong in ["", "30", "0s", "25h", "1d", "18446744073709551615h"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
