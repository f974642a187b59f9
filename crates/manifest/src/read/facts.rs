//! Who the plugin is, and the top level that ties all parts together.

use std::collections::BTreeMap;

use semver::{Version, VersionReq};

use super::{Carrier, KEYS, Reader, capabilities, runtime, tools};
use crate::parts::{Dependency, Limits, Necessity, Runtime, Start};
use crate::tree::{Node, Value};
use crate::{Manifest, PluginId, Span, Spanned, suggest};

/// The longest `name` and `publisher`, in bytes.
const MAX_NAME: usize = 128;
/// The longest `description`, in bytes.
const MAX_DESCRIPTION: usize = 4096;
/// The most dependencies.
const MAX_DEPENDENCIES: usize = 64;

/// Reads the whole tree. `None` where something without which there is no manifest is missing or wrong.
pub(crate) fn manifest(reader: &mut Reader, root: &Node, carrier: Carrier) -> Option<Manifest> {
    let Value::Map(entries) = &root.value else {
        reader.problem(
            root.span,
            format!("a manifest is a mapping, and this is {}", root.describe()),
            "write `id: …`, `version: …` and so on, one key per line",
        );
        return None;
    };
    for (key, _) in entries {
        if !KEYS.contains(&key.text.as_str()) {
            unknown(reader, key);
        }
    }
    let get = |name: &str| {
        entries
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, node)| node)
    };
    if let Some(node) = get("$schema") {
        reader.string(node, "`$schema`");
    }
    let id = must(reader, root, get("id"), "id", "`id: my-plugin`").and_then(|n| id(reader, n));
    let version = must(reader, root, get("version"), "version", "`version: 1.0.0`")
        .and_then(|node| version(reader, node));
    let mut prose =
        |key: &str, max| get(key).and_then(|node| reader.prose(node, &format!("`{key}`"), max));
    let name = prose("name", MAX_NAME);
    let publisher = prose("publisher", MAX_NAME);
    let description = prose("description", MAX_DESCRIPTION);

    let mut atoms = capabilities::Atoms::default();
    for (key, necessity) in [
        ("required_capabilities", Necessity::Required),
        ("optional_capabilities", Necessity::Optional),
    ] {
        if let Some(node) = get(key) {
            atoms.read(reader, node, key, necessity);
        }
    }
    let atoms = atoms.finish();
    let dependencies = get("dependencies").map_or_else(Vec::new, |n| dependencies(reader, n));
    let schema = get("schema").map_or_else(BTreeMap::new, |node| tools::schema(reader, node));
    let tools = get("tools").map_or_else(BTreeMap::new, |n| tools::tools(reader, n, &atoms));
    let runtime = match (get("runtime"), carrier) {
        (None, Carrier::Component) => Some(Runtime {
            start: Start::Embedded,
            env: BTreeMap::new(),
            limits: Limits::default(),
            span: Span::default(),
        }),
        (node, _) => must(
            reader,
            root,
            node,
            "runtime",
            "`runtime: {command: [npx, -y, my-server]}` or `runtime: {component: plugin.wasm}`",
        )
        .and_then(|node| runtime::runtime(reader, node, carrier, &atoms)),
    };
    Some(Manifest {
        source: reader.source.clone(),
        id: id?,
        version: version?,
        name,
        description,
        publisher,
        atoms,
        dependencies,
        schema,
        runtime: runtime?,
        tools,
    })
}

/// An unknown top-level key; a kind of capability in its place is a common slip.
fn unknown(reader: &mut Reader, key: &crate::tree::Key) {
    if key.text.parse::<bailiwick_capability::Kind>().is_ok() {
        reader.problem(
            key.span,
            format!("`{}` is a capability, not a key of the manifest", key.text),
            "put it under `required_capabilities` or `optional_capabilities`",
        );
    } else {
        reader.unknown_key(key, &KEYS);
    }
}

fn must<'a>(
    reader: &mut Reader,
    root: &Node,
    found: Option<&'a Node>,
    key: &str,
    example: &str,
) -> Option<&'a Node> {
    if found.is_none() {
        let start = root.span.start();
        reader.problem(
            Span::new(start, start),
            format!("`{key}` is missing"),
            format!("add {example}"),
        );
    }
    found
}

fn id(reader: &mut Reader, node: &Node) -> Option<Spanned<PluginId>> {
    let text = reader.string(node, "`id`")?;
    match text.parse() {
        Ok(value) => Some(Spanned {
            value,
            span: node.span,
        }),
        Err(error) => {
            let tame = tame_id(text);
            reader.problem(
                node.span,
                crate::PluginIdError::to_string(&error),
                match tame {
                    Some(tame) => format!("write it as `{tame}`"),
                    None => "use lower-case letters, digits and single hyphens".to_owned(),
                },
            );
            None
        }
    }
}

/// The nearest id that is one.
fn tame_id(text: &str) -> Option<PluginId> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-").parse().ok()
}

fn version(reader: &mut Reader, node: &Node) -> Option<Version> {
    const HELP: &str = "write three numbers, such as `1.0.0` (semver.org)";
    if let Value::Number(number) = &node.value {
        reader.problem(node.span, format!("`version` is the number {number}"), HELP);
        return None;
    }
    let text = reader.string(node, "`version`")?;
    match Version::parse(text) {
        Ok(version) => Some(version),
        Err(error) => {
            reader.problem(
                node.span,
                format!(
                    "`{}` is not a semantic version: {error}",
                    text.escape_debug()
                ),
                HELP,
            );
            None
        }
    }
}

fn dependencies(reader: &mut Reader, node: &Node) -> Vec<Dependency> {
    let entries = reader.map(node, "`dependencies`");
    if entries.len() > MAX_DEPENDENCIES {
        reader.problem(
            node.span,
            format!("more than {MAX_DEPENDENCIES} dependencies"),
            "name only the plugins that this one itself needs",
        );
        return Vec::new();
    }
    let mut found = Vec::new();
    for (key, range) in entries {
        let id = key.text.parse::<PluginId>();
        if let Err(error) = &id {
            reader.problem(
                key.span,
                error.to_string(),
                "name the `id` of the other plugin",
            );
        }
        let Some(text) = reader.string(range, "a dependency's version range") else {
            continue;
        };
        match (VersionReq::parse(text), id) {
            (Ok(range_read), Ok(id)) => found.push(Dependency {
                id,
                range: range_read,
                span: Span::new(key.span.start(), range.span.end()),
            }),
            (Ok(_), Err(_)) => {}
            (Err(error), _) => reader.problem(
                range.span,
                format!("`{}` is not a version range: {error}", text.escape_debug()),
                "write for example `^1.2`, `>=1.0, <3.0` or `*`",
            ),
        }
    }
    found
}

/// Names a kind, or says which is near.
pub(crate) fn kind(
    reader: &mut Reader,
    text: &str,
    span: Span,
) -> Option<bailiwick_capability::Kind> {
    let names = bailiwick_capability::Kind::ALL.map(bailiwick_capability::Kind::as_str);
    match text.parse() {
        Ok(kind) => Some(kind),
        Err(_) => {
            reader.problem(
                span,
                format!("unknown capability kind `{}`", text.escape_debug()),
                suggest::help(text, &names, "the kinds are"),
            );
            None
        }
    }
}
