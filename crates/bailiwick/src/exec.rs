//! `bailiwick exec`: the same wall around any program.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use bailiwick_audit::Event;
use bailiwick_capability::Capability;
use bailiwick_gate::Host;
use bailiwick_gate::admit::{Admitted, Refused, admit};
use bailiwick_gate::discover::source;
use bailiwick_gate::host::session_id;
use bailiwick_gate::world::{Launch, Source};
use bailiwick_jail::{Native, Stdio};
use bailiwick_manifest::Manifest;
use bailiwick_policy::Agent;
use bailiwick_runtime::Settings;
use bailiwick_wall::{Limits, Program, WallError};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};

use crate::assemble::{Parts, host};
use crate::cli::ExecArgs;
use crate::config::Config;
use crate::home::Home;
use crate::report::{NO_WALL, REFUSED, USAGE, exit, say};
use crate::serve::synthetic;
use crate::walls::extend_closure;

pub(crate) fn run(args: &ExecArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::find(named)?.unwrap_or_default();
    let home = Home::locate()?;
    let parts = Parts::new(&config, &home, &args.given.allow);
    let host = host(&parts)?;
    let settings = Settings::from_process(home.cache());
    let command = words(args)?;
    let atoms = asked(args)?;
    let source = source(synthetic(&command, &atoms)?, None, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let agent = Agent {
            name: "exec".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let session = session_id()?;
        let subject = host.subject(&session, &agent);
        let client = format!("{} {}", agent.name, agent.version);
        let protocol = "none".to_owned();
        let begin = Event::SessionStart { client, protocol };
        host.recorder.durable(&subject, begin).await?;
        let outcome = held(args, &host, &settings, &session, &agent, source).await;
        let reason = match &outcome {
            Ok(_) => "the command ended".to_owned(),
            Err(error) => error.to_string(),
        };
        let end = Event::SessionEnd { reason };
        host.recorder.durable(&subject, end).await?;
        outcome
    })
}

/// One program behind the wall, from its request to its end.
async fn held(
    args: &ExecArgs,
    host: &Host,
    settings: &Settings,
    session: &str,
    agent: &Agent,
    source: Source,
) -> anyhow::Result<ExitCode> {
    let admitted = match admit(host, session, agent, Arc::new(source)).await? {
        Ok(admitted) => admitted,
        Err(refused) => return Err(refusal(&refused)),
    };
    let launch = if args.explain {
        // Nothing starts, so no start is recorded.
        admitted.world(host)
    } else {
        admitted.launch(host).await?
    };
    let launch = launch.map_err(|why| exit(REFUSED, why))?;
    let program = program(&launch, settings)?;
    let native = Native::probe().map_err(|error| wall_error(&error))?;
    if args.explain {
        let lines = native.explain(&program, launch.grant());
        lines.iter().for_each(|line| say!("{line}"));
        return Ok(ExitCode::SUCCESS);
    }
    start(host, &admitted, &native, &program, &launch).await
}

fn words(args: &ExecArgs) -> anyhow::Result<Vec<String>> {
    let word = |word: &std::ffi::OsString| {
        word.to_str()
            .map(str::to_owned)
            .with_context(|| format!("{word:?} is not UTF-8"))
    };
    args.command.iter().map(word).collect()
}

/// What the program asks for: what the person allows, and what a manifest lists.
fn asked(args: &ExecArgs) -> anyhow::Result<Vec<Capability>> {
    let mut atoms = args.given.allow.clone();
    if let Some(path) = &args.manifest {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let manifest = Manifest::parse(&path.display().to_string(), &bytes)
            .map_err(crate::report::diagnostic)?;
        atoms.extend(manifest.atoms().iter().map(|atom| atom.capability.clone()));
    }
    Ok(atoms)
}

/// The program as prepared, in the person's working directory where that is granted.
fn program(launch: &Launch, settings: &Settings) -> anyhow::Result<Program> {
    let mut program = launch
        .preparation
        .program
        .clone()
        .context("the program was not prepared")?;
    program.env.extend(
        launch
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    program.cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    extend_closure(&mut program.closure, launch.grant(), settings)
        .map_err(|error| wall_error(&error))?;
    Ok(program)
}

async fn start(
    host: &Host,
    admitted: &Admitted,
    native: &Native,
    program: &Program,
    launch: &Launch,
) -> anyhow::Result<ExitCode> {
    // A person at a terminal takes as long as they like.
    let limits = Limits {
        cpu_seconds: None,
        ..launch.limits.clone()
    };
    // From here on the terminal's signals are the program's: it is in the same process group.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut jailed = match native.spawn(program, launch.grant(), &limits, Stdio::Inherit) {
        Ok(jailed) => jailed,
        Err(error) => {
            let event = Event::PluginRefused {
                reason: error.to_string(),
            };
            host.recorder.durable(&admitted.subject, event).await?;
            return Err(wall_error(&error));
        }
    };
    let pidfd = jailed.pidfd().try_clone_to_owned()?;
    let mut ended = tokio::task::spawn_blocking(move || until_ended(&pidfd));
    let status = loop {
        tokio::select! {
            ready = &mut ended => {
                ready??;
                break jailed.wait()?;
            }
            _ = interrupted.recv() => {}
            _ = terminated.recv() => jailed.terminate()?,
            _ = hung_up.recv() => jailed.terminate()?,
        }
    };
    let event = Event::PluginEnd {
        status: status.to_string(),
    };
    host.recorder.durable(&admitted.subject, event).await?;
    Ok(code(status))
}

fn until_ended(pidfd: &OwnedFd) -> std::io::Result<()> {
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    loop {
        match poll(&mut polled, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn code(status: std::process::ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(NO_WALL),
    )
}

fn refusal(refused: &Refused) -> anyhow::Error {
    let status = match refused {
        Refused::NoWall(_) => NO_WALL,
        Refused::NotGranted(_) | Refused::NoToken(_) => REFUSED,
        Refused::NotPrepared(_) => USAGE,
    };
    exit(status, refused.to_string())
}

fn wall_error(error: &WallError) -> anyhow::Error {
    let status = match error {
        WallError::Refused(_) => REFUSED,
        WallError::Plugin(_) => USAGE,
        WallError::Unsupported { .. } | WallError::Build { .. } => NO_WALL,
    };
    exit(status, error.to_string())
}
