//! The questions, and how they are put to the solver.

use bailiwick_capability::Kind;
use bailiwick_policy::{Effect, InForce, Pdp, facts};
use cedar_policy::{Authorizer, Decision, Entities, EntityId, Policy, PolicySet, Request, Schema};
use cedar_policy_symcc::{CompiledPolicySet, Env};

use crate::encode::{
    BOTH, OTHER, assumptions, beside, broken, counts, environment, on_action, policies, schema,
};
use crate::error::AnalyzeError;
use crate::example::Example;
use crate::solver::Solver;

/// Which permits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// Those that permit by themselves.
    Alone,
    /// Those besides that a person must approve (`@ask`), as if every question were answered with yes.
    Approved,
}

/// The answer to one question.
#[derive(Debug, Clone)]
#[must_use]
pub enum Answer {
    /// There is no such request.
    No,
    /// There is one, and the ordinary authorizer says so too.
    Yes(Box<Example>),
    /// Nobody knows, and why.
    Undecided(String),
}

/// The answer for one action.
#[derive(Debug, Clone)]
pub struct Finding {
    /// A kind of capability, or `call`.
    pub action: String,
    /// The answer.
    pub answer: Answer,
}

/// Every action that can be asked about: the kinds, and `call`.
#[must_use]
pub fn actions() -> Vec<&'static str> {
    Kind::ALL
        .into_iter()
        .map(Kind::as_str)
        .chain(["call"])
        .collect()
}

/// Whether `new` permits anything that `old` does not, at the time `now` (seconds since 1970), for each action that
/// the two do not treat with the very same policies.
///
/// # Errors
/// A solver that does not answer; policies that cannot be encoded.
pub fn permits_more(
    new: &Pdp,
    old: &Pdp,
    asking: Asking,
    now: i64,
    solver: &Solver,
) -> Result<Vec<Finding>, AnalyzeError> {
    let schema = schema()?;
    let finding = |action: &'static str| {
        let answer = more(new, old, action, asking, now, solver, &schema)?;
        Ok(Finding {
            action: action.to_owned(),
            answer,
        })
    };
    actions().into_iter().map(finding).collect()
}

fn more(
    new: &Pdp,
    old: &Pdp,
    action: &str,
    asking: Asking,
    now: i64,
    solver: &Solver,
    schema: &Schema,
) -> Result<Answer, AnalyzeError> {
    let of = |set: &Pdp| set.in_force(action, now).map_err(|e| broken(&e));
    let (news, olds) = (of(new)?, of(old)?);
    let texts = |rules: &[InForce]| -> Vec<(Effect, String)> {
        let mut texts: Vec<_> = rules
            .iter()
            .map(|rule| (rule.effect, bare(&rule.text)))
            .collect();
        texts.sort();
        texts
    };
    let is_alike = texts(&news) == texts(&olds) && new.classifies_like(old);
    if is_alike || !news.iter().any(|rule| rule.effect != Effect::Forbid) {
        return Ok(Answer::No);
    }
    if let Some(why) = uncovered(news.iter().chain(&olds)) {
        return Ok(Answer::Undecided(why));
    }
    if !new.classifies_like(old) && ["read_files", "write_files"].contains(&action) {
        let why =
            "the two sets classify paths differently, and a path has one label in what is solved";
        return Ok(Answer::Undecided(why.to_owned()));
    }
    let facts = facts(&[new, old], action, now, "resource").map_err(|e| broken(&e))?;
    let wide = policies(new, action, asking, now, &facts)?;
    let narrow = policies(old, action, asking, now, &[])?;
    let env = environment(action)?;
    let compile =
        |set: &PolicySet| CompiledPolicySet::compile(set, &env, schema).map_err(|e| broken(&e));
    let (a, b) = (compile(&wide)?, compile(&narrow)?);
    let found = ask(solver, async |compiler| {
        compiler.check_implies_with_counterexample_opt(&a, &b).await
    })?;
    let Env { request, entities } = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Answer::No),
        Err(why) => return Ok(Answer::Undecided(why)),
    };
    let says = |set: &PolicySet| says(set, &request, &entities);
    if says(&wide) != Decision::Allow || says(&narrow) != Decision::Deny {
        let why = "the solver found a request, and Cedar's own authorizer does not decide it so";
        return Ok(Answer::Undecided(why.to_owned()));
    }
    let example = Example::read(action, &request, &entities, now);
    Ok(example.confirm(new, Some(old), asking))
}

/// Whether one session may read a path of this sensitivity and also make a connection, in the same circumstances.
///
/// # Errors
/// A solver that does not answer; policies that cannot be encoded; a label that is none.
pub fn together(
    set: &Pdp,
    label: &str,
    asking: Asking,
    now: i64,
    solver: &Solver,
) -> Result<Answer, AnalyzeError> {
    let labels = set.labels();
    if !labels.contains(label) {
        return Err(AnalyzeError::Label {
            label: label.escape_debug().to_string(),
            known: labels.into_iter().collect::<Vec<_>>().join(", "),
        });
    }
    let schema = schema()?;
    let of = |action: &str| set.in_force(action, now).map_err(|e| broken(&e));
    let (reads, connects) = (of("read_files")?, of("network_access")?);
    if let Some(why) = uncovered(reads.iter().chain(&connects)) {
        return Ok(Answer::Undecided(why));
    }
    let label = EntityId::new(label);
    let is_labelled = format!(
        "resource.sensitivity == Sensitivity::\"{}\"",
        label.escaped()
    );
    let mut known = facts(&[set], "read_files", now, "resource").map_err(|e| broken(&e))?;
    known.push(is_labelled);
    known.extend(facts(&[set], "network_access", now, OTHER).map_err(|e| broken(&e))?);
    let mut files = on_both(&reads, asking, |rule| on_action(rule, BOTH))?;
    for policy in assumptions(BOTH, &known)? {
        files.add(policy).map_err(|e| broken(&e))?;
    }
    let endpoints = on_both(&connects, asking, beside)?;
    let env = environment(BOTH)?;
    let compile =
        |set: &PolicySet| CompiledPolicySet::compile(set, &env, &schema).map_err(|e| broken(&e));
    let (a, b) = (compile(&files)?, compile(&endpoints)?);
    let found = ask(solver, async |compiler| {
        compiler
            .check_disjoint_with_counterexample_opt(&a, &b)
            .await
    })?;
    let Env { request, entities } = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Answer::No),
        Err(why) => return Ok(Answer::Undecided(why)),
    };
    if [&files, &endpoints]
        .iter()
        .any(|set| says(set, &request, &entities) != Decision::Allow)
    {
        let why = "the solver found a request, and Cedar's own authorizer does not decide it so";
        return Ok(Answer::Undecided(why.to_owned()));
    }
    let example = Example::read(BOTH, &request, &entities, now);
    Ok(example.confirm(set, None, asking))
}

fn on_both(
    rules: &[InForce],
    asking: Asking,
    of: impl Fn(&InForce) -> Result<Policy, AnalyzeError>,
) -> Result<PolicySet, AnalyzeError> {
    let mut set = PolicySet::new();
    for rule in rules.iter().filter(|rule| counts(rule, asking)) {
        set.add(of(rule)?).map_err(|e| broken(&e))?;
    }
    Ok(set)
}

fn says(set: &PolicySet, request: &Request, entities: &Entities) -> Decision {
    Authorizer::new()
        .is_authorized(request, set, entities)
        .decision()
}

/// A policy's words without its annotations, which mean nothing here.
fn bare(text: &str) -> String {
    let starts = ["permit", "forbid"]
        .iter()
        .filter_map(|effect| text.find(effect));
    text.get(starts.min().unwrap_or(0)..)
        .unwrap_or(text)
        .to_owned()
}

/// What the encoding does not cover, if these policies ask of it.
fn uncovered<'a>(rules: impl Iterator<Item = &'a InForce>) -> Option<String> {
    let asks = |rule: &&InForce| rule.asks_of_arguments;
    let mut asking = rules.filter(asks).map(|rule| rule.id.as_str());
    let first = asking.next()?;
    Some(format!(
        "`{first}` asks of the arguments of calls, whose types are the tools' own"
    ))
}

/// Puts a question to a fresh solver; the inner error is a solver that does not know.
fn ask<T>(
    solver: &Solver,
    question: impl AsyncFnOnce(
        &mut cedar_policy_symcc::CedarSymCompiler<cedar_policy_symcc::solver::LocalSolver>,
    ) -> Result<T, cedar_policy_symcc::err::Error>,
) -> Result<Result<T, String>, AnalyzeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| solver.failed(&e))?;
    runtime.block_on(async {
        let mut compiler = solver.start()?;
        match question(&mut compiler).await {
            Ok(found) => Ok(Ok(found)),
            Err(cedar_policy_symcc::err::Error::SolverUnknown) => {
                let limit = solver.limit.as_secs();
                Ok(Err(format!(
                    "the solver did not decide it within {limit} s"
                )))
            }
            Err(error) => Err(solver.failed(&error)),
        }
    })
}
