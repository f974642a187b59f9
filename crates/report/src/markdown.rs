//! The report as Markdown (CommonMark).

use std::fmt::Write as _;

use bailiwick_audit::escape;

use crate::assess::{Assessed, Assessment};
use crate::evidence::Example;
use crate::words;

/// The report as Markdown. Text from the log stands in code spans, which it cannot leave.
#[must_use]
pub fn markdown(assessment: &Assessment) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# {}\n", words::title(assessment));
    if !assessment.is_sound() {
        let _ = writeln!(out, "> **{}**\n", words::UNSOUND);
    }
    let _ = writeln!(
        out,
        "{}. {}\n\n{}\n",
        words::period(assessment),
        words::entries(assessment),
        words::NATURE
    );
    let _ = writeln!(out, "## Logs\n");
    for (number, log) in assessment.evidence.logs.iter().enumerate() {
        let _ = writeln!(out, "- {}", code(&words::log(number, log)));
        for wrong in &log.wrong {
            let _ = writeln!(out, "  - {}", code(wrong));
        }
    }
    let _ = writeln!(
        out,
        "\n## Controls\n\n| control | title | entries |\n|---|---|---|"
    );
    let controls = assessment.controls();
    for assessed in &controls {
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            assessed.control.id, assessed.control.title, assessed.count
        );
    }
    for assessed in &controls {
        control(&mut out, assessment, assessed);
    }
    out
}

fn control(out: &mut String, assessment: &Assessment, assessed: &Assessed<'_>) {
    let control = assessed.control;
    let _ = writeln!(out, "\n### {} {}\n", control.id, control.title);
    let _ = writeln!(
        out,
        "**Asks.** {}\n\n**Met by.** {}\n",
        control.asks, control.meets
    );
    let _ = writeln!(out, "**Evidence.** {}\n", words::evidence(assessed));
    for example in &assessed.examples {
        let _ = writeln!(out, "- {}", line(example));
    }
    if !assessed.examples.is_empty() {
        out.push('\n');
    }
    if control.unused_grants {
        let (text, unused) = words::unused(assessment);
        let _ = writeln!(out, "**Unused grants.** {text}\n");
        for (grant, why) in &unused {
            let _ = writeln!(out, "- {}: {why}", code(grant));
        }
        if !unused.is_empty() {
            out.push('\n');
        }
    }
    let _ = writeln!(out, "**Not covered.**\n");
    for missing in &control.missing {
        let _ = writeln!(out, "- {missing}");
    }
}

fn line(example: &Example) -> String {
    let proof = match &example.proof {
        Some(file) => format!("[proof](<{file}>)"),
        None => "no proof written".to_owned(),
    };
    format!(
        "log {}, entry {}, leaf `{}`, {proof}: {}",
        example.log,
        example.index,
        example.leaf,
        code(&example.summary)
    )
}

/// A code span that the text cannot end: its fence is longer than any run of backticks in it (CommonMark §6.1).
fn code(text: &str) -> String {
    // What could end a line would end the span.
    let text = match text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        true => escape(text),
        false => text.to_owned(),
    };
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}
