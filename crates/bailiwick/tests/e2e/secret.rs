//! `bailiwick secret`: what is kept, what is shown, and where a value never is.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bailiwick_testkit::keyring::Keyring;
use bailiwick_testkit::user;
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};

use crate::support::{Ended, World, run};

const CANARY: &str = "canary-4c0f3b9a71de";
const GITHUB: [&str; 5] = [
    "secret",
    "set",
    "github_token",
    "--to",
    "https://api.github.com",
];

/// Keeps the canary as `github_token`.
fn keep(world: &World) {
    let ended = world.run_with_input(&GITHUB, &format!("{CANARY}\n"));
    assert_eq!(ended.status, 0, "{ended:?}");
    silent(&ended);
}

fn silent(ended: &Ended) {
    assert!(!format!("{ended:?}").contains(CANARY), "{ended:?}");
}

fn listed(world: &World) -> Value {
    let ended = world.run(&["secret", "list", "--json"]);
    assert_eq!(ended.status, 0, "{ended:?}");
    silent(&ended);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The files below `dir` that hold the canary, as it is or in base64 or hexadecimal.
fn holding(dir: &Path) -> Vec<String> {
    let hexadecimal: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    // A part of it in base64, which depends on where in a text it begins.
    let forms = [
        CANARY,
        &hexadecimal,
        "YXJ5LTRjMGYz",
        "bmFyeS00YzBm",
        "YW5hcnktNGMw",
    ];
    let mut command = Command::new("grep");
    command.args(["-rlaF"]);
    forms.iter().for_each(|form| {
        command.args(["-e", form]);
    });
    let found = command.arg(dir).output().unwrap();
    let lines = String::from_utf8(found.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn a_secret_is_set_listed_rotated_and_removed_on_record() {
    if !as_ordinary("secret::a_secret_is_set_listed_rotated_and_removed_on_record") {
        return;
    }
    let world = World::new();
    let empty = world.run(&["secret", "list"]);
    assert!(
        empty.status == 0 && empty.stdout.contains("secret set"),
        "{empty:?}"
    );
    keep(&world);
    let secret = listed(&world)["secrets"][0].clone();
    assert_eq!(
        (
            &secret["name"],
            &secret["to"],
            &secret["places"],
            &secret["variable"],
            &secret["keeper"]
        ),
        (
            &json!("github_token"),
            &json!(["https://api.github.com"]),
            &json!(["header:authorization", "basic"]),
            &json!("GITHUB_TOKEN"),
            &json!("file")
        )
    );
    // Rotation: the new value, and what is not said anew stays.
    let rotated = world.run_with_input(
        &["secret", "set", "github_token", "--as", "header:x-token"],
        "another",
    );
    assert!(
        rotated.status == 0 && rotated.stdout.contains("replaced"),
        "{rotated:?}"
    );
    let secret = listed(&world)["secrets"][0].clone();
    assert_eq!(secret["to"], json!(["https://api.github.com"]));
    assert_eq!(secret["places"], json!(["header:x-token"]));
    let table = world.run(&["secret", "list"]);
    for word in [
        "github_token",
        "https://api.github.com",
        "header:x-token",
        "GITHUB_TOKEN",
        "file",
    ] {
        assert!(table.stdout.contains(word), "{table:?}");
    }
    let removed = world.run(&["secret", "rm", "github_token"]);
    assert_eq!(removed.status, 0, "{removed:?}");
    assert_eq!(listed(&world)["secrets"], json!([]));
    assert_eq!(world.run(&["secret", "rm", "github_token"]).status, 2);
    let stored = world.events("secret_stored");
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert_eq!(
        stored[0],
        json!({ "kind": "secret_stored", "secret": "github_token", "to": ["https://api.github.com"],
                "places": ["header:authorization", "basic"], "variable": "GITHUB_TOKEN", "keeper": "file",
                "replaced": false })
    );
    assert_eq!(stored[1]["replaced"], true);
    assert_eq!(
        world.events("secret_removed"),
        [json!({ "kind": "secret_removed", "secret": "github_token" })]
    );
    let entries = world.settled();
    assert!(
        entries[0]["entry"]["subject"]["user"].is_string(),
        "{entries:?}"
    );
}

#[test]
fn what_is_not_recorded_is_not_kept() {
    let world = World::new();
    // Every place for a log is a file, so that none can be opened.
    for slot in 0..64 {
        let name = if slot == 0 {
            "home/audit".to_owned()
        } else {
            format!("home/audit-{slot}")
        };
        world.file(&name, "");
    }
    let ended = world.run_with_input(&GITHUB, CANARY);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("log"), "{ended:?}");
    assert!(!world.home().join("secrets.age").exists());
}

#[test]
fn l35_the_value_is_in_no_file_no_output_and_no_record() {
    let world = World::new();
    keep(&world);
    for args in [
        &["secret", "list"][..],
        &["secret", "list", "--json"],
        &["audit", "query", "--json"],
        &["audit", "tail"],
        &["exec", "--", "env"],
    ] {
        let ended = world.run(args);
        assert_eq!(ended.status, 0, "{ended:?}");
        silent(&ended);
    }
    assert_eq!(holding(&world.root()), Vec::<String>::new());
    // The search itself finds what is there: as it is, and as `base64` writes it.
    world.file("home/seen", &format!("x{CANARY}"));
    world.file("home/encoded", "eHh4Y2FuYXJ5LTRjMGYzYjlhNzFkZQ==");
    assert_eq!(holding(&world.root()).len(), 2);
}

#[test]
fn l35_a_value_in_an_argument_is_refused_and_not_repeated() {
    let world = World::new();
    for extra in [
        &[CANARY][..],
        &["--value", CANARY],
        &[&format!("--value={CANARY}")],
        &["some", CANARY, "more"],
    ] {
        let args: Vec<&str> = GITHUB.iter().chain(extra).copied().collect();
        let ended = world.run_with_input(&args, CANARY);
        assert_eq!(ended.status, 2, "{ended:?}");
        silent(&ended);
        assert!(ended.stderr.contains("standard input"), "{ended:?}");
    }
    assert_eq!(listed(&world)["secrets"], json!([]));
}

#[test]
fn a_value_is_taken_as_it_is_or_not_at_all() {
    let world = World::new();
    for (input, good) in [
        ("value", true),
        ("value\n", true),
        ("value\r\n", true),
        ("with spaces and \"quotes\"", true),
        ("é", true),
        ("", false),
        ("\n", false),
        ("two\nlines", false),
        ("value\n\n", false),
        ("a\0b", false),
        (&"x".repeat(65_536), true),
        (&"x".repeat(65_537), false),
        (&"x".repeat(1 << 20), false),
    ] {
        let ended = world.run_with_input(&GITHUB, input);
        assert_eq!(ended.status == 0, good, "{} bytes: {ended:?}", input.len());
        assert!(
            good || ended.stderr.contains("nothing was kept"),
            "{ended:?}"
        );
    }
}

#[test]
fn l21_names_and_bindings_that_cannot_be_are_refused() {
    let world = World::new();
    let api = "https://a.example";
    for args in [
        &["*", "--to", api][..],
        &["git*", "--to", api],
        &["a b", "--to", api],
        &["", "--to", api],
        &["a"],
        &["a", "--to", "http://a.example"],
        &["a", "--to", "tcp://a.example:5432"],
        &["a", "--to", "a.example"],
        &["a", "--to", api, "--as", "cookie:x"],
        &["a", "--to", api, "--as", "header:host"],
        &["a", "--to", api, "--variable", "LD_PRELOAD"],
        &["a", "--to", api, "--variable", "A B"],
        &["2fa", "--to", api],
    ] {
        let all: Vec<&str> = ["secret", "set"].iter().chain(args).copied().collect();
        let ended = world.run_with_input(&all, CANARY);
        assert_eq!(ended.status, 2, "{args:?}: {ended:?}");
        silent(&ended);
    }
    for name in ["*", "**", "a?"] {
        assert_eq!(world.run(&["secret", "rm", name]).status, 2);
    }
    assert!(!world.home().join("secrets.age").exists());
    let ended = world.run_with_input(
        &[
            "secret",
            "set",
            "hook",
            "--to",
            "http://127.0.0.1:8080/hook",
            "--to",
            "https://*.b.example",
            "--as",
            "query:key",
            "--as",
            "field:token",
            "--variable",
            "HOOK",
        ],
        CANARY,
    );
    assert_eq!(ended.status, 0, "{ended:?}");
    let secret = listed(&world)["secrets"][0].clone();
    assert_eq!(
        secret["to"],
        json!(["http://127.0.0.1:8080/hook", "https://*.b.example"])
    );
    assert_eq!(secret["places"], json!(["query:key", "field:token"]));
}

#[test]
fn no_plugin_reads_the_store_or_its_key_whatever_is_granted() {
    let world = World::new();
    world.file("beside", "seen");
    let identity = world.path("key/bailiwick.key");
    world.folder("key");
    let with_key = |args: &[&str], input: &str| {
        let mut command = world.bailiwick(args);
        command.env("BAILIWICK_SECRETS_IDENTITY", &identity);
        run(command, input)
    };
    assert_eq!(with_key(&GITHUB, CANARY).status, 0);
    let allow = format!("read_files:{}/", world.path("").trim_end_matches('/'));
    let read = |file: &str| with_key(&["exec", "--allow", &allow, "--", "cat", file], "");
    for file in ["home/secrets.age", "home/secrets.lock", "key/bailiwick.key"] {
        let path = world.path(file);
        assert!(std::fs::read(&path).is_ok(), "bare it is read: {path}");
        let held = read(&path);
        assert_ne!(held.status, 0, "{held:?}");
        assert_eq!(held.stdout, "", "{held:?}");
    }
    let beside = read(&world.path("beside"));
    assert_eq!(
        beside.stdout, "seen",
        "and what was granted is there: {beside:?}"
    );
    let named = with_key(
        &[
            "exec",
            "--allow",
            &format!("read_files:{identity}"),
            "--",
            "cat",
            &identity,
        ],
        "",
    );
    assert!(
        named.status != 0 && named.stdout.is_empty(),
        "also when it is named: {named:?}"
    );
    world.settled();
}

#[test]
fn a_key_that_lies_elsewhere_is_named_by_the_configuration_or_the_environment() {
    let world = World::new();
    world.folder("stick");
    world.file(
        "bailiwick.yaml",
        "secrets: {keep: file, identity: stick/bailiwick.key}\n",
    );
    keep(&world);
    assert!(world.root().join("stick/bailiwick.key").exists());
    assert!(!world.home().join("secrets.key").exists());
    assert_eq!(listed(&world)["secrets"][0]["name"], "github_token");
    world.file("bailiwick.yaml", "");
    let without = world.run(&["secret", "list"]);
    assert_eq!(without.status, 2);
    assert!(
        without.stderr.contains("BAILIWICK_SECRETS_IDENTITY"),
        "{without:?}"
    );
    let mut command = world.bailiwick(&["secret", "list", "--json"]);
    command.env(
        "BAILIWICK_SECRETS_IDENTITY",
        world.path("stick/bailiwick.key"),
    );
    let with = run(command, "");
    assert!(
        with.status == 0 && with.stdout.contains("github_token"),
        "{with:?}"
    );
    for mode in [0o644, 0o640] {
        let path = world.root().join("stick/bailiwick.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = world.bailiwick(&["secret", "list"]);
        command.env("BAILIWICK_SECRETS_IDENTITY", &path);
        let loose = run(command, "");
        assert!(
            loose.status == 2 && loose.stderr.contains("chmod 600"),
            "{loose:?}"
        );
    }
}

/// A `secret set` that has read the value and waits for more of it.
fn holding_the_value(world: &World) -> Child {
    let mut child = world
        .bailiwick(&GITHUB)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(CANARY.as_bytes()).unwrap();
    // Read once the pipe is empty.
    let deadline = Instant::now() + Duration::from_secs(60);
    while rustix::io::ioctl_fionread(stdin.as_fd()).unwrap() > 0 {
        assert!(Instant::now() < deadline, "it does not read");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.stdin = Some(stdin);
    child
}

#[test]
fn l18_a_process_that_holds_a_value_shows_it_to_nobody() {
    if !as_ordinary("secret::l18_a_process_that_holds_a_value_shows_it_to_nobody") {
        return;
    }
    let world = World::new();
    let mut child = holding_the_value(&world);
    let process = Path::new("/proc").join(child.id().to_string());
    let read = |name: &str| std::fs::read(process.join(name));
    let line = String::from_utf8_lossy(&read("cmdline").unwrap()).into_owned();
    assert!(
        line.contains("github_token") && !line.contains(CANARY),
        "{line}"
    );
    let limits = String::from_utf8(read("limits").unwrap()).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let bounds: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(bounds, ["0", "0"], "{core}");
    // We are its parent and of the same user: of any other process these could be read.
    for name in ["environ", "mem", "maps", "io"] {
        let error = read(name).map(|_| ()).expect_err(name);
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{name}");
    }
    assert_eq!(
        process.join("mem").metadata().unwrap().uid(),
        0,
        "not dumpable"
    );
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_crash_leaves_no_core() {
    let world = World::new();
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "ulimit -c unlimited 2>/dev/null; exec sh -c 'kill -ABRT $$'",
        ])
        .current_dir(world.root());
    let bare = shell.status().unwrap();
    assert_eq!(bare.signal(), Some(6), "{bare}");
    let mut child = holding_the_value(&world);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(6));
    assert!(
        !ended.core_dumped(),
        "bare: core dumped is {}",
        bare.core_dumped()
    );
    let left = std::fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let cores: Vec<_> = left
        .filter(|name| name.to_string_lossy().contains("core"))
        .collect();
    assert!(bare.core_dumped() || cores.is_empty(), "{cores:?}");
    assert_eq!(listed(&world)["secrets"], json!([]), "and nothing was kept");
}

#[test]
fn from_a_terminal_the_value_is_not_shown() {
    let world = World::new();
    for (typed, status) in [
        (format!("{CANARY}\r"), 0),
        (format!("wrong\u{15}x\u{7f}{CANARY}\r"), 0),
        (format!("{CANARY}\u{3}"), 2),
        ("\r".to_owned(), 2),
    ] {
        let pty =
            rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY)
                .unwrap();
        rustix::pty::grantpt(&pty).unwrap();
        rustix::pty::unlockpt(&pty).unwrap();
        let name = rustix::pty::ptsname(&pty, Vec::new()).unwrap();
        let terminal = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut child = world
            .bailiwick(&GITHUB)
            .stdin(terminal.try_clone().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let mut prompt = Vec::new();
        while !prompt.ends_with(b": ") {
            let mut byte = [0];
            assert_eq!(
                stderr.read(&mut byte).unwrap(),
                1,
                "{}",
                String::from_utf8_lossy(&prompt)
            );
            prompt.extend(byte);
        }
        assert!(
            !tcgetattr(&terminal)
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHO)
        );
        let mut pty = std::fs::File::from(pty);
        pty.write_all(typed.as_bytes()).unwrap();
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        let after = tcgetattr(&terminal).unwrap().local_modes;
        assert!(
            after.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG),
            "as it was"
        );
        // What the terminal would have shown.
        rustix::io::ioctl_fionbio(&pty, true).unwrap();
        let mut shown = Vec::new();
        let _ = pty.read_to_end(&mut shown);
        let all = format!(
            "{said}{}{}",
            String::from_utf8_lossy(&shown),
            String::from_utf8_lossy(&output.stdout)
        );
        assert!(!all.contains(CANARY) && !all.contains("wrong"), "{all}");
    }
    assert_eq!(listed(&world)["secrets"][0]["name"], "github_token");
}

#[test]
fn with_a_keyring_secrets_are_kept_there() {
    let (world, ring) = (World::new(), tempfile::tempdir().unwrap());
    let keyring = Keyring::start(ring.path(), Some("opens"));
    let on_bus = |args: &[&str], input: &str| {
        let mut command = world.bailiwick(args);
        command.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
        run(command, input)
    };
    // A service that has no name on the bus yet is none.
    world.file("bailiwick.yaml", "secrets: {keep: keyring}\n");
    let deadline = Instant::now() + Duration::from_secs(60);
    let kept = loop {
        let kept = on_bus(&GITHUB, CANARY);
        if kept.status == 0 || Instant::now() > deadline {
            break kept;
        }
        assert!(kept.stderr.contains("keyring"), "{kept:?}");
    };
    world.file("bailiwick.yaml", "");
    assert!(
        kept.status == 0 && kept.stdout.contains("keyring"),
        "{kept:?}"
    );
    let list = on_bus(&["secret", "list"], "");
    assert!(
        list.stdout.contains("keyring") && !list.stdout.contains(CANARY),
        "{list:?}"
    );
    assert!(!world.home().join("secrets.age").exists());
    assert_eq!(holding(&world.root()), Vec::<String>::new());
    assert_eq!(holding(ring.path()), Vec::<String>::new());
    // Without the session: an error that says so, and no second store.
    for args in [&["secret", "list"][..], &GITHUB] {
        let gone = world.run_with_input(args, CANARY);
        assert!(
            gone.status == 2 && gone.stderr.contains("session bus"),
            "{gone:?}"
        );
    }
    assert_eq!(world.events("secret_stored")[0]["keeper"], "keyring");
    assert_eq!(on_bus(&["secret", "rm", "github_token"], "").status, 0);
    world.settled();
}

/// The binary where an ordinary user may run it.
fn as_ordinary(test: &str) -> bool {
    if !user::is_root() {
        return true;
    }
    let dir = bailiwick_testkit::readable_dir();
    let binary = dir.path().join("bailiwick");
    std::fs::copy(env!("CARGO_BIN_EXE_bailiwick"), &binary).unwrap();
    user::is_ordinary_or_rerun_with(test, &[("BAILIWICK_TEST_BINARY", binary)])
}
