//! `bailiwick exec`: the same wall around any program.

mod bounds;
mod relay;
mod report;
mod run;
mod seen;
mod signals;
mod streams;
mod terminal;

pub(crate) use bounds::Bound;
pub(crate) use terminal::name as terminal_name;

use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

use anyhow::Context as _;
use bailiwick_audit::{Event, Subject};
use bailiwick_capability::Capability;
use bailiwick_gate::Host;
use bailiwick_gate::admit::{Admitted, Refused, admit};
use bailiwick_gate::assess::Standing;
use bailiwick_gate::discover::source;
use bailiwick_gate::host::session_id;
use bailiwick_gate::resolve::program_as_named;
use bailiwick_gate::world::{Launch, Source};
use bailiwick_jail::Native;
use bailiwick_manifest::{Manifest, Necessity};
use bailiwick_policy::Agent;
use bailiwick_runtime::Settings;
use bailiwick_wall::{Program, WallError};
use serde_json::json;

use crate::assemble::{Parts, host, native_wall};
use crate::cli::ExecArgs;
use crate::config::Config;
use crate::home::Home;
use crate::report::{Exit, LIMIT, NO_WALL, REFUSED, USAGE, exit, say};
use crate::serve::synthetic;
use bounds::Bounds;
use report::Report;
use run::{Ended, Failed, Run, event};

pub(crate) fn run(args: &ExecArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let command = words(args)?;
    let mut report = Report::open(args.json.as_deref(), &command)?;
    let outcome = recorded(args, named, &command, &mut report);
    let (kind, status, message) = match &outcome {
        Ok((kind, status)) => (*kind, *status, None),
        Err(error) => {
            let status = error
                .downcast_ref::<Exit>()
                .map_or(USAGE, |exit| exit.status);
            let kind = match status {
                REFUSED => "refused",
                NO_WALL => "no_wall",
                _ => "error",
            };
            (kind, status, Some(format!("{error:#}")))
        }
    };
    report.write(kind, status, message.as_deref())?;
    outcome.map(|(_, status)| ExitCode::from(status))
}

/// The kind of end, for the report, and the exit status.
type Outcome = (&'static str, u8);

/// A session of its own in the log, from its start to its end.
fn recorded(
    args: &ExecArgs,
    named: Option<&Path>,
    command: &[String],
    report: &mut Report,
) -> anyhow::Result<Outcome> {
    let config = Config::find(named)?.unwrap_or_default();
    let home = Home::locate()?;
    let parts = Parts {
        policies: &args.policy,
        components: false,
        ..Parts::new(&config, &home, &args.given.allow)
    };
    let manifest = asked(args, command)?;
    let host = host(&parts)?;
    let facts = &host.judge.in_force.now().facts;
    report.set("user", json!(facts.user.name));
    report.set("environment", json!(facts.environment));
    report.set("machine", json!(host.judge.machine));
    let settings = Settings {
        terminal: terminal::name(),
        ..Settings::from_process(home.cache())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let exports = crate::export::prepare(&config, &home)?;
    runtime.block_on(crate::export::record(&host.recorder, &exports))?;
    let exports = exports.start();
    let outcome = runtime.block_on(async {
        let agent = Agent {
            name: "exec".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let session = session_id()?;
        report.set("session", json!(session));
        let subject = host.subject(&session, &agent);
        begin(&host, &subject, &agent).await?;
        let of = Asked {
            args,
            host: &host,
            config: &config,
            home: &home,
            settings: &settings,
            session: &session,
            agent: &agent,
        };
        let outcome = of.held(source(manifest, None, None), report).await;
        let reason = match &outcome {
            Ok(_) => "the command ended".to_owned(),
            Err(error) => error.to_string(),
        };
        let end = Event::SessionEnd {
            reason: reason.clone(),
        };
        host.recorder.durable(&subject, end).await?;
        let stop = Event::GateStop { reason };
        host.recorder.durable(&Subject::default(), stop).await?;
        outcome
    });
    exports.finish();
    // Threads that carry a person's keys wait for one more: they end with the process.
    runtime.shutdown_background();
    outcome
}

async fn begin(host: &Host, subject: &Subject, agent: &Agent) -> anyhow::Result<()> {
    let start = Event::GateStart {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: host.config_digest.clone(),
        policy_sha256: host.judge.in_force.now().digest.clone(),
    };
    host.recorder.durable(&Subject::default(), start).await?;
    let begin = Event::SessionStart {
        client: format!("{} {}", agent.name, agent.version),
        protocol: "none".to_owned(),
    };
    Ok(host.recorder.durable(subject, begin).await?)
}

struct Asked<'a> {
    args: &'a ExecArgs,
    host: &'a Host,
    config: &'a Config,
    home: &'a Home,
    settings: &'a Settings,
    session: &'a str,
    agent: &'a Agent,
}

impl Asked<'_> {
    /// One program behind the wall, from its request to its end.
    async fn held(&self, source: Source, report: &mut Report) -> anyhow::Result<Outcome> {
        let host = self.host;
        // The report tells the answers, also where they are all no.
        if let Ok(assessment) = host.judge.assess(self.session, self.agent, &source) {
            report.assessed(&assessment);
        }
        let admitted = match admit(host, self.session, self.agent, Arc::new(source)).await? {
            Ok(admitted) => admitted,
            Err(refused) => return Err(refusal(&refused)),
        };
        tell_shortfall(&admitted);
        let launch = if self.args.explain {
            // Nothing starts, so no start is recorded.
            admitted.world(host)
        } else {
            admitted.launch(host).await?
        };
        let launch = launch.map_err(|why| exit(REFUSED, why))?;
        let native = Native::probe().map_err(|error| wall_error(&error))?;
        let wall = native_wall(self.config, self.home, native)?;
        let world = wall
            .world(program(host, &admitted, &launch)?, &launch, self.settings)
            .map_err(|error| wall_error(&error))?;
        let bounds = Bounds::new(&launch.limits, &self.args.limit);
        report.set("limits", bounds.as_json());
        if self.args.explain {
            let lines = native.explain(&world.program, launch.grant());
            lines.iter().for_each(|line| say!("{line}"));
            return Ok(("explained", 0));
        }
        let run = Run {
            host,
            admitted: &admitted,
            native: &native,
            bounds: &bounds,
        };
        let ended = match run.followed(world).await {
            Ok(ended) => ended,
            Err(failed) => return Err(not_run(host, &admitted, failed).await?),
        };
        host.recorder
            .durable(&admitted.subject, event(&ended))
            .await?;
        report.set("refused_by_wall", ended.seen.as_json());
        report.set("limits_reached", json!(ended.reached));
        Ok(told(&ended))
    }
}

/// What a person gets to read in the end, and what whoever called us gets to know.
fn told(ended: &Ended) -> Outcome {
    for line in ended
        .seen
        .lines(ended.status.success())
        .iter()
        .chain(&ended.reached)
    {
        eprintln!("bailiwick: {line}");
    }
    if ended.stopped {
        return ("limit", LIMIT);
    }
    ("ended", code(ended.status))
}

async fn not_run(
    host: &Host,
    admitted: &Admitted,
    failed: Failed,
) -> anyhow::Result<anyhow::Error> {
    let error = match failed {
        Failed::Audit(error) => return Err(error.into()),
        Failed::Io(error) => exit(NO_WALL, error.to_string()),
        Failed::Wall(error) => wall_error(&error),
    };
    let reason = error.to_string();
    let event = Event::PluginRefused { reason };
    host.recorder.durable(&admitted.subject, event).await?;
    Ok(error)
}

/// What it can do without, and has to.
fn tell_shortfall(admitted: &Admitted) {
    let rows = admitted.assessment.rows.iter();
    for row in rows.filter(|row| row.necessity == Necessity::Optional) {
        let whole = row.standing() == Standing::Granted;
        if !whole {
            let why = row.shortfall().join("; ");
            let why = bailiwick_gate::line(&why);
            eprintln!(
                "bailiwick: without all of `{}`, which is optional: {why}",
                row.asked
            );
        }
    }
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
fn asked(args: &ExecArgs, command: &[String]) -> anyhow::Result<Manifest> {
    let mut required = args.given.allow.clone();
    let mut optional: Vec<Capability> = Vec::new();
    let mut read = None;
    if let Some(path) = &args.manifest {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let manifest = Manifest::parse(&path.display().to_string(), &bytes)
            .map_err(crate::report::diagnostic)?;
        required.extend(manifest.required().map(|atom| atom.capability.clone()));
        optional.extend(manifest.optional().map(|atom| atom.capability.clone()));
        read = Some(manifest);
    }
    let asked = synthetic(command, &required)?.with_optional(optional);
    Ok(match &read {
        Some(manifest) => asked.with_surroundings_of(manifest),
        None => asked,
    })
}

/// The program as prepared, in the person's working directory where that is granted.
fn program(host: &Host, admitted: &Admitted, launch: &Launch) -> anyhow::Result<Program> {
    let mut program = launch
        .preparation
        .program
        .clone()
        .context("the program was not prepared")?;
    // A program is called by the name that was granted, though that be a link.
    let rows = admitted.assessment.rows.iter();
    let granted = rows.filter(|row| row.granted().next().is_some());
    let named = granted.filter_map(|row| program_as_named(&row.asked, &host.judge.search));
    program.closure.run.extend(named);
    // Which sequences the person's terminal obeys; what a manifest says goes before.
    if let Some(name) = terminal::name()
        && program.env.iter().all(|(other, _)| other != "TERM")
    {
        program.env.push(("TERM".into(), name.into()));
    }
    program.cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    Ok(program)
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(NO_WALL)
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
