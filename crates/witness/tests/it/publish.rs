//! Publishing to files, endpoints and repositories, also to those that somebody else prepared.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use bailiwick_witness::{Client, Method, PublishError, Target, log_id};
use tokio::runtime::Builder;

use crate::support::Log;

fn publish(target: &Target, log: &Log, size: u64) -> Result<(), PublishError> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(&[]).unwrap();
    runtime.block_on(target.publish(&client, &log.note(size), &log.checkpoint(size)))
}

fn log() -> Log {
    Log::new("log.example/a", 300, 1)
}

/// A published place holds what it has to after each step, and refuses what contradicts it.
fn only_goes_forward(target: &Target, read: &dyn Fn() -> String) {
    let log = log();
    for size in [10, 10, 200] {
        publish(target, &log, size).unwrap();
        assert_eq!(read(), log.note(size).to_string());
    }
    let back = publish(target, &log, 199).unwrap_err();
    assert!(
        matches!(
            back,
            PublishError::Ahead {
                found: 200,
                here: 199
            }
        ),
        "{back}"
    );
    let fork = publish(target, &log.forked(50), 200).unwrap_err();
    assert!(matches!(fork, PublishError::Forked(200)), "{fork}");
    assert!(back.accuses() && fork.accuses());
    let other = publish(target, &Log::new("log.example/b", 300, 1), 300);
    assert!(matches!(other, Err(PublishError::Occupied(_))), "{other:?}");
    assert_eq!(
        read(),
        log.note(200).to_string(),
        "nothing of it came through"
    );
}

#[test]
fn a_file_only_goes_forward() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("checkpoint");
    only_goes_forward(&Target::File(path.clone()), &|| {
        std::fs::read_to_string(&path).unwrap()
    });
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left beside it");
    std::fs::write(&path, "my thesis\n").unwrap();
    assert!(publish(&Target::File(path.clone()), &log(), 200).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "my thesis\n");
}

#[test]
fn logs_have_places_of_their_own_by_the_placeholder() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::File(dir.path().join("{log}.checkpoint"));
    for name in ["log.example/a", "log.example/b"] {
        let log = Log::new(name, 20, 1);
        publish(&target, &log, 20).unwrap();
        let path = dir.path().join(format!("{}.checkpoint", log_id(name)));
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            log.note(20).to_string()
        );
    }
    let nowhere = Target::File(dir.path().join("no/such/folder"));
    assert!(
        publish(&nowhere, &log(), 20)
            .unwrap_err()
            .to_string()
            .contains("no/such/folder")
    );
}

#[test]
fn an_endpoint_is_sent_the_note_and_its_status_is_heeded() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let log = log();
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for reply in ["204 No Content", "201 Created", "302 Found", "503 Full"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&request).ends_with("=\n") {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            stream
                .write_all(
                    format!("HTTP/1.1 {reply}\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")
                        .as_bytes(),
                )
                .unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    let url = format!("http://{address}/kept/{{log}}");
    let target = |method| Target::Http {
        url: url.clone(),
        method,
    };
    // 68 bytes of signature in base64: the `=` at the end ends the server's reading.
    let size = 10;
    publish(&target(Method::Put), &log, size).unwrap();
    publish(&target(Method::Post), &log, size).unwrap();
    for status in [302, 503] {
        let error = publish(&target(Method::Put), &log, size).unwrap_err();
        assert!(
            matches!(error, PublishError::Status(found) if found == status),
            "{error}"
        );
    }
    let requests = server.join().unwrap();
    let id = log_id("log.example/a");
    assert!(
        requests[0].starts_with(&format!("PUT /kept/{id} HTTP/1.1\r\n")),
        "{}",
        requests[0]
    );
    assert!(requests[1].starts_with(&format!("POST /kept/{id} HTTP/1.1\r\n")));
    assert!(requests[0].ends_with(&format!("\r\n\r\n{}", log.note(size))));
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", dir)
        .output()
        .expect("git is there: run `cargo xtask setup`");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_repository_has_a_commit_for_each_checkpoint() {
    for bare in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let kind: &[&str] = if bare { &["--bare"] } else { &[] };
        git(dir.path(), &[&["init", "-q"], kind, &["."]].concat());
        let target = Target::Git {
            path: dir.path().to_owned(),
            branch: "checkpoints".to_owned(),
        };
        let file = format!("checkpoints:{}/checkpoint", log_id("log.example/a"));
        let read = || git(dir.path(), &["cat-file", "blob", &file]);
        let log = log();
        for size in [10, 10, 200] {
            publish(&target, &log, size).unwrap();
            assert_eq!(read(), log.note(size).to_string());
        }
        assert!(publish(&target, &log, 199).unwrap_err().accuses());
        assert!(
            publish(&target, &log.forked(50), 200)
                .unwrap_err()
                .accuses()
        );
        assert_eq!(read(), log.note(200).to_string());
        let second = Log::new("log.example/b", 20, 1);
        publish(&target, &second, 20).unwrap();
        assert_eq!(
            git(dir.path(), &["rev-list", "--count", "checkpoints"]).trim(),
            "3"
        );
        assert_eq!(
            read(),
            log.note(200).to_string(),
            "both logs lie beside each other"
        );
        git(dir.path(), &["fsck", "--strict"]);
    }
}

#[test]
fn gates_that_publish_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "."]);
    let target = Target::Git {
        path: dir.path().to_owned(),
        branch: "checkpoints".to_owned(),
    };
    let names: Vec<String> = (0..4)
        .map(|number| format!("log.example/{number}"))
        .collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| publish(&target, &Log::new(name, 20, 1), 20).unwrap());
        }
    });
    for name in &names {
        let file = format!("checkpoints:{}/checkpoint", log_id(name));
        assert_eq!(
            git(dir.path(), &["cat-file", "blob", &file]),
            Log::new(name, 20, 1).note(20).to_string()
        );
    }
}

#[cfg(unix)]
#[test]
fn a_hostile_repository_runs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "."]);
    let ran = dir.path().join("ran");
    let script = dir.path().join("evil");
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho \"$0\" >> {}\ncat\n", ran.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    for hook in [
        "reference-transaction",
        "pre-commit",
        "post-commit",
        "post-update",
        "update",
        "commit-msg",
        "post-index-change",
        "pre-auto-gc",
    ] {
        std::fs::copy(&script, dir.path().join("hooks").join(hook)).unwrap();
    }
    let run = script.to_string_lossy().into_owned();
    for (key, value) in [
        (
            "core.hooksPath",
            dir.path().join("hooks").to_string_lossy().into_owned(),
        ),
        ("core.fsmonitor", run.clone()),
        ("core.pager", run.clone()),
        ("core.editor", run.clone()),
        ("core.sshCommand", run.clone()),
        ("commit.gpgSign", "true".to_owned()),
        ("gpg.program", run.clone()),
        ("filter.x.clean", run.clone()),
        ("alias.hash-object", format!("!{run}")),
        ("alias.update-ref", format!("!{run}")),
    ] {
        git(dir.path(), &["config", key, &value]);
    }
    std::fs::create_dir_all(dir.path().join("info")).unwrap();
    std::fs::write(dir.path().join("info/attributes"), "* filter=x\n").unwrap();
    // The trap works: whoever does not mind is caught.
    let tree = git(dir.path(), &["write-tree"]);
    let who = [
        "-c",
        "user.name=x",
        "-c",
        "user.email=x",
        "commit-tree",
        "--no-gpg-sign",
        "-m",
        "x",
    ];
    let commit = git(dir.path(), &[&who[..], &[tree.trim()]].concat());
    git(
        dir.path(),
        &["update-ref", "refs/heads/trap", commit.trim()],
    );
    assert!(ran.exists(), "the trap itself is dead");
    std::fs::remove_file(&ran).unwrap();
    let target = Target::Git {
        path: dir.path().to_owned(),
        branch: "checkpoints".to_owned(),
    };
    publish(&target, &log(), 10).unwrap();
    publish(&target, &log(), 20).unwrap();
    assert!(
        !ran.exists(),
        "{}",
        std::fs::read_to_string(&ran).unwrap_or_default()
    );
}

#[test]
fn what_is_no_repository_or_no_branch_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let target = |branch: &str| Target::Git {
        path: dir.path().to_owned(),
        branch: branch.to_owned(),
    };
    let error = publish(&target("checkpoints"), &log(), 10).unwrap_err();
    assert!(error.to_string().contains("no git repository"), "{error}");
    git(dir.path(), &["init", "-q", "--bare", "."]);
    for branch in ["", "..", "a b", "--force", "x^", "a\nb"] {
        let answer = publish(&target(branch), &log(), 10);
        assert!(branch == "--force" || answer.is_err(), "{branch:?}");
    }
}
