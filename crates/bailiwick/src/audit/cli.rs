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
    Verify {
        /// An older checkpoint of this log, which must lie in its past
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// The verifier key, kept elsewhere; the one beside the log unless named
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Show the newest entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u64,
        /// Go on as entries arrive
        #[arg(short, long)]
        follow: bool,
    },
    /// Find entries
    Query(QueryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Of this plugin
    #[arg(long)]
    pub(crate) plugin: Option<String>,
    /// Of this user
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Of this session
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// With this decision: grant, partial, deny or ask
    #[arg(long)]
    pub(crate) decision: Option<String>,
    /// Of this kind, such as `tool_call`
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Not before this time (RFC 3339)
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Not after this time (RFC 3339)
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// With this text somewhere
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// At most so many
    #[arg(long)]
    pub(crate) limit: Option<u64>,
}
