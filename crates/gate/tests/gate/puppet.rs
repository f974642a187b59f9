//! A plugin that misbehaves on demand, in ways in which no real one does when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bailiwick_gate::discover::source;
use bailiwick_gate::record::Record;
use bailiwick_gate::world::{Builder, CallError, Instance, Launch, Preparation, Progress, Source};
use bailiwick_manifest::Manifest;
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_wall::{Denied, Wall, WallError};
use bailiwick_wasm::Wasm;
use serde_json::{Map, Value, json};

/// What the plugin does at its next call.
pub(crate) enum Act {
    Answer(Box<CallToolResult>),
    Fail(CallError),
    /// It never answers.
    Hang,
    /// It answers, and then it is gone.
    AnswerAndDie,
}

/// What all instances of a puppet share: the test pulls these strings.
#[derive(Default)]
pub(crate) struct Strings {
    /// The tools of each start, the last one for all later starts.
    pub(crate) tools: Mutex<VecDeque<Vec<Tool>>>,
    pub(crate) acts: Mutex<VecDeque<Act>>,
    /// Starts, stops and calls, in order.
    pub(crate) seen: Mutex<Vec<String>>,
    /// What its wall refused and nobody has asked for yet.
    pub(crate) denied: Mutex<Vec<Denied>>,
}

impl Strings {
    pub(crate) fn pull(&self, act: Act) {
        self.acts.lock().unwrap().push_back(act);
    }

    /// Its wall refuses reading a file so many times.
    pub(crate) fn refuse(&self, target: &str, times: u64) {
        self.denied.lock().unwrap().push(Denied {
            operation: "read_files".to_owned(),
            target: target.to_owned(),
            reason: "not granted".to_owned(),
            times,
        });
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn see(&self, what: &str) {
        self.seen.lock().unwrap().push(what.to_owned());
    }
}

pub(crate) struct Puppeteer {
    strings: Arc<Strings>,
    wall: Wasm,
}

/// A builder, and its strings, for a plugin with these tools.
pub(crate) fn puppet(tools: &[&str]) -> (Arc<dyn Builder>, Arc<Strings>) {
    puppet_with(vec![tools.iter().map(|name| tool(name)).collect()])
}

pub(crate) fn puppet_with(starts: Vec<Vec<Tool>>) -> (Arc<dyn Builder>, Arc<Strings>) {
    let strings = Arc::new(Strings {
        tools: Mutex::new(starts.into()),
        ..Strings::default()
    });
    let builder = Puppeteer {
        strings: strings.clone(),
        wall: Wasm::new(None).unwrap(),
    };
    (Arc::new(builder), strings)
}

pub(crate) fn tool(name: &str) -> Tool {
    Tool::new(name, json!({"type": "object"}).as_object().unwrap().clone())
}

/// A native plugin's manifest; `rest` is more of it.
pub(crate) fn native(id: &str, rest: &str) -> Source {
    let text = format!("id: {id}\nversion: 1.0.0\nruntime: {{command: [puppet]}}\n{rest}\n");
    source(
        Manifest::parse("plugin.yaml", text.as_bytes()).unwrap(),
        None,
        None,
    )
}

#[async_trait]
impl Builder for Puppeteer {
    fn wall(&self) -> &dyn Wall {
        &self.wall
    }

    async fn prepare(&self, _: &Source, _: Progress, _: Record) -> Result<Preparation, WallError> {
        Ok(Preparation::default())
    }

    async fn start(&self, _: Launch) -> Result<Box<dyn Instance>, WallError> {
        self.strings.see("start");
        let mut starts = self.strings.tools.lock().unwrap();
        let tools = match starts.len() {
            1 => starts[0].clone(),
            _ => starts.pop_front().unwrap(),
        };
        Ok(Box::new(Puppet {
            strings: self.strings.clone(),
            tools,
            ended: Mutex::default(),
        }))
    }
}

struct Puppet {
    strings: Arc<Strings>,
    tools: Vec<Tool>,
    ended: Mutex<Option<String>>,
}

#[async_trait]
impl Instance for Puppet {
    async fn tools(&self) -> Result<Vec<Tool>, CallError> {
        Ok(self.tools.clone())
    }

    async fn call(&self, tool: &str, _: Map<String, Value>) -> Result<CallToolResult, CallError> {
        self.strings.see(tool);
        let act = self.strings.acts.lock().unwrap().pop_front();
        match act {
            None => Ok(CallToolResult::text("fine")),
            Some(Act::Answer(result)) => Ok(*result),
            Some(Act::Fail(error)) => {
                if let CallError::Gone(why) = &error {
                    *self.ended.lock().unwrap() = Some(why.clone());
                }
                Err(error)
            }
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::AnswerAndDie) => {
                *self.ended.lock().unwrap() = Some("exit status: 3".to_owned());
                Ok(CallToolResult::text("last words"))
            }
        }
    }

    fn denied(&self) -> Vec<Denied> {
        self.strings.denied.lock().unwrap().split_off(0)
    }

    fn ended(&self) -> Option<String> {
        self.ended.lock().unwrap().clone()
    }

    async fn stop(&self) {
        self.strings.see("stop");
        self.ended
            .lock()
            .unwrap()
            .get_or_insert_with(|| "it was stopped".to_owned());
    }
}
