//! What a coding agent runs all day, through `exec`, without a network.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Ended, PYTHON, World};
use crate::terminal::{at_terminal, operator, printed};

/// Runs `command` in the folder `work`, which may be read and written, with what else is allowed.
fn run(world: &World, allow: &[&str], command: &[&str]) -> Ended {
    let args = arguments(world, allow, command);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = world.bailiwick(&args);
    let own = std::env::var("PATH").unwrap();
    command
        .env("PATH", own)
        .current_dir(world.root().join("work"));
    crate::support::run(command, "")
}

fn arguments(world: &World, allow: &[&str], command: &[&str]) -> Vec<String> {
    let dir = world.folder("work");
    let own = [format!("read_files:{dir}/"), format!("write_files:{dir}/")];
    let allow = own.into_iter().chain(allow.iter().map(ToString::to_string));
    [
        "exec".to_owned(),
        "--config".to_owned(),
        world.path("bailiwick.yaml"),
    ]
    .into_iter()
    .chain(allow.flat_map(|atom| ["--allow".to_owned(), atom]))
    .chain(["--".to_owned()])
    .chain(command.iter().map(ToString::to_string))
    .collect()
}

const SHELL: &str = "execute_shell:/bin/sh";

/// cargo locks its folders by flock(2).
#[test]
fn cargo_builds_and_tests() {
    let world = World::new();
    operator(&world);
    world.file(
        "work/Cargo.toml",
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    world.file(
        "work/src/main.rs",
        "fn main() { println!(\"built\"); }\n#[test]\nfn one() { assert_eq!(1 + 1, 2); }\n",
    );
    let allow = [
        SHELL,
        "execute_code:rustc",
        "execute_code:cc",
        "execute_code:ld",
        "execute_code:as",
    ];
    let built = run(&world, &allow, &["cargo", "build", "--offline"]);
    assert_eq!(built.status, 0, "{built:?}");
    let made = world.root().join("work/target/debug/tiny");
    let said = Command::new(made).output().unwrap();
    assert_eq!(said.stdout, b"built\n");
    world.settled();
}

#[test]
fn pytest_tests() {
    let world = World::new();
    operator(&world);
    world.file(
        "work/test_it.py",
        "def test_it(tmp_path):\n    (tmp_path / 'x').write_text('y')\n    assert 6 * 7 == 42\n",
    );
    let ended = run(&world, &[], &[PYTHON, "-m", "pytest", "-q"]);
    assert_eq!(ended.status, 0, "{ended:?}; hint: `cargo xtask setup`");
    assert!(ended.stdout.contains("1 passed"), "{ended:?}");
    world.settled();
}

/// As a program of node's; `npm test` by its own name is refused, and says what to do instead.
#[test]
fn a_script_of_npm_runs() {
    let world = World::new();
    operator(&world);
    world.file(
        "work/package.json",
        r#"{"name": "x", "version": "1.0.0", "scripts": {"test": "node -e \"console.log(6*7)\""}}"#,
    );
    let refused = run(&world, &[], &["npm", "test"]);
    assert_ne!(refused.status, 0);
    assert!(
        refused.stderr.contains("start the program itself"),
        "{refused:?}"
    );
    let npm = Path::new("/usr/bin/npm").canonicalize().unwrap();
    let package = npm.ancestors().nth(2).unwrap().display().to_string();
    let read = format!("read_files:{package}/");
    let npm = npm.display().to_string();
    let allow = [read.as_str(), SHELL, "execute_code:node"];
    let ended = run(&world, &allow, &["node", &npm, "test"]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stdout.contains("\n42\n"), "{ended:?}");
    world.settled();
}

/// Databases lock by fcntl(2), also from many threads, and only read what they may only read.
#[test]
fn sqlite_locks_what_it_may_write_and_reads_what_it_may_read() {
    let world = World::new();
    operator(&world);
    let seen = world.folder("seen");
    let read = format!("read_files:{seen}/");
    let made = "import sqlite3\ndb = sqlite3.connect('/DIR/a.db')\n\
                db.execute('create table t (x)')\ndb.execute('insert into t values (7)')\ndb.commit()\n";
    let made = made.replace("/DIR", &seen);
    assert!(
        Command::new(PYTHON)
            .args(["-c", &made])
            .status()
            .unwrap()
            .success()
    );
    let script = "import sqlite3, threading\n\
        def work(n):\n\
        \x20   db = sqlite3.connect('own.db', timeout=60)\n\
        \x20   for i in range(5):\n\
        \x20       with db: db.execute('insert into t values (?)', (n,))\n\
        db = sqlite3.connect('own.db')\n\
        db.execute('create table t (x)')\n\
        all = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n\
        [one.start() for one in all]; [one.join() for one in all]\n\
        print(db.execute('select count(*) from t').fetchone()[0])\n\
        print(sqlite3.connect('SEEN/a.db').execute('select x from t').fetchone()[0])\n"
        .replace("SEEN", &seen);
    let ended = run(&world, &[&read], &[PYTHON, "-c", &script]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "20\n7\n"),
        "{ended:?}"
    );
    world.settled();
}

/// A lock that another holds is waited for, and given when it is free.
#[test]
fn a_lock_is_waited_for() {
    let world = World::new();
    operator(&world);
    let script = "import fcntl, os, time\n\
        one = open('lock', 'w'); fcntl.flock(one, fcntl.LOCK_EX)\n\
        if os.fork() == 0:\n\
        \x20   two = open('lock', 'w')\n\
        \x20   try: fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)\n\
        \x20   except BlockingIOError: print('held', flush=True)\n\
        \x20   fcntl.flock(two, fcntl.LOCK_EX); print('had', flush=True); os._exit(0)\n\
        time.sleep(0.5); print('free', flush=True); fcntl.flock(one, fcntl.LOCK_UN); os.wait()\n";
    let ended = run(&world, &[], &[PYTHON, "-c", script]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (0, "held\nfree\nhad\n"),
        "{ended:?}"
    );
    world.settled();
}

#[test]
fn vim_edits_and_less_pages() {
    let world = World::new();
    operator(&world);
    let text: String = (0..200).map(|line| format!("line {line}\n")).collect();
    world.file("work/long.txt", &text);
    let file = world.path("work/long.txt");
    let edit = arguments(
        &world,
        &[],
        &["vi", "-u", "NONE", "-n", "-i", "NONE", &file],
    );
    let edit: Vec<&str> = edit.iter().skip(1).map(String::as_str).collect();
    let steps = json!([
        ["see", "line 0"],
        ["type", "iedited \u{1b}"],
        ["pause", 0.3],
        ["type", ":wq\r"],
        ["see", "ended"]
    ]);
    at_terminal(&world, &edit, &steps);
    assert!(world.read("work/long.txt").starts_with("edited line 0\n"));
    let page = arguments(&world, &[], &["less", &file]);
    let page: Vec<&str> = page.iter().skip(1).map(String::as_str).collect();
    let steps = json!([
        ["see", "line 2"],
        ["type", "G"],
        ["see", "line 199"],
        ["type", "q"],
        ["see", "ended"]
    ]);
    let told = at_terminal(&world, &page, &steps);
    assert!(printed(&told).contains("modes restored"), "{told:#}");
    world.settled();
}
