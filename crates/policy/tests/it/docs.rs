//! The examples of `docs/policy.md` mean what it says.

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
