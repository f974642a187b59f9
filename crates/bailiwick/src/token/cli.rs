//! The command line of `bailiwick token`; what each command takes.

use std::path::PathBuf;
use std::time::Duration;

use bailiwick_capability::Capability;
use clap::{ArgGroup, Args, Subcommand};

use crate::cli::parse_capability;

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Say in plain words what a token allows, until when, and who narrowed it
    Inspect(FromArgs),
    /// Narrow a token, with nothing but the token; the new one is printed
    Attenuate(AttenuateArgs),
    /// Revoke tokens; gates that run end what they allowed at once
    Revoke(RevokeArgs),
    /// Show what is revoked
    Revoked,
    /// Seal with a new key from now on; tokens of the old one hold until they expire
    Rotate,
}

/// Where a token comes from. Never an argument: other programs and the shell's history see those.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// The file that holds the token; standard input unless named
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AttenuateArgs {
    #[command(flatten)]
    pub(crate) from: FromArgs,
    /// Keep only this of what it allows, such as `read_files:/data/docs/`; may be repeated
    #[arg(long = "only", value_name = "CAPABILITY", value_parser = parse_capability, required_unless_present = "whole")]
    pub(crate) only: Vec<Capability>,
    /// Keep all that it allows
    #[arg(long, conflicts_with = "only")]
    pub(crate) whole: bool,
    /// For at most this long from now, such as `10m`
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) lasting: Option<Duration>,
    /// Whom it is for, for people who read it
    #[arg(long, value_name = "TEXT")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["id", "session", "plugin", "user"]))]
pub(crate) struct RevokeArgs {
    /// The token with this revocation id, and every token made of it
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Every token of this session
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Every token of this plugin, as of now
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) plugin: Option<String>,
    /// Every token of this user, as of now
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Why, for the log and for people
    #[arg(long, value_name = "TEXT", default_value = "revoked by hand")]
    pub(crate) reason: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    bailiwick_manifest::time(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("`{text}` is no time: write `90s`, `10m` or `2h`"))
}
