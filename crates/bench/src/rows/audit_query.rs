//! Answering questions about a long log: with its index, with what bytes rule out alone, and by a plain scan that parses
//! every entry.

use std::path::Path;
use std::sync::Arc;

use bailiwick_audit::{
    AtomDecision, Event, Filter, Log, Moment, Options, Outcome as Answer, Redaction, Search, Sight,
    Subject, query, search,
};
use bailiwick_index::{Index, IndexKey};
use serde_json::json;

use super::Effort;
use crate::Outcome;
use crate::sample::{Plan, Row, Side, compare};

/// Entries of the log; three are a call.
const ENTRIES: u64 = 1_000_000;
const QUICK_ENTRIES: u64 = 40_000;
/// Calls of a session.
const SESSION_CALLS: u64 = 200;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("audit");
    let entries = if effort.quick { QUICK_ENTRIES } else { ENTRIES };
    write(&dir, entries)?;
    let key = IndexKey::load_or_create(&folder.path().join("index.key"))?;
    let mut index = Index::open(folder.path(), &dir, key)?;
    index.update(None)?;
    let session = session(entries / 3 / SESSION_CALLS / 2);
    let asked = |capability: &str| -> Outcome<Filter> {
        let capability = Some(capability.parse()?);
        Ok(Filter {
            capability,
            ..Filter::default()
        })
    };
    let questions = [
        (
            "session",
            Filter {
                session: Some(session),
                ..Filter::default()
            },
        ),
        (
            "text",
            Filter {
                text: Some("/secret/of-call-31".to_owned()),
                ..Filter::default()
            },
        ),
        ("capability", asked("/data/secret/of-call-31")?),
    ];
    let mut rows = Vec::new();
    for (name, filter) in questions {
        let expected = query(&dir, filter.clone()).filter(Result::is_ok).count();
        let same = |found: usize| -> Outcome {
            if found == expected && expected > 0 {
                return Ok(());
            }
            Err(format!("{found} entries were found instead of {expected}").into())
        };
        let mut sides = [
            Side::new("with the index", || {
                let selection = index.select(&filter)?;
                same(count(&dir, &filter, Some(Arc::new(selection)))?)
            }),
            Side::new("without an index", || same(count(&dir, &filter, None)?)),
            Side::new("plain scan", || {
                same(query(&dir, filter.clone()).filter(Result::is_ok).count())
            }),
        ];
        let name = format!("audit query by {name}, {entries} entries");
        let plan = Plan {
            rounds: if effort.quick { 2 } else { 7 },
            batch: 1,
        };
        rows.extend(compare(&name, plan, &mut sides)?);
    }
    Ok(rows)
}

fn count(
    dir: &Path,
    filter: &Filter,
    narrow: Option<Arc<dyn bailiwick_audit::Narrow>>,
) -> Outcome<usize> {
    let wanted = Search {
        filter: filter.clone(),
        newest_first: false,
    };
    let found = search(dir, &wanted, narrow)?;
    Ok(found
        .filter(|sight| matches!(sight, Sight::Entry { .. }))
        .count())
}

fn session(number: u64) -> String {
    format!(
        "{:032x}",
        u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    )
}

/// What a gate writes: a decision, a call and its answer each, and now and then something that was stopped.
fn write(dir: &Path, entries: u64) -> Outcome {
    let log = Log::open(dir, Options::default())?;
    for call in 0..entries / 3 {
        let (tool, plugin) = if (call / SESSION_CALLS).is_multiple_of(2) {
            ("notes.search", "notes")
        } else {
            ("git.log", "git")
        };
        let subject = Subject::session(session(call / SESSION_CALLS))
            .with_plugin(plugin, "00".repeat(32))
            .with_user(if (call / SESSION_CALLS).is_multiple_of(3) {
                "ann"
            } else {
                "bob"
            })
            .with_agent("claude-code 2.1");
        let id = format!("{}-{call}", session(call / SESSION_CALLS));
        log.append(&subject, &first(tool, call))?;
        let arguments = Redaction::default().apply(tool, &json!({ "path": call, "limit": 3 }));
        log.append(
            &subject,
            &Event::ToolCall {
                call: id.clone(),
                tool: tool.to_owned(),
                arguments,
            },
        )?;
        let event = Event::ToolResult {
            call: id,
            tool: tool.to_owned(),
            bytes: 200 + call % 1000,
            sha256: format!("{call:064x}"),
            is_error: call % 50 == 0,
            millis: call % 30,
        };
        log.append(&subject, &event)?;
    }
    Ok(log.close()?)
}

fn first(tool: &str, call: u64) -> Event {
    if call % 1000 == 31 {
        return Event::OperationDenied {
            operation: "read_files".to_owned(),
            target: format!("/data/secret/of-call-{}", call % 10_000),
            reason: "not granted".to_owned(),
            dropped: 0,
        };
    }
    let atom = AtomDecision {
        asked: tool.to_owned(),
        outcome: Answer::Grant,
        granted: Vec::new(),
        policies: vec!["default/call-tools".to_owned()],
        reasons: vec!["permitted by default/call-tools".to_owned()],
    };
    Event::Decision {
        outcome: Answer::Grant,
        moment: Moment::Call,
        atoms: vec![atom],
        context: [("environment".to_owned(), "dev".to_owned())].into(),
    }
}
