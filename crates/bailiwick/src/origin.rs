//! Where policies, facts and plugins come from, read again while a gate runs.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bailiwick_audit::{Event, Subject};
use bailiwick_capability::Capability;
use bailiwick_gate::discover::{discover, places};
use bailiwick_gate::record::Recorder;
use bailiwick_gate::world::Source;
use bailiwick_gate::{Facts, Gate, Reload, Ruling};
use bailiwick_policy::Pdp;

use crate::assemble::{Parts, facts, search_path};
use crate::config::Config;
use crate::decides::{Read, policies};
use crate::home::Home;
use crate::person::Person;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where a gate's plugins lie.
#[derive(Clone)]
pub(crate) enum Plugins {
    /// Nowhere: a command line names the one.
    Named,
    /// At this path.
    At(PathBuf),
    /// Where the configuration says.
    Configured,
}

impl Plugins {
    fn paths<'a>(&'a self, config: &'a Config) -> &'a [PathBuf] {
        match self {
            Self::Named => &[],
            Self::At(path) => std::slice::from_ref(path),
            Self::Configured => &config.plugins,
        }
    }

    /// The plugins as they lie there now.
    ///
    /// # Errors
    /// What cannot be read, or says nothing that can be understood.
    pub(crate) fn found(&self, config: &Config) -> anyhow::Result<Vec<Source>> {
        let mut found = Vec::new();
        for path in self.paths(config) {
            found.extend(discover(path).map_err(crate::report::undiscovered)?);
        }
        Ok(found)
    }
}

/// What a gate's policies and plugins were read from.
#[derive(Clone)]
pub(crate) struct Origin {
    config: Config,
    home: Home,
    allow: Vec<Capability>,
    given: Vec<PathBuf>,
    plugins: Plugins,
}

/// What is in force, as far as it comes from files.
#[derive(PartialEq, Eq)]
pub(crate) struct Meaning {
    policies: String,
    classification: Vec<(String, String)>,
    facts: Facts,
    plugins: Vec<[u8; 32]>,
}

impl Meaning {
    pub(crate) fn of(ruling: &Ruling, config: &Config, plugins: &[Source]) -> Self {
        let classification = config.classification.iter();
        Self {
            policies: ruling.digest.clone(),
            classification: classification
                .map(|(p, l)| (p.clone(), l.clone()))
                .collect(),
            facts: ruling.facts.clone(),
            plugins: plugins.iter().map(|source| source.digest).collect(),
        }
    }
}

/// What the files say now.
struct Loaded {
    reload: Reload,
    meaning: Meaning,
    /// The files that plugins were read from.
    files: Vec<PathBuf>,
    /// Whether the configuration says something else that holds only from the next start on.
    is_half: bool,
}

impl Origin {
    pub(crate) fn of(parts: &Parts<'_>, plugins: Plugins) -> Self {
        Self {
            config: parts.config.clone(),
            home: parts.home.clone(),
            allow: parts.allow.to_vec(),
            given: parts.policies.to_vec(),
            plugins,
        }
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The policies and the classification as the files say now.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn policies(&self) -> anyhow::Result<(Pdp, Read)> {
        self.policies_of(&self.config()?)
    }

    fn policies_of(&self, config: &Config) -> anyhow::Result<(Pdp, Read)> {
        let parts = Parts {
            policies: &self.given,
            ..Parts::new(config, &self.home, &self.allow)
        };
        policies(&parts, &Person::current(), &search_path())
    }

    fn config(&self) -> anyhow::Result<Config> {
        match &self.config.file {
            Some(path) => Config::read(path),
            None => Ok(self.config.clone()),
        }
    }

    fn load(&self) -> anyhow::Result<Loaded> {
        let config = self.config()?;
        let (pdp, read) = self.policies_of(&config)?;
        let ruling = Ruling {
            pdp,
            facts: facts(&config, &Person::current()),
            digest: read.digest,
        };
        let sources = self.plugins.found(&config)?;
        let is_fixed = matches!(self.plugins, Plugins::Named);
        Ok(Loaded {
            meaning: Meaning::of(&ruling, &config, &sources),
            files: sources
                .iter()
                .flat_map(|source| source.files.clone())
                .collect(),
            is_half: config.fixed() != self.config.fixed(),
            reload: Reload {
                ruling,
                sources: (!is_fixed).then_some(sources),
            },
        })
    }

    /// Differs where what is in force may; errors have texts as well. Plugins are looked at and not read: `files` are
    /// those that they were read from.
    fn fingerprint(&self, files: &[PathBuf]) -> String {
        let read = || {
            let config = self.config()?;
            let parts = Parts {
                policies: &self.given,
                ..Parts::new(&config, &self.home, &self.allow)
            };
            let sources = crate::decides::sources(&parts)?;
            let named = crate::decides::classification(&config, &Person::current())?;
            let mut print = format!("{} {config:?}", sources.digest(&named));
            let paths = self.plugins.paths(&config).iter();
            for place in paths.flat_map(|path| places(path)) {
                stamp(&place, &mut print)?;
            }
            for file in files {
                stamp(file, &mut print)?;
            }
            anyhow::Ok(print)
        };
        read().unwrap_or_else(|error| format!("{error:#}"))
    }

    async fn looked(&self, files: &[PathBuf]) -> anyhow::Result<String> {
        let (origin, files) = (self.clone(), files.to_vec());
        let look = tokio::task::spawn_blocking(move || origin.fingerprint(&files));
        look.await.context("the policies cannot be looked at")
    }

    /// Puts what changes in force, as long as the gate runs. What is broken changes nothing and is told. `meaning` is
    /// what the gate began with, so that no change between its reading and ours is lost.
    ///
    /// # Errors
    /// What stops the gate.
    pub(crate) async fn follow(
        self,
        gate: &Gate,
        recorder: &Recorder,
        mut meaning: Meaning,
    ) -> anyhow::Result<()> {
        let mut files = Vec::new();
        let (mut known, mut before) = (String::new(), String::new());
        let mut is_told = false;
        loop {
            let now = self.looked(&files).await?;
            // A file that is just being written may look whole and be empty.
            let settled = now == std::mem::replace(&mut before, now.clone());
            if now == known || !settled {
                tokio::time::sleep(INTERVAL).await;
                continue;
            }
            known = now;
            let origin = self.clone();
            match tokio::task::spawn_blocking(move || origin.load()).await? {
                Ok(loaded) => {
                    // These are looked at from now on, so what was known of the others is not.
                    if files != loaded.files {
                        files = loaded.files;
                        known = self.looked(&files).await?;
                        before.clone_from(&known);
                    }
                    if loaded.is_half && !std::mem::replace(&mut is_told, loaded.is_half) {
                        eprintln!(
                            "bailiwick: what the configuration says anew beyond policies, plugins, classification, users, \
                             environment and labels holds from the next start on"
                        );
                    }
                    if meaning == loaded.meaning {
                        continue;
                    }
                    meaning = loaded.meaning;
                    let digest = loaded.reload.ruling.digest.clone();
                    gate.reload(loaded.reload).await?;
                    crate::changes::seen(&self.home, &digest)?;
                    eprintln!(
                        "bailiwick: what policies, configuration and manifests say anew is in force"
                    );
                }
                Err(error) => self.refused(recorder, &error).await?,
            }
        }
    }

    async fn refused(&self, recorder: &Recorder, error: &anyhow::Error) -> anyhow::Result<()> {
        let reason = format!("{error:#}");
        eprintln!(
            "bailiwick: policies, configuration or manifests changed and are not taken; the old ones stay in force:\n{reason}"
        );
        let event = Event::PolicyChange {
            policy_sha256: String::new(),
            loaded: false,
            reason,
        };
        Ok(recorder.durable(&Subject::default(), event).await?)
    }
}

/// Adds what changes whenever a file's content, mode or place does. What is not there is a state as well.
fn stamp(path: &Path, print: &mut String) -> anyhow::Result<()> {
    match path.metadata() {
        Ok(meta) => write!(
            print,
            "\n{} {} {} {} {}.{}",
            path.display(),
            meta.dev(),
            meta.ino(),
            meta.len(),
            meta.ctime(),
            meta.ctime_nsec()
        )?,
        Err(error) => write!(print, "\n{} {:?}", path.display(), error.kind())?,
    }
    Ok(())
}
