//! The common shape of YAML and JSON, every key and value with its place.

use serde_json::{Number, Value as Json};

use crate::Span;

/// Larger manifests are refused before they are parsed: a plugin author controls the file.
pub const MAX_BYTES: usize = 256 * 1024;
/// Deeper nesting is refused: recursion over the tree must stay small.
pub const MAX_DEPTH: usize = 32;
/// More keys and values than this are refused.
pub const MAX_NODES: usize = 20_000;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What kind of value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Node {
    /// Names the kind of value, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self.value {
            Value::Null => "empty",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The same value without places.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value) => Json::Number(value.clone()),
            Value::Text(value) => Json::String(value.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.text.clone(), node.to_json()))
                    .collect(),
            ),
        }
    }
}

/// A complaint of one of the two parsers; they know no source, only places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: String,
    pub(crate) first: Option<Span>,
}

impl SyntaxError {
    pub(crate) fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: help.into(),
            first: None,
        }
    }

    pub(crate) fn duplicate(key: &Key, first: Span) -> Self {
        Self {
            first: Some(first),
            ..Self::new(
                key.span,
                format!("duplicate key `{}`", key.text),
                "keep one of the two: readers disagree about which one counts",
            )
        }
    }

    pub(crate) fn too_deep(span: Span) -> Self {
        Self::new(
            span,
            format!("nested deeper than {MAX_DEPTH} levels"),
            "flatten this part of the manifest",
        )
    }

    pub(crate) fn too_many(span: Span) -> Self {
        Self::new(
            span,
            format!("more than {MAX_NODES} keys and values"),
            "split the manifest, or shorten its `schema`",
        )
    }
}

/// Collects entries and refuses a key that is already there.
#[derive(Debug, Default)]
pub(crate) struct MapBuilder {
    entries: Vec<(Key, Node)>,
    seen: std::collections::HashMap<String, Span>,
}

impl MapBuilder {
    /// Notes a key before its value is read.
    pub(crate) fn claim(&mut self, key: &Key) -> Result<(), SyntaxError> {
        match self.seen.insert(key.text.clone(), key.span) {
            Some(first) => Err(SyntaxError::duplicate(key, first)),
            None => Ok(()),
        }
    }

    pub(crate) fn push(&mut self, key: Key, node: Node) {
        self.entries.push((key, node));
    }

    pub(crate) fn finish(self) -> Value {
        Value::Map(self.entries)
    }
}
