//! `bailiwick check`: what a person, and a machine, is told before anything runs.

use serde_json::{Value, json};

use crate::support::{Ended, Script, World, real_plugin};

fn checked(ended: &Ended) -> Vec<Value> {
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    report["plugins"].as_array().unwrap().clone()
}

fn put(world: &World, lines: &str) -> String {
    Script {
        lines,
        ..Script::WELL
    }
    .put(world)
}

#[test]
fn what_is_granted_whole_is_said_with_its_policy_and_its_wall() {
    let world = World::new();
    let folder = world.folder("in");
    let plugin = put(
        &world,
        &format!("required_capabilities: [\"read_files:{folder}/\", clock]"),
    );
    world.configure(&[&plugin], &world.files_policy());
    let shown = world.run(&["check"]);
    assert_eq!(shown.status, 0, "{shown:?}");
    for part in [
        "good 1.0.0",
        "read_files",
        "test-files",
        "Landlock",
        "It would be loaded.",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let ended = world.run(&["check", "--json"]);
    assert_eq!(ended.status, 0, "{ended:?}");
    let plugins = checked(&ended);
    assert_eq!(plugins[0]["id"], "good");
    assert_eq!(plugins[0]["loadable"], true);
    let atom = &plugins[0]["atoms"][0];
    assert_eq!(atom["asked"], format!("read_files:{folder}/"));
    assert_eq!(atom["outcome"], "granted");
    assert_eq!(atom["necessity"], "required");
    assert_eq!(atom["policies"][0]["id"], "test-files");
    assert_eq!(atom["policies"][0]["reason"], "The test's own folder.");
    assert_eq!(atom["enforcement"][0]["held"], true);
    assert_eq!(atom["shortfall"], json!([]));
}

#[test]
fn what_is_granted_in_part_names_the_part() {
    let world = World::new();
    world.folder("in/public");
    world.folder("in/private");
    let plugin = put(
        &world,
        &format!(
            "required_capabilities: [\"read_files:{}/\"]",
            world.path("in")
        ),
    );
    let policy = format!(
        "@id(\"public\") @reason(\"This part is for everyone.\")\n\
         permit (principal, action == Action::\"read_files\", resource in Dir::\"{}\");",
        world.path("in/public")
    );
    world.configure(&[&plugin], &policy);
    let ended = world.run(&["check", "--json"]);
    assert_eq!(ended.status, 0, "a part is enough to load: {ended:?}");
    let plugins = checked(&ended);
    let atom = &plugins[0]["atoms"][0];
    assert_eq!(atom["outcome"], "partial", "{atom}");
    let part = format!("read_files:{}/", world.path("in/public"));
    assert_eq!(atom["granted"], json!([part]));
    assert!(!atom["shortfall"].as_array().unwrap().is_empty());
    let shown = world.run(&["check"]);
    assert!(shown.stdout.contains("in/public/"), "{}", shown.stdout);
    assert!(shown.stdout.contains("reduced"), "{}", shown.stdout);
}

#[test]
fn what_is_refused_is_1_and_says_why() {
    let world = World::new();
    let plugin = put(&world, "required_capabilities: [\"write_files:/etc/\"]");
    let ended = world.run(&["check", &plugin]);
    assert_eq!(ended.status, 1, "{ended:?}");
    for part in [
        "would not be loaded",
        "no-taking-over",
        "changes what other programs run",
    ] {
        let flat = ended
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(flat.contains(part), "{part}: {}", ended.stdout);
    }
    let ended = world.run(&["check", &plugin, "--json"]);
    assert_eq!(ended.status, 1);
    let plugins = checked(&ended);
    assert_eq!(plugins[0]["loadable"], false);
    assert_eq!(plugins[0]["atoms"][0]["outcome"], "refused");
    assert_eq!(plugins[0]["atoms"][0]["policies"][0]["effect"], "forbid");
}

#[test]
fn what_means_nothing_on_this_machine_points_at_its_line() {
    let world = World::new();
    let gone = world.path("no/such/folder");
    let plugin = put(
        &world,
        &format!("required_capabilities:\n  - clock\n  - read_files:{gone}/"),
    );
    let ended = world.run(&["check", &plugin]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(
        ended.stdout.contains("cannot be resolved"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("plugin.yaml:5:"),
        "its line: {}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("create it"),
        "how to mend it: {}",
        ended.stdout
    );
    let ended = world.run(&["check", &plugin, "--json"]);
    let plugins = checked(&ended);
    assert_eq!(plugins[0]["atoms"][1]["resolved"], Value::Null);
    assert_eq!(plugins[0]["atoms"][1]["outcome"], "refused");
}

#[test]
fn a_manifest_that_is_none_is_2_and_points_at_its_line() {
    let world = World::new();
    for (text, word) in [
        (
            "id: a\nversion: 1.0.0\nrequired_capabilities: [read_everything]\nruntime: {command: [x]}\n",
            "3:25",
        ),
        (
            "id: a\nversion: 1.0.0\nrequired_capabilities: [read_files:in]\nruntime: {command: [x]}\n",
            "3:25",
        ),
        ("id: a\nversion: 1.0.0\ncommand: [x]\n", "3:1"),
    ] {
        let manifest = world.file("broken/plugin.yaml", text);
        let ended = world.run(&["check", &manifest]);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        assert!(ended.stderr.contains("help:"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn there_is_something_to_check_or_2() {
    let world = World::new();
    assert_eq!(world.run(&["check"]).status, 2);
    let ended = world.run(&["check", "nowhere"]);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("nowhere"), "{ended:?}");
}

#[test]
fn checking_leaves_no_trace() {
    let world = World::new();
    let plugin = put(&world, "required_capabilities: [clock]");
    std::fs::remove_dir(world.home()).unwrap();
    assert_eq!(world.run(&["check", &plugin]).status, 0);
    assert!(!world.home().exists(), "no keys, no log");
}

#[test]
fn the_real_servers_manifests_are_understood() {
    let world = World::new();
    world.folder("notes/drafts");
    world.folder("project");
    world.folder("memory");
    for id in ["everything", "filesystem", "git", "memory", "time"] {
        real_plugin(&world, id);
    }
    let ended = world.run(&["check", "plugins", "--json"]);
    assert_eq!(ended.status, 1, "some are refused by default: {ended:?}");
    let loadable: Vec<String> = checked(&ended)
        .iter()
        .filter(|plugin| plugin["loadable"] == true)
        .map(|plugin| plugin["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(loadable, ["everything", "time"]);
}

#[test]
fn a_group_of_the_operating_system_decides() {
    let world = World::new();
    let folder = world.folder("in");
    let plugin = put(
        &world,
        &format!("required_capabilities: [\"read_files:{folder}/\"]"),
    );
    let id = std::process::Command::new("id")
        .arg("-gn")
        .output()
        .unwrap();
    let own = String::from_utf8(id.stdout).unwrap();
    for (group, status) in [(own.trim(), 0), ("nobody-is-in-this", 1)] {
        let policy = format!(
            "@id(\"group\") permit (principal in Group::\"{group}\", action == Action::\"read_files\", resource in Dir::\"{folder}\");"
        );
        world.configure(&[&plugin], &policy);
        let ended = world.run(&["check", "--json"]);
        assert_eq!(ended.status, status, "{group}: {ended:?}");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        let groups = told["user"]["groups"].as_array().unwrap();
        assert!(groups.contains(&json!(own.trim())), "{told}");
    }
}

#[test]
fn office_hours_are_kept_in_the_configured_zone() {
    let world = World::new();
    let plugin = put(&world, "required_capabilities: [clock]");
    let ahead = |zone: &str| {
        world.file(
            "bailiwick.yaml",
            &format!("plugins: [{plugin}]\n{zone}policies: []\n"),
        );
        let mut command = world.bailiwick(&["check", "--json"]);
        // Whoever starts the gate does not say what time it is.
        command.env("TZ", "Pacific/Auckland");
        let ended = crate::support::run(command, "");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        (told["utc_offset"].as_i64(), ended.stderr)
    };
    let (machine, _) = ahead("");
    let bare = std::process::Command::new("date")
        .arg("+%z")
        .env_remove("TZ")
        .output()
        .unwrap();
    let shown: i64 = String::from_utf8(bare.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(machine, Some((shown / 100 * 60 + shown % 100) * 60));
    assert_eq!(ahead("time_zone: Asia/Tokyo\n").0, Some(9 * 3600));
    let (none, error) = ahead("time_zone: Nowhere/At_All\n");
    assert_eq!(none, None);
    assert!(
        error.contains("time_zone: `Nowhere/At_All` is unknown"),
        "{error}"
    );
}

/// What `check` says of each capability of the plugin `good`, and what `policy explain` does.
fn answers(world: &World, who: &[&str]) -> Vec<(String, String, String)> {
    let plugins = checked(&world.run(&["check", "--json"]));
    let atoms = plugins[0]["atoms"].as_array().unwrap();
    let answer = |atom: &Value| {
        let asked = atom["asked"].as_str().unwrap();
        let args = ["policy", "explain", "--json", asked];
        let ended = world.run(&[&args[..], who].concat());
        let explained: Value = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        let word = match atom["outcome"].as_str().unwrap() {
            "granted" => "grant",
            "refused" => "deny",
            other => other,
        };
        (
            asked.to_owned(),
            word.to_owned(),
            explained["answer"].as_str().unwrap().to_owned(),
        )
    };
    atoms.iter().map(answer).collect()
}

#[test]
fn explain_answers_as_check_does() {
    let world = World::new();
    let real = world.file("real/file", "x");
    let link = world.path("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let wanted = [
        "clock",
        "random",
        "read_environment:DIGEST",
        "read_environment:MORNING",
        "read_environment:EVENING",
        "read_environment:AGENT",
        "read_environment:DEPARTMENT",
        "read_environment:LABEL",
        &format!("read_files:{link}"),
        &format!("read_files:{}", world.path("policies/test.cedar")),
    ];
    let lines: Vec<String> = wanted.iter().map(|atom| format!("\"{atom}\"")).collect();
    let plugin = put(
        &world,
        &format!("optional_capabilities: [{}]", lines.join(", ")),
    );
    let variable = |name: &str, when: &str| {
        format!(
            "permit (principal, action == Action::\"read_environment\", resource == Variable::\"{name}\") when {{ {when} }};\n"
        )
    };
    let policy = [
        "permit (principal, action == Action::\"clock\", resource) when { context.machine.contains(Machine::\"native\") };\n".to_owned(),
        "permit (principal, action == Action::\"random\", resource) when { principal.plugin.version == \"1.0.0\" };\n".to_owned(),
        variable("DIGEST", "principal.plugin.digest like \"sha256:*\""),
        // Twelve hours ahead, one of the two is another one than in UTC.
        variable("MORNING", "context.local.hour < 12"),
        variable("EVENING", "context.local.hour >= 12"),
        variable("AGENT", "principal.agent.version == \"2.1\""),
        variable("DEPARTMENT", "principal.user has department && principal.user.department == \"hr\""),
        variable("LABEL", "context.labels.contains(\"q3\")"),
        format!("permit (principal, action == Action::\"read_files\", resource == File::\"{real}\");\n"),
        // What steers us is labelled so by itself.
        "permit (principal, action == Action::\"read_files\", resource) when { resource.sensitivity == Sensitivity::\"control\" };\n".to_owned(),
    ].concat();
    world.configure(&[&plugin], &policy);
    let config = world.read("bailiwick.yaml");
    world.file(
        "bailiwick.yaml",
        &format!("{config}default_policies: false\ntime_zone: Etc/GMT-12\n"),
    );
    let agreed = answers(&world, &["--plugin", "good"]);
    assert_eq!(agreed.len(), wanted.len());
    for (asked, check, explain) in &agreed {
        assert_eq!(check, explain, "{asked}");
    }
    let granted = agreed.iter().filter(|(_, check, _)| check == "grant");
    assert_eq!(
        granted.count(),
        6,
        "all but agent, department, label and one half of the day: {agreed:?}"
    );
    let args = [
        "--plugin",
        "good",
        "--agent",
        "claude/2.1",
        "--department",
        "hr",
        "--label",
        "q3",
        "--machine",
        "seccomp",
    ];
    let other = answers(&world, &args);
    let explained = |name: &str| {
        other
            .iter()
            .find(|(asked, ..)| asked.ends_with(name))
            .unwrap()
            .2
            .as_str()
    };
    for name in ["AGENT", "DEPARTMENT", "LABEL"] {
        assert_eq!(explained(name), "grant", "{name}");
    }
    assert_eq!(explained("clock"), "deny", "it is another machine");
}
