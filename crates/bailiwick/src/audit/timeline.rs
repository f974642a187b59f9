//! `bailiwick audit timeline`: the story of a session for people.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use bailiwick_audit::{Filter, Outcome, Sight};

use super::asked::moment;
use super::cli::TimelineArgs;
use super::deed::{Tone, by, list, said, text};
use super::index::Indexes;
use super::read::search_all;
use super::story::{Calls, Part, Story, span};
use crate::report::{FINE, FOUND, say};

/// Repeats, secrets and stops that are shown of a plugin.
const MAX_SHOWN: usize = 40;

pub(super) fn tell(
    logs: &[PathBuf],
    args: &TimelineArgs,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let filter = Filter {
        session: args.session.clone(),
        plugin: args.plugin.clone(),
        since: args.since.as_deref().map(moment).transpose()?,
        until: args.until.as_deref().map(moment).transpose()?,
        ..Filter::default()
    };
    let mut indexes = Indexes::of(logs);
    let mut story = Story::default();
    let mut damaged = false;
    for (log, sight) in search_all(logs, &filter, false, &indexes)? {
        match sight {
            Sight::Entry { entry, .. } => story.add(&entry),
            Sight::Unreadable { .. } => story.unreadable += 1,
            Sight::Gap { from, to, why } => {
                damaged = true;
                let log = logs
                    .get(log)
                    .map(|log| log.display().to_string())
                    .unwrap_or_default();
                eprintln!("warning: {log}: entries {from} to {to} were not looked at: {why}");
            }
        }
    }
    story.end();
    check_found(&story, args)?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&story)?);
    } else {
        let colour = std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        say!("{}", told(&story, args, colour).trim_end());
    }
    if story.unreadable > 0 {
        eprintln!(
            "warning: {} entries cannot be read by this version, and may belong to the story: run `bailiwick audit query`",
            story.unreadable
        );
    }
    indexes.catch_up();
    Ok(ExitCode::from(if damaged { FOUND } else { FINE }))
}

fn check_found(story: &Story, args: &TimelineArgs) -> anyhow::Result<()> {
    let wanted = args.session.as_deref().unwrap_or_default();
    if story.entries == 0 {
        match (&args.session, &args.plugin) {
            (Some(session), None) => bail!(
                "no entry is of session `{}`: `bailiwick audit query --kind session_start` lists them",
                text(session)
            ),
            _ => bail!("no entry is of that plugin and time"),
        }
    }
    if args.session.is_some() && story.sessions.len() > 1 {
        let ids: Vec<String> = story.sessions.iter().take(16).map(|id| text(id)).collect();
        bail!(
            "{} sessions begin with `{}`: name one of {}",
            story.sessions.len(),
            text(wanted),
            ids.join(", ")
        );
    }
    Ok(())
}

/// The whole story as text.
fn told(story: &Story, args: &TimelineArgs, colour: bool) -> String {
    let mut out = String::new();
    let length = super::asked::millis_between(&story.from, &story.to);
    let title = match (&args.session, story.sessions.first()) {
        (Some(_), Some(session)) => format!("Session {}", text(session)),
        _ => format!(
            "Plugin {} in {} sessions",
            text(args.plugin.as_deref().unwrap_or_default()),
            story.sessions.len()
        ),
    };
    line(&mut out, &paint(colour, "1", &title));
    line(
        &mut out,
        &format!(
            "  {} to {}, {}",
            clock(&story.from),
            clock(&story.to),
            span(length)
        ),
    );
    let who = [
        ("user", &story.user),
        ("agent", &story.agent),
        ("client", &story.client),
    ];
    let who: Vec<String> = who
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", text(value.as_deref()?))))
        .collect();
    if !who.is_empty() {
        line(&mut out, &format!("  {}", who.join(" · ")));
    }
    let ended = match &story.ended {
        // The end of a session is no plugin's.
        _ if args.plugin.is_some() => String::new(),
        Some(ended) => format!("; end: {}", text(ended)),
        None => "; no entry says how it ended".to_owned(),
    };
    line(&mut out, &format!("  {} entries{ended}", story.entries));
    for (name, part) in &story.plugins {
        out.push('\n');
        plugin(&mut out, name, part, story, colour);
    }
    out.push('\n');
    line(&mut out, &paint(colour, "1", "In order"));
    for act in &story.acts {
        let times = if act.times > 1 {
            format!("  {} ×", act.times)
        } else {
            String::new()
        };
        let who = act
            .plugin
            .as_deref()
            .map(text)
            .unwrap_or_else(|| "·".to_owned());
        let outcome = paint_tone(colour, act.tone, &act.outcome);
        let after = format!("+{}", span(act.after));
        line(
            &mut out,
            &format!(
                "  {after:>14}  {who:<14}  {:<44}  {outcome}{times}",
                act.what
            ),
        );
    }
    if story.more > 0 {
        let more = story.more;
        line(
            &mut out,
            &format!("  and {more} more acts: `bailiwick audit query` shows them all"),
        );
    }
    out
}

fn plugin(out: &mut String, name: &str, part: &Part, story: &Story, colour: bool) {
    let wall = part
        .wall
        .as_deref()
        .map(|wall| format!(" behind the {} wall", text(wall)));
    line(
        out,
        &paint(
            colour,
            "1",
            &format!("{}{}", text(name), wall.unwrap_or_default()),
        ),
    );
    asked_and_got(out, part, colour);
    let mut label = "did";
    for (tool, calls) in part.calls.iter().take(MAX_SHOWN) {
        row(out, label, &format!("{}  {}", text(tool), counted(calls)));
        label = "";
    }
    left_out(out, part.calls.len());
    label = "stopped";
    for stop in part.stopped.iter().take(MAX_SHOWN) {
        let after = span(super::asked::millis_between(&story.from, &stop.at));
        let times = if stop.times > 1 {
            format!("  {} ×", stop.times)
        } else {
            String::new()
        };
        let by = if stop.policies.is_empty() {
            String::new()
        } else {
            format!(" ({})", by(&stop.policies))
        };
        let what = paint_tone(colour, Tone::Bad, &text(&stop.what));
        row(
            out,
            label,
            &format!("{what}{times}  after {after}: {}{by}", text(&stop.why)),
        );
        label = "";
    }
    left_out(out, part.stopped.len());
    label = "secrets";
    for (secret, times) in part.secrets.iter().take(MAX_SHOWN) {
        row(out, label, &format!("{}  {times} ×", text(secret)));
        label = "";
    }
    left_out(out, part.secrets.len());
    let ended = part
        .ended
        .as_deref()
        .map_or("no entry says so".to_owned(), text);
    let tone = if part.badly { Tone::Bad } else { Tone::Plain };
    row(out, "ended", &paint_tone(colour, tone, &ended));
}

fn asked_and_got(out: &mut String, part: &Part, colour: bool) {
    let mut label = "asked";
    for (atoms, how) in [(&part.required, ""), (&part.optional, ", as an option")] {
        for atom in atoms.iter().take(MAX_SHOWN) {
            let answer = part.atoms.iter().find(|answer| answer.asked == *atom);
            let got = answer.map_or("no answer".to_owned(), |answer| {
                let (mark, tone) = match answer.outcome {
                    Outcome::Grant => ("✔", Tone::Good),
                    Outcome::Deny => ("✘", Tone::Bad),
                    Outcome::Partial | Outcome::Ask => ("~", Tone::Uneasy),
                };
                let mut got = format!("{mark} {} {}", said(answer.outcome), by(&answer.policies));
                if answer.outcome == Outcome::Partial {
                    let _ = write!(got, ": {}", list(&answer.granted));
                }
                paint_tone(colour, tone, &got)
            });
            row(out, label, &format!("{}{how}  {got}", text(atom)));
            label = "";
        }
        left_out(out, atoms.len());
    }
    if !part.holds.is_empty() {
        row(out, "held to", &list(&part.holds));
    }
}

fn counted(calls: &Calls) -> String {
    let mut parts = vec![format!("{} ×", calls.made + calls.refused)];
    let errors = if calls.errors == 1 { "error" } else { "errors" };
    for (count, what) in [
        (calls.ok, "ok"),
        (calls.errors, errors),
        (calls.refused, "refused"),
        (calls.unanswered(), "without an answer"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let (shortest, longest) = (span(calls.shortest), span(calls.longest));
    match calls.ok + calls.errors {
        0 => {}
        1 => parts.push(format!("in {longest}")),
        _ => parts.push(format!(
            "{shortest} to {longest}, {} in all",
            span(calls.in_all)
        )),
    }
    parts.join(", ")
}

fn left_out(out: &mut String, count: usize) {
    if count > MAX_SHOWN {
        row(out, "", &format!("and {} more", count - MAX_SHOWN));
    }
}

fn row(out: &mut String, label: &str, text: &str) {
    line(out, &format!("  {label:<8}  {text}"));
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

fn clock(time: &str) -> String {
    text(time).replacen('T', " ", 1)
}

fn paint_tone(colour: bool, tone: Tone, text: &str) -> String {
    tone.colour()
        .map_or(text.to_owned(), |code| paint(colour, code, text))
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
