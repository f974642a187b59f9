//! From a tree to a manifest: everything is read before anything is given up, so that all problems show at once.

mod capabilities;
mod facts;
mod runtime;
mod tools;

#[cfg(test)]
pub(crate) use runtime::{LIMIT_KEYS, RUNTIME_KEYS};
pub(crate) use tools::BINDABLE;
#[cfg(test)]
pub(crate) use tools::{CREATES_KEYS, TOOL_KEYS};

use crate::tree::{Key, MAX_BYTES, Node, SyntaxError, Value};
use crate::{Manifest, ManifestError, ManifestErrors, Source, Span, json, suggest, yaml};

/// The keys of a manifest.
pub(crate) const KEYS: [&str; 12] = [
    "$schema",
    "id",
    "version",
    "name",
    "description",
    "publisher",
    "required_capabilities",
    "optional_capabilities",
    "dependencies",
    "schema",
    "runtime",
    "tools",
];

/// Where a manifest came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A file beside the plugin.
    File,
    /// The custom section of a Wasm component, which is its own runtime.
    Component,
}

/// Reads bytes; see [`Manifest::parse`].
pub(crate) fn manifest(
    name: &str,
    bytes: &[u8],
    carrier: Carrier,
) -> Result<Manifest, ManifestErrors> {
    let text = text(name, bytes)?;
    let source = Source::new(name, text);
    let root = parse(&source).map_err(|error| syntax(&source, error))?;
    let mut reader = Reader {
        source,
        problems: Vec::new(),
    };
    let read = facts::manifest(&mut reader, &root, carrier);
    let mut problems = reader.problems;
    problems.sort_by_key(ManifestError::span);
    match read {
        Some(manifest) if problems.is_empty() => Ok(manifest),
        _ => Err(ManifestErrors::new(problems)),
    }
}

/// The plain values of a manifest, without looking at what they mean; for tools that validate by the JSON Schema.
///
/// # Errors
/// What is neither YAML nor JSON within the bounds of a manifest.
pub fn to_json(name: &str, bytes: &[u8]) -> Result<serde_json::Value, ManifestErrors> {
    let source = Source::new(name, text(name, bytes)?);
    parse(&source)
        .map(|root| root.to_json())
        .map_err(|error| syntax(&source, error))
}

fn text(name: &str, bytes: &[u8]) -> Result<String, ManifestErrors> {
    let refuse = |message: String, help: &str| {
        let source = Source::new(name, String::new());
        ManifestErrors::from(ManifestError::new(&source, Span::default(), message, help))
    };
    if bytes.len() > MAX_BYTES {
        return Err(refuse(
            format!("a manifest of more than {MAX_BYTES} bytes"),
            "shorten its `schema` and `description`",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        refuse(
            format!("not UTF-8 from byte {} on", error.valid_up_to()),
            "save the file as UTF-8",
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

fn parse(source: &Source) -> Result<Node, SyntaxError> {
    let text = source.text();
    let name = source.name();
    let is = |ending: &str| {
        name.rsplit_once('.')
            .is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
    };
    if is("json") || (!is("yaml") && !is("yml") && text.trim_start().starts_with('{')) {
        json::parse(text)
    } else {
        yaml::parse(text)
    }
}

fn syntax(source: &Source, error: SyntaxError) -> ManifestErrors {
    let mut problem = ManifestError::new(source, error.span, error.message, error.help);
    if let Some(first) = error.first {
        problem = problem.and_at(first, "first here");
    }
    problem.into()
}

/// Collects problems while the tree is read.
pub(crate) struct Reader {
    pub(crate) source: Source,
    problems: Vec<ManifestError>,
}

impl Reader {
    /// Notes a problem.
    pub(crate) fn problem(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let error = ManifestError::new(&self.source, span, message, help);
        self.push(error);
    }

    /// Notes a problem that has been put together.
    pub(crate) fn push(&mut self, error: ManifestError) {
        self.problems.push(error);
    }

    /// The text of a string.
    pub(crate) fn string<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a str> {
        if let Value::Text(text) = &node.value {
            return Some(text);
        }
        let help = match node.value {
            Value::Bool(_) | Value::Number(_) => "put it in quotes to make it a string",
            Value::Null => "write a string, or remove the key",
            _ => "write a string",
        };
        self.problem(
            node.span,
            format!("{what} is {}, not a string", node.describe()),
            help,
        );
        None
    }

    /// A string for people: bounded, and without what a terminal would act upon.
    pub(crate) fn prose(&mut self, node: &Node, what: &str, max: usize) -> Option<String> {
        let text = self.string(node, what)?;
        if text.len() > max {
            self.problem(
                node.span,
                format!("{what} is longer than {max} bytes"),
                "shorten it",
            );
            return None;
        }
        if let Some(odd) = text.chars().find(|&c| acts_on_terminal(c)) {
            self.problem(
                node.span,
                format!(
                    "{what} holds the invisible character U+{:04X}",
                    u32::from(odd)
                ),
                "remove it: people must read what is there",
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// The items of a list; an absent (null) one is empty.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                self.problem(
                    node.span,
                    format!("{what} is {}, not a list", node.describe()),
                    "write one item per line with `- `, or `[a, b]`",
                );
                &[]
            }
        }
    }

    /// The entries of a mapping; an absent (null) one is empty.
    pub(crate) fn map<'a>(&mut self, node: &'a Node, what: &str) -> &'a [(Key, Node)] {
        match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                self.problem(
                    node.span,
                    format!("{what} is {}, not a mapping", node.describe()),
                    "write `key: value`, one per line",
                );
                &[]
            }
        }
    }

    /// Complains about a key that is not among `known`.
    pub(crate) fn unknown_key(&mut self, key: &Key, known: &[&str]) {
        self.problem(
            key.span,
            format!("unknown key `{}`", key.text.escape_debug()),
            suggest::help(&key.text, known, "the keys here are"),
        );
    }
}

/// Control characters and those that reorder text (Unicode TR9).
fn acts_on_terminal(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
