//! Policies filed by what a request must hold for them to apply, so that a decision looks at few of many.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet, Request};

use crate::error::Problem;
use crate::key::Keys;
use crate::rule::Rule;

/// Policies of one action and one stretch of time.
#[derive(Debug)]
pub(crate) struct Shelves {
    /// Those that may apply to anything.
    open: PolicySet,
    /// Those that apply only where the principal or the resource is this, or lies in it.
    filed: HashMap<EntityUid, PolicySet>,
}

/// What applied to one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Ids of the policies that determine the answer: every `forbid` that applies, or, if there is none, every
    /// `permit` that does.
    pub(crate) ids: BTreeSet<String>,
    /// What could not be evaluated, in Cedar's words.
    pub(crate) errors: BTreeSet<String>,
}

impl Shelves {
    /// Files each rule under the set of its keys that the fewest other rules share.
    pub(crate) fn new(rules: &[&Rule]) -> Result<Self, Problem> {
        let mut load: BTreeMap<&EntityUid, usize> = BTreeMap::new();
        for key in rules.iter().flat_map(|rule| rule.keys.iter().flatten()) {
            *load.entry(key).or_default() += 1;
        }
        let crowd = |keys: &&Keys| {
            let each = keys.iter().filter_map(|key| load.get(key).copied());
            (each.max().unwrap_or(usize::MAX), keys.len())
        };
        let mut shelves = Self {
            open: PolicySet::new(),
            filed: HashMap::new(),
        };
        for rule in rules {
            let add = |set: &mut PolicySet| {
                set.add(rule.policy.clone()).map_err(|e| {
                    Problem::of(&rule.id, e.to_string(), "give each policy its own @id")
                })
            };
            match rule.keys.iter().min_by_key(crowd) {
                None => add(&mut shelves.open)?,
                Some(keys) => {
                    for key in keys {
                        add(shelves.filed.entry(key.clone()).or_default())?;
                    }
                }
            }
        }
        Ok(shelves)
    }

    /// Asks Cedar's ordinary authorizer, with every policy that can apply.
    pub(crate) fn judge(
        &self,
        request: &Request,
        asked: [&EntityUid; 2],
        entities: &Entities,
    ) -> Matched {
        let mut matched = Matched::default();
        let authorizer = Authorizer::new();
        let mut ask = |set: &PolicySet| {
            let response = authorizer.is_authorized(request, set, entities);
            let diagnostics = response.diagnostics();
            let ids = diagnostics
                .reason()
                .map(|id| AsRef::<str>::as_ref(id).to_owned());
            matched.ids.extend(ids);
            matched
                .errors
                .extend(diagnostics.errors().map(ToString::to_string));
        };
        if !self.open.is_empty() {
            ask(&self.open);
        }
        if !self.filed.is_empty() {
            let own = asked.into_iter();
            let above = own
                .clone()
                .filter_map(|uid| entities.ancestors(uid))
                .flatten();
            // A policy with several keys stands on several shelves; it is told once.
            let mut seen: Vec<&EntityUid> = Vec::new();
            for uid in own.chain(above) {
                if let Some(set) = self.filed.get(uid).filter(|_| !seen.contains(&uid)) {
                    seen.push(uid);
                    ask(set);
                }
            }
        }
        matched
    }
}
