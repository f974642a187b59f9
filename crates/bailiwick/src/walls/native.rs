//! Unmodified MCP servers behind the native wall.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bailiwick_capability::{Capability, Grant, Kind, ProgramRef, Scope};
use bailiwick_egress::Egress;
use bailiwick_gate::record::Record;
use bailiwick_gate::world::{
    Builder, CallError, Instance, Launch, Package, Preparation, Progress, Source,
};
use bailiwick_jail::{Jailed, Stdio};
use bailiwick_manifest::Start;
use bailiwick_mcp::{
    CallToolResult, Client, ClientOptions, Implementation, McpError, MessageError, Negotiation,
    Tool, ToolCall,
};
use bailiwick_runtime::{Settings, closure_of, resolve};
use bailiwick_wall::{Closure, Denials, Denied, Limits, Used, Wall, WallError};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::programs::is_bound;
use super::world::{NativeWall, World};

/// What is kept of what a plugin wrote last to its standard error.
const MAX_STDERR: usize = 4 << 10;
/// How long a plugin may take to end by itself, first when its input ends and then when it is asked.
const GRACE: Duration = Duration::from_millis(500);
/// How often its end is looked for meanwhile.
const GLANCE: Duration = Duration::from_millis(5);

/// Prepares and starts native plugins.
pub(crate) struct NativeBuilder {
    wall: NativeWall,
    settings: Settings,
}

impl NativeBuilder {
    pub(crate) fn new(wall: NativeWall, settings: Settings) -> Self {
        Self { wall, settings }
    }

    fn settings_for(&self, source: &Source, progress: Progress) -> Settings {
        let mut settings = self.settings.clone();
        settings.plugin_dir.clone_from(&source.dir);
        settings.progress = progress;
        settings
    }
}

#[async_trait]
impl Builder for NativeBuilder {
    fn wall(&self) -> &dyn Wall {
        &self.wall
    }

    async fn prepare(
        &self,
        source: &Source,
        progress: Progress,
        record: Record,
    ) -> Result<Preparation, WallError> {
        let Start::Command(command) = source.manifest.runtime().start.clone() else {
            return Err(WallError::Plugin(
                "a component is not a native program".to_owned(),
            ));
        };
        let mut settings = self.settings_for(source, progress);
        settings.runner = Arc::new(Confined {
            jail: self.wall.jail,
            watch: self.wall.watch,
            extra_roots: self.wall.extra_roots.clone(),
            record,
            handle: tokio::runtime::Handle::current(),
        });
        tokio::task::spawn_blocking(move || prepare(&command, &settings))
            .await
            .map_err(|error| WallError::Plugin(error.to_string()))?
    }

    fn tells_uses(&self) -> bool {
        true
    }

    async fn start(&self, launch: Launch) -> Result<Box<dyn Instance>, WallError> {
        let Some(program) = launch.preparation.program.clone() else {
            return Err(WallError::Plugin("the program was not prepared".to_owned()));
        };
        let limits = launch.limits.clone();
        let world = || self.wall.world(program.clone(), &launch, &self.settings);
        let started = self.connect(world()?, &limits, Negotiation::Auto).await;
        let instance = match started {
            // It ended at a request that older servers do not know: it gets one more chance.
            Err(Failure::Probe) => self.connect(world()?, &limits, Negotiation::Legacy).await,
            other => other,
        };
        match instance {
            Ok(instance) => Ok(Box::new(instance)),
            Err(Failure::Wall(error)) => Err(error),
            Err(Failure::Probe) => {
                Err(WallError::Plugin("it ended before it spoke MCP".to_owned()))
            }
            Err(Failure::Plugin(why)) => Err(WallError::Plugin(why)),
        }
    }
}

/// Runs off the async threads: it may fetch packages for minutes.
fn prepare(command: &[String], settings: &Settings) -> Result<Preparation, WallError> {
    let prepared =
        resolve(command, settings).map_err(|error| WallError::Plugin(error.to_string()))?;
    let packages = prepared.packages.into_iter().map(|package| Package {
        ecosystem: package.ecosystem.name().to_owned(),
        name: package.name,
        version: package.version,
        integrity: package.integrity,
    });
    Ok(Preparation {
        packages: packages.collect(),
        program: Some(prepared.program),
        explain: prepared.needs.iter().map(ToString::to_string).collect(),
    })
}

/// Programs that were granted need their libraries, too.
pub(super) fn extend_closure(
    closure: &mut Closure,
    grant: &Grant,
    settings: &Settings,
) -> Result<(), WallError> {
    for path in granted_programs(grant) {
        extend_by(closure, &path, grant, settings)?;
    }
    Ok(())
}

/// What one program needs under a grant: what only serves the network comes with the network.
pub(super) fn extend_by(
    closure: &mut Closure,
    program: &Path,
    grant: &Grant,
    settings: &Settings,
) -> Result<(), WallError> {
    let settings = Settings {
        network: grant.of_kind(Kind::NetworkAccess).next().is_some(),
        ..settings.clone()
    };
    let (more, _) =
        closure_of(program, &settings).map_err(|error| WallError::Plugin(error.to_string()))?;
    closure.read.extend(more.read);
    closure.run.extend(more.run);
    Ok(())
}

/// The programs that a grant lets it execute, besides itself.
pub(crate) fn granted_programs(grant: &Grant) -> Vec<PathBuf> {
    let programs = grant
        .of_kind(Kind::ExecuteCode)
        .chain(grant.of_kind(Kind::ExecuteShell));
    programs
        // Where only some arguments are granted, a stub stands that needs nothing.
        .filter(|atom| !is_bound(atom))
        .filter_map(|atom| program_of(atom.capability()))
        .collect()
}

fn program_of(capability: &Capability) -> Option<PathBuf> {
    match capability.scope() {
        Scope::Program(scope) => match scope.program() {
            ProgramRef::Path(path) => Some(PathBuf::from(path.as_str())),
            ProgramRef::Named(_) => None,
        },
        _ => None,
    }
}

enum Failure {
    Wall(WallError),
    /// It went away at the first message.
    Probe,
    Plugin(String),
}

impl NativeBuilder {
    async fn connect(
        &self,
        world: World,
        limits: &Limits,
        negotiation: Negotiation,
    ) -> Result<NativeInstance, Failure> {
        let (jail, bounds) = (self.wall.jail, limits.clone());
        // Building the wall waits for the kernel, some milliseconds.
        let spawn = move || {
            let stdio = Stdio::Piped;
            let started =
                jail.spawn_with(&world.program, &world.grant, &bounds, stdio, &world.extras);
            started.map(|jailed| (jailed, world))
        };
        let (mut jailed, world) = tokio::task::spawn_blocking(spawn)
            .await
            .map_err(|error| Failure::Plugin(error.to_string()))?
            .map_err(Failure::Wall)?;
        let (listens, denials) = (world.logs(), world.denials());
        let egress = world
            .serve(&mut jailed)
            .map_err(|error| Failure::Plugin(format!("its network cannot be served: {error}")))?;
        let broken = || Failure::Plugin("its pipes are missing".to_owned());
        let io = |error: std::io::Error| Failure::Plugin(error.to_string());
        let stdin = jailed.stdin.take().ok_or_else(broken)?;
        let stdout = jailed.stdout.take().ok_or_else(broken)?;
        let stderr = jailed.stderr.take().ok_or_else(broken)?;
        let writer = pipe::Sender::from_owned_fd(stdin).map_err(io)?;
        let reader = pipe::Receiver::from_owned_fd(stdout).map_err(io)?;
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let errors = pipe::Receiver::from_owned_fd(stderr).map_err(io)?;
        let silent = CancellationToken::new();
        let words = keep_last(errors, last_words.clone(), listens);
        tokio::spawn(announced(words, silent.clone()));
        let options = ClientOptions {
            info: Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")),
            negotiation,
            limits: bailiwick_mcp::Limits {
                line: limits.output_bytes,
                ..Default::default()
            },
            request_timeout: limits.start,
            probe_timeout: limits.start.min(ClientOptions::default().probe_timeout),
            ..ClientOptions::default()
        };
        match Client::connect(reader, writer, options).await {
            Ok(client) => Ok(NativeInstance {
                client,
                jailed: Mutex::new(Some(jailed)),
                denials,
                _egress: egress,
                last_words,
                silent,
                limits: limits.clone(),
            }),
            Err(McpError::GoneOnProbe { .. }) => Err(Failure::Probe),
            Err(error) => {
                drop(jailed);
                let _ = timeout(GRACE, silent.cancelled()).await;
                Err(Failure::Plugin(with_last_words(
                    &error.to_string(),
                    &last_words,
                )))
            }
        }
    }
}

async fn announced(work: impl Future<Output = ()>, done: CancellationToken) {
    work.await;
    done.cancel();
}

async fn keep_last(mut errors: pipe::Receiver, kept: Arc<Mutex<Vec<u8>>>, forward: bool) {
    let mut chunk = [0u8; 4096];
    while let Ok(count @ 1..) = errors.read(&mut chunk).await {
        let new = chunk.get(..count).unwrap_or_default();
        if forward {
            eprint!("{}", harmless(new));
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(new);
        let excess = kept.len().saturating_sub(MAX_STDERR);
        kept.drain(..excess);
    }
}

/// A plugin's text without what terminals obey.
fn harmless(bytes: &[u8]) -> String {
    bailiwick_gate::plain(&String::from_utf8_lossy(bytes))
}

fn with_last_words(why: &str, kept: &Mutex<Vec<u8>>) -> String {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let text = harmless(&kept);
    let last: Vec<&str> = text.trim().lines().rev().take(5).collect();
    if last.is_empty() {
        return why.to_owned();
    }
    let last: Vec<&str> = last.into_iter().rev().collect();
    format!("{why}; it last wrote: {}", last.join(" | "))
}

struct NativeInstance {
    client: Client,
    jailed: Mutex<Option<Jailed>>,
    denials: Denials,
    /// Serves its network for as long as it lives.
    _egress: Option<Egress>,
    last_words: Arc<Mutex<Vec<u8>>>,
    /// Cancelled once nothing more can come of its standard error.
    silent: CancellationToken,
    limits: Limits,
}

#[async_trait]
impl Instance for NativeInstance {
    async fn tools(&self) -> Result<Vec<Tool>, CallError> {
        let list = self
            .client
            .list_tools()
            .await
            .map_err(|error| self.explain(&error))?;
        Ok(list.tools)
    }

    async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, CallError> {
        let outcome = self
            .client
            .call_tool(ToolCall::new(tool, arguments), self.limits.call)
            .await;
        let outcome = outcome.and_then(|outcome| outcome.complete());
        if let Err(McpError::PluginGone { .. } | McpError::Io(_)) = outcome {
            self.bury().await;
        }
        outcome.map_err(|error| self.explain(&error))
    }

    fn denied(&self) -> Vec<Denied> {
        self.denials.take()
    }

    fn used(&self) -> Vec<Used> {
        self.denials.take_uses()
    }

    fn ended(&self) -> Option<String> {
        let mut jailed = self.jailed.lock().unwrap_or_else(PoisonError::into_inner);
        match jailed.as_mut().map(Jailed::try_wait) {
            None => Some(with_last_words("it was stopped", &self.last_words)),
            Some(Ok(None)) => None,
            Some(Ok(Some(status))) => {
                let met = jailed.as_ref().and_then(Jailed::ended_by);
                let why = met.map_or_else(|| status.to_string(), |hit| format!("{hit} ({status})"));
                Some(with_last_words(&why, &self.last_words))
            }
            Some(Err(error)) => Some(error.to_string()),
        }
    }

    /// As MCP has it: its input ends, then it is asked, then it is killed with all that it started.
    async fn stop(&self) {
        // One that does not read its input keeps the line to it busy, and must not keep us.
        let _ = timeout(GRACE, self.client.close()).await;
        let jailed = self
            .jailed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut jailed) = jailed else { return };
        if timeout(GRACE, ended(&mut jailed)).await.is_err() && jailed.terminate().is_ok() {
            let _ = timeout(GRACE, ended(&mut jailed)).await;
        }
        // Dropping it kills everything inside.
        drop(jailed);
    }
}

async fn ended(jailed: &mut Jailed) {
    while let Ok(None) = jailed.try_wait() {
        tokio::time::sleep(GLANCE).await;
    }
}

impl NativeInstance {
    /// One whose output ended answers no more: it is waited for, or ended, so that the next call starts another, and
    /// what it wrote last is all there.
    async fn bury(&self) {
        let deadline = Instant::now() + GRACE;
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                self.stop().await;
            }
            tokio::time::sleep(GLANCE).await;
        }
        let _ = timeout(GRACE, self.silent.cancelled()).await;
    }

    fn explain(&self, error: &McpError) -> CallError {
        let why = error.to_string();
        match error {
            McpError::PluginGone { .. } | McpError::GoneOnProbe { .. } | McpError::Io(_) => {
                let jailed = self.jailed.lock().unwrap_or_else(PoisonError::into_inner);
                let met = jailed.as_ref().and_then(Jailed::ended_by);
                let why = met.map_or(why, |hit| hit.to_string());
                CallError::Gone(with_last_words(&why, &self.last_words))
            }
            McpError::TimedOut { .. } => CallError::TimedOut(why),
            McpError::Refused { .. } => CallError::Failed(why),
            McpError::Unreadable(MessageError::TooLong { .. }) => CallError::TooLarge(why),
            McpError::TooLarge { .. } => CallError::Arguments(why),
            McpError::BadAnswer { .. }
            | McpError::Unreadable(_)
            | McpError::NoCommonRevision { .. } => CallError::Malformed(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_wrote_is_shown_without_its_escapes() {
        let kept = Mutex::new(b"one\ntwo\x1b[31m\nthree\n".to_vec());
        assert_eq!(
            with_last_words("it ended", &kept),
            "it ended; it last wrote: one | two\u{fffd}[31m | three"
        );
        assert_eq!(
            with_last_words("it ended", &Mutex::new(Vec::new())),
            "it ended"
        );
    }
}
