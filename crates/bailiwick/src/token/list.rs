//! The list of revocations as a running gate asks it: read again whenever its file changed.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_gate::withdrawn::RevocationList;
use bailiwick_token::Revocations;

use super::kept::{revocations, revocations_file};
use crate::home::Home;

/// What changes whenever the file's content, mode or place does: device, inode, length, and the time of its last
/// change of any kind.
type Stamp = (u64, u64, u64, i64, i64);

/// The list of a home.
pub(crate) struct List {
    home: Home,
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    stamp: Option<Stamp>,
    list: Arc<Revocations>,
}

impl List {
    pub(crate) fn of(home: &Home) -> Self {
        Self {
            home: home.clone(),
            path: revocations_file(home),
            known: Mutex::default(),
        }
    }

    fn stamp(&self) -> Result<Option<Stamp>, String> {
        match self.path.symlink_metadata() {
            Ok(meta) => Ok(Some((
                meta.dev(),
                meta.ino(),
                meta.len(),
                meta.ctime(),
                meta.ctime_nsec(),
            ))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot look at `{}`: {error}", self.path.display())),
        }
    }
}

impl RevocationList for List {
    fn current(&self) -> Result<Arc<Revocations>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp()?;
        if stamp == known.stamp {
            return Ok(known.list.clone());
        }
        if stamp.is_none() {
            return Err(format!(
                "`{}` was there and is gone: put it back, or start the gate anew",
                self.path.display()
            ));
        }
        // The stamp is older than what is read, so that a change in between is read again.
        let list = revocations(&self.home).map_err(|error| format!("{error:#}"))?;
        *known = Known {
            stamp,
            list: Arc::new(list),
        };
        Ok(known.list.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::kept::revoke;
    use bailiwick_token::{Revocation, Revoked};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_running_gate_sees_each_change_of_the_list_and_trusts_nothing_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        let list = List::of(&home);
        assert!(list.current().unwrap().is_empty());
        for count in 1..4 {
            let what = Revoked::new("session", &count.to_string()).unwrap();
            let (at, reason) = (count, String::new());
            revoke(&home, &Revocation { what, at, reason }).unwrap();
            assert_eq!(
                list.current().unwrap().len(),
                usize::try_from(count).unwrap()
            );
        }
        let path = revocations_file(&home);
        let loose = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode));
        loose(0o666).unwrap();
        assert!(list.current().is_err());
        loose(0o600).unwrap();
        assert_eq!(list.current().unwrap().len(), 3);
        std::fs::write(&path, "no list\n").unwrap();
        assert!(list.current().is_err());
        std::fs::remove_file(&path).unwrap();
        let gone = list.current().unwrap_err();
        assert!(gone.contains("is gone"), "{gone}");
    }
}
