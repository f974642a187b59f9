//! The arguments of a tool's call as policies see them: typed by the tool's JSON Schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value};

use crate::subject::text;

/// Deepest nesting of an argument that policies see.
const MAX_DEPTH: usize = 8;
/// Most arguments, at all levels together, that policies see of one tool.
const MAX_FIELDS: usize = 512;

/// What a tool takes, as its plugin declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSchema {
    /// The plugin's id.
    pub plugin: String,
    /// The tool's name within the plugin.
    pub tool: String,
    /// The JSON Schema of its arguments.
    pub input: Value,
}

/// The type of an argument; what has no type that Cedar knows is not seen by policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Whole,
    Decimal,
    Truth,
    Set(Box<Type>),
    Record(Fields),
}

/// Named arguments, each with whether it is always there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, (Type, bool)>);

impl Fields {
    /// Reads the schema of an object. What it cannot say is left out: a policy that names it is then an error.
    pub(crate) fn read(schema: &Value) -> Self {
        let mut left = MAX_FIELDS;
        Self::object(schema, MAX_DEPTH, &mut left)
    }

    fn object(schema: &Value, depth: usize, left: &mut usize) -> Self {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut fields = BTreeMap::new();
        for (name, property) in properties.into_iter().flatten() {
            if *left == 0 {
                break;
            }
            *left -= 1;
            if let Some(of) = Type::read(property, depth, left) {
                fields.insert(name.clone(), (of, required.contains(&name.as_str())));
            }
        }
        Self(fields)
    }

    /// As a record type in Cedar's schema language.
    pub(crate) fn to_cedar(&self) -> String {
        let mut out = String::from("{ ");
        for (name, (of, required)) in &self.0 {
            let mark = if *required { "" } else { "?" };
            let _ = write!(
                out,
                "\"{}\"{mark}: {}, ",
                name.escape_debug(),
                of.to_cedar()
            );
        }
        out.push('}');
        out
    }

    /// The arguments of a call as Cedar's record, or the argument that is not what its type says.
    pub(crate) fn value(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<RestrictedExpression, String> {
        let mut fields = Vec::new();
        for (name, (of, required)) in &self.0 {
            let shown = name.escape_debug();
            match arguments.get(name) {
                Some(value) => {
                    let value = of.value(value).map_err(|why| format!("`{shown}` {why}"))?;
                    fields.push((name.clone(), value));
                }
                None if *required => return Err(format!("`{shown}` is missing")),
                None => {}
            }
        }
        RestrictedExpression::new_record(fields).map_err(|e| e.to_string())
    }
}

impl Type {
    fn read(schema: &Value, depth: usize, left: &mut usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        match schema.get("type")?.as_str()? {
            "string" => Some(Self::Text),
            "integer" => Some(Self::Whole),
            "number" => Some(Self::Decimal),
            "boolean" => Some(Self::Truth),
            "array" => {
                let items = Self::read(schema.get("items")?, depth, left)?;
                Some(Self::Set(Box::new(items)))
            }
            "object" => Some(Self::Record(Fields::object(schema, depth, left))),
            _ => None,
        }
    }

    fn to_cedar(&self) -> String {
        match self {
            Self::Text => "__cedar::String".to_owned(),
            Self::Whole => "__cedar::Long".to_owned(),
            Self::Decimal => "__cedar::decimal".to_owned(),
            Self::Truth => "__cedar::Bool".to_owned(),
            Self::Set(of) => format!("Set<{}>", of.to_cedar()),
            Self::Record(fields) => fields.to_cedar(),
        }
    }

    fn value(&self, value: &Value) -> Result<RestrictedExpression, String> {
        match (self, value) {
            (Self::Text, Value::String(value)) => Ok(text(value)),
            (Self::Truth, Value::Bool(value)) => Ok(RestrictedExpression::new_bool(*value)),
            (Self::Whole, Value::Number(number)) => {
                let whole = number.as_i64().or_else(|| {
                    // JSON Schema calls 3.0 an integer. Only what a float holds exactly is taken.
                    let float = number.as_f64()?;
                    let exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
                    exact.then(|| format!("{float:.0}").parse().ok())?
                });
                whole
                    .map(RestrictedExpression::new_long)
                    .ok_or_else(|| format!("is {number}, which policy cannot count: it goes to ±2^63"))
            }
            (Self::Decimal, Value::Number(number)) => decimal(&number.to_string())
                .map(RestrictedExpression::new_decimal)
                .ok_or_else(|| {
                    format!("is {number}, which policy cannot compare: it sees four digits after the point")
                }),
            (Self::Set(of), Value::Array(values)) => {
                let values: Vec<_> = values.iter().map(|v| of.value(v)).collect::<Result<_, _>>()?;
                Ok(RestrictedExpression::new_set(values))
            }
            (Self::Record(fields), Value::Object(values)) => fields.value(values),
            _ => Err("is not what the tool's schema says".to_owned()),
        }
    }
}

/// A JSON number as Cedar writes decimals, exactly or not at all.
fn decimal(number: &str) -> Option<String> {
    if number.contains(['e', 'E']) {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let fits = fraction.len() <= 4 && whole.trim_start_matches('-').len() <= 14;
    fits.then(|| format!("{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(schema: Value) -> Fields {
        Fields::read(&schema)
    }

    #[test]
    fn a_schema_becomes_a_type() {
        let found = fields(json!({
            "type": "object",
            "properties": {
                "to": {"type": "string", "format": "email"},
                "amount": {"type": "number"},
                "count": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "deep": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
                "odd \"name\"": {"type": "string"},
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "maybe": {"type": ["string", "null"]},
                "list": {"type": "array"},
            },
            "required": ["to", "either"],
        }));
        assert_eq!(
            found.to_cedar(),
            "{ \"amount\"?: __cedar::decimal, \"count\"?: __cedar::Long, \"deep\"?: { \"ok\": __cedar::Bool, }, \
             \"odd \\\"name\\\"\"?: __cedar::String, \"tags\"?: Set<__cedar::String>, \"to\": __cedar::String, }"
        );
        assert_eq!(fields(json!(true)).to_cedar(), "{ }");
    }

    #[test]
    fn values_that_policy_cannot_see_exactly_are_refused() {
        let found = fields(json!({"properties": {
            "n": {"type": "integer"}, "d": {"type": "number"}, "s": {"type": "string"}, "a": {"type": "array", "items": {"type": "integer"}}
        }, "required": ["s"]}));
        let value = |arguments: Value| {
            let Value::Object(arguments) = arguments else {
                panic!()
            };
            found.value(&arguments)
        };
        assert!(value(json!({"s": "x", "n": 3, "d": 99.5, "a": [1, 2], "more": null})).is_ok());
        assert!(value(json!({"s": "x", "n": 3.0, "d": 100})).is_ok());
        for (arguments, said) in [
            (json!({}), "`s` is missing"),
            (json!({"s": 1}), "`s` is not what"),
            (json!({"s": "", "n": 1.5}), "`n` is 1.5"),
            (
                json!({"s": "", "n": 18446744073709551615_u64}),
                "`n` is 18446744073709551615",
            ),
            (json!({"s": "", "n": 1e300}), "`n` is"),
            (json!({"s": "", "d": 0.00001}), "`d` is"),
            (json!({"s": "", "d": 1e300}), "`d` is"),
            (json!({"s": "", "a": [1, "2"]}), "`a` is not what"),
        ] {
            let why = value(arguments.clone()).unwrap_err();
            assert!(why.contains(said), "{arguments}: {why}");
        }
    }

    #[test]
    fn schemas_without_end_are_cut() {
        let mut deep = json!({"type": "string"});
        for _ in 0..50 {
            deep = json!({"type": "object", "properties": {"x": deep}});
        }
        assert!(fields(deep).to_cedar().len() < 200);
        let wide: Map<String, Value> = (0..2000)
            .map(|n| (format!("n{n}"), json!({"type": "string"})))
            .collect();
        assert_eq!(fields(json!({"properties": wide})).0.len(), MAX_FIELDS);
    }
}
