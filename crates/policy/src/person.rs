//! A person's own grants (`--allow`) as policies: recorded as theirs, and bounded by every `forbid`.

use bailiwick_capability::{Capability, Granted, Kind, NetScope, PathScope, ProgramRef, Scope};
use cedar_policy::{EntityUid, Policy, PolicySet, ValidationMode};

use crate::annotation::Annotations;
use crate::error::{PolicyError, Problem};
use crate::evaluate::resource_type;
use crate::pdp::Pdp;
use crate::rule::Rule;
use crate::schema::{Type, vocabulary};

impl Pdp {
    /// This policy set with permits of one user's own, called `person:allow:1` and so on. They hold for that
    /// user alone, and every `forbid` bounds them.
    ///
    /// # Errors
    /// A program by its bare name, and paths that policies cannot name.
    pub fn with_person_grants(&self, user: &str, grants: &[Granted]) -> Result<Self, PolicyError> {
        let mut rules: Vec<Rule> = self.rules.as_ref().clone();
        let before = rules
            .iter()
            .filter(|r| r.id.starts_with("person:allow:"))
            .count();
        for (at, granted) in grants.iter().enumerate() {
            let id = format!("person:allow:{}", before + at + 1);
            rules.push(rule(&id, user, granted)?);
        }
        let whole = Self::from_rules(rules, std::sync::Arc::clone(&self.classification))?;
        Ok(Self {
            tools: std::sync::Arc::clone(&self.tools),
            ..whole
        })
    }
}

fn rule(id: &str, user: &str, granted: &Granted) -> Result<Rule, PolicyError> {
    let source = format!("--allow {granted}");
    let refused = |what: String, mend: &str| Problem::of(&source, what, mend);
    let who = format!("principal in {}", Type::User.uid(user)?);
    let text = permit(&who, granted).map_err(|p| refused(p.message, &p.help))?;
    let policy = Policy::parse(None, &text).map_err(|e| refused(e.to_string(), "report this"))?;
    let annotations = Annotations {
        reason: Some(format!("{user} allowed it: --allow '{granted}'")),
        ..Annotations::default()
    };
    let rule =
        Rule::new(id, &policy, annotations).map_err(|(_, (what, mend))| refused(what, &mend))?;
    let set = PolicySet::from_policies([rule.policy.clone()])
        .map_err(|e| refused(e.to_string(), "report this"))?;
    let result = vocabulary()?
        .validator
        .validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(refused(error.to_string(), "report this").into());
    }
    Ok(rule)
}

/// A permit for one granted atom, in Cedar.
pub(crate) fn permit(who: &str, granted: &Granted) -> Result<String, Problem> {
    let kind = granted.capability().kind();
    let action = Type::Action.uid(kind.as_str())?;
    let mut text = format!("permit ({who}, action == {action}, resource)");
    let inside = condition(granted.capability())?;
    if let Some(condition) = inside {
        text.push_str(&format!(" when {{ {condition} }}"));
    }
    for hole in granted.holes() {
        let condition = condition(hole)?.unwrap_or_else(|| "true".to_owned());
        text.push_str(&format!(" unless {{ {condition} }}"));
    }
    text.push(';');
    Ok(text)
}

/// What makes a resource lie inside a capability; none where every resource of the kind does.
pub(crate) fn condition(capability: &Capability) -> Result<Option<String>, Problem> {
    let inside = |uid: EntityUid| format!("resource in {uid}");
    let exactly = |uid: EntityUid| format!("resource == {uid}");
    let kind = capability.kind();
    let condition = match capability.scope() {
        Scope::Whole => return Ok(None),
        Scope::Path(PathScope::File(path)) => exactly(Type::File.uid(path.as_str())?),
        Scope::Path(PathScope::Tree(path)) => inside(Type::Dir.uid(path.as_str())?),
        Scope::Net(net) => network(net)?,
        Scope::Listen(listen) => exactly(Type::Port.uid(&listen.port().to_string())?),
        Scope::Program(program) => match program.program() {
            ProgramRef::Path(_) => inside(Type::Program.uid(&program.to_string())?),
            ProgramRef::Named(name) => {
                let what = format!("`{name}` may be any program of that name");
                return Err(Problem::of(
                    "policy",
                    what,
                    "resolve it to an absolute path",
                ));
            }
        },
        Scope::Name(name) => {
            let text = name.to_string();
            let plural = match kind {
                _ if !text.ends_with('*') => None,
                Kind::ReadEnvironment => Some(Type::Variables),
                Kind::WriteToLogs => Some(Type::Streams),
                _ => Some(Type::AgentTools),
            };
            match plural {
                Some(plural) => inside(plural.uid(&text)?),
                None => exactly(resource_type(kind).uid(&text)?),
            }
        }
    };
    Ok(Some(condition))
}

fn network(net: &NetScope) -> Result<String, Problem> {
    let broken =
        |e: bailiwick_capability::CapabilityError| Problem::of("policy", e.message(), e.help());
    let path = net.path().cloned();
    let bare = NetScope::new(net.scheme(), net.host().clone(), net.port(), path, None);
    let url = Type::Url.uid(&bare.map_err(broken)?.to_string())?;
    let mut condition = format!("resource in {url}");
    if let Some(methods) = net.methods() {
        let methods = methods
            .iter()
            .map(|method| Ok(Type::Method.uid(method.as_str())?.to_string()))
            .collect::<Result<Vec<_>, Problem>>()?;
        condition.push_str(&format!(
            " && [{}].contains(resource.method)",
            methods.join(", ")
        ));
    }
    Ok(condition)
}

/// What is missing where no policy permits, and the policy that would.
pub(crate) fn advice(missing: &Capability) -> (String, Option<String>) {
    let granted = Granted::whole(missing.clone());
    match permit("principal", &granted) {
        Ok(policy) => ("no policy permits it".to_owned(), Some(policy)),
        Err(problem) => (format!("no policy permits it: {}", problem.help), None),
    }
}
