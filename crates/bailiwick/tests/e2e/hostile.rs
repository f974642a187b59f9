//! Plugins that misbehave, as real processes behind the real wall: each is a clear tool error, the plugin
//! beside it still answers, the gate ends well, and nothing is left running.

use serde_json::{Value, json};

use crate::support::{Family, Gate, Script, World, code, kind, text};

/// Long enough for a busy machine, short enough to wait for.
const SHORT: &str = "{call: 2s, start: 20s, output: 64KiB}";
const LONG: &str = "{call: 60s, start: 60s, output: 64KiB}";

/// A gate with a bad plugin, which is started by `how`, beside a good one.
fn beside(world: &World, family: Family, how: &str, limits: &str) -> Gate {
    let bad = Script {
        id: "bad",
        how,
        lines: "",
        limits,
    };
    let folders = [bad.put_noting(world), Script::WELL.put(world)];
    world.configure(&[&folders[0], &folders[1]], &world.files_policy());
    world.serve(family, &[])
}

fn act(gate: &mut Gate, how: &str) -> Value {
    gate.call("bad__act", json!({ "how": how }))
}

fn good_answers(gate: &mut Gate) {
    let result = gate.call("good__echo", json!({ "text": "here" }));
    assert_eq!(text(&result), "here", "{result}");
}

/// Ends the gate, checks the log and the processes, and gives the log.
fn over(world: &World, mut gate: Gate) -> Vec<Value> {
    good_answers(&mut gate);
    gate.end();
    world.settled()
}

fn has(entries: &[Value], wanted: &str) -> bool {
    entries
        .iter()
        .any(|entry| kind(entry) == wanted && entry["entry"]["subject"]["plugin"] == "bad")
}

/// One call that goes wrong in `how` and is answered with `wanted`; the plugin lives on.
fn fails_with(family: Family, how: &str, wanted: &str) {
    let world = World::new();
    let mut gate = beside(&world, family, "well", LONG);
    let result = act(&mut gate, how);
    assert_eq!(code(&result), wanted, "{how}: {result}");
    assert_eq!(text(&act(&mut gate, "well")), "well", "after {how}");
    let entries = over(&world, gate);
    let failed = entries
        .iter()
        .any(|entry| kind(entry) == "tool_result" && entry["entry"]["event"]["is_error"] == true);
    assert!(failed, "the log knows: {how}");
}

#[test]
fn one_that_crashes_at_its_start_is_not_offered() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "crash", LONG);
    let tools = gate.tools();
    assert!(
        tools.iter().all(|name| name.starts_with("good__")),
        "{tools:?}"
    );
    assert_eq!(code(&act(&mut gate, "well")), "unknown_tool");
    good_answers(&mut gate);
    let words = gate.end();
    assert!(words.contains("it cannot start"), "its last words: {words}");
    assert!(has(&world.settled(), "plugin_refused"));
}

#[test]
fn one_that_hangs_at_its_start_is_not_offered() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "hang", "{start: 1s}");
    assert_eq!(code(&act(&mut gate, "well")), "unknown_tool");
    assert!(has(&over(&world, gate), "plugin_refused"));
}

#[test]
fn one_that_ends_at_the_new_revisions_probe_is_asked_in_the_old_way() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "old", LONG);
    assert_eq!(text(&act(&mut gate, "well")), "well");
    over(&world, gate);
}

#[test]
fn one_that_crashes_in_a_call_is_started_again() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "well", LONG);
    let result = act(&mut gate, "crash");
    assert_eq!(code(&result), "plugin_gone", "{result}");
    assert!(text(&result).contains("last words"), "{result}");
    good_answers(&mut gate);
    assert_eq!(text(&act(&mut gate, "well")), "well");
    let entries = over(&world, gate);
    assert!(has(&entries, "plugin_crash"));
    let starts = entries.iter().filter(|entry| {
        kind(entry) == "plugin_start" && entry["entry"]["subject"]["plugin"] == "bad"
    });
    assert_eq!(starts.count(), 2, "each start is recorded");
}

#[test]
fn one_that_keeps_crashing_is_given_up() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "well", LONG);
    for _ in 0..6 {
        assert_eq!(code(&act(&mut gate, "crash")), "plugin_gone");
    }
    let result = act(&mut gate, "well");
    assert_eq!(code(&result), "plugin_gone");
    assert!(text(&result).contains("started again"), "{result}");
    over(&world, gate);
}

#[test]
fn one_that_hangs_runs_into_its_limit_while_others_answer() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "well", SHORT);
    let hanging = gate.send_call("bad__act", json!({ "how": "hang" }));
    let other = gate.send_call("good__echo", json!({ "text": "meanwhile" }));
    let first = loop {
        let message = gate.next();
        if message["id"] == other || message["id"] == hanging {
            break message["id"].clone();
        }
    };
    assert_eq!(first, other, "a hanging plugin holds nobody up");
    let result = gate.result(hanging);
    assert_eq!(code(&result), "timed_out", "{result}");
    assert_eq!(code(&act(&mut gate, "hang")), "timed_out");
    // Two in a row are enough: it was ended, and the next call starts it again.
    assert_eq!(text(&act(&mut gate, "well")), "well");
    assert!(has(&over(&world, gate), "plugin_crash"));
}

#[test]
fn one_that_no_longer_reads_is_ended_all_the_same() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "well", SHORT);
    assert_eq!(text(&act(&mut gate, "deaf")), "reads no more");
    // More than a pipe holds, so that the line to the plugin stays busy.
    let large = "x".repeat(400_000);
    for _ in 0..2 {
        assert_eq!(code(&act(&mut gate, &large)), "timed_out");
    }
    assert_eq!(
        text(&act(&mut gate, "well")),
        "well",
        "ended and started again"
    );
    assert_eq!(text(&act(&mut gate, "deaf")), "reads no more");
    assert_eq!(code(&act(&mut gate, &large)), "timed_out");
    over(&world, gate);
}

#[test]
fn a_flood_of_notifications_drowns_nobody() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "well", LONG);
    let id = gate.send_call("bad__act", json!({ "how": "flood" }));
    let answer = gate.next();
    assert_eq!(
        answer["id"], id,
        "nothing of the flood reaches the agent: {answer}"
    );
    assert_eq!(text(&answer["result"]), "after the flood");
    over(&world, gate);
}

#[test]
fn a_flood_without_an_end_runs_into_the_limit() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "well", SHORT);
    assert_eq!(code(&act(&mut gate, "flood for ever")), "timed_out");
    good_answers(&mut gate);
    over(&world, gate);
}

#[test]
fn a_broken_answer_is_a_clear_error() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "well", SHORT);
    let result = act(&mut gate, "broken");
    // A line without an end names no request, so only time tells which one it was.
    assert_eq!(code(&result), "timed_out", "{result}");
    assert!(text(&result).contains("not MCP messages"), "{result}");
    assert_eq!(text(&act(&mut gate, "well")), "well");
    over(&world, gate);
}

#[test]
fn l24_an_answer_with_a_key_twice_is_a_clear_error() {
    fails_with(Family::Modern, "twice", "malformed_answer");
}

#[test]
fn an_answer_that_is_a_result_and_an_error_is_neither() {
    fails_with(Family::Legacy, "both", "malformed_answer");
}

#[test]
fn l26_an_answer_of_the_wrong_shape_is_not_passed_through() {
    fails_with(Family::Modern, "no content", "malformed_answer");
}

#[test]
fn an_answer_over_the_limit_is_a_clear_error() {
    fails_with(Family::Legacy, "large", "too_large");
}

#[test]
fn an_error_of_the_plugins_own_is_told_as_such() {
    fails_with(Family::Modern, "error", "plugin_failed");
}

#[test]
fn a_line_without_an_end_is_bounded() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "well", SHORT);
    let result = act(&mut gate, "endless");
    assert!(
        ["too_large", "timed_out"].contains(&code(&result)),
        "{result}"
    );
    over(&world, gate);
}

#[test]
fn an_answer_to_another_request_is_no_answer() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "well", SHORT);
    assert_eq!(code(&act(&mut gate, "another")), "timed_out");
    assert_eq!(text(&act(&mut gate, "well")), "well");
    over(&world, gate);
}

#[test]
fn a_second_answer_is_dropped() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "well", LONG);
    assert_eq!(text(&act(&mut gate, "two answers")), "the first");
    assert_eq!(text(&act(&mut gate, "well")), "well");
    over(&world, gate);
}

#[test]
fn garbage_between_messages_is_left_out() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "talks", LONG);
    assert_eq!(text(&act(&mut gate, "garbage")), "after the garbage");
    over(&world, gate);
}

#[test]
fn l29_tools_that_changed_at_a_restart_are_refused() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "changes", LONG);
    assert_eq!(text(&act(&mut gate, "well")), "well");
    assert_eq!(code(&act(&mut gate, "crash")), "plugin_gone");
    let result = act(&mut gate, "well");
    assert_eq!(code(&result), "malformed_answer", "{result}");
    assert!(text(&result).contains("changed"), "{result}");
    // It stays refused, also by its tools that are as they were.
    let other = gate.call("bad__echo", json!({ "text": "x" }));
    assert_eq!(code(&other), "malformed_answer", "{other}");
    let entries = over(&world, gate);
    let changed = entries.iter().find(|entry| kind(entry) == "tool_changed");
    let event = &changed.expect("the log says it")["entry"]["event"];
    assert_eq!(event["tool"], "act");
    assert_ne!(event["pinned"], event["found"]);
}

#[test]
fn l29_a_tool_that_is_new_at_a_restart_cannot_be_called() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "grows", LONG);
    assert!(!gate.tools().contains(&"bad__new".to_owned()));
    assert_eq!(code(&act(&mut gate, "crash")), "plugin_gone");
    act(&mut gate, "well");
    assert_eq!(code(&gate.call("bad__new", json!({}))), "unknown_tool");
    assert!(!gate.tools().contains(&"bad__new".to_owned()));
    over(&world, gate);
}

#[test]
fn a_child_that_was_sent_away_ends_with_the_session() {
    let world = World::new();
    let mut gate = beside(&world, Family::Legacy, "well", LONG);
    assert_eq!(text(&act(&mut gate, "daemon")), "a child lives on");
    over(&world, gate);
}

#[test]
fn one_that_ignores_every_request_to_end_is_ended() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "stays", LONG);
    assert_eq!(text(&act(&mut gate, "well")), "well");
    over(&world, gate);
}

#[test]
fn plugins_end_with_a_gate_that_is_killed() {
    let world = World::new();
    let mut gate = beside(&world, Family::Modern, "stays", LONG);
    assert_eq!(text(&act(&mut gate, "daemon")), "a child lives on");
    drop(gate);
    world.nothing_runs();
    // What a killed gate wrote is whole; the next one says that it was not closed.
    let verified = world.run(&["audit", "verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    let mut next = world.serve(Family::Legacy, &[]);
    good_answers(&mut next);
    next.end();
    assert_eq!(world.events("recovery").len(), 1);
    world.settled();
}
