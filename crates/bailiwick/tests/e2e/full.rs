//! A disk that takes no more: the gate refuses, and nothing runs unlogged.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Family, Gate, Script, World, kind, text};

/// A gate whose files cannot grow beyond 160 KiB, as on a disk that is full. It is told so by an error, not by a
/// signal.
fn limited(world: &World) -> Gate {
    let gate = world.bailiwick(&["serve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -f 320; trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(gate.get_program())
        .args(gate.get_args())
        .env_clear()
        .current_dir(world.root());
    let set = gate
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command.envs(set);
    Gate::start(command, Family::Legacy)
}

#[test]
fn a_log_that_cannot_grow_stops_the_gate_and_nothing_runs_unlogged() {
    let world = World::new();
    let folder = Script::WELL.put_noting(&world);
    world.configure(&[&folder], &world.files_policy());
    let mut gate = limited(&world);
    let mut answered = 0;
    // The last of these is refused, or the gate is gone before it answers.
    while let Some(result) =
        gate.call_unless_ended("good__echo", &json!({ "text": format!("call {answered}") }))
        && text(&result) == format!("call {answered}")
    {
        answered += 1;
        assert!(answered < 5000, "the limit is met");
    }
    assert!(answered > 3, "it works as long as there is room");
    let (status, words) = gate.ended();
    assert_ne!(status, Some(0), "{words}");
    assert!(words.contains("File too large"), "it says why: {words}");

    // What the plugin was asked is in the log, and it was asked nothing after the log stopped.
    let seen = world.read("good-seen");
    let asked = seen
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["method"] == "tools/call")
        .count();
    let verified = world.run(&["audit", "verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    let recorded = world.entries();
    let calls = recorded.iter().filter(|entry| kind(entry) == "tool_call");
    let calls = calls.count();
    assert!(
        asked <= calls && answered <= calls,
        "{answered} answered, {asked} asked, {calls} recorded"
    );

    // With room again the next gate goes on.
    let mut gate = world.serve(Family::Modern, &[]);
    let again = gate.call("good__echo", json!({ "text": "again" }));
    assert_eq!(text(&again), "again");
    gate.end();
    world.settled();
}
