//! `bailiwick token`: what a person reads, narrows, revokes and rotates.

use std::os::unix::fs::PermissionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_capability::Grant;
use bailiwick_token::{Asks, Claims, Expectation, Keys, Token, mint, verify};
use serde_json::{Value, json};

use crate::support::{Ended, Family, Script, World, code, text};

const DIGEST: [u8; 32] = [7; 32];

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A gate's key in the state folder.
fn key(world: &World) -> Keys {
    let keys = Keys::generate();
    let path = world.home().join("token.key");
    std::fs::write(&path, keys.private_bytes()).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    keys
}

fn minted(keys: &Keys, session: &str) -> String {
    let atoms = ["read_files:/data/ except /data/hr/", "clock"];
    let claims = Claims {
        session: session.to_owned(),
        plugin: "reader".to_owned(),
        plugin_version: "1.0.0".to_owned(),
        plugin_digest: DIGEST,
        user: "ann\u{1b}[2J".to_owned(),
        agent: "claude".to_owned(),
        grant: Grant::new(atoms.map(|atom| atom.parse().unwrap())),
        asks: Asks::default(),
        issued: now(),
        expires: now() + 3600,
    };
    mint(keys, &claims).unwrap().to_base64()
}

fn inspected(world: &World, token: &str) -> (i32, Value) {
    let ended = world.run_with_input(&["token", "inspect", "--json"], token);
    let value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended.status, value)
}

fn fine(ended: Ended) -> String {
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.stdout
}

#[test]
fn a_token_is_told_in_plain_words() {
    let world = World::new();
    let token = minted(&key(&world), "s-1");
    let told = fine(world.run_with_input(&["token", "inspect"], &token));
    for words in [
        "✔ sealed by this gate, and in force until",
        "plugin reader 1.0.0",
        "read files at /data/, but not /data/hr/",
        "read the clock",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(
        !told.contains('\u{1b}'),
        "what a terminal obeys is not repeated"
    );

    let foreign = minted(&Keys::generate(), "s-1");
    let (status, told) = inspected(&world, &foreign);
    assert_eq!((status, &told["seal"]), (1, &"fails".into()));
    let elsewhere = World::new();
    let (status, told) = inspected(&elsewhere, &foreign);
    assert_eq!(
        (status, &told["seal"]),
        (1, &"fails".into()),
        "no key there"
    );
    for nonsense in ["", "no token", "AAAA"] {
        let ended = world.run_with_input(&["token", "inspect"], nonsense);
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.stderr.contains("token"), "{ended:?}");
    }
}

#[test]
fn narrowing_needs_nothing_but_the_token() {
    let world = World::new();
    let keys = key(&world);
    let token = minted(&keys, "s-1");
    let elsewhere = World::new();
    let narrowed = fine(elsewhere.run_with_input(
        &[
            "token",
            "attenuate",
            "--only",
            "read_files:/data/docs/",
            "--only",
            "random",
            "--for",
            "10m",
            "--by",
            "sub-agent \u{202e}x",
        ],
        &token,
    ));
    let expected = Expectation {
        session: "s-1",
        plugin_digest: &DIGEST,
        now: now(),
    };
    let narrowed = narrowed.trim();
    let sealed = verify(
        &keys.public(),
        &Token::from_base64(narrowed).unwrap(),
        &expected,
    )
    .unwrap();
    let wanted = Grant::new(["read_files:/data/docs/".parse().unwrap()]);
    assert_eq!(sealed.grant(), &wanted, "no wider, whatever was named");
    assert!(sealed.expires() <= now() + 600);
    let told = fine(world.run_with_input(&["token", "inspect"], narrowed));
    assert!(
        told.contains("Narrowed (1) for “sub-agent \u{fffd}x”"),
        "{told}"
    );

    let nothing = elsewhere.run_with_input(&["token", "attenuate", "--only", "random"], narrowed);
    assert!(nothing.stderr.contains("allows nothing"), "{nothing:?}");
    let unbounded = elsewhere.run_with_input(&["token", "attenuate"], narrowed);
    assert_eq!(
        unbounded.status, 2,
        "what is kept must be said: {unbounded:?}"
    );
}

#[test]
fn what_is_revoked_stays_so_and_is_in_the_log() {
    let world = World::new();
    let keys = key(&world);
    let (mine, other) = (minted(&keys, "s-1"), minted(&keys, "s-2"));
    fine(world.run(&[
        "token",
        "revoke",
        "--session",
        "s-1",
        "--reason",
        "lost laptop",
    ]));
    let (status, told) = inspected(&world, &mine);
    assert_eq!((status, &told["seal"]), (1, &"revoked".into()));
    assert_eq!(told["why"], "lost laptop");
    assert_eq!(inspected(&world, &other).0, 0);

    let id = inspected(&world, &other).1["revocation_ids"][0].clone();
    fine(world.run(&["token", "revoke", "--id", id.as_str().unwrap()]));
    assert_eq!(inspected(&world, &other).1["seal"], "revoked");
    let list = fine(world.run(&["token", "revoked", "--json"]));
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["revoked"].as_array().unwrap().len(), 2);
    let events = world.events("token_revoked");
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["reason"], "lost laptop");

    for wrong in [
        &["token", "revoke"][..],
        &["token", "revoke", "--id", "00"],
        &["token", "revoke", "--session", "a", "--plugin", "b"],
    ] {
        assert_eq!(world.run(wrong).status, 2);
    }
    world.file("home/revocations", "damaged\n");
    for command in [
        &["token", "revoke", "--session", "x"][..],
        &["token", "revoked"],
    ] {
        let ended = world.run(command);
        assert_eq!(ended.status, 2);
        assert!(ended.stderr.contains("damaged"), "{ended:?}");
    }
    world.settled();
}

#[test]
fn tokens_of_the_old_key_hold_until_they_expire() {
    let world = World::new();
    let keys = key(&world);
    let before = minted(&keys, "s-1");
    let told = fine(world.run(&["token", "rotate", "--json"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["retired"], keys.public().to_string());
    assert_eq!(inspected(&world, &before).0, 0, "until it expires");
    let now_key = std::fs::read(world.home().join("token.key")).unwrap();
    assert_ne!(now_key, *keys.private_bytes());
    let new = Keys::from_private_bytes(&now_key).unwrap();
    assert_eq!(told["key"], new.public().to_string());
    assert_eq!(inspected(&world, &minted(&new, "s-2")).0, 0);
    // A thief of the old key can no longer mint.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (status, told) = inspected(&world, &minted(&keys, "s-3"));
    assert_eq!(status, 1);
    assert!(told["why"].as_str().unwrap().contains("retired"), "{told}");

    let changed = world.events("key_change");
    assert!(
        changed
            .iter()
            .any(|event| event["key"] == "token" && event["action"] == "replaced")
    );
    let mode = std::fs::metadata(world.home().join("token.key")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(
        world.home().join("token.key"),
        std::fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    let loose = world.run(&["token", "rotate"]);
    assert_eq!(loose.status, 2);
    assert!(loose.stderr.contains("chmod 600"), "{loose:?}");
}

/// The plugin ends although nobody calls it, and what it was granted is gone for good.
#[test]
fn a_gate_that_runs_ends_what_is_revoked() {
    let world = World::new();
    world.configure(&[&Script::WELL.put(&world)], "");
    let mut gate = world.serve(Family::Modern, &[]);
    assert_eq!(text(&gate.call("good__echo", json!({ "text": "a" }))), "a");
    fine(world.run(&["token", "revoke", "--plugin", "other"]));
    assert_eq!(text(&gate.call("good__echo", json!({ "text": "b" }))), "b");
    fine(world.run(&["token", "revoke", "--plugin", "good", "--reason", "stolen"]));
    world.nothing_runs();
    assert_eq!(
        code(&gate.call("good__echo", json!({ "text": "c" }))),
        "grant_revoked"
    );
    gate.end();
    let ended = &world.events("plugin_end")[0];
    assert_eq!(ended["status"], "its grant was revoked: stolen", "{ended}");
}

#[test]
fn a_sub_agent_is_held_to_its_token_by_the_kernel() {
    let world = World::new();
    world.file("data/a.txt", "alpha");
    world.file("data/sub/b.txt", "beta");
    let data = world.path("data");
    let lines = format!("required_capabilities: [\"read_files:{data}/\"]");
    let good = Script {
        lines: &lines,
        ..Script::WELL
    }
    .put(&world);
    world.configure(&[&good], &world.files_policy());
    let file = world.path("tokens");
    let mut gate = world.serve(Family::Modern, &["--tokens", &file]);
    gate.tools();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let told: Value = serde_json::from_str(world.read("tokens").trim()).unwrap();
    assert_eq!(told["plugin"], "good");
    let only = format!("read_files:{data}/sub/");
    let args = ["token", "attenuate", "--only", &only, "--for", "10m"];
    let narrow = fine(world.run_with_input(&args, told["token"].as_str().unwrap()));
    let narrow = narrow.trim();
    let mut read = |name: &str, token: Option<&str>| {
        let path = format!("{data}/{name}");
        let mut params = json!({ "name": "good__read", "arguments": { "path": path } });
        if let Some(token) = token {
            params["_meta"] = json!({ "bailiwick/token": token });
        }
        gate.call_with(params)
    };
    assert_eq!(text(&read("a.txt", None)), "alpha");
    assert_eq!(text(&read("sub/b.txt", Some(narrow))), "beta");
    let beyond = read("a.txt", Some(narrow));
    assert_eq!(beyond["isError"], true, "{beyond}");
    assert!(!text(&beyond).contains("alpha"), "{beyond}");
    assert_eq!(text(&read("a.txt", None)), "alpha");
    assert_eq!(code(&read("sub/b.txt", Some("AAAA"))), "token_refused");
    gate.end();
    world.nothing_runs();
}
