//! Policies change while a gate serves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Family, Gate, Script, World, code, text};

const QUIET: &str = "@id(\"quiet\") forbid (principal, action == Action::\"call\", resource == Tool::\"good/echo\");\n";

fn echo(gate: &mut Gate) -> Value {
    gate.call("good__echo", json!({ "text": "hi" }))
}

/// The event of a change of policy with this in its reason, once there is one.
fn change(world: &World, reason: &str) -> Value {
    for _ in 0..300 {
        let told = |event: &Value| event["reason"].as_str().unwrap().contains(reason);
        if let Some(event) = world.events("policy_change").into_iter().rfind(told) {
            return event;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no change of policy is recorded with `{reason}`");
}

#[test]
fn policies_that_change_are_in_force_at_once_and_broken_ones_change_nothing() {
    let world = World::new();
    let docs = world.folder("docs");
    let lines = format!("optional_capabilities: [\"read_files:{docs}/\"]");
    let good = Script {
        lines: &lines,
        ..Script::WELL
    }
    .put(&world);
    world.configure(&[&good], "");
    let mut gate = world.serve(Family::Legacy, &[]);
    assert_eq!(text(&echo(&mut gate)), "hi");

    world.file("policies/test.cedar", &world.files_policy());
    let gained = change(&world, "good gains read_files:");
    assert_eq!(gained["loaded"], true);
    while gate.next()["method"] != "notifications/tools/list_changed" {}
    assert_eq!(text(&echo(&mut gate)), "hi");

    world.file("policies/test.cedar", &format!("{QUIET} permit (principal"));
    let broken = change(&world, "test.cedar");
    assert_eq!(broken["loaded"], false);
    assert_eq!(
        text(&echo(&mut gate)),
        "hi",
        "a broken file changes nothing"
    );

    world.file("policies/test.cedar", QUIET);
    change(&world, "good loses read_files:");
    while gate.next()["method"] != "notifications/tools/list_changed" {}
    assert_eq!(code(&echo(&mut gate)), "policy_denied");
    let words = gate.end();
    assert!(
        words.contains("are not taken; the old ones stay in force"),
        "{words}"
    );

    // The next gate finds what was in force last.
    let before = world.events("policy_change").len();
    world.serve(Family::Modern, &[]).end();
    assert_eq!(world.events("policy_change").len(), before);
}

#[test]
fn manifests_and_facts_that_change_are_in_force_at_once_and_broken_ones_change_nothing() {
    let world = World::new();
    let docs = world.folder("docs");
    let lines = format!("optional_capabilities: [\"read_files:{docs}/\"]");
    let put = |lines: &str| {
        Script {
            lines,
            ..Script::WELL
        }
        .put(&world)
    };
    let good = put("");
    world.configure(&[&good], &world.files_policy());
    let mut gate = world.serve(Family::Legacy, &[]);
    assert_eq!(text(&echo(&mut gate)), "hi");

    put(&lines);
    let asks = change(&world, "good gains read_files:");
    let reason = asks["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("good is another plugin: it was 1.0.0 sha256:"),
        "{reason}"
    );
    while gate.next()["method"] != "notifications/tools/list_changed" {}
    assert_eq!(text(&echo(&mut gate)), "hi");

    put("required: [");
    let broken = change(&world, "plugin.yaml");
    assert_eq!(broken["loaded"], false);
    assert_eq!(
        text(&echo(&mut gate)),
        "hi",
        "a broken manifest changes nothing"
    );

    put("");
    change(&world, "good loses read_files:");
    let config =
        |text: &str| world.file("bailiwick.yaml", &format!("policies: [policies]\n{text}"));
    config("plugins: [good]\nenvironment: production\nwatch: acts");
    change(&world, "nobody gains or loses a capability");
    config("environment: production");
    change(&world, "good is ended");
    while gate.next()["method"] != "notifications/tools/list_changed" {}
    assert_eq!(code(&echo(&mut gate)), "unknown_tool");
    let words = gate.end();
    for part in [
        "are not taken; the old ones stay in force",
        "holds from the next start on",
    ] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn links_of_templates_are_loaded_recorded_and_followed() {
    const TEMPLATE: &str =
        "@id(\"quiet\") forbid (principal, action == Action::\"call\", resource == ?resource);";
    let link = |tool: &str| {
        json!([{ "template_id": "quiet", "link_id": "silence", "args": { "?resource": format!("Tool::\"good/{tool}\"") } }])
            .to_string()
    };
    let world = World::new();
    let good = Script::WELL.put(&world);
    world.configure(&[&good], TEMPLATE);
    let unlinked = world.run(&["check"]);
    assert_eq!(unlinked.status, 2, "nothing links it: {unlinked:?}");
    let config = world.read("bailiwick.yaml");
    world.file("bailiwick.yaml", &format!("{config}links: [links.json]\n"));
    world.file("links.json", &link("other"));
    assert_eq!(world.run(&["check"]).status, 0);
    let explained = |world: &World| {
        let args = [
            "policy", "explain", "--json", "--plugin", "good", "--call", "echo",
        ];
        let ended = world.run(&args);
        let told: Value = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        told["answer"].as_str().unwrap().to_owned()
    };
    assert_eq!(explained(&world), "grant");
    let mut gate = world.serve(Family::Legacy, &[]);
    assert_eq!(text(&echo(&mut gate)), "hi");
    let before = world.events("policy_change").len();

    world.file("links.json", "[");
    assert_eq!(change(&world, "links.json")["loaded"], false);
    assert_eq!(text(&echo(&mut gate)), "hi", "broken links change nothing");

    world.file("links.json", &link("echo"));
    let denied = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        code(&echo(&mut gate)) == "policy_denied"
    });
    assert!(denied, "another link is in force");
    assert_eq!(explained(&world), "deny");
    gate.end();
    assert_eq!(
        world.events("policy_change").len(),
        before + 2,
        "another link is another policy"
    );
    // What links steers the gate, so a plugin cannot write it, whatever policies permit.
    let asked = format!("write_files:{}", world.path("links.json"));
    let denied = world.run(&["policy", "explain", &asked, "--json"]);
    let told: Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!(told["answer"], "deny");
    let files = world.files_policy() + TEMPLATE;
    world.file("policies/test.cedar", &files);
    let denied = world.run(&["policy", "explain", &asked, "--json"]);
    let told: Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!(told["answer"], "deny", "{told}");
}
