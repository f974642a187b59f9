//! A small world for tests.

use bailiwick_capability::{AbsPath, Capability, Granted};
use bailiwick_policy::{
    Agent, Classification, Context, Decision, Pdp, PluginFacts, PolicyError, PolicySource,
    Principal, User,
};

pub(crate) fn cap(text: &str) -> Capability {
    text.parse().unwrap()
}

pub(crate) fn alice() -> Principal {
    Principal {
        session: "s1".into(),
        user: User {
            name: "alice".into(),
            roles: ["analyst".to_owned()].into(),
            groups: std::collections::BTreeSet::new(),
            department: Some("hr".into()),
        },
        agent: Agent {
            name: "claude".into(),
            version: "1".into(),
        },
        plugin: PluginFacts {
            id: "com.example.files".into(),
            version: "1.2.3".into(),
            digest: "sha256:00".into(),
            publisher: Some("example".into()),
            folder: Some(AbsPath::parse("/plugins/files").unwrap()),
        },
    }
}

pub(crate) fn now() -> Context {
    Context {
        environment: "production".into(),
        now: 1_780_000_000,
        isolation: "jail".into(),
        machine: ["landlock", "landlock-6", "landlock-7", "userns"]
            .map(str::to_owned)
            .into(),
        ..Context::default()
    }
}

pub(crate) fn load(text: &str) -> Result<Pdp, PolicyError> {
    load_with(text, &Classification::default())
}

pub(crate) fn load_with(text: &str, classification: &Classification) -> Result<Pdp, PolicyError> {
    Pdp::load(&[PolicySource::new("test.cedar", text)], classification)
}

pub(crate) fn decide(pdp: &Pdp, asked: &str) -> Decision {
    pdp.decide(&alice(), &now(), &cap(asked))
}

/// What is granted now, as texts.
pub(crate) fn granted(pdp: &Pdp, asked: &str) -> Vec<String> {
    texts(decide(pdp, asked).granted())
}

pub(crate) fn texts(atoms: &[Granted]) -> Vec<String> {
    atoms.iter().map(ToString::to_string).collect()
}
