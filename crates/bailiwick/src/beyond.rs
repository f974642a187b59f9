//! The log's checkpoints beyond this machine: witnesses are asked and places published to while a gate runs, on a thread
//! of their own that nothing waits for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bailiwick_audit::{
    Cosigning, Log, VerifierKey, escape, keep_cosigned, prove_consistency, published_note,
};
use bailiwick_tlog::{Checkpoint, SignedNote};
use bailiwick_witness::{Client, Method, Peer, Proofs, Target, Url, Witnesses, cosigned_by};

use crate::config::{Audit, Config, PublishMethod, PublishTo};

/// How often the log is looked at.
const POLL: Duration = Duration::from_secs(1);
/// No witness and no place hears of a log more often, unless it closes.
const EVERY: Duration = Duration::from_secs(5);
/// The longest that a witness or place that failed is left alone.
const LONGEST: Duration = Duration::from_secs(300);
/// How long the end of a gate waits for the last round.
const LAST_ROUND: Duration = Duration::from_secs(20);

/// Where checkpoints go, and who cosigns them.
#[derive(Clone)]
pub(crate) struct Plan {
    client: Client,
    pub(crate) peers: Vec<Peer>,
    pub(crate) at_least: usize,
    pub(crate) targets: Vec<Target>,
}

impl Plan {
    /// Reads the configuration; `None` when the log's checkpoints stay here.
    pub(crate) fn read(config: &Config) -> anyhow::Result<Option<Self>> {
        let audit = &config.audit;
        if audit.witnesses.is_empty() && audit.publish.is_empty() {
            ensure!(
                audit.at_least == 0,
                "`audit.at_least` asks for witnesses, and `audit.witnesses` names none"
            );
            return Ok(None);
        }
        Ok(Some(Self {
            client: Client::new(&config.trusted_authorities()?)?,
            peers: peers(audit)?,
            at_least: audit.at_least,
            targets: audit
                .publish
                .iter()
                .map(target)
                .collect::<anyhow::Result<_>>()?,
        }))
    }
}

fn peers(audit: &Audit) -> anyhow::Result<Vec<Peer>> {
    let mut peers: Vec<Peer> = Vec::new();
    for (place, witness) in audit.witnesses.iter().enumerate() {
        let named = || format!("`audit.witnesses`, number {}", place + 1);
        let url: Url = witness.url.parse().with_context(named)?;
        let key: bailiwick_tlog::WitnessKey = witness.key.parse().with_context(named)?;
        ensure!(
            !peers
                .iter()
                .any(|peer| peer.key.public_bytes() == key.public_bytes()),
            "{}: this key is named twice, and one witness counts once",
            named()
        );
        peers.push(Peer { url, key });
    }
    ensure!(
        audit.at_least <= peers.len(),
        "`audit.at_least` asks for {} witnesses, and there are {}",
        audit.at_least,
        peers.len()
    );
    Ok(peers)
}

fn target(to: &PublishTo) -> anyhow::Result<Target> {
    Ok(match to {
        PublishTo {
            file: Some(path),
            url: None,
            method: None,
            git: None,
            branch: None,
        } => Target::File(path.clone()),
        PublishTo {
            file: None,
            url: Some(url),
            method,
            git: None,
            branch: None,
        } => {
            url.replace("{log}", "x")
                .parse::<Url>()
                .context("`audit.publish`")?;
            let method = match method {
                Some(PublishMethod::Post) => Method::Post,
                Some(PublishMethod::Put) | None => Method::Put,
            };
            Target::Http {
                url: url.clone(),
                method,
            }
        }
        PublishTo {
            file: None,
            url: None,
            method: None,
            git: Some(path),
            branch,
        } => Target::Git {
            path: path.clone(),
            branch: branch.clone().unwrap_or_else(|| "checkpoints".to_owned()),
        },
        _ => bail!(
            "`audit.publish`: write one of `{{file: PATH}}`, `{{url: URL, method: put}}` and `{{git: PATH, branch: NAME}}`"
        ),
    })
}

/// One who hears of checkpoints, and how it went so far.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// The note that it has heard of.
    heard: Option<String>,
    due: Option<Instant>,
    failures: u32,
    /// What was said last of it, so that it is not said again.
    told: Option<String>,
}

impl Standing {
    fn is_due(&self, text: &str, closing: bool) -> bool {
        let new = self.heard.as_deref() != Some(text);
        new && (closing || self.due.is_none_or(|due| due <= Instant::now()))
    }

    /// Notes the outcome, and gives what a person should hear of it.
    fn note(&mut self, text: &str, outcome: &Result<(), String>) -> Option<String> {
        let (wait, told) = match outcome {
            Ok(()) => {
                self.heard = Some(text.to_owned());
                self.failures = 0;
                let told = self.told.take().map(|_| "answers again".to_owned());
                return self.next(EVERY, told);
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                let wait = EVERY.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
                let new = self.told.as_ref() != Some(why);
                self.told = Some(why.clone());
                (wait, new.then(|| why.clone()))
            }
        };
        self.next(wait, told)
    }

    fn next(&mut self, wait: Duration, told: Option<String>) -> Option<String> {
        self.due = Some(Instant::now() + wait);
        told
    }
}

/// Takes one log's checkpoints beyond this machine.
pub(crate) struct Courier {
    plan: Plan,
    dir: PathBuf,
    key: VerifierKey,
    /// A hand on the log, where it is open here.
    log: Option<Cosigning>,
    witnesses: Witnesses,
    /// Signature lines on the checkpoint with this text, by witness.
    text: String,
    lines: BTreeMap<usize, String>,
    asked: Vec<Standing>,
    published: Vec<Standing>,
}

/// What became of one witness or place.
pub(crate) struct Outcome {
    pub(crate) who: String,
    pub(crate) result: Result<(), String>,
    /// What has to be said of it, where it is news.
    news: Option<String>,
}

/// What became of a round.
pub(crate) struct Round {
    pub(crate) size: u64,
    /// How many witnesses have cosigned the checkpoint by now.
    pub(crate) cosigned: usize,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Courier {
    pub(crate) fn new(plan: Plan, dir: &Path, key: VerifierKey, log: Option<Cosigning>) -> Self {
        Self {
            witnesses: Witnesses::new(plan.client.clone(), plan.peers.clone()),
            asked: vec![Standing::default(); plan.peers.len()],
            published: vec![Standing::default(); plan.targets.len()],
            plan,
            dir: dir.to_owned(),
            key,
            log,
            text: String::new(),
            lines: BTreeMap::new(),
        }
    }

    /// Asks and publishes what is due; everything when the log closes.
    pub(crate) async fn round(&mut self, closing: bool) -> anyhow::Result<Round> {
        let note = published_note(&self.dir)?;
        let checkpoint = Checkpoint::open(&note.to_string(), &self.key)?;
        if note.unverified_text() != self.text {
            self.text = note.unverified_text().to_owned();
            self.lines.clear();
        }
        let mut outcomes = self.ask(&note, &checkpoint, closing).await;
        let mut note = note;
        note.add_lines_of(self.lines.values())?;
        let written = note.to_string();
        for (target, standing) in self.plan.targets.iter().zip(&mut self.published) {
            if !standing.is_due(&written, closing) {
                continue;
            }
            let done = target.publish(&self.plan.client, &note, &checkpoint).await;
            let result = done.map_err(|error| error.to_string());
            outcomes.push(Outcome {
                who: target.to_string(),
                news: standing.note(&written, &result),
                result,
            });
        }
        let keys: Vec<_> = self
            .plan
            .peers
            .iter()
            .map(|peer| peer.key.clone())
            .collect();
        let cosigned = cosigned_by(&note, &keys, 0).map_or(0, |found| found.len());
        Ok(Round {
            size: checkpoint.size,
            cosigned,
            outcomes,
        })
    }

    async fn ask(
        &mut self,
        note: &SignedNote,
        checkpoint: &Checkpoint,
        closing: bool,
    ) -> Vec<Outcome> {
        let text = note.unverified_text();
        let due: Vec<usize> = (0..)
            .zip(&self.asked)
            .filter(|(_, standing)| standing.is_due(text, closing))
            .map(|(place, _)| place)
            .collect();
        let dir = self.dir.clone();
        let proofs: Proofs = Arc::new(move |old, new| {
            prove_consistency(&dir, old, new).map_err(|error| error.to_string())
        });
        let answers = self.witnesses.ask(&due, note, checkpoint, &proofs).await;
        let mut outcomes = Vec::new();
        let mut fresh = false;
        for (place, answer) in answers {
            let result = answer.map_err(|refusal| refusal.to_string()).map(|line| {
                fresh = true;
                self.lines.insert(place, line);
            });
            let (Some(standing), Some(peer)) =
                (self.asked.get_mut(place), self.plan.peers.get(place))
            else {
                continue;
            };
            outcomes.push(Outcome {
                who: format!("witness {}", peer.key.name()),
                news: standing.note(text, &result),
                result,
            });
        }
        if fresh {
            outcomes.extend(self.keep(note));
        }
        outcomes
    }

    /// Keeps the cosignatures with the log.
    fn keep(&self, note: &SignedNote) -> Option<Outcome> {
        let mut note = note.clone();
        let kept = note
            .add_lines_of(self.lines.values())
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let kept = match &self.log {
                    Some(log) => log.keep(&self.dir, &note),
                    None => keep_cosigned(&self.dir, &note),
                };
                kept.map(drop).map_err(|error| error.to_string())
            });
        kept.err().map(|why| Outcome {
            who: "cosignatures".to_owned(),
            news: Some(why.clone()),
            result: Err(why),
        })
    }
}

/// The thread of a running gate.
pub(crate) struct Beyond {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
}

impl Beyond {
    /// Starts it where the configuration has something for it to do.
    pub(crate) fn start(config: &Config, log: &Log) -> anyhow::Result<Option<Self>> {
        let Some(plan) = Plan::read(config)? else {
            return Ok(None);
        };
        let courier = Courier::new(
            plan,
            log.dir(),
            log.verifier_key().clone(),
            Some(log.cosigning()),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = channel();
        let (finished, done) = channel();
        let thread = std::thread::Builder::new()
            .name("audit-beyond".to_owned())
            .spawn(move || {
                runtime.block_on(run(courier, &stopped));
                let _ = finished.send(());
                runtime.shutdown_background();
            })?;
        Ok(Some(Self {
            stop: Some(stop),
            thread: Some(thread),
            done,
        }))
    }
}

impl Drop for Beyond {
    /// The last checkpoint goes out as well, if that takes no longer than a person waits.
    fn drop(&mut self) {
        self.stop.take();
        if self.done.recv_timeout(LAST_ROUND).is_ok() {
            let _ = self.thread.take().map(JoinHandle::join);
        } else {
            eprintln!(
                "bailiwick: the last checkpoint did not reach every witness and place in time"
            );
        }
    }
}

async fn run(mut courier: Courier, stopped: &Receiver<()>) {
    let mut told = None;
    loop {
        let closing = matches!(
            stopped.recv_timeout(POLL),
            Err(RecvTimeoutError::Disconnected) | Ok(())
        );
        match courier.round(closing).await {
            Ok(round) => {
                told = None;
                for outcome in &round.outcomes {
                    if let Some(news) = &outcome.news {
                        eprintln!("bailiwick: {}: {}", escape(&outcome.who), escape(news));
                    }
                }
            }
            Err(error) => {
                let why = format!("{error:#}");
                if told.as_ref() != Some(&why) {
                    eprintln!("bailiwick: checkpoints stay here: {}", escape(&why));
                    told = Some(why);
                }
            }
        }
        if closing {
            return;
        }
    }
}
