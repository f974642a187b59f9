//! The `bailiwick` command: a capability gate for AI-agent plugins.

mod approvals;
mod assemble;
mod audit;
mod beyond;
mod changes;
mod check;
mod cli;
mod config;
mod counts;
mod decides;
mod demo;
mod doctor;
mod embed;
mod exec;
mod export;
mod home;
mod learn;
mod origin;
mod person;
mod policy;
mod report;
mod secret;
mod serve;
mod token;
mod trusted;
mod walls;
mod whole;
mod witness;
mod workspace;
mod zone;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn no_cores() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A crash must leave no secret on a disk. Plugins have the same bound by their wall.
    if let Err(error) = no_cores() {
        eprintln!("bailiwick: core dumps cannot be switched off: {error}");
        return ExitCode::from(report::NO_WALL);
    }
    let config = cli.config.as_deref();
    let outcome = match &cli.command {
        Command::Demo(args) => demo::run(args),
        Command::DemoPlugin => demo::plugin(),
        Command::Serve(args) => serve::run(args, config).map(|()| ExitCode::SUCCESS),
        Command::Learn(args) => learn::run(args, config),
        Command::Exec(args) => exec::run(args, config),
        Command::Check(args) => check::run(args, config),
        Command::Doctor(args) => doctor::run(args, config),
        Command::Embed(args) => embed::run(args),
        Command::Audit(args) => audit::run(args, config),
        Command::Approvals(args) => approvals::run(args),
        Command::Token(args) => token::run(args),
        Command::Witness(args) => witness::run(args),
        Command::Policy(args) => policy::run(args, config),
        Command::Secret(args) => secret::run(args, config),
    };
    outcome.unwrap_or_else(|error| report::failed(&error))
}
