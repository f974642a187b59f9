//! Answers of people that hold from now on, written as policies that people can read.

use cedar_policy::{Policy, PolicyId};
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::pdp::Pdp;
use crate::rule::Rule;

/// What a person answered for good about calls of one tool, or about capabilities of a plugin.
#[derive(Debug, Clone, Copy)]
pub struct StandingAnswer<'a> {
    /// The new policies' id; where it answers several, they get a number each.
    pub id: &'a str,
    /// The policies that asked.
    pub asked: &'a [String],
    /// On whose behalf the tool is called.
    pub user: &'a str,
    /// The plugin's id.
    pub plugin: &'a str,
    /// The plugin's digest, as policies see it: a yes holds for no other version.
    pub digest: &'a str,
    /// The tool's name within the plugin; none where capabilities were asked for.
    pub tool: Option<&'a str>,
    /// Yes or no.
    pub yes: bool,
    /// Who answered, when and where, in a sentence.
    pub reason: &'a str,
}

impl Pdp {
    /// The policies that say so: under the very conditions under which was asked, for this user and this
    /// tool, or plugin, alone.
    ///
    /// # Errors
    /// A policy that is not there, or that cannot be written in another form.
    pub fn standing(&self, answer: &StandingAnswer<'_>) -> Result<String, Problem> {
        let mut text = String::new();
        for (number, asked) in answer.asked.iter().enumerate() {
            let unknown = || Problem::of(asked, "there is no such policy".to_owned(), "ask again");
            let rule = self.rule(asked).ok_or_else(unknown)?;
            let id = match number {
                0 => answer.id.to_owned(),
                _ => format!("{}-{number}", answer.id),
            };
            text.push_str(&written(rule, &id, answer)?);
            text.push('\n');
        }
        Ok(text)
    }
}

/// As in Cedar's JSON format of policies.
fn written(rule: &Rule, id: &str, answer: &StandingAnswer<'_>) -> Result<String, Problem> {
    let odd = |what: String| Problem::of(&rule.id, what, "answer for the session");
    let json = rule
        .policy
        .to_json()
        .map_err(|error| odd(error.to_string()))?;
    let Value::Object(mut policy) = json else {
        return Err(odd("it has no other form".to_owned()));
    };
    let mut annotations = kept(&policy);
    annotations.insert("id".to_owned(), id.into());
    annotations.insert("reason".to_owned(), answer.reason.into());
    let mut conditions = vec![json!({ "kind": "when", "body": within("User", answer.user) })];
    if answer.tool.is_none() {
        conditions.push(json!({ "kind": "when", "body": within("Plugin", answer.plugin) }));
    }
    if answer.yes {
        if answer.tool.is_some() {
            annotations.insert("approves".to_owned(), rule.id.as_str().into());
        }
        conditions.push(json!({ "kind": "when", "body": of_digest(answer.digest) }));
    }
    if let Some(Value::Array(own)) = policy.shift_remove("conditions") {
        conditions.extend(own);
    }
    let effect = if answer.yes { "permit" } else { "forbid" };
    policy.insert("effect".to_owned(), effect.into());
    policy.insert("annotations".to_owned(), annotations.into());
    if let Some(tool) = answer.tool {
        let tool = format!("{}/{tool}", answer.plugin);
        policy.insert("action".to_owned(), equal("Action", "call"));
        policy.insert("resource".to_owned(), equal("Tool", &tool));
    }
    policy.insert("conditions".to_owned(), conditions.into());
    let policy = Policy::from_json(Some(PolicyId::new(id)), policy.into());
    Ok(policy.map_err(|error| odd(error.to_string()))?.to_string())
}

/// Annotations that bound a yes stay.
fn kept(policy: &Map<String, Value>) -> Map<String, Value> {
    let annotations = policy.get("annotations").and_then(Value::as_object);
    let bounds = annotations.into_iter().flatten();
    bounds
        .filter(|(name, _)| matches!(name.as_str(), "expires" | "quota"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn equal(kind: &str, id: &str) -> Value {
    json!({ "op": "==", "entity": { "type": kind, "id": id } })
}

fn within(kind: &str, id: &str) -> Value {
    json!({ "in": {
        "left": { "Var": "principal" },
        "right": { "Value": { "__entity": { "type": kind, "id": id } } },
    } })
}

fn of_digest(digest: &str) -> Value {
    let plugin = json!({ ".": { "left": { "Var": "principal" }, "attr": "plugin" } });
    json!({ "==": {
        "left": { ".": { "left": plugin, "attr": "digest" } },
        "right": { "Value": digest },
    } })
}
