//! `bailiwick demo`: the whole story in the terminal, on real plugins. Everything printed happened in this run.

mod attack;
mod client;
mod rogue;
mod stage;
mod story;
mod teller;

use std::process::ExitCode;

use crate::cli::DemoArgs;
use crate::report::{FINE, FOUND};

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut teller = teller::Teller::new(args.json);
    let outcome = runtime.block_on(story::tell(&mut teller));
    runtime.shutdown_background();
    outcome?;
    Ok(ExitCode::from(if teller.finish()? { FINE } else { FOUND }))
}

/// The misbehaving server itself.
pub(crate) fn plugin() -> anyhow::Result<ExitCode> {
    rogue::run()?;
    Ok(ExitCode::SUCCESS)
}
