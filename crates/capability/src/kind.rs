//! The closed list of capability kinds.

use std::fmt;
use std::str::FromStr;

use crate::CapabilityError;

/// What an operation is. The list is closed: an unknown kind is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Read a file or a directory tree.
    ReadFiles,
    /// Create, change or remove a file, or anything in a directory tree.
    WriteFiles,
    /// Connect out.
    NetworkAccess,
    /// Listen on a loopback port.
    NetworkListen,
    /// Run a program, perhaps only with certain leading arguments.
    ExecuteCode,
    /// Run a shell.
    ExecuteShell,
    /// Read an environment variable.
    ReadEnvironment,
    /// Use a secret towards its bound destination, without seeing it.
    UseSecret,
    /// Write to a log stream.
    WriteToLogs,
    /// Call another tool through the gate.
    CallTool,
    /// Ask the agent's model (MCP sampling).
    UseModel,
    /// Ask the agent's user (MCP elicitation).
    AskUser,
    /// Read the clock.
    Clock,
    /// Read random numbers.
    Random,
}

impl Kind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::ReadFiles,
        Self::WriteFiles,
        Self::NetworkAccess,
        Self::NetworkListen,
        Self::ExecuteCode,
        Self::ExecuteShell,
        Self::ReadEnvironment,
        Self::UseSecret,
        Self::WriteToLogs,
        Self::CallTool,
        Self::UseModel,
        Self::AskUser,
        Self::Clock,
        Self::Random,
    ];

    /// Its name in manifests, policies and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadFiles => "read_files",
            Self::WriteFiles => "write_files",
            Self::NetworkAccess => "network_access",
            Self::NetworkListen => "network_listen",
            Self::ExecuteCode => "execute_code",
            Self::ExecuteShell => "execute_shell",
            Self::ReadEnvironment => "read_environment",
            Self::UseSecret => "use_secret",
            Self::WriteToLogs => "write_to_logs",
            Self::CallTool => "call_tool",
            Self::UseModel => "use_model",
            Self::AskUser => "ask_user",
            Self::Clock => "clock",
            Self::Random => "random",
        }
    }

    /// Whether an atom of this kind is high-risk whatever its scope. Policies may say more.
    #[must_use]
    pub const fn is_high_risk(self) -> bool {
        matches!(self, Self::ExecuteCode | Self::ExecuteShell)
    }

    pub(crate) const fn scope_help(self) -> &'static str {
        match self {
            Self::ReadFiles | Self::WriteFiles => {
                "an absolute path: a file such as `/etc/hosts`, or a subtree such as `/var/log/`"
            }
            Self::NetworkAccess => {
                "scheme, host, optional port, path prefix and methods: `https://api.example.com/v1/ GET`, `tcp://db.example.com:5432`"
            }
            Self::NetworkListen => "a loopback port such as `127.0.0.1:8080`",
            Self::ExecuteCode => {
                "a program and optional leading arguments, such as `/usr/bin/git status`"
            }
            Self::ExecuteShell => "a shell such as `/bin/sh`, or nothing",
            Self::ReadEnvironment => "a variable such as `LANG`, or a prefix such as `APP_*`",
            Self::UseSecret => "the exact name of a secret, such as `github_token`",
            Self::WriteToLogs => "a log stream such as `stderr`, or nothing",
            Self::CallTool => "a tool such as `files__read`, or a prefix such as `files__*`",
            Self::UseModel => "a model's name, or nothing",
            Self::AskUser | Self::Clock | Self::Random => "no scope",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::as_str).join(", ");
                CapabilityError::new(
                    format!("`{}` is not a capability kind", text.escape_debug()),
                    format!("the kinds are {names}"),
                )
            })
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
