//! A real Secret Service: gnome-keyring on a bus of the test's own.

use std::time::{Duration, Instant};

use bailiwick_secret::{Keep, Keeper, Options, Store};
use bailiwick_testkit::keyring::Keyring;
use bailiwick_testkit::user;

use crate::{CANARY, binding, files, folder, github, nowhere, sealed, text, value};

/// A service that does not answer after this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn on(keyring: &Keyring, dir: &std::path::Path, keep: Keep) -> Store {
    let options = Options {
        keep,
        identity: None,
        bus: Some(keyring.address().to_owned()),
    };
    Store::open(dir, options).unwrap()
}

/// The same, once the service has taken its name on the bus.
fn ready(keyring: &Keyring, dir: &std::path::Path) -> Store {
    let store = on(keyring, dir, Keep::Keyring);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = store.keeper() {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    on(keyring, dir, Keep::Auto)
}

#[test]
fn secrets_are_kept_in_the_keyring_and_nowhere_else() {
    if !user::is_ordinary_or_rerun("keyring::secrets_are_kept_in_the_keyring_and_nowhere_else") {
        return;
    }
    let (home, dir, second) = (folder(), folder(), folder());
    let keyring = Keyring::start(home.path(), Some("opens"));
    let store = ready(&keyring, dir.path());
    assert_eq!(store.keeper().unwrap(), Keeper::Keyring);
    assert!(store.list().unwrap().is_empty() && files(dir.path()).is_empty());
    assert!(!store.set("github_token", value(CANARY), github()).unwrap());
    let long = CANARY.repeat(3000);
    assert!(
        !store
            .set("long", value(&long), binding("https://x.example/v1/ GET"))
            .unwrap()
    );
    assert_eq!(text(&store, "github_token").as_deref(), Some(CANARY));
    assert_eq!(text(&store, "long"), Some(long));
    let listed = store.list().unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.keeper))
        .collect();
    assert_eq!(
        names,
        [("github_token", Keeper::Keyring), ("long", Keeper::Keyring)]
    );
    // Neither in our folder nor in the keyring's own files.
    nowhere(dir.path());
    nowhere(home.path());
    assert!(!dir.path().join("secrets.age").exists() && !dir.path().join("secrets.key").exists());
    // Rotation, and another folder's secrets apart.
    assert!(
        store
            .set("github_token", value("new"), binding("https://b.example"))
            .unwrap()
    );
    assert_eq!(text(&store, "github_token").as_deref(), Some("new"));
    assert_eq!(store.list().unwrap().len(), 2);
    let other = on(&keyring, second.path(), Keep::Auto);
    assert!(other.list().unwrap().is_empty());
    other.set("github_token", value("other"), github()).unwrap();
    assert_eq!(text(&store, "github_token").as_deref(), Some("new"));
    assert!(store.remove("github_token").unwrap() && !store.remove("github_token").unwrap());
    assert_eq!(text(&store, "github_token"), None);
    assert!(store.remove("long").unwrap());
    assert_eq!(text(&other, "github_token").as_deref(), Some("other"));
    // With the last one goes the choice.
    assert_eq!(sealed(dir.path()).keeper().unwrap(), Keeper::File);
}

#[test]
fn a_keyring_that_is_gone_or_locked_is_an_error_and_not_an_empty_store() {
    let (home, dir) = (folder(), folder());
    let gone = {
        let keyring = Keyring::start(home.path(), Some("opens"));
        let store = ready(&keyring, dir.path());
        store.set("github_token", value(CANARY), github()).unwrap();
        let elsewhere = Store::open(dir.path(), Options::default()).unwrap();
        let error = elsewhere.get("github_token").unwrap_err().to_string();
        assert!(error.contains("session bus"), "{error}");
        store
    };
    for error in [
        gone.list().unwrap_err(),
        gone.get("github_token").unwrap_err(),
    ] {
        assert!(error.to_string().contains("bus"), "{error}");
    }
    assert!(gone.set("other", value("x"), github()).is_err());
    assert!(
        !dir.path().join("secrets.age").exists(),
        "and nothing falls back to a file"
    );
    {
        let locked = Keyring::start(home.path(), None);
        let store = ready(&locked, dir.path());
        let error = store.get("github_token").unwrap_err().to_string();
        assert!(
            error.contains("locked") && !error.contains(CANARY),
            "{error}"
        );
        assert!(store.set("other", value("x"), github()).is_err());
    }
    let again = Keyring::start(home.path(), Some("opens"));
    assert_eq!(
        text(&ready(&again, dir.path()), "github_token").as_deref(),
        Some(CANARY)
    );
}

#[test]
fn a_bus_without_a_keyring_means_a_file() {
    let (home, dir) = (folder(), folder());
    let bus = Keyring::bus(home.path(), std::process::Command::new("dbus-daemon"));
    let store = on(&bus, dir.path(), Keep::Auto);
    assert_eq!(store.keeper().unwrap(), Keeper::File);
    store.set("github_token", value(CANARY), github()).unwrap();
    assert_eq!(text(&store, "github_token").as_deref(), Some(CANARY));
    let error = on(&bus, &home.path().join("none"), Keep::Keyring)
        .keeper()
        .unwrap_err();
    assert!(error.to_string().contains("gnome-keyring"), "{error}");
}

#[test]
fn a_bus_that_another_user_serves_gets_no_secret() {
    if !user::is_root() {
        return; // Only root can start a bus as somebody else.
    }
    let home = bailiwick_testkit::readable_dir();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(home.path(), open).unwrap();
    let bus = Keyring::bus(home.path(), user::ordinary("dbus-daemon"));
    let dir = folder();
    let error = on(&bus, dir.path(), Keep::Keyring)
        .keeper()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("served by user {}", user::NOBODY)),
        "{error}"
    );
}
