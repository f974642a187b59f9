//! `tools` and `schema`: the contract of each tool.

use std::collections::BTreeMap;

use bailiwick_capability::Kind;
use serde_json::Value as Json;

use super::{Reader, capabilities, facts};
use crate::parts::{Atom, Binding, Creates, Need, Tool};
use crate::tree::{Key, Node, Value};
use crate::{ArgumentPath, Span};

/// The longest tool name, in bytes (MCP recommends at most 128).
const MAX_TOOL_NAME: usize = 128;
/// The most tools of one manifest.
const MAX_TOOLS: usize = 512;
/// The keys of one tool.
pub(crate) const TOOL_KEYS: [&str; 3] = ["needs", "arguments", "creates"];
/// The keys of what a tool creates.
pub(crate) const CREATES_KEYS: [&str; 2] = ["arguments", "result"];
/// The most values of one call that name what it creates.
const MAX_CREATES: usize = 16;

/// Kinds whose scope an argument can name.
pub(crate) const BINDABLE: [Kind; 8] = [
    Kind::ReadFiles,
    Kind::WriteFiles,
    Kind::NetworkAccess,
    Kind::NetworkListen,
    Kind::ExecuteCode,
    Kind::ReadEnvironment,
    Kind::UseSecret,
    Kind::CallTool,
];

/// Reads `schema`: a JSON Schema per tool name.
pub(crate) fn schema(reader: &mut Reader, node: &Node) -> BTreeMap<String, Json> {
    let mut found = BTreeMap::new();
    for (key, value) in named(reader, node, "`schema`") {
        match value.value {
            Value::Map(_) | Value::Bool(_) => {
                found.insert(key.text.clone(), value.to_json());
            }
            _ => reader.problem(
                value.span,
                format!("the JSON Schema of `{}` is {}", key.text, value.describe()),
                "write a mapping, such as `{type: object, properties: {…}}`",
            ),
        }
    }
    found
}

/// Reads `tools`; whatever a tool needs must be asked for by an atom.
pub(crate) fn tools(reader: &mut Reader, node: &Node, atoms: &[Atom]) -> BTreeMap<String, Tool> {
    let mut found = BTreeMap::new();
    for (key, value) in named(reader, node, "`tools`") {
        let mut tool = Tool {
            span: key.span,
            ..Tool::default()
        };
        for (field, value) in reader.map(value, &format!("tool `{}`", key.text)) {
            match field.text.as_str() {
                "needs" => tool.needs = needs(reader, value, atoms),
                "arguments" => tool.arguments = arguments(reader, value, atoms),
                "creates" => tool.creates = creates(reader, value),
                _ => reader.unknown_key(field, &TOOL_KEYS),
            }
        }
        found.insert(key.text.clone(), tool);
    }
    found
}

/// The entries of a mapping whose keys are tool names.
fn named<'a>(reader: &mut Reader, node: &'a Node, what: &str) -> Vec<&'a (Key, Node)> {
    let entries = reader.map(node, what);
    if entries.len() > MAX_TOOLS {
        reader.problem(
            node.span,
            format!("{what} names more than {MAX_TOOLS} tools"),
            "split the plugin",
        );
        return Vec::new();
    }
    let mut good = Vec::new();
    for entry in entries {
        let name = entry.0.text.as_str();
        let fits = (1..=MAX_TOOL_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
        if fits {
            good.push(entry);
        } else {
            reader.problem(
                entry.0.span,
                format!("`{}` is not a tool's name", name.escape_debug()),
                "use 1 to 128 letters, digits, `_`, `-`, `.` and `/`, as the server announces it",
            );
        }
    }
    good
}

fn needs(reader: &mut Reader, node: &Node, atoms: &[Atom]) -> Vec<Need> {
    let mut found = Vec::new();
    for item in reader.list(node, "`needs`") {
        let Some(text) = reader.string(item, "a need") else {
            continue;
        };
        if text.contains(':') {
            let Some(capability) = capabilities::from_text(reader, text, item.span) else {
                continue;
            };
            if !atoms
                .iter()
                .any(|atom| atom.capability.contains(&capability))
            {
                reader.problem(
                    item.span,
                    format!(
                        "`{capability}` is needed here but lies inside no capability asked for"
                    ),
                    format!(
                        "add `- {capability}` to `required_capabilities` or `optional_capabilities`"
                    ),
                );
            }
            found.push(Need::Capability(capability, item.span));
        } else if let Some(kind) = facts::kind(reader, text, item.span) {
            covered(reader, kind, item.span, atoms);
            found.push(Need::Kind(kind, item.span));
        }
    }
    found
}

fn covered(reader: &mut Reader, kind: Kind, span: Span, atoms: &[Atom]) {
    if !atoms.iter().any(|atom| atom.capability.kind() == kind) {
        reader.problem(
            span,
            format!("`{kind}` is used here but not asked for"),
            format!(
                "add a `{kind}` capability to `required_capabilities` or `optional_capabilities`"
            ),
        );
    }
}

fn arguments(reader: &mut Reader, node: &Node, atoms: &[Atom]) -> Vec<Binding> {
    let mut found = Vec::new();
    for (key, value) in reader.map(node, "`arguments`") {
        let Some(argument) = pointer(reader, &key.text, key.span) else {
            continue;
        };
        let kinds: Vec<&Node> = match &value.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![value],
        };
        if kinds.is_empty() {
            reader.problem(
                value.span,
                format!("`{}` is bound to nothing", key.text.escape_debug()),
                "name a kind, such as `read_files`, or remove the argument",
            );
        }
        for node in kinds {
            let Some(kind) = bindable(reader, node) else {
                continue;
            };
            covered(reader, kind, node.span, atoms);
            found.push(Binding {
                argument: argument.clone(),
                kind,
                span: Span::new(key.span.start(), node.span.end()),
            });
        }
    }
    found
}

fn creates(reader: &mut Reader, node: &Node) -> Creates {
    let mut found = Creates::default();
    for (key, value) in reader.map(node, "`creates`") {
        match key.text.as_str() {
            "arguments" => found.arguments = pointers(reader, value),
            "result" => found.result = pointers(reader, value),
            _ => reader.unknown_key(key, &CREATES_KEYS),
        }
    }
    found
}

fn pointers(reader: &mut Reader, node: &Node) -> Vec<ArgumentPath> {
    let items = reader.list(node, "what a tool creates");
    if items.len() > MAX_CREATES {
        let what = format!("a call names what it creates in more than {MAX_CREATES} values");
        reader.problem(node.span, what, "write a `*` for each item of a list");
        return Vec::new();
    }
    let mut found = Vec::new();
    for item in items {
        let text = reader.string(item, "a value that names what is created");
        found.extend(text.and_then(|text| pointer(reader, text, item.span)));
    }
    found
}

fn pointer(reader: &mut Reader, text: &str, span: Span) -> Option<ArgumentPath> {
    ArgumentPath::parse(text)
        .map_err(|why| {
            let help = "write a name, or a pointer such as `/edits/*/path`";
            reader.problem(span, why, help);
        })
        .ok()
}

fn bindable(reader: &mut Reader, node: &Node) -> Option<Kind> {
    let text = reader.string(node, "an argument's capability kind")?;
    let kind = facts::kind(reader, text, node.span)?;
    if BINDABLE.contains(&kind) {
        return Some(kind);
    }
    reader.problem(
        node.span,
        format!("no argument can name a scope of `{kind}`"),
        format!(
            "bind it to one of {}",
            BINDABLE.map(Kind::as_str).join(", ")
        ),
    );
    None
}
