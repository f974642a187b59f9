//! What a native program needs to run at all: its closure, and packages fetched beforehand.
//!
//! From a command line as MCP clients have it (`npx -y PACKAGE ARGS…`, `uvx PACKAGE`, `node server.js`,
//! `python3 -m server`, `./server`) to a [`Program`]: an absolute binary, its arguments, an environment
//! made from nothing, and the paths without which it cannot start, each with the reason. Nothing of
//! the plugin runs to find that out.

mod ask;
mod closure;
mod elf;
mod error;
mod families;
mod kept;
mod ldcache;
mod libraries;
mod look;
mod lookup;
mod node;
mod npm;
mod pypi;
mod python;
mod registries;
mod request;
mod runner;
mod settings;
mod spec;
mod start;
mod steps;
mod store;
mod tool;
mod tree;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bailiwick_wall::{Closure, Program};

pub use closure::Need;
pub use error::RuntimeError;
pub use runner::{MAX_OUTPUT, Outcome, Runner, Step, Unconfined};
pub use settings::{Progress, Settings};
pub use store::{Ecosystem, PackageRecord};

use request::Request;
use start::{Resolver, Start, text};

/// The home that a plugin sees: private, empty, gone afterwards. Walls provide it.
pub const PRIVATE_HOME: &str = "/home/plugin";

/// A command that is ready to be started behind a wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// What to start.
    pub program: Program,
    /// The packages that were fetched for it, the asked-for one first; empty for local programs.
    pub packages: Vec<PackageRecord>,
    /// SHA-256 over the prepared packages' files, in hex; none for local programs.
    pub tree: Option<String>,
    /// The closure, path by path, with the reason for each.
    pub needs: Vec<Need>,
}

/// Makes a command line ready: fetches what `npx`, `uvx` or `pipx run` name (once; later runs need no
/// network), and finds the closure.
///
/// # Errors
/// When the command cannot be understood in full, found, or fetched. Nothing of the plugin has run.
pub fn resolve(command: &[String], settings: &Settings) -> Result<Prepared, RuntimeError> {
    if command.iter().any(|word| word.contains('\0')) {
        return Err(RuntimeError::Refused {
            command: command
                .first()
                .cloned()
                .unwrap_or_default()
                .replace('\0', "\\0"),
            why: "a word of it holds a NUL".to_owned(),
            mend: "take it out".to_owned(),
        });
    }
    let mut resolver = Resolver::new(settings);
    let (start, stored) = match Request::parse(command)? {
        None => {
            let (word, args) = command.split_first().ok_or(RuntimeError::Empty)?;
            let program = lookup::program(word, settings)?;
            (resolver.start(&program, args.to_vec())?, None)
        }
        Some(Request::Npm(asked)) => {
            let (stored, script) = npm::prepare(&asked, settings)?;
            resolver.root = Some(stored.folder.clone());
            (resolver.start(&script, asked.args)?, Some(stored))
        }
        Some(Request::Pypi(asked)) => {
            let (stored, python, script) = pypi::prepare(&asked, settings)?;
            resolver.root = Some(stored.folder.clone());
            // Its first line still names the folder in which it was made, so python is named here; `-I`
            // keeps the working directory and a user's site out of the module path.
            let mut args = vec!["-I".to_owned(), text(&script)?];
            args.extend(asked.args);
            (resolver.start(&python, args)?, Some(stored))
        }
    };
    let (closure, needs) = resolver.needs.finish();
    let Start { program, args } = start;
    let (packages, tree) = match stored {
        None => (Vec::new(), None),
        Some(stored) => {
            let place = |mut package: PackageRecord| {
                package.path = stored.folder.join(&package.path);
                package
            };
            (
                stored.record.packages.into_iter().map(place).collect(),
                Some(stored.record.tree),
            )
        }
    };
    let program = Program {
        env: environment(&program, settings),
        program,
        args: args.into_iter().map(OsString::from).collect(),
        cwd: working_directory(settings),
        closure,
    };
    Ok(Prepared {
        program,
        packages,
        tree,
        needs,
    })
}

/// What is known of a command line without fetching anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It could start now.
    Ready(Box<Prepared>),
    /// These packages would be fetched first, from this registry, as they were asked for.
    ToFetch(Ecosystem, Vec<String>),
}

/// Looks at a command line as [`resolve`] would, but fetches nothing and makes nothing.
///
/// # Errors
/// As [`resolve`].
pub fn inspect(command: &[String], settings: &Settings) -> Result<Known, RuntimeError> {
    let settings = Settings {
        offline: true,
        keep: false,
        ..settings.clone()
    };
    let wanted = match Request::parse(command)? {
        None => None,
        Some(Request::Npm(asked)) => {
            let (name, words) = npm::asked_for(&asked);
            Some((Ecosystem::Npm, name, words))
        }
        Some(Request::Pypi(asked)) => {
            let (name, words) = pypi::asked_for(&asked, &pypi::interpreter(&settings)?);
            Some((Ecosystem::Pypi, name, words))
        }
    };
    if let Some((ecosystem, name, words)) = wanted
        && !store::is_prepared(&settings.cache, ecosystem, &name)
    {
        return Ok(Known::ToFetch(ecosystem, words));
    }
    resolve(command, &settings).map(|prepared| Known::Ready(Box::new(prepared)))
}

/// The closure of one more program that a plugin was granted to execute, such as `/usr/bin/git`, with
/// the reason for each path. The program is not run.
///
/// # Errors
/// When it is no program, or lacks a library.
pub fn closure_of(
    program: &Path,
    settings: &Settings,
) -> Result<(Closure, Vec<Need>), RuntimeError> {
    let mut resolver = Resolver::new(settings);
    let path = lookup::program(&text(program)?, settings)?;
    resolver.start(&path, Vec::new())?;
    if path != path.canonicalize().unwrap_or_else(|_| path.clone()) {
        resolver
            .needs
            .run(path, "the program, under the name that was granted");
    }
    Ok(resolver.needs.finish())
}

/// The environment that every plugin starts from; grants add to it, nothing is inherited.
#[must_use]
pub fn base_environment() -> Vec<(OsString, OsString)> {
    [("PATH", PATH), ("HOME", PRIVATE_HOME), ("LANG", "C.UTF-8")]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec()
}

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The base environment. Programs that live in a folder of their own (a toolchain, a virtual environment) find
/// what lies beside them there.
fn environment(program: &Path, settings: &Settings) -> Vec<(OsString, OsString)> {
    let mut environment = base_environment();
    let own = program.parent().and_then(Path::to_str).filter(|folder| {
        let usual = PATH.split(':').any(|usual| usual == *folder);
        let plugins = settings.plugin_dir.as_deref();
        !usual && !folder.contains(':') && plugins.is_none_or(|dir| !program.starts_with(dir))
    });
    if let (Some(own), Some((_, path))) = (own, environment.first_mut()) {
        *path = format!("{own}:{PATH}").into();
    }
    environment
}

fn working_directory(settings: &Settings) -> PathBuf {
    let own = settings
        .plugin_dir
        .as_deref()
        .and_then(|dir| dir.canonicalize().ok());
    own.unwrap_or_else(|| PathBuf::from(PRIVATE_HOME))
}
