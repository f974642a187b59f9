//! The report as OSCAL assessment results in JSON.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::assess::{Assessed, Assessment};
use crate::evidence::Example;
use crate::words;

/// The version of OSCAL that is written.
pub const OSCAL_VERSION: &str = "1.2.3";
/// The namespace of our properties and identifiers.
const NAMESPACE: &str = "https://github.com/bailiwick-dev/bailiwick/ns/oscal";

/// The report as an OSCAL assessment-results document. Identifiers are of version 5, from what they identify.
#[must_use]
pub fn oscal(assessment: &Assessment) -> Value {
    let id = Ids::new(assessment);
    let plan = id.of("plan");
    let resource = json!({
        "uuid": plan,
        "title": "Assessment by the gate itself",
        "description": words::NATURE,
    });
    json!({ "assessment-results": {
        "uuid": id.of("results"),
        "metadata": {
            "title": words::title(assessment),
            // The same log gives the same document, so it bears no time of its making.
            "last-modified": assessment.period.to,
            "version": env!("CARGO_PKG_VERSION"),
            "oscal-version": OSCAL_VERSION,
            "remarks": words::period(assessment),
        },
        "import-ap": { "href": format!("#{plan}") },
        "results": [result(assessment, &id)],
        "back-matter": { "resources": [resource] },
    }})
}

struct Ids(Uuid);

impl Ids {
    /// Identifiers below what tells this report from others: framework, period, and the state of each log.
    fn new(assessment: &Assessment) -> Self {
        let mut name = format!(
            "{}\n{}\n{}\n{}",
            assessment.framework.id,
            assessment.framework.version,
            assessment.period.from,
            assessment.period.to
        );
        for log in &assessment.evidence.logs {
            name.push_str(&format!(
                "\n{}\n{}\n{}",
                log.origin, log.verdict, log.entries
            ));
        }
        let root = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE.as_bytes());
        Self(Uuid::new_v5(&root, name.as_bytes()))
    }

    fn of(&self, name: &str) -> String {
        Uuid::new_v5(&self.0, name.as_bytes())
            .hyphenated()
            .to_string()
    }
}

fn result(assessment: &Assessment, id: &Ids) -> Value {
    let controls = assessment.controls();
    let included: Vec<Value> = controls
        .iter()
        .map(|assessed| json!({ "control-id": control_id(assessed) }))
        .collect();
    let observations: Vec<Value> = controls
        .iter()
        .map(|assessed| observation(assessment, assessed, id))
        .collect();
    let findings: Vec<Value> = controls
        .iter()
        .map(|assessed| finding(assessment, assessed, id))
        .collect();
    let mut remarks: Vec<String> = Vec::new();
    if !assessment.is_sound() {
        remarks.push(words::UNSOUND.to_owned());
    }
    for (number, log) in assessment.evidence.logs.iter().enumerate() {
        remarks.push(inline(&words::log(number, log)));
        remarks.extend(log.wrong.iter().map(|wrong| inline(wrong)));
    }
    json!({
        "uuid": id.of("result"),
        "title": words::title(assessment),
        "description": inline(&words::entries(assessment)),
        "start": assessment.period.from,
        "end": assessment.period.to,
        "props": [property("log-verifies", &assessment.is_sound().to_string())],
        "reviewed-controls": { "control-selections": [{ "include-controls": included }] },
        "observations": observations,
        "findings": findings,
        "remarks": remarks.join("\n\n"),
    })
}

fn observation(assessment: &Assessment, assessed: &Assessed<'_>, id: &Ids) -> Value {
    let control = assessed.control;
    let mut props = vec![property("entries", &assessed.count.to_string())];
    props.extend(assessed.by_kind.iter().map(|(kind, count)| {
        property(
            &format!("entries-{}", kind.replace('_', "-")),
            &count.to_string(),
        )
    }));
    let mut observation = json!({
        "uuid": id.of(&format!("observation {}", control.id)),
        "title": format!("{} {}", control.id, control.title),
        "description": words::evidence(assessed),
        "props": props,
        "methods": ["EXAMINE"],
        "collected": assessment.period.to,
    });
    let evidence: Vec<Value> = assessed
        .examples
        .iter()
        .map(|example| relevant(example))
        .collect();
    if let Some(observation) = observation.as_object_mut() {
        put_list(observation, "relevant-evidence", evidence);
        if control.unused_grants {
            let (text, unused) = words::unused(assessment);
            let lines = unused
                .iter()
                .map(|(grant, why)| inline(&format!("{grant}: {why}")));
            let all: Vec<String> = std::iter::once(text).chain(lines).collect();
            observation.insert("remarks".to_owned(), json!(all.join("\n\n")));
        }
    }
    observation
}

/// OSCAL's lists are not empty: they are there or not.
fn put_list(object: &mut Map<String, Value>, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        object.insert(name.to_owned(), json!(list));
    }
}

fn relevant(example: &Example) -> Value {
    let mut evidence = json!({
        "description": inline(&example.summary),
        "props": [
            property("log", &example.log.to_string()),
            property("entry", &example.index.to_string()),
            property("leaf-hash", &example.leaf),
        ],
    });
    if let (Some(evidence), Some(proof)) = (evidence.as_object_mut(), &example.proof) {
        evidence.insert("href".to_owned(), json!(proof));
    }
    evidence
}

fn finding(assessment: &Assessment, assessed: &Assessed<'_>, id: &Ids) -> Value {
    let control = assessed.control;
    let (state, reason, remarks) = match (assessment.is_sound(), assessed.count) {
        (false, _) => ("not-satisfied", "fail", words::UNSOUND),
        (true, 0) => (
            "not-satisfied",
            "other",
            "The log shows nothing for this control in this period.",
        ),
        (true, _) => (
            "satisfied",
            "pass",
            "For the part that the gate covers; the finding's remarks say what is not covered.",
        ),
    };
    let missing: Vec<String> = control
        .missing
        .iter()
        .map(|missing| format!("- {missing}"))
        .collect();
    json!({
        "uuid": id.of(&format!("finding {}", control.id)),
        "title": format!("{} {}", control.id, control.title),
        "description": format!("Asks: {}\n\nMet by: {}", control.asks, control.meets),
        "target": {
            "type": "objective-id",
            "target-id": control_id(assessed),
            "status": { "state": state, "reason": reason, "remarks": remarks },
        },
        "related-observations": [{ "observation-uuid": id.of(&format!("observation {}", control.id)) }],
        "remarks": format!("Not covered:\n\n{}", missing.join("\n")),
    })
}

fn control_id(assessed: &Assessed<'_>) -> String {
    assessed.control.id.to_lowercase()
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "ns": NAMESPACE, "value": value })
}

/// OSCAL's markup is Markdown in which HTML may stand: text from the log gets its marks escaped.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '{' | '}' | '"' | '\'' | '^' | '~' | '!' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
