//! What `kill -9` leaves.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{folder, github, sealed, text, value};

const CHILD: &str = "BAILIWICK_TEST_STORE";

/// Not a test by itself: a writer that never ends, as a process of its own.
#[test]
fn child_process() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let store = sealed(dir.as_ref());
    let begin: u64 = text(&store, "counter")
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    for number in begin + 1.. {
        // Long enough that writing takes a while, and whole or not at all is visible.
        let long = format!("{number}").repeat(2000);
        store.set("pair", value(&long), github()).unwrap();
        store
            .set("counter", value(&number.to_string()), github())
            .unwrap();
        println!("\nkept {number}");
    }
}

fn writer(dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_writer_leaves_the_old_secrets_or_the_new_ones() {
    let dir = folder();
    let store = sealed(dir.path());
    store.set("bystander", value("unharmed"), github()).unwrap();
    let mut acknowledged = 0;
    for round in 0..40_u64 {
        let mut child = writer(dir.path());
        // Kept until the child is gone: a closed pipe would end it otherwise than by the kill.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("kept ")?.parse().ok());
        acknowledged = acknowledged.max(kept.unwrap_or(0));
        // Anywhere within the next few writes.
        std::thread::sleep(Duration::from_micros(round * 137 % 2500));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "{ended}");
        let counter: u64 = text(&store, "counter").unwrap().parse().unwrap();
        assert!(
            counter >= acknowledged,
            "{counter} < {acknowledged}: what was acknowledged is there"
        );
        let pair = text(&store, "pair").unwrap();
        let whole = [counter, counter + 1].map(|number| number.to_string().repeat(2000));
        assert!(
            whole.contains(&pair),
            "round {round}: whole, and one of the two"
        );
        assert_eq!(text(&store, "bystander").as_deref(), Some("unharmed"));
    }
    // The lock of the dead is nobody's, and what they left is swept by the next writer.
    store.set("after", value("all"), github()).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["secrets.age", "secrets.key", "secrets.lock"]);
}
