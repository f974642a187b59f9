//! What the log keeps of a tool's arguments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub enum JsonType {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One argument as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct Argument {
    /// Its JSON type.
    #[serde(rename = "type")]
    pub json_type: JsonType,
    /// SHA-256 of its JSON with sorted keys and no spaces, in hex; absent when the rule drops it. It identifies a
    /// value that one already has; short or guessable values can be found from it, which is why secrets are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The value itself as JSON text, only where a rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What to keep of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Its type and SHA-256.
    #[default]
    Digest,
    /// Its type, SHA-256 and value. Only for arguments that are known to hold no secret.
    Value,
    /// Its type only: for secrets, whose digest could be guessed at.
    Type,
}

/// The rule by which arguments are recorded. The default keeps the digest of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// For arguments that are not named.
    #[serde(default)]
    pub default: Keep,
    /// For arguments by name, which may be prefixed with the tool's: `path`, `fs.read:path`; the longer one wins.
    #[serde(default)]
    pub named: BTreeMap<String, Keep>,
}

impl Redaction {
    /// Records the arguments of a call to `tool`. What is not a JSON object is recorded as one argument named
    /// `arguments`.
    #[must_use]
    pub fn apply(&self, tool: &str, arguments: &Value) -> BTreeMap<String, Argument> {
        match arguments {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.record(tool, name, value)))
                .collect(),
            other => BTreeMap::from([(
                "arguments".to_owned(),
                self.record(tool, "arguments", other),
            )]),
        }
    }

    /// Records one argument that has no name, such as a word of a command line.
    #[must_use]
    pub fn argument(&self, value: &Value) -> Argument {
        kept(self.default, value)
    }

    fn record(&self, tool: &str, name: &str, value: &Value) -> Argument {
        let of_tool = self.named.get(&format!("{tool}:{name}"));
        let keep = of_tool
            .or_else(|| self.named.get(name))
            .copied()
            .unwrap_or(self.default);
        kept(keep, value)
    }
}

fn kept(keep: Keep, value: &Value) -> Argument {
    let json_type = type_of(value);
    if keep == Keep::Type {
        return Argument {
            json_type,
            sha256: None,
            value: None,
        };
    }
    let mut text = String::new();
    write_canonical(value, &mut text);
    let sha256 = Some(sha256_hex(text.as_bytes()));
    Argument {
        json_type,
        sha256,
        value: (keep == Keep::Value).then_some(text),
    }
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
        .collect()
}

fn type_of(value: &Value) -> JsonType {
    match value {
        Value::Null => JsonType::Null,
        Value::Bool(_) => JsonType::Boolean,
        Value::Number(_) => JsonType::Number,
        Value::String(_) => JsonType::String,
        Value::Array(_) => JsonType::Array,
        Value::Object(_) => JsonType::Object,
    }
}

/// JSON with sorted keys and no spaces. Sorted here, because whether serde_json keeps the order of keys depends on
/// what else is built with it.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            out.push('{');
            for (position, (name, item)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn by_default_only_type_and_digest_are_kept() {
        let kept = Redaction::default().apply("t", &json!({"path": "/etc/canary", "n": 3}));
        assert_eq!(kept["path"].json_type, JsonType::String);
        assert_eq!(kept["path"].sha256, Some(sha256_hex(br#""/etc/canary""#)));
        assert_eq!(kept["n"].json_type, JsonType::Number);
        assert!(
            !serde_json::to_string(&kept)
                .expect("json")
                .contains("canary")
        );
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let rule = Redaction {
            default: Keep::Value,
            named: BTreeMap::from([("k".into(), Keep::Digest), ("t:k".into(), Keep::Type)]),
        };
        let of = |tool: &str, name: &str| {
            rule.apply(tool, &json!({ name: "v" }))
                .remove(name)
                .expect("kept")
        };
        assert_eq!(
            of("t", "k"),
            Argument {
                json_type: JsonType::String,
                sha256: None,
                value: None
            }
        );
        assert!(of("u", "k").sha256.is_some() && of("u", "k").value.is_none());
        assert_eq!(of("u", "other").value.as_deref(), Some("\"v\""));
    }

    #[test]
    fn arguments_that_are_no_object_are_recorded_too() {
        let kept = Redaction::default().apply("t", &json!([1, 2]));
        assert_eq!(kept["arguments"].json_type, JsonType::Array);
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_keys() {
        let mut text = String::new();
        write_canonical(
            &json!({"b": [1, {"d": null, "c": "\u{1}é"}], "a": true}),
            &mut text,
        );
        assert_eq!(text, r#"{"a":true,"b":[1,{"c":"\u0001é","d":null}]}"#);
    }

    #[test]
    fn sha256_is_that_of_the_standard() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
