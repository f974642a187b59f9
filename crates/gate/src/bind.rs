//! Capability-bound arguments: what a manifest says a tool's argument is, checked against the grant.
//!
//! A JSON Schema can say that `path` is a text; only a binding can say that it lies inside what was granted.

use bailiwick_capability::{Capability, Grant, Granted, Kind, NetScope, Scope};
use bailiwick_manifest::Binding;
use serde_json::Value;

use crate::resolve::{ResolveError, resolve_argument};

/// Why an argument is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// It cannot be read as what it is bound to.
    #[error("the argument `{argument}` is bound to `{kind}`, but {why}")]
    Unreadable {
        /// Where in the arguments.
        argument: String,
        /// What it is bound to.
        kind: Kind,
        /// What is wrong with it.
        why: String,
    },
    /// It lies outside what was granted.
    #[error("the argument `{argument}` needs `{needed}`, which was not granted")]
    Outside {
        /// Where in the arguments.
        argument: String,
        /// The capability that would cover it.
        needed: Box<Capability>,
    },
}

/// Checks every value that `binding` selects from `arguments` against `grant`.
///
/// # Errors
/// The first value that cannot be read or lies outside. A binding that selects nothing is fine: whether
/// an argument must be there is the schema's question.
pub fn check(binding: &Binding, arguments: &Value, grant: &Grant) -> Result<(), BindError> {
    for value in binding.argument.select(arguments) {
        check_value(binding, value, grant)?;
    }
    Ok(())
}

fn check_value(binding: &Binding, value: &Value, grant: &Grant) -> Result<(), BindError> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| check_value(binding, item, grant)),
        Value::String(text) => check_text(binding, text, grant),
        _ => Err(unreadable(
            binding,
            "it is neither a text nor a list of texts",
        )),
    }
}

fn check_text(binding: &Binding, text: &str, grant: &Grant) -> Result<(), BindError> {
    let needed = point(binding.kind, text)
        .map_err(|error| unreadable(binding, &format!("{}; {}", error.message, error.help)))?;
    let inside = match needed.scope() {
        Scope::Net(url) => grant
            .of_kind(binding.kind)
            .any(|atom| url_inside(atom, url)),
        _ => grant.permits(&needed),
    };
    if inside {
        return Ok(());
    }
    let argument = binding.argument.to_string();
    Err(BindError::Outside {
        argument,
        needed: Box::new(needed),
    })
}

fn unreadable(binding: &Binding, why: &str) -> BindError {
    BindError::Unreadable {
        argument: binding.argument.to_string(),
        kind: binding.kind,
        why: why.to_owned(),
    }
}

fn point(kind: Kind, text: &str) -> Result<Capability, ResolveError> {
    match kind {
        Kind::ReadFiles | Kind::WriteFiles => {
            resolve_argument(kind, text.strip_prefix("file://").unwrap_or(text))
        }
        Kind::NetworkAccess => {
            // Query and fragment are no part of a scope.
            let url = text.split(['?', '#']).next().unwrap_or_default();
            Ok(Capability::parse_scope(kind, url)?)
        }
        _ => Ok(Capability::parse_scope(kind, text)?),
    }
}

/// An argument names no method, so an atom that covers the URL for some method is enough here; the
/// method itself is held where the request is made.
fn url_inside(atom: &Granted, url: &NetScope) -> bool {
    let Scope::Net(granted) = atom.capability().scope() else {
        return matches!(atom.capability().scope(), Scope::Whole) && atom.holes().is_empty();
    };
    let same = NetScope::new(
        url.scheme(),
        url.host().clone(),
        url.port(),
        url.path().cloned(),
        granted.methods().cloned(),
    );
    same.ok()
        .and_then(|scope| Capability::new(Kind::NetworkAccess, Scope::Net(scope)).ok())
        .is_some_and(|point| atom.permits(&point))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grant(atoms: &[&str]) -> Grant {
        Grant::new(atoms.iter().map(|text| text.parse().unwrap()))
    }

    fn binding(argument: &str, kind: Kind) -> Binding {
        let text = format!(
            "id: a\nversion: 1.0.0\nrequired_capabilities: [{kind}]\nruntime: {{command: [a]}}\n\
             tools: {{t: {{arguments: {{'{argument}': {kind}}}}}}}"
        );
        let manifest = bailiwick_manifest::Manifest::parse("m", text.as_bytes()).unwrap();
        manifest.tools()["t"].arguments[0].clone()
    }

    #[test]
    fn paths_are_held_by_their_targets() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("in")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("in/etc")).unwrap();
        let grant = grant(&[&format!("read_files:{}/in/", root.display())]);
        let path = binding("path", Kind::ReadFiles);
        let ask = |name: &str| {
            check(
                &path,
                &json!({ "path": format!("{}/{name}", root.display()) }),
                &grant,
            )
        };
        assert_eq!(ask("in/new"), Ok(()));
        assert!(matches!(
            ask("in/etc/passwd"),
            Err(BindError::Outside { .. })
        ));
        assert!(matches!(ask("in/../x"), Err(BindError::Unreadable { .. })));
        assert!(matches!(ask("out"), Err(BindError::Outside { .. })));
        assert!(check(&path, &json!({ "path": 7 }), &grant).is_err());
        assert!(check(&path, &json!({}), &grant).is_ok());
        let many = json!({ "path": [format!("{}/in/a", root.display()), "/etc/passwd"] });
        assert!(
            check(&path, &many, &grant).is_err(),
            "each of a list is held"
        );
    }

    #[test]
    fn urls_are_held_without_their_query() {
        let url = binding("url", Kind::NetworkAccess);
        let grant = grant(&["network_access:https://api.example.com/v1/ GET"]);
        let ask = |text: &str| check(&url, &json!({ "url": text }), &grant).is_ok();
        assert!(ask("https://api.example.com/v1/x?q=1#f"));
        assert!(!ask("https://api.example.com/v2/x"));
        assert!(!ask("https://api.example.com"));
        assert!(!ask("http://api.example.com/v1/x"));
        assert!(!ask("https://api.example.com@evil.example/v1/x"));
        assert!(!ask("https://api.example.com/v1/../admin"));
    }
}
