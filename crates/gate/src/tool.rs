//! A tool with everything that is checked before its plugin sees a call.

use bailiwick_capability::{Capability, Grant, Kind};
use bailiwick_manifest::{Binding, Creates, Manifest, Need};
use bailiwick_mcp::{CallToolResult, Tool, ToolPin};
use serde_json::{Map, Value};

use crate::bind::{self, BindError};
use crate::created;
use crate::refusal::{OWN_MEMBER, Refusal};
use crate::resolve::{SearchPath, resolve};
use crate::schema::Schema;
use crate::world::CallError;

/// Arguments of one call, and bytes of a name: each is an entry's part in the log, which has a limit.
const MAX_ARGUMENTS: usize = 128;
const MAX_ARGUMENT_NAME: usize = 128;

/// A tool of a loaded plugin.
#[derive(Debug)]
pub struct BoundTool {
    /// As the plugin declared it, under its own name.
    pub tool: Tool,
    /// What was declared when the plugin was first started.
    pub pin: ToolPin,
    /// Whether calls are high-risk, so that their record is durable before they run.
    pub high_risk: bool,
    schemas: Vec<Schema>,
    output: Option<Schema>,
    bindings: Vec<Binding>,
    creates: Creates,
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
            .map(Schema::compile)
            .collect::<Result<_, _>>()?;
        let output = tool.output_schema.clone().map(Value::Object);
        Ok(Self {
            pin: tool.pin(),
            // By the grant, not by the manifest's word on this tool: one process holds it all.
            high_risk: grant.atoms().iter().any(|atom| {
                let kind = atom.capability().kind();
                kind.is_high_risk() || kind == Kind::UseSecret
            }),
            schemas,
            output: output.as_ref().map(Schema::compile).transpose()?,
            bindings: contract
                .map(|tool| tool.arguments.clone())
                .unwrap_or_default(),
            creates: contract
                .map(|tool| tool.creates.clone())
                .unwrap_or_default(),
            tool,
        })
    }

    /// Checks arguments by schema, then by binding.
    ///
    /// # Errors
    /// What does not fit, for the agent.
    pub fn check(&self, arguments: &Map<String, Value>, grant: &Grant) -> Result<(), Refusal> {
        let bad = |why: String| Refusal::new("bad_arguments", why);
        if arguments.len() > MAX_ARGUMENTS
            || arguments.keys().any(|name| name.len() > MAX_ARGUMENT_NAME)
        {
            return Err(bad(format!(
                "a call has at most {MAX_ARGUMENTS} arguments, with names of at most {MAX_ARGUMENT_NAME} bytes"
            )));
        }
        let value = Value::Object(arguments.clone());
        let schemas = self.schemas.iter();
        let complaints: Vec<String> = schemas
            .flat_map(|schema| schema.complaints(&value))
            .collect();
        if !complaints.is_empty() {
            return Err(bad(format!(
                "the arguments do not fit the schema of `{}`: {}",
                self.tool.name,
                complaints.join("; ")
            )));
        }
        self.bindings
            .iter()
            .try_for_each(|binding| bind::check(binding, &value, grant))
            .map_err(|error| match &error {
                BindError::Outside { needed, .. } => {
                    Refusal::new("capability_missing", error.to_string()).missing(needed)
                }
                BindError::Unreadable { .. } => bad(error.to_string()),
            })
    }

    /// What a call with these arguments will have made if it succeeds.
    pub(crate) fn to_be_made(&self, arguments: &Map<String, Value>) -> Vec<String> {
        if self.creates.arguments.is_empty() {
            return Vec::new();
        }
        let arguments = Value::Object(arguments.clone());
        created::to_be_made(&self.creates.arguments, &arguments)
    }

    /// What a call made by the word of its result.
    pub(crate) fn made(&self, result: &CallToolResult) -> Vec<String> {
        created::made(&self.creates.result, result)
    }

    /// Checks what the plugin answered.
    ///
    /// # Errors
    /// An answer that speaks in the gate's name, or does not fit the tool's own output schema.
    pub fn accept(&self, result: CallToolResult) -> Result<CallToolResult, CallError> {
        if result.meta.contains_key(OWN_MEMBER) {
            let why =
                format!("its `_meta` has the member `{OWN_MEMBER}`, which only the gate may use");
            return Err(CallError::Malformed(why));
        }
        let Some(content) = &result.structured_content else {
            return Ok(result);
        };
        if content.get(OWN_MEMBER).is_some() {
            let why = format!(
                "its structured content has the member `{OWN_MEMBER}`, which only the gate may use"
            );
            return Err(CallError::Malformed(why));
        }
        let schema = self.output.iter().filter(|_| !result.is_error);
        let complaints: Vec<String> = schema
            .flat_map(|schema| schema.complaints(content))
            .collect();
        if complaints.is_empty() {
            return Ok(result);
        }
        let why = format!(
            "it does not fit the tool's own output schema: {}",
            complaints.join("; ")
        );
        Err(CallError::Malformed(why))
    }
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

/// The longest name of a tool at the gate, in bytes: what common agents take.
const MAX_NAME: usize = 64;

/// Whether agents take a tool's name. Common ones refuse a whole list for one name that is too long or has other
/// characters, and characters that look alike or cannot be seen deceive people.
pub(crate) fn usable(name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if !name.bytes().all(fits) {
        return Err(
            "its name holds other characters than letters, digits, `_`, `-` and `.`".to_owned(),
        );
    }
    if name.len() > MAX_NAME {
        return Err(format!(
            "its name at the gate is longer than {MAX_NAME} characters, which agents refuse: give the plugin a shorter id"
        ));
    }
    Ok(())
}
