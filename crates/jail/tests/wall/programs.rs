//! Ordinary programs run behind the wall, unmodified.

use std::path::{Path, PathBuf};

use bailiwick_capability::Granted;
use bailiwick_jail::Native;
use bailiwick_wall::{Limits, Program};

use crate::world::{World, grant, program, run};

fn find(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/usr/local/bin"];
    places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("`{name}` must be installed in {places:?}"))
}

fn output(program: &Program, grant: &bailiwick_capability::Grant) -> String {
    let ended = run(program, grant, &Limits::default()).unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, ended.output);
    ended.output
}

fn with(name: &str, args: &[&str]) -> Program {
    Program {
        args: args.iter().map(Into::into).collect(),
        ..program(&find(name))
    }
}

#[test]
fn node_runs_with_workers_and_children() {
    let script = "const {Worker}=require('worker_threads');const {execFileSync}=require('child_process');\
        const w=new Worker('require(\"worker_threads\").parentPort.postMessage(6*7)',{eval:true});\
        w.on('message',m=>console.log(m,execFileSync('/bin/echo',['child']).toString().trim(),require('os').userInfo().username))";
    assert_eq!(
        output(&with("node", &["-e", script]), &grant(&[])).trim(),
        "42 child plugin"
    );
}

#[test]
fn python_runs_with_processes_and_asyncio() {
    let script = "import asyncio, subprocess, concurrent.futures as f
async def main():
    p = await asyncio.create_subprocess_exec('/bin/true')
    return await p.wait()
if __name__ == '__main__':
    print(asyncio.run(main()), list(f.ProcessPoolExecutor(2).map(abs, [-1, 2])), list(f.ThreadPoolExecutor(2).map(abs, [-3])))";
    assert_eq!(
        output(&with("python3", &["-c", script]), &grant(&[])).trim(),
        "0 [1, 2] [3]"
    );
}

#[test]
fn git_commits_and_reads() {
    let world = World::new();
    let root = world.path("write");
    let init = with("git", &["init", "-q", "."]);
    let commit = with(
        "git",
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=b",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "first",
        ],
    );
    for step in [init, commit] {
        output(
            &Program {
                cwd: root.clone(),
                ..step
            },
            &world.grant(),
        );
    }
    let read = grant(&[&format!("read_files:{}/", root.display())]);
    let log = output(
        &Program {
            cwd: root,
            ..with("git", &["log", "--format=%s"])
        },
        &read,
    );
    assert_eq!(log.trim(), "first");
}

#[test]
fn a_runtime_behind_links_runs() {
    let world = World::new();
    std::fs::create_dir_all(world.path("venv/bin")).unwrap();
    std::os::unix::fs::symlink(find("python3"), world.path("venv/bin/python")).unwrap();
    std::fs::write(world.path("venv/pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    let mut venv = Program {
        args: vec!["-c".into(), "import sys; print(sys.prefix)".into()],
        ..program(&world.path("venv/bin/python"))
    };
    venv.closure.read.push(world.path("venv"));
    assert_eq!(
        output(&venv, &grant(&[])).trim(),
        world.path("venv").display().to_string()
    );
}

#[test]
fn the_working_directory_is_as_asked_where_it_exists() {
    let world = World::new();
    let read = grant(&[&format!("read_files:{}/read/", world.root().display())]);
    let here = Program {
        cwd: world.path("read"),
        ..with("pwd", &[])
    };
    assert_eq!(
        output(&here, &read).trim(),
        world.path("read").display().to_string()
    );
    assert_eq!(output(&here, &grant(&[])).trim(), "/");
}

#[test]
fn a_hole_is_absent_and_what_appears_in_its_place_too() {
    let world = World::new();
    std::fs::create_dir(world.path("read/hr")).unwrap();
    std::fs::write(world.path("read/hr/salary"), "secret").unwrap();
    let part = |rest: &str| {
        format!("read_files:{}/{rest}", world.root().display())
            .parse()
            .unwrap()
    };
    let holed = bailiwick_capability::Grant::new([Granted::with_holes(
        part("read/"),
        vec![part("read/hr/")],
    )
    .unwrap()]);
    // The host replaces the hole by another folder while the program runs: a mask would fall away.
    let script = format!(
        "cd {}/read; echo ready > /tmp/x; cat data; ls; sleep 0.3; cat hr/salary; test -e hr && echo visible; exit 0",
        world.root().display()
    );
    let reader = std::thread::spawn({
        let sh = Program {
            args: vec!["-c".into(), script.into()],
            ..program("/bin/sh".as_ref())
        };
        move || output(&sh, &holed)
    });
    std::fs::rename(world.path("read/hr"), world.path("secret/hr")).unwrap();
    std::fs::create_dir(world.path("read/hr")).unwrap();
    std::fs::write(world.path("read/hr/salary"), "secret").unwrap();
    let seen = reader.join().unwrap();
    assert!(seen.starts_with("granted"), "{seen}");
    assert!(seen.contains("data\nlink\n"), "{seen}");
    assert!(
        !seen.contains("secret") && !seen.contains("visible"),
        "{seen}"
    );
}

#[test]
fn explain_names_what_is_shown_held_and_refused() {
    let world = World::new();
    let asked = grant(&[
        &format!("read_files:{}/read/", world.root().display()),
        "network_access",
    ]);
    let lines = Native::probe()
        .unwrap()
        .explain(&with("true", &[]), &asked)
        .join("\n");
    for wanted in [
        "no network interface up".replace("no network", "network (no"),
        format!("shown: {}/read (read)", world.root().display()),
        "refused: network_access".to_owned(),
    ] {
        assert!(
            lines.contains(wanted.trim_end_matches(')')),
            "{wanted} in\n{lines}"
        );
    }
}

/// The plugin's own `/tmp` is mounted first, and what is granted under the host's `/tmp` inside it.
#[test]
fn what_is_granted_under_tmp_is_there_and_nothing_else_of_it() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let root = dir.path().canonicalize().unwrap();
    for folder in ["in", "out", "secret"] {
        std::fs::create_dir(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("in/data"), "granted").unwrap();
    let root = root.display();
    let asked = grant(&[
        &format!("read_files:{root}/in/"),
        &format!("read_files:{root}/out/"),
        &format!("write_files:{root}/out/"),
    ]);
    let script = format!(
        "cat {root}/in/data; echo made > {root}/out/new; cat {root}/out/new; ls {root}; echo x > /tmp/own; rm {root}/in/data 2>/dev/null || echo kept"
    );
    let sh = Program {
        args: vec!["-c".into(), script.into()],
        ..program("/bin/sh".as_ref())
    };
    let seen = output(&sh, &asked);
    assert_eq!(seen, "grantedmade\nin\nout\nkept\n");
    assert_eq!(
        std::fs::read_to_string(dir.path().join("out/new")).unwrap(),
        "made\n"
    );
    assert!(!std::path::Path::new("/tmp/own").exists());
}

#[test]
fn l20_arguments_and_environment_arrive_exactly() {
    let mut env = with("env", &[]);
    env.env = vec![("ONLY".into(), "this one".into())];
    assert_eq!(output(&env, &grant(&[])), "ONLY=this one\n");
    assert_eq!(
        output(&with("printf", &["%s|", "a b", "", "*"]), &grant(&[])),
        "a b||*|"
    );
}

#[test]
fn a_shell_runs_only_where_it_was_granted() {
    let spawn = |asked: &bailiwick_capability::Grant| {
        let script = "const r=require('child_process').spawnSync('/bin/sh',['-c','echo shell']);\
            console.log(r.error?r.error.code:r.stdout.toString().trim())";
        let mut node = with("node", &["-e", script]);
        // Its own libraries, and no other program.
        node.closure.run = ["/lib", "/lib64", "/usr/lib"].map(PathBuf::from).into();
        output(&node, asked).trim().to_owned()
    };
    assert_eq!(spawn(&grant(&[])), "ENOENT");
    assert_eq!(spawn(&grant(&["execute_shell:/bin/sh"])), "shell");
}
