//! What is kept beside the key that seals grants: keys that sealed before, and what is revoked. Both files are our
//! owner's alone, and replaced or appended to whole and for good.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use bailiwick_token::{PublicKey, Retired, Revocation, Revocations, Revoked, Trusted};
use serde::{Deserialize, Serialize};

use crate::home::Home;

/// A list of a million revocations has about this size; more was not written by us.
const MAX_LIST: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetiredLine {
    key: String,
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedLine {
    kind: String,
    name: String,
    at: i64,
    reason: String,
}

/// The list of revocations, as a file of JSON lines.
pub(crate) fn revocations_file(home: &Home) -> PathBuf {
    home.path().join("revocations")
}

fn retired_file(home: &Home) -> PathBuf {
    home.path().join("token.retired")
}

/// The keys whose tokens are accepted here.
pub(crate) fn trusted(home: &Home) -> anyhow::Result<Trusted> {
    let current = home
        .token_keys(&crate::changes::makes(home, "token"))?
        .public();
    Ok(Trusted::new(current, retired(home)?))
}

/// The keys that sealed before.
pub(crate) fn retired(home: &Home) -> anyhow::Result<Vec<Retired>> {
    let path = retired_file(home);
    lines(&path)?
        .iter()
        .map(|line| {
            let line: RetiredLine =
                serde_json::from_str(line).with_context(|| unreadable(&path))?;
            let bytes = hex::decode(&line.key).with_context(|| unreadable(&path))?;
            let key = PublicKey::from_bytes(&bytes).with_context(|| unreadable(&path))?;
            Ok(Retired { key, at: line.at })
        })
        .collect()
}

/// Keeps the public half of a key that is about to be replaced.
pub(crate) fn retire(home: &Home, key: &PublicKey, at: i64) -> anyhow::Result<()> {
    let key = key.to_string();
    append(&retired_file(home), &RetiredLine { key, at })
}

/// Everything that is revoked, oldest first.
pub(crate) fn revoked(home: &Home) -> anyhow::Result<Vec<Revocation>> {
    let path = revocations_file(home);
    lines(&path)?
        .iter()
        .map(|line| {
            let line: RevokedLine =
                serde_json::from_str(line).with_context(|| unreadable(&path))?;
            let what = Revoked::new(&line.kind, &line.name)
                .map_err(anyhow::Error::msg)
                .with_context(|| unreadable(&path))?;
            Ok(Revocation {
                what,
                at: line.at,
                reason: line.reason,
            })
        })
        .collect()
}

/// The list, ready to be asked.
pub(crate) fn revocations(home: &Home) -> anyhow::Result<Revocations> {
    let mut list = Revocations::default();
    revoked(home)?.into_iter().for_each(|one| list.add(one));
    Ok(list)
}

/// Adds to the list; it is on the disk when this returns.
pub(crate) fn revoke(home: &Home, revocation: &Revocation) -> anyhow::Result<()> {
    append(
        &revocations_file(home),
        &RevokedLine {
            kind: revocation.what.kind().to_owned(),
            name: revocation.what.name(),
            at: revocation.at,
            reason: revocation.reason.clone(),
        },
    )
}

fn unreadable(path: &Path) -> String {
    format!(
        "`{}` is damaged, and nothing is trusted until it is whole: take the broken line out by hand",
        path.display()
    )
}

/// The lines of a list; none where there is no such file. A last line without its end was never acknowledged.
fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let shown = path.display();
    let no_links = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits())?;
    let mut file = match OpenOptions::new()
        .read(true)
        .custom_flags(no_links)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
    };
    let meta = file.metadata()?;
    ensure!(
        meta.mode() & 0o022 == 0,
        "others may write `{shown}`: run `chmod 600 {shown}`, and look at what it says"
    );
    ensure!(meta.len() <= MAX_LIST, "`{shown}` is far too long");
    let mut text = String::new();
    file.read_to_string(&mut text)
        .with_context(|| unreadable(path))?;
    let whole = text.rfind('\n').map_or("", |end| text.split_at(end).0);
    Ok(whole
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

fn append(path: &Path, line: &impl Serialize) -> anyhow::Result<()> {
    let cannot = || format!("cannot write `{}`", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits())?)
        .open(path)
        .with_context(cannot)?;
    // Two commands at once must not tear each other's lines, nor one that a crash left unfinished.
    file.lock().with_context(cannot)?;
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(cannot)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    file.set_len(whole as u64).with_context(cannot)?;
    let mut bytes = Vec::new();
    serde_json::to_writer(&mut bytes, line)?;
    bytes.push(b'\n');
    file.write_all(&bytes).with_context(cannot)?;
    file.sync_all().with_context(cannot)?;
    let folder = path.parent().with_context(cannot)?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_token::Keys;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        (dir, home)
    }

    fn one(name: &str) -> Revocation {
        Revocation {
            what: Revoked::new("session", name).unwrap(),
            at: 7,
            reason: "a \"quote\"\n".to_owned(),
        }
    }

    #[test]
    fn what_is_revoked_and_retired_is_there_again() {
        let (_dir, home) = home();
        assert!(revoked(&home).unwrap().is_empty());
        revoke(&home, &one("s")).unwrap();
        revoke(&home, &one("t")).unwrap();
        assert_eq!(revoked(&home).unwrap(), [one("s"), one("t")]);
        assert_eq!(revocations(&home).unwrap().len(), 2);
        let key = Keys::generate().public();
        retire(&home, &key, 9).unwrap();
        assert_eq!(retired(&home).unwrap(), [Retired { key, at: 9 }]);
    }

    #[test]
    fn a_line_that_a_crash_tore_is_not_read_and_gives_way_to_the_next() {
        let (_dir, home) = home();
        revoke(&home, &one("s")).unwrap();
        let path = revocations_file(&home);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            let torn = [&whole[..], &whole[..cut]].concat();
            std::fs::write(&path, torn).unwrap();
            assert_eq!(revoked(&home).unwrap(), [one("s")], "{cut}");
            revoke(&home, &one("t")).unwrap();
            assert_eq!(revoked(&home).unwrap(), [one("s"), one("t")], "{cut}");
        }
    }

    #[test]
    fn a_damaged_or_loose_list_trusts_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, home) = home();
        let path = revocations_file(&home);
        for text in [
            "no line\n",
            "{\"kind\":\"world\",\"name\":\"x\",\"at\":1,\"reason\":\"\"}\n",
            "{}\n",
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(revoked(&home).is_err(), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        revoke(&home, &one("s")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(revoked(&home).unwrap_err().to_string().contains("chmod"));
    }
}
