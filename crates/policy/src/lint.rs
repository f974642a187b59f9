//! What is not wrong with a policy set and still not meant: rules that others make useless, and names of nobody.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::Kind;
use cedar_policy::{EntityUid, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

use crate::constant::{self, Constant};
use crate::decision::Effect;
use crate::error::Problem;
use crate::mention;
use crate::pdp::Pdp;
use crate::rule::Rule;
use crate::schema::{Type, vocabulary};
use crate::world::relation;

/// What is known besides the policies, to hold their names against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Each plugin's id with the names of its tools; none where they are not known.
    pub plugins: BTreeMap<String, Option<BTreeSet<String>>>,
}

/// What kind of thing was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lint {
    /// Another rule of the same effect does all that this one does.
    Shadowed,
    /// A `forbid` forbids all that this one permits.
    Unreachable,
    /// It names a plugin that nobody knows.
    UnknownPlugin,
    /// It names a tool that its plugin does not have.
    UnknownTool,
    /// It expired.
    Expired,
}

impl Lint {
    /// Its name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shadowed => "shadowed",
            Self::Unreachable => "unreachable",
            Self::UnknownPlugin => "unknown-plugin",
            Self::UnknownTool => "unknown-tool",
            Self::Expired => "expired",
        }
    }
}

/// One thing that was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What kind.
    pub lint: Lint,
    /// The policy's id.
    pub policy: String,
    /// Where it stands: the source, and the line from 1.
    pub place: Option<(String, usize)>,
    /// What, in one sentence.
    pub message: String,
    /// How to mend it, in one sentence.
    pub help: String,
}

impl Pdp {
    /// Looks for rules that are useless and for names of nobody, at `now` in seconds since 1970.
    ///
    /// A rule is called useless only if that can be seen from the two heads and like conditions; what follows from
    /// conditions taken together is a question for the `analyze` crate. Plugins are held against `known` only where it
    /// names any.
    ///
    /// # Errors
    /// A build that is broken.
    pub fn lint(&self, known: &Known, now: i64) -> Result<Vec<Remark>, Problem> {
        let mut remarks = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.expires.is_some_and(|end| end <= now) {
                let message = "it expired, and does nothing".to_owned();
                let help = "remove it, or write a later @expires".to_owned();
                remarks.push(remark(Lint::Expired, rule, message, help));
                continue;
            }
            remarks.extend(self.useless(at, rule)?);
            if !known.plugins.is_empty() {
                remarks.extend(
                    rule.policy
                        .entity_literals()
                        .iter()
                        .filter_map(|uid| unknown(rule, uid, known)),
                );
            }
        }
        Ok(remarks)
    }

    fn useless(&self, at: usize, rule: &Rule) -> Result<Option<Remark>, Problem> {
        for (other_at, other) in self
            .rules
            .iter()
            .enumerate()
            .filter(|(other_at, _)| *other_at != at)
        {
            // An answer does what no other permit does: it ends a question.
            let same = rule.effect == other.effect && rule.approves.is_none();
            let stronger = rule.effect == Effect::Ask
                && other.effect == Effect::Permit
                // Of calls, the question wins.
                && !rule.is_of_calls();
            let forbids = rule.effect != Effect::Forbid && other.effect == Effect::Forbid;
            let lasts = other.quota.is_none() && outlives(other, rule);
            if !(same || stronger || forbids) || !lasts || !covers(other, rule)? {
                continue;
            }
            // Of two that do the same, the later one is told of.
            if same
                && at < other_at
                && rule.quota.is_none()
                && outlives(rule, other)
                && covers(rule, other)?
            {
                continue;
            }
            let other_id = other.id.escape_debug();
            let (lint, message, help) = if forbids {
                let message = format!("`{other_id}` forbids all that it permits");
                (
                    Lint::Unreachable,
                    message,
                    "remove it, or narrow the forbid",
                )
            } else if stronger {
                let message = format!("`{other_id}` permits all of it without asking");
                (Lint::Shadowed, message, "remove one of the two")
            } else {
                let message = format!("`{other_id}` does all that it does");
                (Lint::Shadowed, message, "remove it, or narrow the other")
            };
            return Ok(Some(remark(lint, rule, message, help.to_owned())));
        }
        Ok(None)
    }

    /// Where a policy stands: its source, and the line from 1; none for a person's own grants.
    #[must_use]
    pub fn place(&self, policy: &str) -> Option<&(String, usize)> {
        self.rule(policy)?.place.as_ref()
    }
}

fn outlives(one: &Rule, other: &Rule) -> bool {
    match (one.expires, other.expires) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one >= other,
    }
}

fn remark(lint: Lint, rule: &Rule, message: String, help: String) -> Remark {
    Remark {
        lint,
        policy: rule.id.clone(),
        place: rule.place.clone(),
        message,
        help,
    }
}

fn unknown(rule: &Rule, uid: &EntityUid, known: &Known) -> Option<Remark> {
    let id = uid.id().unescaped();
    let (plugin, tool) = match Type::of(uid)? {
        Type::Plugin => (id, None),
        Type::Tool => id
            .rsplit_once('/')
            .map(|(plugin, tool)| (plugin, Some(tool)))?,
        _ => return None,
    };
    let shown = plugin.escape_debug();
    let Some(tools) = known.plugins.get(plugin) else {
        let names: Vec<&str> = known.plugins.keys().map(String::as_str).collect();
        let message = format!("there is no plugin `{shown}`");
        let help = format!("the configured plugins are {}", names.join(", "));
        return Some(remark(Lint::UnknownPlugin, rule, message, help));
    };
    let (tool, tools) = (tool?, tools.as_ref()?);
    if tools.contains(tool) {
        return None;
    }
    let names: Vec<&str> = tools.iter().map(String::as_str).collect();
    let message = format!("the plugin `{shown}` has no tool `{}`", tool.escape_debug());
    let help = format!("its tools are {}", names.join(", "));
    Some(remark(Lint::UnknownTool, rule, message, help))
}

/// Whether `wide` applies wherever `narrow` does, as far as their heads and like conditions show.
fn covers(wide: &Rule, narrow: &Rule) -> Result<bool, Problem> {
    Ok(covers_actions(wide, narrow)?
        && covers_principals(
            &wide.policy.principal_constraint(),
            &narrow.policy.principal_constraint(),
        )
        && covers_resources(
            &wide.policy.resource_constraint(),
            &narrow.policy.resource_constraint(),
        )
        && covers_conditions(wide, narrow))
}

fn covers_actions(wide: &Rule, narrow: &Rule) -> Result<bool, Problem> {
    let vocabulary = vocabulary()?;
    let mut some = false;
    for action in Kind::ALL.into_iter().map(Kind::as_str).chain(["call"]) {
        let action = Type::Action.uid(action)?;
        if narrow.concerns(&action, vocabulary) {
            some = true;
            if !wide.concerns(&action, vocabulary) {
                return Ok(false);
            }
        }
    }
    Ok(some)
}

fn covers_principals(wide: &PrincipalConstraint, narrow: &PrincipalConstraint) -> bool {
    match (wide, narrow) {
        // Every principal is a session.
        (PrincipalConstraint::Any | PrincipalConstraint::Is(_), _) => true,
        (PrincipalConstraint::In(a), PrincipalConstraint::In(b) | PrincipalConstraint::Eq(b)) => {
            a == b
        }
        (a, b) => a == b,
    }
}

fn covers_resources(wide: &ResourceConstraint, narrow: &ResourceConstraint) -> bool {
    let (wide, narrow) = match (wide, narrow) {
        (ResourceConstraint::Any, _) => return true,
        (ResourceConstraint::In(a), ResourceConstraint::In(b) | ResourceConstraint::Eq(b)) => {
            (a, b)
        }
        (a, b) => return a == b,
    };
    if wide == narrow {
        return true;
    }
    if Type::of(wide) == Some(Type::Plugin) && Type::of(narrow) == Some(Type::Tool) {
        let plugin = narrow
            .id()
            .unescaped()
            .rsplit_once('/')
            .map(|(plugin, _)| plugin);
        return plugin == Some(wide.id().unescaped());
    }
    let read = |uid: &EntityUid| -> Option<Constant> { Some(constant::read(uid).ok()??.constant) };
    match (read(wide), read(narrow)) {
        (Some(wide), Some(narrow)) => relation(&narrow, &wide) == Some(true),
        _ => false,
    }
}

fn covers_conditions(wide: &Rule, narrow: &Rule) -> bool {
    let conditions = |rule: &Rule| -> Option<Vec<Value>> {
        let mut tree = mention::tree(&rule.policy)?;
        Some(std::mem::take(tree.get_mut("conditions")?.as_array_mut()?))
    };
    match (conditions(wide), conditions(narrow)) {
        (Some(wide), Some(narrow)) => wide.iter().all(|condition| narrow.contains(condition)),
        _ => false,
    }
}
