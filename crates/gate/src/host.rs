//! What the gate is assembled from: it is handed everything and finds nothing by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use bailiwick_audit::{AuditError, Clock, Subject};
use bailiwick_capability::{AbsPath, Capability, Grant, Kind};
use bailiwick_manifest::Start;
use bailiwick_policy::{Agent, Context, Pdp, PluginFacts, Principal, User};
use bailiwick_token::Keys;

use crate::approve::Approvals;
use crate::assess::{Assessment, assess};
use crate::learning::Learning;
use crate::ledger::Ledger;
use crate::record::Recorder;
use crate::resolve::SearchPath;
use crate::trace::of_session;
use crate::withdrawn::RevocationList;
use crate::world::{Builder, Progress, Source};

/// Our own settings are no plugin's business, whatever prefix was granted.
const OWN_SETTINGS: &str = "BAILIWICK_";

/// What the configuration says of the circumstances of every decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// On whose behalf.
    pub user: User,
    /// Such as `production`.
    pub environment: String,
    /// What is known of every session from its start.
    pub labels: BTreeSet<String>,
}

/// Policies, and the facts that they are asked with.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// Decides.
    pub pdp: Pdp,
    /// What it is told.
    pub facts: Facts,
    /// Digest of the policies, for the log.
    pub digest: String,
}

/// What is in force. It is replaced whole, and read as of one moment.
pub struct InForce(RwLock<Arc<Ruling>>);

impl From<Ruling> for InForce {
    fn from(ruling: Ruling) -> Self {
        Self(RwLock::new(Arc::new(ruling)))
    }
}

impl InForce {
    /// That of this moment.
    #[must_use]
    pub fn now(&self) -> Arc<Ruling> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn replace(&self, ruling: Ruling) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ruling);
    }
}

/// How far the clocks on the wall are ahead of UTC, in seconds, at a moment in seconds since 1970.
pub type Zone = Arc<dyn Fn(i64) -> i32 + Send + Sync>;

/// What decides: policy, and the facts and walls that it is asked about. It has no effect on anything.
pub struct Judge {
    /// Decides.
    pub in_force: InForce,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Tells local time.
    pub zone: Zone,
    /// Builds native plugins' worlds, or the reason why this machine cannot.
    pub native: Result<Arc<dyn Builder>, String>,
    /// Builds components' worlds.
    pub wasm: Result<Arc<dyn Builder>, String>,
    /// What this machine was seen to have, as policies name it.
    pub machine: BTreeSet<String>,
    /// Where programs are looked for.
    pub search: SearchPath,
}

/// Everything outside the gate that it works with.
pub struct Host {
    /// Decides.
    pub judge: Judge,
    /// Seals grants.
    pub keys: Keys,
    /// Who is asked where policy wants a person's yes.
    pub approvals: Approvals,
    /// What was taken back.
    pub revocations: Arc<dyn RevocationList>,
    /// Counts the calls that quotas limit.
    pub ledger: Arc<dyn Ledger>,
    /// Remembers.
    pub recorder: Recorder,
    /// The variables that may be granted; only granted ones go on.
    pub variables: Vec<(String, String)>,
    /// Told about long work.
    pub progress: Progress,
    /// How long a session's grants last, in seconds.
    pub token_seconds: i64,
    /// Where what plugins use is kept, while somebody wants to know.
    pub learning: Option<Arc<Learning>>,
    /// Digest of the configuration, for the log.
    pub config_digest: String,
}

/// What stops the gate, as opposed to one plugin or call.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Nothing goes on unlogged.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The system gave no random numbers for a session's name.
    #[error("no random numbers: {0}")]
    Random(String),
    /// One connection, one agent: another one needs a session of its own.
    #[error(
        "this session belongs to the agent `{expected}`, not to `{found}`: start another gate for it"
    )]
    OtherAgent {
        /// Who opened the session.
        expected: String,
        /// Who asks now.
        found: String,
    },
}

impl Judge {
    /// Now, in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        i64::try_from(self.clock.now().as_secs()).unwrap_or(i64::MAX)
    }

    /// What can start this plugin.
    ///
    /// # Errors
    /// The wall that this machine lacks.
    pub fn builder(&self, source: &Source) -> Result<Arc<dyn Builder>, String> {
        match &source.manifest.runtime().start {
            Start::Command(_) => self.native.clone(),
            Start::Component(_) | Start::Embedded => self.wasm.clone(),
        }
    }

    /// On whose behalf it decides now.
    #[must_use]
    pub fn user(&self) -> User {
        self.in_force.now().facts.user.clone()
    }

    /// The delegation chain of a plugin in a session.
    #[must_use]
    pub fn principal(&self, session: &str, agent: &Agent, source: &Source) -> Principal {
        principal(&self.in_force.now().facts, session, agent, source)
    }

    /// The circumstances of a decision now.
    #[must_use]
    pub fn context(&self, wall: &str) -> Context {
        self.context_of(&self.in_force.now().facts, wall)
    }

    fn context_of(&self, facts: &Facts, wall: &str) -> Context {
        let now = self.now();
        Context {
            environment: facts.environment.clone(),
            now,
            utc_offset: (self.zone)(now),
            isolation: wall.to_owned(),
            labels: facts.labels.clone(),
            machine: self.machine.clone(),
        }
    }

    /// Puts other facts into a question.
    pub(crate) fn tell(&self, facts: &Facts, principal: &mut Principal, context: &mut Context) {
        principal.user.clone_from(&facts.user);
        *context = self.context_of(facts, &context.isolation);
    }

    /// What would become of a plugin's manifest now.
    ///
    /// # Errors
    /// The wall that this machine lacks.
    pub fn assess(
        &self,
        session: &str,
        agent: &Agent,
        source: &Source,
    ) -> Result<Assessment, String> {
        self.assess_approved(session, agent, source, &Grant::default())
    }

    /// The same once people approved this much.
    ///
    /// # Errors
    /// As [`Judge::assess`].
    pub fn assess_approved(
        &self,
        session: &str,
        agent: &Agent,
        source: &Source,
        approved: &Grant,
    ) -> Result<Assessment, String> {
        self.assess_under(&self.in_force.now(), session, agent, source, approved)
    }

    /// The same under other policies and facts.
    ///
    /// # Errors
    /// As [`Judge::assess`].
    pub fn assess_under(
        &self,
        ruling: &Ruling,
        session: &str,
        agent: &Agent,
        source: &Source,
        approved: &Grant,
    ) -> Result<Assessment, String> {
        let builder = self.builder(source)?;
        let principal = principal(&ruling.facts, session, agent, source);
        let context = self.context_of(&ruling.facts, builder.wall().name());
        Ok(assess(
            source,
            builder.wall(),
            &ruling.pdp,
            &principal,
            &context,
            &self.search,
            approved,
        ))
    }
}

impl Host {
    /// A plugin's environment: granted variables of ours, then the manifest's constants, which were granted too.
    #[must_use]
    pub fn variables(&self, source: &Source, grant: &Grant) -> Vec<(String, String)> {
        let constants = &source.manifest.runtime().env;
        let ours = self
            .variables
            .iter()
            .filter(|(name, _)| !constants.contains_key(name) && !name.starts_with(OWN_SETTINGS))
            .cloned();
        let own = constants
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        ours.chain(own)
            .filter(|(name, _)| may_read(grant, name))
            .collect()
    }

    /// On whose behalf a session acts, as the log keeps it.
    #[must_use]
    pub fn subject(&self, session: &str, agent: &Agent) -> Subject {
        let named = if agent.version.is_empty() {
            agent.name.clone()
        } else {
            format!("{} {}", agent.name, agent.version)
        };
        let subject = Subject::session(session)
            .with_user(self.judge.user().name)
            .with_agent(named);
        of_session(subject, session)
    }
}

/// The delegation chain of a plugin in a session, under these facts.
#[must_use]
pub fn principal(facts: &Facts, session: &str, agent: &Agent, source: &Source) -> Principal {
    let manifest = &source.manifest;
    Principal {
        session: session.to_owned(),
        user: facts.user.clone(),
        agent: agent.clone(),
        plugin: PluginFacts {
            id: manifest.id().to_string(),
            version: manifest.version().to_string(),
            digest: format!("sha256:{}", source.digest_hex()),
            // A manifest's own word about its publisher is not verified, so policy does not see it.
            publisher: None,
            folder: source
                .dir
                .as_ref()
                .and_then(|dir| AbsPath::exactly(dir.to_str()?).ok()),
        },
    }
}

fn may_read(grant: &Grant, name: &str) -> bool {
    // A star would be read as a prefix.
    !name.contains('*')
        && Capability::parse_scope(Kind::ReadEnvironment, name)
            .is_ok_and(|variable| grant.permits(&variable))
}

/// A new session's name: 128 random bits in hexadecimal.
///
/// # Errors
/// A system without random numbers.
pub fn session_id() -> Result<String, GateError> {
    random::<16>()
}

/// So many random bytes in hexadecimal.
pub(crate) fn random<const BYTES: usize>() -> Result<String, GateError> {
    let mut bytes = [0u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| GateError::Random(error.to_string()))?;
    Ok(hex::encode(bytes))
}
