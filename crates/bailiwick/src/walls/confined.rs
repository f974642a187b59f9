//! npm and pip behind the native wall: a fresh folder to write, the configured registries to reach, no more.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bailiwick_audit::Event;
use bailiwick_gate::admit::lines;
use bailiwick_gate::record::Record;
use bailiwick_jail::{Extras, Jailed, Native, Stdio, Watch};
use bailiwick_runtime::{MAX_OUTPUT, Outcome, Runner, Step};
use bailiwick_wall::{Denials, Limits, WallError};
use tokio::runtime::Handle;

use super::world::{listeners, reach};

const HOSTS: &str = "/etc/hosts";
/// How often a step's end is looked for.
const GLANCE: Duration = Duration::from_millis(10);
/// A registry's client unpacks what others made: enough for large packages, and an end.
const DISK: u64 = 4 << 30;

/// Runs each step in a world of its own, recorded before it starts; what its wall refused is recorded after.
pub(crate) struct Confined {
    pub(crate) jail: Native,
    pub(crate) watch: Watch,
    pub(crate) extra_roots: Vec<Vec<u8>>,
    pub(crate) record: Record,
    pub(crate) handle: Handle,
}

impl Runner for Confined {
    fn wall(&self) -> &'static str {
        "native"
    }

    fn run(&self, step: &Step) -> Result<Outcome, String> {
        self.record(Event::PreparationStart {
            step: step.what.clone(),
            wall: self.wall().to_owned(),
            grant: lines(&step.grant),
        })?;
        let denials = Denials::new();
        let outcome = self.held(step, &denials);
        self.record(Event::PreparationEnd {
            step: step.what.clone(),
            status: ended(&outcome),
        })?;
        for denied in denials.take() {
            self.record(Event::OperationDenied {
                operation: denied.operation,
                target: denied.target,
                reason: format!("{}: {}", step.what, denied.reason),
                dropped: denied.times.saturating_sub(1),
            })?;
        }
        outcome
    }
}

impl Confined {
    fn record(&self, event: Event) -> Result<(), String> {
        self.handle
            .block_on(self.record.durable(event))
            .map_err(|error| error.to_string())
    }

    fn held(&self, step: &Step, denials: &Denials) -> Result<Outcome, String> {
        let told = |error: WallError| error.to_string();
        let settings = bailiwick_egress::Settings {
            extra_roots: self.extra_roots.clone(),
            ..bailiwick_egress::Settings::default()
        };
        let egress =
            bailiwick_egress::Prepared::new(&step.grant, Vec::new(), settings).map_err(told)?;
        let mut program = step.program.clone();
        let mut extras = Extras {
            denials: denials.clone(),
            watch: self.watch,
            ..Extras::default()
        };
        if let Some(egress) = &egress {
            reach(egress, &mut program, &mut extras);
            extras.files = with_hosts(extras.files, &step.hosts);
        }
        let limits = Limits {
            disk_bytes: Some(DISK),
            ..Limits::default()
        };
        let mut jailed = self
            .jail
            .spawn_with(&program, &step.grant, &limits, Stdio::Piped, &extras)
            .map_err(told)?;
        // Sockets are served by the runtime that this thread waits beside.
        let _inside = self.handle.enter();
        let _served = match (egress, listeners(&mut jailed)) {
            (Some(egress), Some(listeners)) => Some(
                egress
                    .serve(listeners, denials.clone())
                    .map_err(|error| error.to_string())?,
            ),
            (Some(_), None) => return Err("its network was not made".to_owned()),
            (None, _) => None,
        };
        finish(jailed, step.timeout).map_err(|error| error.to_string())
    }
}

/// How a step ended, in words of ours: what it printed is not kept.
fn ended(outcome: &Result<Outcome, String>) -> String {
    match outcome {
        Ok(Outcome {
            status: Some(status),
            ..
        }) => status.to_string(),
        Ok(_) => "stopped at a limit".to_owned(),
        Err(why) => format!("it did not run: {why}"),
    }
}

/// The host table with the names that are granted by their addresses.
fn with_hosts(
    mut files: Vec<(PathBuf, Vec<u8>)>,
    hosts: &BTreeMap<String, Vec<IpAddr>>,
) -> Vec<(PathBuf, Vec<u8>)> {
    let lines = hosts.iter().flat_map(|(name, addresses)| {
        addresses
            .iter()
            .map(move |address| format!("{address} {name}\n"))
    });
    let lines: String = lines.collect();
    if let Some((_, table)) = files.iter_mut().find(|(path, _)| path.as_os_str() == HOSTS) {
        table.extend(lines.into_bytes());
    }
    files
}

/// Waits for the end, in time and with bounded output; dropping it ends what is left.
fn finish(mut jailed: Jailed, timeout: Duration) -> std::io::Result<Outcome> {
    drop(jailed.stdin.take());
    let (out, err) = (read(jailed.stdout.take()), read(jailed.stderr.take()));
    let deadline = Instant::now() + timeout;
    let status: Option<ExitStatus> = loop {
        match jailed.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => break None,
            None => std::thread::sleep(GLANCE),
        }
    };
    drop(jailed);
    let text = |thread: JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    let (stdout, stderr) = (text(out), text(err));
    let whole = [&stdout, &stderr]
        .iter()
        .all(|text| (text.len() as u64) < MAX_OUTPUT);
    Ok(Outcome {
        status: status.filter(|_| whole),
        stdout,
        stderr,
    })
}

/// Reads up to the bound, and then no more: whoever goes on writing waits, until its time is over.
fn read(pipe: Option<OwnedFd>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _ = std::fs::File::from(pipe)
                .take(MAX_OUTPUT)
                .read_to_end(&mut bytes);
        }
        bytes
    })
}
