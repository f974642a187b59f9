//! A state folder with a log in it, and the binary.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bailiwick_audit::{Event, Log, Options, Subject};
use serde_json::Value;

/// Text that does something in a page that is not careful.
pub(crate) const HOSTILE: &str = "</pre></script><img src=x onerror=globalThis.ran=4><script>globalThis.ran=5</script>\
    <svg onload=globalThis.ran=6> \u{202e}reversed ${globalThis.ran=7} javascript:globalThis.ran=8";

/// A state folder: `audit` is the log in it.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        Self { dir }
    }

    /// With a log of so many entries, the newest of which a person made.
    pub(crate) fn with_entries(count: u64) -> Self {
        let home = Self::new();
        home.grow(count);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("audit")
    }

    pub(crate) fn key(&self) -> String {
        self.read("audit/verifier.key").trim().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_string_lossy().into_owned()
    }

    /// Adds entries and closes the log.
    pub(crate) fn grow(&self, count: u64) {
        let options = Options {
            key_file: Some(self.path("audit.key")),
            ..Options::default()
        };
        let log = Log::open(&self.log(), options).unwrap();
        let subject = Subject::session("s-1").with_user("ann-of-accounting");
        for number in 1..=count {
            let reason = if number % 1000 == 5 {
                HOSTILE.to_owned()
            } else {
                format!("entry {number}")
            };
            let stop = Event::GateStop { reason };
            if number == count {
                log.append(&subject, &stop).unwrap();
            } else {
                log.append(&Subject::default(), &stop).unwrap();
            }
        }
        log.close().unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        command
            .args(args)
            .env("BAILIWICK_HOME", self.dir.path())
            .current_dir(self.dir.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a run that has to end well.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        succeeded(&self.run(args), args)
    }

    /// Runs with `--json`, whatever the outcome, and gives the status and the value.
    pub(crate) fn json(&self, args: &[&str]) -> (i32, Value) {
        let output = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let value = serde_json::from_str(&text);
        let said = String::from_utf8_lossy(&output.stderr);
        (
            output.status.code().unwrap(),
            value.unwrap_or_else(|error| panic!("{args:?}: {error}: {text}{said}")),
        )
    }
}

pub(crate) fn succeeded(output: &Output, what: impl std::fmt::Debug) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what:?}: {text}{said}");
    text
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

/// A server that ends with the test.
pub(crate) struct Served(pub(crate) Child);

impl Served {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
