//! Questions as people read them at a terminal.

use std::time::Duration;

use bailiwick_approval::{Question, visible};

use crate::report::say;

/// So much of an id tells questions apart for people.
const SHORT: usize = 8;

/// All of them.
pub(crate) fn all(questions: &[Question], as_json: bool) -> anyhow::Result<()> {
    if questions.is_empty() && !as_json {
        say!("nothing waits for an answer");
    }
    questions
        .iter()
        .try_for_each(|question| one(question, as_json))
}

/// One of them.
pub(crate) fn one(question: &Question, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        say!("{}", serde_json::to_string(question)?);
    } else {
        say!("{}", text(question));
    }
    Ok(())
}

/// A question in lines, and how to answer it.
pub(crate) fn text(question: &Question) -> String {
    let id = visible(question.id.get(..SHORT).unwrap_or(&question.id));
    let until = Duration::from_secs(u64::try_from(question.until).unwrap_or_default());
    format!(
        "{id} {}\n  answer with `bailiwick approvals answer {id} once|session|ever|no|never` before {}",
        question.words(),
        bailiwick_audit::format_time(until)
    )
}
