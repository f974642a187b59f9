//! The annotations that policies may carry; any other is an error, because it would silently do nothing.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::quota::Quota;

/// What the annotations of one policy say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Annotations {
    pub(crate) id: Option<String>,
    pub(crate) reason: Option<String>,
    /// How many people must say yes, where any must.
    pub(crate) ask: Option<u8>,
    /// The policy whose question it answers.
    pub(crate) approves: Option<String>,
    /// Epoch seconds from which the policy no longer applies.
    pub(crate) expires: Option<i64>,
    pub(crate) quota: Option<Quota>,
}

/// What is wrong with an annotation: its name, what, how to mend it.
pub(crate) type Fault = (String, String, String);

/// Prefix of ids that policies may not take.
pub(crate) const RESERVED: [&str; 4] = ["person:", "default-deny", "inexpressible", "evaluation"];

/// Reads the annotations of one policy.
pub(crate) fn read<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    is_permit: bool,
) -> Result<Annotations, Fault> {
    let mut out = Annotations::default();
    let fault = |name: &str, what: String, mend: &str| (name.to_owned(), what, mend.to_owned());
    for (name, value) in pairs {
        match name {
            "id" => {
                let reserved = RESERVED.iter().any(|r| value.starts_with(r));
                let odd = value.is_empty() || value.chars().any(char::is_control);
                if reserved || odd {
                    let what = format!("`{}` cannot be an id", value.escape_debug());
                    return Err(fault(
                        name,
                        what,
                        "write a short name, such as \"no-secrets\"",
                    ));
                }
                out.id = Some(value.to_owned());
            }
            "reason" if value.trim().is_empty() => {
                let what = "`@reason` is empty".to_owned();
                return Err(fault(
                    name,
                    what,
                    "say why, in one sentence, or leave it out",
                ));
            }
            "reason" => out.reason = Some(value.to_owned()),
            "ask" if !is_permit => {
                let what = "`@ask` stands on a `forbid`".to_owned();
                let mend = "put it on the `permit` that a person is to approve";
                return Err(fault(name, what, mend));
            }
            "ask" => match people(value) {
                Some(people) => out.ask = Some(people),
                None => {
                    let what = format!("`{}` is no number of people", value.escape_debug());
                    let mend = "write `@ask`, or `@ask(\"2 people\")` (or 3), and the question in `@reason`";
                    return Err(fault(name, what, mend));
                }
            },
            "approves" if !is_permit || value.is_empty() => {
                let what = "`@approves` names no policy, or stands on a `forbid`".to_owned();
                let mend =
                    "put it on a `permit`, with the id of the policy whose `@ask` it answers";
                return Err(fault(name, what, mend));
            }
            "approves" => out.approves = Some(value.to_owned()),
            "expires" => match expiry(value) {
                Some(at) => out.expires = Some(at),
                None => {
                    let what = format!("`{}` is not a date", value.escape_debug());
                    let mend = "write the last day, \"2026-12-31\", or an instant, \"2026-12-31T18:00:00Z\"";
                    return Err(fault(name, what, mend));
                }
            },
            "quota" => match Quota::parse(value) {
                Some(quota) => out.quota = Some(quota),
                None => {
                    let what = format!("`{}` is not a quota", value.escape_debug());
                    let mend = "write how many and how often, \"10/hour\", and whose: \"10/hour per session\"; \
                                at most 10000, in a second, minute, hour, day or week, per user, session, plugin or all";
                    return Err(fault(name, what, mend));
                }
            },
            _ => {
                let what = format!("`@{name}` is not an annotation that means anything here");
                return Err(fault(
                    name,
                    what,
                    "the annotations are @id, @reason, @ask, @approves, @expires and @quota",
                ));
            }
        }
    }
    if out.ask.is_some() && out.approves.is_some() {
        let what = "it asks a person and answers for one".to_owned();
        return Err(fault(
            "approves",
            what,
            "keep one of `@ask` and `@approves`",
        ));
    }
    Ok(out)
}

fn people(value: &str) -> Option<u8> {
    match value {
        "" => Some(1),
        "2 people" => Some(2),
        "3 people" => Some(3),
        _ => None,
    }
}

/// A day is meant whole, in UTC: the policy ends when the next one begins.
fn expiry(text: &str) -> Option<i64> {
    if text.len() == "2026-12-31".len() {
        let midnight = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok()?;
        return midnight.unix_timestamp().checked_add(86_400);
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str, is_permit: bool) -> Result<Annotations, Fault> {
        read([(name, value)].into_iter(), is_permit)
    }

    #[test]
    fn l27_unknown_and_unsupported_annotations_are_refused() {
        for (name, value) in [
            ("resaon", "x"),
            ("quota", "10/min"),
            ("quota", ""),
            ("ask", "twice"),
            ("approves", ""),
            ("ask", "0 people"),
            ("ask", "4 people"),
            ("reason", " "),
            ("id", ""),
            ("id", "person:allow:1"),
            ("expires", "tomorrow"),
            ("expires", "2026-02-30"),
        ] {
            let fault = one(name, value, true).unwrap_err();
            assert_eq!(fault.0, name);
        }
        assert!(one("ask", "", false).is_err(), "ask on a forbid");
        assert_eq!(one("ask", "", true).unwrap().ask, Some(1));
        assert_eq!(one("ask", "2 people", true).unwrap().ask, Some(2));
    }

    #[test]
    fn a_day_ends_when_the_next_begins() {
        let at = |text| one("expires", text, true).unwrap().expires.unwrap();
        assert_eq!(at("1970-01-01"), 86_400);
        assert_eq!(at("1970-01-01T00:00:10Z"), 10);
        assert_eq!(at("1970-01-01T01:00:10+01:00"), 10);
    }
}
