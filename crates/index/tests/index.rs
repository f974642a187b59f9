//! The index against the log: what it finds is what a plain scan finds, whatever was done to its file.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers stop the test"
)]

#[path = "../../audit/tests/support/byhand.rs"]
mod byhand;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_audit::{Filter, Narrow, Search, Sight, query, search};
use bailiwick_index::{CHUNK_BUNDLES, CHUNK_ENTRIES, Index, IndexKey, forget, remove};
use byhand::{filter, put, write_log};
use rusqlite::{Connection, params};

/// A log with an index of it.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    /// Two chunks and a bit, indexed.
    fn new(seed: u64) -> Self {
        let scene = Self::bare();
        write_log(&scene.log(), seed, 2 * CHUNK_BUNDLES + 3, 17, true);
        assert_eq!(scene.index().update(None).expect("updates").made, 2);
        scene
    }

    fn bare() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::create_dir(dir.path().join("cache")).expect("creates");
        Self { dir }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn index(&self) -> Index {
        let key = IndexKey::load_or_create(&self.dir.path().join("index.key")).expect("a key");
        Index::open(&self.cache(), &self.log(), key).expect("opens")
    }

    /// What is found with the index as it is, and how many bundles it spared.
    fn found(&self, filter: &Filter) -> (Vec<u64>, u64) {
        let selection = self.index().select(filter).expect("selects");
        let spared = selection.spared();
        (
            indices(&self.log(), filter, Some(Arc::new(selection))),
            spared,
        )
    }

    fn rows(&self) -> Connection {
        Connection::open(self.index().path()).expect("opens")
    }

    /// Whatever became of the index, nothing is hidden and nothing invented.
    fn says_what_the_log_says(&self) {
        for filter in wanted() {
            same(
                &self.found(&filter).0,
                &reference(&self.log(), &filter),
                &filter,
            );
        }
    }
}

/// Says where two lists part, and does not print them.
fn same(found: &[u64], expected: &[u64], filter: &Filter) {
    let mut pairs = found.iter().zip(expected);
    let parted = pairs.find(|(found, expected)| found != expected);
    let (found, expected) = (found.len(), expected.len());
    assert!(
        parted.is_none() && found == expected,
        "{parted:?}, {found} and {expected}: {filter:?}"
    );
}

/// Indices of hits, and of what cannot be read.
fn indices(log: &Path, filter: &Filter, narrow: Option<Arc<dyn Narrow>>) -> Vec<u64> {
    let wanted = Search {
        filter: filter.clone(),
        newest_first: false,
    };
    let sights = search(log, &wanted, narrow).expect("searches");
    sights
        .map(|sight| match sight {
            Sight::Entry { stored, .. } | Sight::Unreadable { stored, .. } => stored.index,
            Sight::Gap { from, to, why } => panic!("{from} to {to}: {why}"),
        })
        .collect()
}

/// The same by the reference, which parses everything.
fn reference(log: &Path, filter: &Filter) -> Vec<u64> {
    let mut found = Vec::new();
    let mut next = 0;
    for stored in query(log, Filter::default()) {
        match stored {
            Ok(stored) => {
                next = stored.index + 1;
                let entry = stored.entry().expect("an entry");
                let shown = if stored.openings.is_empty() {
                    stored.json.clone()
                } else {
                    serde_json::to_vec(&entry).expect("json")
                };
                found.extend(filter.matches(&entry, &shown).then_some(stored.index));
            }
            Err(_) => {
                found.push(next);
                next += 1;
            }
        }
    }
    found
}

fn user(name: &str) -> Filter {
    Filter {
        user: Some(name.into()),
        ..Filter::default()
    }
}

fn capability(text: &str) -> Filter {
    Filter {
        capability: Some(text.parse().expect("a concern")),
        ..Filter::default()
    }
}

fn wanted() -> Vec<Filter> {
    let session = Filter {
        session: Some("0af76519".into()),
        ..Filter::default()
    };
    let nobody = Filter {
        plugin: Some("nobody".into()),
        ..Filter::default()
    };
    vec![user("ann"), session, capability("/data/hr/x"), nobody]
}

#[test]
fn what_the_index_finds_is_what_a_plain_scan_finds() {
    let mut spared = 0;
    for seed in 0..2 {
        let scene = Scene::new(seed);
        for number in 0..60 {
            let filter = filter(seed * 1000 + number);
            let (found, fewer) = scene.found(&filter);
            same(&found, &reference(&scene.log(), &filter), &filter);
            spared += fewer;
        }
    }
    assert!(
        spared > 100,
        "an index that spares nothing tests nothing: {spared}"
    );
}

#[test]
fn an_index_grows_with_its_log() {
    let scene = Scene::bare();
    write_log(&scene.log(), 1, CHUNK_BUNDLES - 1, 255, false);
    let progress = scene.index().update(None).expect("updates");
    assert_eq!(
        (progress.chunks, progress.indexed, progress.made),
        (0, 0, 0)
    );
    write_log(&scene.log(), 1, 2 * CHUNK_BUNDLES, 1, false);
    let progress = scene.index().update(None).expect("updates");
    assert_eq!(
        (progress.chunks, progress.indexed, progress.made),
        (2, 2, 2)
    );
    let progress = scene.index().update(None).expect("updates");
    assert_eq!(
        (progress.chunks, progress.indexed, progress.made),
        (2, 2, 0)
    );
    assert!(scene.index().check().expect("checks").lies.is_empty());
}

#[test]
fn a_row_that_leaves_values_out_is_not_believed() {
    let scene = Scene::new(5);
    let hits = reference(&scene.log(), &user("ann"));
    assert!(hits.iter().any(|index| *index < CHUNK_ENTRIES));
    let rows = scene.rows();
    // Without the tag the attack works: the row decodes, and every value is gone from it.
    let body: Vec<u8> = rows
        .query_row("SELECT body FROM row WHERE chunk = 0", [], |row| row.get(0))
        .expect("a row");
    let empty = &body[..8 + 64 * 48];
    rows.execute("UPDATE row SET body = ?1 WHERE chunk = 0", params![empty])
        .expect("writes");
    drop(rows);
    scene.says_what_the_log_says();
    // One value alone, in a row of the right length.
    let rows = scene.rows();
    let mut changed = body;
    let last = changed.len() - 1;
    changed[last] ^= 0xff;
    rows.execute("UPDATE row SET body = ?1 WHERE chunk = 0", params![changed])
        .expect("writes");
    drop(rows);
    scene.says_what_the_log_says();
    assert_eq!(
        scene.index().update(None).expect("updates").made,
        1,
        "and is made anew"
    );
}

#[test]
fn rows_that_are_missing_swapped_or_of_another_key_or_log_are_not_believed() {
    let scene = Scene::new(6);
    scene
        .rows()
        .execute("DELETE FROM row WHERE chunk = 1", [])
        .expect("writes");
    scene.says_what_the_log_says();
    scene
        .rows()
        .execute(
            "INSERT INTO row SELECT 1, binding, body, tag FROM row WHERE chunk = 0",
            [],
        )
        .expect("writes");
    scene.says_what_the_log_says();

    let other = Scene::new(7);
    std::fs::copy(other.index().path(), scene.index().path()).expect("copies");
    scene.says_what_the_log_says();
    // Of a log with the same key: whoever keeps several logs has one key for all.
    std::fs::copy(
        other.dir.path().join("index.key"),
        scene.dir.path().join("index.key"),
    )
    .expect("copies");
    let (_, spared) = scene.found(&wanted()[3]);
    assert_eq!(spared, 0);
    scene.says_what_the_log_says();

    std::fs::remove_file(scene.dir.path().join("index.key")).expect("removes");
    scene.index().update(None).expect("updates");
    scene.says_what_the_log_says();
}

#[test]
fn a_log_that_changed_is_read_again() {
    let scene = Scene::new(8);
    let bundle = |number: u64| scene.log().join(format!("tile/entries/{number:03}"));
    // The same length, and the time put back: what tells is the inode's own time.
    let path = bundle(3);
    let before = std::fs::metadata(&path).expect("a bundle");
    let forged = String::from_utf8_lossy(&std::fs::read(&path).expect("reads"))
        .replace("0af7651916cd", "0af7651916xx");
    let forged = forged.into_bytes();
    if forged.len() as u64 == before.len() {
        std::fs::write(&path, forged).expect("writes");
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("opens");
        file.set_modified(before.modified().expect("a time"))
            .expect("sets");
    }
    scene.says_what_the_log_says();

    // Openings that are erased, or come back, are another state.
    std::fs::remove_file(scene.log().join("private/000000000070")).expect("removes");
    scene.says_what_the_log_says();

    // Another log in its place, of the same length.
    let scene = Scene::new(9);
    std::fs::remove_dir_all(scene.log()).expect("removes");
    write_log(&scene.log(), 10, 2 * CHUNK_BUNDLES + 3, 17, true);
    assert_eq!(scene.found(&wanted()[3]).1, 0);
    scene.says_what_the_log_says();

    // The tree says another thing than when it was indexed.
    let scene = Scene::new(11);
    let roots = [7_u8; 32 * 131];
    put(&scene.log(), "tile/1/000.p/131", &roots);
    assert_eq!(scene.found(&wanted()[3]).1, 0);
}

#[test]
fn whoever_has_the_key_is_found_by_a_check() {
    let scene = Scene::new(12);
    let honest = scene.index().path().to_owned();
    // The liar indexes a log without the entries, under the same key, and takes the binding from the honest row.
    let bytes = std::fs::read(scene.dir.path().join("index.key")).expect("a key");
    let (binding, body): (Vec<u8>, Vec<u8>) = scene
        .rows()
        .query_row("SELECT binding, body FROM row WHERE chunk = 0", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("a row");
    let lie = &body[..8 + 64 * 48];
    let tag = tag(&bytes, &[b"1", &0_u64.to_be_bytes(), &binding, lie]);
    Connection::open(honest)
        .expect("opens")
        .execute(
            "UPDATE row SET body = ?1, tag = ?2 WHERE chunk = 0",
            params![lie, tag],
        )
        .expect("writes");
    let found = scene.found(&user("ann")).0;
    assert!(
        found.len() < reference(&scene.log(), &user("ann")).len(),
        "the lie works"
    );
    assert_eq!(scene.index().check().expect("checks").lies, [0]);
    same(
        &indices(&scene.log(), &user("ann"), None),
        &reference(&scene.log(), &user("ann")),
        &user("ann"),
    );
    remove(&scene.cache(), &scene.log()).expect("removes");
    scene.says_what_the_log_says();
}

fn tag(key: &[u8], row: &[&[u8]]) -> Vec<u8> {
    use hmac::Mac as _;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("a key");
    mac.update(b"bailiwick index row v1\0");
    for part in row {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn a_file_that_is_damaged_or_no_index_is_made_anew() {
    let scene = Scene::new(13);
    let path = scene.index().path().to_owned();
    let whole = std::fs::read(&path).expect("reads");
    for damaged in [
        b"not a database at all".repeat(100),
        whole[..whole.len() / 2].to_vec(),
        Vec::new(),
    ] {
        std::fs::write(&path, damaged).expect("writes");
        if let Ok(selection) = scene.index().select(&user("ann")) {
            let found = indices(&scene.log(), &user("ann"), Some(Arc::new(selection)));
            same(&found, &reference(&scene.log(), &user("ann")), &user("ann"));
        }
        remove(&scene.cache(), &scene.log()).expect("removes");
    }
    let foreign = Connection::open(&path).expect("opens");
    foreign
        .execute_batch(
            "CREATE VIEW row AS SELECT 0 AS chunk, x'' AS binding, x'' AS body, x'' AS tag",
        )
        .expect("writes");
    drop(foreign);
    scene.says_what_the_log_says();
    assert_eq!(scene.index().update(None).expect("updates").made, 2);
}

#[test]
fn the_index_holds_no_value_and_forgets_what_was_erased() {
    let scene = Scene::bare();
    write_log(&scene.log(), 14, 2 * CHUNK_BUNDLES, 0, false);
    scene.index().update(None).expect("updates");
    let path = scene.index().path().to_owned();
    let bytes = std::fs::read(&path).expect("reads");
    for value in ["0af7651916cd", "notes", "shadow", "example"] {
        assert!(
            !bytes
                .windows(value.len())
                .any(|part| part == value.as_bytes()),
            "{value}"
        );
    }
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&scene.dir.path().join("index.key")), 0o600);

    let row: Vec<u8> = scene
        .rows()
        .query_row("SELECT body FROM row WHERE chunk = 1", [], |row| row.get(0))
        .expect("a row");
    let terms = &row[8 + 64 * 48..];
    let all = terms.chunks(16).count();
    forget(
        &scene.cache(),
        &scene.log(),
        [CHUNK_ENTRIES + 5, CHUNK_ENTRIES + 6],
    )
    .expect("forgets");
    let bytes = std::fs::read(&path).expect("reads");
    let left = terms
        .chunks(16)
        .filter(|term| bytes.windows(16).any(|part| part == *term));
    // Values that are in all bundles of both chunks stand in both rows alike.
    let (left, shared) = (
        left.count(),
        terms
            .chunks(16)
            .filter(|term| term[8..] == [0xff; 8])
            .count(),
    );
    assert!(
        left <= shared && shared < all / 2,
        "what was removed is overwritten: {left} of {all}, {shared} in both"
    );
    scene.says_what_the_log_says();
    assert_eq!(scene.index().update(None).expect("updates").made, 1);
    forget(&scene.cache(), &scene.dir.path().join("no-log"), [0]).expect("nothing to forget");
}

#[test]
fn a_key_that_others_may_read_and_a_file_behind_a_link_are_refused() {
    let scene = Scene::bare();
    let key = scene.dir.path().join("index.key");
    IndexKey::load_or_create(&key).expect("a key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("sets");
    assert!(
        IndexKey::load_or_create(&key)
            .expect_err("loose")
            .to_string()
            .contains("others may read it")
    );
    std::fs::remove_file(&key).expect("removes");
    std::os::unix::fs::symlink("/etc/hostname", &key).expect("links");
    assert!(IndexKey::load_or_create(&key).is_err());
    std::fs::remove_file(&key).expect("removes");
    std::fs::write(&key, b"short").expect("writes");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("sets");
    assert!(
        IndexKey::load_or_create(&key)
            .expect_err("short")
            .to_string()
            .contains("32 bytes")
    );

    std::fs::remove_file(&key).expect("removes");
    write_log(&scene.log(), 1, 1, 1, false);
    let path = scene.index().path().to_owned();
    std::fs::rename(&path, scene.dir.path().join("elsewhere")).expect("moves");
    std::os::unix::fs::symlink(scene.dir.path().join("elsewhere"), &path).expect("links");
    let key = IndexKey::load_or_create(&key).expect("a key");
    assert!(Index::open(&scene.cache(), &scene.log(), key).is_err());
}
