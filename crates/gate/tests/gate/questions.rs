//! What becomes of questions to people is on record, also where no answer counts.

use std::sync::Arc;

use bailiwick_approval::{Answer, Choice, Desk, Verdict};
use bailiwick_audit::{Event, QuestionState};
use bailiwick_gate::Session;
use bailiwick_gate::approve::{Approvals, Approver, signed};
use bailiwick_token::Keys;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::house::{House, arguments, refusal};
use crate::puppet::{native, puppet};

const ASK: &str =
    "@id(\"mail\") @ask(\"2 people\") permit (principal, action == Action::\"call\", resource);";

struct Asked {
    house: House,
    session: Arc<Session>,
    people: Vec<Keys>,
    desk: Arc<Desk>,
}

impl Asked {
    async fn new(approvers: usize) -> Self {
        let (builder, _) = puppet(&["send"]);
        let mut house = House::with(ASK, Some(builder));
        let people: Vec<Keys> = (0..approvers).map(|_| Keys::generate()).collect();
        let named = people.iter().zip(["ann", "bob"]);
        let approvers = named.map(|(keys, name)| Approver {
            name: name.to_owned(),
            key: keys.public(),
        });
        let desk: Arc<Desk> = Arc::default();
        Arc::get_mut(&mut house.host).unwrap().approvals = Approvals {
            desk: desk.clone(),
            approvers: approvers.collect(),
            patience: std::time::Duration::from_secs(600),
            ..Approvals::nobody()
        };
        let session = Arc::new(house.open(vec![native("p", "")]).await);
        Self {
            house,
            session,
            people,
            desk,
        }
    }

    async fn call(&self, cancel: &CancellationToken) -> String {
        let call = self
            .session
            .call("p__send", arguments(json!({})), None, cancel);
        refusal(&call.await.unwrap())["code"].to_string()
    }

    fn told(&self) -> Vec<(QuestionState, Option<String>)> {
        let events = self.house.events("question").into_iter();
        let told = events.map(|event| match event {
            Event::Question {
                state, by, asked, ..
            } => {
                assert_eq!(asked[0], "call_tool:send");
                (state, by)
            }
            other => panic!("{other:?}"),
        });
        told.collect()
    }
}

#[tokio::test]
async fn answers_that_do_not_count_and_questions_that_are_withdrawn_are_on_record() {
    let asked = Asked::new(2).await;
    let cancel = CancellationToken::new();
    let (code, ()) = tokio::join!(asked.call(&cancel), async {
        let mut changes = asked.desk.changes();
        while asked.desk.waiting().is_empty() {
            changes.changed().await.unwrap();
        }
        assert_eq!(
            asked.told(),
            [(QuestionState::Put, None)],
            "it was recorded before anybody saw it"
        );
        let question = asked.desk.waiting().remove(0);
        let answer = |answer: Answer| asked.desk.answer(&question.id, answer, "uid 7");
        let stranger = signed(&question, Choice::Once, &Keys::generate()).unwrap();
        let first = signed(&question, Choice::Once, &asked.people[0]).unwrap();
        let nonsense = Answer {
            choice: Choice::Once,
            signed: Some("AAAA".to_owned()),
        };
        for wrong in [stranger, nonsense] {
            assert!(matches!(answer(wrong).await, Ok(Verdict::Refused(_))));
        }
        assert_eq!(answer(first).await, Ok(Verdict::More(1)));
        let grown = asked.desk.waiting().remove(0);
        let again = signed(&grown, Choice::Once, &asked.people[0]).unwrap();
        assert!(matches!(answer(again).await, Ok(Verdict::Refused(_))));
        cancel.cancel();
    });
    assert_eq!(code, "\"approval_needed\"");
    let refused = (QuestionState::AnswerRefused, Some("uid 7".to_owned()));
    assert_eq!(
        asked.told(),
        [
            (QuestionState::Put, None),
            refused.clone(),
            refused.clone(),
            refused,
            (QuestionState::Withdrawn, None)
        ]
    );
    assert_eq!(
        asked.house.events("approval").len(),
        1,
        "what counts is an approval"
    );
}

#[tokio::test]
async fn a_question_that_is_not_put_is_on_record() {
    let asked = Asked::new(1).await;
    let cancel = CancellationToken::new();
    asked.call(&cancel).await;
    assert_eq!(asked.told(), [(QuestionState::NotPut, None)]);
    let asked = Asked::new(2).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    while asked.told().len() < 25 {
        asked.call(&cancel).await;
    }
    let told = asked.told();
    let (pairs, rest) = told.split_at(24);
    assert!(
        pairs
            .chunks(2)
            .all(|pair| pair == [(QuestionState::Put, None), (QuestionState::Withdrawn, None)])
    );
    assert_eq!(rest, [(QuestionState::NotPut, None)], "too often");
}

#[tokio::test]
async fn l31_a_question_that_cannot_be_recorded_is_shown_to_nobody() {
    let asked = Asked::new(2).await;
    let changes = asked.desk.changes();
    asked.house.log.close().unwrap();
    let cancel = CancellationToken::new();
    let call = asked
        .session
        .call("p__send", arguments(json!({})), None, &cancel);
    assert!(call.await.is_err());
    // The only change is that its place was given back.
    assert!(asked.desk.waiting().is_empty() && *changes.borrow() <= 1);
}

#[tokio::test]
async fn a_start_has_the_programs_command_line_by_the_rule_for_arguments() {
    let (builder, _) = puppet(&["t"]);
    let house = House::with("", Some(builder));
    let mut source = native("p", "");
    source.manifest = bailiwick_manifest::Manifest::parse(
        "plugin.yaml",
        b"id: p\nversion: 1.0.0\nruntime: {command: [puppet, --token, canary-5d1f]}\n",
    )
    .unwrap();
    house.open(vec![source]).await;
    let Event::PluginStart {
        program, arguments, ..
    } = house.events("plugin_start").remove(0)
    else {
        panic!("no start");
    };
    assert_eq!(program.as_deref(), Some("puppet"));
    let digest = bailiwick_audit::sha256_hex(b"\"canary-5d1f\"");
    assert_eq!(arguments.len(), 2);
    assert_eq!(arguments[1].sha256.as_deref(), Some(digest.as_str()));
    assert_eq!(arguments[1].value, None);
}
