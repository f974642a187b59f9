//! The official SDKs as clients, each in its own language, over stdio.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which SDK, in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// The TypeScript SDK (the `initialize` revisions).
    TypeScript,
    /// The Python SDK, which asks for the stateless revision first.
    Python,
    /// The Python SDK, held to the `initialize` revisions.
    PythonLegacy,
}

impl Sdk {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::TypeScript, Self::Python, Self::PythonLegacy];
}

/// One session: which server to start, and what to ask of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Session {
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<PathBuf>,
    env: std::collections::BTreeMap<String, String>,
    calls: Vec<Call>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<Option<&'static str>>>,
}

#[derive(Debug, Clone, Serialize)]
struct Call {
    tool: String,
    arguments: Value,
}

/// What came of a session.
#[derive(Debug, Clone, Deserialize)]
pub struct Outcome {
    /// The server's name and version, as it says.
    pub server: Value,
    /// The revision agreed on, such as `2025-11-25`.
    pub protocol: Option<String>,
    /// The tools, with their schemas.
    pub tools: Vec<Value>,
    /// One per call, in order.
    pub results: Vec<Answer>,
    /// What its user was asked, as `elicitation/create` has it.
    pub asked: Vec<Value>,
}

/// The answer to one call.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// A result; it may be a tool's own error (`isError`).
    Result(Value),
    /// A protocol error.
    Error(Value),
}

impl Session {
    /// A session with the server that `command` starts.
    #[must_use]
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Starts the server in `dir`.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Adds a variable to the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a call.
    #[must_use]
    pub fn call(mut self, tool: &str, arguments: Value) -> Self {
        self.calls.push(Call {
            tool: tool.to_owned(),
            arguments,
        });
        self
    }

    /// Lets the client's user be asked: one answer for each question, none where they decline.
    #[must_use]
    pub fn answers(mut self, answers: impl IntoIterator<Item = Option<&'static str>>) -> Self {
        self.answers = Some(answers.into_iter().collect());
        self
    }

    /// Runs it all and waits. The test fails when the session as such does: the server does not
    /// start, the handshake or a listing fails.
    #[must_use]
    pub fn run(&self, sdk: Sdk) -> Outcome {
        self.try_run(sdk)
            .unwrap_or_else(|error| panic!("the {sdk:?} session failed:\n{error}"))
    }

    /// Like [`Session::run`], for sessions that should fail.
    ///
    /// # Errors
    /// With everything that the client and the server said on stderr.
    pub fn try_run(&self, sdk: Sdk) -> Result<Outcome, String> {
        let folder = crate::repository().join("testdata/real");
        let mut job = self.clone();
        let mut command = match sdk {
            Sdk::TypeScript => {
                let mut command = Command::new("node");
                command.arg(folder.join("client.mjs"));
                command
            }
            Sdk::Python | Sdk::PythonLegacy => {
                job.mode = (sdk == Sdk::PythonLegacy).then_some("legacy");
                let mut command = Command::new(crate::real::python());
                command.arg(folder.join("client.py"));
                command
            }
        };
        command.env("BAILIWICK_REAL", crate::real::root());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let text = serde_json::to_vec(&job).expect("a session is JSON");
        child
            .stdin
            .take()
            .expect("stdin is piped")
            .write_all(&text)
            .map_err(|error| error.to_string())?;
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{}\n{stderr}", output.status));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| {
            format!(
                "{error} in: {}\n{stderr}",
                String::from_utf8_lossy(&output.stdout)
            )
        })
    }
}

impl Outcome {
    /// The names of the tools, sorted.
    #[must_use]
    pub fn tool_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .tools
            .iter()
            .filter_map(|tool| tool.get("name")?.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// The text of the `index`th result, errors included.
    #[must_use]
    pub fn text(&self, index: usize) -> String {
        match self.results.get(index) {
            None => panic!("there are only {} results", self.results.len()),
            Some(Answer::Error(error)) => error.to_string(),
            Some(Answer::Result(result)) => {
                let blocks = result
                    .get("content")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default();
                let texts = blocks
                    .iter()
                    .filter_map(|block| block.get("text")?.as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// Did the `index`th call fail, by a protocol error or by the tool's own word?
    #[must_use]
    pub fn failed(&self, index: usize) -> bool {
        match self.results.get(index) {
            None => panic!("there are only {} results", self.results.len()),
            Some(Answer::Error(_)) => true,
            Some(Answer::Result(result)) => result
                .get("isError")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        }
    }
}
