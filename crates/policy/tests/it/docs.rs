//! The examples of `docs/policy.md` mean what it says.

use bailiwick_capability::Kind;
use bailiwick_policy::{Classification, Pdp, PolicySource};

use crate::support::*;

const DOC: &str = include_str!("../../../../docs/policy.md");

/// Fenced blocks, in order: what they are, and their text.
fn blocks() -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in DOC.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some((info.to_owned(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is left open");
    blocks
}

fn answer(pdp: &Pdp, asked: &str) -> String {
    let decision = decide(pdp, asked);
    let show = |atoms: Vec<String>| match atoms.is_empty() {
        true => "nothing".to_owned(),
        false => atoms.join(" and "),
    };
    let granted = show(texts(decision.granted()));
    match texts(decision.pending()) {
        pending if pending.is_empty() => granted,
        pending => format!("{granted}, or if approved {}", show(pending)),
    }
}

#[test]
fn every_example_is_loaded_and_decided_as_written() {
    let classified = Classification::parse([("/data/hr/**", "confidential")]).unwrap();
    let mut pdp: Option<Pdp> = None;
    let mut decided = 0;
    for (info, text) in blocks() {
        match info.as_str() {
            "cedar" => {
                let source = PolicySource::new("docs/policy.md", text);
                pdp = Some(Pdp::load(&[source], &classified).unwrap_or_else(|e| panic!("{e}")));
            }
            "decisions" => {
                for line in text.lines() {
                    let (asked, told) = line.split_once("=>").unwrap();
                    let found = answer(pdp.as_ref().unwrap(), asked.trim());
                    assert_eq!(found, told.trim(), "{line}");
                    decided += 1;
                }
            }
            other => panic!("`{other}` blocks are not tested"),
        }
    }
    assert!(decided >= 12, "{decided}");
}

#[test]
fn every_condition_in_the_tables_is_one() {
    let rows = DOC.lines().filter(|line| line.starts_with('|'));
    let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let starts = [
        "principal ",
        "principal.",
        "resource ",
        "resource.",
        "context.",
    ];
    let mut checked = 0;
    for span in spans.filter(|span| starts.iter().any(|s| span.starts_with(s))) {
        let is_condition = [" == ", " in ", " < ", ".contains("]
            .iter()
            .any(|op| span.contains(op));
        if !is_condition && span != "context.unscoped" {
            continue;
        }
        let loads = Kind::ALL.map(Kind::as_str).into_iter().chain(["call"]).any(|action| {
            let text = format!("permit (principal, action == Action::\"{action}\", resource) when {{ {span} }};");
            load(&text).is_ok()
        });
        assert!(loads, "{span}");
        checked += 1;
    }
    assert!(checked >= 25, "{checked}");
}
