//! Tools from exported functions.

use std::collections::BTreeMap;

use bailiwick_wall::WallError;
use serde_json::{Value, json};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::shape::{Shape, object_schema};

/// Most tools of one component.
const MAX_TOOLS: usize = 512;

/// One tool, as a client is shown it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `function`, or `interface_function`; of `[a-zA-Z0-9_-]`.
    pub name: String,
    /// The function's WIT signature. Text from the component: data.
    pub description: String,
    /// JSON Schema (2020-12) of the arguments, always an object.
    pub input_schema: Value,
    /// JSON Schema of the result, always an object: the record that the function returns, or `{"result": …}`.
    /// None where it returns nothing.
    pub output_schema: Option<Value>,
}

/// How a tool's function is found and its values are converted.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) index: ComponentExportIndex,
    pub(crate) params: Vec<(String, Shape)>,
    pub(crate) result: Returns,
}

/// What a function returns. The outermost `result` is the tool's success or failure.
#[derive(Debug)]
pub(crate) enum Returns {
    Nothing,
    Value(Shape),
    Fallible(Option<Shape>, Option<Shape>),
}

impl Returns {
    fn value(&self) -> Option<&Shape> {
        match self {
            Self::Value(shape) | Self::Fallible(Some(shape), _) => Some(shape),
            Self::Nothing | Self::Fallible(None, _) => None,
        }
    }

    /// Makes an object of a converted result.
    pub(crate) fn structured(&self, value: Value) -> Value {
        match self.value() {
            None => Value::Null,
            Some(Shape::Record(_)) => value,
            Some(_) => json!({"result": value}),
        }
    }

    fn schema(&self) -> Option<Value> {
        self.value().map(|shape| match shape {
            Shape::Record(_) => shape.schema(),
            shape => json!({
                "type": "object",
                "properties": {"result": shape.schema()},
                "required": ["result"],
                "additionalProperties": false,
            }),
        })
    }
}

/// All tools of a component, by name.
pub(crate) fn tools(component: &Component) -> Result<Vec<(ToolSpec, Export)>, WallError> {
    let mut found = Found {
        tools: BTreeMap::new(),
        exports: Vec::new(),
    };
    let engine = component.engine();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(function) => {
                found.add(component, None, name, &function)?
            }
            ComponentItem::ComponentInstance(instance) if !name.starts_with("wasi:") => {
                let index = component.get_export_index(None, name);
                for (function_name, item) in instance.exports(engine) {
                    if let (ComponentItem::ComponentFunc(function), Some(index)) = (item.ty, &index)
                    {
                        found.add(component, Some((name, index)), function_name, &function)?;
                    }
                }
            }
            _ => {}
        }
        found.exports.push(name.to_owned());
    }
    if found.tools.is_empty() {
        return Err(WallError::Plugin(found.no_tools()));
    }
    Ok(found.tools.into_values().collect())
}

struct Found {
    tools: BTreeMap<String, (ToolSpec, Export)>,
    exports: Vec<String>,
}

impl Found {
    fn add(
        &mut self,
        component: &Component,
        interface: Option<(&str, &ComponentExportIndex)>,
        function: &str,
        ty: &ComponentFunc,
    ) -> Result<(), WallError> {
        // A method, constructor or static belongs to a resource, which no JSON argument can name.
        if function.starts_with('[') || ty.async_() {
            return Ok(());
        }
        let Some((params, result)) = signature(ty) else {
            return Ok(());
        };
        let index = component
            .get_export_index(interface.map(|(_, index)| index), function)
            .ok_or_else(|| {
                WallError::Plugin(format!(
                    "the export `{}` cannot be found again",
                    function.escape_debug()
                ))
            })?;
        let name = tool_name(interface.map(|(name, _)| name), function);
        let spec = ToolSpec {
            name: name.clone(),
            description: describe(function, &params, &result),
            input_schema: object_schema(&params),
            output_schema: result.schema(),
        };
        let twin = self.tools.insert(
            name.clone(),
            (
                spec,
                Export {
                    index,
                    params,
                    result,
                },
            ),
        );
        if twin.is_some() {
            return Err(WallError::Plugin(format!(
                "two exported functions make the tool name `{name}`"
            )));
        }
        if self.tools.len() > MAX_TOOLS {
            return Err(WallError::Plugin(format!(
                "the component exports more than {MAX_TOOLS} functions"
            )));
        }
        Ok(())
    }

    fn no_tools(&self) -> String {
        if self
            .exports
            .iter()
            .any(|name| name.starts_with("wasi:cli/run"))
        {
            return "the component is a command (wasi:cli/run); only exported functions are tools, and commands \
                    that speak MCP on stdio are not supported yet"
                .into();
        }
        "the component exports no function that JSON can call".into()
    }
}

fn signature(ty: &ComponentFunc) -> Option<(Vec<(String, Shape)>, Returns)> {
    let params = ty
        .params()
        .map(|(name, ty)| Some((name.to_owned(), Shape::of(&ty)?)))
        .collect::<Option<Vec<_>>>()?;
    let mut results = ty.results();
    let result = match (results.next(), results.next()) {
        (None, _) => Returns::Nothing,
        (Some(only), None) => match Shape::of(&only)? {
            Shape::Result(ok, error) => {
                Returns::Fallible(ok.map(|shape| *shape), error.map(|shape| *shape))
            }
            shape => Returns::Value(shape),
        },
        _ => return None,
    };
    Some((params, result))
}

/// `ns:package/interface@1.0.0` and `function` make `interface_function`: WIT names hold no underscore,
/// so the parts stay apart.
fn tool_name(interface: Option<&str>, function: &str) -> String {
    let interface = interface.map(|name| {
        let name = name.split('@').next().unwrap_or(name);
        name.rsplit('/').next().unwrap_or(name)
    });
    let joined = interface.map_or_else(
        || function.to_owned(),
        |interface| format!("{interface}_{function}"),
    );
    joined
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

fn describe(function: &str, params: &[(String, Shape)], result: &Returns) -> String {
    let params: Vec<_> = params
        .iter()
        .map(|(name, shape)| format!("{name}: {}", shape.wit()))
        .collect();
    let result = match result {
        Returns::Nothing => String::new(),
        Returns::Value(shape) => format!(" -> {}", shape.wit()),
        Returns::Fallible(ok, error) => {
            let boxed = |shape: &Option<Shape>| shape.clone().map(Box::new);
            format!(" -> {}", Shape::Result(boxed(ok), boxed(error)).wit())
        }
    };
    format!("{function}: func({}){result}", params.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_names_hold_only_what_mcp_clients_take() {
        assert_eq!(tool_name(None, "word-count"), "word-count");
        assert_eq!(
            tool_name(Some("acme:text/words@1.2.3"), "count"),
            "words_count"
        );
        assert_eq!(tool_name(Some("words"), "count"), "words_count");
    }
}
