//! Frameworks as data.

use serde::Deserialize;

use crate::error::ReportError;

const NIST: &str = include_str!("../data/nist-800-53.json");
const SOC2: &str = include_str!("../data/soc2.json");

/// A framework of controls, as far as the gate has something to show for them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// Its name on the command line.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: String,
    /// The controls, in their own order.
    pub controls: Vec<Control>,
}

/// A control, in our words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its number: `AC-3`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it asks.
    pub asks: String,
    /// How the gate meets it, as far as it does.
    pub meets: String,
    /// The kinds of events that are evidence.
    pub events: Vec<String>,
    /// What is not covered.
    pub missing: Vec<String>,
    /// Whether grants that left no trace of use are listed.
    #[serde(default)]
    pub unused_grants: bool,
    /// Whether every entry is evidence, of whatever kind.
    #[serde(default)]
    pub every_entry: bool,
}

impl Framework {
    /// The framework of this name.
    ///
    /// # Errors
    /// [`ReportError::Framework`] where there is none.
    pub fn named(name: &str) -> Result<Self, ReportError> {
        let text = match name {
            "nist-800-53" => NIST,
            "soc2" => SOC2,
            other => return Err(ReportError::Framework(other.to_owned())),
        };
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_audit::EVENT_KINDS;

    #[test]
    fn every_control_that_was_promised_is_there_and_says_what_is_missing() {
        let nist = Framework::named("nist-800-53").unwrap();
        let soc2 = Framework::named("soc2").unwrap();
        let promised =
            "AC-3 AC-4 AC-6 AU-2 AU-3 AU-6 AU-8 AU-9 AU-10 AU-11 AU-12 CM-7 IA-5 SC-7 SC-39 SI-4";
        let has =
            |framework: &Framework, id| framework.controls.iter().any(|control| control.id == id);
        assert!(promised.split(' ').all(|id| has(&nist, id)));
        assert!(
            "CC6.1 CC6.3 CC6.6 CC6.8 CC7.2 CC7.3"
                .split(' ')
                .all(|id| has(&soc2, id))
        );
        for control in nist.controls.iter().chain(&soc2.controls) {
            assert!(
                !control.missing.is_empty(),
                "{} covers nothing wholly",
                control.id
            );
            assert!(!control.asks.is_empty() && !control.meets.is_empty());
            for kind in &control.events {
                assert!(
                    EVENT_KINDS.contains(&kind.as_str()),
                    "{}: {kind}",
                    control.id
                );
            }
        }
        assert!(Framework::named("pci").is_err());
    }
}
