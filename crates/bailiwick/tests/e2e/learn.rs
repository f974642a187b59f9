//! Learning: what real servers use becomes a manifest that lets them do the same again, and hardly more.

use bailiwick_capability::{Capability, Grant, Granted};
use bailiwick_gate::resolve::{SearchPath, resolve};
use bailiwick_testkit::real;
use bailiwick_testkit::sdk::{Outcome, Sdk, Session};
use serde_json::{Value, json};

use crate::support::{Family, Script, World, repository, text};

/// A real server, what it may be seen to use, what a person would have granted it, and what is asked of it.
struct Lesson {
    command: Vec<String>,
    bound: Vec<String>,
    by_hand: Vec<String>,
    env: Vec<(&'static str, String)>,
    calls: Vec<(&'static str, Value)>,
}

/// What learning came to.
struct Learnt {
    proposed: Vec<String>,
    before: Outcome,
    after: Outcome,
}

impl Lesson {
    fn session(&self, world: &World, args: &[&str]) -> Session {
        let mut session = world.command(args);
        for (name, value) in &self.env {
            session = session.env(name, value);
        }
        let calls = self.calls.iter();
        calls.fold(session, |session, (tool, arguments)| {
            session.call(tool, arguments.clone())
        })
    }

    /// Learns, and does the same again with nothing but what was learnt.
    fn learn(&self, world: &World) -> Learnt {
        let allow = self
            .bound
            .iter()
            .flat_map(|atom| ["--allow", atom.as_str()]);
        let command = self.command.iter().map(String::as_str);
        let words: Vec<&str> = ["learn", "--to", "plugin.yaml", "--json", "learnt.json"]
            .into_iter()
            .chain(allow)
            .chain(["--"])
            .chain(command)
            .collect();
        let before = self.session(world, &words).run(Sdk::TypeScript);
        let learnt: Value = serde_json::from_str(&world.read("learnt.json")).unwrap();
        let lines = learnt["proposed"].as_array().unwrap().iter();
        let proposed: Vec<String> = lines
            .map(|line| line["capability"].as_str().unwrap().to_owned())
            .collect();
        let before_denied = denied(world);
        let again: Vec<&str> = ["serve", "--manifest", "plugin.yaml"]
            .into_iter()
            .chain(proposed.iter().flat_map(|atom| ["--allow", atom.as_str()]))
            .collect();
        let after = self.session(world, &again).run(Sdk::TypeScript);
        let twice = [&before_denied[..], &before_denied[..]].concat();
        assert_eq!(
            denied(world),
            sorted(twice),
            "nothing is refused that was not before"
        );
        world.settled();
        Learnt {
            proposed,
            before,
            after,
        }
    }

    /// Learns and asserts that all goes as before, with hardly more than a person would have granted.
    fn assert_learnt(&self, world: &World) -> Vec<String> {
        let learnt = self.learn(world);
        for index in 0..self.calls.len() {
            let (before, after) = (&learnt.before, &learnt.after);
            assert!(!before.failed(index), "{before:?}");
            assert!(!after.failed(index), "{:?} {after:?}", learnt.proposed);
            assert_eq!(before.text(index), after.text(index));
        }
        let (found, by_hand) = (learnt.proposed.len(), self.by_hand.len());
        assert!(
            found * 10 <= by_hand * 12,
            "{:?} for {:?}",
            learnt.proposed,
            self.by_hand
        );
        let careful = Grant::new(self.by_hand.iter().map(|atom| here(atom)));
        for atom in &learnt.proposed {
            let wider = Grant::new([here(atom)]);
            assert!(
                careful.contains(&wider),
                "{atom} is outside {:?}",
                self.by_hand
            );
        }
        learnt.proposed
    }
}

/// An atom in terms of this machine, where programs have paths.
fn here(atom: &str) -> Granted {
    let asked: Capability = atom.parse().unwrap();
    let resolved = resolve(&asked, &SearchPath::new("/usr/local/bin:/usr/bin:/bin"));
    Granted::whole(resolved.unwrap_or_else(|error| panic!("{atom}: {error:?}")))
}

/// What was refused so far, without names that are made anew each time.
fn denied(world: &World) -> Vec<String> {
    let denied = world.events("operation_denied").into_iter();
    sorted(
        denied
            .map(|denied| format!("{} {}", denied["operation"], denied["target"]))
            .collect(),
    )
}

fn sorted(mut atoms: Vec<String>) -> Vec<String> {
    atoms.sort_unstable();
    atoms
}

#[test]
fn a_server_of_files() {
    let world = World::new();
    let docs = world.folder("docs");
    for name in ["a", "b", "c", "sub/d"] {
        world.folder("docs/sub");
        world.file(&format!("docs/{name}.txt"), name);
    }
    world.folder("docs/out");
    let mut command = real::npm("server-filesystem");
    command.push(docs.clone());
    let at = |name: &str| json!({ "path": format!("{docs}/{name}") });
    let lesson = Lesson {
        command,
        bound: vec![
            format!("read_files:{docs}/"),
            format!("write_files:{docs}/"),
        ],
        by_hand: vec![
            format!("read_files:{docs}/"),
            format!("write_files:{docs}/out/"),
        ],
        env: Vec::new(),
        calls: vec![
            ("read_text_file", at("a.txt")),
            ("read_text_file", at("b.txt")),
            ("list_directory", at("sub")),
            (
                "write_file",
                json!({ "path": format!("{docs}/out/new.txt"), "content": "new" }),
            ),
            (
                "edit_file",
                json!({ "path": format!("{docs}/out/new.txt"), "edits": [{ "oldText": "new", "newText": "old" }] }),
            ),
            (
                "write_file",
                json!({ "path": format!("{docs}/out/new.txt"), "content": "new" }),
            ),
            (
                "search_files",
                json!({ "path": docs, "pattern": "**/*.txt" }),
            ),
        ],
    };
    let proposed = lesson.assert_learnt(&world);
    assert_eq!(
        proposed,
        sorted(lesson.by_hand),
        "what a person would have written"
    );
}

#[test]
fn a_server_of_a_repository() {
    let world = World::new();
    let project = repository(&world, "project", "The first words");
    let mut command = real::pypi("mcp-server-git");
    command.extend(["--repository".to_owned(), project.clone()]);
    let lesson = Lesson {
        command,
        bound: vec![
            format!("read_files:{project}/"),
            "execute_code:git".to_owned(),
            "execute_code:/usr/bin/cat".to_owned(),
        ],
        by_hand: vec![
            format!("read_files:{project}/"),
            "execute_code:git".to_owned(),
        ],
        env: Vec::new(),
        calls: vec![
            ("git_log", json!({ "repo_path": project })),
            ("git_status", json!({ "repo_path": project })),
            ("git_diff_unstaged", json!({ "repo_path": project })),
        ],
    };
    let proposed = lesson.assert_learnt(&world);
    assert!(
        proposed.iter().any(|atom| atom.ends_with("/bin/git")),
        "{proposed:?}"
    );
    let written = world.read("plugin.yaml");
    assert!(
        written.contains("never used: execute_code:/usr/bin/cat"),
        "{written}"
    );
}

#[test]
fn a_server_that_remembers() {
    let world = World::new();
    let memory = world.folder("state/memory");
    let ada = json!({ "name": "Ada", "entityType": "person", "observations": ["counts"] });
    let lesson = Lesson {
        command: real::npm("server-memory"),
        bound: vec![
            format!("read_files:{}", world.path("state/")),
            format!("write_files:{}", world.path("state/")),
            "read_environment:MEMORY_FILE_PATH".to_owned(),
        ],
        by_hand: vec![
            format!("read_files:{memory}/"),
            format!("write_files:{memory}/"),
            "read_environment:MEMORY_FILE_PATH".to_owned(),
        ],
        env: vec![("MEMORY_FILE_PATH", format!("{memory}/graph.jsonl"))],
        calls: vec![
            ("create_entities", json!({ "entities": [ada] })),
            ("delete_entities", json!({ "entityNames": ["Ada"] })),
            ("read_graph", json!({})),
        ],
    };
    let proposed = lesson.assert_learnt(&world);
    assert!(
        proposed.iter().all(|atom| !atom.ends_with("/state/")),
        "{proposed:?}"
    );
}

#[test]
fn servers_that_need_nothing() {
    let mut time = real::pypi("mcp-server-time");
    time.extend(["--local-timezone".to_owned(), "Etc/UTC".to_owned()]);
    let convert =
        json!({ "source_timezone": "Etc/UTC", "time": "12:00", "target_timezone": "Asia/Tokyo" });
    for (command, calls) in [
        (time, vec![("convert_time", convert)]),
        (
            real::npm("server-everything"),
            vec![("echo", json!({ "message": "back" }))],
        ),
    ] {
        let world = World::new();
        let lesson = Lesson {
            command,
            bound: vec![format!("read_files:{}", world.path(""))],
            by_hand: Vec::new(),
            env: Vec::new(),
            calls,
        };
        // The day is in one answer; that there is one is enough.
        let learnt = lesson.learn(&world);
        assert!(!learnt.after.failed(0), "{:?}", learnt.after);
        assert_eq!(learnt.proposed, Vec::<String>::new());
    }
}

#[test]
fn learning_widens_nothing() {
    let world = World::new();
    let secret = world.file("secret/key", "a secret");
    let script = Script::WELL.put(&world);
    let bound = format!("read_files:{}", world.path("docs/"));
    world.folder("docs");
    let plugin = world.path(&format!("{script}/plugin.py"));
    let command = [
        "learn",
        "--to",
        "l.yaml",
        "--allow",
        &bound,
        "--",
        crate::support::PYTHON,
        &plugin,
        "well",
    ];
    let mut gate = crate::support::Gate::start(world.bailiwick(&command), Family::Legacy);
    let result = gate.call("read", json!({ "path": secret }));
    assert!(text(&result).contains("No such file"), "{result}");
    gate.end();
    let again = world.run(&command);
    assert_eq!(again.status, 2, "what is there is not replaced: {again:?}");
    let learnt = world.read("l.yaml");
    assert!(!learnt.contains(&secret), "{learnt}");
    assert!(learnt.contains(&format!("never used: {bound}")), "{learnt}");
    assert!(!world.events("operation_denied").is_empty());
    world.settled();
}

#[test]
fn what_was_granted_and_never_used_is_told() {
    let world = World::new();
    let plugin = Script {
        lines: &format!(
            "required_capabilities: [\"read_files:{0}\"]\noptional_capabilities: [\"write_files:{0}\", clock]",
            world.path("docs/")
        ),
        ..Script::WELL
    };
    let note = world.folder("docs") + "/note";
    world.file("docs/note", "noted");
    let folder = plugin.put(&world);
    let clock = r#"@id("clock") permit (principal, action == Action::"clock", resource);"#;
    world.configure(&[&folder], &(world.files_policy() + clock));
    let uses = |world: &World| {
        let log = world.home().join("audit");
        let ended = world.run(&[
            "check",
            "--unused",
            "--against",
            log.to_str().unwrap(),
            "--json",
        ]);
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        let atoms = told["plugins"][0]["atoms"].as_array().unwrap().clone();
        let uses: Vec<String> = atoms
            .iter()
            .map(|atom| atom["use"].as_str().unwrap().to_owned())
            .collect();
        (ended.status, uses)
    };
    let mut gate = world.serve(Family::Legacy, &[]);
    gate.call("good__read", json!({ "path": note }));
    gate.end();
    let unknown = ["not_watched", "not_watched", "no_trace"].map(str::to_owned);
    assert_eq!(
        uses(&world),
        (0, unknown.to_vec()),
        "what nobody watched is not called unused"
    );
    let mut gate = world.serve(Family::Legacy, &["--learn", "proposals"]);
    let result = gate.call("good__read", json!({ "path": note }));
    assert_eq!(text(&result), "noted");
    gate.end();
    let known = ["used", "unused", "no_trace"].map(str::to_owned);
    assert_eq!(uses(&world), (1, known.to_vec()));
    let proposal = world.read("proposals/good.yaml");
    let line = format!("ran:\n  # {note}\n  - \"read_files:{note}\"\n");
    assert!(proposal.contains(&line), "{proposal}");
    assert!(
        proposal.contains("optional_capabilities:\n  # kept"),
        "{proposal}"
    );
    world.settled();
    assert!(
        !world
            .run(&["check", "--unused", "--against", "nowhere"])
            .stderr
            .is_empty()
    );
}
