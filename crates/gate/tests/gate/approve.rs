//! People say yes or no to calls; nobody else does, and nothing happens before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_approval::{Answer, Answered, Choice, Desk, Question, Verdict};
use bailiwick_audit::{Event, Outcome};
use bailiwick_gate::approve::{Approvals, Approver, Standing};
use bailiwick_gate::{GateError, Session};
use bailiwick_mcp::CallToolResult;
use bailiwick_token::{Approving, Keys, sign_approval};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::house::{House, arguments, refusal};
use crate::puppet::{Strings, native, puppet};

/// Plugins' tools may be called by default, and only a person may say so for this one.
const ASK: &str =
    r#"@id("no-send") forbid (principal, action == Action::"call", resource == Tool::"p/drop");"#;

/// Remembers what it was to keep, or fails.
#[derive(Default)]
struct Keeper {
    kept: Mutex<Vec<(Choice, String)>>,
    fails: AtomicBool,
}

impl Standing for Keeper {
    fn keep(&self, _: &Question, choice: Choice, by: &str) -> Result<(), String> {
        if self.fails.load(Ordering::SeqCst) {
            return Err("the disk is full".to_owned());
        }
        self.kept.lock().unwrap().push((choice, by.to_owned()));
        Ok(())
    }
}

struct Stage {
    house: House,
    strings: Arc<Strings>,
    session: Arc<Session>,
    people: Vec<Keys>,
    desk: Arc<Desk>,
}

/// A plugin `p` whose tools need the yes of so many of two people, who have so long.
async fn stage(ask: &str, patience: Duration) -> Stage {
    stage_of(&["send", "other", "drop"], ask, patience).await
}

async fn stage_of(tools: &[&str], ask: &str, patience: Duration) -> Stage {
    stage_with(tools, ask, patience, None).await
}

async fn stage_with(
    tools: &[&str],
    ask: &str,
    patience: Duration,
    standing: Option<Arc<dyn Standing>>,
) -> Stage {
    let (builder, strings) = puppet(tools);
    let policy = format!(
        "{ASK}\n@id(\"mail\") {ask} @reason(\"Mail leaves the house.\")\npermit (principal, action == Action::\"call\", resource);"
    );
    let mut house = House::with(&policy, Some(builder));
    let people = vec![Keys::generate(), Keys::generate()];
    let named = ["ann", "bob"].into_iter().zip(&people);
    let approvals = Approvals {
        desk: Arc::default(),
        approvers: named
            .map(|(name, keys)| Approver {
                name: name.to_owned(),
                key: keys.public(),
            })
            .collect(),
        client: None,
        patience,
        standing,
    };
    let desk = approvals.desk.clone();
    Arc::get_mut(&mut house.host).unwrap().approvals = approvals;
    let session = Arc::new(house.open(vec![native("p", "")]).await);
    Stage {
        house,
        strings,
        session,
        people,
        desk,
    }
}

const LONG: Duration = Duration::from_secs(600);

impl Stage {
    fn call(&self, tool: &str, value: Value) -> JoinHandle<Result<CallToolResult, GateError>> {
        let session = self.session.clone();
        let tool = format!("p__{tool}");
        tokio::spawn(async move {
            let cancel = CancellationToken::new();
            session.call(&tool, arguments(value), None, &cancel).await
        })
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

    fn signed(&self, question: &Question, choice: Choice, by: usize) -> Answer {
        sign(question, choice, &self.people[by])
    }

    async fn answer(&self, question: &Question, answer: Answer) -> Result<Verdict, Answered> {
        self.desk.answer(&question.id, answer, "uid 1000").await
    }

    /// Calls, and has the first person answer.
    async fn answered(&self, tool: &str, value: Value, choice: Choice) -> CallToolResult {
        let call = self.call(tool, value);
        let question = self.question().await;
        let answer = self.signed(&question, choice, 0);
        assert_eq!(self.answer(&question, answer).await, Ok(Verdict::Settled));
        call.await.unwrap().unwrap()
    }

    /// Calls, and expects that nobody is asked.
    async fn unasked(&self, tool: &str) -> CallToolResult {
        let result = self.call(tool, json!({})).await.unwrap().unwrap();
        assert!(self.desk.waiting().is_empty());
        result
    }

    fn answers(&self) -> Vec<(Outcome, String, String)> {
        let told = |event| match event {
            Event::Approval {
                outcome,
                approver,
                duration,
                ..
            } => (outcome, approver, duration),
            other => panic!("{other:?}"),
        };
        self.house
            .events("approval")
            .into_iter()
            .map(told)
            .collect()
    }
}

fn sign(question: &Question, choice: Choice, keys: &Keys) -> Answer {
    let approving = Approving {
        call: question.statement(choice),
        ..Approving::default()
    };
    let request = STANDARD.decode(&question.request).unwrap();
    let signed = sign_approval(keys, &request, &approving).unwrap();
    Answer {
        choice,
        signed: choice.is_yes().then(|| STANDARD.encode(signed)),
    }
}

fn code(result: &CallToolResult) -> Value {
    refusal(result)["code"].clone()
}

#[tokio::test]
async fn a_yes_once_is_for_one_call() {
    let stage = stage("@ask", LONG).await;
    assert_eq!(
        stage.session.tools().await.unwrap().len(),
        2,
        "what can be asked for is shown"
    );
    let call = stage.call("send", json!({"to": "bob\u{202e}"}));
    let question = stage.question().await;
    assert_eq!(
        stage.strings.seen(),
        ["start"],
        "nothing happens before the answer"
    );
    assert_eq!(
        (question.plugin.as_str(), question.user.as_str()),
        ("p", "ann")
    );
    assert_eq!(question.agent, "tester 1.0");
    assert_eq!(question.policies, ["mail"]);
    assert!(question.reasons[0].contains("Mail leaves the house."));
    let shown = serde_json::to_string(&question).unwrap();
    assert!(shown.contains("bob") && shown.contains("u{202e}") && !shown.contains('\u{202e}'));
    let answer = stage.signed(&question, Choice::Once, 0);
    assert_eq!(
        stage.answer(&question, answer.clone()).await,
        Ok(Verdict::Settled)
    );
    assert!(!call.await.unwrap().unwrap().is_error);
    assert_eq!(
        stage.answers(),
        [(Outcome::Grant, "ann".to_owned(), "once".to_owned())]
    );
    let again = stage.call("send", json!({"to": "bob\u{202e}"}));
    let question = stage.question().await;
    let replayed = stage.answer(&question, answer).await.unwrap();
    assert!(
        matches!(replayed, Verdict::Refused(_)),
        "a yes is no second one"
    );
    again.abort();
    assert_eq!(stage.strings.seen(), ["start", "send"]);
}

#[tokio::test]
async fn a_yes_for_the_session_is_for_the_tool() {
    let stage = stage("@ask", LONG).await;
    let result = stage
        .answered("send", json!({"to": "a"}), Choice::Session)
        .await;
    assert!(!result.is_error);
    assert!(!stage.unasked("send").await.is_error);
    let other = stage.answered("other", json!({}), Choice::Once).await;
    assert!(!other.is_error);
    assert!(
        !stage.unasked("send").await.is_error,
        "a yes to something else takes none back"
    );
    assert_eq!(
        code(&stage.unasked("drop").await),
        "policy_denied",
        "a forbid is never asked about"
    );
    assert_eq!(
        stage.strings.seen(),
        ["start", "send", "send", "other", "send"]
    );
}

#[tokio::test]
async fn a_no_refuses_and_rests() {
    let stage = stage("@ask", LONG).await;
    let result = stage.answered("send", json!({}), Choice::No).await;
    assert_eq!(code(&result), "approval_needed");
    assert_eq!(
        code(&stage.unasked("send").await),
        "approval_needed",
        "it is not asked again at once"
    );
    stage.house.clock.pass(61);
    let result = stage.answered("send", json!({}), Choice::Once).await;
    assert!(!result.is_error);
    assert_eq!(stage.strings.seen(), ["start", "send"]);
    let expected = [(Outcome::Deny, "uid 1000"), (Outcome::Grant, "ann")];
    let answers = stage.answers();
    let seen = answers
        .iter()
        .map(|(outcome, who, _)| (*outcome, who.as_str()));
    assert!(seen.eq(expected), "{answers:?}");
}

#[tokio::test]
async fn no_answer_is_a_no() {
    let stage = stage("@ask", Duration::from_millis(50)).await;
    let result = stage.unasked("send").await;
    assert_eq!(code(&result), "approval_needed");
    let remedy = refusal(&result)["remedy"].as_str().unwrap().to_owned();
    assert!(remedy.contains("bailiwick approvals"));
    assert_eq!(
        stage.answers(),
        [(Outcome::Deny, "nobody".to_owned(), "once".to_owned())]
    );
    assert_eq!(stage.strings.seen(), ["start"]);
}

#[tokio::test]
async fn only_a_yes_of_an_approver_to_this_very_question_counts() {
    let stage = stage("@ask", LONG).await;
    let call = stage.call("send", json!({"to": "a"}));
    let question = stage.question().await;
    let mut other = question.clone();
    other.id.push('0');
    let mut widened = question.clone();
    widened.policies.clear();
    let unsigned = Answer {
        choice: Choice::Once,
        signed: None,
    };
    let nonsense = Answer {
        choice: Choice::Once,
        signed: Some("AAAA".to_owned()),
    };
    let once_as_session = Answer {
        choice: Choice::Session,
        ..stage.signed(&question, Choice::Once, 0)
    };
    let session_as_once = Answer {
        choice: Choice::Once,
        ..stage.signed(&question, Choice::Session, 0)
    };
    for (what, answer) in [
        (
            "a stranger",
            sign(&question, Choice::Once, &Keys::generate()),
        ),
        (
            "another question",
            sign(&other, Choice::Once, &stage.people[0]),
        ),
        (
            "other policies",
            sign(&widened, Choice::Session, &stage.people[0]),
        ),
        ("no signature", unsigned),
        ("nonsense", nonsense),
        ("more than was signed", once_as_session),
        ("less than was signed", session_as_once),
        (
            "for ever, where that cannot be kept",
            stage.signed(&question, Choice::Ever, 0),
        ),
        (
            "never, where that cannot be kept",
            stage.signed(&question, Choice::Never, 0),
        ),
    ] {
        let verdict = stage.answer(&question, answer).await.unwrap();
        assert!(
            matches!(verdict, Verdict::Refused(_)),
            "{what}: {verdict:?}"
        );
    }
    assert_eq!(stage.desk.waiting().len(), 1, "it waits on");
    assert!(stage.answers().is_empty());
    assert_eq!(stage.strings.seen(), ["start"]);
    call.abort();
}

#[tokio::test]
async fn two_people_are_two_people() {
    let stage = stage("@ask(\"2 people\")", LONG).await;
    let call = stage.call("send", json!({}));
    let question = stage.question().await;
    assert_eq!(question.people, 2);
    let first = stage.signed(&question, Choice::Session, 0);
    assert_eq!(stage.answer(&question, first).await, Ok(Verdict::More(1)));
    let question = stage.question().await;
    assert_eq!(question.given, ["ann"]);
    let twice = stage.signed(&question, Choice::Once, 0);
    let twice = stage.answer(&question, twice).await.unwrap();
    assert!(matches!(twice, Verdict::Refused(_)), "one person is no two");
    let second = stage.signed(&question, Choice::Once, 1);
    assert_eq!(stage.answer(&question, second).await, Ok(Verdict::Settled));
    assert!(!call.await.unwrap().unwrap().is_error);
    let outcomes: Vec<_> = stage
        .answers()
        .into_iter()
        .map(|one| (one.0, one.1))
        .collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::Partial, "ann".to_owned()),
            (Outcome::Grant, "bob".to_owned())
        ]
    );
    let again = stage.call("send", json!({}));
    stage.question().await;
    again.abort();
    assert_eq!(
        stage.strings.seen(),
        ["start", "send"],
        "only one of them meant the session"
    );
}

#[tokio::test]
async fn a_call_that_is_withdrawn_takes_its_question_back() {
    let stage = stage("@ask", LONG).await;
    let cancel = CancellationToken::new();
    let work = stage
        .session
        .call("p__send", arguments(json!({})), None, &cancel);
    let (result, question) = tokio::join!(work, async {
        let question = stage.question().await;
        cancel.cancel();
        question
    });
    assert_eq!(code(&result.unwrap()), "approval_needed");
    let late = stage.signed(&question, Choice::Once, 0);
    assert!(stage.answer(&question, late).await.is_err());
    assert_eq!(stage.strings.seen(), ["start"]);
}

#[tokio::test]
async fn what_was_revoked_meanwhile_is_not_approved() {
    let stage = stage("@ask", LONG).await;
    let call = stage.call("send", json!({}));
    let question = stage.question().await;
    stage.house.revoked.revoke("plugin", "p");
    let answer = stage.signed(&question, Choice::Once, 0);
    assert_eq!(stage.answer(&question, answer).await, Ok(Verdict::Settled));
    assert_eq!(code(&call.await.unwrap().unwrap()), "grant_revoked");
    assert!(!stage.strings.seen().contains(&"send".to_owned()));
}

#[tokio::test]
async fn l31_a_yes_that_cannot_be_recorded_is_none() {
    let stage = stage("@ask", LONG).await;
    let call = stage.call("send", json!({}));
    let question = stage.question().await;
    stage.house.closer()();
    let answer = stage.signed(&question, Choice::Once, 0);
    assert!(
        stage.answer(&question, answer).await.is_err(),
        "nobody is told that it counts"
    );
    assert!(matches!(call.await.unwrap(), Err(GateError::Audit(_))));
    assert_eq!(stage.strings.seen(), ["start"]);
}

#[tokio::test]
async fn a_session_may_be_asked_about_more_tools_than_a_token_has_blocks() {
    let names: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = stage_of(&names, "@ask", LONG).await;
    for (minute, name) in names.iter().enumerate() {
        let result = stage.answered(name, json!({}), Choice::Session).await;
        assert!(!result.is_error, "{name}");
        if minute % 8 == 7 {
            stage.house.clock.pass(61);
        }
    }
    for name in names {
        assert!(!stage.unasked(name).await.is_error, "{name}");
    }
}

async fn kept_at(ask: &str, keeper: &Arc<Keeper>) -> Stage {
    stage_with(&["send"], ask, LONG, Some(keeper.clone())).await
}

#[tokio::test]
async fn an_answer_for_good_is_kept_after_it_is_recorded() {
    let keeper = Arc::new(Keeper::default());
    let stage = kept_at("@ask", &keeper).await;
    assert!(
        !stage
            .answered("send", json!({}), Choice::Ever)
            .await
            .is_error
    );
    assert!(
        !stage.unasked("send").await.is_error,
        "it holds in this session too"
    );
    let stage = kept_at("@ask", &keeper).await;
    let refused = stage.answered("send", json!({}), Choice::Never).await;
    assert_eq!(code(&refused), "approval_needed");
    let kept = keeper.kept.lock().unwrap().clone();
    assert_eq!(
        kept,
        [
            (Choice::Ever, "ann".to_owned()),
            (Choice::Never, "uid 1000".to_owned())
        ]
    );
    let stage = kept_at("@ask", &keeper).await;
    let call = stage.call("send", json!({}));
    let question = stage.question().await;
    stage.house.closer()();
    let answer = stage.signed(&question, Choice::Ever, 0);
    assert!(stage.answer(&question, answer).await.is_err());
    assert!(call.await.unwrap().is_err());
    assert_eq!(
        keeper.kept.lock().unwrap().len(),
        2,
        "nothing is kept that is not recorded"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_holds_for_the_session_and_is_told() {
    let keeper = Arc::new(Keeper::default());
    keeper.fails.store(true, Ordering::SeqCst);
    let stage = kept_at("@ask", &keeper).await;
    let call = stage.call("send", json!({}));
    let question = stage.question().await;
    let answer = stage.signed(&question, Choice::Ever, 0);
    let verdict = stage.answer(&question, answer).await.unwrap();
    assert_eq!(verdict, Verdict::Refused("the disk is full".to_owned()));
    assert!(!call.await.unwrap().unwrap().is_error);
    assert_eq!(stage.house.events("policy_change").len(), 1);
    assert!(!stage.unasked("send").await.is_error);
}

#[tokio::test]
async fn what_two_people_say_lasts_as_long_as_both_said() {
    for (first, second, kept, lasting) in [
        (Choice::Ever, Choice::Ever, 1, true),
        (Choice::Ever, Choice::Session, 0, true),
        (Choice::Session, Choice::Ever, 0, true),
        (Choice::Once, Choice::Ever, 0, false),
    ] {
        let keeper = Arc::new(Keeper::default());
        let stage = kept_at("@ask(\"2 people\")", &keeper).await;
        let call = stage.call("send", json!({}));
        let question = stage.question().await;
        let answer = stage.signed(&question, first, 0);
        assert_eq!(stage.answer(&question, answer).await, Ok(Verdict::More(1)));
        let question = stage.question().await;
        let answer = stage.signed(&question, second, 1);
        assert_eq!(stage.answer(&question, answer).await, Ok(Verdict::Settled));
        assert!(!call.await.unwrap().unwrap().is_error);
        assert_eq!(
            keeper.kept.lock().unwrap().len(),
            kept,
            "{first:?} {second:?}"
        );
        if lasting {
            assert!(!stage.unasked("send").await.is_error);
        } else {
            let again = stage.call("send", json!({}));
            stage.question().await;
            again.abort();
        }
    }
}
