//! Wires everything by hand: the only place that knows every part.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_audit::{AuditError, Event, Log, Options, SystemClock};
use bailiwick_capability::Capability;
use bailiwick_gate::record::Recorder;
use bailiwick_gate::resolve::SearchPath;
use bailiwick_gate::world::{Builder, Progress};
use bailiwick_gate::{Facts, Host, Judge, Ruling};
use bailiwick_jail::{Machine, Native};
use bailiwick_policy::{PolicyError, User};
use bailiwick_runtime::Settings;
use bailiwick_wall::WallError;
use bailiwick_wasm::Wasm;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::approvals::Policies;
use crate::beyond::Beyond;
use crate::config::{AuditMode, Config};
use crate::decides::{Read, classification, policies, sources};
use crate::home::{Home, MAX_LOGS};
use crate::origin::{Origin, Plugins};
use crate::person::Person;
use crate::walls::{NativeBuilder, NativeWall, WasmBuilder};
use crate::zone::zone;

/// How long a session's grants last.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many of a policy set's mistakes the log tells.
const MAX_TOLD: usize = 16;

/// What a command hands in.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) home: &'a Home,
    /// What the person grants by hand.
    pub(crate) allow: &'a [Capability],
    /// Policies of the person's besides the configured ones.
    pub(crate) policies: &'a [PathBuf],
    /// Whether components may be met: their engine takes a while to make.
    pub(crate) components: bool,
    pub(crate) progress: Progress,
    /// What takes the log's checkpoints elsewhere, once there is a log; it ends with the parts.
    pub(crate) beyond: OnceCell<Beyond>,
}

impl<'a> Parts<'a> {
    /// The parts of a command at a terminal: progress goes to standard error.
    pub(crate) fn new(config: &'a Config, home: &'a Home, allow: &'a [Capability]) -> Self {
        let progress: Progress = Arc::new(|line| eprintln!("bailiwick: {line}"));
        Self {
            config,
            home,
            allow,
            policies: &[],
            components: true,
            progress,
            beyond: OnceCell::new(),
        }
    }
}

/// What decides, from parts; it leaves no trace. Gives the policies as they were read as well.
pub(crate) fn judge(parts: &Parts<'_>, cache: Option<PathBuf>) -> anyhow::Result<(Judge, Read)> {
    let config = parts.config;
    let person = Person::current();
    let search = search_path();
    let (pdp, read) = policies(parts, &person, &search)?;
    let probed = Native::probe();
    let machine = Machine::look(probed.as_ref()).names();
    let judge = Judge {
        in_force: Ruling {
            pdp,
            facts: facts(config, &person),
            digest: read.digest.clone(),
        }
        .into(),
        clock: Arc::new(SystemClock),
        zone: zone(config.time_zone.as_deref())?,
        native: native(parts, probed),
        wasm: wasm(parts, cache),
        machine,
        search,
    };
    Ok((judge, read))
}

/// A host with its own log, from parts.
pub(crate) fn host(parts: &Parts<'_>) -> anyhow::Result<Host> {
    let Parts {
        config,
        home,
        progress,
        ..
    } = parts;
    home.make()?;
    let judged = judge(parts, Some(home.cache().join("wasm")));
    let (judge, read) = judged.or_else(|error| refused(parts, error))?;
    let policy_digest = read.digest.clone();
    let log = open_log(home)?;
    crate::changes::policies(home, &log, &policy_digest)?;
    if let Some(beyond) = Beyond::start(config, &log)? {
        let _ = parts.beyond.set(beyond);
    }
    let approver = crate::changes::approver_keys(home, &log)?.public();
    let answers = Policies(Origin::of(parts, Plugins::Named));
    Ok(Host {
        judge,
        keys: crate::changes::token_keys(home, &log)?,
        approvals: crate::approvals::approvals(config, approver, answers)?,
        revocations: Arc::new(crate::token::List::of(home)),
        ledger: Arc::new(crate::counts::Counted::of(home)),
        recorder: Recorder::new(log, config.audit.mode == AuditMode::Strict),
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        progress: progress.clone(),
        token_seconds: i64::try_from(TOKEN_LIFE.as_secs())?,
        learning: None,
        config_digest: config.sha256.clone(),
    })
}

/// Records policies that are not taken, and gives the error back.
fn refused<T>(parts: &Parts<'_>, error: anyhow::Error) -> anyhow::Result<T> {
    let Some(refused) = error.downcast_ref::<PolicyError>() else {
        return Err(error);
    };
    let problems = refused.problems().iter().take(MAX_TOLD);
    let reason: Vec<String> = problems.map(ToString::to_string).collect();
    let event = Event::PolicyChange {
        policy_sha256: sources(parts)?.digest(&classification(parts.config, &Person::current())?),
        loaded: false,
        reason: reason.join("\n"),
    };
    record_deed(parts.home, &event).context(error.to_string())?;
    Err(error)
}

fn wasm(parts: &Parts<'_>, cache: Option<PathBuf>) -> Result<Arc<dyn Builder>, String> {
    if !parts.components {
        return Err("only programs are run here".to_owned());
    }
    let private = parts.config.private_names();
    let private = private.map_err(|error| format!("{error:#}"))?;
    let wasm = Wasm::new(cache).map_err(|error| error.to_string())?;
    let wasm = wasm.with_private_names(private);
    Ok(Arc::new(WasmBuilder(Arc::new(wasm))))
}

fn native(
    parts: &Parts<'_>,
    probed: Result<Native, WallError>,
) -> Result<Arc<dyn Builder>, String> {
    let jail = probed.map_err(|error| error.to_string())?;
    if !jail.tells() {
        (parts.progress)(
            "what native plugins try in vain is stopped and not told: something around this process watches \
             system calls already",
        );
    }
    let wall = native_wall(parts.config, parts.home, jail).map_err(|error| format!("{error:#}"))?;
    // One program at a person's terminal, or plugins, which have none.
    let terminal = (!parts.components).then(crate::exec::terminal_name);
    let settings = Settings {
        terminal: terminal.flatten(),
        ..Settings::from_process(parts.home.cache())
    };
    Ok(Arc::new(NativeBuilder::new(wall, settings)))
}

/// The jail with its network, its secrets and its watcher.
pub(crate) fn native_wall(
    config: &Config,
    home: &Home,
    jail: Native,
) -> anyhow::Result<NativeWall> {
    open_many_files();
    Ok(NativeWall {
        jail,
        secrets: Arc::new(crate::secret::store(config, home)?),
        watch: config.watch.into(),
        extra_roots: config.trusted_authorities()?,
        private: config.private_names()?,
    })
}

/// Each connection that is carried for a plugin is two descriptors of ours, and the usual soft bound is for programs
/// that call select(2). What runs behind a wall gets its own bound.
fn open_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it cannot be raised, the bound is what it was.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// What the configuration says of the circumstances of decisions for this person.
pub(crate) fn facts(config: &Config, person: &Person) -> Facts {
    Facts {
        user: user(config, person),
        environment: config.environment.clone(),
        labels: config.labels.iter().cloned().collect(),
    }
}

fn user(config: &Config, person: &Person) -> User {
    let facts = config.users.get(&person.name).cloned().unwrap_or_default();
    User {
        name: person.name.clone(),
        roles: facts.roles.into_iter().collect::<BTreeSet<_>>(),
        // Where they cannot be told, no policy asks about them.
        groups: person.groups.clone().unwrap_or_default(),
        department: facts.department,
    }
}

/// Where programs are looked for: our own search path, else the usual folders.
pub(crate) fn search_path() -> SearchPath {
    let path = std::env::var("PATH").ok().filter(|path| !path.is_empty());
    SearchPath::new(path.as_deref().unwrap_or("/usr/local/bin:/usr/bin:/bin"))
}

/// How a log of ours is opened, wherever it lies: its key is beside its folder, or else in it.
pub(crate) fn log_options(dir: &Path) -> Options {
    let beside = dir.with_extension("key");
    let key = if beside.is_file() {
        beside
    } else {
        dir.join(bailiwick_audit::SIGNING_KEY_FILE)
    };
    options(key)
}

/// With what names the person, so that it is sealed wherever it stands.
fn options(key: PathBuf) -> Options {
    let person = Person::current();
    let homes = person
        .homes
        .iter()
        // A home such as `/` names nobody.
        .filter(|home| home.parent().is_some())
        .map(|home| home.display().to_string());
    Options {
        key_file: Some(key),
        persons: homes.chain([person.name]).collect(),
        ..Options::default()
    }
}

/// A log has one writer, so gates that run at the same time each take the next free one.
pub(crate) fn open_log(home: &Home) -> anyhow::Result<Log> {
    for slot in 0..MAX_LOGS {
        match Log::open(&home.audit(slot), options(home.audit_key(slot))) {
            Err(AuditError::Locked { .. }) => {}
            Err(AuditError::Damaged { dir, why }) => {
                let told = tampered(home, slot, &dir, &why);
                let error = anyhow::Error::new(AuditError::Damaged { dir, why });
                return Err(match told {
                    Ok(()) => error,
                    Err(other) => error.context(format!("that could not be recorded: {other:#}")),
                })
                .context("nothing runs without its audit log");
            }
            other => return other.context("nothing runs without its audit log"),
        }
    }
    anyhow::bail!(
        "{MAX_LOGS} gates run already: stop some, or set BAILIWICK_HOME to another folder"
    )
}

/// Records in the next log that can be written that one is not what was signed; that one is evidence, and left alone.
fn tampered(home: &Home, slot: u32, dir: &Path, why: &str) -> anyhow::Result<()> {
    for next in slot + 1..MAX_LOGS {
        match Log::open(&home.audit(next), options(home.audit_key(next))) {
            Err(AuditError::Locked { .. } | AuditError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(log) => {
                let event = Event::Tamper {
                    what: format!("the log `{}`", dir.display()),
                    detail: why.to_owned(),
                };
                log.append_durable(&crate::changes::person(), &event)?;
                return Ok(log.close()?);
            }
        }
    }
    anyhow::bail!("none of the {MAX_LOGS} logs can be written")
}

/// Records what a person does by hand, in no session of an agent's; durable before it is done.
pub(crate) fn record_deed(home: &Home, event: &Event) -> anyhow::Result<()> {
    let log = open_log(home)?;
    log.append_durable(&crate::changes::person(), event)?;
    log.close()?;
    Ok(())
}
