//! The sealed file.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use bailiwick_secret::{Keep, Keeper, Options, Store};
use bailiwick_testkit::user;

use crate::{CANARY, binding, files, folder, github, nowhere, sealed, text, value};

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refused(store: &Store, words: &[&str]) {
    let list = store.list().unwrap_err().to_string();
    let get = store.get("github_token").unwrap_err().to_string();
    let set = store
        .set("other", value("x"), github())
        .unwrap_err()
        .to_string();
    for error in [list, get, set] {
        for word in words {
            assert!(error.contains(word), "`{word}` in: {error}");
        }
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn a_secret_is_kept_listed_replaced_and_removed() {
    if !user::is_ordinary_or_rerun("file::a_secret_is_kept_listed_replaced_and_removed") {
        return;
    }
    let top = folder();
    let dir = top.path().join("state");
    let store = sealed(&dir);
    assert!(store.list().unwrap().is_empty() && store.get("github_token").unwrap().is_none());
    assert!(
        !store.remove("github_token").unwrap() && !dir.exists(),
        "looking makes nothing"
    );
    assert!(!store.set("github_token", value(CANARY), github()).unwrap());
    assert!(
        !store
            .set("other", value("two"), binding("https://x.example/v1/ GET"))
            .unwrap()
    );
    assert_eq!(text(&store, "github_token").as_deref(), Some(CANARY));
    let listed = store.list().unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["github_token", "other"]);
    let first = listed.first().unwrap();
    assert_eq!((first.keeper, &first.binding), (Keeper::File, &github()));
    assert!(
        first.set.ends_with('Z') && first.set.len() == 20,
        "{}",
        first.set
    );
    let shown = format!(
        "{listed:?} {store:?} {:?}",
        store.get("github_token").unwrap()
    );
    assert!(!shown.contains(CANARY), "{shown}");
    // Rotation: another opening, the new value, the new binding.
    let again = sealed(&dir);
    assert!(
        again
            .set("github_token", value("new"), binding("https://b.example"))
            .unwrap()
    );
    assert_eq!(text(&store, "github_token").as_deref(), Some("new"));
    assert_eq!(
        store.get("github_token").unwrap().unwrap().1,
        binding("https://b.example")
    );
    assert!(store.remove("github_token").unwrap() && !store.remove("github_token").unwrap());
    assert_eq!(text(&store, "github_token"), None);
    assert_eq!(text(&store, "other").as_deref(), Some("two"));
    assert!(store.remove("other").unwrap());
    assert!(!dir.join("secrets.age").exists() && store.list().unwrap().is_empty());
    for file in files(&dir) {
        assert_eq!(
            file.metadata().unwrap().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
}

#[test]
fn l35_the_value_is_in_no_file_also_not_after_it_is_gone() {
    let dir = folder();
    let store = sealed(dir.path());
    store.set("github_token", value(CANARY), github()).unwrap();
    store
        .set("long", value(&CANARY.repeat(1000)), github())
        .unwrap();
    nowhere(dir.path());
    store
        .set("github_token", value("another"), github())
        .unwrap();
    store.remove("long").unwrap();
    nowhere(dir.path());
}

#[test]
fn l21_no_pattern_gets_a_secret() {
    let dir = folder();
    let store = sealed(dir.path());
    store.set("github_token", value(CANARY), github()).unwrap();
    for pattern in [
        "*",
        "**",
        "github*",
        "github_toke?",
        "g.*",
        "",
        "github_token\0",
        "GITHUB_TOKEN ",
        "a|b",
    ] {
        assert!(store.get(pattern).is_err(), "{pattern:?}");
        assert!(
            store.set(pattern, value("x"), github()).is_err(),
            "{pattern:?}"
        );
        assert!(store.remove(pattern).is_err(), "{pattern:?}");
    }
    for other in [
        "GITHUB_TOKEN",
        "github_toke",
        "github_token.",
        "github.token",
        "./github_token",
    ] {
        assert_eq!(text(&store, other), None, "{other}");
    }
}

#[test]
fn a_key_or_a_store_that_others_may_read_is_refused() {
    if !user::is_ordinary_or_rerun("file::a_key_or_a_store_that_others_may_read_is_refused") {
        return;
    }
    let dir = folder();
    let store = sealed(dir.path());
    store.set("github_token", value(CANARY), github()).unwrap();
    for name in ["secrets.key", "secrets.age"] {
        let path = dir.path().join(name);
        for loose in [0o644, 0o640, 0o604, 0o620, 0o602] {
            mode(&path, loose);
            refused(&store, &[name, "chmod 600"]);
        }
        mode(&path, 0o600);
        let aside = dir.path().join("elsewhere");
        std::fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        refused(&store, &[name, "link"]);
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    }
    mode(dir.path(), 0o755);
    let error = store
        .set("other", value("x"), github())
        .unwrap_err()
        .to_string();
    assert!(error.contains("chmod 700"), "{error}");
    mode(dir.path(), 0o700);
    assert_eq!(text(&store, "github_token").as_deref(), Some(CANARY));
}

#[test]
fn a_key_or_a_store_of_another_user_is_refused() {
    if !user::is_root() {
        return; // Only root can give a file away; `private` tests what an ordinary user can meet.
    }
    let dir = folder();
    let store = sealed(dir.path());
    store.set("github_token", value(CANARY), github()).unwrap();
    for name in ["secrets.key", "secrets.age"] {
        let path = dir.path().join(name);
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        refused(&store, &[name, "12345"]);
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    assert_eq!(text(&store, "github_token").as_deref(), Some(CANARY));
}

#[test]
fn what_is_damaged_or_foreign_is_refused_and_left_as_it_is() {
    let (dir, foreign) = (folder(), folder());
    let store = sealed(dir.path());
    store.set("github_token", value(CANARY), github()).unwrap();
    let other = sealed(foreign.path());
    other
        .set("github_token", value("theirs"), github())
        .unwrap();
    let path = dir.path().join("secrets.age");
    let good = std::fs::read(&path).unwrap();
    let theirs = std::fs::read(foreign.path().join("secrets.age")).unwrap();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let cut = good.get(..good.len() - 1).unwrap().to_vec();
    let cases: [(Vec<u8>, &str); 6] = [
        (changed, "damaged"),
        (cut, "damaged"),
        (theirs, "another identity"),
        (Vec::new(), "age"),
        (b"github_token: canary-7b1d40c98e2f\n".to_vec(), "age"),
        (vec![0; 100_000], "age"),
    ];
    for (bytes, word) in cases {
        std::fs::write(&path, &bytes).unwrap();
        refused(&store, &["secrets.age", word]);
        assert_eq!(
            std::fs::read(&path).unwrap(),
            bytes,
            "nothing is written over it"
        );
    }
    std::fs::write(&path, &good).unwrap();
    std::fs::remove_file(dir.path().join("secrets.key")).unwrap();
    refused(&store, &["secrets.key", "put it back"]);
    assert!(
        !dir.path().join("secrets.key").exists(),
        "no other key is made for it"
    );
}

#[test]
fn the_file_is_of_no_use_without_the_key_that_lies_elsewhere() {
    let (dir, key) = (folder(), folder());
    let open = |identity: Option<&Path>| {
        let options = Options {
            identity: identity.map(Path::to_owned),
            ..Options::default()
        };
        Store::open(dir.path(), options).unwrap()
    };
    let path = key.path().join("bailiwick.key");
    let store = open(Some(&path));
    store.set("github_token", value(CANARY), github()).unwrap();
    assert_eq!(text(&store, "github_token").as_deref(), Some(CANARY));
    let here = files(dir.path());
    assert!(
        here.iter().all(|file| !file.ends_with("secrets.key")),
        "{here:?}"
    );
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    refused(&open(None), &["secrets.key", "BAILIWICK_SECRETS_IDENTITY"]);
    mode(&path, 0o644);
    refused(&store, &["bailiwick.key", "chmod 600"]);
    assert!(
        Store::open(
            dir.path(),
            Options {
                identity: Some("a.key".into()),
                ..Options::default()
            }
        )
        .is_err()
    );
    assert!(Store::open(Path::new("state"), Options::default()).is_err());
}

#[test]
fn a_binding_that_cannot_be_is_not_kept() {
    let dir = folder();
    let store = sealed(dir.path());
    let mut none = github();
    none.to.clear();
    for bad in [
        binding("http://example.com"),
        binding("tcp://a.example:1"),
        none,
    ] {
        assert!(store.set("a", value("x"), bad).is_err());
    }
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn where_secrets_are_kept_does_not_change_by_itself() {
    let dir = folder();
    let with = |keep| {
        Store::open(
            dir.path(),
            Options {
                keep,
                ..Options::default()
            },
        )
        .unwrap()
    };
    assert!(
        with(Keep::Keyring).list().unwrap().is_empty(),
        "nothing is kept yet"
    );
    // No session bus: a file, unless a keyring is wanted.
    assert_eq!(with(Keep::Auto).keeper().unwrap(), Keeper::File);
    let error = with(Keep::Keyring).keeper().unwrap_err().to_string();
    assert!(
        error.contains("session bus") && error.contains("keep: file"),
        "{error}"
    );
    with(Keep::Auto)
        .set("github_token", value(CANARY), github())
        .unwrap();
    refused(&with(Keep::Keyring), &["secrets.age", "secret rm"]);
    // What says that the secrets are in a keyring is believed, not passed over.
    let marker = dir.path().join("secrets.keyring");
    std::fs::write(&marker, "0123456789abcdef0123456789abcdef\n").unwrap();
    mode(&marker, 0o600);
    refused(&with(Keep::Auto), &["contradict"]);
    std::fs::remove_file(dir.path().join("secrets.age")).unwrap();
    refused(&with(Keep::Auto), &["session bus"]);
    refused(&with(Keep::File), &["secrets.keyring"]);
    std::fs::write(&marker, "../../x").unwrap();
    refused(&with(Keep::Auto), &["secrets.keyring"]);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let dir = folder();
    let threads: Vec<_> = (0..24)
        .map(|number| {
            let store = sealed(dir.path());
            std::thread::spawn(move || {
                store.set(&format!("s{number}"), value(&number.to_string()), github())
            })
        })
        .collect();
    for thread in threads {
        assert!(!thread.join().unwrap().unwrap());
    }
    let store = sealed(dir.path());
    for number in 0..24 {
        assert_eq!(
            text(&store, &format!("s{number}")),
            Some(number.to_string())
        );
    }
}

#[test]
fn a_writer_that_never_ends_is_named() {
    let dir = folder();
    let store = sealed(dir.path());
    store.set("github_token", value(CANARY), github()).unwrap();
    let held = std::fs::File::open(dir.path().join("secrets.lock")).unwrap();
    held.lock().unwrap();
    assert_eq!(
        text(&store, "github_token").as_deref(),
        Some(CANARY),
        "reading goes on"
    );
    let error = store
        .set("other", value("x"), github())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("secrets.lock") && error.contains("wait"),
        "{error}"
    );
}
