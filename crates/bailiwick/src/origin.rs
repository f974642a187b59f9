//! Where policies come from, read again while a gate runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_audit::{Event, Subject};
use bailiwick_capability::Capability;
use bailiwick_gate::Gate;
use bailiwick_gate::record::Recorder;
use bailiwick_policy::Pdp;

use crate::assemble::{Parts, Read, policies, search_path};
use crate::config::Config;
use crate::home::Home;
use crate::person::Person;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a gate's policies were read from.
#[derive(Clone)]
pub(crate) struct Origin {
    config: Config,
    home: Home,
    allow: Vec<Capability>,
    given: Vec<PathBuf>,
}

impl Origin {
    pub(crate) fn of(parts: &Parts<'_>) -> Self {
        Self {
            config: parts.config.clone(),
            home: parts.home.clone(),
            allow: parts.allow.to_vec(),
            given: parts.policies.to_vec(),
        }
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The policies and the classification as the files say now.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn load(&self) -> anyhow::Result<(Pdp, Read)> {
        let config = self.config()?;
        let parts = Parts {
            policies: &self.given,
            ..Parts::new(&config, &self.home, &self.allow)
        };
        policies(&parts, &Person::current(), &search_path())
    }

    fn config(&self) -> anyhow::Result<Config> {
        match &self.config.file {
            Some(path) => Config::read(path),
            None => Ok(self.config.clone()),
        }
    }

    /// Differs where the policies may; errors have texts as well.
    fn fingerprint(&self) -> String {
        let read = || {
            let config = self.config()?;
            let parts = Parts {
                policies: &self.given,
                ..Parts::new(&config, &self.home, &self.allow)
            };
            let sources = crate::assemble::sources(&parts)?;
            anyhow::Ok(format!(
                "{} {:?}",
                crate::assemble::digest(&sources),
                config.classification
            ))
        };
        read().unwrap_or_else(|error| format!("{error:#}"))
    }

    async fn looked(&self) -> anyhow::Result<String> {
        let origin = self.clone();
        let look = tokio::task::spawn_blocking(move || origin.fingerprint());
        look.await.context("the policies cannot be looked at")
    }

    /// Puts what changes in force, as long as the gate runs. What is broken changes nothing and is told.
    ///
    /// # Errors
    /// What stops the gate.
    pub(crate) async fn follow(self, gate: &Gate, recorder: &Recorder) -> anyhow::Result<()> {
        let mut known = self.looked().await?;
        let mut before = known.clone();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = self.looked().await?;
            // A file that is just being written may look whole and be empty.
            let settled = now == std::mem::replace(&mut before, now.clone());
            if now == known || !settled {
                continue;
            }
            known = now;
            let origin = self.clone();
            match tokio::task::spawn_blocking(move || origin.load()).await? {
                Ok((pdp, read)) => {
                    gate.reload(pdp, &read.digest).await?;
                    crate::changes::seen(&self.home, &read.digest)?;
                    eprintln!("bailiwick: other policies are in force");
                }
                Err(error) => self.refused(recorder, &error).await?,
            }
        }
    }

    async fn refused(&self, recorder: &Recorder, error: &anyhow::Error) -> anyhow::Result<()> {
        let reason = format!("{error:#}");
        eprintln!(
            "bailiwick: the policies changed and are not taken; the old ones stay in force:\n{reason}"
        );
        let event = Event::PolicyChange {
            policy_sha256: String::new(),
            loaded: false,
            reason,
        };
        Ok(recorder.durable(&Subject::default(), event).await?)
    }
}
