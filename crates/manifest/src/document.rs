//! The manifest as an author writes it, for its JSON Schema. Editors complete and check by it; the gate reads with
//! places and says more. These types are never filled: they exist to be described.

use std::collections::BTreeMap;

use bailiwick_capability::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

/// Where the schema says it lives.
pub const SCHEMA_ID: &str =
    "https://raw.githubusercontent.com/bailiwick-dev/bailiwick/main/schemas/manifest.schema.json";

/// The JSON Schema (2020-12) of a manifest, as checked in under `schemas/manifest.schema.json`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Document).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".to_owned(), Value::from(SCHEMA_ID));
    }
    schema
}

/// What a Bailiwick plugin is, and what it asks for.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Bailiwick plugin manifest", deny_unknown_fields)]
struct Document {
    /// The JSON Schema for editors; not read.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    schema_location: Option<String>,
    /// The plugin's id: lower-case letters, digits and single hyphens.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), length(max = 64))]
    id: String,
    /// The plugin's version (semver.org), such as 1.0.0.
    #[schemars(regex(pattern = r"^\d+\.\d+\.\d+"))]
    version: String,
    /// A name for people.
    #[schemars(length(max = 128))]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the plugin is for.
    #[schemars(length(max = 4096))]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Who publishes it.
    #[schemars(length(max = 128))]
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    /// Capabilities without which the plugin is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    required_capabilities: Option<Capabilities>,
    /// Capabilities without which the plugin is loaded reduced.
    #[serde(skip_serializing_if = "Option::is_none")]
    optional_capabilities: Option<Capabilities>,
    /// Plugins that are loaded before: id to semver range.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<BTreeMap<String, String>>,
    /// A JSON Schema of the arguments per tool, checked besides what the server announces.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<BTreeMap<String, Contract>>,
    /// How the plugin is started. May be left out only inside a Wasm component.
    runtime: RuntimeDocument,
    /// What each tool needs, by tool name.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<BTreeMap<String, ToolDocument>>,
}

/// How the plugin is started: either `command` or `component`.
#[derive(Serialize, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{"required": ["command"]}, {"required": ["component"]}])
)]
struct RuntimeDocument {
    /// A native program and its arguments; no shell reads it.
    #[schemars(length(min = 1, max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    /// A Wasm component, relative to the manifest's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    /// Constants for the environment that are no secrets; each name needs a `read_environment` capability.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<BTreeMap<String, String>>,
    /// What the plugin needs; configuration may lower it.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitsDocument>,
}

/// Limits of the running plugin.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LimitsDocument {
    /// Memory, such as 256MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Size>,
    /// Time of one tool call, such as 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Time>,
    /// Time until the first answer, such as 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Time>,
    /// Size of one answer, such as 1MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Size>,
    /// Processes and threads.
    #[schemars(range(min = 1, max = 4096))]
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u32>,
}

/// What a tool needs.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ToolDocument {
    /// Kinds (`read_files`) or capabilities (`read_files:/var/log/`); without one of them the tool is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Vec<String>>,
    /// Arguments (a name, or a pointer such as `/edits/*/path`) whose values must lie inside the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<BTreeMap<String, Bound>>,
    /// What a call that succeeds has made, for policies that ask what the session made.
    #[serde(skip_serializing_if = "Option::is_none")]
    creates: Option<CreatesDocument>,
}

/// Where a call names what it makes: names, or pointers such as `/created/*/id`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CreatesDocument {
    /// In its arguments.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Vec<String>>,
    /// In its structured result.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Vec<String>>,
}

/// Implements a description by hand where no Rust type says it.
macro_rules! described {
    ($name:ident, $schema:expr) => {
        #[derive(Serialize)]
        struct $name(Value);

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

described!(
    Size,
    json_schema!({"type": ["string", "integer"], "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$", "minimum": 1})
);
described!(
    Time,
    json_schema!({"type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h)$"})
);
described!(Contract, json_schema!({"type": ["object", "boolean"]}));
described!(
    Bound,
    json_schema!({"anyOf": [
        {"enum": bindable()},
        {"type": "array", "minItems": 1, "items": {"enum": bindable()}}
    ]})
);
described!(Capabilities, {
    let kinds = Kind::ALL.map(Kind::as_str);
    let scope = serde_json::json!({"type": ["string", "integer"]});
    let scopes = serde_json::json!({"anyOf": [scope, {"type": "array", "items": scope}]});
    let map: serde_json::Map<String, Value> = kinds
        .iter()
        .map(|kind| ((*kind).to_owned(), scopes.clone()))
        .collect();
    json_schema!({
        "description": "A list of `kind:scope`, `kind: scope` or a bare kind; or one mapping of kinds to scopes.",
        "anyOf": [
            {"type": "object", "properties": map, "additionalProperties": false},
            {"type": "array", "maxItems": 256, "items": {"anyOf": [
                {"enum": kinds},
                {"type": "string", "pattern": format!("^({}):.+$", kinds.join("|"))},
                {"type": "object", "properties": map, "additionalProperties": false, "minProperties": 1, "maxProperties": 1}
            ]}}
        ]
    })
});

fn bindable() -> Vec<&'static str> {
    crate::read::BINDABLE.map(Kind::as_str).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    fn keys(schema: &Value) -> Vec<&str> {
        schema["properties"]
            .as_object()
            .expect("properties")
            .keys()
            .map(String::as_str)
            .collect()
    }

    fn same(mut found: Vec<&str>, expected: &[&str]) {
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema = json_schema();
        same(keys(&schema), &read::KEYS);
        same(
            keys(&schema["$defs"]["RuntimeDocument"]),
            &read::RUNTIME_KEYS,
        );
        same(keys(&schema["$defs"]["LimitsDocument"]), &read::LIMIT_KEYS);
        same(keys(&schema["$defs"]["ToolDocument"]), &read::TOOL_KEYS);
        let creates = keys(&schema["$defs"]["CreatesDocument"]);
        same(creates, &read::CREATES_KEYS);
    }
}
