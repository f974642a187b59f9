//! What is true of every request, written in Cedar: how the constants of policies lie in each other, and who asks for
//! whom. Symbolic analysis knows none of it otherwise, and would find requests that cannot be.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::{Capability, Host, HostPattern, Kind, PathScope, ProgramRef, Scope};
use cedar_policy::EntityUid;

use crate::classification::UNCLASSIFIED;
use crate::constant::{Constant, Literal, is_within};
use crate::decision::Effect;
use crate::error::Problem;
use crate::evaluate::ambient;
use crate::pdp::{Pdp, Phase, Phases};
use crate::rule::Rule;
use crate::schema::Type;
use crate::subject::Context;

/// A policy in force, as analysis reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its id.
    pub id: String,
    /// Its text in Cedar.
    pub text: String,
    /// What it does: [`Effect::Permit`], [`Effect::Ask`] or [`Effect::Forbid`].
    pub effect: Effect,
    /// Whether it counts calls.
    pub has_quota: bool,
    /// Whether it asks of the arguments of a call.
    pub asks_of_arguments: bool,
}

impl Pdp {
    /// The policies in force at `now` (seconds since 1970) that concern an action: a kind, or `call`.
    ///
    /// # Errors
    /// An action that there is not.
    pub fn in_force(&self, action: &str, now: i64) -> Result<Vec<InForce>, Problem> {
        let phase = self.phase(action, now)?;
        let rules = phase.rules.iter().filter_map(|id| self.rule(id));
        Ok(rules
            .map(|rule| InForce {
                id: rule.id.clone(),
                text: rule
                    .policy
                    .to_cedar()
                    .unwrap_or_else(|| rule.policy.to_string()),
                effect: rule.effect,
                has_quota: rule.quota.is_some(),
                asks_of_arguments: rule.mentions.arguments,
            })
            .collect())
    }

    fn phase(&self, action: &str, now: i64) -> Result<&Phase, Problem> {
        self.phases_of(action)?.at(now)
    }

    pub(crate) fn phases_of(&self, action: &str) -> Result<&Phases, Problem> {
        if action == "call" {
            return Ok(self.calls());
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == action);
        let unknown = || {
            Problem::of(
                "index",
                format!("there is no action `{action}`"),
                "report this",
            )
        };
        self.phases(kind.ok_or_else(unknown)?)
    }
}

/// Facts about every request for an action under any of these policy sets: Cedar expressions that are all true.
/// `resource` is how the resource is called in them; facts about the principal are among them.
///
/// # Errors
/// An action that there is not.
pub fn facts(
    sets: &[&Pdp],
    action: &str,
    now: i64,
    resource: &str,
) -> Result<Vec<String>, Problem> {
    let mut literals: BTreeMap<String, Literal> = BTreeMap::new();
    let mut subjects: BTreeSet<EntityUid> = BTreeSet::new();
    let mut entries: BTreeMap<PathScope, String> = BTreeMap::new();
    let mut tools: BTreeSet<EntityUid> = BTreeSet::new();
    let about_files = ["read_files", "write_files"].contains(&action);
    for set in sets {
        let phase = set.phase(action, now)?;
        let rules: Vec<&Rule> = phase.rules.iter().filter_map(|id| set.rule(id)).collect();
        for literal in &phase.literals {
            literals.insert(literal.uid.to_string(), literal.clone());
        }
        for uid in rules.iter().flat_map(|rule| rule.policy.entity_literals()) {
            match Type::of(&uid) {
                Some(
                    Type::User
                    | Type::Agent
                    | Type::Plugin
                    | Type::Role
                    | Type::Group
                    | Type::Publisher,
                ) => {
                    subjects.insert(uid);
                }
                Some(Type::Tool) => drop(tools.insert(uid)),
                _ => {}
            }
        }
        let classified = set.classification.entries().filter(|_| about_files);
        entries.extend(classified.map(|(scope, label)| (scope.clone(), label.to_owned())));
    }
    let mut facts = who(&subjects)?;
    if action == "call" {
        facts.extend(calls(&subjects, &tools, resource));
    }
    for scope in entries.keys() {
        let (of, id) = match scope {
            PathScope::File(path) => (Type::File, path),
            PathScope::Tree(path) => (Type::Dir, path),
        };
        let uid = of.uid(id.as_str())?;
        literals.entry(uid.to_string()).or_insert(Literal {
            uid,
            constant: Constant::Path(scope.clone()),
            is_container: of == Type::Dir,
        });
    }
    let literals: Vec<Literal> = literals.into_values().collect();
    facts.extend(places(&literals, action, resource));
    if about_files {
        facts.push(sensitivity(&entries, resource)?);
    }
    if action == "network_access" {
        facts.extend(methods(&literals, resource)?);
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == action);
    if let Some(only) = kind.and_then(ambient) {
        facts.push(format!("{resource} == {}", Type::Ambient.uid(only)?));
    }
    facts.push("!context.unscoped".to_owned());
    facts.extend(
        Context {
            now,
            ..Context::default()
        }
        .time_facts()?,
    );
    Ok(facts)
}

/// The session is its user's, agent's and plugin's, and nobody else's.
fn who(subjects: &BTreeSet<EntityUid>) -> Result<Vec<String>, Problem> {
    let each = subjects.iter().filter_map(|uid| {
        let through = match Type::of(uid)? {
            Type::User => format!("principal.user == {uid}"),
            Type::Agent => format!("principal.agent == {uid}"),
            Type::Plugin => format!("principal.plugin == {uid}"),
            Type::Role | Type::Group => format!("principal.user in {uid}"),
            Type::Publisher => format!("principal.plugin in {uid}"),
            _ => return None,
        };
        Some(format!("(principal in {uid}) == ({through})"))
    });
    Ok(each.collect())
}

/// A plugin's tools are those of the plugin that asks.
fn calls(
    subjects: &BTreeSet<EntityUid>,
    tools: &BTreeSet<EntityUid>,
    resource: &str,
) -> Vec<String> {
    let mut facts = vec![format!("{resource} in principal.plugin")];
    for plugin in subjects
        .iter()
        .filter(|uid| Type::of(uid) == Some(Type::Plugin))
    {
        facts.push(format!(
            "({resource} in {plugin}) == (principal.plugin == {plugin})"
        ));
    }
    for tool in tools {
        let id = tool.id().unescaped();
        let plugin = id
            .rsplit_once('/')
            .and_then(|(plugin, _)| Type::Plugin.uid(plugin).ok());
        if let Some(plugin) = plugin {
            facts.push(format!(
                "!({resource} == {tool}) || principal.plugin == {plugin}"
            ));
        }
    }
    facts
}

fn inside(literal: &Literal, resource: &str) -> String {
    if literal.is_container {
        format!("{resource} in {}", literal.uid)
    } else {
        format!("{resource} == {}", literal.uid)
    }
}

/// How constants lie in each other.
fn places(literals: &[Literal], action: &str, resource: &str) -> Vec<String> {
    let is_place = |literal: &&Literal| {
        !matches!(literal.constant, Constant::Method(_)) && !is_port_of(literal, action)
    };
    let literals: Vec<&Literal> = literals.iter().filter(is_place).collect();
    let mut facts = Vec::new();
    for (at, one) in literals.iter().enumerate() {
        for (other_at, other) in literals
            .iter()
            .enumerate()
            .filter(|(other_at, _)| *other_at != at)
        {
            let (a, b) = (inside(one, resource), inside(other, resource));
            match relation(&one.constant, &other.constant) {
                Some(true) => facts.push(format!("!({a}) || {b}")),
                Some(false) if at < other_at => facts.push(format!("!({a} && {b})")),
                _ => {}
            }
        }
        if let Constant::Url(url) = &one.constant {
            let scheme = url.scheme().as_str();
            let port = url.port();
            let a = inside(one, resource);
            facts.push(format!(
                "!({a}) || ({resource}.scheme == Scheme::\"{scheme}\" && {resource}.port == Port::\"{port}\")"
            ));
        }
    }
    facts
}

/// For connections a port is an attribute, not a place.
fn is_port_of(literal: &Literal, action: &str) -> bool {
    matches!(literal.constant, Constant::Port(_)) && action != "network_listen"
}

/// Whether every point of `a` lies in `b`, or none does; nothing where some do, or it is not known.
pub(crate) fn relation(a: &Constant, b: &Constant) -> Option<bool> {
    let within = |part: &Capability| match b.project(part) {
        None => Some(false),
        Some(inside) => (inside == *part).then_some(true),
    };
    let of = |kind: Kind, scope: Scope| Capability::new(kind, scope).ok();
    match (a, b) {
        (Constant::Path(a), Constant::Path(_)) => {
            within(&of(Kind::ReadFiles, Scope::Path(a.clone()))?)
        }
        // No program lies in a program; in a folder it does as a whole, or not at all.
        (Constant::Program(a), _) => within(&of(Kind::ExecuteCode, Scope::Program(a.clone()))?),
        (Constant::Path(PathScope::Tree(tree)), Constant::Program(b)) => match b.program() {
            ProgramRef::Path(path) if path.is_within(tree) => None,
            _ => Some(false),
        },
        (Constant::Name(kind, a), Constant::Name(..)) => {
            within(&of(*kind, Scope::Name(a.clone()))?)
        }
        (Constant::Url(a), _) => within(&of(Kind::NetworkAccess, Scope::Net(a.clone()))?),
        (Constant::Host(a), Constant::Host(b)) => Some(a == b),
        (Constant::Host(Host::Name(a)), Constant::Domain(b)) => Some(is_within(a, b)),
        (Constant::Host(Host::Ip(a)), Constant::Network(b)) => Some(b.contains(*a)),
        (Constant::Host(Host::Ip(_)), Constant::Domain(_))
        | (Constant::Host(Host::Name(_)), Constant::Network(_))
        | (Constant::Domain(_), Constant::Network(_)) => Some(false),
        (Constant::Host(a), Constant::Url(b)) => match b.host() {
            HostPattern::Exact(host) if host == a => None,
            HostPattern::Suffix(_) => None,
            HostPattern::Exact(_) => Some(false),
        },
        (Constant::Domain(a), Constant::Domain(b)) if is_within(a, b) => Some(true),
        (Constant::Domain(a), Constant::Domain(b)) if !is_within(b, a) => Some(false),
        (Constant::Network(a), Constant::Network(b)) if b.covers(*a) => Some(true),
        (Constant::Network(a), Constant::Network(b)) if !a.covers(*b) => Some(false),
        _ => None,
    }
}

/// The narrowest entry of the classification gives the label.
fn sensitivity(entries: &BTreeMap<PathScope, String>, resource: &str) -> Result<String, Problem> {
    let mut narrowest: Vec<(&PathScope, &String)> = entries.iter().collect();
    narrowest.sort_by_key(|(scope, _)| {
        let is_tree = matches!(scope, PathScope::Tree(_));
        (std::cmp::Reverse(scope.path().as_str().len()), is_tree)
    });
    let unclassified = Type::Sensitivity.uid(crate::UNCLASSIFIED)?;
    let mut chain = unclassified.to_string();
    for (scope, label) in narrowest.into_iter().rev() {
        let held = match scope {
            PathScope::File(path) => format!("{resource} == {}", Type::File.uid(path.as_str())?),
            PathScope::Tree(path) => format!("{resource} in {}", Type::Dir.uid(path.as_str())?),
        };
        let label = Type::Sensitivity.uid(label)?;
        chain = format!("(if {held} then {label} else {chain})");
    }
    Ok(format!("{resource}.sensitivity == {chain}"))
}

/// What is carried as it is has no method that a policy can name.
fn methods(literals: &[Literal], resource: &str) -> Result<Vec<String>, Problem> {
    let named = literals
        .iter()
        .filter(|literal| matches!(literal.constant, Constant::Method(_)));
    Ok(named
        .map(|literal| {
            let uid = &literal.uid;
            format!("!({resource}.scheme == Scheme::\"tcp\" && {resource}.method == {uid})")
        })
        .collect())
}

impl Pdp {
    /// Whether another set gives every path the same label.
    #[must_use]
    pub fn classifies_like(&self, other: &Self) -> bool {
        self.classification == other.classification
    }

    /// The labels that a path may bear here: the classification's, and those that are known everywhere.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<&str> {
        self.classification.labels()
    }

    /// Whether any path bears this label.
    #[must_use]
    pub fn bears(&self, label: &str) -> bool {
        let mut labels = self.classification.entries().map(|(_, label)| label);
        label == UNCLASSIFIED || labels.any(|one| one == label)
    }
}
