//! One loaded policy with what we know about it.

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicyId, ResourceConstraint};

use crate::annotation::Annotations;
use crate::constant::{self, Literal};
use crate::decision::Effect;
use crate::key::{self, Keys};
use crate::mention::Mentions;
use crate::quota::Quota;
use crate::schema::Vocabulary;

/// A policy that passed every check.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) policy: Policy,
    pub(crate) effect: Effect,
    pub(crate) reason: Option<String>,
    /// The policy whose question it answers.
    pub(crate) approves: Option<String>,
    /// How many people must say yes; none where it does not ask.
    pub(crate) people: u8,
    pub(crate) expires: Option<i64>,
    pub(crate) quota: Option<Quota>,
    pub(crate) literals: Vec<Literal>,
    /// The source and the line where it stands.
    pub(crate) place: Option<(String, usize)>,
    /// Sets of entities, one of which must be near for it to apply.
    pub(crate) keys: Vec<Keys>,
    /// The circumstances that it reads.
    pub(crate) mentions: Mentions,
}

impl Rule {
    /// Puts a rule together; fails with the entity, as written, that is not well-formed, what is wrong and how to mend it.
    pub(crate) fn new(
        id: &str,
        policy: &Policy,
        annotations: Annotations,
    ) -> Result<Self, (String, constant::Fault)> {
        let mut literals: Vec<Literal> = Vec::new();
        for uid in policy.entity_literals() {
            match constant::read(&uid) {
                Ok(Some(literal)) if !literals.contains(&literal) => literals.push(literal),
                Ok(_) => {}
                Err(fault) => return Err((uid.to_string(), fault)),
            }
        }
        let effect = match (policy.effect(), annotations.ask.is_some()) {
            (cedar_policy::Effect::Forbid, _) => Effect::Forbid,
            (cedar_policy::Effect::Permit, true) => Effect::Ask,
            (cedar_policy::Effect::Permit, false) => Effect::Permit,
        };
        Ok(Self {
            id: id.to_owned(),
            policy: policy.new_id(PolicyId::new(id)),
            place: None,
            keys: key::of(policy),
            mentions: Mentions::of(policy),
            quota: annotations.quota,
            effect,
            approves: annotations.approves,
            people: annotations.ask.unwrap_or_default(),
            reason: annotations.reason,
            expires: annotations.expires,
            literals,
        })
    }

    /// Whether it is about calls only.
    pub(crate) fn is_of_calls(&self) -> bool {
        let call = crate::schema::Type::Action.uid("call");
        call.is_ok_and(|call| self.policy.action_constraint() == ActionConstraint::Eq(call))
    }

    /// Whether what it says about capabilities changes with time.
    pub(crate) fn is_timed(&self) -> bool {
        let asks = ["now", "local"].iter().any(|time| self.mentions.has(time));
        !self.is_of_calls() && (self.expires.is_some() || asks)
    }

    /// Whether it limits how often something else is permitted.
    pub(crate) fn is_limit(&self) -> bool {
        self.effect == Effect::Forbid && self.quota.is_some()
    }

    /// Whether its resource constraint can match this tool.
    pub(crate) fn is_about(&self, tool: &EntityUid, plugin: &EntityUid) -> bool {
        match self.policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
            ResourceConstraint::Eq(uid) => uid == *tool,
            ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                uid == *tool || uid == *plugin
            }
        }
    }

    /// Whether its action constraint can match this action.
    pub(crate) fn concerns(&self, action: &EntityUid, vocabulary: &Vocabulary) -> bool {
        let within =
            |group: &EntityUid| group == action || vocabulary.actions.is_ancestor_of(group, action);
        match self.policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(one) => one == *action,
            ActionConstraint::In(groups) => groups.iter().any(within),
        }
    }
}
