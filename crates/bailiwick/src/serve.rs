//! `bailiwick serve`: the gate on standard input and output.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use bailiwick_capability::Capability;
use bailiwick_gate::discover::source;
use bailiwick_gate::learning::Learning;
use bailiwick_gate::plugin::Plugin;
use bailiwick_gate::session::Note;
use bailiwick_gate::world::Source;
use bailiwick_gate::{Gate, Host, Notes, Session};
use bailiwick_manifest::Manifest;
use bailiwick_mcp::{ServerOptions, serve};
use tokio::signal::unix::{SignalKind, signal};

use crate::assemble::{Parts, host};
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::home::Home;
use crate::origin::{Meaning, Origin, Plugins};

pub(crate) fn run(args: &ServeArgs, named: Option<&Path>) -> anyhow::Result<()> {
    let config = Config::find(named)?;
    let (plugins, sources) = sources(args, config.as_ref())?;
    // Names stay as an agent knows them where there is nothing to tell apart.
    let alone = sources.len() == 1;
    let namespaced = args.command.is_empty() && !(args.manifest.is_some() && alone);
    let proposals = args
        .learn
        .as_deref()
        .map(crate::learn::folder)
        .transpose()?;
    let learning = proposals.as_ref().map(|_| Arc::new(Learning::default()));
    let served = Served {
        config: config.unwrap_or_default(),
        allow: &args.given.allow,
        sources,
        plugins,
        namespaced,
        tokens: args.tokens.clone(),
        learning: learning.clone(),
    };
    served.serve()?;
    match learning.zip(proposals) {
        Some((learning, proposals)) => crate::learn::propose(&learning, &proposals),
        None => Ok(()),
    }
}

/// What is served, and how.
pub(crate) struct Served<'a> {
    pub(crate) config: Config,
    /// What the person grants by hand.
    pub(crate) allow: &'a [Capability],
    pub(crate) sources: Vec<Source>,
    /// Where they come from.
    pub(crate) plugins: Plugins,
    /// Whether tools carry the names of their plugins.
    pub(crate) namespaced: bool,
    /// Where the session's tokens are written.
    pub(crate) tokens: Option<PathBuf>,
    /// Where what plugins use is kept.
    pub(crate) learning: Option<Arc<Learning>>,
}

impl Served<'_> {
    /// Serves one client on standard input and output, until it is gone.
    pub(crate) fn serve(self) -> anyhow::Result<()> {
        let home = Home::locate()?;
        let parts = Parts::new(&self.config, &home, self.allow);
        let watched = match self.plugins {
            Plugins::Named => Vec::new(),
            Plugins::At(_) | Plugins::Configured => self.sources.clone(),
        };
        let origin = Origin::of(&parts, self.plugins);
        let host = Arc::new(Host {
            learning: self.learning,
            ..host(&parts)?
        });
        let meaning = Meaning::of(&host.judge.in_force.now(), &self.config, &watched);
        let recorder = host.recorder.clone();
        let asked = host.clone();
        let gate = Gate::new(host, self.sources, self.namespaced, notes(self.tokens));
        let gate = Arc::new(gate);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let exports = crate::export::prepare(&self.config, &home)?;
        runtime.block_on(crate::export::record(&recorder, &exports))?;
        let exports = exports.start();
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = serve_gate(&gate) => outcome,
                // Without it, nobody could answer what policy asks.
                Err(error) = crate::approvals::serve(&home, &asked.approvals) => Err(error),
                Err(error) = origin.follow(&gate, &recorder, meaning) => {
                    let why = format!("{error:#}");
                    // What cannot be recorded must not go on; where the log still works, it says so.
                    let _ = gate.end(&why).await;
                    Err(error)
                }
            }
        });
        exports.finish();
        // A read of standard input cannot be interrupted, so its thread is not waited for.
        runtime.shutdown_background();
        outcome
    }
}

async fn serve_gate(gate: &Arc<Gate>) -> anyhow::Result<()> {
    gate.begin().await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let connection = serve(
        tokio::io::stdin(),
        tokio::io::stdout(),
        gate.clone(),
        ServerOptions {
            list_changed: Some(gate.list_changed()),
            ..ServerOptions::default()
        },
    );
    let reason = tokio::select! {
        ended = connection => match ended {
            Ok(()) => "the client closed the connection".to_owned(),
            Err(error) => format!("the connection failed: {error}"),
        },
        _ = terminated.recv() => "terminated".to_owned(),
        _ = interrupted.recv() => "interrupted".to_owned(),
        _ = hung_up.recv() => "the terminal hung up".to_owned(),
        why = gate.fatal() => {
            // What cannot be recorded must not go on; where the log still works, it says so.
            let _ = gate.end(&why).await;
            bail!("{why}");
        }
    };
    gate.end(&reason).await?;
    Ok(())
}

fn sources(args: &ServeArgs, config: Option<&Config>) -> anyhow::Result<(Plugins, Vec<Source>)> {
    if !args.command.is_empty() {
        let manifest = synthetic(&args.command, &args.given.allow)?;
        return Ok((Plugins::Named, vec![source(manifest, None, None)]));
    }
    if let Some(path) = &args.manifest {
        let plugins = Plugins::At(path.clone());
        let found = plugins.found(&Config::default())?;
        return Ok((plugins, found));
    }
    let config = config.context(
        "there is nothing to serve: write a bailiwick.yaml with `plugins:`, or name a server, as in \
         `bailiwick serve --allow read_files:/data/docs/ -- npx -y @modelcontextprotocol/server-filesystem /data/docs`",
    )?;
    let found = Plugins::Configured.found(config)?;
    Ok((Plugins::Configured, found))
}

/// The manifest of a bare command: it asks for what the person allows.
pub(crate) fn synthetic(command: &[String], allow: &[Capability]) -> anyhow::Result<Manifest> {
    let words = command.iter().filter(|word| !word.starts_with('-'));
    let telling = words
        .clone()
        .nth(1)
        .filter(|_| is_launcher(command))
        .or(words.clone().next());
    let name = telling.map_or("server", |word| word.rsplit('/').next().unwrap_or(word));
    Manifest::synthetic(id(name).parse()?, command.to_vec(), allow.to_vec())
        .map_err(crate::report::diagnostic)
}

fn is_launcher(command: &[String]) -> bool {
    let name = command
        .first()
        .and_then(|word| word.rsplit('/').next())
        .unwrap_or_default();
    matches!(name, "npx" | "uvx" | "pipx" | "node" | "python" | "python3")
}

/// A plugin id from any word: lower-case letters, digits and single hyphens.
fn id(word: &str) -> String {
    let stem = word
        .split(['@', '='])
        .find(|part| !part.is_empty())
        .unwrap_or("server");
    let mut id = String::new();
    for c in stem.chars().flat_map(char::to_lowercase).take(64) {
        if c.is_ascii_alphanumeric() {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    let id = id.trim_end_matches('-');
    if id.is_empty() {
        "server".to_owned()
    } else {
        id.to_owned()
    }
}

/// Tells of plugins, and writes their tokens where a host wants them.
fn notes(tokens: Option<PathBuf>) -> Notes {
    let told = Mutex::new(Vec::new());
    Arc::new(move |session, notes| {
        tell(session, notes, &told);
        if let Some(path) = &tokens
            && let Err(error) = write_tokens(path, session)
        {
            eprintln!("bailiwick: the tokens are not told: {error:#}");
        }
    })
}

/// A JSON object a line, whole or not at all.
fn write_tokens(path: &Path, session: &Session) -> anyhow::Result<()> {
    let line = |plugin: &Arc<Plugin>| {
        let token = plugin.admitted.token_base64();
        format!(
            "{}\n",
            serde_json::json!({ "plugin": plugin.id(), "token": token })
        )
    };
    let lines: String = session.plugins().iter().map(line).collect();
    crate::whole::replace(path, &lines)
}

/// What is new, and how it stands with the plugins where that was not told before.
fn tell(session: &Session, notes: &[Note], told: &Mutex<Vec<String>>) {
    for note in notes {
        eprintln!("bailiwick: plugin `{}`: {}", note.plugin, note.text);
    }
    let stands = |plugin: &Arc<Plugin>| {
        let tools = plugin.tools.len();
        let wall = plugin.admitted.wall();
        format!(
            "plugin `{}`: {tools} tools behind the {wall} wall",
            plugin.id()
        )
    };
    let stand: Vec<String> = session.plugins().iter().map(stands).collect();
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    for line in stand.iter().filter(|line| !told.contains(line)) {
        eprintln!("bailiwick: {line}");
    }
    *told = stand;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_command_gets_a_telling_id() {
        let of = |line: &str| {
            let command: Vec<String> = line.split(' ').map(str::to_owned).collect();
            synthetic(&command, &[]).unwrap().id().to_string()
        };
        assert_eq!(
            of("npx -y @modelcontextprotocol/server-filesystem /data"),
            "server-filesystem"
        );
        assert_eq!(
            of("uvx mcp-server-git==1.0 --repository x"),
            "mcp-server-git"
        );
        assert_eq!(of("/opt/My_Server"), "my-server");
        assert_eq!(of("node /srv/index.js"), "index-js");
        assert_eq!(of("***"), "server");
    }
}
