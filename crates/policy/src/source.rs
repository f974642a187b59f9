//! From text to rules: parsed, annotated, strictly validated, or refused with every problem found.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode};
use miette::Diagnostic;

use crate::annotation;
use crate::classification::Classification;
use crate::error::{PolicyError, Problem};
use crate::mention::Mentions;
use crate::rule::Rule;
use crate::schema::{Type, vocabulary};
use crate::template::{self, Link};
use crate::tools;

/// Longest policy text of one source, in bytes: parsing is recursive and validation is not linear.
const MAX_TEXT: usize = 1 << 20;

/// The text of one policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// What errors call it, such as `policies/site.cedar`.
    pub name: String,
    /// Cedar policies.
    pub text: String,
}

impl PolicySource {
    /// A named text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}

/// Reads every source, or tells everything that is wrong with them.
pub(crate) fn load(
    sources: &[PolicySource],
    links: &[PolicySource],
    classification: &Classification,
) -> Result<Vec<Rule>, PolicyError> {
    let labels = classification.labels();
    let mut linked: Vec<Link> = Vec::new();
    for source in links {
        linked.extend(template::read(source)?);
    }
    let mut unused: BTreeSet<&str> = linked.iter().map(|link| link.template.as_str()).collect();
    let mut rules: Vec<Rule> = Vec::new();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for source in sources {
        let reader = Reader {
            source,
            labels: &labels,
            links: &linked,
        };
        match reader.rules(&mut unused) {
            Ok(more) => {
                for (rule, span) in more {
                    if let Some(other) = seen.insert(rule.id.clone(), source.name.clone()) {
                        let what = format!("the id `{}` was used before, in {other}", rule.id);
                        problems.push(reader.problem(span, what, "give each policy its own @id"));
                    }
                    rules.push(rule);
                }
            }
            Err(more) => problems.extend(more),
        }
    }
    for link in linked
        .iter()
        .filter(|link| unused.contains(link.template.as_str()))
    {
        let what = format!("there is no template `{}`", link.template.escape_debug());
        let mend = "give the template this @id, or remove the link";
        problems.push(Problem::of(&link.source, what, mend));
    }
    PolicyError::check(problems)?;
    Ok(rules)
}

type Span = (usize, usize);

struct Reader<'a> {
    source: &'a PolicySource,
    labels: &'a BTreeSet<&'a str>,
    links: &'a [Link],
}

impl Reader<'_> {
    fn problem(&self, span: Span, what: impl Into<String>, mend: impl Into<String>) -> Problem {
        Problem::at(&self.source.name, &self.source.text, span, what, mend)
    }

    fn rules(&self, unused: &mut BTreeSet<&str>) -> Result<Vec<(Rule, Span)>, Vec<Problem>> {
        if self.source.text.len() > MAX_TEXT {
            let what = "the text is longer than 1 MiB";
            return Err(vec![self.problem(
                (0, 0),
                what,
                "split it into several files",
            )]);
        }
        let set: PolicySet =
            self.source
                .text
                .parse()
                .map_err(|errors: cedar_policy::ParseErrors| {
                    errors
                        .iter()
                        .map(|e| self.foreign(e, "mend the syntax: see docs.cedarpolicy.com"))
                        .collect::<Vec<_>>()
                })?;
        let mut placed = self.placed(&set);
        placed.extend(self.linked(&set, unused)?);
        let mut problems = Vec::new();
        let mut rules = Vec::new();
        for (policy, span) in &placed {
            match self.rule(policy, *span) {
                Ok(rule) => rules.push((rule, *span)),
                Err(problem) => problems.push(problem),
            }
        }
        problems.extend(self.validate(&placed));
        problems.sort_by_key(|problem| problem.span);
        if problems.is_empty() {
            Ok(rules)
        } else {
            Err(problems)
        }
    }

    /// The policies in the order in which they stand, each with its place.
    fn placed(&self, set: &PolicySet) -> Vec<(Policy, Span)> {
        let number = |policy: &Policy| -> usize {
            let id: &str = policy.id().as_ref();
            id.trim_start_matches("policy")
                .parse()
                .unwrap_or(usize::MAX)
        };
        let mut policies: Vec<Policy> = set.policies().cloned().collect();
        policies.sort_by_key(number);
        let mut from = 0;
        policies
            .into_iter()
            .map(|policy| {
                let text = policy.to_cedar().unwrap_or_default();
                let rest = self.source.text.get(from..).unwrap_or_default();
                let at = from + rest.find(&text).unwrap_or_default();
                from = at + text.len();
                (policy, (at, text.len()))
            })
            .collect()
    }

    /// The policies that links make of the templates here, each in its template's place.
    fn linked(
        &self,
        set: &PolicySet,
        unused: &mut BTreeSet<&str>,
    ) -> Result<Vec<(Policy, Span)>, Vec<Problem>> {
        let mut made = Vec::new();
        let mut problems = Vec::new();
        for template in set.templates() {
            let text = template.to_cedar();
            let span = (self.source.text.find(&text).unwrap_or_default(), text.len());
            let id = template.annotation("id").unwrap_or_default();
            let mut links = self
                .links
                .iter()
                .enumerate()
                .filter(|(_, link)| link.template == id)
                .peekable();
            if links.peek().is_none() {
                let at = self.find(span, "?");
                let mend = "link it by its @id, or write the user or the resource in place of `?principal` or `?resource`";
                problems.push(self.problem(
                    (at.0, 1),
                    "a template that nothing links cannot be loaded",
                    mend,
                ));
            }
            for (at, link) in links {
                unused.remove(id);
                match template::fill(template, link) {
                    Ok(policy) => {
                        made.push((policy.new_id(PolicyId::new(format!("link{at}"))), span))
                    }
                    Err(problem) => problems.push(problem),
                }
            }
        }
        made.sort_by_key(|(_, span)| *span);
        if problems.is_empty() {
            Ok(made)
        } else {
            Err(problems)
        }
    }

    fn rule(&self, policy: &Policy, span: Span) -> Result<Rule, Problem> {
        let is_permit = policy.effect() == cedar_policy::Effect::Permit;
        let annotations =
            annotation::read(policy.annotations(), is_permit).map_err(|(name, what, mend)| {
                self.problem(self.find(span, &format!("@{name}")), what, mend)
            })?;
        let place = self.problem(span, "", "");
        let line = (self.source.name.clone(), place.line);
        let place = match place.column {
            1 => place.line.to_string(),
            column => format!("{}:{column}", place.line),
        };
        let id = annotations
            .id
            .clone()
            .unwrap_or_else(|| format!("{}:{place}", self.source.name));
        let at = |uid: &str| self.find(span, uid);
        let mut rule = Rule::new(&id, policy, annotations)
            .map_err(|(uid, (what, mend))| self.problem(at(&uid), what, mend))?;
        rule.place = Some(line);
        self.only_on_calls(&rule, span)?;
        for uid in policy.entity_literals() {
            let label = uid.id().unescaped();
            if Type::of(&uid) == Some(Type::Sensitivity) && !self.labels.contains(label) {
                let known: Vec<_> = self.labels.iter().copied().collect();
                let what = format!("no path is classified as `{}`", label.escape_debug());
                let mend = format!("the labels are {}", known.join(", "));
                return Err(self.problem(at(&uid.to_string()), what, mend));
            }
        }
        Ok(rule)
    }

    /// Quotas and arguments mean something only where a tool is called.
    fn only_on_calls(&self, rule: &Rule, span: Span) -> Result<(), Problem> {
        let (what, at) = if rule.quota.is_some() {
            ("`@quota` counts calls", "@quota")
        } else if rule.mentions.arguments {
            ("only calls have arguments", "context.arguments")
        } else if rule.approves.is_some() {
            ("`@approves` answers for calls", "@approves")
        } else {
            return Ok(());
        };
        if rule.is_of_calls() {
            return Ok(());
        }
        let mend = "write `action == Action::\"call\"`";
        Err(self.problem(self.find(span, at), what, mend))
    }

    /// Where a text stands inside a policy; the policy itself if it is written in another way there.
    fn find(&self, span: Span, text: &str) -> Span {
        let policy = self.source.text.get(span.0..span.0 + span.1);
        match policy.and_then(|policy| policy.find(text)) {
            Some(at) => (span.0 + at, text.len()),
            None => span,
        }
    }

    /// Strict validation, in which every warning is an error too: a policy that can never apply is a mistake.
    fn validate(&self, placed: &[(Policy, Span)]) -> Vec<Problem> {
        let validator = match vocabulary() {
            Ok(vocabulary) => &vocabulary.validator,
            Err(problem) => return vec![problem],
        };
        let policies = placed.iter().map(|(policy, _)| policy.clone());
        let mut known = match PolicySet::from_policies(policies) {
            Ok(known) => known,
            Err(e) => return vec![Problem::of(&self.source.name, e.to_string(), "report this")],
        };
        for (policy, _) in placed.iter().filter(|(p, _)| Mentions::of(p).arguments) {
            // What it asks of arguments is checked when the tool is known; without, it is denied.
            if known.remove_static(policy.id().clone()).is_ok()
                && let Some(rest) = tools::without_arguments(policy)
                && known.add(rest).is_err()
            {
                let what = "it cannot be checked without its conditions on arguments";
                return vec![Problem::of(&self.source.name, what, "report this")];
            }
        }
        let result = validator.validate(&known, ValidationMode::Strict);
        let span_of = |id: &PolicyId| {
            let found = placed.iter().find(|(policy, _)| policy.id() == id);
            found.map_or((0, 0), |(_, span)| *span)
        };
        let errors = result.validation_errors().map(|e| {
            (
                span_of(e.policy_id()),
                self.foreign(e, "compare it with the schema (schema.cedarschema)"),
                e.policy_id(),
            )
        });
        let warnings = result.validation_warnings().map(|w| {
            let mend = "it would never apply: check the types of action and resource, or remove it";
            (span_of(w.policy_id()), self.foreign(w, mend), w.policy_id())
        });
        // One problem for each policy: the first error, or else the first warning, which says the most.
        let mut told = BTreeSet::new();
        errors
            .chain(warnings)
            .filter(|(_, _, id)| told.insert(id.to_string()))
            .map(|(span, mut problem, id)| {
                if problem.line == 0 {
                    problem = self.problem(span, problem.message, problem.help);
                }
                let prefix = format!("for policy `{id}`, ");
                if let Some(rest) = problem.message.strip_prefix(&prefix) {
                    problem.message = rest.to_owned();
                }
                problem
            })
            .collect()
    }

    /// One of Cedar's own diagnostics, placed in our source.
    fn foreign(&self, error: &dyn Diagnostic, mend: &str) -> Problem {
        let help = error
            .help()
            .map_or_else(|| mend.to_owned(), |help| help.to_string());
        let label = error.labels().and_then(|mut labels| labels.next());
        match label {
            Some(label) => self.problem((label.offset(), label.len()), error.to_string(), help),
            None => Problem::of(&self.source.name, error.to_string(), help),
        }
    }
}
