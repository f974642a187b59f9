//! What happened: the versioned JSON of one entry of the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::argument::Argument;
pub use crate::outcome::{AtomDecision, Moment, Outcome, QuestionState};
pub use crate::subject::Subject;

/// The version of the entry format that this crate writes. It reads every version from 1 to this one.
pub const ENTRY_VERSION: u32 = 2;

/// One entry: when, on whose behalf, and what. Its index in the log is its sequence number, so it holds none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct Entry {
    /// Format version: [`ENTRY_VERSION`], or an older one.
    pub v: u32,
    /// When, as RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// On whose behalf; absent parts were not known.
    #[serde(default)]
    pub subject: Subject,
    /// What happened.
    pub event: Event,
}

/// What happened. `kind` names it in the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub enum Event {
    /// The gate began to serve.
    GateStart {
        /// Bailiwick's version.
        version: String,
        /// Digest of the configuration in force.
        config_sha256: String,
        /// Digest of the policy set in force.
        policy_sha256: String,
    },
    /// The gate stopped.
    GateStop {
        /// Why.
        reason: String,
    },
    /// A client opened a session.
    SessionStart {
        /// The client's name and version, as it says.
        client: String,
        /// The protocol revision spoken.
        protocol: String,
    },
    /// A session ended.
    SessionEnd {
        /// Why.
        reason: String,
    },
    /// A plugin's manifest asked for capabilities.
    Request {
        /// The plugin's version.
        version: String,
        /// Atoms that it does not load without.
        required: Vec<String>,
        /// Atoms that it can do without.
        optional: Vec<String>,
    },
    /// Policy answered a request or a call.
    Decision {
        /// The whole answer.
        outcome: Outcome,
        /// What was decided on: `load`, `call`, or `operation`.
        moment: Moment,
        /// Each atom's answer.
        atoms: Vec<AtomDecision>,
        /// Facts that the decision rested on, by name; never secrets.
        context: BTreeMap<String, String>,
    },
    /// A capability token was minted.
    TokenMinted {
        /// Its revocation id.
        id: String,
        /// When it ends, RFC 3339.
        expiry: String,
        /// What it grants.
        grant: Vec<String>,
    },
    /// A token was not accepted.
    TokenRefused {
        /// Its revocation id, where it could be read.
        id: Option<String>,
        /// Why.
        reason: String,
    },
    /// A token was revoked.
    TokenRevoked {
        /// Its revocation id.
        id: String,
        /// Why.
        reason: String,
    },
    /// A person answered, or a grant was given by hand.
    Approval {
        /// What was asked of them.
        asked: Vec<String>,
        /// What they said.
        outcome: Outcome,
        /// Who.
        approver: String,
        /// How long it holds: `once`, `session`, `always`, or a time.
        duration: String,
    },
    /// What becomes of a question to people. An answer that counts is an approval.
    Question {
        /// The question's id, the same in all that becomes of it.
        id: String,
        /// What is asked, as in the approval.
        asked: Vec<String>,
        /// What becomes of it.
        state: QuestionState,
        /// Who gave an answer that does not count, as far as that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why; empty where it is put.
        reason: String,
    },
    /// The policy set was replaced, or a replacement was refused.
    PolicyChange {
        /// Digest of the set.
        policy_sha256: String,
        /// Whether it is in force.
        loaded: bool,
        /// What is wrong with it, when it is not.
        reason: String,
    },
    /// A plugin is about to start.
    PluginStart {
        /// The wall that holds it: `native`, `wasm`.
        wall: String,
        /// The grant that it is held to.
        grant: Vec<String>,
        /// The tools that it offers, where known.
        tools: Vec<String>,
        /// Whether everything that it uses of the grant is told.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        watched: bool,
        /// The program as it was named, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program: Option<String>,
        /// What follows it on its command line, hashed or shown by the rule for arguments of calls.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<Argument>,
    },
    /// Tools are about to be offered: those of one plugin, or those that an agent is shown.
    ToolsListed {
        /// Their names at the gate.
        offered: Vec<String>,
        /// Those that are not offered, each with the reason.
        withheld: BTreeMap<String, String>,
    },
    /// A plugin was not started.
    PluginRefused {
        /// Why.
        reason: String,
    },
    /// A plugin ended as it should.
    PluginEnd {
        /// Its exit status or why it was stopped.
        status: String,
    },
    /// A plugin ended as it should not: crash, hang, flood, malformed output.
    PluginCrash {
        /// What it did.
        reason: String,
    },
    /// A tool is about to be called.
    ToolCall {
        /// The call's id, repeated in its result.
        call: String,
        /// The tool's name at the gate.
        tool: String,
        /// The arguments, hashed or shown by rule.
        arguments: BTreeMap<String, Argument>,
    },
    /// A tool answered.
    ToolResult {
        /// The call's id.
        call: String,
        /// The tool's name at the gate.
        tool: String,
        /// Size of the answer in bytes.
        bytes: u64,
        /// SHA-256 of the answer as it was sent on.
        sha256: String,
        /// Whether the tool called it an error.
        is_error: bool,
        /// How long it took.
        millis: u64,
    },
    /// A call was refused before the plugin saw it.
    CallRefused {
        /// The call's id.
        call: String,
        /// The tool's name at the gate.
        tool: String,
        /// Why: the missing capability, or what is wrong with the arguments.
        reason: String,
        /// Ids of the policies that determined it.
        policies: Vec<String>,
    },
    /// A wall that is watched let an operation through; the same one again and again is told once for a call.
    OperationAllowed {
        /// What was done: `network_access`, `execute_code`, …
        operation: String,
        /// On what. From the plugin: data, not to be trusted.
        target: String,
        /// The atom of the grant that covers it.
        granted: String,
    },
    /// A wall refused an operation.
    OperationDenied {
        /// What was tried: `read_files`, `network_access`, …
        operation: String,
        /// On what. From the plugin: data, not to be trusted.
        target: String,
        /// Why it was refused.
        reason: String,
        /// How many more were refused and not written one by one: repeats, and what the rate limit left out.
        dropped: u64,
    },
    /// A step of preparing a package is about to run: one of the machine's own tools, with a grant of its own.
    PreparationStart {
        /// What it is for: `npm install`, `pip install`, …
        step: String,
        /// The wall that holds it; `none` where there is none.
        wall: String,
        /// The grant that it is held to, an atom each.
        grant: Vec<String>,
    },
    /// A step of preparing a package ended.
    PreparationEnd {
        /// What it was for.
        step: String,
        /// How it ended.
        status: String,
    },
    /// A package was fetched into the cache, before it is run.
    PackagePrepared {
        /// Where from: `npm`, `pypi`.
        registry: String,
        /// Its name.
        package: String,
        /// Its exact version.
        version: String,
        /// Its integrity string or digest.
        integrity: String,
    },
    /// A secret is about to be kept, in place of an older one of its name if there is one. The value is nowhere here.
    SecretStored {
        /// Its name.
        secret: String,
        /// Where it may go, such as `https://api.example.com`.
        to: Vec<String>,
        /// Where in a request it may stand, such as `header:authorization`.
        places: Vec<String>,
        /// The variable that holds a plugin's placeholder.
        variable: String,
        /// Where it is kept: `keyring` or `file`.
        keeper: String,
        /// Whether there is an older one.
        replaced: bool,
    },
    /// A secret is about to be removed.
    SecretRemoved {
        /// Its name.
        secret: String,
    },
    /// A secret is about to be sent in place of its placeholder.
    SecretUse {
        /// Its name.
        secret: String,
        /// Where to, such as `https://api.example.com:443`.
        destination: String,
    },
    /// A tool's description or schema is not the one that was approved.
    ToolChanged {
        /// The tool's name at the gate.
        tool: String,
        /// Digest that was approved.
        pinned: String,
        /// Digest that was found.
        found: String,
    },
    /// Something altered what should not change: a file of ours, a package, a token.
    Tamper {
        /// What.
        what: String,
        /// How it was noticed.
        detail: String,
    },
    /// A key of ours was made, taken up, replaced or removed. The key itself is nowhere here.
    KeyChange {
        /// Which: `audit`, `token`, `secrets`, …
        key: String,
        /// What became of it: `made`, `replaced`, `removed`.
        action: String,
        /// What tells it from others: its public half, or a digest of that.
        id: String,
    },
    /// Values of older entries are about to be erased. The entries stay, and the tree over them.
    Erasure {
        /// What is erased: `a user`, `session 1f…`, `entry 17`. Never the erased value.
        of: String,
        /// Who erases; absent where their own name is what is erased.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why, in their words.
        reason: String,
        /// How many entries lose values.
        entries: u64,
        /// How many values.
        values: u64,
    },
    /// The older part of the log was copied into an archive.
    Archived {
        /// How many entries, from the first.
        entries: u64,
        /// Root of the tree over them, in base64.
        root: String,
        /// The archive's folder.
        to: String,
    },
    /// The archived part of the log is about to be removed from it. Its hashes stay.
    Pruned {
        /// How many entries, from the first.
        entries: u64,
        /// Root of the tree over them, in base64.
        root: String,
    },
    /// The log was opened after a writer that had not closed it.
    Recovery {
        /// Whole entries found that no published checkpoint covered; they are kept.
        kept: u64,
        /// How many of those no signature covered.
        unsealed: u64,
        /// Bytes of an unfinished entry that were cut from the end; 0 for none.
        cut_bytes: u64,
        /// SHA-256 of what was cut.
        cut_sha256: Option<String>,
    },
}

impl Event {
    /// The name of the kind as it stands in the JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::GateStart { .. } => "gate_start",
            Self::GateStop { .. } => "gate_stop",
            Self::SessionStart { .. } => "session_start",
            Self::SessionEnd { .. } => "session_end",
            Self::Request { .. } => "request",
            Self::Decision { .. } => "decision",
            Self::TokenMinted { .. } => "token_minted",
            Self::TokenRefused { .. } => "token_refused",
            Self::TokenRevoked { .. } => "token_revoked",
            Self::Approval { .. } => "approval",
            Self::Question { .. } => "question",
            Self::PolicyChange { .. } => "policy_change",
            Self::PluginStart { .. } => "plugin_start",
            Self::ToolsListed { .. } => "tools_listed",
            Self::PluginRefused { .. } => "plugin_refused",
            Self::PluginEnd { .. } => "plugin_end",
            Self::PluginCrash { .. } => "plugin_crash",
            Self::ToolCall { .. } => "tool_call",
            Self::ToolResult { .. } => "tool_result",
            Self::CallRefused { .. } => "call_refused",
            Self::OperationAllowed { .. } => "operation_allowed",
            Self::OperationDenied { .. } => "operation_denied",
            Self::PreparationStart { .. } => "preparation_start",
            Self::PreparationEnd { .. } => "preparation_end",
            Self::PackagePrepared { .. } => "package_prepared",
            Self::SecretStored { .. } => "secret_stored",
            Self::SecretRemoved { .. } => "secret_removed",
            Self::SecretUse { .. } => "secret_use",
            Self::ToolChanged { .. } => "tool_changed",
            Self::Tamper { .. } => "tamper",
            Self::KeyChange { .. } => "key_change",
            Self::Erasure { .. } => "erasure",
            Self::Archived { .. } => "archived",
            Self::Pruned { .. } => "pruned",
            Self::Recovery { .. } => "recovery",
        }
    }

    /// The outcome that this event records, if it is of something that was decided. A refusal counts as `deny`
    /// whichever way it was made: never as success and never as an error.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Decision { outcome, .. } | Self::Approval { outcome, .. } => Some(*outcome),
            Self::Question { state, .. } => match state {
                QuestionState::Put => Some(Outcome::Ask),
                QuestionState::NotPut | QuestionState::AnswerRefused => Some(Outcome::Deny),
                QuestionState::Withdrawn => None,
            },
            Self::TokenRefused { .. }
            | Self::PluginRefused { .. }
            | Self::CallRefused { .. }
            | Self::OperationDenied { .. } => Some(Outcome::Deny),
            Self::OperationAllowed { .. } => Some(Outcome::Grant),
            _ => None,
        }
    }
}
