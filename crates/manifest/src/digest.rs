//! The canonical form of a manifest, and its SHA-256.

use bailiwick_capability::Capability;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::parts::{Creates, Limits, Need, Start, Tool};
use crate::{ArgumentPath, Atom, Manifest};

/// Keeps these digests apart from all others; the number changes with the canonical form.
const DOMAIN: &[u8] = b"bailiwick manifest 1\n";

/// SHA-256 over [`DOMAIN`] and the canonical JSON.
pub(crate) fn sha256(manifest: &Manifest) -> [u8; 32] {
    let mut text = String::new();
    write(&mut text, &canonical(manifest));
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(text.as_bytes());
    hash.finalize().into()
}

fn canonical(manifest: &Manifest) -> Value {
    let dependencies: serde_json::Map<String, Value> = manifest
        .dependencies
        .iter()
        .map(|one| (one.id.to_string(), json!(one.range.to_string())))
        .collect();
    let tools: serde_json::Map<String, Value> = manifest
        .tools
        .iter()
        .map(|(name, tool)| (name.clone(), canonical_tool(tool)))
        .collect();
    json!({
        "id": manifest.id.value.as_str(),
        "version": manifest.version.to_string(),
        "name": manifest.name,
        "description": manifest.description,
        "publisher": manifest.publisher,
        "required": sorted(manifest.required()),
        "optional": sorted(manifest.optional()),
        "dependencies": dependencies,
        "schema": manifest.schema,
        "start": match &manifest.runtime.start {
            Start::Command(words) => json!({"command": words}),
            Start::Component(path) => json!({"component": path}),
            Start::Embedded => json!("embedded"),
        },
        "env": manifest.runtime.env,
        "limits": canonical_limits(&manifest.runtime.limits),
        "tools": tools,
    })
}

fn canonical_limits(limits: &Limits) -> Value {
    let millis = |time: Option<std::time::Duration>| time.map(|time| time.as_millis().to_string());
    json!({
        "memory": limits.memory_bytes,
        "call": millis(limits.call),
        "start": millis(limits.start),
        "output": limits.output_bytes,
        "processes": limits.processes,
    })
}

fn canonical_tool(tool: &Tool) -> Value {
    let mut needs: Vec<String> = tool
        .needs
        .iter()
        .map(|need| match need {
            // A bare kind needs any atom of the kind, which is not the same as needing the whole kind.
            Need::Kind(kind, _) => format!("any {kind}"),
            Need::Capability(capability, _) => capability.to_string(),
        })
        .collect();
    needs.sort_unstable();
    let mut arguments: Vec<[String; 2]> = tool
        .arguments
        .iter()
        .map(|binding| [binding.argument.to_string(), binding.kind.to_string()])
        .collect();
    arguments.sort_unstable();
    let mut canonical = json!({"needs": needs, "arguments": arguments});
    // Manifests that say nothing of it keep the digest that they had before it could be said.
    if tool.creates != Creates::default() {
        let pointers = |paths: &[ArgumentPath]| {
            let mut texts: Vec<String> = paths.iter().map(ToString::to_string).collect();
            texts.sort_unstable();
            texts
        };
        let creates = json!({
            "arguments": pointers(&tool.creates.arguments),
            "result": pointers(&tool.creates.result),
        });
        if let Value::Object(members) = &mut canonical {
            members.insert("creates".to_owned(), creates);
        }
    }
    canonical
}

fn sorted<'a>(atoms: impl Iterator<Item = &'a Atom>) -> Vec<String> {
    let mut atoms: Vec<&Capability> = atoms.map(|atom| &atom.capability).collect();
    atoms.sort_unstable();
    atoms.into_iter().map(ToString::to_string).collect()
}

/// JSON without white space, members sorted by the bytes of their names. Written here because the order of
/// `serde_json`'s maps depends on features that another crate of a build may switch on.
fn write(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, &Value::String(name.clone()));
                out.push(':');
                write(out, member);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}
