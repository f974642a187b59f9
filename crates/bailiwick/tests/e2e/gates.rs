//! Several gates, no plugins, and configurations that are none.

use serde_json::json;

use crate::support::{Family, Script, World, code, kind, text};

#[test]
fn l2_empty_lists_serve_nothing() {
    for config in ["plugins: []\n", "# nothing\n", "environment: production\n"] {
        let world = World::new();
        world.file("bailiwick.yaml", config);
        let mut gate = world.serve(Family::Modern, &[]);
        assert!(gate.tools().is_empty(), "{config}");
        assert_eq!(
            code(&gate.call("anything", json!({}))),
            "unknown_tool",
            "{config}"
        );
        gate.end();
        let entries = world.settled();
        assert!(!entries.iter().any(|entry| kind(entry) == "plugin_start"));
    }
}

#[test]
fn there_is_something_to_serve_or_an_error() {
    let world = World::new();
    let ended = world.run(&["serve"]);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("bailiwick.yaml"), "{ended:?}");
    for (config, word) in [
        ("plugins: [gone]\n", "gone"),
        ("plugins:\n", "sequence"),
        ("pluginz: []\n", "pluginz"),
        ("plugins: []\nplugins: []\n", "duplicate"),
        ("policies: [gone]\n", "gone"),
    ] {
        world.file("bailiwick.yaml", config);
        let ended = world.run(&["serve"]);
        assert_eq!(ended.status, 2, "{config}: {ended:?}");
        assert!(ended.stderr.contains(word), "{config}: {ended:?}");
        assert_eq!(ended.stdout, "", "standard output is the protocol's");
    }
}

#[test]
fn l27_a_policy_that_is_mistyped_is_an_error_and_nothing_is_served() {
    let world = World::new();
    let folder = Script::WELL.put(&world);
    for policy in [
        "permit (principal, action == Action::\"reed_files\", resource);",
        "permit (principal, action, resource) when { resource.sensitivty == 1 };",
        "permit (principal, action",
    ] {
        world.configure(&[&folder], policy);
        let ended = world.run(&["serve"]);
        assert_eq!(ended.status, 2, "{policy}: {ended:?}");
        assert!(ended.stderr.contains("test.cedar"), "{policy}: {ended:?}");
        let told = world.events("policy_change");
        let told = told.last().unwrap();
        assert_eq!(told["loaded"], false, "{told}");
        assert!(
            told["reason"].as_str().unwrap().contains("test.cedar"),
            "{told}"
        );
    }
}

#[test]
fn several_gates_at_once_each_have_their_own_log() {
    let world = World::new();
    world.configure(&[&Script::WELL.put(&world)], "");
    let mut gates: Vec<_> = (0..3).map(|_| world.serve(Family::Modern, &[])).collect();
    for (number, gate) in gates.iter_mut().enumerate() {
        let said = format!("gate {number}");
        assert_eq!(
            text(&gate.call("good__echo", json!({ "text": said }))),
            said
        );
    }
    for gate in gates {
        gate.end();
    }
    for name in ["audit", "audit-1", "audit-2"] {
        let log = world.home().join(name);
        let log = log.to_str().unwrap();
        let verified = world.run(&["audit", "verify", "--log", log]);
        assert_eq!(verified.status, 0, "{name}: {verified:?}");
        let starts = world.run(&[
            "audit",
            "query",
            "--kind",
            "gate_start",
            "--json",
            "--log",
            log,
        ]);
        assert_eq!(starts.stdout.lines().count(), 1, "{name}");
    }
    // The next one continues the first log.
    let mut again = world.serve(Family::Legacy, &[]);
    again.tools();
    again.end();
    assert!(!world.home().join("audit-3").exists());
    assert_eq!(world.events("gate_start").len(), 4);
    world.nothing_runs();
}

#[test]
fn an_id_that_two_plugins_claim_names_neither() {
    let world = World::new();
    let first = Script::WELL.put(&world);
    let other = Script {
        id: "other",
        ..Script::WELL
    }
    .put(&world);
    let copied = std::process::Command::new("cp")
        .args(["-r", &first, "copy"])
        .current_dir(world.root())
        .status()
        .unwrap();
    assert!(copied.success());
    world.configure(&[&first, "copy", &other], "");
    let mut gate = world.serve(Family::Modern, &[]);
    let tools = gate.tools();
    assert!(
        !tools.is_empty() && tools.iter().all(|name| name.starts_with("other__")),
        "{tools:?}"
    );
    let words = gate.end();
    assert!(words.contains("claimed by 2 plugins"), "{words}");
    world.settled();
}
