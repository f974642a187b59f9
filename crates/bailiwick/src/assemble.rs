//! Wires everything by hand: the only place that knows every part.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_audit::{AuditError, Event, Log, Options, Subject, SystemClock, sha256_hex};
use bailiwick_capability::{AbsPath, Capability, Granted, PathScope};
use bailiwick_gate::record::Recorder;
use bailiwick_gate::resolve::{SearchPath, resolve};
use bailiwick_gate::world::{Builder, Progress};
use bailiwick_gate::{Facts, Host, Judge, Ruling};
use bailiwick_jail::{Machine, Native};
use bailiwick_policy::{Classification, Pdp, PolicyError, PolicySource, User};
use bailiwick_runtime::Settings;
use bailiwick_wall::WallError;
use bailiwick_wasm::Wasm;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::approvals::Policies;
use crate::beyond::Beyond;
use crate::config::{AuditMode, Config};
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
        config_digest: sha256_hex(format!("{config:?}").as_bytes()),
        policy_digest,
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
        policy_sha256: sources(parts)?.digest(),
        loaded: false,
        reason: reason.join("\n"),
    };
    record_deed(parts.home, &event).context(error.to_string())?;
    Err(error)
}

/// Policies as they were read.
pub(crate) struct Read {
    pub(crate) digest: String,
    pub(crate) sources: Sources,
    pub(crate) classification: Classification,
}

/// What a policy set is made of.
pub(crate) struct Sources {
    pub(crate) policies: Vec<PolicySource>,
    /// What makes policies of the templates among them.
    pub(crate) links: Vec<PolicySource>,
}

impl Sources {
    /// All of them, or everything that is wrong with them.
    pub(crate) fn load(&self, labels: &Classification) -> Result<Pdp, PolicyError> {
        Pdp::load_linked(&self.policies, &self.links, labels)
    }

    /// Another one whenever a text is another one, or means something else.
    pub(crate) fn digest(&self) -> String {
        let of = |source: &PolicySource| sha256_hex(source.text.as_bytes());
        let mut all: String = self.policies.iter().map(of).collect();
        if !self.links.is_empty() {
            all.push_str(" links ");
            all.extend(self.links.iter().map(of));
        }
        sha256_hex(all.as_bytes())
    }
}

/// The configured policies with their links, then what people answered for good.
pub(crate) fn sources(parts: &Parts<'_>) -> anyhow::Result<Sources> {
    let mut policies = parts.config.policy_sources(parts.policies)?;
    policies.extend(crate::approvals::source(parts.home)?);
    let links = parts.config.link_sources()?;
    Ok(Sources { policies, links })
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

/// The policies, the classification, and what the person allows by hand.
pub(crate) fn policies(
    parts: &Parts<'_>,
    person: &Person,
    search: &SearchPath,
) -> anyhow::Result<(Pdp, Read)> {
    let allow = parts.allow;
    let sources = sources(parts)?;
    let classification = classified(parts, person)?;
    let pdp = sources.load(&classification)?;
    if let Err(why) = &person.groups
        && pdp.asks_about_groups()
    {
        anyhow::bail!(
            "policies ask about groups, and the groups of `{}` cannot be told: {why}",
            person.name
        );
    }
    let read = Read {
        digest: sources.digest(),
        sources,
        classification,
    };
    if allow.is_empty() {
        return Ok((pdp, read));
    }
    let allowed = allow
        .iter()
        .map(|capability| {
            resolve(capability, search)
                .map(Granted::whole)
                .map_err(|error| {
                    anyhow::anyhow!("--allow {capability}: {}; {}", error.message, error.help)
                })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let pdp = pdp.with_person_grants(&person.name, &allowed)?;
    Ok((pdp, read))
}

/// What is in force: the person's own entries, the well-known places of their home, and what is ours.
pub(crate) fn classified(parts: &Parts<'_>, person: &Person) -> anyhow::Result<Classification> {
    let named = classification(parts.config, person)?;
    let mut ours = ours(parts)?;
    // A secret place may hold policies; it is then neither read nor written.
    ours.retain(|(scope, _)| named.entries().all(|other| other != (scope, "secret")));
    Ok(named.and(ours)?)
}

/// The person's own entries, over the well-known places of their home.
pub(crate) fn classification(config: &Config, person: &Person) -> anyhow::Result<Classification> {
    let entries = config
        .classification
        .iter()
        .map(|(path, label)| (path.as_str(), label.as_str()));
    let own = Classification::parse(entries)?;
    let mut whole = own.clone();
    let real = person
        .homes
        .iter()
        .filter_map(|home| home.canonicalize().ok());
    for home in real.filter(|home| home.parent().is_some()) {
        let home = AbsPath::exactly(
            home.to_str()
                .context("your home folder's name is not UTF-8")?,
        )?;
        let usual = Classification::for_home(&home)?;
        let named: BTreeSet<&PathScope> = own.entries().map(|(scope, _)| scope).collect();
        let unnamed = usual.entries().filter(|(scope, _)| !named.contains(scope));
        let unnamed: Vec<_> = unnamed
            .map(|(scope, label)| (scope.clone(), label.to_owned()))
            .collect();
        whole = whole.and(unnamed)?;
    }
    Ok(whole)
}

/// Our own keys and log are nobody's to read, and what steers us nobody's to write, wherever they lie and
/// whatever a configuration calls them.
fn ours(parts: &Parts<'_>) -> anyhow::Result<Vec<(PathScope, String)>> {
    let opens_secrets = crate::secret::identity(parts.config);
    let state = std::iter::once(parts.home.path())
        .chain(opens_secrets.as_deref())
        .map(|path| (path, "secret"));
    let given = parts.policies.iter().map(PathBuf::as_path);
    let steering = parts.config.control_files().chain(given);
    let steering = steering.map(|path| (path, "control"));
    let mut places: Vec<(PathScope, String)> = state
        .chain(steering)
        .map(|(path, label)| {
            // What is not there yet has no links to resolve.
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let is_file = real.is_file();
            Ok((scope(&real, !is_file)?, label.to_owned()))
        })
        .collect::<anyhow::Result<_>>()?;
    let here = std::env::current_dir().unwrap_or_default();
    for (path, is_tree) in crate::workspace::steering(&here) {
        let place = (scope(&path, is_tree)?, "control".to_owned());
        if !places.iter().any(|(known, _)| *known == place.0) {
            places.push(place);
        }
    }
    Ok(places)
}

fn scope(path: &Path, is_tree: bool) -> anyhow::Result<PathScope> {
    let text = path
        .to_str()
        .with_context(|| format!("the name of `{}` is not UTF-8", path.display()))?;
    let place = AbsPath::exactly(text)?;
    Ok(if is_tree {
        PathScope::Tree(place)
    } else {
        PathScope::File(place)
    })
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
            other => return other.context("nothing runs without its audit log"),
        }
    }
    anyhow::bail!(
        "{MAX_LOGS} gates run already: stop some, or set BAILIWICK_HOME to another folder"
    )
}

/// Records what a person does by hand, in no session of an agent's; durable before it is done.
pub(crate) fn record_deed(home: &Home, event: &Event) -> anyhow::Result<()> {
    let log = open_log(home)?;
    let subject = Subject::default().with_user(Person::current().name);
    log.append_durable(&subject, event)?;
    log.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l14_no_variable_uncovers_the_keys_of_a_home() {
        let (real, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let homes = [&other, &real].map(|dir| dir.path().canonicalize().unwrap());
        let person = Person {
            name: "ann".to_owned(),
            homes: homes.to_vec(),
            groups: Ok(BTreeSet::new()),
        };
        let classified = classification(&Config::default(), &person).unwrap();
        for home in homes {
            let keys = PathScope::parse(&format!("{}/.ssh/", home.display())).unwrap();
            let found = classified.entries().find(|(scope, _)| **scope == keys);
            assert_eq!(found.map(|(_, label)| label), Some("secret"));
        }
    }
}
