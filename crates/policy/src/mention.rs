//! Which circumstances a policy reads, so that only those are made for a decision.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

/// Most operators of a policy whose syntax tree is walked; the walk is recursive.
const MAX_OPERATORS: usize = 512;

/// The attributes of `context` that policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    named: BTreeSet<String>,
    /// Whether it cannot be told which.
    all: bool,
    /// Whether the arguments of a call are among them.
    pub(crate) arguments: bool,
}

impl Mentions {
    /// What one policy reads.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut found = Self::default();
        match tree(policy) {
            Some(tree) => found.walk(&tree),
            None => {
                found.all = true;
                let text = policy.to_cedar().unwrap_or_default();
                found.arguments = text.contains("arguments");
            }
        }
        found
    }

    /// What either reads.
    pub(crate) fn join(&mut self, other: &Self) {
        self.named.extend(other.named.iter().cloned());
        self.all |= other.all;
        self.arguments |= other.arguments;
    }

    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.all || self.named.contains(attribute)
    }

    fn walk(&mut self, tree: &Value) {
        match tree {
            Value::Object(fields) => {
                for operator in [".", "has"] {
                    if let Some(attribute) = fields.get(operator).and_then(of_context) {
                        self.arguments |= attribute == "arguments";
                        self.named.insert(attribute.to_owned());
                        return;
                    }
                }
                if fields.get("Var").and_then(Value::as_str) == Some("context") {
                    self.all = true;
                    self.arguments = true;
                }
                fields.values().for_each(|field| self.walk(field));
            }
            Value::Array(each) => each.iter().for_each(|one| self.walk(one)),
            _ => {}
        }
    }
}

/// The attribute that is read from `context` itself.
fn of_context(access: &Value) -> Option<&str> {
    let left = access.get("left")?;
    let is_context = left.get("Var").and_then(Value::as_str) == Some("context");
    let attribute = access.get("attr").and_then(Value::as_str)?;
    is_context.then_some(attribute)
}

/// A policy as Cedar's JSON; none where it is too large to be walked safely.
pub(crate) fn tree(policy: &Policy) -> Option<Value> {
    let text = policy.to_cedar()?;
    let operator = |c: char| "&|+-*.=<>!([{".contains(c) || c.is_ascii_whitespace();
    let operators = text.matches(operator).count();
    // White space separates the operators that are words; texts of people have a few for each.
    (operators <= MAX_OPERATORS * 4).then(|| policy.to_json().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(condition: &str) -> Mentions {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        Mentions::of(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn what_is_read_is_found_wherever_it_stands() {
        let found = of(
            r#"context.environment == "x" && (if context.unscoped then context has local else [context.now].isEmpty())"#,
        );
        for named in ["environment", "unscoped", "local", "now"] {
            assert!(found.has(named), "{named}");
        }
        assert!(!found.has("labels") && !found.arguments);
        assert!(of("context.arguments.to == \"x\"").arguments);
        assert!(of("context.arguments has to").arguments);
        assert!(of("context.arguments.to.name == \"x\"").arguments);
    }

    #[test]
    fn the_whole_context_mentions_everything() {
        let found = of("context == {}");
        assert!(found.has("labels") && found.arguments);
    }

    #[test]
    fn what_is_too_large_mentions_everything() {
        let long = vec!["context.unscoped"; 3000].join(" && ");
        assert!(of(&long).has("labels"));
    }
}
