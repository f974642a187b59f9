//! Capabilities that policy asks a person about: the plugin goes without until somebody says yes.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_approval::{About, Choice, Desk, Question, Verdict};
use bailiwick_audit::Event;
use bailiwick_gate::approve::{Approvals, Approver, signed};
use bailiwick_gate::{Gate, Notes};
use bailiwick_mcp::{CallOutcome, Handler as _, Implementation, Peer, Revision, ToolCall};
use bailiwick_token::Keys;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::house::{House, READER, arguments};

const ASK: &str = "@id(\"docs\") @ask @reason(\"May it read?\")\n\
    permit (principal, action == Action::\"read_files\", resource in Dir::\"{data}\");";

struct Stage {
    /// Outside the plugin's own folder, which it may read anyway.
    data: tempfile::TempDir,
    house: House,
    gate: Gate,
    desk: Arc<Desk>,
    ann: Keys,
}

fn stage(policy: &str, manifest: &str) -> Stage {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("note.txt"), "one two three").unwrap();
    let place = data.path().canonicalize().unwrap();
    let (policy, manifest) = [policy, manifest]
        .map(|text| {
            text.replace("{docs}", "{data}")
                .replace("{data}", place.to_str().unwrap())
        })
        .into();
    let mut house = House::new(&policy);
    let ann = Keys::generate();
    let approvals = Approvals {
        approvers: vec![Approver {
            name: "ann".to_owned(),
            key: ann.public(),
        }],
        patience: Duration::from_secs(600),
        ..Approvals::nobody()
    };
    let desk = approvals.desk.clone();
    Arc::get_mut(&mut house.host).unwrap().approvals = approvals;
    let quiet: Notes = Arc::new(|_, _| {});
    let gate = Gate::new(
        house.host.clone(),
        vec![house.notebook(&manifest)],
        true,
        quiet,
    );
    Stage {
        data,
        house,
        gate,
        desk,
        ann,
    }
}

fn peer() -> Peer {
    Peer {
        revision: Revision::LEGACY,
        client: Some(Implementation::new("tester", "1.0")),
        capabilities: serde_json::Map::new(),
    }
}

impl Stage {
    fn data(&self) -> String {
        self.data
            .path()
            .canonicalize()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    async fn tools(&self) -> Vec<String> {
        let tools = self.gate.list_tools(&peer()).await.unwrap();
        tools.into_iter().map(|tool| tool.name).collect()
    }

    async fn question(&self) -> Question {
        let mut changes = self.desk.changes();
        loop {
            if let Some(question) = self.desk.waiting().pop() {
                return question;
            }
            changes.changed().await.unwrap();
        }
    }

    async fn answer(&self, question: &Question, choice: Choice, keys: &Keys) -> Verdict {
        let answer = signed(question, choice, keys).unwrap();
        self.desk
            .answer(&question.id, answer, "uid 1000")
            .await
            .unwrap()
    }

    async fn reads(&self, note: &str) -> bool {
        let arguments = arguments(json!({ "path": format!("{}/{note}", self.data()) }));
        let call = ToolCall::new("notebook__read-note", arguments);
        let cancel = CancellationToken::new();
        match self.gate.call_tool(&peer(), call, cancel).await.unwrap() {
            CallOutcome::Complete(result) => !result.is_error,
            CallOutcome::InputRequired(_) => false,
        }
    }

    /// Waits until the list of tools was announced to have changed.
    async fn has_tool(&self) {
        for _ in 0..1000 {
            if !self.tools().await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the plugin did not start");
    }
}

#[tokio::test]
async fn a_plugin_is_started_with_what_a_person_approved() {
    let stage = stage(ASK, READER);
    assert!(
        stage.tools().await.is_empty(),
        "it is refused until then, and nobody waits"
    );
    let question = stage.question().await;
    let About::Atoms(atoms) = &question.about else {
        panic!("{question:?}")
    };
    assert_eq!(*atoms, [format!("read_files:{}/", stage.data())]);
    assert!(question.reasons[0].contains("May it read?"));
    let stranger = stage
        .answer(&question, Choice::Session, &Keys::generate())
        .await;
    assert!(matches!(stranger, Verdict::Refused(_)));
    let mut less = question.clone();
    less.about = About::Atoms(vec![format!("{}note.txt", atoms[0])]);
    let narrower = stage.answer(&less, Choice::Session, &stage.ann).await;
    assert!(
        matches!(narrower, Verdict::Refused(_)),
        "a yes to something else is none to this"
    );
    assert_eq!(stage.house.steps.counts(), [0, 0, 0]);
    assert_eq!(
        stage.answer(&question, Choice::Session, &stage.ann).await,
        Verdict::Settled
    );
    stage.has_tool().await;
    assert!(stage.reads("note.txt").await);
    assert!(
        !stage.reads("../key").await,
        "it got no more than was approved"
    );
    let kinds = stage.house.kinds();
    let at = |kind: &str| kinds.iter().rposition(|other| *other == kind).unwrap();
    assert!(at("approval") < at("token_minted") && at("token_minted") < at("plugin_start"));
    let granted = stage.house.events("token_minted");
    let [Event::TokenMinted { grant, .. }] = granted.as_slice() else {
        panic!("{granted:?}")
    };
    assert_eq!(grant, atoms);
}

#[tokio::test]
async fn a_no_leaves_the_plugin_without() {
    let stage = stage(ASK, READER);
    assert!(stage.tools().await.is_empty());
    let question = stage.question().await;
    assert_eq!(
        stage.answer(&question, Choice::No, &stage.ann).await,
        Verdict::Settled
    );
    assert!(stage.tools().await.is_empty());
    assert_eq!(stage.house.steps.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn a_plugin_that_runs_reduced_is_replaced_by_one_with_more() {
    let optional = READER
        .replace("required_capabilities", "optional_capabilities")
        .replace(
            "tools: {read-note: {needs: [read_files], arguments: {path: read_files}}}",
            "",
        );
    let stage = stage(ASK, &optional);
    assert!(!stage.tools().await.is_empty(), "it runs without");
    assert!(!stage.reads("note.txt").await);
    let question = stage.question().await;
    assert_eq!(
        stage.answer(&question, Choice::Once, &stage.ann).await,
        Verdict::Settled
    );
    for _ in 0..1000 {
        if stage.reads("note.txt").await {
            assert_eq!(
                stage.house.events("plugin_end").len(),
                1,
                "the first one ended"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the plugin was not replaced");
}

#[tokio::test]
async fn nobody_is_asked_for_what_would_not_help_or_is_forbidden() {
    let forbidden = format!(
        "{ASK} @id(\"no\") forbid (principal, action == Action::\"read_files\", resource);"
    );
    let stage = stage(&forbidden, READER);
    assert!(stage.tools().await.is_empty());
    assert!(stage.desk.waiting().is_empty());
    let more = READER.replace(
        "['read_files:{docs}/']",
        "['read_files:{docs}/', 'use_secret:x']",
    );
    let stage = self::stage(ASK, &more);
    assert!(stage.tools().await.is_empty());
    assert!(
        stage.desk.waiting().is_empty(),
        "the secret is missing whatever a person says"
    );
}
