//! `bailiwick learn` and `serve --learn`: what plugins use inside a bound, and the least to ask for.

mod manifest;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use bailiwick_capability::{AbsPath, Capability, Kind, PathScope, Scope};
use bailiwick_gate::discover::source;
use bailiwick_gate::learning::{Learning, Learnt};
use serde_json::{Value, json};

use crate::cli::LearnArgs;
use crate::config::Config;
use crate::origin::Plugins;
use crate::report::{USAGE, exit};
use crate::serve::{Served, synthetic};

pub(crate) fn run(args: &LearnArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::find(named)?.unwrap_or_default();
    let bound = match args.given.allow.as_slice() {
        [] => around()?,
        allowed => allowed.to_vec(),
    };
    // What policy does not grant of the bound is not there to be used; the rest is learnt.
    let manifest = synthetic(&args.command, &[])?.with_optional(bound.iter().cloned());
    for path in args.to.iter().chain(&args.json) {
        free(path)?;
    }
    let learning = Arc::new(Learning::default());
    let served = Served {
        config,
        allow: &bound,
        sources: vec![source(manifest, None, None)],
        plugins: Plugins::Named,
        namespaced: false,
        tokens: None,
        learning: Some(learning.clone()),
    };
    served.serve()?;
    let learnt = learning.learnt();
    let Some(learnt) = learnt.first() else {
        return Err(exit(USAGE, "nothing was learnt: the server did not start"));
    };
    if let Some(path) = &args.json {
        put(path, &format!("{:#}\n", as_json(learnt)))?;
    }
    let text = manifest::written(learnt)?;
    let Some(path) = &args.to else {
        eprint!("{text}");
        return Ok(ExitCode::SUCCESS);
    };
    if let Err(error) = put(path, &text) {
        // What was learnt may have taken a day.
        eprint!("{text}");
        return Err(error);
    }
    eprintln!("bailiwick: {}", told(learnt, path));
    Ok(ExitCode::SUCCESS)
}

/// The folder of proposals of `serve --learn`, made where it is missing.
pub(crate) fn folder(path: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make `{}`", path.display()))?;
    Ok(path.to_owned())
}

/// Writes a proposal for every plugin that was watched.
pub(crate) fn propose(learning: &Learning, folder: &Path) -> anyhow::Result<()> {
    for learnt in learning.learnt() {
        let path = folder.join(format!("{}.yaml", learnt.source.manifest.id()));
        crate::whole::replace(&path, &manifest::written(&learnt)?)?;
        eprintln!("bailiwick: {}", told(&learnt, &path));
    }
    Ok(())
}

fn told(learnt: &Learnt, path: &Path) -> String {
    let proposal = learnt.proposal();
    format!(
        "plugin `{}`: {} capabilities proposed of {} granted, in `{}`",
        learnt.source.manifest.id(),
        proposal.lines.len(),
        learnt.grant.atoms().len(),
        path.display()
    )
}

/// The bound where none is named: the working directory.
fn around() -> anyhow::Result<Vec<Capability>> {
    let folder = std::env::current_dir().context("the working directory cannot be told")?;
    let path = folder.to_str().and_then(|path| AbsPath::parse(path).ok());
    let home = std::env::home_dir();
    let is_wide = folder.parent().is_none() || home.is_some_and(|home| home.starts_with(&folder));
    let Some(path) = path.filter(|_| !is_wide) else {
        let why = "say within which bounds to learn, such as `--allow read_files:/data/docs/`: the working directory \
                   is no bound";
        return Err(exit(USAGE, why));
    };
    let tree = |kind| Capability::new(kind, Scope::Path(PathScope::Tree(path.clone())));
    Ok(vec![tree(Kind::ReadFiles)?, tree(Kind::WriteFiles)?])
}

/// Nothing may be there yet: what a person wrote is not replaced.
fn free(path: &Path) -> anyhow::Result<()> {
    let taken = path.symlink_metadata().is_ok();
    anyhow::ensure!(
        !taken,
        "`{}` is there already: name another file, or remove it",
        path.display()
    );
    Ok(())
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn as_json(learnt: &Learnt) -> Value {
    let proposal = learnt.proposal();
    let line = |line: &bailiwick_learn::Line| {
        let evidence = line.evidence.as_ref().map(|evidence| {
            json!({
                "times": evidence.times,
                "targets": evidence.targets,
                "examples": evidence.examples,
                "tools": evidence.tools,
            })
        });
        json!({ "capability": line.capability.to_string(), "evidence": evidence })
    };
    let text = |atom: &bailiwick_capability::Granted| atom.to_string();
    json!({
        "plugin": learnt.source.manifest.id().to_string(),
        "granted": learnt.grant.atoms().iter().map(text).collect::<Vec<_>>(),
        "proposed": proposal.lines.iter().map(line).collect::<Vec<_>>(),
        "unused": proposal.unused.iter().map(text).collect::<Vec<_>>(),
        "refused": learnt.refused,
        "not_kept": proposal.beyond,
    })
}
