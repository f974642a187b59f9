//! `bailiwick exec`: policies of the moment, bounds, and the report.

use serde_json::{Value, json};

use crate::support::World;

fn report(world: &World) -> Value {
    serde_json::from_str(&world.read("report.json")).unwrap()
}

#[test]
fn a_policy_on_the_command_line_decides_besides_and_is_recorded() {
    let world = World::new();
    let file = world.file("docs/a.txt", "granted");
    let manifest = world.file(
        "m/plugin.yaml",
        &format!(
            "id: cat\nversion: 1.0.0\nrequired_capabilities: [\"read_files:{file}\"]\nruntime: {{command: [cat]}}\n"
        ),
    );
    let without = world.run(&["exec", "--manifest", &manifest, "--", "cat", &file]);
    assert_eq!(without.status, 126, "{without:?}");
    let policy = world.file("one.cedar", &world.files_policy());
    let with = world.run(&[
        "exec",
        "--policy",
        &policy,
        "--manifest",
        &manifest,
        "--",
        "cat",
        &file,
    ]);
    assert_eq!(
        (with.status, with.stdout.as_str()),
        (0, "granted"),
        "{with:?}"
    );
    let starts = world.events("gate_start");
    assert_eq!(starts.len(), 2);
    assert_ne!(starts[0]["policy_sha256"], starts[1]["policy_sha256"]);
    let decisions = world.events("decision");
    assert_eq!(decisions[1]["atoms"][0]["policies"], json!(["test-files"]));
    world.settled();
}

#[test]
fn a_policy_that_cannot_be_read_or_forbids_wins() {
    let world = World::new();
    let file = world.file("docs/a.txt", "secret");
    let broken = world.file("broken.cedar", "permit (principal, action, resource");
    let ended = world.run(&["exec", "--policy", &broken, "--", "true"]);
    assert_eq!(ended.status, 2, "{ended:?}");
    let no = world.file(
        "no.cedar",
        "@id(\"not-now\") forbid (principal, action == Action::\"read_files\", resource);",
    );
    let allow = format!("read_files:{file}");
    let ended = world.run(&[
        "exec", "--policy", &no, "--allow", &allow, "--", "cat", &file,
    ]);
    assert_eq!(ended.status, 126, "{ended:?}");
    assert!(
        ended.stderr.contains("not-now") && ended.stdout.is_empty(),
        "{ended:?}"
    );
}

#[test]
fn what_is_optional_is_left_out_and_that_is_said() {
    let world = World::new();
    let manifest = world.file(
        "m/plugin.yaml",
        "id: cat\nversion: 1.0.0\noptional_capabilities: [\"read_files:/etc/shadow\"]\nruntime: {command: [cat]}\n",
    );
    let report_path = world.path("report.json");
    let ended = world.run(&[
        "exec",
        "--manifest",
        &manifest,
        "--json",
        &report_path,
        "--",
        "echo",
        "still here",
    ]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "still here\n"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("read_files:/etc/shadow") && ended.stderr.contains("optional"),
        "{ended:?}"
    );
    let asked = &report(&world)["asked"][0];
    assert_eq!(
        (&asked["necessity"], &asked["outcome"]),
        (&json!("optional"), &json!("refused"))
    );
    world.settled();
}

#[test]
fn the_report_tells_what_was_asked_granted_and_refused_however_it_ends() {
    let world = World::new();
    let file = world.file("docs/a.txt", "granted");
    let other = world.file("docs/b.txt", "canary");
    let allow = format!("read_files:{file}");
    let path = world.path("report.json");
    let ended = world.run(&[
        "exec", "--allow", &allow, "--json", &path, "--", "cat", &file, &other,
    ]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (1, "granted"),
        "{ended:?}"
    );
    let told = report(&world);
    assert_eq!(told["asked"][0]["asked"], json!(allow));
    assert_eq!(told["granted"], json!([allow]));
    assert_eq!(told["outcome"]["kind"], "ended");
    assert_eq!(told["outcome"]["status"], 1);
    assert!(
        told["machine"]
            .as_array()
            .unwrap()
            .contains(&json!("native"))
    );
    let refused = told["refused_by_wall"]["operations"].as_array().unwrap();
    assert!(
        refused.iter().any(|one| one["target"] == json!(other)),
        "{refused:?}"
    );
    assert!(
        ended.stderr.contains(&other) && !ended.stderr.contains("canary"),
        "{ended:?}"
    );
    let denied = world.events("operation_denied");
    assert!(
        denied.iter().any(|one| one["target"] == json!(other)),
        "{denied:?}"
    );

    let ended = world.run(&[
        "exec",
        "--allow",
        "read_files:/etc/shadow",
        "--json",
        &path,
        "--",
        "true",
    ]);
    assert_eq!(ended.status, 126, "{ended:?}");
    let told = report(&world);
    assert_eq!(
        (&told["outcome"]["kind"], &told["granted"]),
        (&json!("refused"), &json!([]))
    );
    assert_eq!(told["asked"][0]["outcome"], "refused");
    world.settled();
}

#[test]
fn bounds_of_time_and_output_end_it_with_124_and_say_so() {
    let world = World::new();
    let path = world.path("report.json");
    for (limit, line) in [
        ("time=1s", "while :; do :; done"),
        ("output=1000", "while :; do echo flood; done"),
    ] {
        let ended = world.run(&[
            "exec", "--limit", limit, "--json", &path, "--", "sh", "-c", line,
        ]);
        assert_eq!(ended.status, 124, "{limit}: {}", ended.stderr);
        assert!(ended.stdout.len() <= 1000, "{limit}");
        let told = report(&world);
        assert_eq!(told["outcome"]["kind"], "limit");
        let (name, _) = limit.split_once('=').unwrap();
        assert!(
            told["limits_reached"][0].as_str().unwrap().contains(name),
            "{told}"
        );
        let ends = world.events("plugin_end");
        assert!(
            ends.last().unwrap()["status"]
                .as_str()
                .unwrap()
                .contains(name),
            "{ends:?}"
        );
    }
    let short = world.run(&["exec", "--limit", "output=5", "--", "echo", "hello world"]);
    assert_eq!(
        (short.status, short.stdout.as_str()),
        (124, "hello"),
        "{short:?}"
    );
    let wrong = world.run(&["exec", "--limit", "speed=1", "--", "true"]);
    assert_eq!(wrong.status, 2, "{wrong:?}");
    world.settled();
}

#[test]
fn a_signal_reaches_the_program_and_its_status_passes_through() {
    let world = World::new();
    for (signal, status) in [
        ("INT", 130),
        ("TERM", 143),
        ("USR1", 138),
        ("HUP", 129),
        ("QUIT", 131),
    ] {
        let line = "trap 'exit $((128 + 2))' INT; trap 'exit 143' TERM; trap 'exit 138' USR1; trap 'exit 129' HUP; \
                    trap 'exit 131' QUIT; echo ready; while :; do :; done";
        let mut command = world.bailiwick(&["exec", "--", "sh", "-c", line]);
        command.stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
    }
    world.settled();
}
