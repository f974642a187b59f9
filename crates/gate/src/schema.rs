//! JSON Schemas that plugins declare, checked within bounds: the schema is the plugin's, so it must not be able to hang
//! or overflow the gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// How many of a schema's complaints an agent is shown.
const MAX_COMPLAINTS: usize = 5;
/// Steps through applicators at one place of an instance: whoever writes the schema chooses how they multiply.
const MAX_STEPS: usize = 100_000;
/// References that follow each other at one place of an instance.
const MAX_CHAIN: usize = 64;
/// Time for one check of a schema with references, which may multiply with the depth of what is checked.
const DEADLINE: Duration = Duration::from_secs(2);
/// Stack for such a check: bounded depth of JSON times bounded chains of references.
const STACK: usize = 64 << 20;

/// A schema that can be checked.
#[derive(Debug)]
pub struct Schema {
    validator: Arc<Validator>,
    /// Whether checks run apart, under a deadline.
    guarded: bool,
    stuck: AtomicBool,
}

impl Schema {
    /// Compiles a schema. References to other documents are not followed, and patterns run on the engine without
    /// back-tracking.
    ///
    /// # Errors
    /// Why it cannot be checked, for people.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let refuse = |why: &dyn std::fmt::Display| {
            format!(
                "its schema cannot be checked: {}",
                crate::line(&why.to_string())
            )
        };
        let mut steps = Steps {
            root: schema,
            left: MAX_STEPS,
            referring: false,
        };
        steps.everywhere(schema, true).map_err(|why| refuse(&why))?;
        let guarded = steps.referring;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map_err(|error| refuse(&error))?;
        Ok(Self {
            validator: Arc::new(validator),
            guarded,
            stuck: AtomicBool::new(false),
        })
    }

    /// What does not fit, a line each, without the values themselves: they may be secrets, and lines are logged.
    #[must_use]
    pub fn complaints(&self, value: &Value) -> Vec<String> {
        if !self.guarded {
            return complaints(&self.validator, value);
        }
        let stuck = || vec!["the schema takes too long to check".to_owned()];
        if self.stuck.load(Ordering::Relaxed) {
            return stuck();
        }
        let (tell, told) = channel();
        let (validator, value) = (self.validator.clone(), value.clone());
        let apart = std::thread::Builder::new()
            .name("schema".to_owned())
            .stack_size(STACK)
            .spawn(move || drop(tell.send(complaints(&validator, &value))));
        if apart.is_err() {
            return vec!["no thread to check it on; try again".to_owned()];
        }
        match told.recv_timeout(DEADLINE) {
            Ok(lines) => lines,
            Err(RecvTimeoutError::Timeout) => {
                // Such a thread cannot be ended, so there is never a second one.
                self.stuck.store(true, Ordering::Relaxed);
                stuck()
            }
            Err(RecvTimeoutError::Disconnected) => vec!["checking it failed".to_owned()],
        }
    }
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .take(MAX_COMPLAINTS)
        .map(|error| {
            let (at, what) = (
                error.instance_path().to_string(),
                error.masked().to_string(),
            );
            crate::line(&format!("at `{at}`: {what}"))
        })
        .collect()
}

/// Looks for references that never come to an end, and for too many of them.
struct Steps<'a> {
    root: &'a Value,
    left: usize,
    referring: bool,
}

impl<'a> Steps<'a> {
    /// Visits every object, as a schema may stand in any.
    fn everywhere(&mut self, value: &'a Value, top: bool) -> Result<(), String> {
        match value {
            Value::Object(members) => {
                if !top && members.get("$id").is_some_and(Value::is_string) {
                    return Err("`$id` stands inside it; only the whole schema may have one".into());
                }
                self.in_place(value, &mut Vec::new())?;
                members
                    .values()
                    .try_for_each(|inner| self.everywhere(inner, false))
            }
            Value::Array(items) => items
                .iter()
                .try_for_each(|inner| self.everywhere(inner, false)),
            _ => Ok(()),
        }
    }

    /// Follows what is checked at the same place of an instance.
    fn in_place(&mut self, schema: &'a Value, chain: &mut Vec<&'a str>) -> Result<(), String> {
        let Value::Object(members) = schema else {
            return Ok(());
        };
        self.left = self
            .left
            .checked_sub(1)
            .ok_or("its references multiply too much")?;
        for (name, inner) in members {
            match (name.as_str(), inner) {
                ("$ref", Value::String(to)) => {
                    self.referring = true;
                    if chain.contains(&to.as_str()) || chain.len() >= MAX_CHAIN {
                        return Err(format!("the reference `{to}` leads back to itself"));
                    }
                    let target = target(self.root, to)
                        .ok_or_else(|| format!("the reference `{to}` leads nowhere in it"))?;
                    chain.push(to);
                    self.in_place(target, chain)?;
                    chain.pop();
                }
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                    return Err(format!("`{name}` is not supported; write `$ref`"));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                    for one in all {
                        self.in_place(one, chain)?;
                    }
                }
                ("not" | "if" | "then" | "else", inner) => self.in_place(inner, chain)?,
                ("dependentSchemas" | "dependencies", Value::Object(all)) => {
                    for one in all.values() {
                        self.in_place(one, chain)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a JSON pointer in a fragment (RFC 6901 §6) means.
fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    root.pointer(&crate::bind::percent_decoded(fragment)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(schema: Value) -> String {
        Schema::compile(&schema).unwrap_err()
    }

    #[test]
    fn an_endless_reference_is_refused_before_it_is_followed() {
        for schema in [
            json!({"type": "object", "$ref": "#"}),
            json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "properties": {"x": {"$ref": "#/$defs/a"}}}),
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/%24defs/a"}}}}),
            json!({"if": {"$ref": "#"}, "then": true}),
        ] {
            assert!(refused(schema.clone()).contains("leads back"), "{schema}");
        }
        assert!(refused(json!({"$ref": "https://example.com/x"})).contains("nowhere"));
        assert!(refused(json!({"$ref": "#/$defs/absent"})).contains("nowhere"));
        assert!(refused(json!({"$dynamicRef": "#x"})).contains("not supported"));
        assert!(refused(json!({"properties": {"a": {"$id": "other"}}})).contains("$id"));
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let mut defs = serde_json::Map::new();
        for n in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            defs.insert(format!("d{n}"), json!({"allOf": [next, next]}));
        }
        defs.insert("d40".to_owned(), json!({"type": "string"}));
        assert!(refused(json!({"$defs": defs, "$ref": "#/$defs/d0"})).contains("multiply"));
    }

    #[test]
    fn a_check_that_does_not_end_is_given_up_once_and_for_all() {
        let twice = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]});
        let schema = Schema::compile(&json!({"properties": {"a": twice}})).unwrap();
        let mut deep = json!("leaf");
        for _ in 0..60 {
            deep = json!({ "a": deep });
        }
        assert_eq!(
            schema.complaints(&deep),
            ["the schema takes too long to check"]
        );
        assert!(schema.stuck.load(Ordering::Relaxed));
        assert_eq!(
            schema.complaints(&json!({})),
            ["the schema takes too long to check"]
        );
    }

    #[test]
    fn recursive_types_of_real_schemas_are_checked() {
        let tree = json!({
            "$defs": {"node": {"type": "object", "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            }, "required": ["name"]}},
            "type": "object", "properties": {"root": {"$ref": "#/$defs/node"}},
        });
        let schema = Schema::compile(&tree).unwrap();
        let fine = json!({"root": {"name": "a", "children": [{"name": "b"}]}});
        assert!(schema.complaints(&fine).is_empty());
        let wrong = json!({"root": {"name": "a", "children": [{}]}});
        assert_eq!(schema.complaints(&wrong).len(), 1);
    }

    #[test]
    fn l35_complaints_hold_no_values() {
        let schema =
            Schema::compile(&json!({"properties": {"token": {"type": "integer"}}})).unwrap();
        let lines = schema.complaints(&json!({"token": "canary-7f3a"}));
        assert_eq!(lines.len(), 1);
        assert!(
            !lines[0].contains("canary") && lines[0].contains("/token"),
            "{lines:?}"
        );
    }

    #[test]
    fn patterns_cannot_backtrack_or_grow_without_bound() {
        assert!(
            refused(json!({"properties": {"a": {"pattern": "(?=x)x"}}}))
                .contains("cannot be checked")
        );
        assert!(
            refused(json!({"properties": {"a": {"pattern": "((x{1000}){1000}){1000}"}}}))
                .contains("cannot be checked")
        );
        let schema =
            Schema::compile(&json!({"properties": {"a": {"pattern": "^(a+)+$"}}})).unwrap();
        let long = format!("{}!", "a".repeat(100_000));
        assert_eq!(schema.complaints(&json!({"a": long})).len(), 1);
    }
}
