//! Capability-bound arguments: what a manifest says a tool's argument is, checked against the grant.
//!
//! A JSON Schema can say that `path` is a text; only a binding can say that it lies inside what was granted.

use bailiwick_capability::{Capability, Grant, Granted, Kind, NetScope, Scope};
use bailiwick_manifest::{Binding, Segment};
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
/// The first value that cannot be read or lies outside. An absent argument is fine: whether it must be there is the
/// schema's question. A value of another shape than the binding expects is not: the plugin might read it leniently.
pub fn check(binding: &Binding, arguments: &Value, grant: &Grant) -> Result<(), BindError> {
    check_below(binding, binding.argument.segments(), arguments, grant)
}

fn check_below(
    binding: &Binding,
    path: &[Segment],
    value: &Value,
    grant: &Grant,
) -> Result<(), BindError> {
    let Some((segment, rest)) = path.split_first() else {
        return check_value(binding, value, grant);
    };
    let each = |inner| check_below(binding, rest, inner, grant);
    match (value, segment) {
        (Value::Null, _) => Ok(()),
        (Value::Object(members), Segment::Member(name)) => {
            if let Some(twin) = members.keys().find(|key| is_twin(key, name)) {
                let why = format!("`{}` is another spelling of it", crate::line(twin));
                return Err(unreadable(binding, &why));
            }
            members.get(name).map_or(Ok(()), each)
        }
        (Value::Object(members), Segment::Each) => members.values().try_for_each(each),
        (Value::Array(items), Segment::Each) => items.iter().try_for_each(each),
        (Value::Array(items), Segment::Member(index)) => match index.parse::<usize>() {
            Ok(index) => items.get(index).map_or(Ok(()), each),
            Err(_) => Err(unreadable(
                binding,
                "a list stands where an object was expected",
            )),
        },
        _ => Err(unreadable(
            binding,
            "a plain value stands where an object or a list was expected",
        )),
    }
}

/// Whether a lenient parser may take `key` for `name`: some ignore the case of names (LESSONS L24).
fn is_twin(key: &str, name: &str) -> bool {
    let fold = |text: &str| -> String {
        let upper = text.chars().flat_map(char::to_uppercase);
        upper.flat_map(char::to_lowercase).collect()
    };
    key != name && fold(key) == fold(name)
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
    let points = points(binding.kind, text)
        .map_err(|error| unreadable(binding, &format!("{}; {}", error.message, error.help)))?;
    let outside = points.into_iter().find(|needed| !match needed.scope() {
        Scope::Net(url) => grant
            .of_kind(binding.kind)
            .any(|atom| url_inside(atom, url)),
        _ => grant.permits(needed),
    });
    outside.map_or(Ok(()), |needed| {
        Err(BindError::Outside {
            argument: binding.argument.to_string(),
            needed: Box::new(needed),
        })
    })
}

fn unreadable(binding: &Binding, why: &str) -> BindError {
    BindError::Unreadable {
        argument: binding.argument.to_string(),
        kind: binding.kind,
        why: why.to_owned(),
    }
}

/// The operations that an argument may mean: all of them must be granted.
fn points(kind: Kind, text: &str) -> Result<Vec<Capability>, ResolveError> {
    match kind {
        Kind::ReadFiles | Kind::WriteFiles => paths(text)?
            .iter()
            .map(|path| resolve_argument(kind, path))
            .collect(),
        Kind::NetworkAccess => {
            // Query and fragment are no part of a scope; methods and patterns are no part of a URL.
            let url = text.split(['?', '#']).next().unwrap_or_default();
            if text.contains(char::is_whitespace) || url.contains('*') {
                return Err(wrong(
                    "it is not one URL",
                    "name a URL without spaces and stars",
                ));
            }
            Ok(vec![Capability::parse_scope(kind, url)?])
        }
        _ if text.contains('*') => Err(wrong("it is a pattern", "name one thing, without a star")),
        _ => Ok(vec![Capability::parse_scope(kind, text)?]),
    }
}

fn wrong(message: &str, help: &str) -> ResolveError {
    ResolveError {
        message: message.to_owned(),
        help: help.to_owned(),
    }
}

/// The paths that a path or a `file:` URL (RFC 8089) may mean: some plugins decode escapes and others do not.
fn paths(text: &str) -> Result<Vec<String>, ResolveError> {
    let scheme = text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("file:"));
    if !scheme {
        return Ok(vec![text.to_owned()]);
    }
    let refuse = || {
        wrong(
            "plugins read this `file:` URL in more than one way",
            "write the plain path",
        )
    };
    let path = text.strip_prefix("file://").ok_or_else(refuse)?;
    if !path.starts_with('/') || path.contains(['?', '#', '\\']) {
        return Err(refuse());
    }
    if !path.contains('%') {
        return Ok(vec![path.to_owned()]);
    }
    let decoded = percent_decoded(path)
        .filter(|decoded| !decoded.contains('%'))
        .ok_or_else(refuse)?;
    Ok(vec![decoded, path.to_owned()])
}

/// Percent-decoded UTF-8 (RFC 3986 §2.1); none for what is not that.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let pair = [bytes.next()?, bytes.next()?];
        let mut value = [0];
        hex::decode_to_slice(pair, &mut value).ok()?;
        out.extend(value);
    }
    String::from_utf8(out).ok()
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

    #[test]
    fn l19_file_urls_mean_one_path_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let root = root.to_str().unwrap();
        std::fs::create_dir(format!("{root}/in")).unwrap();
        std::fs::write(format!("{root}/in/a b"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", format!("{root}/in/etc")).unwrap();
        let grant = grant(&[&format!("read_files:{root}/in/")]);
        let path = binding("path", Kind::ReadFiles);
        let ask = |text: String| check(&path, &json!({ "path": text }), &grant);
        for fine in [
            "file://{}/in/x",
            "file://{}/in/a%20b",
            "{}/in/100%25",
            "{}/in",
        ] {
            assert_eq!(ask(fine.replace("{}", root)), Ok(()), "{fine}");
        }
        for hostile in [
            "file://{}/in/%2e%2e/out",
            "file://{}/in/%2E%2E%2Fout",
            "file://{}/in/%252e%252e/out",
            "file://{}/in/e%74c/passwd",
            "file://{}/in/etc?x",
            "file://{}/in/etc#/passwd",
            "file://{}/in\\..\\out",
            "file://{}/in/a%00b",
            "file://{}/in/%zz",
            "file://{}/in/%ff",
            "file://localhost{}/in/x",
            "FILE://{}/in/x",
            "file:{}/in/x",
            " {}/in/x",
            "{}/in/x\u{0}",
            "{}/in/../out",
            "~/x",
            "",
        ] {
            assert!(ask(hostile.replace("{}", root)).is_err(), "{hostile}");
        }
    }

    #[test]
    fn l24_another_spelling_of_a_bound_name_is_refused() {
        let path = binding("path", Kind::ReadFiles);
        let fine = json!({ "pathology": "x" });
        assert_eq!(check(&path, &fine, &grant(&[])), Ok(()));
        for name in ["Path", "PATH", "pAth"] {
            assert!(
                check(&path, &json!({ name: "/etc/passwd" }), &grant(&[])).is_err(),
                "{name}"
            );
        }
        let params = binding("params", Kind::ReadFiles);
        let long_s = json!({ "param\u{17f}": "/etc/passwd" });
        assert!(
            check(&params, &long_s, &grant(&[])).is_err(),
            "U+017F folds to s"
        );
    }

    #[test]
    fn another_shape_than_the_binding_expects_is_refused() {
        let edits = binding("/edits/*/path", Kind::ReadFiles);
        let grant = grant(&["read_files:/usr/"]);
        let ask =
            |edits_value: Value| check(&edits, &json!({ "edits": edits_value }), &grant).is_ok();
        assert!(ask(json!([{"path": "/usr/lib"}, {"other": 1}])));
        assert!(ask(json!([])) && ask(Value::Null));
        assert!(!ask(json!([{"path": "/usr/lib"}, {"path": "/etc/passwd"}])));
        assert!(!ask(json!({"path": "/etc/passwd"})), "an object for a list");
        assert!(!ask(json!(["/etc/passwd"])), "a text for an object");
        assert!(!ask(json!("/etc/passwd")) && !ask(json!(7)) && !ask(json!([[{"path": 3}]])));
        assert!(!ask(json!([{"Path": "/etc/passwd"}])));
        assert!(!ask(json!([{"path": {"toString": "/etc/passwd"}}])));
    }

    #[test]
    fn a_point_is_no_pattern() {
        let url = binding("url", Kind::NetworkAccess);
        let hosts = grant(&["network_access:https://*.example.com"]);
        let ask = |text: &str| check(&url, &json!({ "url": text }), &hosts).is_ok();
        assert!(ask("https://a.example.com/x?y=*"));
        for hostile in [
            "https://*.example.com/",
            "https://a.example.com/x DELETE",
            "https://a.example.com/\thttps://evil.example",
            "https://a.example.com\\@evil.example/",
            "https://a.b.example.com/",
            "https://a.example.com:8443/",
            "HTTPS://evil.example/",
            "//a.example.com/",
        ] {
            assert!(!ask(hostile), "{hostile}");
        }
        let name = binding("name", Kind::ReadEnvironment);
        let names = grant(&["read_environment:APP_*"]);
        assert_eq!(check(&name, &json!({ "name": "APP_X" }), &names), Ok(()));
        assert!(check(&name, &json!({ "name": "APP_*" }), &names).is_err());
    }
}
