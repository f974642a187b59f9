//! The command line of `bailiwick policy`; what each command takes.

use std::path::PathBuf;

use bailiwick_capability::Capability;
use bailiwick_policy::Agent;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Look for errors, useless rules, and names of plugins that there are not
    Check {
        #[command(flatten)]
        set: SetArgs,
    },
    /// Say why an answer is what it is, and the smallest change that would grant it
    Explain(Box<ExplainArgs>),
    /// Run cases with expected answers
    Test {
        /// The cases, in YAML
        #[arg(value_name = "CASES", required = true)]
        cases: Vec<PathBuf>,
    },
    /// Decide again what a log recorded, under other policies: what would have changed
    Simulate {
        #[command(flatten)]
        set: SetArgs,
        /// The log's folder
        #[arg(long, value_name = "DIR", required = true)]
        against: PathBuf,
    },
    /// Ask about all requests at once: does it permit more than before, can confidential data leave
    Analyze(AnalyzeArgs),
}

/// Which policies.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Cedar files and folders in place of the configured ones
    #[arg(value_name = "POLICY")]
    pub(crate) policies: Vec<PathBuf>,
    /// Links of templates, in JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) links: Vec<PathBuf>,
}

/// Who asks, in which circumstances.
#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// The user; you unless named
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// A role of the user, besides the configured ones
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    /// A group of the user, besides those that you have if it is you
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// The user's department, in place of the configured one
    #[arg(long)]
    pub(crate) department: Option<String>,
    /// The plugin's id; of a configured one, version, digest, folder and wall are its own
    #[arg(long, default_value = "com.example.plugin")]
    pub(crate) plugin: String,
    /// The plugin's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<String>,
    /// The agent, as its client names itself
    #[arg(long, value_name = "NAME[/VERSION]", default_value = "agent", value_parser = crate::cli::parse_agent)]
    pub(crate) agent: Agent,
    /// The wall that would hold the grant; the plugin's own unless named, or `native`
    #[arg(long)]
    pub(crate) isolation: Option<String>,
    /// What the session has touched, besides the configured labels
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// What a machine has, in place of what this one was seen to have
    #[arg(long = "machine", value_name = "NAME")]
    pub(crate) machine: Vec<String>,
    /// The environment; the configured one unless named
    #[arg(long)]
    pub(crate) environment: Option<String>,
    /// The time (RFC 3339); now unless named
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// What is asked for, such as `read_files:/data/`
    #[arg(value_name = "CAPABILITY", value_parser = crate::cli::parse_capability, required_unless_present = "call")]
    pub(crate) asked: Option<Capability>,
    /// A call of this tool of the plugin instead
    #[arg(long, value_name = "TOOL", conflicts_with = "asked")]
    pub(crate) call: Option<String>,
    /// The call's arguments, as a JSON object
    #[arg(long, value_name = "JSON", requires = "call")]
    pub(crate) arguments: Option<String>,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
    /// A Cedar file or folder in place of the configured ones
    #[arg(long = "policy", value_name = "FILE")]
    pub(crate) policies: Vec<PathBuf>,
    /// Links of templates, in JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) links: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    #[command(flatten)]
    pub(crate) set: SetArgs,
    /// Whether they permit anything that these do not; the configured ones unless named
    #[arg(long, value_name = "POLICY", num_args = 0..)]
    pub(crate) against: Option<Vec<PathBuf>>,
    /// Whether one session can read paths with this label, and reach the network
    #[arg(long, value_name = "LABEL", conflicts_with = "against")]
    #[arg(required_unless_present = "against")]
    pub(crate) leaks: Option<String>,
    /// Count permits that ask a person as permits
    #[arg(long)]
    pub(crate) approved: bool,
    /// The time (RFC 3339); now unless named
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The solver: cvc5, found on the search path unless named
    #[arg(long, value_name = "PROGRAM", default_value = "cvc5")]
    pub(crate) solver: PathBuf,
    /// How long it may think about one question, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) limit: u64,
}
