//! Questions at the agent's own client, by MCP's elicitation: a request of ours while the call runs, or, since 2026-07-28,
//! a result that asks and a call that is repeated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bailiwick_approval::{Choice, Question};
use bailiwick_mcp::{CallToolResult, Elicitor, InputRequired, Peer, Revision, RpcError, ToolCall};
use serde_json::{Map, Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::approve::AtClient;

/// The name of our one question in a result that asks.
const NAME: &str = "approval";
/// Calls of one agent that asked and were not repeated yet.
const MAX_HELD: usize = 64;
/// How long the result of a call that ended meanwhile waits to be fetched.
const KEPT: Duration = Duration::from_secs(600);

/// What `elicitation/create` is given.
fn params(question: &Question, revision: Revision) -> Map<String, Value> {
    let names = Choice::ALL.map(Choice::as_str);
    let titles = [
        "Yes, this once",
        "Yes, until the session ends",
        "Yes, from now on",
        "No, this once",
        "No, from now on",
    ];
    let mut params = Map::new();
    if revision >= Revision::V2025_11_25 {
        params.insert("mode".into(), "form".into());
    }
    params.insert("message".into(), question.words().into());
    params.insert(
        "requestedSchema".into(),
        json!({
            "type": "object",
            "required": ["answer"],
            "properties": { "answer": {
                "type": "string", "title": "Your answer", "enum": names, "enumNames": titles,
            } },
        }),
    );
    params
}

/// What the user chose; none where they closed the question, or the client answers something else.
fn choice(result: &Map<String, Value>) -> Option<Choice> {
    match result.get("action")?.as_str()? {
        "decline" => Some(Choice::No),
        "accept" => Choice::parse(result.get("content")?.get("answer")?.as_str()?),
        _ => None,
    }
}

/// A client that can be asked while the call runs.
pub(crate) struct Meanwhile {
    pub(crate) elicitor: Elicitor,
    pub(crate) revision: Revision,
}

#[async_trait]
impl AtClient for Meanwhile {
    async fn ask(&self, question: &Question) -> Option<Choice> {
        let params = params(question, self.revision);
        choice(&self.elicitor.elicit(&params).await.ok()?)
    }
}

/// The first client of this gate that can be asked at any time, once there is one. MCP's older revisions let a server
/// ask whenever it likes; the newest lets it ask only in answer to a call.
pub(crate) struct AtAnyTime(watch::Sender<Option<Arc<Meanwhile>>>);

impl Default for AtAnyTime {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl AtAnyTime {
    pub(crate) fn is_at(&self, client: Meanwhile) {
        let client = Arc::new(client);
        self.0.send_if_modified(|known| match known {
            Some(_) => false,
            None => known.replace(client).is_none(),
        });
    }
}

#[async_trait]
impl AtClient for AtAnyTime {
    async fn ask(&self, question: &Question) -> Option<Choice> {
        let mut known = self.0.subscribe();
        let client = known.wait_for(Option::is_some).await.ok()?.clone()?;
        client.ask(question).await
    }
}

/// A question on its way to a result, with where its answer goes.
type Raised = (Question, oneshot::Sender<Choice>);

/// A client that is asked by a result.
pub(crate) struct ByResult(Mutex<Option<oneshot::Sender<Raised>>>);

impl ByResult {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Raised>) {
        let (sender, raised) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), raised)
    }
}

#[async_trait]
impl AtClient for ByResult {
    async fn ask(&self, question: &Question) -> Option<Choice> {
        let (sender, answer) = oneshot::channel();
        let raise = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        raise.send((question.clone(), sender)).ok()?;
        answer.await.ok()
    }
}

/// A call that runs on its own.
pub(crate) type Work = JoinHandle<Result<CallToolResult, RpcError>>;

struct Held {
    name: String,
    arguments: Map<String, Value>,
    answer: oneshot::Sender<Choice>,
    work: Work,
    cancel: CancellationToken,
    since: Instant,
}

/// Calls that asked, until they are repeated.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<HashMap<String, Held>>);

impl Waiting {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call that asked, and gives the result that asks. Its question's random id is what the agent repeats the
    /// call with.
    pub(crate) fn keep(
        &self,
        (question, answer): Raised,
        call: (String, Map<String, Value>),
        work: Work,
        cancel: CancellationToken,
        peer: &Peer,
    ) -> Result<InputRequired, RpcError> {
        let mut held = self.held();
        held.retain(|_, one| !one.work.is_finished() || one.since.elapsed() < KEPT);
        if held.len() >= MAX_HELD {
            cancel.cancel();
            return Err(RpcError::internal("too many calls wait for an answer"));
        }
        let request = json!({
            "method": "elicitation/create",
            "params": params(&question, peer.revision),
        });
        let (name, arguments) = call;
        let since = Instant::now();
        held.insert(
            question.id.clone(),
            Held {
                name,
                arguments,
                answer,
                work,
                cancel,
                since,
            },
        );
        Ok(InputRequired {
            requests: Map::from_iter([(NAME.to_owned(), request)]),
            state: Some(question.id),
            ..InputRequired::default()
        })
    }

    /// The call that this one repeats, told what its user answered; none where it repeats no call.
    pub(crate) fn repeated(
        &self,
        call: &ToolCall,
    ) -> Result<Option<(Work, CancellationToken)>, RpcError> {
        let Some(state) = call.rest.get("requestState") else {
            return Ok(None);
        };
        let over = || {
            RpcError::invalid_params(
                "nothing waits for this \"requestState\": call again without it",
            )
        };
        let state = state.as_str().ok_or_else(over)?;
        let mut held = self.held();
        let same = |one: &Held| one.name == call.name && one.arguments == call.arguments;
        if !held.get(state).is_some_and(same) {
            return Err(over());
        }
        let one = held.remove(state).ok_or_else(over)?;
        let responses = call.rest.get("inputResponses");
        let response = responses
            .and_then(|all| all.get(NAME))
            .and_then(Value::as_object);
        if let Some(choice) = response.and_then(choice) {
            // Somebody else may have answered meanwhile.
            let _ = one.answer.send(choice);
        }
        Ok(Some((one.work, one.cancel)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_user_chose_is_an_answer() {
        let of = |value: Value| choice(value.as_object().unwrap());
        assert_eq!(
            of(json!({"action": "accept", "content": {"answer": "session"}})),
            Some(Choice::Session)
        );
        assert_eq!(of(json!({"action": "decline"})), Some(Choice::No));
        for other in [
            json!({"action": "cancel"}),
            json!({"action": "accept"}),
            json!({"action": "accept", "content": {"answer": "yes"}}),
            json!({"action": "accept", "content": {"answer": true}}),
            json!({"action": "ACCEPT", "content": {"answer": "once"}}),
            json!({"content": {"answer": "once"}}),
            json!({}),
        ] {
            assert_eq!(of(other), None);
        }
    }
}
