//! People answer from another terminal; the agent cannot.

use std::time::Duration;

use bailiwick_testkit::sdk::{Sdk, Session};
use serde_json::{Value, json};

use crate::support::{Ended, Family, Gate, Script, World, code, index_of, kind, run, text, within};

const ASK: &str = r#"@id("echoes") @ask @reason("Echoes are heard.")
permit (principal, action == Action::"call", resource == Tool::"good/echo");"#;

fn world(policy: &str) -> World {
    let world = World::new();
    let good = Script::WELL.put(&world);
    world.configure(&[&good], policy);
    world
}

/// Runs a command that nobody of ours started, in a session of its own, as on another terminal.
fn elsewhere(world: &World, args: &[&str]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    let script = "(while kill -0 $$ 2>/dev/null; do sleep 0.01; done
        setsid -w \"$@\" >\"$OUT/stdout\" 2>\"$OUT/stderr\"; echo $? >\"$OUT/rc.new\"; mv \"$OUT/rc.new\" \"$OUT/rc\") &";
    let mut shell = within(&["sh", "-c", script, "sh"], world.bailiwick(args));
    assert!(shell.env("OUT", dir.path()).status().unwrap().success());
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name));
    let status = loop {
        match read("rc") {
            Ok(status) => break status.trim().parse().unwrap(),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Ended {
        status,
        stdout: read("stdout").unwrap(),
        stderr: read("stderr").unwrap(),
    }
}

/// The question that waits, once one does.
fn question(world: &World) -> Value {
    for _ in 0..1500 {
        let listed = elsewhere(world, &["approvals", "--json"]);
        assert_eq!(listed.status, 0, "{listed:?}");
        if let Some(line) = listed.stdout.lines().next() {
            return serde_json::from_str(line).unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody was asked");
}

fn id(question: &Value) -> &str {
    question["id"].as_str().unwrap()
}

/// Calls, and has the person answer.
fn answered(world: &World, gate: &mut Gate, choice: &str) -> Value {
    let call = gate.send_call("good__echo", json!({ "text": "ho" }));
    let question = question(world);
    let ended = elsewhere(world, &["approvals", "answer", id(&question), choice]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "answered\n"),
        "{ended:?}"
    );
    gate.result(call)
}

#[test]
fn a_person_answers_and_the_agent_cannot() {
    for wrapper in [
        &[][..],
        &["sh", "-c", "\"$@\"; true", "sh"],
        // In a session of its own.
        &["sh", "-c", "setsid -w \"$@\"; true", "sh"],
    ] {
        answers(wrapper);
    }
}

/// A gate that an agent starts through `wrapper`.
fn answers(wrapper: &[&str]) {
    let world = world(ASK);
    let mut gate = world.serve_within(wrapper, Family::Modern);
    let call = gate.send_call("good__echo", json!({ "text": "hi\u{202e}\u{1b}[2J" }));
    let question = question(&world);
    let shown = elsewhere(&world, &["approvals"]).stdout;
    for part in [
        "may its tool `echo` be called",
        "Echoes are heard.",
        "\\u{202e}",
        "BEWARE",
        id(&question).get(..8).unwrap(),
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains(['\u{1b}', '\u{202e}']));
    // This process started the gate, as an agent does.
    for args in [
        &["approvals"][..],
        &["approvals", "answer", id(&question), "once"],
    ] {
        let apart = within(&["setsid", "-w"], world.bailiwick(args));
        for ended in [world.run(args), run(apart, "")] {
            assert_ne!(ended.status, 0, "{wrapper:?}: {ended:?}");
            assert!(ended.stderr.contains("use another terminal"), "{ended:?}");
        }
    }
    let ended = elsewhere(
        &world,
        &["approvals", "answer", &id(&question)[..6], "once"],
    );
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_ne!(gate.result(call)["isError"], true);
    gate.end();
    assert_eq!(
        elsewhere(&world, &["approvals"]).stdout,
        "nothing waits for an answer\n"
    );
    let entries = world.settled();
    let yes = index_of(&entries, 0, |entry| kind(entry) == "approval").unwrap();
    let made = index_of(&entries, 0, |entry| kind(entry) == "tool_call").unwrap();
    assert!(yes < made, "the yes is recorded before the call");
    let left = std::fs::read_dir(world.home().join("approvals"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "no socket stays");
}

#[test]
fn an_answer_for_good_is_a_policy_that_can_be_read() {
    let world = world(ASK);
    let mut gate = world.serve(Family::Modern, &[]);
    assert_eq!(text(&answered(&world, &mut gate, "ever")), "ho");
    gate.end();
    let policy = std::fs::read_to_string(world.home().join("approved.cedar")).unwrap();
    assert!(policy.contains("said yes for good on"), "{policy}");
    assert!(policy.contains("@approves(\"echoes\")"), "{policy}");
    let mut gate = world.serve(Family::Modern, &[]);
    let unasked = gate.call("good__echo", json!({ "text": "again" }));
    assert_eq!(text(&unasked), "again");
    gate.end();
    std::fs::remove_file(world.home().join("approved.cedar")).unwrap();
    let mut gate = world.serve(Family::Modern, &[]);
    assert_eq!(
        code(&answered(&world, &mut gate, "never")),
        "approval_needed"
    );
    gate.end();
    let mut gate = world.serve(Family::Modern, &[]);
    let refused = gate.call("good__echo", json!({ "text": "again" }));
    assert_eq!(code(&refused), "policy_denied");
    gate.end();
    let changes: Vec<_> = world
        .settled()
        .iter()
        .map(|entry| kind(entry).to_owned())
        .collect();
    assert!(
        changes.contains(&"policy_change".to_owned()),
        "the next gate tells of it"
    );
}

#[test]
fn a_second_person_signs_elsewhere() {
    let world = world(&ASK.replace("@ask", "@ask(\"2 people\")"));
    let second = world.path("bob.key");
    let key = |args: &[&str]| elsewhere(&world, args).stdout.trim().to_owned();
    let (ann, bob) = (
        key(&["approvals", "key"]),
        key(&["approvals", "key", &second]),
    );
    assert_eq!(bob, key(&["approvals", "key", &second]), "it is made once");
    let config = world.read("bailiwick.yaml");
    let named =
        format!("{config}\napprovals: {{patience: 10m, approvers: {{ann: {ann}, bob: {bob}}}}}\n");
    world.file("bailiwick.yaml", &named);
    let mut gate = world.serve(Family::Modern, &[]);
    let call = gate.send_call("good__echo", json!({ "text": "hi" }));
    let asked = question(&world);
    let first = elsewhere(&world, &["approvals", "answer", id(&asked), "once"]);
    assert_eq!(
        (first.status, first.stdout.as_str()),
        (0, "one more person must say yes\n")
    );
    let twice = elsewhere(&world, &["approvals", "answer", id(&asked), "once"]);
    assert_eq!(twice.status, 1, "{twice:?}");
    let asked = question(&world);
    assert_eq!(asked["given"], json!(["ann"]));
    let file = world.file("question.json", &asked.to_string());
    let signed = elsewhere(
        &world,
        &["approvals", "sign", "once", &file, "--key", &second],
    );
    assert!(
        signed.stderr.contains("may its tool `echo`"),
        "who signs sees what: {signed:?}"
    );
    let args = [
        "approvals",
        "answer",
        id(&asked),
        "once",
        "--signed",
        signed.stdout.trim(),
    ];
    let settled = elsewhere(&world, &args);
    assert_eq!(
        (settled.status, settled.stdout.as_str()),
        (0, "answered\n"),
        "{settled:?}"
    );
    assert_eq!(text(&gate.result(call)), "hi");
    gate.end();
}

#[test]
fn the_user_of_the_agents_client_is_asked_there() {
    for family in [Family::Modern, Family::Legacy] {
        let world = world(ASK);
        let mut gate = world.serve_asking(family);
        let mut ask = |result: Value| {
            let arguments = json!({ "text": "hi\u{202e}" });
            let call = gate.send_call("good__echo", arguments.clone());
            let asked = gate.elicited(call, "good__echo", &arguments);
            let message = asked.params["message"].as_str().unwrap();
            for part in ["may its tool `echo`", "Echoes are heard.", "\\u{202e}"] {
                assert!(message.contains(part), "{message}");
            }
            let offered = &asked.params["requestedSchema"]["properties"]["answer"]["enum"];
            assert_eq!(*offered, json!(["once", "session", "ever", "no", "never"]));
            (gate.answer_elicited(&asked, &result), asked)
        };
        let chosen = |answer: &str| json!({ "action": "accept", "content": { "answer": answer } });
        let (once, _) = ask(chosen("once"));
        assert_ne!(once["isError"], true, "{once}");
        let (for_session, asked) = ask(chosen("session"));
        assert_ne!(for_session["isError"], true);
        let again = gate.call("good__echo", json!({ "text": "again" }));
        assert_eq!(text(&again), "again", "that was for the session");
        if family == Family::Modern {
            let params =
                json!({ "name": "good__echo", "arguments": {}, "requestState": asked.params });
            let stale = gate.request("tools/call", params);
            assert_eq!(stale["error"]["code"], -32602, "{stale}");
        }
        gate.end();
        let answers = world.events("approval");
        let who = |event: &Value| event["approver"].as_str().unwrap().to_owned();
        assert!(
            answers
                .iter()
                .map(who)
                .all(|who| who == "the user of the agent's client"),
            "{answers:?}"
        );
        assert_eq!(answers.len(), 2);
    }
}

#[test]
fn the_agents_client_never_counts_where_two_people_are_wanted_or_it_is_switched_off() {
    let two = world(&ASK.replace("@ask", "@ask(\"2 people\")"));
    let off = world(ASK);
    let config = off.read("bailiwick.yaml");
    off.file(
        "bailiwick.yaml",
        &format!("{config}\napprovals: {{client: false, patience: 1s}}\n"),
    );
    for world in [two, off] {
        for family in [Family::Modern, Family::Legacy] {
            let mut gate = world.serve_asking(family);
            let refused = gate.call("good__echo", json!({ "text": "hi" }));
            assert_eq!(code(&refused), "approval_needed");
            gate.end();
        }
    }
}

#[test]
fn a_user_who_declines_is_obeyed_and_one_who_closes_the_question_has_not_answered() {
    for family in [Family::Modern, Family::Legacy] {
        let world = world(ASK);
        let config = world.read("bailiwick.yaml");
        world.file(
            "bailiwick.yaml",
            &format!("{config}\napprovals: {{patience: 2s}}\n"),
        );
        let mut gate = world.serve_asking(family);
        let mut ask = |result: Value| {
            let call = gate.send_call("good__echo", json!({ "text": "hi" }));
            let asked = gate.elicited(call, "good__echo", &json!({ "text": "hi" }));
            gate.answer_elicited(&asked, &result)
        };
        let closed = ask(json!({ "action": "cancel" }));
        assert_eq!(code(&closed), "approval_needed");
        assert!(text(&closed).contains("nobody answered in time"));
        gate.end();
        let mut gate = world.serve_asking(family);
        let call = gate.send_call("good__echo", json!({ "text": "hi" }));
        let asked = gate.elicited(call, "good__echo", &json!({ "text": "hi" }));
        let declined = gate.answer_elicited(&asked, &json!({ "action": "decline" }));
        assert!(text(&declined).contains("a person said no"));
        gate.end();
    }
}

#[test]
fn a_capability_is_approved_while_the_session_goes_on() {
    let world = World::new();
    world.file("docs/a.txt", "alpha");
    let docs = world.path("docs");
    let lines = format!("required_capabilities: [\"read_files:{docs}/\"]");
    let script = Script {
        lines: &lines,
        ..Script::WELL
    };
    let good = script.put(&world);
    let policy = format!(
        "@id(\"docs\") @ask permit (principal, action == Action::\"read_files\", resource in Dir::\"{docs}\");"
    );
    world.configure(&[&good], &policy);
    for choice in ["ever", "none is asked"] {
        let mut gate = world.serve(Family::Legacy, &[]);
        if choice == "ever" {
            assert!(gate.tools().is_empty(), "it is refused for now");
            let asked = question(&world);
            assert_eq!(
                asked["about"]["atoms"],
                json!([format!("read_files:{docs}/")])
            );
            let ended = elsewhere(&world, &["approvals", "answer", id(&asked), choice]);
            assert_eq!(ended.status, 0, "{ended:?}");
            while gate.next()["method"] != "notifications/tools/list_changed" {}
        }
        assert!(gate.tools().contains(&"good__echo".to_owned()));
        let result = gate.call("good__echo", json!({ "text": "hi" }));
        assert_eq!(text(&result), "hi");
        gate.end();
    }
    world.settled();
}

#[test]
fn the_agents_client_is_asked_about_capabilities_too() {
    let world = World::new();
    let docs = world.folder("docs");
    let lines = format!("required_capabilities: [\"read_files:{docs}/\"]");
    let script = Script {
        lines: &lines,
        ..Script::WELL
    };
    let good = script.put(&world);
    let policy = format!(
        "@id(\"docs\") @ask permit (principal, action == Action::\"read_files\", resource in Dir::\"{docs}\");"
    );
    world.configure(&[&good], &policy);
    let mut gate = world.serve_asking(Family::Legacy);
    let list = gate.send("tools/list", json!({}));
    let asked = loop {
        let message = gate.next();
        if message["method"] == "elicitation/create" {
            break message;
        }
        assert_eq!(message["id"], list, "{message}");
        assert_eq!(
            message["result"]["tools"],
            json!([]),
            "it is refused for now"
        );
    };
    let message = asked["params"]["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("read_files:{docs}/")),
        "{message}"
    );
    let yes = json!({ "action": "accept", "content": { "answer": "session" } });
    gate.raw(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": yes }).to_string());
    while gate.next()["method"] != "notifications/tools/list_changed" {}
    assert_eq!(
        text(&gate.call("good__echo", json!({ "text": "hi" }))),
        "hi"
    );
    gate.end();
    let answers = world.events("approval");
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["approver"], "the user of the agent's client");
}

/// Clients of others show our questions to their users, and bring the answers back.
#[test]
fn the_official_sdks_show_the_question_and_bring_the_answer() {
    for (sdk, protocol) in [
        (Sdk::TypeScript, "2025-11-25"),
        (Sdk::Python, "2026-07-28"),
        (Sdk::PythonLegacy, "2025-11-25"),
    ] {
        let world = world(ASK);
        let serve = world.bailiwick(&["serve"]);
        let words = std::iter::once(serve.get_program()).chain(serve.get_args());
        let mut session = Session::new(words.map(|word| word.to_str().unwrap()))
            .cwd(world.path(""))
            .answers([Some("once"), None]);
        for (name, value) in serve.get_envs() {
            if let (Some(name), Some(value)) = (name.to_str(), value.and_then(|v| v.to_str())) {
                session = session.env(name, value);
            }
        }
        let outcome = session
            .call("good__echo", json!({ "text": "hi\u{202e}" }))
            .call("good__echo", json!({ "text": "ho" }))
            .run(sdk);
        assert_eq!(outcome.protocol.as_deref(), Some(protocol), "{sdk:?}");
        assert_eq!(outcome.text(0), "hi\u{202e}", "{sdk:?}");
        assert!(outcome.failed(1), "{sdk:?}: {:?}", outcome.results);
        let [first, second] = outcome.asked.as_slice() else {
            panic!("{sdk:?}: {:?}", outcome.asked);
        };
        let message = first["message"].as_str().unwrap();
        for part in [
            "may its tool `echo` be called",
            "Echoes are heard.",
            "\\u{202e}",
        ] {
            assert!(message.contains(part), "{sdk:?}: {message}");
        }
        assert!(!message.contains('\u{202e}'), "{sdk:?}");
        assert!(
            second["message"].as_str().unwrap().contains("ho"),
            "{sdk:?}"
        );
        assert_eq!(world.events("approval").len(), 2, "{sdk:?}");
    }
}
