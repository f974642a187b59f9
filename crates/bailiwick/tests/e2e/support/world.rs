//! Folders, a state folder, and the binary that works on them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::gate::{Family, Gate};

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder with a state folder in it; gone with the test.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            dir: bailiwick_testkit::readable_dir(),
        };
        fs::create_dir(world.home()).unwrap();
        fs::set_permissions(world.home(), PermissionsExt::from_mode(0o700)).unwrap();
        world
    }

    /// The top folder, without links.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// The absolute path of something in it, as text.
    pub(crate) fn path(&self, rest: &str) -> String {
        let path = self.root().join(rest);
        path.to_str().expect("test paths are UTF-8").to_owned()
    }

    /// Writes a file, with its folders.
    pub(crate) fn file(&self, rest: &str, content: &str) -> String {
        let path = self.root().join(rest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self.path(rest)
    }

    pub(crate) fn folder(&self, rest: &str) -> String {
        fs::create_dir_all(self.root().join(rest)).unwrap();
        self.path(rest)
    }

    pub(crate) fn read(&self, rest: &str) -> String {
        fs::read_to_string(self.root().join(rest)).unwrap()
    }

    /// Writes `bailiwick.yaml`, with one more policy that permits `kinds` on everything below the top folder.
    pub(crate) fn configure(&self, plugins: &[&str], policy: &str) {
        self.file("policies/test.cedar", policy);
        let plugins = plugins.join(", ");
        self.file(
            "bailiwick.yaml",
            &format!("plugins: [{plugins}]\npolicies: [policies]\n"),
        );
    }

    /// A policy that permits reading and writing below the top folder.
    pub(crate) fn files_policy(&self) -> String {
        format!(
            "@id(\"test-files\") @reason(\"The test's own folder.\")\n\
             permit (principal, action in [Action::\"read_files\", Action::\"write_files\"], resource)\n\
             when {{ resource in Dir::\"{}\" }};\n",
            self.path("").trim_end_matches('/')
        )
    }

    /// The binary on this world's state, with nothing of our environment but a search path.
    pub(crate) fn bailiwick(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("BAILIWICK_HOME", self.home())
            .current_dir(self.root());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        run(self.bailiwick(args), "")
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ended {
        run(self.bailiwick(args), input)
    }

    /// A gate that serves, with a client that speaks `family` to it.
    pub(crate) fn serve(&self, family: Family, args: &[&str]) -> Gate {
        let all: Vec<&str> = ["serve"].iter().chain(args).copied().collect();
        Gate::start(self.bailiwick(&all), family)
    }

    /// The same, started by these words in front of its own.
    pub(crate) fn serve_within(&self, wrapper: &[&str], family: Family) -> Gate {
        Gate::start(within(wrapper, self.bailiwick(&["serve"])), family)
    }

    /// The same, whose client can ask its user.
    pub(crate) fn serve_asking(&self, family: Family) -> Gate {
        let forms = serde_json::json!({ "elicitation": {} });
        Gate::start_with(self.bailiwick(&["serve"]), family, forms)
    }

    /// The command line for an SDK's client: the binary with its state folder, then `args`.
    pub(crate) fn session(&self, args: &[&str]) -> bailiwick_testkit::sdk::Session {
        let all: Vec<&str> = ["serve"].iter().chain(args).copied().collect();
        self.command(&all)
    }

    /// The same for any command that serves.
    pub(crate) fn command(&self, args: &[&str]) -> bailiwick_testkit::sdk::Session {
        let binary = binary();
        let words = [binary.to_str().unwrap()]
            .into_iter()
            .chain(args.iter().copied());
        bailiwick_testkit::sdk::Session::new(words)
            .env("BAILIWICK_HOME", self.home().to_str().unwrap())
            .cwd(self.root())
    }

    /// All entries of the log, each with its index.
    pub(crate) fn entries(&self) -> Vec<Value> {
        let ended = self.run(&["audit", "query", "--json"]);
        assert_eq!(ended.status, 0, "{ended:?}");
        let lines = ended.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The events of one kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let ended = self.run(&["audit", "query", "--kind", kind, "--json"]);
        assert_eq!(ended.status, 0, "{ended:?}");
        let event = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            entry["entry"]["event"].clone()
        };
        ended.stdout.lines().map(event).collect()
    }

    /// What must hold after every scenario: the log verifies, its order is the promised one, and no
    /// process of a plugin is left.
    pub(crate) fn settled(&self) -> Vec<Value> {
        let verified = self.run(&["audit", "verify"]);
        assert_eq!(verified.status, 0, "{verified:?}");
        let entries = self.entries();
        super::log::in_order(&entries);
        self.nothing_runs();
        entries
    }

    /// No process names a path of this world.
    pub(crate) fn nothing_runs(&self) {
        let name = self.path("");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = processes_naming(&name);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still running: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn binary() -> PathBuf {
    std::env::var_os("BAILIWICK_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_bailiwick").into(), PathBuf::from)
}

/// The command with these words in front of it.
pub(crate) fn within(wrapper: &[&str], inner: Command) -> Command {
    let [program, words @ ..] = wrapper else {
        return inner;
    };
    let mut outer = Command::new(program);
    outer
        .args(words)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    if let Some(dir) = inner.get_current_dir() {
        outer.current_dir(dir);
    }
    outer
}

pub(crate) fn run(mut command: Command, input: &str) -> Ended {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads nothing closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The command lines of other processes that hold `text`.
fn processes_naming(text: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter(|entry| {
        let name = entry.file_name();
        name != own.as_str() && name.to_string_lossy().bytes().all(|b| b.is_ascii_digit())
    });
    let lines = pids.filter_map(|entry| command_line(&entry.path()));
    lines.filter(|line| line.contains(text)).collect()
}

fn command_line(process: &Path) -> Option<String> {
    let words = fs::read(process.join("cmdline")).ok()?;
    Some(String::from_utf8_lossy(&words).replace('\0', " "))
}
