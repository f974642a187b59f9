//! Tools as their plugins declare them: what policies may ask of arguments, checked before anything is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Policy, PolicySet, Schema, ValidationMode, Validator};

use crate::arguments::{Fields, ToolSchema};
use crate::error::{PolicyError, Problem};
use crate::mention;
use crate::pdp::Pdp;
use crate::rule::Rule;
use crate::schema::{SCHEMA, Type};

/// What stands in the schema where the arguments of one tool go.
const PLACE: &str = "// arguments: typed by the schema of the tool that is called";

impl Pdp {
    /// This policy set with what tools take, so that policies may ask of `context.arguments`. Tools that were told
    /// before are kept; a tool told again is replaced.
    ///
    /// # Errors
    /// Policies on these tools that ask of an argument that there is not, or as something that it is not.
    pub fn with_tools(&self, tools: &[ToolSchema]) -> Result<Self, PolicyError> {
        let mut known: BTreeMap<String, Fields> = self.tools.as_ref().clone();
        let mut problems = Vec::new();
        for tool in tools {
            let id = format!("{}/{}", tool.plugin, tool.tool);
            let fields = Fields::read(&tool.input);
            problems.extend(self.validate(tool, &id, &fields)?);
            known.insert(id, fields);
        }
        PolicyError::check(problems)?;
        Ok(Self {
            tools: Arc::new(known),
            ..self.clone()
        })
    }

    /// Whether what this tool may do depends on the arguments of each call, as far as can be told.
    #[must_use]
    pub fn judges_arguments(&self, plugin: &str, tool: &str) -> bool {
        let id = format!("{plugin}/{tool}");
        self.asks_of_arguments(plugin, &id).unwrap_or(true)
    }

    /// Whether any policy asks of the arguments of this tool, so that its schema must be known.
    pub(crate) fn asks_of_arguments(&self, plugin: &str, tool: &str) -> Result<bool, Problem> {
        Ok(self.asking(plugin, tool)?.next().is_some())
    }

    fn asking(&self, plugin: &str, tool: &str) -> Result<impl Iterator<Item = &Rule>, Problem> {
        let plugin = Type::Plugin.uid(plugin)?;
        let tool = Type::Tool.uid(tool)?;
        let rules = self.rules.iter().filter(|rule| rule.mentions.arguments);
        Ok(rules.filter(move |rule| rule.is_about(&tool, &plugin)))
    }

    fn validate(
        &self,
        tool: &ToolSchema,
        id: &str,
        fields: &Fields,
    ) -> Result<Vec<Problem>, Problem> {
        let rules: Vec<&Rule> = self.asking(&tool.plugin, id)?.collect();
        if rules.is_empty() {
            return Ok(Vec::new());
        }
        let text = SCHEMA.replace(PLACE, &format!("arguments: {},", fields.to_cedar()));
        let broken = |what: String| {
            let mend = "its JSON Schema cannot be told to policy: leave `context.arguments` out, or mend the tool";
            Problem::of(id, what, mend)
        };
        let (schema, _) = Schema::from_cedarschema_str(&text).map_err(|e| broken(e.to_string()))?;
        let validator = Validator::new(schema);
        let mut problems = Vec::new();
        for rule in rules {
            let set = PolicySet::from_policies([rule.policy.clone()])
                .map_err(|e| Problem::of(&rule.id, e.to_string(), "report this"))?;
            let result = validator.validate(&set, ValidationMode::Strict);
            // That a policy for several tools can never apply to one of them is no mistake.
            if let Some(error) = result.validation_errors().next() {
                let what = format!("for the tool `{}`: {error}", id.escape_debug());
                let mend = format!(
                    "the tool takes {}",
                    fields.to_cedar().replace("__cedar::", "")
                );
                problems.push(Problem::of(&rule.id, what, mend));
            }
        }
        Ok(problems)
    }
}

/// A policy without the conditions that ask of arguments: what can be checked before any tool is known.
pub(crate) fn without_arguments(policy: &Policy) -> Option<Policy> {
    let mut tree = mention::tree(policy)?;
    let conditions = tree.get_mut("conditions")?.as_array_mut()?;
    conditions.retain(|condition| !condition.to_string().contains("\"arguments\""));
    Policy::from_json(Some(policy.id().clone()), tree).ok()
}
