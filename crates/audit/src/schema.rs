//! The JSON Schema of an entry, generated from the types.

use crate::event::Entry;

/// The JSON Schema (draft 2020-12) of [`Entry`], as checked in at `docs/audit-entry.schema.json`.
#[must_use]
pub fn entry_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Entry).to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert(
            "title".into(),
            format!("Bailiwick audit entry, version {}", crate::ENTRY_VERSION).into(),
        );
        if let Some(version) = root
            .get_mut("properties")
            .and_then(|properties| properties.get_mut("v"))
        {
            *version = serde_json::json!({ "description": "Format version.", "const": crate::ENTRY_VERSION });
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set to write the file anew.
    const UPDATE: &str = "BAILIWICK_UPDATE";

    #[test]
    fn the_schema_checked_in_is_that_of_the_types() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/audit-entry.schema.json"
        );
        let text = serde_json::to_string_pretty(&entry_schema()).expect("json") + "\n";
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(path, &text).expect("writes");
        }
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        let same = serde_json::from_str::<serde_json::Value>(&checked_in).ok()
            == serde_json::from_str(&text).ok();
        assert!(
            same,
            "docs/audit-entry.schema.json has drifted: run this test with {UPDATE}=1"
        );
    }
}
