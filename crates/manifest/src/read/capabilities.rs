//! `required_capabilities` and `optional_capabilities`.

use std::collections::HashMap;

use bailiwick_capability::{Capability, Kind};

use super::{Reader, facts};
use crate::parts::{Atom, Necessity};
use crate::tree::{Node, Value};
use crate::{ManifestError, Span};

/// The most atoms of one manifest: people must be able to read what is asked.
const MAX_ATOMS: usize = 256;

/// Collects atoms of both lists and refuses one that stands twice.
#[derive(Default)]
pub(crate) struct Atoms {
    found: Vec<Atom>,
    seen: HashMap<Capability, (Span, Necessity)>,
    full: bool,
}

impl Atoms {
    /// Reads one of the two lists.
    pub(crate) fn read(
        &mut self,
        reader: &mut Reader,
        node: &Node,
        key: &str,
        necessity: Necessity,
    ) {
        match &node.value {
            Value::Map(_) => self.entries(reader, node, necessity),
            Value::List(items) => {
                for item in items {
                    self.item(reader, item, necessity);
                }
            }
            Value::Null => {}
            _ => reader.problem(
                node.span,
                format!("`{key}` is {}, not a list", node.describe()),
                "write one capability per line: `- read_files:/var/log/`",
            ),
        }
    }

    pub(crate) fn finish(self) -> Vec<Atom> {
        self.found
    }

    fn item(&mut self, reader: &mut Reader, item: &Node, necessity: Necessity) {
        match &item.value {
            Value::Text(text) => {
                if let Some(capability) = from_text(reader, text, item.span) {
                    self.add(reader, capability, item.span, necessity);
                }
            }
            Value::Map(entries) if entries.len() == 1 => self.entries(reader, item, necessity),
            Value::Map(_) => reader.problem(
                item.span,
                "several kinds in one list item",
                "give each kind its own `- `",
            ),
            _ => reader.problem(
                item.span,
                format!("a capability is {}, not a string", item.describe()),
                "write `read_files:/var/log/`, or `read_files: /var/log/`",
            ),
        }
    }

    /// `kind: scope` and `kind: [scope, scope]`.
    fn entries(&mut self, reader: &mut Reader, node: &Node, necessity: Necessity) {
        let Value::Map(entries) = &node.value else {
            return;
        };
        for (key, value) in entries {
            let Some(kind) = facts::kind(reader, &key.text, key.span) else {
                continue;
            };
            match &value.value {
                Value::List(scopes) => {
                    for scope in scopes {
                        self.scope(reader, kind, scope, necessity);
                    }
                }
                Value::Null => reader.problem(
                    key.span,
                    format!("`{kind}` names no scope"),
                    format!(
                        "write its scope, or the list item `- {kind}` without a colon for the whole kind"
                    ),
                ),
                _ => self.scope(reader, kind, value, necessity),
            }
        }
    }

    fn scope(&mut self, reader: &mut Reader, kind: Kind, node: &Node, necessity: Necessity) {
        // A port may be written without quotes.
        let port = match &node.value {
            Value::Number(number) if kind == Kind::NetworkListen => Some(number.to_string()),
            _ => None,
        };
        let Some(text) = port.as_deref().or_else(|| reader.string(node, "a scope")) else {
            return;
        };
        if let Some(capability) = scoped(reader, kind, text, node.span) {
            self.add(reader, capability, node.span, necessity);
        }
    }

    fn add(
        &mut self,
        reader: &mut Reader,
        capability: Capability,
        span: Span,
        necessity: Necessity,
    ) {
        if let Some((first, other)) = self.seen.get(&capability) {
            let (message, help) = if *other == necessity {
                (
                    format!("`{capability}` stands twice"),
                    "remove one of the two",
                )
            } else {
                (
                    format!("`{capability}` is both required and optional"),
                    "keep it in one of the two lists",
                )
            };
            let error = ManifestError::new(&reader.source, span, message, help)
                .and_at(*first, "first here");
            reader.push(error);
            return;
        }
        if self.found.len() >= MAX_ATOMS {
            if !self.full {
                self.full = true;
                reader.problem(
                    span,
                    format!("more than {MAX_ATOMS} capabilities"),
                    "ask for whole directories or hosts instead of each single one",
                );
            }
            return;
        }
        self.seen.insert(capability.clone(), (span, necessity));
        self.found.push(Atom {
            capability,
            necessity,
            span,
        });
    }
}

/// `kind:scope` or a bare kind.
pub(crate) fn from_text(reader: &mut Reader, text: &str, span: Span) -> Option<Capability> {
    match text.split_once(':') {
        None => facts::kind(reader, text, span).map(Capability::whole),
        Some((kind, scope)) => {
            let kind = facts::kind(reader, kind, span)?;
            scoped(reader, kind, scope.strip_prefix(' ').unwrap_or(scope), span)
        }
    }
}

fn scoped(reader: &mut Reader, kind: Kind, text: &str, span: Span) -> Option<Capability> {
    match Capability::parse_scope(kind, text) {
        Ok(capability) => Some(capability),
        Err(error) => {
            reader.problem(span, error.message(), error.help());
            None
        }
    }
}
