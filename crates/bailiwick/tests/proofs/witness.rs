//! Witnesses, ours and others', and what a gate does with them.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use bailiwick_witness::log_id;

use crate::cross::{python, python_says};
use crate::support::{Home, Served, copy};

/// A witness of ours over the log of `home`: its address and key.
fn ours(home: &Home, name: &str) -> (Served, String, String) {
    let file = format!("{name}.key");
    if !home.path(&file).exists() {
        home.ok(&[
            "witness",
            "keygen",
            "--key",
            &file,
            "--name",
            &format!("{name}.example/w"),
        ]);
    }
    let args = [
        "witness",
        "serve",
        "--key",
        &file,
        "--listen",
        "127.0.0.1:0",
        "--log",
        "audit/verifier.key",
    ];
    let mut served = Served::start(home.command(&args));
    let mut lines = BufReader::new(served.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let key = lines.next().expect("its key");
    let told = lines.next().expect("its address");
    let url = told.split(' ').next_back().unwrap().to_owned();
    (served, url, key)
}

fn origin(home: &Home) -> String {
    home.key().split('+').next().unwrap().to_owned()
}

#[test]
fn a_log_is_cosigned_and_its_proofs_carry_it() {
    let home = Home::with_entries(300);
    let (_one, url, key) = ours(&home, "one");
    let (_two, other_url, other_key) = ours(&home, "two");
    let config = format!(
        "audit:\n  at_least: 2\n  witnesses:\n  - {{url: '{url}', key: '{key}'}}\n  - {{url: '{other_url}', key: '{other_key}'}}\n  publish:\n  - file: out/{{log}}.checkpoint\n"
    );
    std::fs::create_dir(home.path("out")).unwrap();
    let config = home.write("bailiwick.yaml", &config);
    let both = ["--witness", &key, "--witness", &other_key];
    for round in 0..3 {
        home.ok(&["--config", &config, "audit", "publish"]);
        let published = home.read("audit/checkpoint");
        assert_eq!(
            published.lines().count(),
            7,
            "three lines, an empty one, three signatures: {published}"
        );
        assert_eq!(
            home.read(&format!("out/{}.checkpoint", log_id(&origin(&home)))),
            published
        );
        let verified = home.ok(&["audit", "verify"]);
        assert!(!verified.contains("checkpoint.cosigned"), "{verified}");
        home.ok(&["audit", "prove", "3", "-o", "p"]);
        let log_key = home.key();
        home.ok(&[&["audit", "check-proof", "p", "--key", &log_key], &both[..]].concat());
        let log = home.log();
        let (held, said) =
            python_says(&["verify", log.to_str().unwrap(), &log_key, &key, &other_key]);
        assert!(held, "{said}");
        let stripped = home
            .read("p")
            .lines()
            .filter(|line| !line.starts_with("— two"))
            .collect::<Vec<_>>()
            .join("\n");
        home.write("p", &(stripped + "\n"));
        let fewer =
            home.run(&[&["audit", "check-proof", "p", "--key", &log_key], &both[..]].concat());
        assert_eq!(fewer.status.code(), Some(1));
        home.ok(&[
            &[
                "audit",
                "check-proof",
                "p",
                "--key",
                &log_key,
                "--at-least",
                "1",
            ],
            &both[..],
        ]
        .concat());
        home.grow(100 + round);
        home.ok(&[&["audit", "verify"], &both[..]].concat());
        // What was published since then has no cosignature yet, and the cosigned one is still there.
        assert_eq!(home.read("audit/checkpoint").lines().count(), 5);
        home.ok(&["audit", "prove", "3", "--cosigned", "-o", "p"]);
        home.ok(&[&["audit", "check-proof", "p", "--key", &log_key], &both[..]].concat());
    }
}

#[test]
fn a_log_that_is_rolled_back_or_rewritten_is_found_out() {
    let home = Home::with_entries(300);
    let (_one, url, key) = ours(&home, "one");
    let config = format!(
        "audit: {{witnesses: [{{url: '{url}', key: '{key}'}}], at_least: 1, publish: [{{file: out}}]}}"
    );
    let config = home.write("bailiwick.yaml", &config);
    let publish = ["--config", &config, "audit", "publish"];
    copy(&home.log(), &home.path("saved"));
    home.grow(200);
    home.ok(&publish);
    std::fs::remove_dir_all(home.log()).unwrap();
    copy(&home.path("saved"), &home.log());
    // It verifies: nothing in the folder itself tells. Its witnesses are missed.
    home.ok(&["audit", "verify"]);
    assert_eq!(
        home.run(&["audit", "verify", "--witness", &key])
            .status
            .code(),
        Some(1)
    );
    let (status, told) = home.json(&publish);
    assert_eq!((status, &told["logs"][0]["cosigned"]), (1, &0.into()));
    for outcome in told["logs"][0]["outcomes"].as_array().unwrap() {
        assert!(
            outcome["error"].as_str().unwrap().contains("rolled back"),
            "{outcome}"
        );
    }
    // Grown beyond what was seen, another history contradicts it.
    home.grow(400);
    let (status, told) = home.json(&publish);
    let witness = told["logs"][0]["outcomes"][0]["error"]
        .as_str()
        .unwrap_or_default();
    assert!(status == 1 && witness.contains("rewritten"), "{told}");
}

#[test]
fn a_witness_that_is_away_is_told_of_and_asked_again() {
    let home = Home::with_entries(300);
    let (served, url, key) = ours(&home, "one");
    let config =
        |url: &str| format!("audit: {{witnesses: [{{url: '{url}', key: '{key}'}}], at_least: 1}}");
    drop(served);
    let path = home.write("bailiwick.yaml", &config(&url));
    let (status, told) = home.json(&["--config", &path, "audit", "publish"]);
    assert_eq!(status, 1);
    assert!(
        told["logs"][0]["outcomes"][0]["error"]
            .as_str()
            .unwrap()
            .contains("cannot connect"),
        "{told}"
    );
    // It comes back, with all that it knew.
    let (_again, url, same) = ours(&home, "one");
    assert_eq!(same, key);
    let path = home.write("bailiwick.yaml", &config(&url));
    home.ok(&["--config", &path, "audit", "publish"]);
}

#[test]
fn a_gate_has_its_last_checkpoint_cosigned_and_published() {
    let home = Home::with_entries(10);
    let (_one, url, key) = ours(&home, "one");
    let config = format!(
        "audit: {{witnesses: [{{url: '{url}', key: '{key}'}}], at_least: 1, publish: [{{file: out}}]}}"
    );
    let config = home.write("bailiwick.yaml", &config);
    let missing = home.run(&["--config", &config, "exec", "--", "/bin/true"]);
    assert!(
        missing.status.success(),
        "{}",
        String::from_utf8_lossy(&missing.stderr)
    );
    let published = home.read("out");
    assert_eq!(published, home.read("audit/checkpoint"));
    assert_eq!(published.lines().count(), 6, "{published}");
    let size: u64 = published.lines().nth(1).unwrap().parse().unwrap();
    assert!(size > 10, "{published}");
    home.ok(&["audit", "verify"]);
}

#[test]
fn a_running_gate_publishes_meanwhile_and_tells_what_fails() {
    let home = Home::with_entries(10);
    let config = home.write(
        "bailiwick.yaml",
        "audit: {publish: [{file: out}, {file: no/such/folder}]}",
    );
    let mut gate =
        Served::start(home.command(&["--config", &config, "exec", "--", "/bin/sleep", "600"]));
    let told = BufReader::new(gate.0.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut told = told.filter(|line| line.contains("no/such/folder"));
    assert!(told.next().is_some(), "it ended, and told nothing");
    for _ in 0..600 {
        if home.path("out").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(home.read("out").lines().count() >= 5);
    assert!(
        gate.0.try_wait().unwrap().is_none(),
        "the gate minds neither"
    );
}

#[test]
fn what_is_wrong_in_the_configuration_is_said() {
    let home = Home::with_entries(10);
    let key = home.ok(&[
        "witness",
        "keygen",
        "--key",
        "w.key",
        "--name",
        "w.example/w",
    ]);
    let (key, log_key) = (key.trim(), home.key());
    for (text, told) in [
        ("{at_least: 1}".to_owned(), "names none"),
        (
            format!("{{witnesses: [{{url: 'http://x/', key: '{key}'}}], at_least: 2}}"),
            "there are 1",
        ),
        (
            format!("{{witnesses: [{{url: 'http://x/', key: '{log_key}'}}]}}"),
            "0x04",
        ),
        (
            format!("{{witnesses: [{{url: 'ftp://x/', key: '{key}'}}]}}"),
            "no URL",
        ),
        (
            format!(
                "{{witnesses: [{{url: 'http://x/', key: '{key}'}}, {{url: 'http://y/', key: '{key}'}}]}}"
            ),
            "twice",
        ),
        ("{publish: [{file: a, git: b}]}".to_owned(), "write one of"),
        ("{publish: [{url: 'file:///x'}]}".to_owned(), "no URL"),
        (
            "{publish: [{file: a, branch: b}]}".to_owned(),
            "write one of",
        ),
    ] {
        let config = home.write("bailiwick.yaml", &format!("audit: {text}"));
        let output = home.run(&["--config", &config, "audit", "publish"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains(told),
            "{text}: {said}"
        );
    }
    for (log, told) in [
        ("nonsense", "neither a verifier key"),
        (key, "neither a verifier key"),
    ] {
        let output = home.run(&[
            "witness",
            "serve",
            "--key",
            "w.key",
            "--listen",
            "127.0.0.1:0",
            "--log",
            log,
        ]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(told), "{said}");
    }
}

/// A witness in Python, by somebody else, over the log of `home`.
fn theirs(home: &Home) -> (Served, String, String) {
    let tool = |args: &[&str]| {
        let mut command = Command::new(python());
        command
            .args(["-I", "-m", "aics_witness"])
            .args(args)
            .current_dir(home.dir.path());
        command
    };
    let made = tool(&[
        "init",
        "--config",
        "w.json",
        "--name",
        "py.example/w",
        "--listen",
        "127.0.0.1:0",
    ])
    .output()
    .unwrap();
    let key = crate::support::succeeded(&made, "init").trim().to_owned();
    let (origin, log_key) = (origin(home), home.key());
    let added = tool(&[
        "add-log", "--config", "w.json", "--origin", &origin, "--vkey", &log_key,
    ])
    .output()
    .unwrap();
    crate::support::succeeded(&added, "add-log");
    let mut served = Served::start(tool(&[
        "serve",
        "--config",
        "w.json",
        "--listen",
        "127.0.0.1:0",
    ]));
    let lines = BufReader::new(served.0.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines {
        seen.push(line.clone());
        if let Some((_, rest)) = line.split_once("127.0.0.1:") {
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            return (served, format!("http://127.0.0.1:{port}/"), key);
        }
    }
    panic!("it did not say where it listens: {seen:?}");
}

#[test]
fn an_independent_witness_cosigns_our_log_and_refuses_a_rewritten_one() {
    let home = Home::with_entries(300);
    let (_served, url, key) = theirs(&home);
    let config = format!("audit: {{witnesses: [{{url: '{url}', key: '{key}'}}], at_least: 1}}");
    let config = home.write("bailiwick.yaml", &config);
    let publish = ["--config", &config, "audit", "publish"];
    copy(&home.log(), &home.path("saved"));
    for _ in 0..3 {
        home.ok(&publish);
        home.ok(&["audit", "prove", "3", "-o", "p"]);
        home.ok(&[
            "audit",
            "check-proof",
            "p",
            "--key",
            &home.key(),
            "--witness",
            &key,
        ]);
        home.grow(100);
    }
    home.ok(&publish);
    std::fs::remove_dir_all(home.log()).unwrap();
    copy(&home.path("saved"), &home.log());
    assert_eq!(home.run(&publish).status.code(), Some(1), "rolled back");
    home.grow(900);
    assert_eq!(home.run(&publish).status.code(), Some(1), "rewritten");
}

#[test]
fn an_independent_client_is_cosigned_by_our_witness() {
    let home = Home::with_entries(300);
    let (_one, url, key) = ours(&home, "one");
    let log = home.log();
    for _ in 0..3 {
        let (held, said) = python_says(&["ask", log.to_str().unwrap(), &url, &key]);
        assert!(held && said.starts_with("— one.example/w "), "{said}");
        home.grow(150);
    }
}
