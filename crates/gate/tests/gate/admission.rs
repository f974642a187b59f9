//! From manifest to a running plugin: what is refused, what is granted, and what is recorded in which order.

use bailiwick_audit::{Event, Outcome};
use bailiwick_gate::admit::{Refused, admit, limits};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use crate::house::{DOCS, House, READER, agent, call, refusal};
use crate::puppet::{native, puppet};

#[tokio::test]
async fn l31_each_step_is_recorded_before_the_next() {
    let house = House::new(DOCS);
    let session = house.open(vec![house.notebook(READER)]).await;
    assert_eq!(
        house.kinds(),
        [
            "session_start",
            "request",
            "decision",
            "token_minted",
            "plugin_start",
            "tools_listed"
        ]
    );
    assert_eq!(house.steps.counts(), [1, 1, 0]);
    let docs = house.docs();
    let granted = vec![format!("read_files:{docs}/")];
    assert!(matches!(&house.events("token_minted")[..],
        [Event::TokenMinted { grant, id, .. }] if *grant == granted && !id.is_empty()));
    assert!(matches!(&house.events("plugin_start")[..],
        [Event::PluginStart { grant, wall, .. }] if *grant == granted && wall == "wasm"));
    let note = json!({"path": format!("{docs}/note.txt")});
    assert!(!call(&session, "notebook__read-note", note).await.is_error);
    session.close("done").await.unwrap();
    assert_eq!(
        house.kinds()[6..],
        [
            "decision",
            "tool_call",
            "tool_result",
            "plugin_end",
            "session_end"
        ]
    );
    for entry in &house.entries()[1..10] {
        assert_eq!(entry.subject.plugin.as_deref(), Some("notebook"));
        assert_eq!(entry.subject.user.as_deref(), Some("ann"));
        assert_eq!(entry.subject.session.as_deref(), Some(session.id.as_str()));
    }
}

#[tokio::test]
async fn l2_what_no_policy_permits_is_refused_and_nothing_of_it_runs() {
    let house = House::new("");
    let secret = READER
        .replace("{docs}", &house.root().display().to_string())
        .replace("read_files:", "write_files:")
        .replace("[read_files]", "[write_files]")
        .replace("path: read_files", "path: write_files");
    let session = house.open(vec![house.notebook(&secret)]).await;
    assert_eq!(
        house.kinds(),
        ["session_start", "request", "decision", "plugin_refused"]
    );
    assert_eq!(house.steps.counts(), [0, 0, 0]);
    assert!(session.tools().await.unwrap().is_empty() && session.plugins().is_empty());
    assert!(session.notes[0].text.starts_with("refused: "));
    assert!(matches!(
        &house.events("decision")[0],
        Event::Decision {
            outcome: Outcome::Deny,
            ..
        }
    ));
    let result = call(&session, "notebook__word-count", json!({"text": "a"})).await;
    assert_eq!(refusal(&result)["code"], "unknown_tool");
}

#[tokio::test]
async fn l13_what_this_machine_lacks_is_refused_where_policy_requires_it() {
    let requires = |wall: &str| {
        format!(
            "{DOCS}\n@id(\"walls\") forbid (principal, action == Action::\"read_files\", resource)\n\
             unless {{ context.machine.contains(Machine::\"{wall}\") }};"
        )
    };
    let has = House::new(&requires("landlock"));
    has.open(vec![has.notebook(READER)]).await;
    assert_eq!(has.events("plugin_start").len(), 1);
    let lacks = House::new(&requires("cgroup-memory"));
    lacks.open(vec![lacks.notebook(READER)]).await;
    assert_eq!(lacks.events("plugin_refused").len(), 1);
    assert_eq!(lacks.steps.counts(), [0, 0, 0]);
    for house in [has, lacks] {
        let decisions = house.events("decision");
        let [Event::Decision { context, .. }] = &decisions[..] else {
            panic!("one decision: {decisions:?}");
        };
        assert_eq!(context["machine"], "landlock userns");
    }
}

#[tokio::test]
async fn an_optional_capability_is_left_out_and_its_tools_with_it() {
    let house = House::new(
        "@id(\"never\") forbid (principal, action == Action::\"read_files\", resource in Dir::\"{docs}\");",
    );
    let manifest = READER.replace("required_capabilities", "optional_capabilities");
    let session = house.open(vec![house.notebook(&manifest)]).await;
    let names: Vec<String> = session
        .tools()
        .await
        .unwrap()
        .into_iter()
        .map(|tool| tool.name)
        .collect();
    assert_eq!(names, ["notebook__word-count"]);
    assert!(
        session.notes[0].text.contains("`read-note` is not offered"),
        "{:?}",
        session.notes
    );
    assert_eq!(
        house.kinds(),
        [
            "session_start",
            "request",
            "decision",
            "token_minted",
            "plugin_start",
            "tools_listed",
            "tools_listed"
        ]
    );
    assert!(
        matches!(&house.events("plugin_start")[..], [Event::PluginStart { grant, .. }] if grant.is_empty())
    );
}

#[tokio::test]
async fn a_need_that_was_not_granted_withholds_the_tool() {
    let (builder, _) = puppet(&["plain", "reads"]);
    let house = House::with("", Some(builder));
    let manifest = "optional_capabilities: ['read_files:/etc/hostname']\n\
         tools: {reads: {needs: [read_files]}}";
    let session = house.open(vec![native("p", manifest)]).await;
    let names: Vec<String> = session
        .tools()
        .await
        .unwrap()
        .into_iter()
        .map(|tool| tool.name)
        .collect();
    assert_eq!(names, ["p__plain"]);
    assert!(
        session.notes[0]
            .text
            .contains("`reads` is not offered: it needs `read_files`")
    );
    let result = call(&session, "p__reads", json!({})).await;
    assert_eq!(refusal(&result)["code"], "unknown_tool");
}

#[tokio::test]
async fn l13_without_its_wall_a_plugin_is_refused() {
    let house = House::new("");
    let session = house.open(vec![native("p", "")]).await;
    assert_eq!(
        session.notes[0].text,
        "refused: this test has no native wall"
    );
    assert_eq!(
        house.kinds(),
        ["session_start", "request", "plugin_refused"]
    );
}

#[tokio::test]
async fn l20_only_granted_variables_are_handed_on_and_never_our_own_settings() {
    let policy =
        "@id(\"all\") permit (principal, action == Action::\"read_environment\", resource);";
    let house = House::new(policy);
    let manifest = "id: notebook\nversion: 1.0.0\noptional_capabilities: ['read_environment:LANG', \
         'read_environment:BAILIWICK_*', 'read_files:{docs}/']";
    let source = Arc::new(house.notebook(manifest));
    let admitted = admit(&house.host, "s", &agent(), source)
        .await
        .unwrap()
        .ok()
        .unwrap();
    let launch = admitted.world(&house.host).unwrap();
    assert_eq!(launch.env, [("LANG".to_owned(), "C".to_owned())]);
    assert!(!format!("{launch:?}").contains("canary"));
}

#[tokio::test]
async fn a_token_that_expired_starts_nothing_and_is_recorded() {
    let house = House::new(DOCS);
    let source = Arc::new(house.notebook(READER));
    let admitted = admit(&house.host, "s", &agent(), source)
        .await
        .unwrap()
        .ok()
        .unwrap();
    house.clock.pass(3600);
    let started = admitted.start(&house.host).await.unwrap();
    assert!(started.is_err_and(|why| why.contains("expired")));
    assert_eq!(house.steps.counts(), [1, 0, 0]);
    assert_eq!(house.kinds().last(), Some(&"token_refused"));
    assert!(house.events("plugin_start").is_empty());
}

#[tokio::test]
async fn a_manifest_too_large_for_the_log_is_refused_and_the_gate_lives_on() {
    let house = House::new(DOCS);
    let long: Vec<String> = (0..250)
        .map(|n| {
            format!(
                "'read_files:/{}/{n}'",
                ["x".repeat(240).as_str(); 3].join("/")
            )
        })
        .collect();
    let greedy = format!(
        "id: greedy\nversion: 1.0.0\noptional_capabilities: [{}]",
        long.join(", ")
    );
    let session = house
        .open(vec![house.notebook(&greedy), house.notebook(READER)])
        .await;
    assert_eq!(session.plugins().len(), 1, "{:?}", session.notes.len());
    assert!(
        session.notes[0]
            .text
            .contains("more than one entry of the audit log holds")
    );
}

#[tokio::test]
async fn a_broken_dependency_refuses_its_dependents_and_nobody_else() {
    let (builder, strings) = puppet(&["t"]);
    let house = House::with("", Some(builder));
    let session = house
        .open(vec![
            native("a", "dependencies: {b: '*'}"),
            native("b", "dependencies: {nowhere: '^1'}"),
            native("c", "dependencies: {d: '^1'}"),
            native("d", ""),
            native("e", "dependencies: {f: '*'}"),
            native("f", "required_capabilities: ['write_files:/etc/']"),
        ])
        .await;
    let plugins = session.plugins();
    let loaded: Vec<&str> = plugins
        .iter()
        .map(|p| p.admitted.source.manifest.id().as_str())
        .collect();
    assert_eq!(loaded, ["d", "c"]);
    assert_eq!(strings.seen(), ["start", "start"]);
    let refused = house
        .entries()
        .into_iter()
        .filter(|entry| entry.event.kind() == "plugin_refused");
    let mut refused: Vec<String> = refused.filter_map(|entry| entry.subject.plugin).collect();
    refused.sort();
    assert_eq!(refused, ["a", "b", "e", "f"], "each refusal is recorded");
}

#[tokio::test]
async fn nothing_is_left_of_a_refusal_without_its_reason() {
    let house = House::new("");
    let source = Arc::new(native("p", ""));
    let refused = admit(&house.host, "s", &agent(), source)
        .await
        .unwrap()
        .err();
    assert_eq!(
        refused,
        Some(Refused::NoWall("this test has no native wall".to_owned()))
    );
}

#[test]
fn l22_a_manifest_lowers_bounds_and_raises_none_but_time() {
    let usual = bailiwick_wall::Limits::default();
    let low = native("p", "");
    assert_eq!(limits(&low), usual);
    let manifest = |text: &str| {
        let text = format!("id: p\nversion: 1.0.0\nruntime: {{command: [x], limits: {{{text}}}}}");
        let manifest = bailiwick_manifest::Manifest::parse("m", text.as_bytes()).unwrap();
        limits(&bailiwick_gate::discover::source(manifest, None, None))
    };
    let lowered = manifest("memory: 64MiB, processes: 2, call: 5s");
    assert_eq!((lowered.memory_bytes, lowered.processes), (64 << 20, 2));
    assert_eq!(lowered.call, Duration::from_secs(5));
    let raised = manifest("memory: 1000GiB, processes: 4096, call: 24h");
    assert_eq!(
        (raised.memory_bytes, raised.processes),
        (usual.memory_bytes, usual.processes)
    );
    assert!(raised.call <= Duration::from_secs(600));
    assert_eq!(raised.file_bytes, usual.file_bytes);
}
