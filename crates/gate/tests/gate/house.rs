//! A host made of real parts in a temporary folder, and what its log says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick_audit::{Clock, Entry, Event, Filter, Log, Options, query};
use bailiwick_gate::approve::Approvals;
use bailiwick_gate::discover::{discover, source};
use bailiwick_gate::ledger::InMemory;
use bailiwick_gate::record::{Record, Recorder};
use bailiwick_gate::resolve::SearchPath;
use bailiwick_gate::withdrawn::RevocationList;
use bailiwick_gate::world::{Builder, CallError, Instance, Launch, Preparation, Progress, Source};
use bailiwick_gate::{Facts, Host, Judge, Ruling, Session};
use bailiwick_manifest::Manifest;
use bailiwick_mcp::{CallToolResult, Tool};
use bailiwick_policy::{Agent, Classification, Pdp, PolicySource, User};
use bailiwick_token::{Keys, Revocation, Revocations, Revoked};
use bailiwick_wall::{Denied, Wall, WallError};
use bailiwick_wasm::{Aside, CallError as WasmError, Plugin, Wasm};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

const NOTEBOOK: &str = include_str!("../../../../examples/demo/notebook.wat");

/// A clock that a test sets.
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A list of revocations that a test adds to, and breaks.
pub(crate) struct TestList(Mutex<Result<Revocations, String>>);

impl Default for TestList {
    fn default() -> Self {
        Self(Mutex::new(Ok(Revocations::default())))
    }
}

impl TestList {
    pub(crate) fn revoke(&self, kind: &str, name: &str) {
        let revocation = Revocation {
            what: Revoked::new(kind, name).unwrap(),
            at: 1_800_000_000,
            reason: "stolen".to_owned(),
        };
        self.0.lock().unwrap().as_mut().unwrap().add(revocation);
    }

    pub(crate) fn damage(&self) {
        *self.0.lock().unwrap() = Err("line 7 is torn".to_owned());
    }
}

impl RevocationList for TestList {
    fn current(&self) -> Result<Arc<Revocations>, String> {
        self.0.lock().unwrap().clone().map(Arc::new)
    }
}

type Hook = Box<dyn Fn() + Send + Sync>;

/// Counts what the gate does with a builder, and does something of the test's own at each step.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) prepared: AtomicUsize,
    pub(crate) started: AtomicUsize,
    pub(crate) called: AtomicUsize,
    pub(crate) on_prepare: Mutex<Option<Hook>>,
    pub(crate) on_call: Mutex<Option<Hook>>,
}

impl Steps {
    pub(crate) fn counts(&self) -> [usize; 3] {
        [&self.prepared, &self.started, &self.called].map(|count| count.load(Ordering::SeqCst))
    }

    pub(crate) fn step(count: &AtomicUsize, hook: Option<&Mutex<Option<Hook>>>) {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(hook) = hook.and_then(|hook| hook.lock().unwrap().take()) {
            hook();
        }
    }
}

/// The real Wasm wall, counted.
struct Counted {
    wasm: Wasm,
    steps: Arc<Steps>,
}

#[async_trait]
impl Builder for Counted {
    fn wall(&self) -> &dyn Wall {
        &self.wasm
    }

    async fn prepare(&self, _: &Source, _: Progress, _: Record) -> Result<Preparation, WallError> {
        Steps::step(&self.steps.prepared, Some(&self.steps.on_prepare));
        Ok(Preparation::default())
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Instance>, WallError> {
        Steps::step(&self.steps.started, None);
        let bytes = launch.source.component.clone().unwrap();
        let plugin = self
            .wasm
            .load(&bytes, launch.grant(), launch.env.clone(), &launch.limits)?;
        Ok(Box::new(Component {
            plugin,
            steps: self.steps.clone(),
            denied: Mutex::default(),
        }))
    }
}

struct Component {
    plugin: Plugin,
    steps: Arc<Steps>,
    denied: Mutex<Vec<Denied>>,
}

#[async_trait]
impl Instance for Component {
    async fn tools(&self) -> Result<Vec<Tool>, CallError> {
        let tool = |spec: &bailiwick_wasm::ToolSpec| {
            let mut tool = Tool::new(&spec.name, spec.input_schema.as_object().unwrap().clone());
            tool.output_schema = spec
                .output_schema
                .as_ref()
                .map(|s| s.as_object().unwrap().clone());
            tool
        };
        Ok(self.plugin.tools().iter().map(tool).collect())
    }

    async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, CallError> {
        Steps::step(&self.steps.called, Some(&self.steps.on_call));
        let mut aside = Aside::default();
        let outcome = self.plugin.call(tool, &arguments, &mut aside).await;
        self.denied.lock().unwrap().append(&mut aside.denied);
        match outcome {
            Ok(value) => Ok(CallToolResult {
                structured_content: Some(value.clone()),
                ..CallToolResult::text(value.to_string())
            }),
            Err(WasmError::Tool(value)) => Ok(CallToolResult::error(value.to_string(), None)),
            Err(error) => Err(CallError::Gone(error.to_string())),
        }
    }

    fn denied(&self) -> Vec<Denied> {
        std::mem::take(&mut *self.denied.lock().unwrap())
    }

    fn ended(&self) -> Option<String> {
        None
    }

    async fn stop(&self) {}
}

/// A host with its folder.
pub(crate) struct House {
    pub(crate) host: Arc<Host>,
    pub(crate) log: Log,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) steps: Arc<Steps>,
    pub(crate) revoked: Arc<TestList>,
    dir: tempfile::TempDir,
}

pub(crate) fn agent() -> Agent {
    Agent {
        name: "tester".to_owned(),
        version: "1.0".to_owned(),
    }
}

pub(crate) fn facts() -> Facts {
    Facts {
        user: User {
            name: "ann".to_owned(),
            ..User::default()
        },
        environment: "test".to_owned(),
        labels: BTreeSet::new(),
    }
}

impl House {
    /// A host that obeys the default policies and `policy`, in which `{docs}` stands for a folder with a note.
    pub(crate) fn new(policy: &str) -> Self {
        Self::with(policy, None)
    }

    /// The same, with `native` in place of the native wall.
    pub(crate) fn with(policy: &str, native: Option<Arc<dyn Builder>>) -> Self {
        Self::on(policy, native, Options::default())
    }

    /// The same, with a log that is opened like this.
    pub(crate) fn on(policy: &str, native: Option<Arc<dyn Builder>>, options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("docs")).unwrap();
        std::fs::write(root.join("docs/note.txt"), "one two three").unwrap();
        std::fs::write(root.join("key"), "canary-91c2").unwrap();
        let log = Log::open(&root.join("audit"), options).unwrap();
        let mut sources = Pdp::default_sources();
        let text = policy.replace("{docs}", root.join("docs").to_str().unwrap());
        if !text.is_empty() {
            sources.push(PolicySource::new("test.cedar", text));
        }
        let steps = Arc::new(Steps::default());
        let revoked = Arc::new(TestList::default());
        let clock = Arc::new(TestClock(AtomicU64::new(1_800_000_000)));
        let wasm = Wasm::new(None).unwrap();
        let judge = Judge {
            in_force: Ruling {
                pdp: Pdp::load(&sources, &Classification::default()).unwrap(),
                facts: facts(),
                digest: "p".to_owned(),
            }
            .into(),
            clock: clock.clone(),
            zone: Arc::new(|_| 0),
            native: native.ok_or_else(|| "this test has no native wall".to_owned()),
            wasm: Ok(Arc::new(Counted {
                wasm,
                steps: steps.clone(),
            })),
            machine: ["landlock", "userns"].map(str::to_owned).into(),
            search: SearchPath::new("/usr/bin:/bin"),
        };
        let host = Host {
            judge,
            keys: Keys::generate(),
            approvals: Approvals::nobody(),
            revocations: revoked.clone(),
            ledger: Arc::new(InMemory::default()),
            recorder: Recorder::new(log.clone(), false),
            variables: vec![
                ("LANG".to_owned(), "C".to_owned()),
                ("API_TOKEN".to_owned(), "canary-77aa".to_owned()),
                ("BAILIWICK_HOME".to_owned(), "/state".to_owned()),
            ],
            progress: Arc::new(|_| {}),
            token_seconds: 3600,
            learning: None,
            config_digest: "c".to_owned(),
        };
        Self {
            host: Arc::new(host),
            log,
            clock,
            steps,
            revoked,
            dir,
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub(crate) fn docs(&self) -> String {
        self.root().join("docs").to_str().unwrap().to_owned()
    }

    /// The notebook component under a manifest's beginning; `{docs}` stands for the folder.
    pub(crate) fn notebook(&self, manifest: &str) -> Source {
        let text = format!("{manifest}\nruntime: {{component: plugin.wasm}}\n")
            .replace("{docs}", &self.docs());
        let manifest = Manifest::parse("plugin.yaml", text.as_bytes()).unwrap();
        source(
            manifest,
            Some(self.root()),
            Some(wat::parse_str(NOTEBOOK).unwrap()),
        )
    }

    pub(crate) async fn open(&self, sources: Vec<Source>) -> Session {
        Session::open(self.host.clone(), sources, agent(), "2025-11-25", true)
            .await
            .unwrap()
    }

    /// Every event so far, with its subject.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let _ = self.log.flush();
        query(self.log.dir(), Filter::default())
            .map(|stored| stored.unwrap().entry().unwrap())
            .collect()
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.entries()
            .iter()
            .map(|entry| entry.event.kind())
            .collect()
    }

    pub(crate) fn events(&self, kind: &str) -> Vec<Event> {
        let all = self.entries().into_iter().map(|entry| entry.event);
        all.filter(|event| event.kind() == kind).collect()
    }

    /// Closes the log at this moment: every later record fails.
    pub(crate) fn closer(&self) -> Hook {
        let log = self.log.clone();
        Box::new(move || log.close().unwrap())
    }
}

pub(crate) const READER: &str = "id: notebook\nversion: 1.0.0\nrequired_capabilities: ['read_files:{docs}/']\n\
     tools: {read-note: {needs: [read_files], arguments: {path: read_files}}}";
pub(crate) const DOCS: &str = "@id(\"docs\") permit (principal, action == Action::\"read_files\", resource in Dir::\"{docs}\");";

pub(crate) fn arguments(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(crate) async fn call(session: &Session, tool: &str, value: Value) -> CallToolResult {
    let cancel = CancellationToken::new();
    session
        .call(tool, arguments(value), None, &cancel)
        .await
        .unwrap()
}

/// The gate's own words in a result.
pub(crate) fn refusal(result: &CallToolResult) -> &Value {
    assert!(result.is_error);
    result.meta.get("bailiwick").expect("machine-readable")
}

pub(crate) fn text(result: &CallToolResult) -> String {
    let blocks = result
        .content
        .iter()
        .filter_map(|block| block["text"].as_str());
    blocks.collect::<Vec<_>>().join("\n")
}

pub(crate) fn found(path: &Path) -> Result<Vec<Source>, String> {
    discover(path).map_err(|error| error.to_string())
}
