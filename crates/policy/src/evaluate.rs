//! One evaluation of the policies in force, on one resource at a time, by Cedar's ordinary authorizer.

use std::collections::HashSet;

use bailiwick_capability::{Capability, Kind, Scope};
use cedar_policy::{Entities, Entity, EntityUid, Request, RestrictedExpression};

use crate::classification::sensitivity_of;
use crate::constant::{Constant, Literal};
use crate::decision::Effect;
use crate::error::Problem;
use crate::pdp::{Pdp, Phase};
use crate::rule::Rule;
use crate::schema::{Type, vocabulary};
use crate::shelf::Matched;
use crate::subject::{Context, Principal, entity};

/// The id of what no policy can name: every name, port or method that none mentions.
pub(crate) const ANY: &str = "*";

/// How far a verdict goes; the order is from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Deny,
    Ask,
    Allow,
}

/// A policy that determined a verdict, or the want of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) policy: String,
    pub(crate) effect: Effect,
    pub(crate) text: Option<String>,
    /// How many people must say yes, where it asks.
    pub(crate) people: u8,
}

/// Which of two permits wins, one with `@ask` and one without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// For capabilities: what is granted anyway is not asked about.
    Permit,
    /// For calls: all tools of a loaded plugin may be called by default, and who writes `@ask` for one means it.
    Ask,
}

/// The answer for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) level: Level,
    pub(crate) causes: Vec<Cause>,
}

/// Everything about a decision but the resource.
pub(crate) struct Evaluator<'a> {
    pdp: &'a Pdp,
    pub(crate) phase: &'a Phase,
    principal: EntityUid,
    action: &'a EntityUid,
    subject: Vec<Entity>,
    context: &'a Context,
    /// The plugin's folder, which policies name through the principal.
    folders: Vec<Literal>,
    /// The classified paths, where the kind is about files.
    pub(crate) classified: Vec<(Capability, &'a str)>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        pdp: &'a Pdp,
        kind: Kind,
        principal: &Principal,
        context: &'a Context,
    ) -> Result<Self, Problem> {
        let phases = pdp.phases(kind)?;
        let phase = phases.at(context.now)?;
        let folders: Vec<Literal> = principal.folder()?.into_iter().collect();
        let mut subject = principal.entities(&folders)?;
        for folder in &folders {
            let holds = |other: &&Literal| is_folder_in(folder, other);
            let parents = phase.literals.iter().filter(holds).map(|l| l.uid.clone());
            subject.push(entity(folder.uid.clone(), [], parents.collect())?);
        }
        Ok(Self {
            pdp,
            phase,
            principal: principal.uid()?,
            action: &phases.action,
            subject,
            context,
            folders,
            classified: pdp.classification.capabilities(kind),
        })
    }

    /// The literals that reach into a request: no other can hold a part of it. A whole kind has parts that a
    /// literal holds without being a part itself, such as the programs of a folder.
    pub(crate) fn near(&self, asked: &Capability) -> Vec<&Literal> {
        let whole = *asked.scope() == Scope::Whole;
        self.literals()
            .filter(|literal| whole || literal.constant.project(asked).is_some())
            .collect()
    }

    /// The constants that cut requests into parts.
    pub(crate) fn constants(&self) -> impl Iterator<Item = &Constant> {
        self.literals().map(|literal| &literal.constant)
    }

    pub(crate) fn literals(&self) -> impl Iterator<Item = &Literal> {
        self.phase.literals.iter().chain(&self.folders)
    }

    /// The resource that stands for the points of which `part` is the smallest part.
    /// `method` is the HTTP method, where there is one; `near` are the literals that reach into the request.
    pub(crate) fn resource(
        &self,
        part: &Capability,
        method: &str,
        near: &[&Literal],
    ) -> Result<Entity, Problem> {
        let parents: HashSet<EntityUid> = near
            .iter()
            .filter(|literal| literal.is_container && literal.constant.covers(part))
            .map(|literal| literal.uid.clone())
            .collect();
        let id = match part.scope() {
            Scope::Whole => ANY.to_owned(),
            Scope::Listen(listen) => listen.port().to_string(),
            scope => scope.to_string(),
        };
        match part.kind() {
            Kind::ReadFiles | Kind::WriteFiles => {
                let label = Type::Sensitivity.uid(sensitivity_of(&self.classified, part))?;
                let label = RestrictedExpression::new_entity_uid(label);
                entity(Type::File.uid(&id)?, [("sensitivity", label)], parents)
            }
            Kind::NetworkAccess => match part.scope() {
                Scope::Net(net) => {
                    let port = net.port().to_string();
                    endpoint(&id, net.scheme().as_str(), &port, method, parents)
                }
                _ => Err(Problem::of(
                    "decision",
                    "a whole network is no endpoint",
                    "report this",
                )),
            },
            kind => entity(
                resource_type(kind).uid(ambient(kind).unwrap_or(&id))?,
                [],
                parents,
            ),
        }
    }

    /// Judges resources, in order. A policy that cannot be evaluated denies: it might be a `forbid`.
    pub(crate) fn verdicts(
        &self,
        resources: Vec<Entity>,
        unscoped: bool,
    ) -> Result<Vec<Verdict>, Problem> {
        let broken = |what: String| Problem::of("decision", what, "report this");
        let pairs = self.context.pairs(unscoped, &self.phase.mentions)?;
        let context =
            cedar_policy::Context::from_pairs(pairs).map_err(|e| broken(e.to_string()))?;
        let uids: Vec<_> = resources.iter().map(Entity::uid).collect();
        let all = self.subject.iter().cloned().chain(resources);
        let entities = with_actions(all)?;
        uids.into_iter()
            .map(|resource| self.verdict(resource, context.clone(), &entities))
            .collect()
    }

    fn verdict(
        &self,
        resource: EntityUid,
        context: cedar_policy::Context,
        entities: &Entities,
    ) -> Result<Verdict, Problem> {
        let (principal, action) = (self.principal.clone(), self.action.clone());
        let request = Request::new(principal, action, resource.clone(), context, None)
            .map_err(|e| Problem::of("decision", e.to_string(), "report this"))?;
        let asked = [&self.principal, &resource];
        Ok(self.pdp.judge(
            self.phase.shelves.judge(&request, asked, entities),
            First::Permit,
        ))
    }
}

impl Pdp {
    /// From Cedar's answers to ours: errors deny, forbid wins, and a permit with `@ask` only asks. `first` wins where
    /// both kinds of permits match.
    pub(crate) fn judge(&self, matched: Matched, first: First) -> Verdict {
        if !matched.errors.is_empty() {
            let causes = matched.errors.into_iter().map(|error| Cause {
                policy: "evaluation".to_owned(),
                effect: Effect::Error,
                text: Some(error),
                people: 0,
            });
            return Verdict {
                level: Level::Deny,
                causes: causes.collect(),
            };
        }
        let mut rules: Vec<&Rule> = matched.ids.iter().filter_map(|id| self.rule(id)).collect();
        // An id of no rule of ours cannot be; were there one, it might have been a forbid.
        let unknown = rules.len() < matched.ids.len();
        let answered: Vec<&str> = rules
            .iter()
            .filter_map(|rule| rule.approves.as_deref())
            .collect();
        rules.retain(|rule| rule.effect != Effect::Ask || !answered.contains(&rule.id.as_str()));
        let has = |effect: Effect| rules.iter().any(|rule| rule.effect == effect);
        let level = if unknown || has(Effect::Forbid) {
            Level::Deny
        } else {
            match (first, has(Effect::Permit), has(Effect::Ask)) {
                (First::Permit, true, _) | (First::Ask, true, false) => Level::Allow,
                (_, _, true) => Level::Ask,
                (_, false, false) => Level::Deny,
            }
        };
        let decisive = match level {
            Level::Deny => Effect::Forbid,
            Level::Ask => Effect::Ask,
            Level::Allow => Effect::Permit,
        };
        let rules = rules.into_iter().filter(|rule| rule.effect == decisive);
        let mut causes: Vec<Cause> = rules.map(Cause::of).collect();
        if causes.is_empty() {
            causes.push(Cause {
                policy: "default-deny".to_owned(),
                effect: Effect::Default,
                text: None,
                people: 0,
            });
        }
        Verdict { level, causes }
    }
}

impl Cause {
    pub(crate) fn of(rule: &Rule) -> Self {
        Self {
            policy: rule.id.clone(),
            effect: rule.effect,
            text: rule.reason.clone(),
            people: rule.people,
        }
    }
}

fn is_folder_in(folder: &Literal, other: &Literal) -> bool {
    match (&folder.constant, &other.constant) {
        (Constant::Path(inner), Constant::Path(outer)) => {
            let kind = Kind::ReadFiles;
            let inner = Capability::new(kind, Scope::Path(inner.clone()));
            let outer = Capability::new(kind, Scope::Path(outer.clone()));
            other.is_container
                && folder.uid != other.uid
                && matches!((inner, outer), (Ok(inner), Ok(outer)) if outer.contains(&inner))
        }
        _ => false,
    }
}

/// Entities together with the actions and their groups.
pub(crate) fn with_actions(
    entities: impl IntoIterator<Item = Entity>,
) -> Result<Entities, Problem> {
    let vocabulary = vocabulary()?;
    // What is made here fits the schema by construction; debug builds, and so all tests, check it.
    let schema = cfg!(debug_assertions).then_some(&vocabulary.schema);
    let actions = vocabulary.actions.clone();
    actions
        .add_entities(entities, schema)
        .map_err(|e| Problem::of("decision", e.to_string(), "report this"))
}

pub(crate) fn endpoint(
    id: &str,
    scheme: &str,
    port: &str,
    method: &str,
    parents: HashSet<EntityUid>,
) -> Result<Entity, Problem> {
    let reference = |of: Type, id: &str| of.uid(id).map(RestrictedExpression::new_entity_uid);
    let attributes = [
        ("scheme", reference(Type::Scheme, scheme)?),
        ("port", reference(Type::Port, port)?),
        ("method", reference(Type::Method, method)?),
    ];
    let uid = Type::Endpoint.uid(&format!("{id} {method}"))?;
    entity(uid, attributes, parents)
}

/// The type of the resources of a kind.
pub(crate) const fn resource_type(kind: Kind) -> Type {
    match kind {
        Kind::ReadFiles | Kind::WriteFiles => Type::File,
        Kind::NetworkAccess => Type::Endpoint,
        Kind::NetworkListen => Type::Port,
        Kind::ExecuteCode | Kind::ExecuteShell => Type::Command,
        Kind::ReadEnvironment => Type::Variable,
        Kind::UseSecret => Type::Secret,
        Kind::WriteToLogs => Type::Stream,
        Kind::CallTool => Type::AgentTool,
        Kind::UseModel => Type::Model,
        Kind::AskUser | Kind::Clock | Kind::Random => Type::Ambient,
    }
}

/// The id of the one resource of a kind that knows no scopes.
pub(crate) const fn ambient(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::AskUser | Kind::Clock | Kind::Random => Some(kind.as_str()),
        _ => None,
    }
}
