//! `audit prove` and `audit check-proof`.

use bailiwick_audit::{Log, Options, Subject, archive, prune};

use crate::support::{Home, copy};

/// Checks a proof that lies in `home` with its key; the status and what was said.
fn check(home: &Home, proof: &str, more: &[&str]) -> (i32, String) {
    let key = home.key();
    let args = [&["audit", "check-proof", proof, "--key", &key], more].concat();
    let output = home.run(&args);
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[test]
fn an_entry_is_proven_to_somebody_without_the_log() {
    let home = Home::with_entries(700);
    for entry in [0, 4, 255, 256, 511, 699] {
        let proof = home.path("p").to_string_lossy().into_owned();
        home.ok(&["audit", "prove", &entry.to_string(), "-o", &proof]);
        // Another machine: nothing but the proof and the key.
        let elsewhere = Home::new();
        std::fs::copy(&proof, elsewhere.path("p")).unwrap();
        let args = ["audit", "check-proof", "p", "--key", &home.key()];
        let said = elsewhere.ok(&args);
        assert!(
            said.starts_with(&format!(
                "✔ entry {entry} is in the log {}",
                home.key().split('+').next().unwrap()
            )),
            "{said}"
        );
        assert!(said.contains("signed over 700 entries"), "{said}");
        assert!(!said.contains(['\u{202e}', '\x1b']), "{said:?}");
        let (status, value) = elsewhere.json(&args);
        assert_eq!((status, &value["index"]), (0, &entry.into()));
    }
    assert_ne!(home.run(&["audit", "prove", "700"]).status.code(), Some(0));
}

#[test]
fn a_proof_shows_personal_data_or_leaves_it_out() {
    let home = Home::with_entries(300);
    let with = home.write("with", &home.ok(&["audit", "prove", "299"]));
    let without = home.write(
        "without",
        &home.ok(&["audit", "prove", "299", "--without-private"]),
    );
    let (status, said) = check(&home, &with, &[]);
    assert!(status == 0 && said.contains("ann-of-accounting"), "{said}");
    let (status, said) = check(&home, &without, &[]);
    assert!(
        status == 0 && !said.contains("ann-of-accounting") && said.contains("sealed:"),
        "{said}"
    );
    // What opens something else is no opening: the value in a proof cannot be swapped for another.
    let text = std::fs::read_to_string(&with).unwrap();
    let encoded = text.lines().nth(1).unwrap().strip_prefix("extra ").unwrap();
    let extra = base64_decode(encoded);
    assert!(extra.contains("ann-of-accounting"), "{extra}");
    for forged in [
        extra.replace("ann-of-accounting", "bob-of-accounting"),
        extra.replace("entry 1", "entry 2"),
        extra.replacen("\\\"v\\\":", "\\\"v\\\": ", 1),
    ] {
        assert_ne!(forged, extra);
        let forged = text.replace(encoded, &base64_encode(&forged));
        let path = home.write("forged", &forged);
        let (status, said) = check(&home, &path, &[]);
        assert!(status == 1 && said.starts_with('✘'), "{said}");
    }
}

fn base64_decode(text: &str) -> String {
    let output = std::process::Command::new("node")
        .args([
            "-e",
            "process.stdout.write(Buffer.from(process.argv[1], 'base64'))",
            text,
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn base64_encode(text: &str) -> String {
    let output = std::process::Command::new("node")
        .args([
            "-e",
            "process.stdout.write(Buffer.from(process.argv[1]).toString('base64'))",
            text,
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_changed_proof_another_key_and_missing_witnesses_are_refused() {
    let home = Home::with_entries(300);
    let good = home.ok(&["audit", "prove", "77"]);
    for (from, to) in [
        ("index 77", "index 78"),
        ("\n300\n", "\n301\n"),
        ("@v1", "@v2"),
        ("\n— ", "\n- "),
        ("bailiwick.local/", "bailiwick.local/0"),
    ] {
        assert!(good.contains(from), "{from}");
        let path = home.write("p", &good.replacen(from, to, 1));
        assert_eq!(check(&home, &path, &[]).0, 1, "{from}");
    }
    let lines: Vec<&str> = good.lines().collect();
    for dropped in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(dropped);
        let path = home.write("p", &(fewer.join("\n") + "\n"));
        assert_eq!(check(&home, &path, &[]).0, 1, "without line {dropped}");
    }
    let path = home.write("p", &good);
    assert_eq!(check(&home, &path, &[]).0, 0);
    let stranger = Home::with_entries(1);
    let args = ["audit", "check-proof", &path, "--key", &stranger.key()];
    assert_eq!(home.run(&args).status.code(), Some(1));
    let witness = home.ok(&[
        "witness",
        "keygen",
        "--key",
        "w.key",
        "--name",
        "w.example/w",
    ]);
    let (status, said) = check(&home, &path, &["--witness", witness.trim()]);
    assert!(
        status == 1 && said.contains("0 of the 1 witnesses"),
        "{said}"
    );
    assert_eq!(
        check(
            &home,
            &path,
            &["--witness", witness.trim(), "--at-least", "0"]
        )
        .0,
        0
    );
    assert_eq!(
        check(
            &home,
            &path,
            &["--witness", witness.trim(), "--at-least", "2"]
        )
        .0,
        1
    );
}

#[test]
fn a_log_is_proven_to_continue_an_older_checkpoint() {
    let home = Home::with_entries(300);
    let older = home.write("older", &home.read("audit/checkpoint"));
    home.grow(400);
    let middle = home.write("middle", &home.read("audit/checkpoint"));
    home.grow(1);
    let proof = home.write("p", &home.ok(&["audit", "prove", "--from", &older]));
    let (status, said) = check(&home, &proof, &["--from", &older]);
    assert!(
        status == 0 && said.contains("continues the checkpoint of 300 entries"),
        "{said}"
    );
    let between = home.write(
        "q",
        &home.ok(&["audit", "prove", "--from", &older, "--to", &middle]),
    );
    assert_eq!(check(&home, &between, &["--from", &older]).0, 0);
    assert_eq!(
        check(&home, &proof, &[]).0,
        1,
        "without the older one it says nothing"
    );
    assert_eq!(check(&home, &proof, &["--from", &middle]).0, 1);
    let good = std::fs::read_to_string(&proof).unwrap();
    for (from, to) in [("old 300", "old 299"), ("\n701\n", "\n700\n")] {
        let path = home.write("r", &good.replacen(from, to, 1));
        assert_eq!(check(&home, &path, &["--from", &older]).0, 1, "{from}");
    }
    assert_ne!(
        home.run(&["audit", "prove", "--from", &middle, "--to", &older])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn a_rewritten_log_gets_no_proof_that_it_continues_what_it_was() {
    let home = Home::with_entries(300);
    copy(&home.log(), &home.path("saved"));
    home.grow(100);
    let older = home.write("older", &home.read("audit/checkpoint"));
    // Put back, and another history written with the right key.
    std::fs::remove_dir_all(home.log()).unwrap();
    std::fs::rename(home.path("saved"), home.log()).unwrap();
    home.grow(50);
    home.grow(200);
    let output = home.run(&["audit", "prove", "--from", &older]);
    assert_ne!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty(), "nothing that looks like a proof");
}

#[test]
fn what_was_archived_and_what_remains_stay_provable() {
    let home = Home::with_entries(1300);
    let options = Options {
        key_file: Some(home.path("audit.key")),
        ..Options::default()
    };
    let log = Log::open(&home.log(), options).unwrap();
    let old = home.path("old");
    archive(&log, &Subject::default(), 1024, &old).unwrap();
    prune(&log, &Subject::default(), &old).unwrap();
    log.close().unwrap();
    home.ok(&["audit", "prove", "1200", "-o", "p"]);
    assert_eq!(check(&home, "p", &[]).0, 0);
    let pruned = home.run(&["audit", "prove", "3"]);
    assert!(!pruned.status.success() && pruned.stdout.is_empty());
    let old = old.to_string_lossy().into_owned();
    let key = home
        .path("audit/verifier.key")
        .to_string_lossy()
        .into_owned();
    home.ok(&[
        "audit", "prove", "3", "--log", &old, "--key", &key, "-o", "p",
    ]);
    assert_eq!(check(&home, "p", &[]).0, 0);
}

#[test]
fn no_proof_is_given_out_of_tiles_that_were_changed() {
    let home = Home::with_entries(700);
    for file in [
        "audit/tile/0/001",
        "audit/tile/entries/001",
        "audit/tile/1/000.p/2",
    ] {
        let good = std::fs::read(home.path(file)).unwrap();
        let mut changed = good.clone();
        changed[40] ^= 1;
        std::fs::write(home.path(file), changed).unwrap();
        let given = (0..700).step_by(64).filter(|entry| {
            let output = home.run(&["audit", "prove", &entry.to_string(), "-o", "p"]);
            output.status.success() && check(&home, "p", &[]).0 != 0
        });
        assert_eq!(given.count(), 0, "{file}");
        // Each of the three is needed for one of these.
        let refused =
            ["0", "256"].map(|entry| !home.run(&["audit", "prove", entry]).status.success());
        assert!(refused.contains(&true), "{file}");
        std::fs::write(home.path(file), good).unwrap();
    }
    home.ok(&["audit", "prove", "256"]);
}
