//! Policies, people and circumstances, as the configuration and the command line say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bailiwick_capability::AbsPath;
use bailiwick_gate::Facts;
use bailiwick_gate::host::principal;
use bailiwick_gate::world::Source;
use bailiwick_jail::{Machine, Native};
use bailiwick_manifest::Start;
use bailiwick_policy::{
    Classification, Context, Pdp, PluginFacts, PolicyError, PolicySource, Principal, User,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::assemble::Parts;
use crate::config::Config;
use crate::decides::{classification, classified};
use crate::home::Home;
use crate::origin::Plugins;
use crate::person::Person;
use crate::report::{USAGE, exit};
use crate::zone::zone;

use super::cli::{SetArgs, WhoArgs};

/// The session of whoever asks by hand.
const SESSION: &str = "explain";
/// The walls, as policies name them.
const NATIVE: &str = "native";
const WASM: &str = "wasm";

/// The named policies in place of the configured ones, or those; beside the default ones unless they are switched off.
pub(super) fn sources(config: &Config, named: &[PathBuf]) -> anyhow::Result<Vec<PolicySource>> {
    if named.is_empty() {
        let mut sources = config.policy_sources(&[])?;
        // What people answered for good is in force too, where there is a state folder.
        if let Ok(home) = Home::locate() {
            sources.extend(crate::approvals::source(&home)?);
        }
        return Ok(sources);
    }
    let config = Config {
        policies: named.to_vec(),
        ..config.clone()
    };
    config.policy_sources(&[])
}

/// The named links in place of the configured ones, which link the configured policies and no others.
fn links(config: &Config, set: &SetArgs) -> anyhow::Result<Vec<PolicySource>> {
    if set.links.is_empty() && set.policies.is_empty() {
        return config.link_sources();
    }
    let config = Config {
        links: set.links.clone(),
        ..config.clone()
    };
    config.link_sources()
}

/// What `set` is compared with. The configured policies keep their own links, if they have some.
pub(super) fn beside(config: &Config, policies: &[PathBuf], set: &SetArgs) -> SetArgs {
    let has_own = policies.is_empty() && !config.links.is_empty();
    SetArgs {
        policies: policies.to_vec(),
        links: if has_own {
            Vec::new()
        } else {
            set.links.clone()
        },
    }
}

/// The policies, or everything that is wrong with them.
pub(super) fn try_load(config: &Config, set: &SetArgs) -> anyhow::Result<Result<Pdp, PolicyError>> {
    let sources = sources(config, &set.policies)?;
    let labels = labels(config)?;
    Ok(Pdp::load_linked(&sources, &links(config, set)?, &labels))
}

pub(super) fn load(config: &Config, set: &SetArgs) -> anyhow::Result<Pdp> {
    try_load(config, set)?.map_err(|error| exit(USAGE, error.to_string()))
}

/// What is in force here; without a state folder there is nothing of ours to keep.
pub(super) fn labels(config: &Config) -> anyhow::Result<Classification> {
    let person = Person::current();
    match Home::locate() {
        Ok(home) => classified(&Parts::new(config, &home, &[]), &person),
        Err(_) => classification(config, &person),
    }
}

/// Seconds since 1970.
pub(super) fn instant(at: Option<&str>) -> anyhow::Result<i64> {
    match at {
        None => Ok(i64::try_from(
            SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        )?),
        Some(text) => OffsetDateTime::parse(text, &Rfc3339)
            .map(OffsetDateTime::unix_timestamp)
            .with_context(|| format!("`{text}` is no time: write 2026-12-31T18:00:00Z")),
    }
}

/// The groups of the person who asks; of nobody else they are known here.
fn groups_of(name: &str) -> BTreeSet<String> {
    let person = Person::current();
    let groups = person.groups.ok().filter(|_| person.name == name);
    groups.unwrap_or_default()
}

/// A user as the configuration knows them.
pub(super) fn user(config: &Config, name: &str) -> User {
    let facts = config.users.get(name).cloned().unwrap_or_default();
    User {
        name: name.to_owned(),
        roles: facts.roles.into_iter().collect(),
        groups: groups_of(name),
        department: facts.department,
    }
}

/// Who asks, in which circumstances: as `check` would find them, but for what the command line says.
pub(super) fn who(config: &Config, who: &WhoArgs) -> anyhow::Result<(Principal, Context)> {
    let name = who.user.clone().unwrap_or_else(|| Person::current().name);
    let mut user = user(config, &name);
    user.roles.extend(who.roles.iter().cloned());
    user.groups.extend(who.groups.iter().cloned());
    user.department = who.department.clone().or(user.department);
    let labels = config.labels.iter().chain(&who.labels).cloned();
    let facts = Facts {
        user,
        environment: who
            .environment
            .clone()
            .unwrap_or_else(|| config.environment.clone()),
        labels: labels.collect(),
    };
    let (mut principal, wall) = asking(config, who, &facts)?;
    if let Some(folder) = &who.folder {
        let folder = AbsPath::parse(folder)
            .map_err(|e| anyhow::anyhow!("--folder: {}; {}", e.message(), e.help()))?;
        principal.plugin.folder = Some(folder);
    }
    let now = instant(who.at.as_deref())?;
    let context = Context {
        environment: facts.environment,
        now,
        isolation: who.isolation.clone().unwrap_or(wall),
        labels: facts.labels,
        machine: machine(&who.machine),
        utc_offset: zone(config.time_zone.as_deref())?(now),
    };
    Ok((principal, context))
}

/// The chain that asks, and the wall that the plugin has: of a configured plugin as the gate sees it, of another one as
/// far as its id tells.
fn asking(config: &Config, who: &WhoArgs, facts: &Facts) -> anyhow::Result<(Principal, String)> {
    let named = |source: &Source| source.manifest.id().to_string() == who.plugin;
    let found = Plugins::Configured.found(config)?;
    if let Some(source) = found.iter().find(|source| named(source)) {
        let wall = match source.manifest.runtime().start {
            Start::Command(_) => NATIVE,
            Start::Component(_) | Start::Embedded => WASM,
        };
        return Ok((
            principal(facts, SESSION, &who.agent, source),
            wall.to_owned(),
        ));
    }
    let principal = Principal {
        session: SESSION.to_owned(),
        user: facts.user.clone(),
        agent: who.agent.clone(),
        plugin: PluginFacts {
            id: who.plugin.clone(),
            ..PluginFacts::default()
        },
    };
    Ok((principal, NATIVE.to_owned()))
}

/// What a machine has: this one, unless the command line says.
fn machine(named: &[String]) -> BTreeSet<String> {
    if named.is_empty() {
        Machine::look(Native::probe().as_ref()).names()
    } else {
        named.iter().cloned().collect()
    }
}
