//! What is refused of a manifest as a whole: duplicate keys, attempts to steer the gate, sizes; and how reports read.

use bailiwick_manifest::{MAX_BYTES, Manifest};

use crate::{all, one, with};

#[test]
fn l24_duplicate_keys_are_refused() {
    for depth in 0..8 {
        let json = format!(
            "{{\"schema\": {}{{\"k\": 1, \"k\": 2}}{}}}",
            "{\"x\": ".repeat(depth),
            "}".repeat(depth)
        );
        for name in ["a.json", "a.yaml"] {
            let problem = one(name, &json);
            assert!(
                problem.message().contains("duplicate key `k`"),
                "{name} {depth}"
            );
        }
    }
    // The same key by an escape, and two that only look the same to a careless reader.
    assert!(
        one("a.json", r#"{"id": "a", "\u0069d": "b"}"#)
            .message()
            .contains("duplicate")
    );
    let folded = all("a.json", r#"{"id": "a", "ID": "b"}"#);
    assert!(
        folded
            .problems()
            .iter()
            .any(|one| one.message() == "unknown key `ID`")
    );
}

#[test]
fn l22_a_manifest_cannot_steer_the_gate() {
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "BAILIWICK_HOME"] {
        let text = format!(
            "id: a\nversion: 1.0.0\nrequired_capabilities: [read_environment:{name}]\nruntime: {{command: [x], env: {{{name}: y}}}}\n"
        );
        assert!(
            one("a.yaml", &text)
                .message()
                .contains("not for a plugin to set")
        );
    }
}

#[test]
fn many_problems_are_reported_at_once_in_their_order() {
    let text = "id: A\nversion: x\nnmae: y\nruntime: {command: []}\nrequired_capabilities: [fly, \"read_files:a\"]\n";
    let errors = all("plugin.yaml", text);
    let lines: Vec<usize> = errors
        .problems()
        .iter()
        .map(|one| one.line_column().0)
        .collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 5], "{errors}");
    let shown = errors.to_string();
    assert!(
        shown.contains("plugin.yaml:3:1: unknown key `nmae`\n  help: did you mean `name`?"),
        "{shown}"
    );
}

#[test]
fn problems_are_bounded() {
    let items = "fly, ".repeat(1_000);
    let errors = all(
        "a.yaml",
        &with(&format!("required_capabilities: [{items}]")),
    );
    assert_eq!(errors.problems().len(), bailiwick_manifest::MAX_PROBLEMS);
    assert_eq!(errors.left_out(), 1_000 - bailiwick_manifest::MAX_PROBLEMS);
}

#[test]
fn size_depth_and_number_are_bounded() {
    let big = vec![b' '; MAX_BYTES + 1];
    let errors = Manifest::parse("a.yaml", &big).expect_err("too big");
    assert!(
        errors.to_string().contains("more than 262144 bytes"),
        "{errors}"
    );
    for name in ["a.json", "a.yaml"] {
        assert!(Manifest::parse(name, "[".repeat(200_000).as_bytes()).is_err());
        let deep = format!("{{\"schema\": {}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(
            one(name, &deep).message().contains("nested deeper"),
            "{name}"
        );
        let wide = format!("{{\"schema\": [{}1]}}", "1,".repeat(25_000));
        let problem = one(name, &wide);
        assert!(
            problem.message().contains("more than 20000"),
            "{name}: {problem}"
        );
    }
    let latin = Manifest::parse("a.yaml", b"id: a\xff").expect_err("not UTF-8");
    assert!(
        latin.to_string().contains("not UTF-8 from byte 5 on"),
        "{latin}"
    );
}

#[test]
fn places_are_right_behind_wide_characters_and_carriage_returns() {
    let text = "# ü 😀\r\nid: a\r\nversion: 1.0.0\r\nname: \"ünï\"\r\nruntime: {command: [x]}\r\nbad: x\r\n";
    let problem = one("a.yaml", text);
    assert_eq!(problem.line_column(), (6, 1));
    assert_eq!(&text[problem.span().start()..problem.span().end()], "bad");
}

#[test]
fn a_report_handler_can_draw_it() {
    use miette::Diagnostic;
    let errors = all("plugin.yaml", &with("descripton: x"));
    let problem = errors.related().expect("problems").next().expect("one");
    let label = problem.labels().expect("labels").next().expect("one");
    assert!(label.primary());
    let source = problem.source_code().expect("source");
    let lines = source.read_span(label.inner(), 1, 1).expect("inside");
    assert_eq!(lines.name(), Some("plugin.yaml"));
    assert_eq!(
        lines.line(),
        2,
        "one line before the fourth, counted from 0"
    );
    assert!(
        problem
            .help()
            .expect("help")
            .to_string()
            .contains("description")
    );
}
