//! `docs/check-proof.html` in a real browser.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bailiwick_tlog::{Checkpoint, SigningKey, TlogProof, leaf_hash};
use serde_json::{Value, json};

use crate::support::{HOSTILE, Home, succeeded};

/// Opens the page once for each case and gives what it said.
fn browse(cases: &[Value]) -> Value {
    let top = bailiwick_testkit::repository();
    let mut child = Command::new("node")
        .arg(top.join("testdata/tlog/page.mjs"))
        .arg(top.join("docs/check-proof.html"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(cases).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = succeeded(&output, "a browser is needed: run `cargo xtask setup`");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["elsewhere"], json!([]), "the page asks nobody");
    assert_eq!(told["dialogs"], 0);
    assert_eq!(
        told["smuggled"], "",
        "not even what gets in by another way runs"
    );
    for answer in told["answers"].as_array().unwrap() {
        assert_eq!(answer["ran"], "", "{answer}");
        assert_eq!(answer["elements"], 2, "{answer}");
    }
    told["answers"].clone()
}

#[test]
fn a_browser_says_the_same_as_the_command_line() {
    let home = Home::with_entries(700);
    let older = home.read("audit/checkpoint");
    home.grow(300);
    let key = home.key();
    let witness = home.ok(&[
        "witness",
        "keygen",
        "--key",
        "w.key",
        "--name",
        "w.example/w",
    ]);
    let proof = |entry: &str| home.ok(&["audit", "prove", entry]);
    let good = proof("999");
    home.write("older", &older);
    let continued = home.ok(&["audit", "prove", "--from", "older"]);
    let mut cases = vec![
        (true, json!({"proof": good, "how": "paste", "key": key})),
        (true, json!({"proof": good, "how": "drop", "key": key})),
        (
            true,
            json!({"proof": proof("0"), "how": "drop", "key": key}),
        ),
        (
            true,
            json!({"proof": proof("4"), "how": "drop", "key": key}),
        ),
        (
            true,
            json!({"proof": continued, "how": "drop", "key": key, "older": older}),
        ),
        (
            false,
            json!({"proof": good, "how": "drop", "key": key, "witnesses": witness}),
        ),
        (
            false,
            json!({"proof": good, "how": "drop", "key": witness.trim()}),
        ),
        (
            false,
            json!({"proof": continued, "how": "drop", "key": key}),
        ),
        (
            false,
            json!({"proof": continued, "how": "drop", "key": key, "older": continued}),
        ),
        (false, json!({"proof": HOSTILE, "how": "drop", "key": key})),
        (
            false,
            json!({"proof": good, "how": "drop", "key": format!("{HOSTILE}+00000000+AAAA")}),
        ),
    ];
    let mut tampered = vec![
        good.replace("index 999", "index 998"),
        good.replace("\n1000\n", "\n1001\n"),
        good.replace("extra ey", "extra ez"),
        format!("{good}\n"),
    ];
    let lines: Vec<&str> = good.lines().collect();
    tampered.extend((0..lines.len()).map(|dropped| {
        let mut fewer = lines.clone();
        fewer.remove(dropped);
        fewer.join("\n") + "\n"
    }));
    for proof in tampered {
        let path = home.write("tampered", &proof);
        let said = home.run(&["audit", "check-proof", &path, "--key", &key]);
        assert_eq!(said.status.code(), Some(1), "{proof}");
        cases.push((false, json!({"proof": proof, "how": "drop", "key": key})));
    }
    let asked: Vec<Value> = cases.iter().map(|(_, case)| case.clone()).collect();
    let answers = browse(&asked);
    for ((holds, case), answer) in cases.iter().zip(answers.as_array().unwrap()) {
        let wanted = if *holds { "good" } else { "bad" };
        assert_eq!(answer["state"], wanted, "{answer} to {case}");
    }
    let details = |at: usize| answers[at]["details"].as_str().unwrap().to_owned();
    assert!(details(0).contains("ann-of-accounting"), "{}", details(0));
    // Hostile text is shown as text.
    assert!(
        details(3).contains("<img src=x") && details(3).contains("\\u{202e}"),
        "{}",
        details(3)
    );
}

#[test]
fn markup_in_a_logs_name_an_entry_or_a_value_stays_text() {
    let name = "<img/src=x/onerror=globalThis.ran=9>";
    let key = SigningKey::from_seed(name, &[3; 32]).unwrap();
    let make = |entry: &str| {
        let root = leaf_hash(entry.as_bytes());
        let checkpoint = Checkpoint {
            origin: name.to_owned(),
            size: 1,
            root,
        };
        let extra = json!({"format": "bailiwick entry 1", "entry": entry, "openings": []});
        let proof = TlogProof {
            extra: Some(serde_json::to_vec(&extra).unwrap()),
            index: 0,
            hashes: Vec::new(),
            checkpoint: checkpoint.sign(&key).unwrap().parse().unwrap(),
        };
        json!({"proof": proof.to_string(), "how": "drop", "key": key.verifier().to_string()})
    };
    let as_json = json!({"v": 2, HOSTILE: HOSTILE, "__proto__": {"x": HOSTILE}}).to_string();
    let answers = browse(&[make(HOSTILE), make(&as_json), make("")]);
    for answer in answers.as_array().unwrap() {
        assert_eq!(answer["state"], "good", "{answer}");
        assert!(answer["details"].as_str().unwrap().contains(name));
    }
}

#[test]
fn a_browser_that_lacks_what_is_needed_says_so() {
    let home = Home::with_entries(10);
    let case = |before: &str| json!({"proof": home.ok(&["audit", "prove", "3"]), "how": "drop", "key": home.key(), "before": before});
    let answers = browse(&[
        case("Object.defineProperty(globalThis, 'crypto', {value: undefined})"),
        case(
            "SubtleCrypto.prototype.importKey = () => Promise.reject(new DOMException('x', 'NotSupportedError'))",
        ),
        case("1"),
    ]);
    let said = |at: usize| {
        (
            answers[at]["state"].as_str().unwrap(),
            answers[at]["details"].as_str().unwrap(),
        )
    };
    assert!(
        matches!(said(0), ("bad", why) if why.contains("gives no cryptography")),
        "{answers}"
    );
    assert!(
        matches!(said(1), ("bad", why) if why.contains("cannot verify Ed25519")),
        "{answers}"
    );
    assert_eq!(said(2).0, "good");
}
