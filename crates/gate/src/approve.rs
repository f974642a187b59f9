//! Whose yes counts where policy asks a person, and where they are asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bailiwick_approval::{About, Answer, Choice, Desk, Question, line};
use bailiwick_capability::{Grant, Granted};
use bailiwick_token::{Approving, Keys, PublicKey, TokenError, sign_approval};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Somebody whose yes counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// As people know them.
    pub name: String,
    /// What they sign with.
    pub key: PublicKey,
}

/// Keeps an answer beyond the session, as policy that people can read.
pub trait Standing: Send + Sync {
    /// Writes what holds from now on: `ever` or `never`, by whom.
    ///
    /// # Errors
    /// Why it cannot be written, in a sentence for whoever answered; nothing is written then.
    fn keep(&self, question: &Question, choice: Choice, by: &str) -> Result<(), String>;
}

/// Who may say yes to what policy asks a person about.
pub struct Approvals {
    /// Where questions wait.
    pub desk: Arc<Desk>,
    /// Whose yes counts.
    pub approvers: Vec<Approver>,
    /// Signs what the person answers at the agent's own client, where that counts.
    pub client: Option<Keys>,
    /// How long a question waits before it is refused.
    pub patience: Duration,
    /// What keeps answers for good.
    pub standing: Option<Arc<dyn Standing>>,
}

impl Approvals {
    /// Where nobody can be asked: what policy asks a person about is refused.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            desk: Arc::default(),
            approvers: Vec::new(),
            client: None,
            patience: Duration::ZERO,
            standing: None,
        }
    }

    /// Everybody whose yes counts, in one way or another.
    pub(crate) fn keys(&self) -> Vec<PublicKey> {
        let named = self.approvers.iter().map(|approver| approver.key);
        named
            .chain(self.client.as_ref().map(Keys::public))
            .collect()
    }

    /// Whether anybody can be asked.
    pub(crate) fn askable(&self) -> bool {
        self.client.is_some() || !self.approvers.is_empty()
    }

    pub(crate) fn name(&self, key: &PublicKey) -> String {
        if self
            .client
            .as_ref()
            .is_some_and(|client| client.public() == *key)
        {
            return AT_CLIENT.to_owned();
        }
        let known = self.approvers.iter().find(|one| one.key == *key);
        known.map_or_else(|| hex::encode(key.to_bytes()), |one| line(&one.name))
    }
}

/// The agent's own client, which shows questions to its user. What it says is only as good as it is: it never counts
/// where policy wants more than one person.
#[async_trait]
pub trait AtClient: Send + Sync {
    /// What its user answered; none where they did not.
    async fn ask(&self, question: &Question) -> Option<Choice>;
}

/// Who answered there, for the log.
pub(crate) const AT_CLIENT: &str = "the user of the agent's client";

/// The capabilities that a question asks for; none where it is about a call.
pub(crate) fn atoms(question: &Question) -> Option<Result<Grant, String>> {
    let About::Atoms(atoms) = &question.about else {
        return None;
    };
    let read = |atom: &String| {
        atom.parse()
            .map_err(|error| format!("`{}`: {error}", line(atom)))
    };
    let atoms: Result<Vec<Granted>, String> = atoms.iter().map(read).collect();
    Some(atoms.map(Grant::new))
}

/// An answer of whoever has these keys.
///
/// # Errors
/// A question that holds nothing to sign.
pub fn signed(question: &Question, choice: Choice, keys: &Keys) -> Result<Answer, TokenError> {
    if !choice.is_yes() {
        return Ok(Answer {
            choice,
            signed: None,
        });
    }
    let malformed = |error: base64::DecodeError| TokenError::Malformed(error.to_string());
    let request = STANDARD.decode(&question.request).map_err(malformed)?;
    let approving = Approving {
        call: question.statement(choice),
        grant: atoms(question)
            .transpose()
            .map_err(TokenError::Malformed)?
            .unwrap_or_default(),
        until: None,
    };
    let signed = sign_approval(keys, &request, &approving)?;
    Ok(Answer {
        choice,
        signed: Some(STANDARD.encode(signed)),
    })
}
