//! How often people may be asked: whoever is asked all the time says yes in the end.

use std::collections::{BTreeMap, VecDeque};

use crate::question::Question;

/// Questions of one session that may wait at the same time.
const MAX_WAITING: usize = 8;
/// Questions of one session within [`WINDOW`].
const MAX_ASKED: usize = 12;
/// Seconds.
const WINDOW: i64 = 60;
/// How long the same matter rests after a first no, in seconds; twice as long after each further one.
const REST: i64 = 60;
/// The longest rest, in seconds.
const MAX_REST: i64 = 3600;

/// Why nobody was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooOften {
    /// Too many wait.
    #[error("{MAX_WAITING} questions wait for a person already")]
    Waiting,
    /// Too many were asked.
    #[error("a person was asked {MAX_ASKED} times within {WINDOW} seconds")]
    Asked,
    /// The same was refused a while ago.
    #[error("a person refused this: it is not asked again for {seconds} seconds")]
    Refused {
        /// How long.
        seconds: i64,
    },
    /// The same was refused for good.
    #[error("a person refused this for good")]
    Never,
}

/// The memory of what was asked and refused.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    asked: BTreeMap<String, VecDeque<i64>>,
    rests: BTreeMap<(String, String), Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: i64,
    refusals: u32,
    for_good: bool,
}

impl Pace {
    /// Whether this may be asked now, besides `waiting` others of its session; it is counted then.
    ///
    /// # Errors
    /// Why it may not.
    pub fn ask(&mut self, question: &Question, waiting: usize, now: i64) -> Result<(), TooOften> {
        if let Some(rest) = self.rests.get(&key(question)) {
            if rest.for_good {
                return Err(TooOften::Never);
            }
            if now < rest.until {
                let seconds = rest.until.saturating_sub(now);
                return Err(TooOften::Refused { seconds });
            }
        }
        if waiting >= MAX_WAITING {
            return Err(TooOften::Waiting);
        }
        let asked = self.asked.entry(question.session.clone()).or_default();
        while asked
            .front()
            .is_some_and(|at| at.saturating_add(WINDOW) <= now)
        {
            asked.pop_front();
        }
        if asked.len() >= MAX_ASKED {
            return Err(TooOften::Asked);
        }
        asked.push_back(now);
        Ok(())
    }

    /// Remembers a no, or that nobody answered; `for_good` ends the matter for the session.
    pub fn refused(&mut self, question: &Question, for_good: bool, now: i64) {
        let rest = self.rests.entry(key(question)).or_insert(Rest {
            until: now,
            refusals: 0,
            for_good: false,
        });
        let length = REST
            .checked_shl(rest.refusals)
            .map_or(MAX_REST, |length| length.clamp(REST, MAX_REST));
        rest.refusals = rest.refusals.saturating_add(1).min(8);
        rest.until = rest.until.max(now.saturating_add(length));
        rest.for_good |= for_good;
    }

    /// Remembers a yes: the matter rests no more.
    pub fn approved(&mut self, question: &Question) {
        self.rests.remove(&key(question));
    }
}

fn key(question: &Question) -> (String, String) {
    (question.session.clone(), question.matter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::question;
    use serde_json::json;

    #[test]
    fn what_was_refused_rests_longer_each_time() {
        let mut pace = Pace::default();
        let question = question("send", &json!({"n": 1}));
        let mut now = 0;
        for length in [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600] {
            assert_eq!(pace.ask(&question, 0, now), Ok(()));
            pace.refused(&question, false, now);
            let almost = now + length - 1;
            let refused = Err(TooOften::Refused { seconds: 1 });
            assert_eq!(pace.ask(&question, 0, almost), refused);
            now += length;
        }
        pace.approved(&question);
        assert_eq!(pace.ask(&question, 0, now), Ok(()));
    }

    #[test]
    fn other_arguments_are_the_same_matter_and_another_tool_is_not() {
        let mut pace = Pace::default();
        pace.refused(&question("send", &json!({"to": "a"})), true, 0);
        let again = pace.ask(&question("send", &json!({"to": "b"})), 0, i64::MAX);
        assert_eq!(again, Err(TooOften::Never));
        assert_eq!(pace.ask(&question("read", &json!({})), 0, 0), Ok(()));
    }

    #[test]
    fn no_session_asks_in_a_loop() {
        let mut pace = Pace::default();
        let ask = |pace: &mut Pace, at: usize, now| {
            pace.ask(&question(&format!("t{at}"), &json!({})), 0, now)
        };
        for at in 0..MAX_ASKED {
            assert_eq!(ask(&mut pace, at, 0), Ok(()));
        }
        assert_eq!(ask(&mut pace, 99, WINDOW - 1), Err(TooOften::Asked));
        assert_eq!(ask(&mut pace, 99, WINDOW), Ok(()));
        let one = question("x", &json!({}));
        assert_eq!(pace.ask(&one, MAX_WAITING, WINDOW), Err(TooOften::Waiting));
    }
}
