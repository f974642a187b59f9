//! Sentences that all forms of the report share.

use crate::assess::{Assessed, Assessment};
use crate::evidence::LogState;

/// The most grants that are listed.
pub(crate) const MAX_GRANTS: usize = 500;

/// What stands on top where a log is not what was signed.
pub(crate) const UNSOUND: &str = "Do not rely on this report: a log does not verify, so nothing below is evidence. See the logs for what was found.";

/// What the report is, and is not.
pub(crate) const NATURE: &str = "This report was computed from an audit log. It says what the log shows for each control, and what it does not. It \
     is no assessment of the organisation: an assessor judges that.";

pub(crate) fn title(assessment: &Assessment) -> String {
    format!("Evidence for {}", assessment.framework.title)
}

pub(crate) fn period(assessment: &Assessment) -> String {
    let period = &assessment.period;
    format!("From {} up to, not including, {}", period.from, period.to)
}

/// How much evidence there is for a control.
pub(crate) fn evidence(assessed: &Assessed<'_>) -> String {
    let mut text = match assessed.count {
        0 => return "None in this period.".to_owned(),
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let kinds: Vec<String> = assessed
        .by_kind
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    if !kinds.is_empty() {
        text.push_str(if assessed.control.every_entry {
            ", among them: "
        } else {
            ": "
        });
        text.push_str(&kinds.join(", "));
    }
    text.push('.');
    text
}

/// Where the examples come from, in numbers.
pub(crate) fn entries(assessment: &Assessment) -> String {
    let evidence = &assessment.evidence;
    match &evidence.times {
        None => "There is no entry in this period.".to_owned(),
        Some((first, last)) => format!(
            "{} entries in this period, {} of them refusals; the first of {first}, the last of {last}.",
            evidence.entries, evidence.denied
        ),
    }
}

/// A log in one line.
pub(crate) fn log(number: usize, log: &LogState) -> String {
    let mut text = format!(
        "Log {number}, {}: {}; {} entries in this period",
        log.origin, log.verdict, log.entries
    );
    if log.unread > 0 {
        text.push_str(&format!(
            "; {} could not be read and are not counted",
            log.unread
        ));
    }
    text.push('.');
    text
}

/// Granted atoms that nothing shows the use of, in words: the grant, and why.
pub(crate) fn unused(assessment: &Assessment) -> (String, Vec<(String, &'static str)>) {
    let unused = assessment.grants.unused();
    let all = assessment.grants.uses().len();
    let listed: Vec<(String, &'static str)> = unused
        .iter()
        .take(MAX_GRANTS)
        .map(|(plugin, atom, why)| (format!("{plugin}: {atom}"), why.as_str()))
        .collect();
    let mut text = format!(
        "Of {all} granted capabilities, {} show no use in this period.",
        unused.len()
    );
    let more = unused.len().saturating_sub(MAX_GRANTS) as u64 + assessment.grants.left_out;
    if more > 0 {
        text.push_str(&format!(" {more} are not listed."));
    }
    (text, listed)
}
