//! Templates, and the links that make policies of them.
//!
//! A link is written as Cedar's own command line does: `[{"template_id": "…", "link_id": "…", "args":
//! {"?principal": "User::\"alice\""}}]`. A linked policy is made by writing the values where the slots stand, so that
//! everything after it knows only plain policies.

use std::collections::BTreeMap;

use cedar_policy::{EntityUid, Policy, PolicyId, Template};
use serde_json::{Value, json};

use crate::error::Problem;
use crate::source::PolicySource;

/// One link, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The source that it stands in.
    pub(crate) source: String,
    pub(crate) template: String,
    pub(crate) id: String,
    /// By slot: `?principal`, `?resource`.
    values: BTreeMap<String, EntityUid>,
}

/// Reads a source of links.
pub(crate) fn read(source: &PolicySource) -> Result<Vec<Link>, Problem> {
    let refused = |what: String| {
        let mend = "write [{\"template_id\": \"…\", \"link_id\": \"…\", \"args\": {\"?principal\": \"User::\\\"alice\\\"\"}}]";
        Problem::of(&source.name, what, mend)
    };
    let all: Value =
        serde_json::from_str(&source.text).map_err(|e| refused(format!("it is no JSON: {e}")))?;
    let all = all
        .as_array()
        .ok_or_else(|| refused("it is no list of links".to_owned()))?;
    all.iter()
        .map(|link| {
            let fields = link
                .as_object()
                .ok_or_else(|| refused("a link is no object".to_owned()))?;
            let known = ["template_id", "link_id", "args"];
            if let Some(odd) = fields.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(refused(format!("a link has no `{}`", odd.escape_debug())));
            }
            let text = |name: &str| {
                let found = fields.get(name).and_then(Value::as_str);
                let found =
                    found.filter(|text| !text.is_empty() && !text.contains(char::is_control));
                found
                    .map(str::to_owned)
                    .ok_or_else(|| refused(format!("a link has no `{name}`")))
            };
            let args = fields.get("args").and_then(Value::as_object);
            let values = args
                .into_iter()
                .flatten()
                .map(|(slot, value)| {
                    let uid = value.as_str().and_then(|text| text.parse().ok());
                    let uid = uid.ok_or_else(|| refused(format!("{value} is no entity")))?;
                    Ok((slot.clone(), uid))
                })
                .collect::<Result<_, Problem>>()?;
            Ok(Link {
                source: source.name.clone(),
                template: text("template_id")?,
                id: text("link_id")?,
                values,
            })
        })
        .collect()
}

/// The policy that a link makes of its template.
pub(crate) fn fill(template: &Template, link: &Link) -> Result<Policy, Problem> {
    let refused = |what: String, mend: &str| Problem::of(&link.source, what, mend);
    let shown = link.id.escape_debug();
    let mut tree = template
        .to_json()
        .map_err(|e| refused(e.to_string(), "report this"))?;
    let mut used = 0;
    for scope in ["principal", "resource"] {
        let Some(scope) = tree.get_mut(scope).and_then(Value::as_object_mut) else {
            continue;
        };
        // `is T in ?slot` keeps it one level deeper.
        let scope = match scope.contains_key("in") {
            true => match scope.get_mut("in").and_then(Value::as_object_mut) {
                Some(inner) => inner,
                None => continue,
            },
            false => scope,
        };
        let Some(slot) = scope.get("slot").and_then(Value::as_str) else {
            continue;
        };
        let value = link.values.get(slot).ok_or_else(|| {
            let what = format!("the link `{shown}` gives nothing for `{slot}`");
            refused(what, "add it to `args`")
        })?;
        let entity = json!({ "type": value.type_name().to_string(), "id": value.id().unescaped() });
        scope.remove("slot");
        scope.insert("entity".to_owned(), entity);
        used += 1;
    }
    if used != link.values.len() {
        let what = format!("the link `{shown}` gives a value for a slot that there is not");
        return Err(refused(what, "leave it out of `args`"));
    }
    if let Some(annotations) = tree.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.insert("id".to_owned(), Value::String(link.id.clone()));
    }
    let mend = "compare it with the template";
    Policy::from_json(Some(PolicyId::new(&link.id)), tree).map_err(|e| refused(e.to_string(), mend))
}
