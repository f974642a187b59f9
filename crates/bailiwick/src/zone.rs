//! The time zone that policies' office hours are kept in.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use bailiwick_gate::host::Zone;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the machine keeps its zone. `TZ` is whoever's starts the gate, who may be an agent, so it does not count.
const LOCAL: &str = "/etc/localtime";

/// The configured zone, else the machine's; a machine without one keeps UTC.
///
/// # Errors
/// A zone that is unknown or unreadable: office hours must not be guessed.
pub(crate) fn zone(named: Option<&str>) -> anyhow::Result<Zone> {
    let zone = match named {
        Some(name) => TimeZone::get(name).with_context(|| {
            format!("time_zone: `{name}` is unknown here; write a name such as `Europe/Berlin`")
        })?,
        None => local(Path::new(LOCAL))?,
    };
    Ok(std::sync::Arc::new(move |now| {
        Timestamp::from_second(now).map_or(0, |now| zone.to_offset(now).seconds())
    }))
}

fn local(file: &Path) -> anyhow::Result<TimeZone> {
    let broken = || {
        format!(
            "cannot read the machine's time zone from `{}`",
            file.display()
        )
    };
    match std::fs::read(file) {
        Ok(bytes) => TimeZone::tzif("local", &bytes).with_context(broken),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(TimeZone::UTC),
        Err(error) => Err(error).with_context(broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_its_summer() {
        let berlin = zone(Some("Europe/Berlin")).unwrap();
        assert_eq!(berlin(1_767_225_600), 3600, "2026-01-01");
        assert_eq!(berlin(1_782_864_000), 7200, "2026-07-01");
    }

    #[test]
    fn a_zone_is_never_guessed() {
        let error = zone(Some("Nowhere/At_All")).err().unwrap();
        assert!(error.to_string().contains("Nowhere/At_All"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("localtime");
        assert_eq!(
            local(&file).unwrap(),
            TimeZone::UTC,
            "a machine without one"
        );
        std::fs::write(&file, "no zone").unwrap();
        assert!(local(&file).is_err());
    }
}
