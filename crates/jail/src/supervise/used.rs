//! What a call that the wall lets through needs of the grant.

use std::path::{Path, PathBuf};

use libc as c;
use rustix::fs::FileType;

use super::attempt::Tried;
use super::inside::{Found, Inside, interpreter};

/// Operation and target, as [`bailiwick_wall::Used`] has them.
type Use = (&'static str, String);

const READ: &str = "read_files";
const WRITE: &str = "write_files";
const RUN: &str = "execute_code";

/// What it uses to try this at what was found; nothing where that is not there, or no file.
pub(super) fn used(inside: &Inside, tried: Tried, found: &Found, own: Option<u32>) -> Vec<Use> {
    let (path, kind) = match found {
        Found::There { path, kind, .. } => (path, Some(*kind)),
        Found::Missing { path, folder } if path.parent() == Some(folder) => (path, None),
        Found::Missing { .. } | Found::Unknown => return Vec::new(),
    };
    match (tried, kind) {
        (Tried::Open(flags), kind) => opened(flags, path, kind),
        (Tried::Run, Some(FileType::RegularFile)) => {
            let mut uses = vec![(RUN, shown(path))];
            uses.extend(run_by(inside, found, own));
            uses
        }
        (Tried::Make(_), None) | (Tried::Take, Some(_)) | (Tried::Replace, _) => changed(path),
        (Tried::Change { .. }, Some(kind)) => vec![(WRITE, at(path, kind))],
        (Tried::Look { .. }, Some(FileType::Directory)) => vec![(READ, own_entry(path))],
        (Tried::Look { .. }, Some(_)) => vec![(READ, shown(path))],
        _ => Vec::new(),
    }
}

fn opened(flags: i32, path: &Path, kind: Option<FileType>) -> Vec<Use> {
    let has = |flag: i32| flags & flag == flag;
    let Some(kind) = kind else {
        return if has(c::O_CREAT) {
            changed(path)
        } else {
            Vec::new()
        };
    };
    let folder = kind == FileType::Directory;
    if has(c::O_CREAT | c::O_EXCL) {
        return Vec::new();
    }
    if has(c::O_PATH) {
        let target = if folder { own_entry(path) } else { shown(path) };
        return vec![(READ, target)];
    }
    if has(c::O_TMPFILE) {
        return vec![(WRITE, at(path, kind))];
    }
    let mode = flags & c::O_ACCMODE;
    let mut uses = Vec::new();
    if mode != c::O_WRONLY {
        uses.push((READ, at(path, kind)));
    }
    if mode != c::O_RDONLY || has(c::O_TRUNC) {
        uses.push((WRITE, at(path, kind)));
    }
    uses
}

/// The program that the kernel runs in a script's place.
fn run_by(inside: &Inside, found: &Found, own: Option<u32>) -> Option<Use> {
    let Found::There { place, .. } = found else {
        return None;
    };
    let named: PathBuf = interpreter(place).filter(|path| path.is_absolute())?;
    match inside.find(&named, true, own) {
        Found::There { path, .. } => Some((RUN, shown(&path))),
        _ => None,
    }
}

/// Entries come and go with leave to write their folder.
fn changed(path: &Path) -> Vec<Use> {
    let folder = path.parent();
    folder
        .map(|folder| (WRITE, at(folder, FileType::Directory)))
        .into_iter()
        .collect()
}

fn at(path: &Path, kind: FileType) -> String {
    match kind {
        FileType::Directory => format!("{}/", shown(path).trim_end_matches('/')),
        _ => shown(path),
    }
}

fn own_entry(path: &Path) -> String {
    format!("{}/.", shown(path).trim_end_matches('/'))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
