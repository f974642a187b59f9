//! The life of one plugin up to running: requested → decided → granted → sealed → started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_audit::{AuditError, Event, Subject};
use bailiwick_capability::Grant;
use bailiwick_policy::Agent;
use bailiwick_token::{
    Asks, Claims, Expectation, Narrowing, Token, Verified, attenuate, mint, verify,
};
use bailiwick_wall::Denials;

use crate::assess::Assessment;
use crate::host::{GateError, Host};
pub use crate::limits::limits;
pub use crate::record::lines;
use crate::record::{load_decision, minted, request};
use crate::wanting::Approved;
use crate::withdrawn::Lapse;
use crate::world::{Builder, Instance, Launch, Preparation, Source};

/// A plugin that was granted something and may be started, also again.
pub struct Admitted {
    /// The plugin.
    pub source: Arc<Source>,
    /// What became of its manifest.
    pub assessment: Assessment,
    /// On whose behalf it acts.
    pub subject: Subject,
    token: Token,
    /// The same token with what people approved for the session, by what they approved.
    approved: Mutex<HashMap<[u8; 32], Token>>,
    /// What people approved of it.
    extra: Grant,
    /// What the token said when it was verified.
    sealed: Verified,
    builder: Arc<dyn Builder>,
    preparation: Preparation,
    session: String,
}

/// Why a plugin may not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// This machine lacks the wall.
    #[error("{0}")]
    NoWall(String),
    /// Policy, the wall's report or the machine leave a required capability out.
    #[error("{0}")]
    NotGranted(String),
    /// The grant could not be sealed.
    #[error("its grant cannot be sealed: {0}")]
    NoToken(String),
    /// What it needs to run could not be found or fetched.
    #[error("{0}")]
    NotPrepared(String),
}

/// Either the plugin may start, or why it may not.
pub type Admission = Result<Admitted, Refused>;

/// Decides on a plugin, seals its grant and prepares it. Nothing of it runs.
///
/// # Errors
/// Only what stops the gate; a refused plugin is an `Ok(Err(why))`, and recorded.
pub async fn admit(
    host: &Host,
    session: &str,
    agent: &Agent,
    source: Arc<Source>,
) -> Result<Admission, GateError> {
    let id = source.manifest.id().as_str();
    let subject = host
        .subject(session, agent)
        .with_plugin(id, source.digest_hex());
    if let Err(error) = host.recorder.written(&subject, request(&source)).await {
        return too_large(host, &subject, error).await;
    }
    let builder = match host.judge.builder(&source) {
        Ok(builder) => builder,
        Err(why) => return refuse(host, &subject, Refused::NoWall(why)).await,
    };
    let assessment = match host.judge.assess(session, agent, &source) {
        Ok(assessment) => assessment,
        Err(why) => return refuse(host, &subject, Refused::NoWall(why)).await,
    };
    let decided = Decided {
        source: source.clone(),
        assessment,
        subject,
        builder,
    };
    let token = |grant: &Grant| seal(host, session, agent, &source, grant, calls_only(host));
    decided
        .admitted(host, session, token, Grant::default())
        .await
}

/// Admits a plugin with what people approved of what policy asked them about, and with no more than the token says.
///
/// # Errors
/// As [`admit`].
pub(crate) async fn admit_approved(
    host: &Host,
    session: &str,
    agent: &Agent,
    approved: Approved,
) -> Result<Admission, GateError> {
    let (source, extra) = (approved.source, approved.grant);
    let id = source.manifest.id().as_str();
    let subject = host
        .subject(session, agent)
        .with_plugin(id, source.digest_hex());
    let judged = host.judge.assess_approved(session, agent, &source, &extra);
    let judged = judged.and_then(|assessment| Ok((assessment, host.judge.builder(&source)?)));
    let (assessment, builder) = match judged {
        Ok(judged) => judged,
        Err(why) => return refuse(host, &subject, Refused::NoWall(why)).await,
    };
    let decided = Decided {
        source,
        assessment,
        subject,
        builder,
    };
    // Policy may say less by now than when people were asked.
    let token = |grant: &Grant| {
        let narrowing = Narrowing {
            grant: grant.clone(),
            expires: None,
            by: None,
        };
        attenuate(&approved.token, &narrowing).map_err(|error| error.to_string())
    };
    decided.admitted(host, session, token, extra).await
}

/// A plugin on which policy decided.
struct Decided {
    source: Arc<Source>,
    assessment: Assessment,
    subject: Subject,
    builder: Arc<dyn Builder>,
}

impl Decided {
    /// Records the decision; seals what may be loaded, records the seal and prepares the plugin.
    async fn admitted(
        self,
        host: &Host,
        session: &str,
        sealed: impl FnOnce(&Grant) -> Result<Token, String>,
        extra: Grant,
    ) -> Result<Admission, GateError> {
        let Self {
            source,
            assessment,
            subject,
            builder,
        } = self;
        let context = host.judge.context(builder.wall().name());
        let decision = load_decision(&assessment, &context);
        if let Err(error) = host.recorder.durable(&subject, decision).await {
            return too_large(host, &subject, error).await;
        }
        if !assessment.loadable() {
            let missing = assessment.missing.join("\n");
            return refuse(host, &subject, Refused::NotGranted(missing)).await;
        }
        let token = match sealed(&assessment.grant) {
            Ok(token) => token,
            Err(why) => return refuse(host, &subject, Refused::NoToken(why)).await,
        };
        let sealed = match verified(host, session, &source, &token) {
            Ok(sealed) => sealed,
            Err(why) => return refuse(host, &subject, Refused::NoToken(why)).await,
        };
        host.recorder.durable(&subject, minted(&sealed)).await?;
        let record = host.recorder.on_behalf_of(&subject);
        let prepared = builder.prepare(&source, host.progress.clone(), record);
        let preparation = match prepared.await {
            Ok(preparation) => preparation,
            Err(error) => {
                return refuse(host, &subject, Refused::NotPrepared(error.to_string())).await;
            }
        };
        for package in &preparation.packages {
            let event = Event::PackagePrepared {
                registry: package.ecosystem.clone(),
                package: package.name.clone(),
                version: package.version.clone(),
                integrity: package.integrity.clone(),
            };
            host.recorder.durable(&subject, event).await?;
        }
        Ok(Ok(Admitted {
            source,
            assessment,
            subject,
            approved: Mutex::default(),
            extra,
            token,
            sealed,
            builder,
            preparation,
            session: session.to_owned(),
        }))
    }
}

impl Admitted {
    /// What is granted, as the token says: arguments are held to what the wall is built from.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        self.sealed.grant()
    }

    /// The grant's seal, for whoever enforces it.
    ///
    /// # Errors
    /// A token that is expired, altered, revoked, of another session or of another plugin.
    pub fn verified(&self, host: &Host) -> Result<Verified, String> {
        let verified = verified(host, &self.session, &self.source, &self.token)?;
        self.holds(host).map_err(|lapse| lapse.to_string())?;
        Ok(verified)
    }

    /// A world made of exactly what the token grants. Nothing starts in it before [`Admitted::launch`] recorded it.
    ///
    /// # Errors
    /// A token that does not hold.
    pub fn world(&self, host: &Host) -> Result<Launch, String> {
        let verified = self.verified(host)?;
        Ok(Launch::new(
            &verified,
            self.source.clone(),
            self.preparation.clone(),
            host.variables(&self.source, verified.grant()),
            limits(&self.source),
            match self.is_watched(host) {
                true => Denials::with_uses(),
                false => Denials::new(),
            },
            host.recorder.on_behalf_of(&self.subject),
        ))
    }

    /// Whether what it uses is told.
    fn is_watched(&self, host: &Host) -> bool {
        host.learning.is_some() && self.builder.tells_uses()
    }

    /// A world made of exactly what the token grants, recorded before anything starts in it.
    ///
    /// # Errors
    /// Only what stops the gate; a token that does not hold is an `Ok(Err(why))`, and recorded.
    pub async fn launch(&self, host: &Host) -> Result<Result<Launch, String>, GateError> {
        let world = self.world(host);
        let event = match &world {
            Ok(launch) => host
                .recorder
                .start(launch, self.wall(), self.is_watched(host)),
            Err(reason) => Event::TokenRefused {
                id: self.token_id(),
                reason: reason.clone(),
            },
        };
        host.recorder.durable(&self.subject, event).await?;
        if let Some(learning) = host.learning.as_ref().filter(|_| self.is_watched(host)) {
            learning.begin(self);
        }
        Ok(world)
    }

    /// Starts the plugin.
    ///
    /// # Errors
    /// Only what stops the gate; a plugin that does not start is an `Ok(Err(why))`, and recorded.
    pub async fn start(&self, host: &Host) -> Result<Result<Box<dyn Instance>, String>, GateError> {
        let launch = match self.launch(host).await? {
            Ok(launch) => launch,
            Err(why) => return Ok(Err(why)),
        };
        let denials = launch.denials.clone();
        match self.builder.start(launch).await {
            Ok(instance) => Ok(Ok(instance)),
            Err(error) => {
                // What was refused may be why it did not start.
                host.recorder.denied(&self.subject, denials.take()).await?;
                let event = Event::PluginRefused {
                    reason: error.to_string(),
                };
                host.recorder.durable(&self.subject, event).await?;
                Ok(Err(error.to_string()))
            }
        }
    }

    /// What people approved of it besides what policy granted.
    pub(crate) fn extra(&self) -> &Grant {
        &self.extra
    }

    /// The seal itself, in base64, for a host that narrows it. Whoever holds it holds what it allows in this session.
    #[must_use]
    pub fn token_base64(&self) -> String {
        self.token.to_base64()
    }

    /// The token that people approve.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// The token with what people approved for the session under this statement.
    pub(crate) fn approved(&self, statement: &[u8; 32]) -> Option<Token> {
        let approved = self.approved.lock();
        let approved = approved.unwrap_or_else(PoisonError::into_inner);
        approved.get(statement).cloned()
    }

    pub(crate) fn keep_approved(&self, statement: [u8; 32], token: Token) {
        let approved = self.approved.lock();
        let mut approved = approved.unwrap_or_else(PoisonError::into_inner);
        approved.insert(statement, token);
    }

    /// What a token that grew from this one says.
    pub(crate) fn verify(&self, host: &Host, token: &Token) -> Result<Verified, String> {
        verified(host, &self.session, &self.source, token)
    }

    /// Whether the grant still holds now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn holds(&self, host: &Host) -> Result<(), Lapse> {
        let plugin = || self.source.manifest.id().to_string();
        if host.judge.now() >= self.sealed.expires() {
            return Err(Lapse::Expired(plugin()));
        }
        let list = host.revocations.current().map_err(|why| Lapse::Unknown {
            plugin: plugin(),
            why,
        })?;
        match list.revokes(&self.sealed) {
            None => Ok(()),
            Some(why) => Err(Lapse::Revoked {
                plugin: plugin(),
                why: why.to_owned(),
            }),
        }
    }

    /// The id by which the token is known in the log and can be revoked.
    #[must_use]
    pub fn token_id(&self) -> Option<String> {
        self.sealed.revocation_ids().first().map(hex::encode)
    }

    /// The name of the wall behind which it runs.
    #[must_use]
    pub fn wall(&self) -> &'static str {
        self.builder.wall().name()
    }

    /// What the runtime needs besides the grant, for people.
    #[must_use]
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }
}

/// Nothing that people can add but single calls.
fn calls_only(host: &Host) -> Asks {
    Asks {
        atoms: Vec::new(),
        approvers: host.approvals.keys(),
    }
}

pub(crate) fn seal(
    host: &Host,
    session: &str,
    agent: &Agent,
    source: &Source,
    grant: &Grant,
    asks: Asks,
) -> Result<Token, String> {
    let issued = host.judge.now();
    let claims = Claims {
        session: session.to_owned(),
        plugin: source.manifest.id().to_string(),
        plugin_version: source.manifest.version().to_string(),
        plugin_digest: source.digest,
        user: host.judge.user().name,
        agent: agent.name.clone(),
        grant: grant.clone(),
        asks,
        issued,
        expires: issued.saturating_add(host.token_seconds),
    };
    mint(&host.keys, &claims).map_err(|error| error.to_string())
}

pub(crate) fn verified(
    host: &Host,
    session: &str,
    source: &Source,
    token: &Token,
) -> Result<Verified, String> {
    let expectation = Expectation {
        session,
        plugin_digest: &source.digest,
        now: host.judge.now(),
    };
    verify(&host.keys.public(), token, &expectation).map_err(|error| error.to_string())
}

/// A manifest whose record does not fit the log is refused; any other failure of the log stops the gate.
async fn too_large(
    host: &Host,
    subject: &Subject,
    error: AuditError,
) -> Result<Admission, GateError> {
    match error {
        AuditError::EntryTooLarge { .. } => {
            let why =
                "it asks for more than one entry of the audit log holds: ask for less".to_owned();
            refuse(host, subject, Refused::NotGranted(why)).await
        }
        other => Err(other.into()),
    }
}

async fn refuse(host: &Host, subject: &Subject, why: Refused) -> Result<Admission, GateError> {
    host.recorder
        .durable(
            subject,
            Event::PluginRefused {
                reason: why.to_string(),
            },
        )
        .await?;
    Ok(Err(why))
}
