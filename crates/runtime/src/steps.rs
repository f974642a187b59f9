//! From a tool of the machine's and what it is to do to a [`Step`]: what it needs to run, and what it is granted.

use std::path::{Path, PathBuf};

use bailiwick_capability::{AbsPath, Capability, Grant, Granted, Kind, PathScope, Scope};
use bailiwick_wall::Program;

use crate::error::{RuntimeError, io};
use crate::registries::{Reach, existing};
use crate::runner::{Outcome, Step};
use crate::settings::Settings;
use crate::start::{Resolver, text};
use crate::{PATH, tool};

/// What a tool is to do.
pub(crate) struct Work<'a> {
    /// In a few words for people.
    pub(crate) what: &'a str,
    /// The tool as found in the search path.
    pub(crate) tool: &'a Path,
    pub(crate) args: Vec<String>,
    /// Files and folders that it reads, besides what `reach` names.
    pub(crate) reads: Vec<PathBuf>,
    /// The fresh folder that it writes, which is also where it works.
    pub(crate) folder: &'a Path,
    /// The registries that it reaches; none for work without network.
    pub(crate) reach: Option<&'a Reach>,
    /// Variables of its own.
    pub(crate) env: Vec<(&'a str, String)>,
}

/// Runs one step of a preparation by the runner of the settings.
pub(crate) fn run(work: Work<'_>, settings: &Settings) -> Result<Outcome, RuntimeError> {
    let what = work.what.to_owned();
    let step = plan(work, settings)?;
    settings
        .runner
        .run(&step)
        .map_err(|why| RuntimeError::Step { what, why })
}

fn plan(work: Work<'_>, settings: &Settings) -> Result<Step, RuntimeError> {
    let refused = |why: String| RuntimeError::Step {
        what: work.what.to_owned(),
        why,
    };
    // A tool is the machine's own, whatever plugin it works for.
    let own = Settings {
        plugin_dir: None,
        network: work.reach.is_some(),
        ..settings.clone()
    };
    let mut resolver = Resolver::new(&own);
    let start = resolver.start(work.tool, work.args)?;
    let (mut closure, _) = resolver.needs.finish();
    let named = work.reach.map(|reach| reach.files.iter().cloned());
    let reads = existing(work.reads.into_iter().chain(named.into_iter().flatten()));
    let mut atoms = Vec::new();
    for path in reads {
        atoms.push(path_atom(Kind::ReadFiles, &path)?);
        // Under the name that the configuration has for it, too.
        closure.read.push(path);
    }
    for kind in [Kind::ReadFiles, Kind::WriteFiles] {
        atoms.push(path_atom(kind, work.folder)?);
    }
    let mut hosts = std::collections::BTreeMap::new();
    if let Some(reach) = work.reach {
        let (network, names) = reach.atoms().map_err(refused)?;
        atoms.extend(network);
        hosts = names;
    }
    let mut env = tool::environment(settings);
    let beside = start.program.parent().and_then(Path::to_str);
    let path = beside.map_or_else(|| PATH.to_owned(), |beside| format!("{beside}:{PATH}"));
    env.push(("PATH".into(), path.into()));
    env.extend(
        work.env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    Ok(Step {
        what: work.what.to_owned(),
        program: Program {
            program: start.program,
            args: start.args.into_iter().map(Into::into).collect(),
            env,
            cwd: work.folder.to_owned(),
            closure,
        },
        grant: Grant::new(atoms),
        hosts,
        timeout: settings.timeout,
    })
}

fn path_atom(kind: Kind, path: &Path) -> Result<Granted, RuntimeError> {
    let real = path.canonicalize().map_err(io("resolve", path))?;
    let bad = |error: bailiwick_capability::CapabilityError| RuntimeError::Program {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let place = AbsPath::exactly(&text(&real)?).map_err(bad)?;
    let scope = match real.is_dir() {
        true => PathScope::Tree(place),
        false => PathScope::File(place),
    };
    let atom = Capability::new(kind, Scope::Path(scope)).map_err(bad)?;
    Ok(Granted::whole(atom))
}
