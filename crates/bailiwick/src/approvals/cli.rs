//! The command line of `bailiwick approvals`; what each command takes.

use std::path::PathBuf;

use bailiwick_approval::Choice;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<ApprovalsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// Show what waits for an answer; the same as without a command
    List,
    /// Show what waits, and what comes, until interrupted
    Watch,
    /// Answer a question
    Answer(AnswerArgs),
    /// Sign a yes elsewhere: the question comes as JSON, the signature is printed
    Sign(SignArgs),
    /// Print the public half of an approver's key; the key is made where there is none
    Key(KeyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The question's id, or its beginning
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// What you say: `once`, `session` or `ever` for yes; `no` or `never` for no
    #[arg(value_name = "CHOICE", value_parser = choice)]
    pub(crate) choice: Choice,
    /// The key to sign a yes with; your own unless named
    #[arg(long, value_name = "FILE", conflicts_with = "signed")]
    pub(crate) key: Option<PathBuf>,
    /// A yes that `sign` signed elsewhere
    #[arg(long, value_name = "BASE64")]
    pub(crate) signed: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// What you say: `once`, `session` or `ever`
    #[arg(value_name = "CHOICE", value_parser = choice)]
    pub(crate) choice: Choice,
    /// The question, as `list --json` prints it; standard input unless named
    #[arg(value_name = "FILE")]
    pub(crate) question: Option<PathBuf>,
    /// The key to sign with; your own unless named
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The key's file; your own unless named
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

fn choice(text: &str) -> Result<Choice, String> {
    Choice::parse(text).ok_or_else(|| "say `once`, `session`, `ever`, `no` or `never`".to_owned())
}
