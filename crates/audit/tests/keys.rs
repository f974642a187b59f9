//! The key file, and who may read it.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "test helpers stop the test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use bailiwick_audit::{
    AuditError, Event, Log, Options, SIGNING_KEY_FILE, Subject, VERIFIER_KEY_FILE, verify,
};

fn open(dir: &Path) -> Result<Log, AuditError> {
    Log::open(dir, Options::default())
}

fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("folder");
    open(dir.path()).expect("opens").close().expect("closes");
    dir
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn a_new_key_is_its_owners_alone() {
    let dir = made();
    let mode = fs::metadata(dir.path().join(SIGNING_KEY_FILE))
        .expect("key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn every_file_of_a_log_is_its_owners_alone() {
    let dir = made();
    let log = open(dir.path()).expect("opens");
    log.append(&Subject::default(), &Event::GateStop { reason: "x".into() })
        .expect("appends");
    log.close().expect("closes");
    for file in [
        "checkpoint",
        "journal/000000000000",
        "tile/entries/000.p/1",
        SIGNING_KEY_FILE,
    ] {
        let mode = fs::metadata(dir.path().join(file))
            .expect(file)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[test]
fn a_key_that_others_reach_is_refused() {
    let dir = made();
    let key = dir.path().join(SIGNING_KEY_FILE);
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777] {
        set_mode(&key, mode);
        let error = open(dir.path()).expect_err("refused");
        assert!(
            matches!(error, AuditError::LooseKey { mode: found, .. } if found == mode),
            "{error}"
        );
        assert!(error.to_string().contains("chmod 600"));
    }
    for mode in [0o600, 0o400] {
        set_mode(&key, mode);
        open(dir.path()).expect("opens");
    }
}

#[test]
fn a_link_is_not_followed_to_a_key() {
    let (dir, other) = (made(), made());
    let key = dir.path().join(SIGNING_KEY_FILE);
    fs::remove_file(&key).expect("removes");
    symlink(other.path().join(SIGNING_KEY_FILE), &key).expect("links");
    assert!(matches!(open(dir.path()), Err(AuditError::Key { .. })));
}

#[test]
fn a_log_is_never_continued_with_a_new_key() {
    let dir = made();
    fs::remove_file(dir.path().join(SIGNING_KEY_FILE)).expect("removes");
    assert!(matches!(open(dir.path()), Err(AuditError::Key { .. })));
    assert!(!dir.path().join(SIGNING_KEY_FILE).exists());
}

/// The base64 behind `PRIVATE`, `KEY`, name and id; it may hold plus signs itself.
fn secret_of(key: &str) -> &str {
    let secret = key.trim_end().splitn(5, '+').last().expect("key");
    assert_eq!(secret.len(), 44);
    secret
}

#[test]
fn a_foreign_or_broken_key_is_refused_and_never_shown() {
    let (dir, other) = (made(), made());
    let key = dir.path().join(SIGNING_KEY_FILE);
    let own = fs::read_to_string(&key).expect("key");
    fs::copy(other.path().join(SIGNING_KEY_FILE), &key).expect("copies");
    assert!(matches!(open(dir.path()), Err(AuditError::Damaged { .. })));
    fs::write(&key, own.replace("bailiwick", "mallory")).expect("writes");
    let error = open(dir.path()).expect_err("refused");
    let secret = secret_of(&own);
    assert!(!error.to_string().contains(secret) && !format!("{error:?}").contains(secret));
}

#[test]
fn the_key_may_lie_elsewhere() {
    let (dir, keys) = (
        tempfile::tempdir().expect("folder"),
        tempfile::tempdir().expect("folder"),
    );
    let options = Options {
        key_file: Some(keys.path().join("k")),
        ..Options::default()
    };
    let log = Log::open(dir.path(), options.clone()).expect("opens");
    log.append(&Subject::default(), &Event::GateStop { reason: "x".into() })
        .expect("appends");
    log.close().expect("closes");
    assert!(keys.path().join("k").exists() && !dir.path().join(SIGNING_KEY_FILE).exists());
    assert!(dir.path().join(VERIFIER_KEY_FILE).exists());
    verify(dir.path(), log.verifier_key(), None).expect("holds");
    drop(log);
    assert_eq!(Log::open(dir.path(), options).expect("opens").size(), 1);
}

#[test]
fn neither_the_log_nor_its_errors_hold_the_secret() {
    let dir = made();
    let log = open(dir.path()).expect("opens");
    let secret = fs::read_to_string(dir.path().join(SIGNING_KEY_FILE)).expect("key");
    let secret = secret_of(&secret);
    assert!(!format!("{log:?}").contains(secret));
    let public = fs::read_to_string(dir.path().join(VERIFIER_KEY_FILE)).expect("key");
    assert!(!public.contains(secret) && !public.contains("PRIVATE"));
}
