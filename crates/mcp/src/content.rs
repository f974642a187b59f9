//! Content blocks: a closed set of types, each with the members that MCP requires of it; all others survive.

use serde_json::{Map, Value, json};

use crate::revision::Revision;
use crate::text::excerpt;

/// Whether `block` is a content block that the agent can be given.
///
/// # Errors
/// What is wrong with it (LESSONS L26: what cannot be understood is not passed through).
pub(crate) fn check(block: &Value) -> Result<(), String> {
    let Some(members) = block.as_object() else {
        return Err("a content block that is not an object".into());
    };
    let kind = members
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let required: &[&str] = match kind {
        "text" => &["text"],
        "image" | "audio" => &["data", "mimeType"],
        "resource_link" => &["uri", "name"],
        "resource" => return check_resource(members),
        _ => return Err(format!("a content block of unknown type {}", excerpt(kind))),
    };
    texts(members, required, kind)
}

fn check_resource(block: &Map<String, Value>) -> Result<(), String> {
    let Some(resource) = block.get("resource").and_then(Value::as_object) else {
        return Err("a resource block without its resource".into());
    };
    texts(resource, &["uri"], "resource")?;
    match (resource.get("text"), resource.get("blob")) {
        (Some(Value::String(_)), None) | (None, Some(Value::String(_))) => Ok(()),
        _ => Err("a resource block with neither text nor blob, or with both".into()),
    }
}

fn texts(members: &Map<String, Value>, required: &[&str], kind: &str) -> Result<(), String> {
    for name in required {
        if !members.get(*name).is_some_and(Value::is_string) {
            return Err(format!("a {kind} block without the text member {name}"));
        }
    }
    Ok(())
}

/// A text block.
pub(crate) fn text(text: impl Into<String>) -> Value {
    json!({ "type": "text", "text": text.into() })
}

/// The block itself where the revision knows its type, else a text that stands for it.
pub(crate) fn for_revision(block: Value, revision: Revision) -> Value {
    let member = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    match member("type") {
        "audio" if revision < Revision::V2025_03_26 => text(format!(
            "[audio of type {} left out: MCP {revision} has no audio]",
            member("mimeType")
        )),
        "resource_link" if revision < Revision::V2025_06_18 => {
            text(format!("[{}]({})", member("name"), member("uri")))
        }
        _ => block,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_blocks_pass_whole() {
        for block in [
            json!({"type": "text", "text": "a", "future": 1}),
            json!({"type": "image", "data": "AA==", "mimeType": "image/png"}),
            json!({"type": "audio", "data": "AA==", "mimeType": "audio/wav"}),
            json!({"type": "resource_link", "uri": "file:///a", "name": "a"}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "text": "x"}}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "blob": "AA=="}}),
        ] {
            assert_eq!(check(&block), Ok(()));
            assert_eq!(for_revision(block.clone(), Revision::MODERN), block);
        }
    }

    #[test]
    fn l26_blocks_that_cannot_be_understood_are_refused() {
        for block in [
            json!("text"),
            json!({}),
            json!({"type": "Text", "text": "a"}),
            json!({"type": "text", "Text": "a"}),
            json!({"type": "text", "text": null}),
            json!({"type": "tool_use", "id": "1", "name": "x", "input": {}}),
            json!({"type": "image", "data": "AA=="}),
            json!({"type": "resource", "resource": {"uri": "a", "text": "x", "blob": "y"}}),
            json!({"type": "resource", "uri": "a"}),
        ] {
            assert!(check(&block).is_err(), "{block}");
        }
    }

    #[test]
    fn older_revisions_get_text_for_what_they_do_not_know() {
        let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
        assert_eq!(
            for_revision(link.clone(), Revision::V2025_03_26),
            text("[a](file:///a)")
        );
        assert_eq!(for_revision(link.clone(), Revision::V2025_06_18), link);
    }
}
