//! A tool with everything that is checked before its plugin sees a call.

use bailiwick_capability::{Capability, Grant, Kind};
use bailiwick_manifest::{Binding, Manifest, Need};
use bailiwick_mcp::{Tool, ToolPin};
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::bind::{self, BindError};
use crate::refusal::Refusal;
use crate::resolve::{SearchPath, resolve};

/// How many of a schema's complaints an agent is shown.
const MAX_COMPLAINTS: usize = 5;

/// A tool of a loaded plugin.
#[derive(Debug)]
pub struct BoundTool {
    /// As the plugin declared it, under its own name.
    pub tool: Tool,
    /// What was declared when the plugin was first started.
    pub pin: ToolPin,
    /// Whether calls are high-risk, so that their record is durable before they run.
    pub high_risk: bool,
    schemas: Vec<Validator>,
    bindings: Vec<Binding>,
}

impl BoundTool {
    /// Binds a declared tool to the manifest's contract.
    ///
    /// # Errors
    /// Why it cannot be offered: a need that was not granted, a schema that cannot be checked.
    pub fn new(
        tool: Tool,
        manifest: &Manifest,
        grant: &Grant,
        search: &SearchPath,
    ) -> Result<Self, String> {
        let contract = manifest.tools().get(&tool.name);
        let needs = contract
            .map(|tool| tool.needs.as_slice())
            .unwrap_or_default();
        if let Some(need) = needs.iter().find(|need| !granted(need, grant, search)) {
            return Err(format!("it needs `{}`, which was not granted", shown(need)));
        }
        let own = Value::Object(tool.input_schema.clone());
        let schemas = std::iter::once(&own)
            .chain(manifest.schema().get(&tool.name))
            .map(compile)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            pin: tool.pin(),
            high_risk: needs
                .iter()
                .any(|need| need.kind().is_high_risk() || need.kind() == Kind::UseSecret),
            schemas,
            bindings: contract
                .map(|tool| tool.arguments.clone())
                .unwrap_or_default(),
            tool,
        })
    }

    /// Checks arguments by schema, then by binding.
    ///
    /// # Errors
    /// What does not fit, for the agent.
    pub fn check(&self, arguments: &Map<String, Value>, grant: &Grant) -> Result<(), Refusal> {
        let value = Value::Object(arguments.clone());
        let complaints: Vec<String> = self
            .schemas
            .iter()
            .flat_map(|schema| schema.iter_errors(&value))
            .take(MAX_COMPLAINTS)
            .map(|error| format!("at `{}`: {error}", error.instance_path()))
            .collect();
        if !complaints.is_empty() {
            let message = format!(
                "the arguments do not fit the schema of `{}`: {}",
                self.tool.name,
                complaints.join("; ")
            );
            return Err(Refusal::new("bad_arguments", message));
        }
        self.bindings
            .iter()
            .try_for_each(|binding| bind::check(binding, &value, grant))
            .map_err(|error| match &error {
                BindError::Outside { needed, .. } => {
                    Refusal::new("capability_missing", error.to_string()).missing(needed)
                }
                BindError::Unreadable { .. } => Refusal::new("bad_arguments", error.to_string()),
            })
    }
}

/// Patterns come from the plugin and texts from the agent, so only the engine without back-tracking is used;
/// references to other documents are not followed.
fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("its schema cannot be checked: {error}"))
}

fn granted(need: &Need, grant: &Grant, search: &SearchPath) -> bool {
    match need {
        Need::Kind(kind, _) => grant.of_kind(*kind).next().is_some(),
        Need::Capability(capability, _) => {
            resolve(capability, search).is_ok_and(|resolved| grant.permits(&resolved))
        }
    }
}

fn shown(need: &Need) -> String {
    match need {
        Need::Kind(kind, _) => Capability::whole(*kind).to_string(),
        Need::Capability(capability, _) => capability.to_string(),
    }
}
