//! The checked-in JSON Schema is the generated one, and agrees with the reader on every example in the documentation.
#![expect(clippy::expect_used, reason = "helpers of tests may end the test")]

use std::path::PathBuf;

use bailiwick_manifest::{Manifest, json_schema};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `BAILIWICK_BLESS=1 cargo test -p bailiwick-manifest` writes the schema anew.
#[test]
fn the_checked_in_schema_is_the_generated_one() {
    let path = repository().join("schemas/manifest.schema.json");
    let generated = format!(
        "{}\n",
        serde_json::to_string_pretty(&json_schema()).expect("JSON")
    );
    if std::env::var_os("BAILIWICK_BLESS").is_some() {
        std::fs::write(&path, &generated).expect("writable");
    }
    let found = std::fs::read_to_string(&path).expect("schemas/manifest.schema.json");
    // Compared as values: another crate's features decide in which order serde_json keeps keys.
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(
        found,
        json_schema(),
        "run with BAILIWICK_BLESS=1 to write it anew"
    );
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&json_schema()).expect("a valid schema")
}

/// The fenced blocks of a markdown file with their info string.
fn fenced(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, body)), None) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn json(manifest: &str) -> serde_json::Value {
    bailiwick_manifest::to_json("example.yaml", manifest.as_bytes()).expect("YAML")
}

#[test]
fn every_example_in_the_documentation_parses_and_validates() {
    let text = std::fs::read_to_string(repository().join("docs/manifest.md")).expect("docs");
    let validator = validator();
    let mut seen = 0;
    for (info, body) in fenced(&text) {
        let (language, kind) = info.split_once(' ').unwrap_or((&info, ""));
        let name = format!("example.{language}");
        if kind == "manifest" {
            seen += 1;
            Manifest::parse(&name, body.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
            let value = bailiwick_manifest::to_json(&name, body.as_bytes()).expect("a tree");
            if let Err(error) = validator.validate(&value) {
                panic!("{error}\n{body}");
            }
        }
    }
    assert!(seen >= 3, "the documentation lost its examples: {seen}");
}

#[test]
fn every_example_folder_parses_and_validates() {
    let validator = validator();
    let examples = repository().join("examples");
    let mut folders = vec![examples];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && name != "node_modules" && name != "target" {
                folders.push(path);
            } else if ["manifest.yaml", "manifest.yml", "manifest.json"].contains(&name.as_str()) {
                let bytes = std::fs::read(&path).expect("readable");
                let shown = path.display().to_string();
                Manifest::parse(&shown, &bytes).unwrap_or_else(|errors| panic!("{errors}"));
                let value = bailiwick_manifest::to_json(&shown, &bytes).expect("a tree");
                assert!(validator.is_valid(&value), "{shown}");
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = validator();
    let good = "id: a\nversion: 1.0.0\nruntime: {command: [x]}\n";
    assert!(validator.is_valid(&json(good)));
    for (from, to) in [
        ("id: a", "id: A_b"),
        ("id: a\n", ""),
        ("id: a", "id: a\nunknown: 1"),
        ("version: 1.0.0", "version: one"),
        ("command: [x]", "command: []"),
        ("command: [x]", "command: [x], component: y"),
        ("command: [x]", "limits: {}"),
        ("id: a", "id: a\nrequired_capabilities: [read_file:/a]"),
        ("id: a", "id: a\nrequired_capabilities: {read_files: null}"),
        ("id: a", "id: a\ntools: {t: {arguments: {x: clock}}}"),
        ("command: [x]", "command: [x], limits: {call: 30}"),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good);
        assert!(!validator.is_valid(&json(&text)), "the schema takes {text}");
        assert!(
            Manifest::parse("a.yaml", text.as_bytes()).is_err(),
            "the reader takes {text}"
        );
    }
}
