//! Stands around everything that the gate can have an effect with, and looks, at each effect, whether the log on the
//! disk already holds the event that must precede it, and under a signature where it has to be durable.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_audit::{Event, Filter, query, read_verifier_key, verify};
use bailiwick_capability::Grant;
use bailiwick_gate::record::Record;
use bailiwick_gate::world::{Builder, CallError, Instance, Launch, Preparation, Progress, Source};
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_wall::{Denied, HeldAtom, Hold, Report, Wall, WallError};
use serde_json::{Map, Value};

use crate::faulty::Faulty;

/// What the gate can cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Packages are fetched, the machine's tools run.
    Prepare(String),
    /// The plugin's code runs for the first time.
    Start(String),
    /// It is asked for its tools.
    AskTools(String),
    /// It is given a call.
    Call(String, String),
    /// The agent sees tools.
    Show,
    /// The agent sees an answer, also one that refuses.
    Answer,
}

/// Everything that happened, and what happened without its record.
pub(crate) struct Book {
    pub(crate) log: Mutex<PathBuf>,
    pub(crate) disk: Arc<Faulty>,
    pub(crate) effects: Mutex<Vec<Effect>>,
    pub(crate) unrecorded: Mutex<Vec<String>>,
}

impl Book {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            log: Mutex::default(),
            disk: Arc::default(),
            effects: Mutex::default(),
            unrecorded: Mutex::default(),
        })
    }

    /// An effect happens now.
    pub(crate) fn happens(&self, effect: Effect) {
        let times = {
            let mut effects = self.effects.lock().unwrap();
            effects.push(effect.clone());
            effects.iter().filter(|other| **other == effect).count()
        };
        let complain = |why: &str| {
            self.unrecorded
                .lock()
                .unwrap()
                .push(format!("{effect:?}: {why}"))
        };
        if self.disk.refused() {
            complain("the log had failed");
        }
        for (what, durable, recorded) in self.preceding(&effect) {
            let recorded: Vec<bool> = recorded;
            if recorded.len() < times {
                complain(&format!(
                    "happened {times} times, with {} {what}",
                    recorded.len()
                ));
            } else if durable && !recorded[..times].iter().all(|signed| *signed) {
                complain(&format!("its {what} is not signed on the disk"));
            }
        }
    }

    /// The events that must precede an effect: their kind, whether they have to be durable, and for each whether it is.
    fn preceding(&self, effect: &Effect) -> Vec<(&'static str, bool, Vec<bool>)> {
        let of = |plugin: &str, kind: &'static str| {
            let plugin = Some(plugin.to_owned());
            self.found(kind, |event, of| of == plugin && event.kind() == kind)
        };
        match effect {
            Effect::Prepare(plugin) => ["request", "decision", "token_minted"]
                .map(|kind| (kind, true, of(plugin, kind)))
                .into(),
            Effect::Start(plugin) | Effect::AskTools(plugin) => {
                vec![("plugin_start", true, of(plugin, "plugin_start"))]
            }
            Effect::Call(plugin, own) => {
                let of_tool = |event: &Event, of: Option<String>| match event {
                    Event::ToolCall { tool, .. } => {
                        of.as_ref() == Some(plugin) && tool.ends_with(&format!("__{own}"))
                    }
                    _ => false,
                };
                let risky = plugin == "risky";
                vec![("tool_call", risky, self.found("tool_call", of_tool))]
            }
            Effect::Show => {
                let listed = |event: &Event, of: Option<String>| {
                    of.is_none() && event.kind() == "tools_listed"
                };
                vec![("tools_listed", false, self.found("tools_listed", listed))]
            }
            Effect::Answer => {
                let told =
                    |event: &Event, _| matches!(event.kind(), "tool_result" | "call_refused");
                vec![("tool_result or call_refused", false, self.found("", told))]
            }
        }
    }

    fn found(&self, kind: &str, wanted: impl Fn(&Event, Option<String>) -> bool) -> Vec<bool> {
        let dir = self.log.lock().unwrap().clone();
        let key = read_verifier_key(&dir).unwrap();
        let verified = verify(&dir, &key, None).unwrap();
        let signed = verified.size - verified.unsealed();
        let filter = Filter {
            kind: (!kind.is_empty()).then(|| kind.to_owned()),
            ..Filter::default()
        };
        query(&dir, filter)
            .map(|stored| stored.unwrap())
            .filter_map(|stored| {
                let entry = stored.entry().unwrap();
                wanted(&entry.event, entry.subject.plugin).then_some(stored.index < signed)
            })
            .collect()
    }
}

/// A builder that is looked at.
pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn Builder>,
    pub(crate) book: Arc<Book>,
}

/// Holds everything: this is about the log.
struct Holds;

impl Wall for Holds {
    fn name(&self) -> &'static str {
        "test"
    }

    fn report(&self, grant: &Grant) -> Report {
        let held = |atom: &bailiwick_capability::Granted| HeldAtom {
            atom: atom.clone(),
            hold: Hold::Fully {
                how: "as a test".to_owned(),
            },
        };
        Report {
            wall: "test",
            atoms: grant.atoms().iter().map(held).collect(),
        }
    }
}

#[async_trait]
impl Builder for Watched {
    fn wall(&self) -> &dyn Wall {
        &Holds
    }

    async fn prepare(
        &self,
        source: &Source,
        progress: Progress,
        record: Record,
    ) -> Result<Preparation, WallError> {
        self.book
            .happens(Effect::Prepare(source.manifest.id().to_string()));
        self.inner.prepare(source, progress, record).await
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Instance>, WallError> {
        let plugin = launch.source.manifest.id().to_string();
        self.book.happens(Effect::Start(plugin.clone()));
        Ok(Box::new(Seen {
            inner: self.inner.start(launch).await?,
            plugin,
            book: self.book.clone(),
        }))
    }
}

struct Seen {
    inner: Box<dyn Instance>,
    plugin: String,
    book: Arc<Book>,
}

#[async_trait]
impl Instance for Seen {
    async fn tools(&self) -> Result<Vec<Tool>, CallError> {
        self.book.happens(Effect::AskTools(self.plugin.clone()));
        self.inner.tools().await
    }

    async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, CallError> {
        self.book
            .happens(Effect::Call(self.plugin.clone(), tool.to_owned()));
        self.inner.call(tool, arguments).await
    }

    fn denied(&self) -> Vec<Denied> {
        self.inner.denied()
    }

    fn ended(&self) -> Option<String> {
        self.inner.ended()
    }

    async fn stop(&self) {
        self.inner.stop().await;
    }
}
