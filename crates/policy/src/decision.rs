//! Answers, with their rationale.

use std::fmt;

use bailiwick_capability::{Capability, Grant, Granted};

/// The answer to one asked capability.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// All of it.
    Grant(Granted),
    /// A part of it: narrower scopes, or holes cut out.
    Partial(Vec<Granted>),
    /// Nothing of it.
    Deny,
    /// Something of it only after a person approved.
    Ask {
        /// What is granted in any case; often nothing.
        granted: Vec<Granted>,
        /// What is granted besides, once a person approved it.
        pending: Vec<Granted>,
    },
}

/// What a policy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It permitted.
    Permit,
    /// It would permit once a person approved (`@ask`).
    Ask,
    /// It forbade.
    Forbid,
    /// No policy permitted.
    Default,
    /// A policy could not be evaluated, so nothing is permitted.
    Error,
}

impl Effect {
    /// Its name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Ask => "ask",
            Self::Forbid => "forbid",
            Self::Default => "default",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Stands for a policy's id where policies permit what no capability can say.
pub(crate) const INEXPRESSIBLE: &str = "inexpressible";

/// Why: one policy that determined the answer, or the want of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The policy's id; `default-deny`, `inexpressible` or `evaluation` where it was no one policy.
    pub policy: String,
    /// What it did.
    pub effect: Effect,
    /// Its `@reason`, or what is missing.
    pub text: Option<String>,
    /// Where no policy permitted: one that would, ready to be pasted.
    pub remedy: Option<String>,
    /// The widest part of the request that it determined, such as `read_files:/data/hr/`.
    pub about: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} ({})", self.effect, self.policy, self.about)?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// One decision: what was asked, the answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was asked.
    pub asked: Capability,
    /// The answer.
    pub outcome: Outcome,
    /// The policies that determined it.
    pub reasons: Vec<Reason>,
    /// Epoch seconds at which a policy expires and this must be decided again; none if no policy will.
    /// Conditions on `context.now` are not counted.
    pub valid_until: Option<i64>,
}

impl Decision {
    /// What is granted now, without anybody being asked.
    #[must_use]
    pub fn granted(&self) -> &[Granted] {
        match &self.outcome {
            Outcome::Grant(granted) => std::slice::from_ref(granted),
            Outcome::Partial(granted) | Outcome::Ask { granted, .. } => granted,
            Outcome::Deny => &[],
        }
    }

    /// What a person could approve besides.
    #[must_use]
    pub fn pending(&self) -> &[Granted] {
        match &self.outcome {
            Outcome::Ask { pending, .. } => pending,
            _ => &[],
        }
    }

    /// The same once people approved this much: what was pending of it is granted.
    #[must_use]
    pub fn approved(mut self, approved: &Grant) -> Self {
        let Outcome::Ask { granted, pending } = &mut self.outcome else {
            return self;
        };
        let (now, later): (Vec<_>, Vec<_>) =
            pending.drain(..).partition(|atom| approved.holds(atom));
        let granted = Grant::new(granted.drain(..).chain(now)).atoms().to_vec();
        let whole = Granted::whole(self.asked.clone());
        self.outcome = match later.is_empty() {
            false => Outcome::Ask {
                granted,
                pending: later,
            },
            true if granted.is_empty() => Outcome::Deny,
            true if granted == [whole.clone()] => Outcome::Grant(whole),
            true => Outcome::Partial(granted),
        };
        self
    }

    /// Whether all that was asked is granted now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.outcome, Outcome::Grant(_))
    }
}
