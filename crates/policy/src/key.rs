//! What a request must hold for a policy to apply, read from the policy's own words.
//!
//! The index rests on one property: where none of a policy's keys is the principal, the resource, or something that
//! either of them lies in, the policy neither applies nor fails. So it need not be looked at.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

use crate::mention;

/// Entities, one of which must be, or hold, the principal or the resource.
pub(crate) type Keys = BTreeSet<EntityUid>;

/// Most keys of one set: a policy is filed once under each.
const MAX_KEYS: usize = 64;

/// Every set of keys that a policy has; any one of them will do to file it.
pub(crate) fn of(policy: &Policy) -> Vec<Keys> {
    let mut found = Vec::new();
    match policy.principal_constraint() {
        PrincipalConstraint::Eq(uid)
        | PrincipalConstraint::In(uid)
        | PrincipalConstraint::IsIn(_, uid) => found.push(Keys::from([uid])),
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => {}
    }
    match policy.resource_constraint() {
        ResourceConstraint::Eq(uid)
        | ResourceConstraint::In(uid)
        | ResourceConstraint::IsIn(_, uid) => found.push(Keys::from([uid])),
        ResourceConstraint::Any | ResourceConstraint::Is(_) => {}
    }
    // What has no JSON has no keys in its conditions: it is looked at more often than it must be.
    let json = mention::tree(policy).unwrap_or_default();
    let conditions = json.get("conditions").and_then(Value::as_array);
    for condition in conditions.into_iter().flatten() {
        let Some(body) = condition.get("body") else {
            break;
        };
        let is_when = condition.get("kind").and_then(Value::as_str) == Some("when");
        if is_when {
            conjuncts(body, &mut found);
        }
        // A condition that may fail stands before the next ones: leaving the policy out would hide its failure.
        if !is_sure(body) {
            break;
        }
    }
    found.retain(|keys| !keys.is_empty() && keys.len() <= MAX_KEYS);
    found
}

/// The key sets of `a && b && …`, each of which alone makes the whole false.
fn conjuncts(expression: &Value, found: &mut Vec<Keys>) {
    if let Some((left, right)) = operands(expression, "&&") {
        conjuncts(left, found);
        if is_sure(left) {
            conjuncts(right, found);
        }
    } else {
        found.extend(keys(expression));
    }
}

/// Keys without which an expression is false, and is so without failing.
fn keys(expression: &Value) -> Option<Keys> {
    if let Some((left, right)) = operands(expression, "||") {
        let mut both = keys(left)?;
        both.extend(keys(right)?);
        return Some(both);
    }
    if let Some((left, right)) = operands(expression, "&&") {
        return keys(left).or_else(|| is_sure(left).then(|| keys(right)).flatten());
    }
    if let Some((left, right)) = operands(expression, "==") {
        let uid = match (is_asked(left), is_asked(right)) {
            (true, false) => entity(right)?,
            (false, true) => entity(left)?,
            _ => return None,
        };
        return Some(Keys::from([uid]));
    }
    if let Some((left, right)) = operands(expression, "in") {
        return is_asked(left).then(|| entities(right)).flatten();
    }
    if let Some((left, right)) = operands(expression, "contains") {
        return is_asked(right).then(|| entities(left)).flatten();
    }
    None
}

fn operands<'a>(expression: &'a Value, operator: &str) -> Option<(&'a Value, &'a Value)> {
    let both = expression.get(operator)?;
    Some((both.get("left")?, both.get("right")?))
}

fn is_asked(expression: &Value) -> bool {
    let name = expression.get("Var").and_then(Value::as_str);
    matches!(name, Some("principal" | "resource"))
}

fn entity(expression: &Value) -> Option<EntityUid> {
    let literal = expression.get("Value")?;
    literal.get("__entity")?;
    EntityUid::from_json(literal.clone()).ok()
}

fn entities(expression: &Value) -> Option<Keys> {
    match expression.get("Set").and_then(Value::as_array) {
        Some(each) => each.iter().map(entity).collect(),
        None => entity(expression).map(|uid| Keys::from([uid])),
    }
}

/// Whether an expression can be seen to give a truth value and never to fail.
fn is_sure(expression: &Value) -> bool {
    if let Some((left, right)) = operands(expression, "&&").or_else(|| operands(expression, "||")) {
        return is_sure(left) && is_sure(right);
    }
    if let Some(negated) = expression.get("!").and_then(|not| not.get("arg")) {
        return is_sure(negated);
    }
    if let Some((left, right)) = operands(expression, "==").or_else(|| operands(expression, "!=")) {
        return is_plain(left) && is_plain(right);
    }
    // `in` and `contains` fail on what is no entity and no set, which strict validation excludes for these.
    if let Some((left, right)) = operands(expression, "in") {
        return is_asked(left) && entities(right).is_some();
    }
    if let Some((left, right)) = operands(expression, "contains") {
        return is_asked(right) && entities(left).is_some();
    }
    expression.get("Value").is_some_and(Value::is_boolean)
}

/// What can be written down, or is asked about.
fn is_plain(expression: &Value) -> bool {
    expression.get("Var").is_some() || expression.get("Value").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(text: &str) -> Vec<Vec<String>> {
        let policy = Policy::parse(None, text).unwrap();
        let shown = |keys: Keys| {
            keys.iter()
                .map(|uid| uid.id().unescaped().to_owned())
                .collect()
        };
        of(&policy).into_iter().map(shown).collect()
    }

    #[test]
    fn heads_and_conditions_give_keys() {
        for (text, wanted) in [
            (
                r#"permit (principal in Role::"r", action, resource == Tool::"p/t");"#,
                vec![vec!["r"], vec!["p/t"]],
            ),
            (
                r#"permit (principal, action, resource) when { resource in Dir::"/a" || resource == File::"/b" };"#,
                vec![vec!["/b", "/a"]],
            ),
            (
                r#"permit (principal, action, resource) when { [Port::"1", Port::"2"].contains(resource) };"#,
                vec![vec!["1", "2"]],
            ),
            (
                r#"permit (principal, action, resource) when { resource in [Dir::"/a", Dir::"/b"] };"#,
                vec![vec!["/a", "/b"]],
            ),
            (
                r#"permit (principal, action, resource) when { resource in Dir::"/a" && principal in Role::"r" };"#,
                vec![vec!["/a"], vec!["r"]],
            ),
            (
                r#"permit (principal, action, resource) when { principal == User::"u" } unless { resource in Dir::"/a" };"#,
                vec![vec!["u"]],
            ),
            (
                r#"permit (principal, action, resource) unless { resource in Dir::"/a" } when { resource in Dir::"/b" };"#,
                vec![vec!["/b"]],
            ),
        ] {
            let mut found = keys_of(text);
            found.iter_mut().for_each(|keys| keys.sort());
            let wanted: Vec<Vec<String>> = wanted
                .into_iter()
                .map(|keys| {
                    let mut keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
                    keys.sort();
                    keys
                })
                .collect();
            assert_eq!(found, wanted, "{text}");
        }
    }

    /// What may fail, what is negated and what is joined by `||` to something open is looked at always.
    #[test]
    fn what_may_fail_or_hold_elsewhere_gives_none() {
        for text in [
            r#"permit (principal, action, resource);"#,
            r#"permit (principal, action, resource) unless { resource in Dir::"/a" };"#,
            r#"permit (principal, action, resource) when { !(resource in Dir::"/a") };"#,
            r#"permit (principal, action, resource) when { resource in Dir::"/a" || context.unscoped };"#,
            r#"permit (principal, action, resource) when { 1 + 9223372036854775807 == 0 && resource in Dir::"/a" };"#,
            r#"permit (principal, action, resource) when { 1 + 9223372036854775807 == 0 } when { resource in Dir::"/a" };"#,
            r#"permit (principal, action, resource) unless { 1 + 9223372036854775807 == 0 } when { resource in Dir::"/a" };"#,
            r#"permit (principal, action, resource) when { Dir::"/a" in resource };"#,
            r#"permit (principal, action, resource) when { resource == principal };"#,
            r#"permit (principal, action, resource) when { if resource in Dir::"/a" then true else true };"#,
        ] {
            assert_eq!(keys_of(text), Vec::<Vec<String>>::new(), "{text}");
        }
    }
}
