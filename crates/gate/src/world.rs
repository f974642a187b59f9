//! What the gate asks of the walls it is assembled with. It knows no concrete one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_capability::Grant;
use bailiwick_manifest::Manifest;
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_token::Verified;
use bailiwick_wall::{Denials, Denied, Limits, Program, Used, Wall, WallError};
use serde_json::{Map, Value};

use crate::record::Record;

/// A plugin as it lies on disk. Nothing of it has run.
#[derive(Debug, Clone)]
pub struct Source {
    /// What it asks.
    pub manifest: Manifest,
    /// The folder that it lies in; none for a bare command.
    pub dir: Option<PathBuf>,
    /// A component's bytes; none for a command.
    pub component: Option<Arc<Vec<u8>>>,
    /// SHA-256 over the manifest and the component.
    pub digest: [u8; 32],
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
}

impl Source {
    /// The digest in hexadecimal.
    #[must_use]
    pub fn digest_hex(&self) -> String {
        hex::encode(self.digest)
    }
}

/// A package that was fetched for a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `npm` or `pypi`.
    pub ecosystem: String,
    /// Its name.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// The registry's digest of what was fetched.
    pub integrity: String,
}

/// What must be there before a plugin can start, and where it was found.
#[derive(Debug, Clone, Default)]
pub struct Preparation {
    /// Packages that were fetched, now or earlier.
    pub packages: Vec<Package>,
    /// The program to start; none for a component.
    pub program: Option<Program>,
    /// What the runtime needs besides the grant, a line each, for people.
    pub explain: Vec<String>,
}

/// Told about long work, one line for people.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Everything that a plugin's world is made of. It can only be made from a token that was verified.
pub struct Launch {
    /// The plugin.
    pub source: Arc<Source>,
    /// What was prepared for it.
    pub preparation: Preparation,
    /// Its environment: granted variables, and the manifest's own constants.
    pub env: Vec<(String, String)>,
    /// Its bounds.
    pub limits: Limits,
    /// Where its wall tells what it refused, also where the plugin never comes to run. An instance that is started
    /// from this tells the same by [`Instance::denied`].
    pub denials: Denials,
    /// Where acts of its world are recorded before they take effect.
    pub record: Record,
    grant: Grant,
}

impl Launch {
    /// A launch with exactly the grant that `token` carries.
    #[must_use]
    pub fn new(
        token: &Verified,
        source: Arc<Source>,
        preparation: Preparation,
        env: Vec<(String, String)>,
        limits: Limits,
        denials: Denials,
        record: Record,
    ) -> Self {
        Self {
            source,
            preparation,
            env,
            limits,
            denials,
            record,
            grant: token.grant().clone(),
        }
    }

    /// What is granted, and no more.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

/// Builds worlds behind one kind of wall.
#[async_trait]
pub trait Builder: Send + Sync {
    /// The wall, for its report.
    fn wall(&self) -> &dyn Wall;

    /// Finds and fetches what the plugin needs. Runs no code of it. What runs for it, and with what grant, goes to
    /// `record` before it does.
    ///
    /// # Errors
    /// What cannot be found or fetched.
    async fn prepare(
        &self,
        source: &Source,
        progress: Progress,
        record: Record,
    ) -> Result<Preparation, WallError>;

    /// Whether its worlds can tell what they let through, by [`Instance::used`].
    fn tells_uses(&self) -> bool {
        false
    }

    /// Starts the plugin inside the wall.
    ///
    /// # Errors
    /// A wall that could not be built; nothing of the plugin ran then.
    async fn start(&self, launch: Launch) -> Result<Box<dyn Instance>, WallError>;
}

/// A running plugin.
#[async_trait]
pub trait Instance: Send + Sync {
    /// Its tools.
    ///
    /// # Errors
    /// A plugin that does not answer, or not properly.
    async fn tools(&self) -> Result<Vec<Tool>, CallError>;

    /// Calls a tool.
    ///
    /// # Errors
    /// See [`CallError`].
    async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, CallError>;

    /// What its wall refused since the last time.
    fn denied(&self) -> Vec<Denied>;

    /// What its wall let through since the last time, where [`Launch::denials`] wants to know.
    fn used(&self) -> Vec<Used> {
        Vec::new()
    }

    /// Why it is no longer running, once it is not.
    fn ended(&self) -> Option<String>;

    /// Ends it, with everything that it started.
    async fn stop(&self);
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin ended.
    #[error("the plugin ended: {0}")]
    Gone(String),
    /// The plugin did not answer in time.
    #[error("the plugin did not answer within its time limit: {0}")]
    TimedOut(String),
    /// Its answer is over the limit.
    #[error("the plugin's answer is over its size limit: {0}")]
    TooLarge(String),
    /// Its answer is no answer.
    #[error("the plugin's answer cannot be used: {0}")]
    Malformed(String),
    /// The arguments do not fit.
    #[error("the arguments do not fit the tool: {0}")]
    Arguments(String),
    /// The agent no longer wants the answer.
    #[error("the call was cancelled")]
    Cancelled,
    /// The plugin refused or failed by its own account.
    #[error("the plugin reported an error: {0}")]
    Failed(String),
}

impl CallError {
    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone(_) => "plugin_gone",
            Self::TimedOut(_) => "timed_out",
            Self::TooLarge(_) => "too_large",
            Self::Malformed(_) => "malformed_answer",
            Self::Arguments(_) => "bad_arguments",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "plugin_failed",
        }
    }
}

impl fmt::Debug for Launch {
    // Values of the environment stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("plugin", &self.source.manifest.id().as_str())
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
