//! What a session made with a plugin, as far as the plugin's manifest says where its calls name it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bailiwick_manifest::ArgumentPath;
use bailiwick_mcp::CallToolResult;
use serde_json::Value;

/// The most things that are remembered of one plugin. What comes after is not held to have been made here, so that
/// policies refuse it; a plugin that makes more cannot fill the gate.
const MAX_THINGS: usize = 4_096;
/// Longer names are not remembered, in bytes.
const MAX_NAME: usize = 4_096;

/// By plugin: a plugin's word counts for what it makes itself, not for what others call by the same name.
#[derive(Debug, Default)]
pub(crate) struct Created(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Created {
    pub(crate) fn by(&self, plugin: &str) -> BTreeSet<String> {
        self.lock().get(plugin).cloned().unwrap_or_default()
    }

    pub(crate) fn add(&self, plugin: &str, names: impl IntoIterator<Item = String>) {
        let mut all = self.lock();
        let own = all.entry(plugin.to_owned()).or_default();
        for name in names {
            if name.len() <= MAX_NAME && own.len() < MAX_THINGS {
                own.insert(name);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call with these arguments will have made if it succeeds. A path at which something lies already, or at which
/// nobody can tell, is written over and not made.
pub(crate) fn to_be_made(paths: &[ArgumentPath], arguments: &Value) -> Vec<String> {
    let named = texts(paths, arguments);
    named.filter(|name| !is_taken(name)).collect()
}

/// What a call made by the word of its result.
pub(crate) fn made(paths: &[ArgumentPath], result: &CallToolResult) -> Vec<String> {
    let content = result.structured_content.iter();
    content.flat_map(|content| texts(paths, content)).collect()
}

fn texts<'a>(paths: &'a [ArgumentPath], value: &'a Value) -> impl Iterator<Item = String> + 'a {
    let selected = paths.iter().flat_map(|path| path.select(value));
    selected.filter_map(|value| value.as_str().map(str::to_owned))
}

fn is_taken(name: &str) -> bool {
    let nowhere = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    name.starts_with('/') && !Path::new(name).symlink_metadata().is_err_and(nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(texts: &[&str]) -> Vec<ArgumentPath> {
        let parse = |text: &&str| ArgumentPath::parse(text).unwrap();
        texts.iter().map(parse).collect()
    }

    #[test]
    fn what_lies_there_already_was_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("old"), "").unwrap();
        std::os::unix::fs::symlink("/nowhere", at("dangling")).unwrap();
        let files = [
            at("new"),
            at("old"),
            at("dangling"),
            at("old/below"),
            "id-7".to_owned(),
        ];
        let arguments = json!({"files": files, "count": 3});
        let made = to_be_made(&paths(&["/files/*", "count", "absent"]), &arguments);
        assert_eq!(made, [at("new"), "id-7".to_owned()]);
    }

    #[test]
    fn each_plugin_speaks_for_itself_and_no_plugin_fills_the_gate() {
        let created = Created::default();
        created.add("a", ["x".to_owned()]);
        created.add("b", (0..2 * MAX_THINGS).map(|n| n.to_string()));
        created.add("c", ["y".repeat(MAX_NAME + 1)]);
        assert_eq!(created.by("a"), BTreeSet::from(["x".to_owned()]));
        assert_eq!(created.by("b").len(), MAX_THINGS);
        assert!(created.by("c").is_empty() && created.by("d").is_empty());
    }

    #[test]
    fn ids_are_taken_from_the_structured_result() {
        let result = CallToolResult {
            structured_content: Some(json!({"created": [{"id": "a"}, {"id": 7}]})),
            ..CallToolResult::text("")
        };
        assert_eq!(made(&paths(&["/created/*/id"]), &result), ["a"]);
        assert!(made(&paths(&["id"]), &CallToolResult::text("id")).is_empty());
    }
}
