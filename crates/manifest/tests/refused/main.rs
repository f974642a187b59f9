//! Every way in which a manifest is refused: the place, the message and the help.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may end the test"
)]

mod whole;

use bailiwick_manifest::{Manifest, ManifestError, ManifestErrors};

/// Refuses and returns the only problem.
fn one(name: &str, text: &str) -> ManifestError {
    let errors = all(name, text);
    assert_eq!(errors.problems().len(), 1, "{text}\n{errors}");
    errors.problems()[0].clone()
}

fn all(name: &str, text: &str) -> ManifestErrors {
    match Manifest::parse(name, text.as_bytes()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(errors) => errors,
    }
}

/// A manifest that is right but for `rest`, which begins on line 4.
fn with(rest: &str) -> String {
    format!("id: a\nversion: 1.0.0\nruntime: {{command: [x]}}\n{rest}\n")
}

/// `rest`, line, column, a part of the message, a part of the help.
type Row = (&'static str, usize, usize, &'static str, &'static str);

const REST: &[Row] = &[
    (
        "descripton: x",
        4,
        1,
        "unknown key `descripton`",
        "did you mean `description`?",
    ),
    (
        "banana: x",
        4,
        1,
        "unknown key `banana`",
        "the keys here are",
    ),
    (
        "read_files: /a",
        4,
        1,
        "is a capability, not a key",
        "required_capabilities",
    ),
    ("name: [x]", 4, 7, "`name` is a list", "write a string"),
    ("name: 5", 4, 7, "`name` is a number", "in quotes"),
    ("name:", 4, 5, "`name` is empty", "remove the key"),
    ("name: \"a\\u202eb\"", 4, 7, "U+202E", "remove it"),
    ("description: \"a\\e[2Jb\"", 4, 14, "U+001B", "remove it"),
    ("$schema: 1", 4, 10, "`$schema` is a number", "in quotes"),
    (
        "required_capabilities: read_files:/a",
        4,
        24,
        "is a string, not a list",
        "- read_files:/var/log/",
    ),
    (
        "required_capabilities: [read_file:/a]",
        4,
        25,
        "unknown capability kind `read_file`",
        "did you mean `read_files`?",
    ),
    (
        "required_capabilities: [fly]",
        4,
        25,
        "unknown capability kind `fly`",
        "the kinds are",
    ),
    (
        "required_capabilities:\n  - read_files:var/log",
        5,
        5,
        "relative",
        "from the root",
    ),
    (
        "required_capabilities:\n  - read_files: /a/../b",
        5,
        17,
        "`..`",
        "without them",
    ),
    (
        "required_capabilities:\n  - read_files: [/a, \"/b/*.txt\"]",
        5,
        22,
        "glob",
        "subtree",
    ),
    (
        "required_capabilities:\n  - network_access: https://bad host/",
        5,
        21,
        "",
        "",
    ),
    (
        "required_capabilities:\n  - \"network_access:https://a_b.example.com\"",
        5,
        5,
        "",
        "",
    ),
    (
        "required_capabilities:\n  - network_access: ftp://example.com",
        5,
        21,
        "",
        "",
    ),
    (
        "required_capabilities:\n  - clock: now",
        5,
        12,
        "no scope of `clock`",
        "no scope",
    ),
    (
        "required_capabilities:\n  - read_files:",
        5,
        5,
        "`read_files` names no scope",
        "without a colon",
    ),
    (
        "required_capabilities:\n  - \"read_files:\"",
        5,
        5,
        "",
        "absolute path",
    ),
    (
        "required_capabilities:\n  - read_files: {a: b}",
        5,
        17,
        "a scope is a mapping",
        "write a string",
    ),
    (
        "required_capabilities:\n  - [read_files]",
        5,
        5,
        "a capability is a list",
        "read_files:/var/log/",
    ),
    (
        "required_capabilities:\n  - {read_files: /a, clock: x}",
        5,
        5,
        "several kinds",
        "its own",
    ),
    (
        "required_capabilities: [clock, clock]",
        4,
        32,
        "`clock` stands twice",
        "remove one",
    ),
    (
        "required_capabilities: [\"read_files:/a/\", {read_files: /a/**}]",
        4,
        56,
        "stands twice",
        "remove one",
    ),
    (
        "required_capabilities: [clock]\noptional_capabilities: [clock]",
        5,
        25,
        "both required and optional",
        "one of the two",
    ),
    (
        "required_capabilities: [use_secret:db_*]",
        4,
        25,
        "",
        "exact name",
    ),
    (
        "dependencies: [a]",
        4,
        15,
        "is a list, not a mapping",
        "key: value",
    ),
    (
        "dependencies: {Bad_Id: \"1\"}",
        4,
        16,
        "not a plugin id",
        "`id` of the other",
    ),
    (
        "dependencies: {b: one}",
        4,
        19,
        "not a version range",
        "^1.2",
    ),
    (
        "dependencies: {b: 1}",
        4,
        19,
        "is a number, not a string",
        "in quotes",
    ),
    (
        "schema: {t: 5}",
        4,
        13,
        "the JSON Schema of `t` is a number",
        "type: object",
    ),
    (
        "schema: {\"t u\": {}}",
        4,
        10,
        "not a tool's name",
        "as the server announces",
    ),
    (
        "tools: {t: {need: []}}",
        4,
        13,
        "unknown key `need`",
        "did you mean `needs`?",
    ),
    (
        "tools: {t: {needs: [read_files]}}",
        4,
        21,
        "not asked for",
        "add a `read_files`",
    ),
    (
        "tools: {t: {creates: {argument: [path]}}}",
        4,
        23,
        "unknown key `argument`",
        "did you mean `arguments`?",
    ),
    (
        "tools: {t: {creates: {result: [/a~2]}}}",
        4,
        32,
        "`~` in a pointer",
        "a pointer such as",
    ),
    (
        "required_capabilities: [\"read_files:/a/\"]\ntools: {t: {needs: [\"read_files:/b\"]}}",
        5,
        21,
        "lies inside no capability",
        "add `- read_files:/b`",
    ),
    (
        "tools: {t: {arguments: {path: read_files}}}",
        4,
        31,
        "not asked for",
        "add a `read_files`",
    ),
    (
        "required_capabilities: [clock]\ntools: {t: {arguments: {path: clock}}}",
        5,
        31,
        "no argument can name",
        "bind it to one of",
    ),
    (
        "tools: {t: {arguments: {path: []}}}",
        4,
        31,
        "bound to nothing",
        "name a kind",
    ),
    (
        "tools: {t: {arguments: {/a~2: read_files}}}",
        4,
        25,
        "`~`",
        "pointer",
    ),
    ("id: b", 4, 1, "duplicate key `id`", "keep one"),
    (
        "schema: {t: {type: object, x: {type: a, type: b}}}",
        4,
        41,
        "duplicate key `type`",
        "keep one",
    ),
    ("name: &a x", 4, 7, "anchor", "write the value out"),
    ("name: !!str x", 4, 7, "tag", "remove the tag"),
    ("<<: {name: x}", 4, 1, "merge key", "write the value out"),
    (
        "? [a]\n: b",
        4,
        3,
        "a key that is not a string",
        "plain word",
    ),
    ("name: \"open", 4, 7, "not valid YAML", "quotes"),
    (
        "---\nid: b",
        4,
        1,
        "second YAML document",
        "one manifest per file",
    ),
];

/// Compares the problem whose message fits with what is expected; the empty string where all is well.
fn compare(
    name: &str,
    text: &str,
    (line, column): (usize, usize),
    message: &str,
    help: &str,
) -> String {
    let errors = match Manifest::parse(name, text.as_bytes()) {
        Ok(_) => return format!("accepted: {text}\n"),
        Err(errors) => errors,
    };
    let fits = errors.problems().iter().any(|problem| {
        problem.message().contains(message)
            && problem.help_text().contains(help)
            && !problem.help_text().is_empty()
            && problem.line_column() == (line, column)
    });
    if fits {
        String::new()
    } else {
        format!("wanted {line}:{column} {message:?} {help:?}\n{errors}\n\n")
    }
}

#[test]
fn each_problem_is_reported_at_its_place_with_help() {
    let wrong: String = REST
        .iter()
        .map(|&(rest, line, column, message, help)| {
            compare("plugin.yaml", &with(rest), (line, column), message, help)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

/// A runtime, column on line 3, message, help.
const RUNTIMES: &[(&str, usize, &str, &str)] = &[
    ("{}", 10, "says not what to start", "command"),
    ("{command: [x], component: y.wasm}", 25, "both", "keep one"),
    (
        "{command: npx -y x}",
        20,
        "no shell will split it",
        "[npx, -y, x]",
    ),
    ("{command: []}", 20, "empty", "absolute path"),
    ("{command: [bin/x]}", 21, "relative to nothing", "./program"),
    ("{command: [./../x]}", 21, "`..`", "absolute path"),
    ("{command: [x, 8080]}", 24, "is a number", "in quotes"),
    (
        "{component: ../x.wasm}",
        22,
        "no path inside",
        "without `..`",
    ),
    (
        "{component: /x.wasm}",
        22,
        "no path inside",
        "relative to the manifest",
    ),
    ("{cmd: [x]}", 11, "unknown key `cmd`", "the keys here are"),
    (
        "{command: [x], env: {LANG: C}}",
        31,
        "not asked for",
        "read_environment:LANG",
    ),
    (
        "{command: [x], env: {\"A-B\": C}}",
        31,
        "not a variable's name",
        "letters",
    ),
    (
        "{command: [x], env: {LD_PRELOAD: /x}}",
        31,
        "not for a plugin to set",
        "remove it",
    ),
    (
        "{command: [x], limits: {memory: 1MB}}",
        42,
        "not a size",
        "MiB",
    ),
    (
        "{command: [x], limits: {call: 30}}",
        40,
        "not a time",
        "30s",
    ),
    (
        "{command: [x], limits: {processes: 0}}",
        45,
        "not a count",
        "1 to 4096",
    ),
    (
        "{command: [x], limits: {memroy: 1KiB}}",
        34,
        "unknown key `memroy`",
        "did you mean `memory`?",
    ),
];

#[test]
fn each_wrong_runtime_is_reported_at_its_place() {
    let wrong: String = RUNTIMES
        .iter()
        .map(|&(runtime, column, message, help)| {
            let text = format!("id: a\nversion: 1.0.0\nruntime: {runtime}\n");
            compare("plugin.yaml", &text, (3, column), message, help)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whole texts: name, text, line, column, message, help.
type Whole = (
    &'static str,
    &'static str,
    usize,
    usize,
    &'static str,
    &'static str,
);

const WHOLE: &[Whole] = &[
    ("a.yaml", "", 1, 1, "empty", "at least"),
    (
        "a.yaml",
        "- a\n",
        1,
        1,
        "a manifest is a mapping",
        "one key per line",
    ),
    (
        "a.yaml",
        "version: 1.0.0\nruntime: {command: [x]}\n",
        1,
        1,
        "`id` is missing",
        "id: my-plugin",
    ),
    (
        "a.yaml",
        "id: My_Plugin\nversion: 1.0.0\nruntime: {command: [x]}\n",
        1,
        5,
        "not a plugin id",
        "write it as `my-plugin`",
    ),
    (
        "a.yaml",
        "id: a--b\nversion: 1.0.0\nruntime: {command: [x]}\n",
        1,
        5,
        "singly",
        "`a-b`",
    ),
    (
        "a.yaml",
        "id: a\nversion: 1.0\nruntime: {command: [x]}\n",
        2,
        10,
        "is the number 1.0",
        "three numbers",
    ),
    (
        "a.yaml",
        "id: a\nversion: latest\nruntime: {command: [x]}\n",
        2,
        10,
        "not a semantic version",
        "1.0.0",
    ),
    (
        "a.yaml",
        "id: a\nversion: 1.0.0\n",
        1,
        1,
        "`runtime` is missing",
        "command",
    ),
    (
        "a.json",
        "{\"id\": \"a\",}",
        1,
        12,
        "not valid JSON: '}'",
        "trailing commas",
    ),
    (
        "a.json",
        "{\"id\": 'a'}",
        1,
        8,
        "not valid JSON",
        "double quotes",
    ),
    (
        "a.json",
        "{\"id\": \"a\", \"id\": \"b\"}",
        1,
        13,
        "duplicate key `id`",
        "keep one",
    ),
    (
        "a.json",
        "{\"id\": \"a\"} {}",
        1,
        13,
        "the end of the file is expected",
        "JSON",
    ),
    (
        "a.json",
        "{\"id\": \"a\\q\"}",
        1,
        8,
        "wrong escape",
        "\\u00XX",
    ),
    ("a.json", "{\"id\": \"a", 1, 8, "never ends", "double quote"),
    (
        "a.json",
        "{\"id\": 01}",
        1,
        8,
        "a number that JSON does not know",
        "in quotes",
    ),
    ("unnamed", " {id: a}", 1, 3, "not valid JSON", "YAML"),
];

#[test]
fn each_wrong_file_is_reported_at_its_place() {
    let wrong: String = WHOLE
        .iter()
        .map(|&(name, text, line, column, message, help)| {
            compare(name, text, (line, column), message, help)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}
