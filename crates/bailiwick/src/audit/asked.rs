//! What a person asks for on the command line: a filter, and times as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use bailiwick_audit::{EVENT_KINDS, Filter, Outcome, format_time};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::cli::FilterArgs;

pub(super) fn filter(args: &FilterArgs) -> anyhow::Result<Filter> {
    if let Some(kind) = args
        .kind
        .as_deref()
        .filter(|kind| !EVENT_KINDS.contains(kind))
    {
        bail!(
            "`{kind}` is no kind of event: there are {}",
            EVENT_KINDS.join(", ")
        );
    }
    let capability = args.capability.as_deref().map(|text| {
        text.parse()
            .map_err(|error: bailiwick_capability::CapabilityError| {
                anyhow::anyhow!("{}: {}", error.message(), error.help())
            })
            .with_context(|| format!("--capability {text}"))
    });
    Ok(Filter {
        plugin: args.plugin.clone(),
        user: args.user.clone(),
        session: args.session.clone(),
        agent: args.agent.clone(),
        decision: args.decision.as_deref().map(outcome).transpose()?,
        kind: args.kind.clone(),
        tool: args.tool.clone(),
        capability: capability.transpose()?,
        since: args.since.as_deref().map(moment).transpose()?,
        until: args.until.as_deref().map(moment).transpose()?,
        text: args.text.clone(),
        ignore_case: args.ignore_case,
        limit: None,
    })
}

fn outcome(text: &str) -> anyhow::Result<Outcome> {
    [
        Outcome::Grant,
        Outcome::Partial,
        Outcome::Deny,
        Outcome::Ask,
    ]
    .into_iter()
    .find(|outcome| outcome.as_str() == text)
    .with_context(|| format!("`{text}` is no decision: write grant, partial, deny or ask"))
}

/// A time as entries have it, from one as people write it: RFC 3339 with any offset, a date, a date and time in UTC, or
/// how long ago.
pub(super) fn moment(text: &str) -> anyhow::Result<String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    moment_at(text, now)
}

fn moment_at(text: &str, now: Duration) -> anyhow::Result<String> {
    if let Some(ago) = ago(text) {
        return Ok(format_time(now.saturating_sub(ago)));
    }
    let spelt = text.replacen(' ', "T", 1);
    let spellings = [
        spelt.clone(),
        format!("{spelt}Z"),
        format!("{spelt}:00Z"),
        format!("{spelt}T00:00:00Z"),
    ];
    let parsed = spellings
        .iter()
        .find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let nanos = parsed.map(OffsetDateTime::unix_timestamp_nanos);
    nanos
        .and_then(|nanos| u64::try_from(nanos / 1_000_000).ok())
        .map(|millis| format_time(Duration::from_millis(millis)))
        .with_context(|| {
            format!(
                "`{text}` is no time: write `2026-11-23`, `2026-11-23T15:04:05Z`, or `2h` for two hours ago"
            )
        })
}

/// `90s`, `15m`, `2h`, `3d`, `1w`.
fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// Milliseconds between two times of entries; 0 where one cannot be read, or time went back.
pub(super) fn millis_between(from: &str, to: &str) -> u64 {
    let nanos =
        |text| OffsetDateTime::parse(text, &Rfc3339).map(OffsetDateTime::unix_timestamp_nanos);
    match (nanos(from), nanos(to)) {
        (Ok(from), Ok(to)) => u64::try_from((to - from) / 1_000_000).unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Duration::from_secs(1_795_446_245);
        for (text, read) in [
            ("2026-11-23", "2026-11-23T00:00:00.000Z"),
            ("2026-11-23T15:04", "2026-11-23T15:04:00.000Z"),
            ("2026-11-23 15:04:05", "2026-11-23T15:04:05.000Z"),
            ("2026-11-23T15:04:05Z", "2026-11-23T15:04:05.000Z"),
            ("2026-11-23T15:04:05.678Z", "2026-11-23T15:04:05.678Z"),
            ("2026-11-23T17:04:05+02:00", "2026-11-23T15:04:05.000Z"),
            ("2h", "2026-11-23T13:04:05.000Z"),
            ("1d", "2026-11-22T15:04:05.000Z"),
        ] {
            assert_eq!(moment_at(text, now).unwrap(), read, "{text}");
        }
        for text in [
            "",
            "h",
            "-1h",
            "yesterday",
            "2026-13-01",
            "1y",
            "2026-11-23T25:00",
        ] {
            assert!(moment_at(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_not_looked_for_in_vain() {
        let of = |args: FilterArgs| filter(&args).unwrap_err().to_string();
        let kind = FilterArgs {
            kind: Some("tool_calls".into()),
            ..FilterArgs::default()
        };
        assert!(of(kind).contains("tool_call, "));
        let decision = FilterArgs {
            decision: Some("yes".into()),
            ..FilterArgs::default()
        };
        assert!(of(decision).contains("partial"));
        let capability = FilterArgs {
            capability: Some("read_file".into()),
            ..FilterArgs::default()
        };
        assert!(of(capability).contains("--capability read_file"));
    }

    #[test]
    fn time_between_entries_is_never_negative() {
        let (one, two) = ("2026-11-23T15:04:05.678Z", "2026-11-23T15:05:05.679Z");
        assert_eq!(millis_between(one, two), 60_001);
        assert_eq!(millis_between(two, one), 0);
        assert_eq!(millis_between("", two), 0);
    }
}
