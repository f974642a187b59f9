//! The loaded policy set, indexed by action and by the times at which policies expire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailiwick_capability::Kind;
use cedar_policy::EntityUid;

use crate::arguments::Fields;
use crate::classification::Classification;
use crate::constant::Literal;
use crate::error::{PolicyError, Problem};
use crate::mention::Mentions;
use crate::rule::Rule;
use crate::schema::{Type, vocabulary};
use crate::shelf::Shelves;
use crate::source::{self, PolicySource};

const DEFAULT: &str = include_str!("../../../policies/default.cedar");

/// A policy decision point: a policy set that is in force whole. Cheap to clone; never changes.
#[derive(Debug, Clone)]
pub struct Pdp {
    pub(crate) rules: Arc<Vec<Rule>>,
    pub(crate) classification: Arc<Classification>,
    pub(crate) index: Arc<Index>,
    /// What tools take, by `plugin/tool`; of those whose schema was told.
    pub(crate) tools: Arc<BTreeMap<String, Fields>>,
}

#[derive(Debug)]
pub(crate) struct Index {
    kinds: BTreeMap<Kind, Phases>,
    calls: Phases,
    /// Position in `rules` by id.
    ids: BTreeMap<String, usize>,
    /// Whether a rule has a quota.
    counts: bool,
    /// Whether time alone changes an answer about capabilities.
    is_timed: bool,
}

/// The policies of one action, for each stretch of time in which none of them expires.
#[derive(Debug)]
pub(crate) struct Phases {
    pub(crate) action: EntityUid,
    phases: Vec<Phase>,
}

/// What is in force until a time.
#[derive(Debug)]
pub(crate) struct Phase {
    /// Epoch seconds of its end; none for the last.
    pub(crate) until: Option<i64>,
    /// The ids of the policies.
    pub(crate) rules: Vec<String>,
    pub(crate) shelves: Shelves,
    /// Those that limit how often the others permit.
    pub(crate) limits: Shelves,
    /// The circumstances that these policies read.
    pub(crate) mentions: Mentions,
    /// The constants that these policies name.
    pub(crate) literals: Vec<Literal>,
}

impl Pdp {
    /// Loads a policy set, whole or not at all.
    ///
    /// # Errors
    /// Everything that is wrong with it: syntax, types, policies that could never apply, unknown annotations,
    /// ill-formed paths, hosts and names, duplicate ids. Each with its place and how to mend it.
    pub fn load(
        sources: &[PolicySource],
        classification: &Classification,
    ) -> Result<Self, PolicyError> {
        Self::load_linked(sources, &[], classification)
    }

    /// Loads a policy set with templates, and what links them, in the format of Cedar's own command line:
    /// `[{"template_id": "…", "link_id": "…", "args": {"?principal": "User::\"alice\""}}]`.
    ///
    /// # Errors
    /// As [`Pdp::load`]; templates that nothing links, links to templates that there are not, slots without a value.
    pub fn load_linked(
        sources: &[PolicySource],
        links: &[PolicySource],
        classification: &Classification,
    ) -> Result<Self, PolicyError> {
        let rules = source::load(sources, links, classification)?;
        Self::from_rules(rules, Arc::new(classification.clone()))
    }

    /// The policies that are in force where nobody wrote any: `policies/default.cedar`.
    #[must_use]
    pub fn default_sources() -> Vec<PolicySource> {
        vec![PolicySource::new("policies/default.cedar", DEFAULT)]
    }

    /// The ids of the policies, in the order in which they were loaded.
    pub fn policy_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    /// How many people must say yes where these policies ask.
    #[must_use]
    pub fn people<'a>(&self, policies: impl IntoIterator<Item = &'a String>) -> u8 {
        let rules = policies.into_iter().filter_map(|id| self.rule(id));
        rules.map(|rule| rule.people).max().unwrap_or_default()
    }

    pub(crate) fn from_rules(
        rules: Vec<Rule>,
        classification: Arc<Classification>,
    ) -> Result<Self, PolicyError> {
        let mut kinds = BTreeMap::new();
        for kind in Kind::ALL {
            kinds.insert(kind, Phases::new(kind.as_str(), &rules)?);
        }
        let ids = rules
            .iter()
            .enumerate()
            .map(|(at, rule)| (rule.id.clone(), at));
        let index = Index {
            kinds,
            calls: Phases::new("call", &rules)?,
            ids: ids.collect(),
            counts: rules.iter().any(|rule| rule.quota.is_some()),
            is_timed: rules.iter().any(Rule::is_timed),
        };
        Ok(Self {
            rules: Arc::new(rules),
            classification,
            index: Arc::new(index),
            tools: Arc::default(),
        })
    }

    /// Whether a policy permits or limits calls by how many there were.
    #[must_use]
    pub fn counts_calls(&self) -> bool {
        self.index.counts
    }

    /// Whether an answer about capabilities may change with time alone: a policy expires, or asks what time it is.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.index.is_timed
    }

    /// The phases of a kind. Every kind has some: [`Kind::ALL`] is what the index was made from.
    pub(crate) fn phases(&self, kind: Kind) -> Result<&Phases, Problem> {
        self.index
            .kinds
            .get(&kind)
            .ok_or_else(|| Problem::of("index", format!("`{kind}` is missing"), "report this"))
    }

    pub(crate) fn calls(&self) -> &Phases {
        &self.index.calls
    }

    pub(crate) fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(*self.index.ids.get(id)?)
    }
}

impl Phases {
    fn new(action: &str, rules: &[Rule]) -> Result<Self, PolicyError> {
        let vocabulary = vocabulary()?;
        let action = Type::Action.uid(action)?;
        let rules: Vec<&Rule> = rules
            .iter()
            .filter(|rule| rule.concerns(&action, vocabulary))
            .collect();
        let ends: BTreeSet<i64> = rules.iter().filter_map(|rule| rule.expires).collect();
        let phases = ends
            .into_iter()
            .map(Some)
            .chain([None])
            .map(|until| {
                let in_force = |rule: &&&Rule| match (rule.expires, until) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(end), Some(until)) => end >= until,
                };
                Phase::new(until, rules.iter().filter(in_force).copied())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { action, phases })
    }

    /// What is in force at `now`, in epoch seconds.
    pub(crate) fn at(&self, now: i64) -> Result<&Phase, Problem> {
        self.phases
            .iter()
            .find(|phase| phase.until.is_none_or(|until| now < until))
            .ok_or_else(|| Problem::of("index", "there is no last phase", "report this"))
    }
}

impl Phase {
    fn new<'a>(
        until: Option<i64>,
        rules: impl Iterator<Item = &'a Rule>,
    ) -> Result<Self, PolicyError> {
        let rules: Vec<&Rule> = rules.collect();
        let mut literals: Vec<Literal> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut mentions = Mentions::default();
        for rule in &rules {
            mentions.join(&rule.mentions);
            for literal in &rule.literals {
                if seen.insert(&literal.uid) {
                    literals.push(literal.clone());
                }
            }
        }
        let ids = rules.iter().map(|rule| rule.id.clone()).collect();
        let (limits, others): (Vec<&Rule>, Vec<&Rule>) =
            rules.into_iter().partition(|rule| rule.is_limit());
        Ok(Self {
            until,
            rules: ids,
            shelves: Shelves::new(&others)?,
            limits: Shelves::new(&limits)?,
            mentions,
            literals,
        })
    }
}
