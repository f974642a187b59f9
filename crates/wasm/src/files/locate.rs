//! From a descriptor and a path to a directory that is open and one name in it.

use bailiwick_capability::AbsPath;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};

use super::{Access, Files};

/// Longest chain of links that is followed, as in Linux.
const MAX_LINKS: usize = 40;

/// A place in the file system: a name in an open directory, and where that really is.
pub(super) struct Place {
    pub(super) dir: Resource<Descriptor>,
    pub(super) name: String,
    pub(super) real: AbsPath,
}

/// Where a name leads.
enum Target {
    NoLink,
    Relative(String),
    Absolute,
}

impl Files<'_> {
    /// Finds the place that `path` below `fd` means, asking the grant before the file system is touched
    /// and again about where that led.
    ///
    /// The caller releases the place's directory by [`Files::release`].
    pub(super) async fn locate(
        &mut self,
        fd: &Resource<Descriptor>,
        path: &str,
        follow: bool,
        access: Access,
    ) -> FsResult<Place> {
        let base = self.real_path_of(fd)?;
        let follow = follow || path.ends_with('/');
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Some(lexical) = join(&base, &path) else {
                return Err(self.deny(
                    access,
                    &format!("{base} then {path}"),
                    "leads outside the granted directory",
                ));
            };
            self.check(access, &lexical)?;
            let place = self.open_parent(fd, &path, access, &lexical).await?;
            if !follow || place.name == "." {
                let allowed = self.check(access, &place.real);
                return self.keep_if(place, allowed);
            }
            match self.link_target(&place).await {
                Target::NoLink => {
                    let allowed = self.check(access, &place.real);
                    return self.keep_if(place, allowed);
                }
                Target::Absolute => {
                    self.release(place)?;
                    return Err(self.deny(
                        access,
                        lexical.as_str(),
                        "an absolute link; its target must be named itself",
                    ));
                }
                Target::Relative(target) => {
                    self.release(place)?;
                    path = match path.trim_end_matches('/').rsplit_once('/') {
                        Some((parent, _)) => format!("{parent}/{target}"),
                        None => target,
                    };
                }
            }
        }
        Err(ErrorCode::Loop.into())
    }

    /// Opens the directory that holds the last name of `path`; links on the way are followed beneath `fd`.
    async fn open_parent(
        &mut self,
        fd: &Resource<Descriptor>,
        path: &str,
        access: Access,
        lexical: &AbsPath,
    ) -> FsResult<Place> {
        let trimmed = path.trim_end_matches('/');
        let (parent, name) = match trimmed.rsplit_once('/') {
            Some((parent, name)) if !plain(name) => (format!("{parent}/{name}"), "."),
            Some((parent, name)) => (parent.to_owned(), name),
            None if plain(trimmed) => (".".to_owned(), trimmed),
            None => (
                if trimmed.is_empty() { "." } else { trimmed }.to_owned(),
                ".",
            ),
        };
        let opened = self
            .inner
            .open_at(
                Resource::new_borrow(fd.rep()),
                PathFlags::SYMLINK_FOLLOW,
                parent,
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ,
            )
            .await;
        let dir = match opened {
            Ok(dir) => dir,
            Err(error) => {
                let escaped = matches!(error.downcast_ref(), Some(ErrorCode::NotPermitted));
                return Err(if escaped {
                    self.deny(
                        access,
                        lexical.as_str(),
                        "a link on the way leads outside the granted directory",
                    )
                } else {
                    error
                });
            }
        };
        let real = match self.real_path_of(&dir) {
            Ok(parent) => join(&parent, name),
            Err(_) => None,
        };
        match real {
            Some(real) => Ok(Place {
                dir,
                name: name.to_owned(),
                real,
            }),
            None => {
                self.inner.table.delete(dir)?;
                Err(self.deny(
                    access,
                    lexical.as_str(),
                    "where it really is cannot be told",
                ))
            }
        }
    }

    async fn link_target(&mut self, place: &Place) -> Target {
        let read = self
            .inner
            .readlink_at(Resource::new_borrow(place.dir.rep()), place.name.clone())
            .await;
        match read {
            Ok(target) if target.starts_with('/') => Target::Absolute,
            Ok(target) => Target::Relative(target),
            // The host does not show absolute targets.
            Err(error) => match error.downcast_ref() {
                Some(ErrorCode::NotPermitted) => Target::Absolute,
                _ => Target::NoLink,
            },
        }
    }

    fn keep_if(&mut self, place: Place, allowed: FsResult<()>) -> FsResult<Place> {
        match allowed {
            Ok(()) => Ok(place),
            Err(error) => {
                self.release(place)?;
                Err(error)
            }
        }
    }

    /// Refuses a link from `place` whose target is not granted as well.
    pub(super) fn link_stays_inside(&self, place: &Place, target: &str) -> FsResult<()> {
        let inside = place.real.parent().and_then(|parent| {
            let root = AbsPath::exactly("/").ok()?;
            let relative = format!("{}/{target}", parent.as_str().trim_start_matches('/'));
            (!target.starts_with('/')).then(|| join(&root, &relative))?
        });
        match inside {
            Some(inside) => self.check(Access::Either, &inside),
            None => Err(self.deny(Access::Write, target, "the link would lead outside")),
        }
    }

    /// Closes the directory of a place.
    pub(super) fn release(&mut self, place: Place) -> FsResult<()> {
        self.inner.table.delete(place.dir)?;
        Ok(())
    }
}

fn plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}

/// `path` below `base`, by its words alone; none where it leaves `base` or is absolute.
fn join(base: &AbsPath, path: &str) -> Option<AbsPath> {
    if path.starts_with('/') {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    AbsPath::exactly(&format!("{base}/{}", names.join("/"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_never_leaves_the_base() {
        let base = AbsPath::exactly("/data/docs").unwrap();
        let joined = |path| join(&base, path).map(|path| path.to_string());
        assert_eq!(joined("a/./b//c"), Some("/data/docs/a/b/c".into()));
        assert_eq!(joined("a/../b"), Some("/data/docs/b".into()));
        assert_eq!(joined("."), Some("/data/docs".into()));
        for outside in ["..", "a/../..", "../docs/a", "/data/docs/a", "/etc/passwd"] {
            assert_eq!(joined(outside), None, "{outside}");
        }
    }

    proptest::proptest! {
        #[test]
        fn l15_no_path_is_joined_to_a_place_outside(
            names in proptest::collection::vec(proptest::sample::select(vec!["a", "..", ".", "", "docs", "x y"]), 0..8)
        ) {
            let base = AbsPath::exactly("/data/docs").unwrap();
            if let Some(joined) = join(&base, &names.join("/")) {
                proptest::prop_assert!(joined.is_within(&base));
            }
        }
    }
}
