//! From grant and closure to a list of mounts and Landlock rules: pure planning plus looking at paths.

mod draft;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bailiwick_capability::{Grant, Kind, ProgramRef, Scope};
use bailiwick_wall::Program;

use crate::landlock::Rights;
use crate::paths::{Located, PathFault, What, locate};
use crate::scopes::hole_paths;
use crate::supervise::{Broker, Reads, Tree};

use draft::Draft;

/// Bound on mounts: grants and closures that need more are refused.
const MAX_NODES: usize = 4096;

/// How a mount may be used; data is never executable, and what is executable never writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Run,
    Write,
    Device,
}

/// One thing in the new root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Bind {
        access: Access,
        found: Located,
    },
    Folder,
    Link(OsString),
    File {
        content: Vec<u8>,
        mode: u32,
    },
    /// A file of ours over one of the host's, which a mount shows there.
    Over {
        content: Vec<u8>,
        run: bool,
    },
    Scratch,
    Proc,
    Terminals,
}

impl Node {
    pub(crate) fn is_mount(&self) -> bool {
        matches!(
            self,
            Self::Bind { .. } | Self::Over { .. } | Self::Scratch | Self::Proc | Self::Terminals
        )
    }
}

/// A Landlock rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) path: PathBuf,
    pub(crate) access: u64,
}

/// The whole inside: nodes in the order in which they are made, and the rules over them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) nodes: Vec<(PathBuf, Node)>,
    pub(crate) rules: Vec<Rule>,
    /// Whether terminals stand inside.
    pub(crate) terminals: bool,
    /// Writable trees with their holes, whose upper folders the broker writes.
    pub(crate) brokered: Vec<(Located, Vec<PathBuf>)>,
    /// Programs in whose place a stub stands.
    pub(crate) stubs: Vec<PathBuf>,
}

impl Layout {
    /// Shows terminals of this world's own, and the way to whichever one controls a process.
    ///
    /// # Errors
    /// A host without `/dev/tty`.
    pub(crate) fn add_terminals(&mut self) -> Result<(), PathFault> {
        let (pairs, own) = (Path::new("/dev/pts"), Path::new("/dev/tty"));
        let found = locate(own)?;
        if found.kind != What::Character {
            return Err(PathFault(
                "`/dev/tty` of the host is not a device".to_owned(),
            ));
        }
        let access = Access::Device;
        self.nodes.extend([
            (pairs.to_owned(), Node::Terminals),
            ("/dev/ptmx".into(), Node::Link("pts/ptmx".into())),
            (own.to_owned(), Node::Bind { access, found }),
        ]);
        let rule = |path: &Path, folder| Rule {
            path: path.to_owned(),
            access: Rights::TERMINAL.bits(folder),
        };
        self.rules.extend([rule(pairs, true), rule(own, false)]);
        self.terminals = true;
        Ok(())
    }

    /// The broker of its trees.
    ///
    /// # Errors
    /// A tree that is no longer what was located.
    pub(crate) fn broker(&self, grant: &Grant) -> Result<Broker, PathFault> {
        let trees = self
            .brokered
            .iter()
            .map(|(found, holes)| Tree::open(found, holes));
        let reads = grant.of_kind(Kind::ReadFiles).filter_map(|atom| {
            let Scope::Path(scope) = atom.capability().scope() else {
                return None;
            };
            Some((PathBuf::from(scope.path().as_str()), hole_paths(atom)))
        });
        Ok(Broker::new(
            trees.collect::<Result<_, _>>()?,
            Reads(reads.collect()),
        ))
    }
}

/// Plans the inside of the wall for `program` under `grant`, as user `uid` and group `gid` inside.
///
/// # Errors
/// When a path is missing, passes through a link, or would be writable and executable at once.
pub(crate) fn plan(
    program: &Program,
    grant: &Grant,
    files: &[(PathBuf, Vec<u8>)],
    uid: u32,
    gid: u32,
) -> Result<Layout, PathFault> {
    let mut draft = Draft::default();
    for path in &program.closure.read {
        draft.show_runtime(path, Access::Read, Rights::READ)?;
    }
    for path in program.closure.run.iter().chain([&program.program]) {
        draft.show_runtime(path, Access::Run, Rights::RUN)?;
    }
    let runtime: Vec<PathBuf> = draft.nodes.keys().cloned().collect();
    let mut stubs = BTreeSet::new();
    for atom in grant.atoms() {
        let holes = hole_paths(atom);
        let in_runtime = |hole: &&PathBuf| runtime.iter().any(|part| hole.starts_with(part));
        if let Some(hole) = holes.iter().find(in_runtime) {
            return Err(PathFault(format!(
                "`{}` is forbidden, but the runtime itself needs it",
                hole.display()
            )));
        }
        match (atom.capability().kind(), atom.capability().scope()) {
            (Kind::ReadFiles, Scope::Path(scope)) => {
                draft.show_grant(scope, &holes, Access::Read, Rights::READ)?
            }
            (Kind::WriteFiles, Scope::Path(scope)) => {
                draft.show_grant(scope, &holes, Access::Write, Rights::WRITE)?
            }
            (Kind::ExecuteCode, Scope::Program(scope)) if !scope.args().is_empty() => {
                if let ProgramRef::Path(path) = scope.program() {
                    stubs.insert(PathBuf::from(path.as_str()));
                }
            }
            (Kind::ExecuteCode | Kind::ExecuteShell, Scope::Program(scope)) => {
                if let ProgramRef::Path(path) = scope.program() {
                    let found =
                        draft.show_runtime(Path::new(path.as_str()), Access::Run, Rights::RUN)?;
                    if found.kind != What::File {
                        return Err(PathFault(format!("`{}` is not a program", path.as_str())));
                    }
                }
            }
            _ => {}
        }
    }
    draft.add_base(uid, gid)?;
    for stub in stubs {
        draft.add_stub(&stub)?;
    }
    draft.add_files(files);
    draft.finish()
}

/// The inside of a wall around nothing.
pub(crate) fn base_only(uid: u32, gid: u32) -> Result<Layout, PathFault> {
    let mut draft = Draft::default();
    draft.add_base(uid, gid)?;
    draft.finish()
}

#[cfg(test)]
mod tests;
