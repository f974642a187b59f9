//! A disk that takes no more: the gate refuses, and nothing runs unlogged.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Family, Gate, Script, World, code, kind, text};

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
    let set = gate.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.envs(set);
    Gate::start(command, Family::Modern)
}

#[test]
fn a_log_that_cannot_grow_stops_the_gate_and_nothing_runs_unlogged() {
    let world = World::new();
    let folder = Script::WELL.put_noting(&world);
    world.configure(&[&folder], &world.files_policy());
    let mut gate = limited(&world);
    let call = |gate: &mut Gate, number: usize| {
        gate.call("good__echo", json!({ "text": format!("call {number}") }))
    };
    let mut answered = 0;
    while text(&call(&mut gate, answered)) == format!("call {answered}") {
        answered += 1;
        assert!(answered < 5000, "the limit is met");
    }
    assert!(answered > 3, "it works as long as there is room");
    for number in 5000..5003 {
        let refused = call(&mut gate, number);
        assert_ne!(text(&refused), format!("call {number}"), "refused for good");
        assert_ne!(code(&refused), "", "by the gate: {refused}");
    }
    drop(gate);

    // What the plugin was asked is in the log, and it was asked nothing after the log stopped.
    let seen = world.read("good-seen");
    let asked = seen
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["method"] == "tools/call")
        .count();
    assert!(!seen.contains("call 500"), "nothing runs unlogged");
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
    assert_eq!(text(&call(&mut gate, 7)), "call 7");
    gate.end();
    world.settled();
}
