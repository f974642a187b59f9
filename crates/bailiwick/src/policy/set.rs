//! Policies, people and circumstances, as the configuration and the command line say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bailiwick_capability::AbsPath;
use bailiwick_policy::{
    Agent, Classification, Context, Pdp, PluginFacts, PolicyError, PolicySource, Principal, User,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::assemble::classification;
use crate::config::Config;
use crate::home::Home;
use crate::person::Person;
use crate::report::{USAGE, exit};

use super::cli::{SetArgs, WhoArgs};

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

pub(super) fn links(named: &[PathBuf]) -> anyhow::Result<Vec<PolicySource>> {
    let read = |path: &PathBuf| {
        let text = crate::trusted::read(path)?;
        Ok(PolicySource::new(path.display().to_string(), text))
    };
    named.iter().map(read).collect()
}

/// The policies, or everything that is wrong with them.
pub(super) fn try_load(config: &Config, set: &SetArgs) -> anyhow::Result<Result<Pdp, PolicyError>> {
    let sources = sources(config, &set.policies)?;
    let labels = labels(config)?;
    Ok(Pdp::load_linked(&sources, &links(&set.links)?, &labels))
}

pub(super) fn load(config: &Config, set: &SetArgs) -> anyhow::Result<Pdp> {
    try_load(config, set)?.map_err(|error| exit(USAGE, error.to_string()))
}

pub(super) fn labels(config: &Config) -> anyhow::Result<Classification> {
    classification(config, &Person::current())
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

pub(super) fn who(config: &Config, who: &WhoArgs) -> anyhow::Result<(Principal, Context)> {
    let name = who.user.clone().unwrap_or_else(|| Person::current().name);
    let mut user = user(config, &name);
    user.roles.extend(who.roles.iter().cloned());
    user.groups.extend(who.groups.iter().cloned());
    let folder = who.folder.as_deref().map(|folder| {
        AbsPath::parse(folder)
            .map_err(|e| anyhow::anyhow!("--folder: {}; {}", e.message(), e.help()))
    });
    let principal = Principal {
        session: "explain".to_owned(),
        user,
        agent: Agent {
            name: who.agent.clone(),
            version: String::new(),
        },
        plugin: PluginFacts {
            id: who.plugin.clone(),
            folder: folder.transpose()?,
            ..PluginFacts::default()
        },
    };
    let context = Context {
        environment: who
            .environment
            .clone()
            .unwrap_or_else(|| config.environment.clone()),
        now: instant(who.at.as_deref())?,
        isolation: who.isolation.clone(),
        labels: config.labels.iter().cloned().collect(),
        ..Context::default()
    };
    Ok((principal, context))
}
