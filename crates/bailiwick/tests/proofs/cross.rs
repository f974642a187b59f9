//! Programs of others read our log, and ours reads theirs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Home, succeeded};

/// The program around Go's packages, built once.
fn go() -> &'static PathBuf {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("cross");
        let source = bailiwick_testkit::repository().join("testdata/tlog/cross.go");
        let output = Command::new("go")
            .args(["build", "-o"])
            .args([&program, &source])
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", dir.path().join("cache"))
            .env("GOFLAGS", "")
            .output()
            .expect("go is there: run `cargo xtask setup`");
        succeeded(
            &output,
            "golang-golang-x-mod-dev is needed: run `cargo xtask setup`",
        );
        (dir, program)
    });
    program
}

fn go_says(args: &[&str]) -> (bool, String) {
    let output = Command::new(go()).args(args).output().unwrap();
    (
        output.status.success(),
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
    )
}

/// An interpreter that has aics-tlog and aics-witness.
pub(crate) fn python() -> PathBuf {
    let python = bailiwick_testkit::real::root().join("tlog-venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `cargo xtask setup`",
        python.display()
    );
    python
}

pub(crate) fn python_says(args: &[&str]) -> (bool, String) {
    let script = bailiwick_testkit::repository().join("testdata/tlog/cross.py");
    let output = Command::new(python())
        .arg("-I")
        .arg(script)
        .args(args)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
    )
}

/// Full and partial tiles of the levels 0, 1 and 2.
const ENTRIES: u64 = 70_017;

#[test]
fn go_and_python_read_and_verify_a_whole_log() {
    let home = Home::with_entries(ENTRIES);
    let (log, key) = (home.log(), home.key());
    let log = log.to_str().unwrap();
    for tile in [
        "0/000",
        "0/272",
        "0/273.p/129",
        "1/000",
        "1/001.p/17",
        "2/000.p/1",
        "entries/273.p/129",
    ] {
        assert!(home.path("audit/tile").join(tile).exists(), "{tile}");
    }
    assert_eq!(
        go_says(&["verify", log, &key]),
        (true, format!("{ENTRIES}\n"))
    );
    assert_eq!(
        python_says(&["verify", log, &key]),
        (true, format!("{ENTRIES}\n"))
    );
    let (first, rest) = key.split_at(key.len() - 3);
    let other = format!("{first}{}", if rest == "AAA" { "BBB" } else { "AAA" });
    assert!(!go_says(&["verify", log, &other]).0 && !python_says(&["verify", log, &other]).0);
    for file in [
        "tile/entries/x001/000",
        "tile/entries/100",
        "tile/0/200",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/0/273.p/129",
        "checkpoint",
    ] {
        let path = home.log().join(file);
        let Ok(good) = std::fs::read(&path) else {
            assert_eq!(file, "tile/entries/x001/000", "there are not that many");
            continue;
        };
        let mut changed = good.clone();
        changed[20] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let theirs = (
            go_says(&["verify", log, &key]).0,
            python_says(&["verify", log, &key]).0,
        );
        assert_eq!(theirs, (false, false), "{file}");
        assert!(!home.run(&["audit", "verify"]).status.success(), "{file}");
        std::fs::write(&path, good).unwrap();
    }
    home.ok(&["audit", "verify"]);
}

#[test]
fn go_checks_our_proofs() {
    let home = Home::with_entries(700);
    let key = home.key();
    let older = home.write("older", &home.read("audit/checkpoint"));
    home.grow(300);
    for entry in ["0", "255", "256", "700", "999"] {
        let text = home.ok(&["audit", "prove", entry]);
        let proof = home.write("p", &text);
        assert_eq!(
            go_says(&["proven", &proof, &key]),
            (true, format!("{entry}\n"))
        );
        let other = if entry == "0" { "1" } else { "0" };
        let moved = home.write(
            "q",
            &text.replace(&format!("index {entry}\n"), &format!("index {other}\n")),
        );
        assert!(!go_says(&["proven", &moved, &key]).0);
    }
    let text = home.ok(&["audit", "prove", "--from", &older]);
    let proof = home.write("p", &text);
    assert_eq!(
        go_says(&["continued", &proof, &older, &key]),
        (true, "1000\n".to_owned())
    );
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(1, 2);
    let swapped = home.write("q", &(lines.join("\n") + "\n"));
    assert!(!go_says(&["continued", &swapped, &older, &key]).0);
}

#[test]
fn we_check_proofs_and_checkpoints_that_go_made() {
    let home = Home::new();
    let dir = home.dir.path().to_str().unwrap();
    for (size, old, index) in [
        ("1000", "300", "77"),
        ("1", "1", "0"),
        ("257", "256", "256"),
        ("70017", "65536", "65535"),
    ] {
        assert!(go_says(&["produce", dir, size, old, index]).0);
        home.ok(&["audit", "check-proof", "entry.tlog-proof", "--key", "./key"]);
        home.ok(&[
            "audit",
            "check-proof",
            "continued",
            "--key",
            "./key",
            "--from",
            "older",
        ]);
        for (file, from) in [("entry.tlog-proof", "index "), ("continued", "old ")] {
            let text = home.read(file);
            home.write("tampered", &text.replacen(from, &format!("{from}1"), 1));
            let args = [
                "audit",
                "check-proof",
                "tampered",
                "--key",
                "./key",
                "--from",
                "older",
            ];
            let args = if file == "continued" {
                &args[..]
            } else {
                &args[..5]
            };
            assert_eq!(home.run(args).status.code(), Some(1), "{file} of {size}");
        }
    }
}
