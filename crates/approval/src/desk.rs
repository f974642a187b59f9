//! What waits for a person, and how answers reach whoever asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use crate::pace::{Pace, TooOften};
use crate::question::{Answer, Question};

/// Answers to one question that may wait to be judged.
const MAX_ANSWERS: usize = 4;

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The question is settled.
    Settled,
    /// It counts, and so many more people must say yes.
    More(u8),
    /// It does not count: why.
    Refused(String),
}

/// An answer on its way to whoever asked.
#[derive(Debug)]
pub struct Given {
    /// What was answered.
    pub answer: Answer,
    /// Who answered, as far as it is known.
    pub who: String,
    reply: oneshot::Sender<Verdict>,
}

impl Given {
    /// Tells whoever answered what became of it.
    pub fn judge(self, verdict: Verdict) {
        // Whoever answered may have gone.
        let _ = self.reply.send(verdict);
    }
}

/// Why an answer reached nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Answered {
    /// No such question waits.
    #[error("no question `{0}` waits: it was answered, or its time is over")]
    Unknown(String),
    /// Others answered at the same moment.
    #[error("others answer this question right now: look at it again")]
    Busy,
}

/// The questions of one gate.
#[derive(Debug, Default)]
pub struct Desk {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<String, Open>,
    pace: Pace,
}

#[derive(Debug)]
struct Open {
    question: Question,
    answers: mpsc::Sender<Given>,
    /// Until then it counts, and nobody sees or answers it.
    is_put: bool,
}

/// A question that waits. It is taken back when this is dropped.
#[derive(Debug)]
pub struct Ticket {
    desk: Arc<Desk>,
    id: String,
    answers: mpsc::Receiver<Given>,
}

impl Desk {
    /// Puts a question, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// Where people were asked too often.
    pub fn ask(self: &Arc<Self>, question: Question, now: i64) -> Result<Ticket, TooOften> {
        let ticket = self.reserve(question, now)?;
        ticket.put();
        Ok(ticket)
    }

    /// Takes a place for a question that nobody sees before [`Ticket::put`].
    ///
    /// # Errors
    /// Where people were asked too often.
    pub fn reserve(self: &Arc<Self>, question: Question, now: i64) -> Result<Ticket, TooOften> {
        let (answers, given) = mpsc::channel(MAX_ANSWERS);
        let id = question.id.clone();
        {
            let mut inner = self.inner();
            let of_session = |open: &&Open| open.question.session == question.session;
            let waiting = inner.open.values().filter(of_session).count();
            inner.pace.ask(&question, waiting, now)?;
            let open = Open {
                question,
                answers,
                is_put: false,
            };
            inner.open.insert(id.clone(), open);
        }
        Ok(Ticket {
            desk: self.clone(),
            id,
            answers: given,
        })
    }

    /// What waits, the oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Question> {
        let inner = self.inner();
        let put = inner.open.values().filter(|open| open.is_put);
        let mut all: Vec<_> = put.map(|open| &open.question).collect();
        all.sort_by_key(|question| (question.asked, question.id.clone()));
        all.into_iter().cloned().collect()
    }

    /// Hands an answer to whoever asked, and waits for what becomes of it.
    ///
    /// # Errors
    /// [`Answered`], where nobody waits for it.
    pub async fn answer(&self, id: &str, answer: Answer, who: &str) -> Result<Verdict, Answered> {
        let unknown = || Answered::Unknown(crate::line(id));
        let (reply, verdict) = oneshot::channel();
        {
            let inner = self.inner();
            let open = inner.open.get(id).filter(|open| open.is_put);
            let open = open.ok_or_else(unknown)?;
            open.answers
                .try_send(Given {
                    answer,
                    who: who.to_owned(),
                    reply,
                })
                .map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => Answered::Busy,
                    mpsc::error::TrySendError::Closed(_) => unknown(),
                })?;
        }
        verdict.await.map_err(|_| unknown())
    }

    /// Remembers that a matter was refused; see [`Pace::refused`].
    pub fn refused(&self, question: &Question, for_good: bool, now: i64) {
        self.inner().pace.refused(question, for_good, now);
    }

    /// Remembers that a matter was approved.
    pub fn approved(&self, question: &Question) {
        self.inner().pace.approved(question);
    }

    /// Told when what waits changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The question's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Shows the question to people.
    pub fn put(&self) {
        if let Some(open) = self.desk.inner().open.get_mut(&self.id) {
            open.is_put = true;
        }
        self.desk.changed();
    }

    /// The next answer.
    pub async fn next(&mut self) -> Given {
        match self.answers.recv().await {
            Some(given) => given,
            // The desk holds the other end for as long as this ticket lives.
            None => std::future::pending().await,
        }
    }

    /// Changes what is shown of the question while it waits, such as who said yes already.
    pub fn update(&self, change: impl FnOnce(&mut Question)) {
        if let Some(open) = self.desk.inner().open.get_mut(&self.id) {
            change(&mut open.question);
        }
        self.desk.changed();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.desk.inner().open.remove(&self.id);
        self.desk.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Choice;
    use crate::question::tests::question;
    use serde_json::json;

    fn answer(choice: Choice) -> Answer {
        Answer {
            choice,
            signed: None,
        }
    }

    #[tokio::test]
    async fn an_answer_reaches_whoever_asked_and_its_verdict_comes_back() {
        let desk = Arc::new(Desk::default());
        let mut ticket = desk.ask(question("send", &json!({})), 0).unwrap();
        assert_eq!(desk.waiting().len(), 1);
        let id = ticket.id().to_owned();
        let (verdict, ()) = tokio::join!(desk.answer(&id, answer(Choice::No), "ann"), async {
            let given = ticket.next().await;
            assert_eq!(given.answer.choice, Choice::No);
            given.judge(Verdict::Settled);
        });
        assert_eq!(verdict, Ok(Verdict::Settled));
        drop(ticket);
        assert!(desk.waiting().is_empty());
        let late = desk.answer(&id, answer(Choice::Once), "ann").await;
        assert_eq!(late, Err(Answered::Unknown("q1".to_owned())));
    }

    #[tokio::test]
    async fn a_question_that_is_not_put_is_neither_seen_nor_answered() {
        let desk = Arc::new(Desk::default());
        let ticket = desk.reserve(question("send", &json!({})), 0).unwrap();
        assert!(desk.waiting().is_empty());
        let early = desk.answer("q1", answer(Choice::Once), "ann").await;
        assert_eq!(early, Err(Answered::Unknown("q1".to_owned())));
        ticket.put();
        assert_eq!(desk.waiting().len(), 1);
    }

    #[tokio::test]
    async fn who_answers_a_question_that_is_taken_back_hears_so() {
        let desk = Arc::new(Desk::default());
        let ticket = desk.ask(question("send", &json!({})), 0).unwrap();
        let (verdict, ()) = tokio::join!(desk.answer("q1", answer(Choice::Once), "ann"), async {
            tokio::task::yield_now().await;
            drop(ticket);
        });
        assert!(matches!(verdict, Err(Answered::Unknown(_))));
    }

    #[tokio::test]
    async fn more_answers_than_are_judged_are_turned_away() {
        let desk = Arc::new(Desk::default());
        let _ticket = desk.ask(question("send", &json!({})), 0).unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MAX_ANSWERS {
            let desk = desk.clone();
            waiting.push(tokio::spawn(async move {
                desk.answer("q1", answer(Choice::No), "ann").await
            }));
        }
        tokio::task::yield_now().await;
        while desk.inner().open["q1"].answers.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        let one = desk.answer("q1", answer(Choice::No), "ann").await;
        assert_eq!(one, Err(Answered::Busy));
    }
}
