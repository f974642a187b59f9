//! `bailiwick witness`: cosign checkpoints of logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use bailiwick_tlog::VerifierKey;
use bailiwick_witness::{
    Limits, RealDisk, Store, Witness, keygen, read_key, serve, state_dir, unix_time,
};
use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::{FINE, say};

#[derive(Debug, Args)]
pub(crate) struct WitnessArgs {
    #[command(subcommand)]
    command: WitnessCommand,
}

#[derive(Debug, Subcommand)]
enum WitnessCommand {
    /// Make a witness's key, and beside it, in FILE.state, its memory; print its verifier key
    Keygen {
        /// Where the key goes; nothing there is replaced
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The witness's name for good, such as witness.example.com/w1
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// Serve the witness over HTTP (C2SP tlog-witness)
    Serve {
        /// The key that keygen made; its memory lies beside it
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to listen; what faces others belongs behind a proxy that speaks TLS
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7380")]
        listen: SocketAddr,
        /// The verifier key of a log to watch over, as text or in a file
        #[arg(long = "log", value_name = "VERIFIER_KEY", required = true)]
        logs: Vec<String>,
    },
}

pub(crate) fn run(args: &WitnessArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        WitnessCommand::Keygen { key, name } => {
            say!("{}", keygen(key, name)?);
            Ok(ExitCode::from(FINE))
        }
        WitnessCommand::Serve { key, listen, logs } => watch(key, *listen, logs),
    }
}

fn watch(file: &Path, listen: SocketAddr, logs: &[String]) -> anyhow::Result<ExitCode> {
    let key = read_key(file)?;
    let name = key.verifier().to_string();
    let store = Store::open(&state_dir(file), key.verifier(), Arc::new(RealDisk))?;
    let logs: Vec<VerifierKey> = logs
        .iter()
        .map(|log| read_log(log))
        .collect::<Result<_, _>>()?;
    let same = |log: &&VerifierKey| log.public_bytes() == key.verifier().public_bytes();
    ensure!(
        !logs.iter().any(|log| same(&log)),
        "the witness's own key is named as a log's: nobody can be the witness of what he writes himself"
    );
    let count = logs.len();
    let witness = Witness::new(key, store, logs.into_iter().map(Into::into), unix_time);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        say!("{name}");
        say!("watches over {count} logs on http://{address}/");
        let (mut terminated, mut interrupted) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        tokio::select! {
            ended = serve(listener, Arc::new(witness), Limits::default()) => ended?,
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        Ok(ExitCode::from(FINE))
    })
}

fn read_log(named: &str) -> anyhow::Result<VerifierKey> {
    if let Ok(key) = named.parse() {
        return Ok(key);
    }
    let text = std::fs::read_to_string(named).with_context(|| {
        format!("`{named}` is neither a verifier key of a log nor a file with one")
    })?;
    let key = text.trim_end().parse();
    key.with_context(|| format!("`{named}` holds no verifier key of a log"))
}
