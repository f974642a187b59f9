//! Documents tell the truth where a test can tell: links resolve, commands and options exist.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use bailiwick_testkit::repository;

/// Longest line of prose; tables, links and what is fenced off may be wider.
const MAX_COLUMNS: usize = 120;

/// Every document in the top folder and in `docs/`.
fn documents() -> Vec<(PathBuf, String)> {
    let top = repository();
    let mut found = Vec::new();
    for folder in [top.clone(), top.join("docs")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&top).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 8, "{found:?}");
    found
}

/// The lines outside fences.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

/// As the hosting shows it: lower case, spaces to hyphens, punctuation gone.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .any(|(_, line)| anchor(line.trim_start_matches('#').trim()) == wanted)
}

#[test]
fn every_relative_link_leads_somewhere() {
    let top = repository();
    let (mut seen, mut dead) = (0, Vec::new());
    for (path, text) in documents() {
        let folder = top.join(path.parent().unwrap());
        for (number, line) in prose(&text) {
            for link in links(line).filter(|link| !link.contains("://")) {
                seen += 1;
                let (file, place) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() {
                    top.join(&path)
                } else {
                    folder.join(file)
                };
                let inside = target
                    .canonicalize()
                    .is_ok_and(|real| real.starts_with(top.canonicalize().unwrap()));
                let found = inside
                    && (place.is_empty()
                        || has_anchor(&std::fs::read_to_string(&target).unwrap(), place));
                if !found {
                    dead.push(format!("{}:{number}: {link}", path.display()));
                }
            }
        }
    }
    assert!(seen > 20, "links are found at all: {seen}");
    assert!(dead.is_empty(), "{dead:#?}");
}

/// A variant's or field's name as it is typed.
fn kebab(name: &str) -> String {
    let mut typed = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !typed.is_empty() {
            typed.push('-');
        }
        typed.extend(c.to_lowercase());
    }
    typed.replace('_', "-")
}

/// The source of every file that declares a part of the command line.
fn command_line() -> String {
    let mut folders = vec![repository().join("crates/bailiwick/src")];
    let mut source = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.contains("use clap::") {
                    source += &text;
                }
            }
        }
    }
    source
}

/// What the command line's source declares: subcommands and long options.
fn declared() -> (BTreeSet<String>, BTreeSet<String>) {
    let source = command_line();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let word = |line: &str| {
        let end = line.find(|c: char| !c.is_alphanumeric() && c != '_');
        line[..end.unwrap_or(line.len())].to_owned()
    };
    let mut commands = BTreeSet::new();
    let mut options = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with(|c: char| c.is_ascii_uppercase()) && line.ends_with(['{', ',']) {
            commands.insert(kebab(&word(line)));
        }
        let Some(rest) = line.strip_prefix("#[arg(") else {
            continue;
        };
        if !rest.contains("long") {
            continue;
        }
        let named = rest.split_once("long = \"").map(|(_, name)| word(name));
        let field = lines[at + 1..]
            .iter()
            .find(|line| line.contains(": ") && !line.starts_with(['#', '/']))
            .map(|line| word(line.strip_prefix("pub(crate) ").unwrap_or(line)));
        options.extend(named.or(field).map(|name| kebab(&name)));
    }
    (commands, options)
}

/// What a line has people type after `program`: in backquotes, after a prompt, or indented as code.
fn typed<'l>(line: &'l str, program: &'l str) -> impl Iterator<Item = &'l str> {
    line.match_indices(program).filter_map(move |(at, _)| {
        let before = &line[..at];
        let is_code = before.ends_with('`') || before.ends_with("$ ") || before == "    ";
        let own = line[at + program.len()..].split(['`', '#']).next()?;
        // `bailiwick manifest 1` is the first line of what is hashed.
        (is_code && !own.ends_with(" 1")).then(|| own.split(" -- ").next())?
    })
}

fn command(own: &str) -> Option<&str> {
    let word = own.split_whitespace().next()?;
    word.starts_with(|c: char| c.is_ascii_lowercase())
        .then_some(word)
}

#[test]
fn every_command_and_option_in_the_documents_exists() {
    let (commands, options) = declared();
    for known in ["serve", "exec", "check", "audit", "demo", "verify", "tail"] {
        assert!(commands.contains(known), "{commands:?}");
    }
    for known in ["allow", "config", "log", "json", "since"] {
        assert!(options.contains(known), "{options:?}");
    }
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (path, text) in documents() {
        for (number, line) in (1..).zip(text.lines()) {
            for own in typed(line, "bailiwick ") {
                seen.extend(command(own).map(str::to_owned));
                let unknown = command(own).filter(|name| !commands.contains(*name));
                let given = own.split_whitespace();
                let given = given.filter_map(|word| word.strip_prefix("--"));
                let unknown = unknown
                    .into_iter()
                    .chain(given.filter(|name| !options.contains(*name)));
                wrong.extend(unknown.map(|name| format!("{}:{number}: {name}", path.display())));
            }
        }
    }
    assert!(seen.len() >= 5, "commands are found at all: {seen:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_chore_in_the_documents_exists() {
    let source = std::fs::read_to_string(repository().join("xtask/src/main.rs")).unwrap();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (path, text) in documents() {
        for (number, line) in (1..).zip(text.lines()) {
            for name in typed(line, "cargo xtask ").filter_map(command) {
                seen.insert(name.to_owned());
                if !source.contains(&format!("\"{name}\" =>")) {
                    wrong.push(format!("{}:{number}: {name}", path.display()));
                }
            }
        }
    }
    assert!(seen.len() >= 2, "chores are found at all: {seen:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn prose_fits_a_screen() {
    let mut long = Vec::new();
    for (path, text) in documents() {
        for (number, line) in prose(&text).filter(|(_, line)| !line.starts_with('|')) {
            if line.chars().count() > MAX_COLUMNS {
                long.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "over {MAX_COLUMNS} columns: {long:#?}");
}
