//! Discovery reads manifests and nothing else, and leaves nothing out in silence.

use std::os::unix::fs::symlink;
use std::path::Path;

use bailiwick_manifest::embed;

use crate::house::found;

const MANIFEST: &str = "id: p\nversion: 1.0.0\nruntime: {command: [x]}\n";

fn write(dir: &Path, name: &str, text: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn plugins_are_found_by_their_manifests_in_a_stable_order() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "b/plugin.yaml",
        MANIFEST.replace("id: p", "id: b").as_bytes(),
    );
    write(
        dir.path(),
        "a/plugin.json",
        br#"{"id": "a", "version": "1.0.0", "runtime": {"command": ["x"]}}"#,
    );
    write(dir.path(), "a/deeper/plugin.yaml", MANIFEST.as_bytes());
    write(dir.path(), "notes.txt", b"no plugin");
    let component = embed(
        &wat::parse_str("(component)").unwrap(),
        b"id: c\nversion: 1.0.0\n",
    )
    .unwrap();
    write(dir.path(), "c.wasm", &component);
    let ids: Vec<String> = found(dir.path())
        .unwrap()
        .iter()
        .map(|s| s.manifest.id().to_string())
        .collect();
    assert_eq!(ids, ["a", "b", "c"], "nested ones belong to their plugin");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let why = |name: &str| found(&at(name)).unwrap_err();
    write(dir.path(), "two/plugin.yaml", MANIFEST.as_bytes());
    write(dir.path(), "two/plugin.json", b"{}");
    assert!(why("two").contains("two manifests"));
    std::fs::create_dir(at("link")).unwrap();
    symlink("/nowhere", at("link/plugin.yaml")).unwrap();
    assert!(
        why("link").contains("there is no plugin"),
        "a dangling manifest is not overlooked"
    );
    std::fs::create_dir(at("empty")).unwrap();
    assert!(why("empty").contains("plugin.yaml"));
    assert!(why("absent").contains("there is no plugin"));
    write(
        dir.path(),
        "bare.wasm",
        &wat::parse_str("(component)").unwrap(),
    );
    assert!(why("bare.wasm").contains("carries no manifest"));
    write(dir.path(), "junk.wasm", b"junk");
    assert!(why("junk.wasm").contains("not a Wasm binary"));
    write(
        dir.path(),
        "lost/plugin.yaml",
        b"id: p\nversion: 1.0.0\nruntime: {component: gone.wasm}\n",
    );
    assert!(why("lost").contains("gone.wasm"));
    assert!(
        found(dir.path()).is_err(),
        "one bad plugin is told, not left out"
    );
}

#[test]
fn devices_and_endless_files_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("zero")).unwrap();
    symlink("/dev/zero", at("zero/plugin.yaml")).unwrap();
    assert!(
        found(&at("zero"))
            .unwrap_err()
            .contains("not a regular file")
    );
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::create_dir(at("folder/plugin.yaml")).unwrap();
    assert!(
        found(&at("folder"))
            .unwrap_err()
            .contains("not a regular file")
    );
    write(dir.path(), "big/plugin.yaml", &vec![b' '; 300 << 10]);
    assert!(found(&at("big")).unwrap_err().contains("over the limit"));
    let sparse = std::fs::File::create(at("huge.wasm")).unwrap();
    sparse.set_len(300 << 20).unwrap();
    assert!(
        found(&at("huge.wasm"))
            .unwrap_err()
            .contains("over the limit")
    );
}

#[test]
fn the_digest_covers_manifest_and_component() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "id: p\nversion: 1.0.0\nruntime: {component: x.wasm}\n";
    let digest = || found(dir.path()).unwrap()[0].digest;
    write(dir.path(), "plugin.yaml", manifest.as_bytes());
    write(dir.path(), "x.wasm", b"one");
    let first = digest();
    assert_eq!(first, digest());
    write(dir.path(), "x.wasm", b"two");
    let second = digest();
    assert_ne!(first, second);
    write(
        dir.path(),
        "plugin.yaml",
        format!("{manifest}optional_capabilities: [clock]\n").as_bytes(),
    );
    assert_ne!(second, digest());
}
