//! From policies in force to what the symbolic compiler takes.

use bailiwick_policy::{Effect, InForce, Pdp, SCHEMA};
use cedar_policy::{Policy, PolicyId, PolicySet, RequestEnv, ResourceConstraint, Schema};
use serde_json::{Value, json};

use crate::error::AnalyzeError;
use crate::question::Asking;

/// How many facts one policy of the assumptions holds: long conjunctions are deep trees.
const FACTS_IN_ONE: usize = 40;

/// The action that asks for a file and an endpoint at once, for [`crate::together`].
pub(crate) const BOTH: &str = "both";
/// How the endpoint is called there.
pub(crate) const OTHER: &str = "context.other";

pub(crate) fn broken(error: &dyn std::fmt::Display) -> AnalyzeError {
    AnalyzeError::Encode(error.to_string())
}

/// The schema that policies are written for, with an action besides that asks for a file and an endpoint at once.
pub(crate) fn schema() -> Result<Schema, AnalyzeError> {
    let both = format!(
        "{SCHEMA}\naction {BOTH} appliesTo {{ principal: Session, resource: File, context: {{ environment: String, \
         isolation: String, labels: Set<String>, machine: Set<Machine>, now: datetime, local: Local, unscoped: Bool, \
         other: Endpoint }} }};"
    );
    let (schema, _) = Schema::from_cedarschema_str(&both).map_err(|e| broken(&e))?;
    Ok(schema)
}

/// What the resources of an action are.
pub(crate) fn resource_type(action: &str) -> &'static str {
    match action {
        "network_access" => "Endpoint",
        "network_listen" => "Port",
        "execute_code" | "execute_shell" => "Command",
        "read_environment" => "Variable",
        "use_secret" => "Secret",
        "write_to_logs" => "Stream",
        "call_tool" => "AgentTool",
        "use_model" => "Model",
        "call" => "Tool",
        "ask_user" | "clock" | "random" => "Ambient",
        _ => "File",
    }
}

pub(crate) fn environment(action: &str) -> Result<RequestEnv, AnalyzeError> {
    let name = |text: &str| text.parse().map_err(|e| broken(&e));
    let uid = format!("Action::\"{action}\"")
        .parse()
        .map_err(|e| broken(&e))?;
    Ok(RequestEnv::new(
        name("Session")?,
        uid,
        name(resource_type(action))?,
    ))
}

/// The policies of one set that count, as Cedar's, and the assumptions as policies that forbid what cannot be.
pub(crate) fn policies(
    set: &Pdp,
    action: &str,
    asking: Asking,
    now: i64,
    facts: &[String],
) -> Result<PolicySet, AnalyzeError> {
    let mut policies = PolicySet::new();
    for rule in set.in_force(action, now).map_err(|e| broken(&e))? {
        if counts(&rule, asking) {
            let id = PolicyId::new(&rule.id);
            let policy = Policy::parse(Some(id), &rule.text).map_err(|e| broken(&e))?;
            policies.add(policy).map_err(|e| broken(&e))?;
        }
    }
    for policy in assumptions(action, facts)? {
        policies.add(policy).map_err(|e| broken(&e))?;
    }
    Ok(policies)
}

/// Whether a policy takes part: one that only asks permits where a person says yes, and a limit on how often does
/// not forbid the first time.
pub(crate) fn counts(rule: &InForce, asking: Asking) -> bool {
    match rule.effect {
        Effect::Ask => asking == Asking::Approved,
        Effect::Forbid => !rule.has_quota,
        _ => true,
    }
}

pub(crate) fn assumptions(action: &str, facts: &[String]) -> Result<Vec<Policy>, AnalyzeError> {
    facts
        .chunks(FACTS_IN_ONE)
        .enumerate()
        .map(|(at, facts)| {
            let all: Vec<String> = facts.iter().map(|fact| format!("({fact})")).collect();
            let text = format!(
                "forbid (principal, action == Action::\"{action}\", resource) unless {{ {} }};",
                all.join(" && ")
            );
            let id = PolicyId::new(format!("what cannot be, {at}"));
            Policy::parse(Some(id), text).map_err(|e| broken(&e))
        })
        .collect()
}

/// A policy as one on another action, whatever it concerned before.
pub(crate) fn on_action(rule: &InForce, action: &str) -> Result<Policy, AnalyzeError> {
    let policy = Policy::parse(None, &rule.text).map_err(|e| broken(&e))?;
    let tree = policy.to_json().map_err(|e| broken(&e))?;
    retarget(rule, tree, action)
}

/// A policy on connections as one on the endpoint beside a file: what it says of the resource it says of that.
pub(crate) fn beside(rule: &InForce) -> Result<Policy, AnalyzeError> {
    let policy = Policy::parse(None, &rule.text).map_err(|e| broken(&e))?;
    let head = match policy.resource_constraint() {
        ResourceConstraint::Any => "true".to_owned(),
        ResourceConstraint::Is(of) => format!("resource is {of}"),
        ResourceConstraint::Eq(uid) => format!("resource == {uid}"),
        ResourceConstraint::In(uid) => format!("resource in {uid}"),
        ResourceConstraint::IsIn(of, uid) => format!("resource is {of} in {uid}"),
    };
    let head = format!("permit (principal, action, resource) when {{ {head} }};");
    let head = Policy::parse(None, head).map_err(|e| broken(&e))?;
    let conditions = |policy: &Policy| -> Result<Vec<Value>, AnalyzeError> {
        let mut tree = policy.to_json().map_err(|e| broken(&e))?;
        let found = tree.get_mut("conditions").and_then(Value::as_array_mut);
        Ok(found.map(std::mem::take).unwrap_or_default())
    };
    // What the head says comes before what the conditions say, as in the policy itself.
    let mut all = conditions(&head)?;
    all.extend(conditions(&policy)?);
    for condition in &mut all {
        rename(condition);
    }
    let mut tree = policy.to_json().map_err(|e| broken(&e))?;
    if let Some(fields) = tree.as_object_mut() {
        fields.insert("resource".to_owned(), json!({ "op": "All" }));
        fields.insert("conditions".to_owned(), Value::Array(all));
    }
    retarget(rule, tree, BOTH)
}

fn retarget(rule: &InForce, mut tree: Value, action: &str) -> Result<Policy, AnalyzeError> {
    if let Some(fields) = tree.as_object_mut() {
        let entity = json!({ "type": "Action", "id": action });
        fields.insert("action".to_owned(), json!({ "op": "==", "entity": entity }));
    }
    Policy::from_json(Some(PolicyId::new(&rule.id)), tree).map_err(|e| broken(&e))
}

/// Puts the endpoint in the place of the resource.
fn rename(tree: &mut Value) {
    if tree.get("Var").and_then(Value::as_str) == Some("resource") {
        *tree = json!({ ".": { "left": { "Var": "context" }, "attr": "other" } });
        return;
    }
    match tree {
        Value::Object(fields) => fields.values_mut().for_each(rename),
        Value::Array(each) => each.iter_mut().for_each(rename),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_on_connections_become_policies_on_what_is_beside() {
        let rule = InForce {
            id: "r".into(),
            text: "permit (principal in Role::\"resource\", action == Action::\"network_access\", resource in Host::\"a.org\") \
                   when { resource.method == Method::\"GET\" && principal.user has department } unless { resource in Domain::\"resource\" };"
                .into(),
            effect: Effect::Permit,
            has_quota: false,
            asks_of_arguments: false,
        };
        let text = beside(&rule).unwrap().to_string();
        for part in [
            "principal in Role::\"resource\"",
            "Action::\"both\"",
            "(context[\"other\"]) in Host::\"a.org\"",
            "(context[\"other\"])[\"method\"]",
            "(context[\"other\"]) in Domain::\"resource\"",
        ] {
            let same = text
                .replace("context.other", "(context[\"other\"])")
                .replace(".method", "[\"method\"]");
            assert!(same.contains(part), "{part}: {text}");
        }
    }
}
