//! The command line as people see it.

use std::ffi::OsString;
use std::path::PathBuf;

use bailiwick_capability::{Capability, NetScope};
use bailiwick_policy::Agent;
use bailiwick_wall::Place;
use clap::{Args, Parser, Subcommand};

use crate::audit::AuditArgs;
use crate::exec::Bound;
use crate::token::TokenArgs;

/// A capability gate for AI-agent plugins.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The configuration; `bailiwick.yaml` found upward from here unless named
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show in under a minute what Bailiwick does, with real plugins and real attacks
    Demo(DemoArgs),
    /// Serve MCP on standard input and output, with plugins behind their walls
    Serve(ServeArgs),
    /// Run any program inside the wall
    Exec(ExecArgs),
    /// Serve one MCP server, watch what it uses, and propose the smallest manifest that covers it
    Learn(LearnArgs),
    /// Show what a plugin asks, what it gets, and why
    Check(CheckArgs),
    /// Read and verify the audit log
    Audit(Box<AuditArgs>),
    /// Be a witness: cosign checkpoints of logs, each only as the continuation of the last
    Witness(crate::witness::WitnessArgs),
    /// Check, explain, test, simulate and analyze policies
    Policy(crate::policy::PolicyArgs),
    /// Keep secrets that plugins use and never see
    Secret(SecretArgs),
    /// Show what waits for a person's yes, and answer
    Approvals(crate::approvals::ApprovalsArgs),
    /// Read, narrow and revoke the tokens that grants are sealed in
    Token(TokenArgs),
    /// Show what this machine offers, which walls therefore hold, and how to mend the rest
    Doctor(DoctorArgs),
    /// Put a manifest into a Wasm component, so that one file is the whole plugin
    Embed(EmbedArgs),
    /// The demonstration's own misbehaving MCP server
    #[command(hide = true)]
    DemoPlugin,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// The component
    #[arg(value_name = "COMPONENT")]
    pub(crate) component: PathBuf,
    /// Its manifest; `runtime` may be left out, or set limits only
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// Where the component with its manifest goes; an existing file is not replaced
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print what happened as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a person grants by hand.
#[derive(Debug, Default, Args)]
pub(crate) struct Given {
    /// Grant a capability, such as `read_files:/data/docs/`; every `forbid` still holds
    #[arg(long = "allow", value_name = "CAPABILITY", value_parser = parse_capability)]
    pub(crate) allow: Vec<Capability>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) given: Given,
    /// One plugin's manifest, component or folder, instead of the configured plugins
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub(crate) manifest: Option<PathBuf>,
    /// Write the session's tokens to a file that only you may read, for a host that narrows them
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Watch what native plugins use, and write the smallest manifests that cover it into a folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) learn: Option<PathBuf>,
    /// One MCP server to put the gate in front of; it asks for what `--allow` grants
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LearnArgs {
    /// The bound within which it is watched; the working directory unless named. Policy may narrow it
    #[command(flatten)]
    pub(crate) given: Given,
    /// Where the proposed manifest goes instead of standard error; an existing file is not replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Write what was granted, proposed and never used to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The MCP server and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) given: Given,
    /// A manifest whose capabilities are asked for besides
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// A Cedar file, or a folder of them, that decides besides the configured ones
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Vec<PathBuf>,
    /// Bound memory, processes, cpu, files, file-size, disk, time or output, such as `memory=512MiB`
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) limit: Vec<Bound>,
    /// Write what was asked, granted and refused, and how it ended, to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Print the wall that would be built, and run nothing
    #[arg(long)]
    pub(crate) explain: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) given: Given,
    /// A plugin's folder, manifest or component; the configured plugins unless named
    #[arg(value_name = "PLUGIN")]
    pub(crate) plugins: Vec<PathBuf>,
    /// Show what of the grants was never used, as far as a log tells
    #[arg(long)]
    pub(crate) unused: bool,
    /// The folder of that log, if it is not your own
    #[arg(long, value_name = "LOG", requires = "unused")]
    pub(crate) against: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SecretArgs {
    #[command(subcommand)]
    pub(crate) command: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Keep a secret, or replace it; its value is read from standard input
    Set(SecretSetArgs),
    /// Show which secrets there are, where each may go and where it is kept; never a value
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    Rm {
        /// Its exact name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SecretSetArgs {
    /// Its exact name, as in `use_secret:NAME`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Where alone it may go, such as `https://api.github.com`
    #[arg(long, value_name = "URL", value_parser = parse_destination)]
    pub(crate) to: Vec<NetScope>,
    /// Where in a request it may stand: `header:NAME`, `basic`, `query:NAME`, `field:NAME`; `header:authorization` and
    /// `basic` unless named
    #[arg(long = "as", value_name = "PLACE")]
    pub(crate) places: Vec<Place>,
    /// The variable that holds a plugin's placeholder; the name in upper case unless named
    #[arg(long, value_name = "NAME")]
    pub(crate) variable: Option<String>,
    /// Taken only to be refused: whatever stands here was seen by others.
    #[arg(hide = true, value_parser = discard, allow_hyphen_values = true)]
    pub(crate) value: Vec<Discarded>,
    #[arg(long = "value", hide = true, value_parser = discard, allow_hyphen_values = true)]
    pub(crate) named_value: Option<Discarded>,
}

/// An argument that is not kept.
#[derive(Debug, Clone)]
pub(crate) struct Discarded;

#[expect(clippy::unnecessary_wraps, reason = "what a parser looks like")]
fn discard(_: &str) -> Result<Discarded, String> {
    Ok(Discarded)
}

fn parse_destination(text: &str) -> Result<NetScope, String> {
    NetScope::parse(text).map_err(|error| format!("{}; {}", error.message(), error.help()))
}

/// `NAME` or `NAME/VERSION`: an agent as its client names itself.
pub(crate) fn parse_agent(text: &str) -> Result<Agent, String> {
    let (name, version) = text.rsplit_once('/').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("it has no name: write `claude` or `claude/2.1`".to_owned());
    }
    Ok(Agent {
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

pub(crate) fn parse_capability(text: &str) -> Result<Capability, String> {
    text.parse()
        .map_err(|error: bailiwick_capability::CapabilityError| {
            format!("{}; {}", error.message(), error.help())
        })
}
