//! The inside as it is put together, part by part.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bailiwick_capability::PathScope;

use super::{Access, Layout, MAX_NODES, Node, Rule};
use crate::base;
use crate::holes::{beside, carve};
use crate::landlock::Rights;
use crate::paths::{Located, PathFault, What, follow, locate};
use crate::scopes::{check_scope, kernel_tree};

/// What is shown so far, and with which rights.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) nodes: BTreeMap<PathBuf, Node>,
    pub(super) rules: BTreeMap<PathBuf, u64>,
    pub(super) brokered: Vec<(Located, Vec<PathBuf>)>,
    pub(super) stubs: Vec<PathBuf>,
}

impl Draft {
    pub(super) fn allow(&mut self, path: &Path, rights: Rights, folder: bool) {
        *self.rules.entry(path.to_owned()).or_default() |= rights.bits(folder);
    }

    /// Shows `found` at its own path, merging with what was shown there before.
    pub(super) fn show(&mut self, found: Located, access: Access) -> Result<(), PathFault> {
        let merged = match (self.nodes.get(&found.real), access) {
            (Some(Node::Bind { access: old, .. }), new) => match (*old, new) {
                (a, b) if a == b => a,
                (Access::Read, other) | (other, Access::Read) => other,
                _ => return Err(meets(&found.real)),
            },
            _ => access,
        };
        self.nodes.insert(
            found.real.clone(),
            Node::Bind {
                access: merged,
                found,
            },
        );
        Ok(())
    }

    pub(super) fn show_grant(
        &mut self,
        path: &PathScope,
        holes: &[PathBuf],
        access: Access,
        rights: Rights,
    ) -> Result<(), PathFault> {
        let found = check_scope(path)?;
        if holes.is_empty() {
            self.allow(&found.real, rights, found.kind == What::Folder);
            return self.show(found, access);
        }
        if access == Access::Write {
            return self.show_brokered(found, holes, rights);
        }
        let pieces = carve(&found.real, holes)?;
        self.allow(&found.real, Rights::LIST, true);
        for folder in pieces.folders {
            self.nodes.entry(folder).or_insert(Node::Folder);
        }
        for (link, target) in pieces.links {
            self.nodes
                .entry(link)
                .or_insert(Node::Link(target.into_os_string()));
        }
        for shown in pieces.shown {
            let found = locate(&shown)?;
            self.allow(&shown, rights, found.kind == What::Folder);
            self.show(found, access)?;
        }
        Ok(())
    }

    /// Shows a writable tree with holes: read-only, and what lies beside the holes writable upon it.
    pub(super) fn show_brokered(
        &mut self,
        found: Located,
        holes: &[PathBuf],
        rights: Rights,
    ) -> Result<(), PathFault> {
        for folder in beside(&found.real, holes)? {
            let folder = locate(&folder)?;
            self.allow(&folder.real, rights, true);
            self.show(folder, Access::Write)?;
        }
        self.brokered.push((found.clone(), holes.to_vec()));
        self.show(found, Access::Read)
    }

    /// Shows a part of a runtime, with the links that lead to it.
    pub(super) fn show_runtime(
        &mut self,
        path: &Path,
        access: Access,
        rights: Rights,
    ) -> Result<Located, PathFault> {
        let (found, links) = follow(path)?;
        if !matches!(found.kind, What::Folder | What::File) {
            return Err(PathFault(format!(
                "`{}` is neither file nor folder",
                path.display()
            )));
        }
        if let Some(why) = kernel_tree(&found.real) {
            return Err(PathFault(why));
        }
        for (link, target) in links {
            self.nodes.entry(link).or_insert(Node::Link(target));
        }
        self.allow(&found.real, rights, found.kind == What::Folder);
        self.show(found.clone(), access)?;
        Ok(found)
    }

    pub(super) fn add_base(&mut self, uid: u32, gid: u32) -> Result<(), PathFault> {
        for scratch in [base::TMP, base::HOME] {
            if self.nodes.contains_key(Path::new(scratch)) || self.is_shown(Path::new(scratch)) {
                continue;
            }
            self.allow(Path::new(scratch), Rights::SCRATCH, true);
            self.nodes.insert(scratch.into(), Node::Scratch);
        }
        for (path, content) in base::etc(uid, gid) {
            if !self.nodes.contains_key(Path::new(path)) && !self.is_shown(Path::new(path)) {
                self.allow(Path::new(path), Rights::READ, false);
                self.nodes.insert(
                    path.into(),
                    Node::File {
                        content: content.into_bytes(),
                        mode: 0o444,
                    },
                );
            }
        }
        for path in base::DEVICES {
            let found = locate(Path::new(path))?;
            if found.kind != What::Character {
                return Err(PathFault(format!("`{path}` of the host is not a device")));
            }
            self.allow(Path::new(path), Rights::SCRATCH, false);
            self.nodes.insert(
                path.into(),
                Node::Bind {
                    access: Access::Device,
                    found,
                },
            );
        }
        for (path, target) in base::LINKS {
            self.nodes.insert(path.into(), Node::Link(target.into()));
        }
        self.nodes.insert("/proc".into(), Node::Proc);
        self.allow(Path::new("/proc"), Rights::READ, true);
        // Not readable, so the kernel makes it non-dumpable as it is exec\'ed: its `/proc` entries, among
        // them the pipe that ends everything with the host, are closed to the plugin (L18).
        self.nodes.insert(
            base::INIT_PATH.into(),
            Node::File {
                content: base::INIT.to_vec(),
                mode: 0o111,
            },
        );
        self.allow(Path::new(base::INIT_PATH), Rights::RUN, false);
        Ok(())
    }

    /// Puts a stub in the place of a program, which asks the host to run it.
    pub(super) fn add_stub(&mut self, path: &Path) -> Result<(), PathFault> {
        let (found, links) = follow(path)?;
        for (link, target) in links {
            self.nodes.entry(link).or_insert(Node::Link(target));
        }
        let content = base::INIT.to_vec();
        let node = match self.is_shown(&found.real) {
            true => Node::Over { content, run: true },
            false => Node::File {
                content,
                mode: 0o555,
            },
        };
        self.allow(&found.real, Rights::RUN, false);
        self.nodes.insert(found.real.clone(), node);
        self.stubs.push(found.real);
        Ok(())
    }

    /// Shows files of ours, in place of the host's where those would be seen.
    pub(super) fn add_files(&mut self, files: &[(PathBuf, Vec<u8>)]) {
        for (path, content) in files {
            let content = content.clone();
            let node = match self.is_shown(path) {
                // Nothing to lie over: what a mount shows cannot be added to.
                true if locate(path).is_err() => continue,
                true => Node::Over {
                    content,
                    run: false,
                },
                false => Node::File {
                    content,
                    mode: 0o444,
                },
            };
            self.allow(path, Rights::READ, false);
            self.nodes.insert(path.clone(), node);
        }
    }

    /// True when a mount of the host already shows `path`.
    pub(super) fn is_shown(&self, path: &Path) -> bool {
        matches!(nearest(&self.nodes, path), Some(Node::Bind { .. }))
    }

    /// Leaves out what its surroundings already show, and what would let write and execute meet.
    pub(super) fn finish(self) -> Result<Layout, PathFault> {
        let mut kept: BTreeMap<PathBuf, Node> = BTreeMap::new();
        let mut made: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::from("/")]);
        let mut nodes = Vec::new();
        for (path, node) in self.nodes {
            let around = match nearest(&kept, &path) {
                Some(Node::Bind { access, .. }) => Some(*access),
                _ => None,
            };
            match (around, &node) {
                (
                    Some(Access::Write),
                    Node::Bind {
                        access: Access::Run,
                        ..
                    },
                ) => return Err(meets(&path)),
                (Some(outer), Node::Bind { access, .. })
                    if outer == *access || *access == Access::Read =>
                {
                    continue;
                }
                (Some(_), Node::Folder | Node::Link(_) | Node::File { .. }) => continue,
                _ => {}
            }
            if around.is_none() {
                add_parents(&path, &mut made, &mut nodes);
                if node == Node::Folder && !made.insert(path.clone()) {
                    continue;
                }
            }
            if node.is_mount() {
                made.insert(path.clone());
            }
            nodes.push((path.clone(), node.clone()));
            kept.insert(path, node);
        }
        if nodes.len() > MAX_NODES {
            return Err(PathFault(format!(
                "{} mounts are more than {MAX_NODES}",
                nodes.len()
            )));
        }
        let rules = self
            .rules
            .into_iter()
            .map(|(path, access)| Rule { path, access })
            .collect();
        Ok(Layout {
            nodes,
            rules,
            brokered: self.brokered,
            stubs: self.stubs,
            terminals: false,
        })
    }
}

fn add_parents(path: &Path, made: &mut BTreeSet<PathBuf>, nodes: &mut Vec<(PathBuf, Node)>) {
    let mut missing: Vec<_> = path
        .ancestors()
        .skip(1)
        .take_while(|above| !made.contains(*above))
        .collect();
    while let Some(folder) = missing.pop() {
        made.insert(folder.to_owned());
        nodes.push((folder.to_owned(), Node::Folder));
    }
}

/// The innermost mount that `path` lies in, itself left out.
fn nearest<'a>(nodes: &'a BTreeMap<PathBuf, Node>, path: &Path) -> Option<&'a Node> {
    path.ancestors()
        .skip(1)
        .find_map(|above| nodes.get(above).filter(|node| node.is_mount()))
}

fn meets(path: &Path) -> PathFault {
    PathFault(format!(
        "`{}` would be writable and executable: move what is run out of what is written",
        path.display()
    ))
}
