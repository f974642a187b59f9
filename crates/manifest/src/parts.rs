//! The typed parts of a manifest.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick_capability::{Capability, Kind};
use semver::VersionReq;

use crate::{ArgumentPath, PluginId, Span};

/// Whether a plugin runs without an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Necessity {
    /// Without it the plugin is not loaded.
    Required,
    /// Without it the plugin is loaded reduced.
    Optional,
}

/// One capability that a manifest asks for, and where it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// What is asked.
    pub capability: Capability,
    /// Whether the plugin runs without it.
    pub necessity: Necessity,
    /// Where it stands in the manifest.
    pub span: Span,
}

/// Another plugin that must be loaded before this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Which plugin.
    pub id: PluginId,
    /// Which versions of it will do.
    pub range: VersionReq,
    /// Where it stands in the manifest.
    pub span: Span,
}

/// How a plugin is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// What is started.
    pub start: Start,
    /// Constants for the plugin's environment, each covered by a `read_environment` atom of the manifest.
    /// A constant whose atom was not granted is not set.
    pub env: BTreeMap<String, String>,
    /// What the plugin says it needs; the person's configuration may only lower it.
    pub limits: Limits,
    /// Where `runtime` stands in the manifest; empty for synthetic and embedded manifests.
    pub span: Span,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A native program with its arguments, never empty: an absolute path, `./…` from the manifest's folder, or a bare
    /// name (`npx`, `uvx`, `node`) that the host looks up. Never handed to a shell.
    Command(Vec<String>),
    /// A Wasm component: a path relative to the manifest's folder, without `..`, separated by `/`.
    Component(String),
    /// The Wasm component that carries the manifest in its custom section.
    Embedded,
}

/// Limits that a manifest names; `None` is the host's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Wall time of one tool call.
    pub call: Option<Duration>,
    /// Wall time until the plugin answers for the first time.
    pub start: Option<Duration>,
    /// Bytes of one answer.
    pub output_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

/// What one tool needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tool {
    /// Without one of these the tool is not listed.
    pub needs: Vec<Need>,
    /// Which arguments must lie inside which capability.
    pub arguments: Vec<Binding>,
    /// Which values name what a call that succeeds has made.
    pub creates: Creates,
    /// Where the tool's name stands in the manifest.
    pub span: Span,
}

/// The values of a call that name what it makes, if it succeeds: paths, or ids that the plugin gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Creates {
    /// In its arguments.
    pub arguments: Vec<ArgumentPath>,
    /// In its structured result.
    pub result: Vec<ArgumentPath>,
}

/// Something that a tool needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Any atom of this kind.
    Kind(Kind, Span),
    /// Exactly this, which lies inside one atom of the manifest.
    Capability(Capability, Span),
}

impl Need {
    /// The kind that is needed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Kind(kind, _) => *kind,
            Self::Capability(capability, _) => capability.kind(),
        }
    }

    /// Where it stands in the manifest.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Kind(_, span) | Self::Capability(_, span) => *span,
        }
    }
}

/// An argument of a tool whose value is a scope of `kind` and must lie inside the grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Which argument.
    pub argument: ArgumentPath,
    /// What its value names: a path for `read_files`, an URL for `network_access` and so on.
    pub kind: Kind,
    /// Where the binding stands in the manifest.
    pub span: Span,
}
