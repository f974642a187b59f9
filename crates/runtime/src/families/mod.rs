//! What programs bring besides their libraries: fixed knowledge, by name and by how they are installed.
//! Nothing is run to find out, and nothing of it is believed of a plugin's own files.

mod c;
mod git;
mod go;
mod java;
mod perl;
mod postgres;
mod rust;

use std::path::{Path, PathBuf};

use crate::error::RuntimeError;
use crate::settings::Settings;
use crate::start::Resolver;

/// Where terminals are described (terminfo(5)), in the order in which ncurses looks.
const TERMINALS: [&str; 3] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];
/// Libraries that read such a description.
const DRAWING: [&str; 4] = [
    "libtinfo.so.",
    "libtinfow.so.",
    "libncurses.so.",
    "libncursesw.so.",
];
/// glibc's modules that convert character sets other than its built-in ones.
const CONVERTERS: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/gconv", "/usr/lib64/gconv"];

/// The program that a name stands for, where a machine's own launcher lies in between: rustup's, and Debian's
/// for PostgreSQL. None for all others.
///
/// # Errors
/// When the launcher has nothing to launch.
pub(crate) fn behind(program: &Path, settings: &Settings) -> Result<Option<PathBuf>, RuntimeError> {
    let Ok(real) = program.canonicalize() else {
        return Ok(None);
    };
    let plugins = settings.plugin_dir.as_deref();
    if plugins.is_some_and(|dir| program.starts_with(dir) || real.starts_with(dir)) {
        return Ok(None);
    }
    match postgres::behind(program, &real)? {
        None => rust::behind(program, &real, settings),
        found => Ok(found),
    }
}

/// Adds what belongs to the program `real`, a path without links, whose libraries are there already.
pub(crate) fn add(resolver: &mut Resolver<'_>, real: &Path) -> Result<(), RuntimeError> {
    add_terminal(resolver);
    let name = real
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let Some(prefix) = prefix(resolver, real)? else {
        return Ok(());
    };
    match name.as_str() {
        "git" => return git::add(resolver, &prefix),
        "go" => return go::add(resolver, &prefix),
        "perl" => perl::add(resolver),
        "iconv" => add_converters(resolver)?,
        _ if c::is_compiler(&name) => return c::add(resolver, real, &name, &prefix),
        _ if rust::is_tool(&name) => return rust::add(resolver, &name, &prefix),
        _ => return java::add(resolver, &prefix),
    }
    Ok(())
}

/// The folder that `bin` lies in, where the program may have brought more: never one that a plugin has
/// only a part of.
fn prefix(resolver: &Resolver<'_>, real: &Path) -> Result<Option<PathBuf>, RuntimeError> {
    let Some(prefix) = real.parent().and_then(Path::parent) else {
        return Ok(None);
    };
    let own = resolver.own_root(real)?;
    let plugins = own.is_some_and(|root| !prefix.starts_with(root));
    Ok((!plugins).then(|| prefix.to_owned()))
}

/// The description of the person's terminal, for programs that draw on it.
fn add_terminal(resolver: &mut Resolver<'_>) {
    let Some(name) = resolver.settings.terminal.clone() else {
        return;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte);
    let Some(first) = name
        .get(..1)
        .filter(|_| name.bytes().all(plain) && !name.starts_with('.'))
    else {
        return;
    };
    if !DRAWING
        .iter()
        .any(|library| resolver.needs.has_library(library))
    {
        return;
    }
    let found = TERMINALS
        .iter()
        .map(|folder| Path::new(folder).join(first).join(&name))
        .find(|path| resolver.look.is_file(path));
    if let Some(path) = found {
        resolver
            .needs
            .read(path, format!("the description of the terminal {name}"));
    }
}

fn add_converters(resolver: &mut Resolver<'_>) -> Result<(), RuntimeError> {
    let found = CONVERTERS
        .iter()
        .find(|dir| resolver.look.is_dir(Path::new(dir)));
    match found {
        Some(dir) => resolver.add_tree(Path::new(dir), "character sets, which iconv loads by name"),
        None => Ok(()),
    }
}
