//! The age identity that opens the store: one file, ours alone.

use std::path::Path;
use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use crate::error::SecretError;
use crate::private;

/// Identity files are two lines of comment and one of key; more is none of ours.
const MAX_FILE: u64 = 4096;
const PREFIX: &str = "AGE-SECRET-KEY-1";

/// The identity in `path`; none where there is no such file. The format is that of `age-keygen`.
///
/// # Errors
/// [`SecretError::File`] where it is a link, another user's, readable by others, or holds no identity.
pub(crate) fn load(path: &Path) -> Result<Option<Identity>, SecretError> {
    let Some(bytes) = private::read(path, MAX_FILE)? else {
        return Ok(None);
    };
    let no_key = || {
        let why = "holds no age identity (a line `AGE-SECRET-KEY-1…`, as `age-keygen` writes it): put the right \
                   file back";
        SecretError::file(path, why)
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| no_key())?;
    let mut keys = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.starts_with(PREFIX) => {
            Identity::from_str(key).map(Some).map_err(|_| no_key())
        }
        _ => Err(no_key()),
    }
}

/// The identity in `path`, made there when there is none: whole or not at all, and never in place of another.
///
/// # Errors
/// As [`load`]; [`SecretError::Io`].
pub(crate) fn load_or_create(path: &Path) -> Result<Identity, SecretError> {
    if let Some(identity) = load(path)? {
        return Ok(identity);
    }
    let made = Identity::generate();
    let secret = made.to_string();
    let public = made.to_public();
    let head =
        format!("# Opens Bailiwick's secrets. Keep it to yourself.\n# public key: {public}\n");
    let mut text = Zeroizing::new(Vec::with_capacity(512));
    for part in [head.as_str(), secret.expose_secret(), "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    let mut unique = [0_u8; 8];
    getrandom::fill(&mut unique).map_err(SecretError::random)?;
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", hex::encode(unique)));
    let aside = Path::new(&aside);
    private::create(aside, &text)?;
    let moved = renameat_with(CWD, aside, CWD, path, RenameFlags::NOREPLACE);
    if moved.is_err() {
        private::remove(aside)?;
    }
    match moved {
        // Somebody was quicker: theirs it is.
        Err(error) if error != rustix::io::Errno::EXIST => {
            return Err(SecretError::io("make", path)(error.into()));
        }
        _ => private::sync_folder_of(path)?,
    }
    load(path)?.ok_or_else(|| SecretError::file(path, "was removed as it was made: try again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn those_who_make_it_together_share_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || load_or_create(&path).unwrap().to_public().to_string())
            })
            .collect();
        let mut keys: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        keys.dedup();
        assert_eq!(keys.len(), 1);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing lies beside it"
        );
    }

    #[test]
    fn what_holds_no_identity_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        let good = Identity::generate().to_string();
        let two = format!("{}\n{}\n", good.expose_secret(), good.expose_secret());
        let (start, last) = good
            .expose_secret()
            .split_at(good.expose_secret().len() - 1);
        let changed = format!("{start}{}", if last == "Q" { "P" } else { "Q" });
        for text in [
            "",
            "# only a comment\n",
            "canary",
            &two,
            &changed,
            "AGE-PLUGIN-X-1QQ",
        ] {
            private::replace(&path, &dir.path().join("new"), text.as_bytes()).unwrap();
            let error = load(&path).err().expect(text).to_string();
            assert!(error.contains("no age identity"), "{error}");
            assert!(
                !error.contains("canary") && !error.contains("AGE-SECRET-KEY-1Q"),
                "{error}"
            );
        }
        private::replace(&path, &dir.path().join("new"), b"\xff\xfe").unwrap();
        assert!(load(&path).is_err());
    }
}
