//! The report as one HTML page: no script, nothing from elsewhere, and a policy that allows neither.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::assess::{Assessed, Assessment};
use crate::evidence::Example;
use crate::words;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #767676}\
code{font:.875rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}.unsound{border:3px solid #b00020;padding:.5rem 1rem;color:#8c0019}\
a{color:#0b57d0}a:focus{outline:3px solid #0b57d0}\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}a{color:#8ab4f8}.unsound{color:#ff9aa5}}";

/// The report as HTML. Text from the log is escaped wherever it stands.
#[must_use]
pub fn html(assessment: &Assessment) -> String {
    let title = text(&words::title(assessment));
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    // Writing to a string cannot fail.
    if !assessment.is_sound() {
        let _ = writeln!(
            out,
            "<p class=\"unsound\" role=\"alert\"><strong>{}</strong></p>",
            text(words::UNSOUND)
        );
    }
    let (period, entries) = (words::period(assessment), words::entries(assessment));
    let _ = writeln!(
        out,
        "<p>{}. {}</p>\n<p>{}</p>",
        text(&period),
        text(&entries),
        text(words::NATURE)
    );
    logs(&mut out, assessment);
    let controls = assessment.controls();
    overview(&mut out, &controls);
    for assessed in &controls {
        control(&mut out, assessment, assessed);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn logs(out: &mut String, assessment: &Assessment) {
    out.push_str("<h2>Logs</h2>\n<ul>\n");
    for (number, log) in assessment.evidence.logs.iter().enumerate() {
        let _ = write!(out, "<li>{}", text(&words::log(number, log)));
        list(
            out,
            log.wrong
                .iter()
                .map(|wrong| format!("<code>{}</code>", text(wrong))),
        );
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n");
}

fn overview(out: &mut String, controls: &[Assessed<'_>]) {
    out.push_str(
        "<h2>Controls</h2>\n<table>\n<caption>Entries that are evidence, by control</caption>\n<thead><tr>\
         <th scope=\"col\">Control</th><th scope=\"col\">Title</th><th scope=\"col\">Entries</th></tr></thead>\n<tbody>\n",
    );
    for assessed in controls {
        let (id, title) = (text(&assessed.control.id), text(&assessed.control.title));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><a href=\"#{id}\">{id}</a></th><td>{title}</td><td>{}</td></tr>",
            assessed.count
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn control(out: &mut String, assessment: &Assessment, assessed: &Assessed<'_>) {
    let control = assessed.control;
    let (id, title) = (text(&control.id), text(&control.title));
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"{id}\">\n<h3 id=\"{id}\">{id} {title}</h3>"
    );
    let parts = [
        ("Asks", &control.asks),
        ("Met by", &control.meets),
        ("Evidence", &words::evidence(assessed)),
    ];
    for (name, part) in parts {
        let _ = writeln!(out, "<p><strong>{name}.</strong> {}</p>", text(part));
    }
    list(out, assessed.examples.iter().map(|example| line(example)));
    if control.unused_grants {
        let (said, unused) = words::unused(assessment);
        let _ = writeln!(
            out,
            "<p><strong>Unused grants.</strong> {}</p>",
            text(&said)
        );
        list(
            out,
            unused
                .iter()
                .map(|(grant, why)| format!("<code>{}</code>: {}", text(grant), text(why))),
        );
    }
    out.push_str("<p><strong>Not covered.</strong></p>\n");
    list(out, control.missing.iter().map(|missing| text(missing)));
    out.push_str("</section>\n");
}

fn list(out: &mut String, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("<li>{item}</li>\n")).collect();
    if !items.is_empty() {
        let _ = writeln!(out, "<ul>\n{}</ul>", items.concat());
    }
}

fn line(example: &Example) -> String {
    let proof = match &example.proof {
        Some(file) => format!(
            "<a href=\"{}\">proof of entry {}</a>",
            text(file),
            example.index
        ),
        None => "no proof written".to_owned(),
    };
    format!(
        "log {}, entry {}, leaf <code>{}</code>, {proof}: <code>{}</code>",
        example.log,
        example.index,
        text(&example.leaf),
        text(&example.summary)
    )
}

/// Text as it may stand in an element or between double quotes. Control characters, which HTML forbids, are left out.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
