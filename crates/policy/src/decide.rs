//! From one asked capability to the part of it that is granted.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::{Capability, Grant, Granted, Method, NetScope, ProgramRef, Scope};

use crate::constant::Constant;
use crate::decision::{Decision, Effect, Outcome, Reason};
use crate::error::Problem;
use crate::evaluate::{ANY, Evaluator, Level, Verdict, ambient};
use crate::family::{self, MAX_PARTS};
use crate::pdp::Pdp;
use crate::person;
use crate::subject::{Context, Principal};
use crate::unscoped;

/// What was found out about a request.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) granted: Vec<Granted>,
    /// With approval: everything that is granted or could be.
    pub(crate) approvable: Vec<Granted>,
    pub(crate) reasons: Vec<Reason>,
}

impl Pdp {
    /// Decides one asked capability. What is granted lies inside what was asked, and policy permits every
    /// point of it; where the exact answer cannot be said, less is granted, never more.
    pub fn decide(&self, principal: &Principal, context: &Context, asked: &Capability) -> Decision {
        let found = Evaluator::new(self, asked.kind(), principal, context).and_then(|evaluator| {
            let found = find(&evaluator, asked)?;
            Ok((found, evaluator.phase.until))
        });
        let (found, valid_until) = found.unwrap_or_else(|problem| {
            let reasons = vec![reason(
                "evaluation",
                Effect::Error,
                problem.to_string(),
                asked,
            )];
            let denied = Findings {
                reasons,
                ..Findings::default()
            };
            (denied, None)
        });
        Decision {
            asked: asked.clone(),
            outcome: outcome(asked, &found),
            reasons: found.reasons,
            valid_until,
        }
    }

    /// Decides several capabilities of one session, each on its own.
    pub fn decide_all<'a>(
        &self,
        principal: &Principal,
        context: &Context,
        asked: impl IntoIterator<Item = &'a Capability>,
    ) -> Vec<Decision> {
        asked
            .into_iter()
            .map(|asked| self.decide(principal, context, asked))
            .collect()
    }
}

fn outcome(asked: &Capability, found: &Findings) -> Outcome {
    let inside = |atoms: &[Granted]| {
        let inside = atoms.iter().filter(|a| asked.contains(a.capability()));
        Grant::new(inside.cloned())
    };
    let granted = inside(&found.granted);
    let whole = Granted::whole(asked.clone());
    if granted.atoms() == [whole.clone()] {
        return Outcome::Grant(whole);
    }
    let mut pending = inside(&found.approvable).atoms().to_vec();
    pending.retain(|atom| !granted.holds(atom));
    let granted = granted.atoms().to_vec();
    match (granted.is_empty(), pending.is_empty()) {
        (_, false) => Outcome::Ask { granted, pending },
        (true, true) => Outcome::Deny,
        (false, true) => Outcome::Partial(granted),
    }
}

/// Judges a request of any kind and scope.
pub(crate) fn find(evaluator: &Evaluator<'_>, asked: &Capability) -> Result<Findings, Problem> {
    match asked.scope() {
        Scope::Net(net) => network(evaluator, asked, net),
        Scope::Whole if asked.kind() == bailiwick_capability::Kind::NetworkAccess => {
            unscoped::network(evaluator, asked)
        }
        Scope::Program(program) if matches!(program.program(), ProgramRef::Named(_)) => {
            let text = "a bare program name may be any file, so policy does not decide on it: resolve it to a path first";
            let reasons = vec![reason(
                "default-deny",
                Effect::Default,
                text.to_owned(),
                asked,
            )];
            Ok(Findings {
                reasons,
                ..Findings::default()
            })
        }
        _ => plain(evaluator, asked),
    }
}

/// Requests that one family of parts describes.
fn plain(evaluator: &Evaluator<'_>, asked: &Capability) -> Result<Findings, Problem> {
    let parts = parts(evaluator, asked)?;
    let near = evaluator.near(asked);
    let resources = |parts: &[Capability]| -> Result<Vec<_>, Problem> {
        parts
            .iter()
            .map(|part| evaluator.resource(part, ANY, &near))
            .collect()
    };
    let narrow = evaluator.verdicts(resources(&parts)?, false)?;
    // As part of a whole kind, a point must be permitted both as that and by itself.
    let wide = if is_unscoped(asked) {
        evaluator.verdicts(resources(&parts)?, true)?
    } else {
        narrow.clone()
    };
    let folders = unscoped::folders(evaluator, asked)?;
    let level = |at: usize, root: usize| {
        let narrow = narrow.get(at).map_or(Level::Deny, |v| v.level);
        if root != 0 {
            return narrow;
        }
        let wide = wide.get(at).map_or(Level::Deny, |v| v.level);
        let inexpressible = folders.iter().map(|v| v.level).min();
        narrow.min(wide).min(inexpressible.unwrap_or(Level::Allow))
    };
    let whole = |verdicts: &[Verdict]| verdicts.first().map_or(Level::Deny, |v| v.level);
    let mut reasons = Reasons::new(asked);
    reasons.add(&parts, &wide);
    if whole(&wide) < whole(&narrow) {
        // Refused for its width alone: no constant that happens to be mentioned is what was meant.
        return Ok(Findings {
            reasons: reasons.done(),
            ..Findings::default()
        });
    }
    reasons.add(&parts, &narrow);
    for verdict in folders.iter().filter(|v| v.level != Level::Allow) {
        reasons.add(std::slice::from_ref(asked), std::slice::from_ref(verdict));
    }
    let mut reasons = reasons.done();
    let around = folders.iter().map(|verdict| verdict.level).max();
    if level(0, 0) < Level::Allow && around.max(Some(whole(&narrow))) > Some(level(0, 0)) {
        reasons.push(unscoped::inexpressible(asked, "folder", "programs"));
    }
    Ok(Findings {
        granted: family::assemble(&parts, |at, root| level(at, root) == Level::Allow),
        approvable: family::assemble(&parts, |at, root| level(at, root) >= Level::Ask),
        reasons,
    })
}

fn parts(evaluator: &Evaluator<'_>, asked: &Capability) -> Result<Vec<Capability>, Problem> {
    let entries = evaluator.classified.iter().map(|(scope, _)| scope);
    family::parts(asked, evaluator.constants(), entries).ok_or_else(|| {
        let what = format!("policies cut `{asked}` into more than {MAX_PARTS} parts");
        Problem::of("decision", what, "ask for something narrower")
    })
}

/// Whether a request is for a whole kind, however it is written.
pub(crate) fn is_unscoped(asked: &Capability) -> bool {
    match asked.scope() {
        Scope::Whole => ambient(asked.kind()).is_none(),
        Scope::Path(scope) => scope.to_string() == "/",
        _ => false,
    }
}

/// The methods of a request that policies can tell apart: each one that some policy names, and the others.
struct Slice {
    /// What stands for it in evaluation.
    method: String,
    /// Which methods it is; none: all that no policy names.
    methods: Option<BTreeSet<Method>>,
}

fn slices(evaluator: &Evaluator<'_>, net: &NetScope) -> Vec<Slice> {
    let mut named: BTreeSet<Method> = BTreeSet::new();
    if net.scheme() != bailiwick_capability::Scheme::Tcp {
        named.extend(evaluator.constants().filter_map(|constant| match constant {
            Constant::Method(method) => Some(method.clone()),
            _ => None,
        }));
    }
    let others = net.methods().map(|asked| asked - &named);
    if let Some(asked) = net.methods() {
        named = &named & asked;
    }
    let each = named.into_iter().map(|method| Slice {
        method: method.as_str().to_owned(),
        methods: Some(BTreeSet::from([method])),
    });
    let rest = (!others.as_ref().is_some_and(BTreeSet::is_empty)).then(|| Slice {
        method: ANY.to_owned(),
        methods: others,
    });
    each.chain(rest).collect()
}

/// Connections: one family of hosts and paths for each slice of methods.
fn network(
    evaluator: &Evaluator<'_>,
    asked: &Capability,
    net: &NetScope,
) -> Result<Findings, Problem> {
    let all_methods = with_methods(asked, None)?;
    let parts = parts(evaluator, &all_methods)?;
    let slices = slices(evaluator, net);
    let near = evaluator.near(&all_methods);
    if parts.len().saturating_mul(slices.len()) > MAX_PARTS {
        let what = format!("policies cut `{asked}` into more than {MAX_PARTS} parts");
        return Err(Problem::of("decision", what, "name fewer methods or hosts"));
    }
    let mut resources = Vec::new();
    for slice in &slices {
        for part in &parts {
            resources.push(evaluator.resource(part, &slice.method, &near)?);
        }
    }
    let verdicts = evaluator.verdicts(resources, false)?;
    let judged: Vec<&[Verdict]> = verdicts.chunks(parts.len()).collect();
    let mut reasons = Reasons::new(asked);
    for verdicts in &judged {
        reasons.add(&parts, verdicts);
    }
    let at_least = |level: Level| -> Result<Vec<Granted>, Problem> {
        let mut by_atom: BTreeMap<Granted, Vec<&Slice>> = BTreeMap::new();
        for (slice, verdicts) in slices.iter().zip(&judged) {
            let allowed = |at: usize, _: usize| verdicts.get(at).is_some_and(|v| v.level >= level);
            for atom in Grant::new(family::assemble(&parts, allowed)).atoms() {
                by_atom.entry(atom.clone()).or_default().push(slice);
            }
        }
        let mut atoms = Vec::new();
        for (atom, of) in by_atom {
            atoms.extend(for_methods(&atom, &of, &slices)?);
        }
        Ok(atoms)
    };
    Ok(Findings {
        granted: at_least(Level::Allow)?,
        approvable: at_least(Level::Ask)?,
        reasons: reasons.done(),
    })
}

/// Restricts an atom that was found for all methods to those of the slices for which it was found.
fn for_methods(
    atom: &Granted,
    of: &[&Slice],
    slices: &[Slice],
) -> Result<Option<Granted>, Problem> {
    let open = of.iter().any(|slice| slice.methods.is_none());
    let methods: Option<BTreeSet<Method>> = if open {
        None
    } else {
        let each = of.iter().filter_map(|slice| slice.methods.clone());
        Some(each.flatten().collect())
    };
    let mut holes = atom.holes().to_vec();
    if open {
        let missing = slices
            .iter()
            .filter(|slice| !of.iter().any(|has| has.method == slice.method));
        for slice in missing {
            holes.push(with_methods(atom.capability(), slice.methods.clone())?);
        }
    }
    let capability = with_methods(atom.capability(), methods)?;
    Ok(Granted::with_holes(capability, holes))
}

fn with_methods(
    capability: &Capability,
    methods: Option<BTreeSet<Method>>,
) -> Result<Capability, Problem> {
    let Scope::Net(net) = capability.scope() else {
        return Ok(capability.clone());
    };
    let path = net.path().cloned();
    NetScope::new(net.scheme(), net.host().clone(), net.port(), path, methods)
        .and_then(|net| Capability::new(capability.kind(), Scope::Net(net)))
        .map_err(|e| Problem::of("decision", e.message(), e.help()))
}

fn reason(policy: &str, effect: Effect, text: String, about: &Capability) -> Reason {
    Reason {
        policy: policy.to_owned(),
        effect,
        text: Some(text),
        remedy: None,
        about: about.to_string(),
    }
}

fn unpermitted(missing: &Capability) -> Reason {
    let (text, remedy) = person::advice(missing);
    Reason {
        remedy,
        ..reason("default-deny", Effect::Default, text, missing)
    }
}

/// Whether a part's verdict shapes the answer: it permits something, or cuts a hole.
fn matters(part: &Capability, verdict: &Verdict, parts: &[Capability], all: &[Verdict]) -> bool {
    let mut around = parts.iter().zip(all);
    verdict.level > Level::Deny || around.any(|(p, v)| v.level > Level::Deny && p.contains(part))
}

/// Collects the determining policies, each once, with the widest part that it determined.
pub(crate) struct Reasons<'a> {
    asked: &'a Capability,
    found: Vec<Reason>,
}

impl<'a> Reasons<'a> {
    pub(crate) fn new(asked: &'a Capability) -> Self {
        Self {
            asked,
            found: Vec::new(),
        }
    }

    /// Adds the causes of the verdicts on parts, which are sorted with the widest first.
    pub(crate) fn add(&mut self, parts: &[Capability], verdicts: &[Verdict]) {
        for (at, (part, verdict)) in parts.iter().zip(verdicts).enumerate() {
            for cause in &verdict.causes {
                let known = |r: &Reason| r.policy == cause.policy && r.text == cause.text;
                let missing = cause.effect == Effect::Default;
                let again = self
                    .found
                    .iter()
                    .any(|r| known(r) || (missing && r.effect == Effect::Default));
                if again || (at > 0 && !matters(part, verdict, parts, verdicts)) {
                    continue;
                }
                self.found.push(if missing {
                    unpermitted(part)
                } else {
                    Reason {
                        policy: cause.policy.clone(),
                        effect: cause.effect,
                        text: cause.text.clone(),
                        remedy: None,
                        about: part.to_string(),
                    }
                });
            }
        }
    }

    /// The reasons; those that deny come after those that permit.
    pub(crate) fn done(mut self) -> Vec<Reason> {
        self.found.sort_by_key(|r| r.effect);
        if self.found.is_empty() {
            self.found.push(unpermitted(self.asked));
        }
        self.found
    }
}
