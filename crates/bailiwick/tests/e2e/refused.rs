//! What is refused before a plugin sees it, and how an agent hears of it.

use serde_json::{Value, json};

use crate::support::{Family, Gate, Script, World, code, kind, text, told};

/// A plugin whose tool `read` is bound to the folder `in` of the world.
fn bound(world: &World) -> Gate {
    let file = world.file("in/a.txt", "inside");
    assert!(file.ends_with("in/a.txt"));
    world.file("out/key", "canary");
    for (target, link) in [
        ("../out/key", "in/link"),
        ("../out", "in/up"),
        ("/nowhere", "in/lost"),
    ] {
        std::os::unix::fs::symlink(target, world.root().join(link)).unwrap();
    }
    let lines = format!(
        "required_capabilities: [\"read_files:{}/\"]\n\
         schema: {{echo: {{properties: {{text: {{pattern: '^[a-z]*$'}}}}}}}}\n\
         tools: {{read: {{needs: [read_files], arguments: {{path: read_files, /paths/*: read_files}}}}}}",
        world.path("in")
    );
    let folder = Script {
        lines: &lines,
        ..Script::WELL
    }
    .put(world);
    world.configure(&[&folder], &world.files_policy());
    world.serve(Family::Modern, &[])
}

#[test]
fn arguments_outside_their_scope_are_refused() {
    let world = World::new();
    let mut gate = bound(&world);
    let mut read = |arguments: Value| gate.call("good__read", arguments);
    assert_eq!(
        text(&read(json!({ "path": world.path("in/a.txt") }))),
        "inside"
    );
    for outside in ["out/key", "in/link", "in/up/key"] {
        let result = read(json!({ "path": world.path(outside) }));
        assert_eq!(code(&result), "capability_missing", "{outside}: {result}");
        let said = told(&result);
        assert_eq!(said["denied"], true);
        assert_eq!(
            result["structuredContent"]["bailiwick"], *said,
            "no schema of the tool's stands against it"
        );
        let missing = said["capability"].as_str().unwrap();
        assert!(
            missing.contains("out/key"),
            "the target is named: {missing}"
        );
        assert!(text(&result).contains("decided by policy"), "{result}");
        assert!(
            text(&result).contains("--allow"),
            "what a person can do: {result}"
        );
    }
    for unreadable in ["in/../out/key", "in/./a.txt", "in/lost"] {
        let result = read(json!({ "path": world.path(unreadable) }));
        assert_eq!(code(&result), "bad_arguments", "{unreadable}: {result}");
    }
    for path in ["out/key", "", "~/key", "in/a.txt"] {
        assert_eq!(
            code(&read(json!({ "path": path }))),
            "bad_arguments",
            "{path}"
        );
    }
    let many = json!({ "paths": [world.path("in/a.txt"), world.path("out/key")] });
    assert_eq!(code(&read(many)), "capability_missing");
    gate.end();
    // Nothing refused was ever called, and the log says which were.
    assert_eq!(world.events("tool_call").len(), 1);
    assert_eq!(world.events("call_refused").len(), 11);
    world.settled();
}

#[test]
fn arguments_that_do_not_fit_the_schema_are_refused() {
    let world = World::new();
    let mut gate = bound(&world);
    for arguments in [
        json!({}),
        json!({ "text": 7 }),
        json!({ "text": "x".repeat(101) }),
        json!({ "text": "x", "times": 0 }),
        json!({ "text": "x", "times": "2" }),
        json!({ "text": "x", "more": true }),
        // This pattern is the manifest's own: narrower than what the plugin says.
        json!({ "text": "UPPER" }),
    ] {
        let result = gate.call("good__echo", arguments.clone());
        assert_eq!(code(&result), "bad_arguments", "{arguments}: {result}");
        assert_eq!(told(&result)["denied"], false);
    }
    let result = gate.call("good__echo", json!({ "text": "fits", "times": 2 }));
    assert_eq!(text(&result), "fitsfits");
    gate.end();
    assert_eq!(world.events("tool_call").len(), 1);
    world.settled();
}

#[test]
fn unknown_tools_are_refused_alike() {
    let world = World::new();
    let mut gate = bound(&world);
    let names = [
        "good__nothing",
        "echo",
        "other__echo",
        "good__",
        "__echo",
        "good__echo ",
    ];
    for name in names {
        assert_eq!(
            code(&gate.call(name, json!({ "text": "x" }))),
            "unknown_tool",
            "{name}"
        );
    }
    gate.end();
    assert_eq!(world.events("call_refused").len(), names.len());
    world.settled();
}

#[test]
fn a_refused_plugin_is_not_there_and_its_dependents_are_not_either() {
    let world = World::new();
    let lines = format!(
        "required_capabilities: [\"read_files:{}/\"]",
        world.folder("kept")
    );
    let refused = Script {
        id: "refused",
        lines: &lines,
        ..Script::WELL
    }
    .put(&world);
    let dependent = Script {
        id: "dependent",
        lines: "dependencies: {refused: \"^1\"}",
        ..Script::WELL
    }
    .put(&world);
    let good = Script::WELL.put(&world);
    world.configure(&[&refused, &dependent, &good], "");
    let mut gate = world.serve(Family::Legacy, &[]);
    let tools = gate.tools();
    assert!(
        !tools.is_empty() && tools.iter().all(|name| name.starts_with("good__")),
        "{tools:?}"
    );
    assert_eq!(
        code(&gate.call("refused__echo", json!({ "text": "x" }))),
        "unknown_tool"
    );
    assert_eq!(
        code(&gate.call("dependent__echo", json!({ "text": "x" }))),
        "unknown_tool"
    );
    let words = gate.end();
    assert!(
        words.contains("`refused`") && words.contains("`dependent`"),
        "{words}"
    );
    let entries = world.settled();
    let of = |id: &str, wanted: &str| {
        entries
            .iter()
            .any(|entry| kind(entry) == wanted && entry["entry"]["subject"]["plugin"] == id)
    };
    assert!(of("refused", "plugin_refused") && of("dependent", "plugin_refused"));
    assert!(!of("refused", "token_minted") && !of("refused", "plugin_start"));
    assert!(!of("dependent", "token_minted") && !of("dependent", "plugin_start"));
}

#[test]
fn a_plugin_without_an_optional_capability_is_loaded_reduced() {
    let world = World::new();
    let lines = format!(
        "optional_capabilities: [\"read_files:{}/\"]\ntools: {{read: {{needs: [read_files]}}}}",
        world.folder("kept")
    );
    let folder = Script {
        lines: &lines,
        ..Script::WELL
    }
    .put(&world);
    world.configure(&[&folder], "");
    let mut gate = world.serve(Family::Modern, &[]);
    let tools = gate.tools();
    assert!(tools.contains(&"good__echo".to_owned()), "{tools:?}");
    assert!(!tools.contains(&"good__read".to_owned()), "{tools:?}");
    let words = gate.end();
    assert!(words.contains("`read` is not offered"), "{words}");
    world.settled();
}

#[test]
fn a_call_that_policy_forbids_is_refused_and_not_listed() {
    let world = World::new();
    let policy = r#"@id("no-env") @reason("Not that one.")
        forbid (principal, action == Action::"call", resource == Tool::"good/env");"#;
    world.configure(&[&Script::WELL.put(&world)], policy);
    let mut gate = world.serve(Family::Legacy, &[]);
    assert!(!gate.tools().contains(&"good__env".to_owned()));
    let result = gate.call("good__env", json!({}));
    assert_eq!(code(&result), "policy_denied", "{result}");
    let shown = result.to_string();
    assert!(
        !shown.contains("no-env") && !shown.contains("Not that one"),
        "an agent sees no policy text: {shown}"
    );
    gate.end();
    let refused = world.events("call_refused");
    assert_eq!(
        refused[0]["policies"],
        json!(["no-env"]),
        "its operator does"
    );
    world.settled();
}
