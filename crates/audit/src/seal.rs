//! Sealing what is personal in an entry before it is written, and putting it back after it was read.

use std::collections::BTreeMap;

use crate::error::AuditError;
use crate::event::Entry;
use crate::openings::{Commitment, Opening, SALT_BYTES, SEALED_PREFIX};
use crate::strings::{Privacy, visit};

/// The first version whose entries have sealed strings. What looks like one in an older entry is plain text.
const SEALED_SINCE: u32 = 2;

/// Puts a commitment in the place of each text that is personal, names the entry's user or one of `persons` (names,
/// home folders), or looks as if it were sealed already. Gives what opens them.
///
/// # Errors
/// [`AuditError::Encode`] when the system gives no random numbers.
pub(crate) fn seal(entry: &mut Entry, persons: &[String]) -> Result<Vec<Opening>, AuditError> {
    let user = entry.subject.user.clone();
    let named = |text: &str| {
        let mut persons = persons.iter().chain(&user);
        persons.any(|person| names(text, person))
    };
    let mut openings = Vec::new();
    let mut failed = None;
    visit(entry, &mut |privacy, text| {
        let sealed = match privacy {
            Privacy::Personal => true,
            Privacy::Mixed => named(text),
            Privacy::Own => false,
        };
        // Else somebody could write what reads as another entry's opened or erased value.
        if !sealed && !text.starts_with(SEALED_PREFIX) {
            return;
        }
        let mut salt = [0; SALT_BYTES];
        if let Err(error) = getrandom::fill(&mut salt) {
            failed = Some(error);
            return;
        }
        let opening = Opening::new(salt, std::mem::take(text));
        *text = opening.commitment().to_string();
        openings.push(opening);
    });
    match failed {
        None => Ok(openings),
        Some(error) => Err(AuditError::Encode(format!("no random numbers: {error}"))),
    }
}

/// Puts the values back that `openings` open. What none of them opens stays as it is: it was erased.
pub(crate) fn open(entry: &mut Entry, openings: &[Opening]) {
    if entry.v < SEALED_SINCE || openings.is_empty() {
        return;
    }
    let by_commitment: BTreeMap<Commitment, &Opening> = openings
        .iter()
        .map(|opening| (opening.commitment(), opening))
        .collect();
    visit(entry, &mut |_, text| {
        let commitment = text.parse::<Commitment>();
        if let Some(opening) = commitment
            .ok()
            .and_then(|sealed| by_commitment.get(&sealed))
        {
            opening.value().clone_into(text);
        }
    });
}

/// Whether `text` names `person`, whatever the case of ASCII letters, and not as a part of a longer word. What begins
/// or ends with something else than a letter or a digit has no longer word there.
pub(crate) fn names(text: &str, person: &str) -> bool {
    let (Some(first), Some(last)) = (person.chars().next(), person.chars().next_back()) else {
        return false;
    };
    let (wanted, all) = (person.as_bytes(), text.as_bytes());
    let mut found = all
        .windows(wanted.len())
        .enumerate()
        .filter(|(_, part)| part.eq_ignore_ascii_case(wanted));
    found.any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text
            .get(at + wanted.len()..)
            .and_then(|after| after.chars().next());
        !joins(before, first) && !joins(after, last)
    })
}

fn joins(neighbour: Option<char>, edge: char) -> bool {
    edge.is_alphanumeric() && neighbour.is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AtomDecision, Event, Moment, Outcome};
    use crate::{Keep, Redaction, Subject};
    use proptest::prelude::*;

    const CANARY: &str = "Zq7canary";

    fn entry(user: &str, event: Event) -> Entry {
        Entry {
            v: crate::ENTRY_VERSION,
            time: "2026-11-23T15:04:05.678Z".into(),
            subject: Subject::session("s").with_plugin("p", "00").with_user(user),
            event,
        }
    }

    /// The commitments in an entry as it is stored.
    fn commitments(stored: &Entry) -> Vec<Commitment> {
        let mut found = Vec::new();
        visit(&mut stored.clone(), &mut |_, text| {
            found.extend(text.parse::<Commitment>());
        });
        found
    }

    fn json(entry: &Entry) -> String {
        serde_json::to_string(entry).expect("json")
    }

    fn events(text: &str) -> Vec<Event> {
        let redaction = Redaction {
            default: Keep::Value,
            ..Redaction::default()
        };
        let atom = AtomDecision {
            asked: text.into(),
            outcome: Outcome::Deny,
            granted: vec![text.into(), text.into()],
            policies: vec!["id".into()],
            reasons: vec![text.into()],
        };
        vec![
            Event::CallRefused {
                call: "c".into(),
                tool: text.into(),
                reason: text.into(),
                policies: vec![],
            },
            Event::OperationDenied {
                operation: "read_files".into(),
                target: text.into(),
                reason: text.into(),
                dropped: 0,
            },
            Event::ToolCall {
                call: "c".into(),
                tool: "t".into(),
                arguments: redaction.apply("t", &serde_json::json!({ "a": text, (text): [text] })),
            },
            Event::Decision {
                outcome: Outcome::Deny,
                moment: Moment::Load,
                atoms: vec![atom.clone(), atom],
                context: BTreeMap::from([("now".into(), text.into())]),
            },
            Event::PluginStart {
                wall: "native".into(),
                grant: vec![text.into()],
                tools: vec![],
                watched: false,
                program: Some(text.into()),
                arguments: vec![redaction.argument(&serde_json::json!(text))],
            },
            Event::Question {
                id: "q".into(),
                asked: vec![text.into()],
                state: crate::QuestionState::AnswerRefused,
                by: Some(text.into()),
                reason: text.into(),
            },
            Event::Archived {
                entries: 256,
                root: "r".into(),
                to: text.into(),
            },
            Event::ToolsListed {
                offered: vec!["t".into()],
                withheld: BTreeMap::from([("t".into(), text.into())]),
            },
            Event::Erasure {
                of: "a user".into(),
                by: Some(text.into()),
                reason: text.into(),
                entries: 1,
                values: 1,
            },
        ]
    }

    #[test]
    fn a_name_is_found_as_a_word_in_any_case_and_not_within_others() {
        for text in [
            "ann",
            "/home/ann/x",
            "ask Ann!",
            "ann_backup",
            "ANN",
            "x@ann",
            "Jo,ann",
        ] {
            assert!(names(text, "ann"), "{text}");
        }
        for text in ["anna", "channel", "joann", "1ann", "", "éann"] {
            assert!(!names(text, "ann"), "{text}");
        }
        assert!(names("read_files:/home/ann/", "/home/ann"));
        assert!(!names("read_files:/home/anna/", "/home/ann"));
        assert!(!names("anything", ""));
    }

    #[test]
    fn every_way_in_which_a_person_gets_into_an_entry_is_sealed() {
        for text in [
            CANARY.to_owned(),
            format!("read_files:/home/{CANARY}/docs/"),
        ] {
            for event in events(&text) {
                let plain = entry(CANARY, event);
                let mut sealed = plain.clone();
                let openings = seal(&mut sealed, &[]).expect("sealed");
                assert!(!json(&sealed).contains(CANARY), "{}", json(&sealed));
                let digest = crate::sha256_hex(format!("\"{text}\"").as_bytes());
                assert!(
                    !json(&sealed).contains(&digest),
                    "nor its digest, which can be guessed at"
                );
                assert_eq!(commitments(&sealed).len(), openings.len());
                open(&mut sealed, &openings);
                assert_eq!(sealed, plain);
            }
        }
    }

    #[test]
    fn what_a_call_was_about_is_sealed_whoever_it_names() {
        for event in events(CANARY).into_iter().take(3) {
            let mut sealed = entry("ann", event);
            if let Event::CallRefused { tool, .. } = &mut sealed.event {
                *tool = "t".to_owned();
            }
            if let Event::OperationDenied { reason, .. } = &mut sealed.event {
                reason.clear();
            }
            if let Event::ToolCall { arguments, .. } = &mut sealed.event {
                arguments.remove(CANARY);
            }
            seal(&mut sealed, &[]).expect("sealed");
            assert!(!json(&sealed).contains(CANARY), "{}", json(&sealed));
        }
    }

    #[test]
    fn the_names_that_the_log_was_told_are_sealed_too() {
        let event = Event::PluginRefused {
            reason: format!("no `/home/{CANARY}/x`"),
        };
        let mut sealed = entry("ann", event);
        seal(&mut sealed, &[format!("/home/{CANARY}")]).expect("sealed");
        assert!(!json(&sealed).contains(CANARY));
    }

    #[test]
    fn salts_are_fresh_so_the_same_name_is_another_commitment_each_time() {
        let event = Event::GateStop {
            reason: String::new(),
        };
        let mut sealed = [entry("ann", event.clone()), entry("ann", event)];
        for entry in &mut sealed {
            seal(entry, &[]).expect("sealed");
        }
        assert_ne!(sealed[0].subject.user, sealed[1].subject.user);
    }

    #[test]
    fn an_opening_that_belongs_elsewhere_opens_nothing() {
        let event = Event::GateStop {
            reason: String::new(),
        };
        let (mut one, mut two) = (entry("ann", event.clone()), entry("bob", event));
        let of_one = seal(&mut one, &[]).expect("sealed");
        seal(&mut two, &[]).expect("sealed");
        let before = two.clone();
        open(&mut two, &of_one);
        assert_eq!(two, before);
    }

    proptest! {
        #[test]
        fn sealing_then_opening_changes_nothing(text in ".{0,40}", user in ".{0,8}", person in ".{0,4}") {
            for event in events(&text) {
                let plain = entry(&user, event);
                let mut sealed = plain.clone();
                let openings = seal(&mut sealed, std::slice::from_ref(&person)).expect("sealed");
                open(&mut sealed, &openings);
                prop_assert_eq!(sealed, plain);
            }
        }

        /// Somebody writes what reads as erased, or as the commitment of another's opening.
        #[test]
        fn what_looks_sealed_cannot_be_passed_off_as_sealed(salt: [u8; 32], value in ".{0,10}", tail in "[ -~]{0,43}") {
            let foreign = Opening::new(salt, value);
            for forged in [foreign.commitment().to_string(), format!("{SEALED_PREFIX}{tail}")] {
                for event in events(&forged) {
                    let mut subject = Subject::session(forged.clone()).with_plugin(forged.clone(), "00");
                    subject.agent = Some(forged.clone());
                    let plain = Entry { subject, ..entry("ann", event) };
                    let mut sealed = plain.clone();
                    let mut openings = seal(&mut sealed, &[]).expect("sealed");
                    prop_assert!(!json(&sealed).contains(&foreign.commitment().to_string()));
                    openings.push(foreign.clone());
                    open(&mut sealed, &openings);
                    prop_assert_eq!(sealed, plain);
                }
            }
        }
    }
}
