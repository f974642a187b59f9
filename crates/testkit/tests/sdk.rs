//! The SDK clients work against the bare servers: what fails behind the gate is then the gate's doing.

use bailiwick_testkit::real;
use bailiwick_testkit::sdk::{Sdk, Session};
use serde_json::json;

#[test]
fn every_sdk_lists_and_calls_the_tools_of_a_bare_server() {
    let dir = bailiwick_testkit::readable_dir();
    let file = dir.path().join("note.txt");
    std::fs::write(&file, "seen").unwrap();
    let mut command = real::npm("server-filesystem");
    command.push(real::path_text(dir.path()));
    for sdk in Sdk::ALL {
        let session = Session::new(command.clone())
            .call("read_text_file", json!({"path": file}))
            .call("read_text_file", json!({"path": "/etc/hostname"}));
        let outcome = session.run(sdk);
        assert!(
            outcome.tool_names().contains(&"read_text_file"),
            "{sdk:?}: {outcome:?}"
        );
        assert_eq!(
            (outcome.text(0).as_str(), outcome.failed(0)),
            ("seen", false),
            "{sdk:?}"
        );
        assert!(outcome.failed(1), "{sdk:?}: {outcome:?}");
        assert!(outcome.protocol.is_some(), "{sdk:?}: {outcome:?}");
    }
}

#[test]
fn the_other_real_servers_answer() {
    let time = Session::new(real::pypi("mcp-server-time"))
        .call("get_current_time", json!({"timezone": "UTC"}))
        .run(Sdk::TypeScript);
    assert!(time.text(0).contains("UTC"), "{time:?}");
    let echo = Session::new(real::npm("server-everything"))
        .call("echo", json!({"message": "hello"}))
        .run(Sdk::Python);
    assert!(echo.text(0).contains("hello"), "{echo:?}");
    let repository = bailiwick_testkit::readable_dir();
    let done = std::process::Command::new("git")
        .args(["init", "-q"])
        .arg(repository.path())
        .status()
        .unwrap();
    assert!(done.success());
    let path = real::path_text(repository.path());
    let git = Session::new(real::pypi("mcp-server-git"))
        .call("git_status", json!({"repo_path": path}))
        .run(Sdk::PythonLegacy);
    assert!(git.text(0).contains("No commits yet"), "{git:?}");
}

#[test]
fn a_server_that_does_not_start_is_told_from_one_that_answers() {
    let error = Session::new(["/bin/false"])
        .try_run(Sdk::Python)
        .unwrap_err();
    assert!(!error.is_empty());
    assert!(
        Session::new(["/bin/false"])
            .try_run(Sdk::TypeScript)
            .is_err()
    );
}
