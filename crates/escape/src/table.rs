//! The report, for people and for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::run::Verdict;
use crate::suite::{Report, Row};
use crate::world::User;

fn name(user: User) -> &'static str {
    match user {
        User::Root => "root",
        User::Ordinary => "ordinary user",
    }
}

/// What the attack does without the wall.
fn bare(row: &Row) -> String {
    let worked = row
        .bare
        .iter()
        .find(|(_, verdict)| matches!(verdict, Verdict::Worked(_)));
    match (worked, row.bare.last()) {
        (Some((User::Ordinary, _)), _) => "works".to_owned(),
        (Some((User::Root, _)), _) => "works as root".to_owned(),
        (None, Some((_, Verdict::NotRun(why)))) => format!("not run: {why}"),
        (None, Some((_, Verdict::Broken(why)))) => format!("BROKEN: {why}"),
        (None, Some((_, Verdict::Held(why)))) => format!("the machine forbids it: {why}"),
        (None, _) => "not run".to_owned(),
    }
}

fn inside(row: &Row, user: User) -> String {
    let found = row.inside.iter().find(|(one, _)| *one == user);
    match found.map(|(_, verdict)| verdict) {
        Some(Verdict::Worked(_)) if row.probe.granted => "works, as granted".to_owned(),
        Some(Verdict::Held(why)) if row.probe.granted => format!("GRANTED, BUT HELD: {why}"),
        Some(Verdict::Worked(how)) => format!("ESCAPED: {how}"),
        Some(Verdict::Held(_)) => "held".to_owned(),
        Some(Verdict::Broken(why)) => format!("BROKEN: {why}"),
        Some(Verdict::NotRun(why)) => format!("not run: {why}"),
        None => "-".to_owned(),
    }
}

fn counted(report: &Report, by: impl Fn(&Row) -> bool) -> usize {
    report.rows.iter().filter(|row| by(row)).count()
}

/// A table in Markdown, and what it comes to.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::from(
        "| class | attack | without the wall | inside, as root | inside, as ordinary user |\n",
    );
    out.push_str("|---|---|---|---|---|\n");
    for row in &report.rows {
        let cells = [
            row.probe.class.to_owned(),
            row.probe.name.to_owned(),
            bare(row),
            inside(row, User::Root),
            inside(row, User::Ordinary),
        ];
        let cells = cells.map(|cell| cell.replace('|', "/"));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    let _ = writeln!(out, "\n{}", summary(report));
    for row in report.rows.iter().filter(|row| !row.holds()) {
        let _ = writeln!(out, "NOT HELD: {}: {}", row.probe.class, row.probe.name);
    }
    out
}

fn summary(report: &Report) -> String {
    format!(
        "{} attacks: {} work without the wall, {} the machine itself forbids, {} cannot be run bare; inside, {} work, \
         {} broken.",
        report.rows.len(),
        counted(report, Row::works_bare),
        counted(report, |row| !row.works_bare()
            && row.probe.not_bare.is_none()),
        counted(report, |row| row.probe.not_bare.is_some()),
        counted(report, |row| row.works_inside() && !row.probe.granted),
        counted(report, Row::is_broken),
    )
}

fn verdict(verdict: &Verdict) -> Value {
    let (word, why) = match verdict {
        Verdict::Worked(how) => ("worked", how),
        Verdict::Held(why) => ("held", why),
        Verdict::NotRun(why) => ("not run", why),
        Verdict::Broken(why) => ("broken", why),
    };
    json!({ "verdict": word, "why": why })
}

fn verdicts(all: &[(User, Verdict)]) -> Value {
    all.iter()
        .map(|(user, one)| (name(*user).to_owned(), verdict(one)))
        .collect()
}

/// The same for machines.
pub(crate) fn json(report: &Report) -> Value {
    let rows = report.rows.iter().map(|row| {
        json!({
            "class": row.probe.class,
            "attack": row.probe.name,
            "bare": verdicts(&row.bare),
            "inside": verdicts(&row.inside),
            "holds": row.holds(),
            "milliseconds": u64::try_from(row.took.as_millis()).unwrap_or(u64::MAX),
        })
    });
    json!({
        "attacks": rows.collect::<Vec<_>>(),
        "work_bare": counted(report, Row::works_bare),
        "work_inside": counted(report, |row| row.works_inside() && !row.probe.granted),
        "broken": counted(report, Row::is_broken),
        "holds": report.holds(),
        "summary": summary(report),
    })
}
