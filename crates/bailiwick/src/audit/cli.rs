//! The command line of `bailiwick audit`; what each command takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The log's folder; all logs under BAILIWICK_HOME unless named
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every entry, tile and signature
    Verify(VerifyArgs),
    /// Write a proof that an entry is in the log, or that the log continues an older checkpoint
    Prove(super::prove::ProveArgs),
    /// Check a proof, without the log and offline
    CheckProof(super::prove::CheckArgs),
    /// Ask the witnesses and publish the checkpoints now, as bailiwick.yaml has it
    Publish,
    /// Show the newest entries, and go on with `--follow`
    Tail(TailArgs),
    /// Find entries
    Query(QueryArgs),
    /// Tell the story of a session: what was asked, got and done, and what was stopped
    Timeline(TimelineArgs),
    /// Send entries on as OCSF, OpenTelemetry, syslog or CEF
    Export(ExportArgs),
    /// Say what the log shows for the controls of NIST SP 800-53 or SOC 2, and what it does not
    Report(super::report::ReportArgs),
    /// Erase what is personal; the entries stay, and stay provable
    Erase(super::erase::EraseArgs),
    /// Copy old entries into an archive, which is a log of its own
    Archive(super::archive::ArchiveArgs),
    /// Remove from the log what an archive holds
    Prune(super::archive::PruneArgs),
    /// Bring the index of the log up to date, which makes queries fast
    Index(IndexArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Older checkpoints, which must lie in the log's past: a file with one or many, or a folder of them
    #[arg(long, value_name = "PATH")]
    pub(crate) since: Vec<PathBuf>,
    /// The verifier key, kept elsewhere; the one beside the log unless named
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The folder into which entries were archived before they were pruned from the log
    #[arg(long, value_name = "FOLDER")]
    pub(crate) archive: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) quorum: super::prove::QuorumArgs,
}

/// Which entries; all that is given must hold.
#[derive(Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Of this plugin
    #[arg(long)]
    pub(crate) plugin: Option<String>,
    /// Of this user
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Of this session; the first 8 characters of its id will do
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// Of this agent
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// With this decision: grant, partial, deny or ask
    #[arg(long)]
    pub(crate) decision: Option<String>,
    /// That name this capability, or one that overlaps with it: `read_files`, `read_files:/data/`, `/data/hr/x`,
    /// `network_access:api.example.com`
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) capability: Option<String>,
    /// Of this kind, such as `tool_call`
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// About this tool
    #[arg(long)]
    pub(crate) tool: Option<String>,
    /// From this time on: `2026-11-23`, `2026-11-23T15:04`, or `2h` for two hours ago (also s, m, d, w)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before this time, likewise
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// With this text somewhere in their JSON
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Upper and lower case of the text are the same
    #[arg(short, long, requires = "text")]
    pub(crate) ignore_case: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<u64>,
    /// The newest first
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Only say how many there are
    #[arg(long)]
    pub(crate) count: bool,
    /// Read the whole log, and ask no index
    #[arg(long)]
    pub(crate) no_index: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    pub(crate) lines: u64,
    /// Go on as entries arrive
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// The session; the first 8 characters of its id will do
    #[arg(required_unless_present = "plugin")]
    pub(crate) session: Option<String>,
    /// Only this plugin; without a session, in all of them
    #[arg(long)]
    pub(crate) plugin: Option<String>,
    /// From this time on, as for `query`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// `ocsf`, `otlp`, `syslog` or `cef`
    #[arg(long)]
    pub(crate) format: String,
    /// A file, `-`, or http://, https://, tcp://, tls://, udp:// or unix:PATH
    #[arg(long, value_name = "TARGET", default_value = "-")]
    pub(crate) to: String,
    /// Go on as entries arrive, and from there the next time
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// A header of requests, with the environment variable that holds its value
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub(crate) header: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    /// Make it anew from the log
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Compare it with the log, entry by entry
    #[arg(long, conflicts_with = "rebuild")]
    pub(crate) check: bool,
}
