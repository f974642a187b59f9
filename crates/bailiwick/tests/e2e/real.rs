//! Unmodified third-party servers, driven by the official SDKs through the gate.

use bailiwick_testkit::real;
use bailiwick_testkit::sdk::{Outcome, Sdk};
use serde_json::{Value, json};

use crate::support::{World, kind, real_plugin, repository};

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// `--allow` for each, then the command.
fn allowing<'a>(atoms: &'a [String], command: &'a [String]) -> Vec<&'a str> {
    let allow = atoms.iter().flat_map(|atom| ["--allow", atom.as_str()]);
    allow.chain(["--"]).chain(words(command)).collect()
}

fn fine(outcome: &Outcome, index: usize) -> String {
    assert!(!outcome.failed(index), "call {index}: {outcome:?}");
    outcome.text(index)
}

#[test]
fn files_are_read_and_written_where_that_was_allowed() {
    for sdk in Sdk::ALL {
        let world = World::new();
        let docs = world.folder("docs");
        world.file("docs/a.txt", "what it says");
        world.folder("docs/out");
        let atoms = [
            format!("read_files:{docs}/"),
            format!("write_files:{docs}/out/"),
        ];
        let mut command = real::npm("server-filesystem");
        command.push(docs.clone());
        let outcome = world
            .session(&allowing(&atoms, &command))
            .call("read_text_file", json!({ "path": format!("{docs}/a.txt") }))
            .call(
                "write_file",
                json!({ "path": format!("{docs}/out/b.txt"), "content": "written" }),
            )
            .call(
                "write_file",
                json!({ "path": format!("{docs}/c.txt"), "content": "written" }),
            )
            .call("list_directory", json!({ "path": docs }))
            .run(sdk);
        assert_eq!(outcome.server["name"], "bailiwick");
        let revision = outcome.protocol.clone().unwrap();
        assert_eq!(revision == "2026-07-28", sdk == Sdk::Python, "{revision}");
        assert_eq!(fine(&outcome, 0), "what it says");
        fine(&outcome, 1);
        assert_eq!(world.read("docs/out/b.txt"), "written");
        assert!(outcome.failed(2), "the wall holds it: {outcome:?}");
        assert!(!std::path::Path::new(&world.path("docs/c.txt")).exists());
        assert!(fine(&outcome, 3).contains("[FILE] a.txt"));
        let entries = world.settled();
        let calls = entries.iter().filter(|entry| kind(entry) == "tool_call");
        assert_eq!(calls.count(), 4);
    }
}

#[test]
fn everything_answers_as_it_does_bare() {
    let command = real::npm("server-everything");
    let ask = |session: bailiwick_testkit::sdk::Session| {
        session
            .call("echo", json!({ "message": "back" }))
            .call("get-sum", json!({ "a": 2, "b": 40 }))
            .call("get-structured-content", json!({ "location": "Chicago" }))
            .call("get-tiny-image", json!({}))
            .call("get-resource-links", json!({ "count": 2 }))
            .call(
                "get-annotated-message",
                json!({ "messageType": "success", "includeImage": true }),
            )
    };
    let bare = ask(bailiwick_testkit::sdk::Session::new(command.clone()));
    for sdk in [Sdk::TypeScript, Sdk::PythonLegacy] {
        let world = World::new();
        let inside = ask(world.session(&allowing(&[], &command))).run(sdk);
        let bare = bare.run(sdk);
        assert_eq!(fine(&inside, 0), "Echo: back");
        assert!(fine(&inside, 1).contains("42"), "{inside:?}");
        let plain = |outcome: &Outcome| format!("{:?}", outcome.results);
        assert_eq!(plain(&inside), plain(&bare), "nothing is lost on the way");
        assert_eq!(schemas(&inside), schemas(&bare));
        world.settled();
    }
}

fn schemas(outcome: &Outcome) -> Vec<Value> {
    let mut tools = outcome.tools.clone();
    // How a tool may run as a task is left to the server's own session, which the gate does not hand on.
    for tool in &mut tools {
        tool.as_object_mut().unwrap().remove("execution");
    }
    tools.sort_by_key(|tool| tool["name"].as_str().unwrap().to_owned());
    tools
}

#[test]
fn a_graph_is_kept_in_the_folder_that_was_granted() {
    let world = World::new();
    world.folder("memory");
    let plugin = real_plugin(&world, "memory");
    let variable = r#"@id("variable") permit (principal, action == Action::"read_environment",
        resource == Variable::"MEMORY_FILE_PATH");"#;
    world.configure(&[&plugin], &(world.files_policy() + variable));
    let ada = json!({ "name": "Ada", "entityType": "person", "observations": ["counts"] });
    let first = world
        .session(&[])
        .call("memory__create_entities", json!({ "entities": [ada] }))
        .run(Sdk::TypeScript);
    assert!(fine(&first, 0).contains("Ada"), "{first:?}");
    assert!(world.read("memory/graph.jsonl").contains("counts"));
    let second = world
        .session(&[])
        .call("memory__read_graph", json!({}))
        .run(Sdk::Python);
    assert!(
        fine(&second, 0).contains("counts"),
        "it was kept: {second:?}"
    );
    world.settled();
}

#[test]
fn a_repository_tells_its_history() {
    let world = World::new();
    let project = repository(&world, "project", "The first words");
    let atoms = [
        format!("read_files:{project}/"),
        "execute_code:git".to_owned(),
    ];
    let mut command = real::pypi("mcp-server-git");
    command.extend(["--repository".to_owned(), project.clone()]);
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let outcome = world
            .session(&allowing(&atoms, &command))
            .call("git_log", json!({ "repo_path": project }))
            .call("git_status", json!({ "repo_path": project }))
            .call(
                "git_create_branch",
                json!({ "repo_path": project, "branch_name": "mine" }),
            )
            .run(sdk);
        assert!(fine(&outcome, 0).contains("The first words"), "{outcome:?}");
        assert!(
            fine(&outcome, 1).contains("nothing to commit"),
            "{outcome:?}"
        );
        assert!(outcome.failed(2), "reading was granted alone: {outcome:?}");
    }
    world.settled();
}

#[test]
fn time_is_told_and_converted() {
    let world = World::new();
    let mut command = real::pypi("mcp-server-time");
    command.extend(["--local-timezone".to_owned(), "Etc/UTC".to_owned()]);
    let outcome = world
        .session(&allowing(&[], &command))
        .call(
            "convert_time",
            json!({ "source_timezone": "Etc/UTC", "time": "12:00", "target_timezone": "Asia/Tokyo" }),
        )
        .call("get_current_time", json!({ "timezone": "Nowhere/At_All" }))
        .run(Sdk::Python);
    assert!(fine(&outcome, 0).contains("21:00:00+09:00"), "{outcome:?}");
    assert!(outcome.failed(1), "the server's own error: {outcome:?}");
    world.settled();
}

const ALL: [&str; 5] = ["everything", "filesystem", "git", "memory", "time"];

/// The policies that a person would write for the five.
fn policies(world: &World) -> String {
    world.files_policy()
        + r#"@id("git") @reason("The git server is a front of git.")
        permit (principal in Plugin::"git", action == Action::"execute_code", resource) when {
          resource in Program::"/usr/bin/git" || resource in Program::"/usr/local/bin/git"
        };
        @id("memory") @reason("It has to be told where its file is.")
        permit (principal in Plugin::"memory", action == Action::"read_environment",
          resource == Variable::"MEMORY_FILE_PATH");"#
}

#[test]
fn five_plugins_stand_behind_one_endpoint() {
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let world = World::new();
        world.file("notes/a.txt", "noted");
        world.folder("notes/drafts");
        world.folder("memory");
        repository(&world, "project", "The first words");
        for id in ALL {
            real_plugin(&world, id);
        }
        world.configure(&["plugins"], &policies(&world));
        let project = world.path("project");
        let entity = json!({ "name": "A", "entityType": "b", "observations": [] });
        let outcome = world
            .session(&[])
            .call("everything__echo", json!({ "message": "one" }))
            .call(
                "filesystem__read_text_file",
                json!({ "path": world.path("notes/a.txt") }),
            )
            .call("git__git_log", json!({ "repo_path": project }))
            .call("memory__create_entities", json!({ "entities": [entity] }))
            .call("time__get_current_time", json!({ "timezone": "Etc/UTC" }))
            .call(
                "filesystem__read_text_file",
                json!({ "path": world.path("memory/graph.jsonl") }),
            )
            .run(sdk);
        let names = outcome.tool_names();
        for id in ALL {
            let prefix = format!("{id}__");
            assert!(names.iter().any(|name| name.starts_with(&prefix)), "{id}");
        }
        assert!(names.iter().all(|name| name.contains("__")), "{names:?}");
        assert!(fine(&outcome, 0).contains("one"));
        assert_eq!(fine(&outcome, 1), "noted");
        assert!(fine(&outcome, 2).contains("The first words"));
        assert!(fine(&outcome, 3).contains('A'));
        assert!(fine(&outcome, 4).contains("Etc/UTC"));
        assert!(outcome.failed(5), "one plugin's grant is not another's");
        assert!(
            outcome.text(5).contains("decided by policy"),
            "the SDK hands the refusal to the agent: {}",
            outcome.text(5)
        );
        let entries = world.settled();
        for id in ALL {
            let of = |entry: &&Value| entry["entry"]["subject"]["plugin"] == id;
            assert!(
                entries.iter().filter(of).any(|e| kind(e) == "tool_result"),
                "{id}"
            );
        }
    }
}

#[test]
fn a_tool_whose_capability_was_not_granted_is_not_offered() {
    let world = World::new();
    world.file("notes/a.txt", "noted");
    world.folder("notes/drafts");
    let plugin = real_plugin(&world, "filesystem");
    let reading = format!(
        "@id(\"reading\") permit (principal, action == Action::\"read_files\", resource in Dir::\"{}\");",
        world.path("notes")
    );
    world.configure(&[&plugin], &reading);
    let outcome = world
        .session(&[])
        .call(
            "filesystem__write_file",
            json!({ "path": world.path("notes/drafts/x"), "content": "x" }),
        )
        .run(Sdk::TypeScript);
    let names = outcome.tool_names();
    assert!(names.contains(&"filesystem__read_text_file"), "{names:?}");
    for hidden in ["write_file", "edit_file", "move_file", "create_directory"] {
        assert!(!names.contains(&format!("filesystem__{hidden}").as_str()));
    }
    assert!(outcome.failed(0));
    assert!(!std::path::Path::new(&world.path("notes/drafts/x")).exists());
    let refused = world.events("call_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    world.settled();
}
