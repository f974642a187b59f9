//! Files: each attack works with a wide grant and not with the narrow one.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use bailiwick_wasm::{CallError, Plugin};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{call, component, load, refusal};

const FILES: &str = include_str!("../../../../testdata/components/files.wat");

const READ: u8 = 1;
const WRITE: u8 = 2;
const CREATE: u8 = 1;
const TRUNCATE: u8 = 8;
/// `not-permitted`, in the order of wasi:filesystem's error-code.
const NOT_PERMITTED: u8 = 31;

/// `/docs` and `/out` with a secret beside them.
struct Ground {
    dir: TempDir,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["docs/sub", "docs/hr", "out"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        for (file, text) in [
            ("secret", "planted key"),
            ("docs/a.txt", "alpha"),
            ("docs/sub/b.txt", "beta"),
            ("docs/hr/pay", "salaries"),
            ("out/old", "old"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        Self { dir }
    }

    fn root(&self) -> String {
        fs::canonicalize(self.dir.path())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(&self.root()).join(name)
    }

    /// Loads the component; `@` in an atom is the ground's root.
    fn load(&self, atoms: &[&str]) -> Plugin {
        let atoms: Vec<_> = atoms
            .iter()
            .map(|atom| atom.replace('@', &self.root()))
            .collect();
        load(&component(FILES), &atoms).unwrap()
    }
}

async fn tool(plugin: &Plugin, tool: &str, arguments: Value) -> Result<Value, u8> {
    match call(plugin, tool, arguments).await.0 {
        Ok(value) => Ok(value),
        Err(CallError::Tool(code)) => Err(u8::try_from(code.as_u64().unwrap()).unwrap()),
        Err(other) => panic!("{tool}: {other}"),
    }
}

async fn read(plugin: &Plugin, path: &str) -> Result<String, u8> {
    let value = tool(
        plugin,
        "read",
        json!({"dir": 0, "path": path, "flags": READ}),
    )
    .await?;
    let text = value["result"][0].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    Ok(String::from_utf8(bytes).unwrap())
}

async fn write(plugin: &Plugin, path: &str, text: &str) -> Result<Value, u8> {
    tool(
        plugin,
        "write",
        json!({"dir": 0, "path": path, "text": text, "open": CREATE | TRUNCATE, "flags": WRITE}),
    )
    .await
}

#[tokio::test]
async fn a_granted_tree_is_read_and_nothing_beside_it() {
    let ground = Ground::new();
    let narrow = ground.load(&["read_files:@/docs/"]);
    assert_eq!(
        tool(&narrow, "preopens", json!({})).await,
        Ok(json!({"result": [format!("{}/docs", ground.root())]}))
    );
    assert_eq!(read(&narrow, "a.txt").await, Ok("alpha".into()));
    assert_eq!(read(&narrow, "sub/../sub/b.txt").await, Ok("beta".into()));
    for outside in [
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "../docs/../secret",
    ] {
        let (outcome, aside) = call(
            &narrow,
            "read",
            json!({"dir": 0, "path": outside, "flags": READ}),
        )
        .await;
        assert_eq!(
            outcome,
            Err(CallError::Tool(json!(NOT_PERMITTED))),
            "{outside}"
        );
        assert_eq!(aside.denied.len(), 1, "a refusal is seen: {outside}");
        assert_eq!(aside.denied[0].operation, "read_files");
    }
    assert_eq!(
        read(&ground.load(&["read_files:@/"]), "secret").await,
        Ok("planted key".into()),
        "the attack is real"
    );
}

/// The host makes the operations: `/proc/self` would be the gate with its environment and its memory.
#[test]
fn l18_no_grant_shows_the_gates_own_proc() {
    use bailiwick_wall::WallError;
    for atom in [
        "read_files:/proc/self/environ",
        "write_files:/proc/self/mem",
        "read_files:/proc/",
        "read_files:/",
        "read_files",
    ] {
        let refused = load(&component(FILES), &[atom.to_owned()]);
        assert!(matches!(refused, Err(WallError::Refused(_))), "{atom}");
    }
}

#[tokio::test]
async fn l02_without_a_grant_there_is_no_directory() {
    let plugin = Ground::new().load(&[]);
    assert_eq!(
        tool(&plugin, "preopens", json!({})).await,
        Ok(json!({"result": []}))
    );
}

#[tokio::test]
async fn l15_links_do_not_lead_outside() {
    let ground = Ground::new();
    symlink(ground.path("secret"), ground.path("docs/absolute")).unwrap();
    symlink("../secret", ground.path("docs/relative")).unwrap();
    symlink("..", ground.path("docs/up")).unwrap();
    symlink("a.txt", ground.path("docs/inner")).unwrap();
    symlink("sub", ground.path("docs/inner-dir")).unwrap();
    let narrow = ground.load(&["read_files:@/docs/"]);
    assert_eq!(read(&narrow, "inner").await, Ok("alpha".into()));
    assert_eq!(read(&narrow, "inner-dir/b.txt").await, Ok("beta".into()));
    for escape in [
        "absolute",
        "relative",
        "up/secret",
        "up/docs/../secret",
        "inner-dir/../up/secret",
    ] {
        assert_eq!(read(&narrow, escape).await, Err(NOT_PERMITTED), "{escape}");
    }
    let wide = ground.load(&["read_files:@/"]);
    for escape in ["docs/relative", "docs/up/secret"] {
        assert_eq!(
            read(&wide, escape).await,
            Ok("planted key".into()),
            "the attack is real: {escape}"
        );
    }
}

#[tokio::test]
async fn l15_a_granted_directory_that_is_a_link_is_refused_with_its_target() {
    let ground = Ground::new();
    symlink("docs", ground.path("alias")).unwrap();
    let error = refusal(load(
        &component(FILES),
        &[format!("read_files:{}/alias/", ground.root())],
    ));
    assert!(
        error.contains("link to") && error.contains("/docs"),
        "{error}"
    );
    let error = refusal(load(
        &component(FILES),
        &[format!("read_files:{}/missing/", ground.root())],
    ));
    assert!(error.contains("missing"), "{error}");
}

#[tokio::test]
async fn a_granted_file_opens_neither_its_directory_nor_its_neighbours() {
    let ground = Ground::new();
    symlink("hr/pay", ground.path("docs/to-pay")).unwrap();
    let narrow = ground.load(&["read_files:@/docs/a.txt", "read_files:@/docs/to-pay"]);
    assert_eq!(read(&narrow, "a.txt").await, Ok("alpha".into()));
    for other in ["sub/b.txt", "hr/pay", "to-pay", "missing", "a.txt/x", "."] {
        assert_eq!(read(&narrow, other).await, Err(NOT_PERMITTED), "{other}");
    }
    assert_eq!(
        tool(&narrow, "list", json!({"dir": 0})).await,
        Err(NOT_PERMITTED)
    );
    assert_eq!(
        tool(
            &ground.load(&["read_files:@/docs/"]),
            "list",
            json!({"dir": 0})
        )
        .await,
        Ok(Value::Null)
    );
}

#[tokio::test]
async fn a_hole_stays_shut_whichever_way_it_is_reached() {
    let ground = Ground::new();
    symlink("hr", ground.path("docs/people")).unwrap();
    let holed = ground.load(&[
        "read_files:@/docs/ except @/docs/hr/",
        "write_files:@/docs/",
    ]);
    assert_eq!(read(&holed, "a.txt").await, Ok("alpha".into()));
    for hidden in ["hr/pay", "hr/../hr/pay", "people/pay", "sub/../hr/pay"] {
        assert_eq!(read(&holed, hidden).await, Err(NOT_PERMITTED), "{hidden}");
    }
    // Writing there is granted, so the secret could be moved or linked to where reading is.
    let at = |old: &str, new: &str| json!({"dir": 0, "old": old, "new-dir": 0, "new": new});
    for (verb, old, new) in [
        ("rename", "hr/pay", "pay"),
        ("link", "hr/pay", "pay"),
        ("rename", "hr", "open"),
    ] {
        assert_eq!(
            tool(&holed, verb, at(old, new)).await,
            Err(NOT_PERMITTED),
            "{verb} {old}"
        );
    }
    assert_eq!(
        tool(&holed, "rename", at("a.txt", "sub/a.txt")).await,
        Ok(Value::Null)
    );
    let whole = ground.load(&["read_files:@/docs/", "write_files:@/docs/"]);
    assert_eq!(
        tool(&whole, "rename", at("hr", "open")).await,
        Ok(Value::Null),
        "the attack is real"
    );
    assert_eq!(read(&whole, "open/pay").await, Ok("salaries".into()));
}

#[tokio::test]
async fn reading_does_not_allow_writing() {
    let ground = Ground::new();
    let reader = ground.load(&["read_files:@/docs/"]);
    let writer = ground.load(&["read_files:@/docs/", "write_files:@/docs/"]);
    assert_eq!(write(&reader, "a.txt", "!").await, Err(NOT_PERMITTED));
    assert_eq!(write(&reader, "new", "!").await, Err(NOT_PERMITTED));
    for (verb, arguments) in [
        ("remove", json!({"dir": 0, "path": "a.txt"})),
        ("mkdir", json!({"dir": 0, "path": "d"})),
        ("symlink", json!({"dir": 0, "target": "a.txt", "path": "l"})),
        (
            "rename",
            json!({"dir": 0, "old": "a.txt", "new-dir": 0, "new": "b"}),
        ),
        (
            "link",
            json!({"dir": 0, "old": "a.txt", "new-dir": 0, "new": "b"}),
        ),
    ] {
        assert_eq!(
            tool(&reader, verb, arguments).await,
            Err(NOT_PERMITTED),
            "{verb}"
        );
    }
    // Opened for reading while it asks to truncate.
    let truncate = json!({"dir": 0, "path": "a.txt", "text": "", "open": TRUNCATE, "flags": READ});
    assert_eq!(tool(&reader, "write", truncate).await, Err(NOT_PERMITTED));
    assert_eq!(
        fs::read_to_string(ground.path("docs/a.txt")).unwrap(),
        "alpha"
    );
    assert_eq!(write(&writer, "a.txt", "beta").await, Ok(Value::Null));
    assert_eq!(
        fs::read_to_string(ground.path("docs/a.txt")).unwrap(),
        "beta"
    );
    for (verb, arguments) in [
        ("mkdir", json!({"dir": 0, "path": "d"})),
        ("symlink", json!({"dir": 0, "target": "a.txt", "path": "l"})),
        (
            "link",
            json!({"dir": 0, "old": "a.txt", "new-dir": 0, "new": "b"}),
        ),
        (
            "rename",
            json!({"dir": 0, "old": "b", "new-dir": 0, "new": "c"}),
        ),
        ("remove", json!({"dir": 0, "path": "c"})),
    ] {
        assert_eq!(
            tool(&writer, verb, arguments).await,
            Ok(Value::Null),
            "{verb}"
        );
    }
}

#[tokio::test]
async fn writing_does_not_allow_reading() {
    let ground = Ground::new();
    let writer = ground.load(&["write_files:@/out/"]);
    assert_eq!(write(&writer, "new", "mine").await, Ok(Value::Null));
    assert_eq!(fs::read_to_string(ground.path("out/new")).unwrap(), "mine");
    assert_eq!(
        tool(&writer, "list", json!({"dir": 0})).await,
        Err(NOT_PERMITTED)
    );
    assert_eq!(read(&writer, "old").await, Err(NOT_PERMITTED));
    // No flags at all, and read together with write, must not open for reading either.
    for flags in [0, READ, READ | WRITE] {
        let arguments = json!({"dir": 0, "path": "old", "flags": flags});
        assert_eq!(
            tool(&writer, "read", arguments).await,
            Err(NOT_PERMITTED),
            "{flags}"
        );
        let create = json!({"dir": 0, "path": "fresh", "text": "", "open": CREATE, "flags": flags});
        assert_eq!(
            tool(&writer, "write", create).await,
            Err(NOT_PERMITTED),
            "{flags}"
        );
    }
    let arguments = json!({"dir": 0, "path": "old", "flags": WRITE});
    assert!(
        tool(&writer, "read", arguments).await.is_err(),
        "a descriptor for writing gives nothing back"
    );
    assert_eq!(
        read(&ground.load(&["read_files:@/out/"]), "old").await,
        Ok("old".into())
    );
}

#[tokio::test]
async fn l16_link_and_rename_do_not_carry_files_between_grants() {
    let ground = Ground::new();
    // Read-only documents beside a writable directory: 0 is docs, 1 is out.
    let narrow = ground.load(&[
        "read_files:@/docs/",
        "read_files:@/out/",
        "write_files:@/out/",
    ]);
    let across =
        |verb_old: &str, new: &str| json!({"dir": 0, "old": verb_old, "new-dir": 1, "new": new});
    for verb in ["link", "rename"] {
        assert_eq!(
            tool(&narrow, verb, across("a.txt", "a.txt")).await,
            Err(NOT_PERMITTED),
            "{verb}"
        );
        let back = json!({"dir": 1, "old": "old", "new-dir": 0, "new": "old"});
        assert_eq!(
            tool(&narrow, verb, back).await,
            Err(NOT_PERMITTED),
            "{verb} back"
        );
    }
    assert_eq!(fs::metadata(ground.path("docs/a.txt")).unwrap().nlink(), 1);
    // Writable but unreadable files do not become readable.
    let blind = ground.load(&[
        "write_files:@/docs/",
        "read_files:@/out/",
        "write_files:@/out/",
    ]);
    let names = tool(&blind, "preopens", json!({})).await.unwrap();
    let docs = usize::from(names["result"][0].as_str().unwrap().ends_with("/out"));
    for verb in ["link", "rename"] {
        let arguments = json!({"dir": docs, "old": "a.txt", "new-dir": 1 - docs, "new": "a.txt"});
        assert_eq!(
            tool(&blind, verb, arguments).await,
            Err(NOT_PERMITTED),
            "{verb} of unreadable"
        );
    }
    let wide = ground.load(&[
        "read_files:@/docs/",
        "write_files:@/docs/",
        "read_files:@/out/",
        "write_files:@/out/",
    ]);
    for verb in ["link", "rename"] {
        assert_eq!(
            tool(&wide, verb, across("a.txt", verb)).await,
            Ok(Value::Null),
            "the attack is real: {verb}"
        );
    }
}

#[tokio::test]
async fn l14_no_link_is_planted_that_leads_outside() {
    let ground = Ground::new();
    let writer = ground.load(&["read_files:@/out/", "write_files:@/out/"]);
    for target in ["../secret", "/etc/passwd", "a/../../secret"] {
        let arguments = json!({"dir": 0, "target": target, "path": "trap"});
        assert!(
            tool(&writer, "symlink", arguments).await.is_err(),
            "{target}"
        );
        assert!(fs::symlink_metadata(ground.path("out/trap")).is_err());
    }
    let wide = ground.load(&["read_files:@/", "write_files:@/"]);
    let arguments = json!({"dir": 0, "target": "../secret", "path": "out/trap"});
    assert_eq!(
        tool(&wide, "symlink", arguments).await,
        Ok(Value::Null),
        "the attack is real"
    );
}

#[tokio::test]
async fn writing_through_a_planted_link_is_refused() {
    let ground = Ground::new();
    symlink("../secret", ground.path("out/trap")).unwrap();
    symlink("..", ground.path("out/up")).unwrap();
    let writer = ground.load(&["write_files:@/out/"]);
    for path in ["trap", "up/secret", "up/new"] {
        assert_eq!(
            write(&writer, path, "owned").await,
            Err(NOT_PERMITTED),
            "{path}"
        );
    }
    assert_eq!(
        fs::read_to_string(ground.path("secret")).unwrap(),
        "planted key"
    );
    assert!(!ground.path("new").exists());
}

#[tokio::test]
async fn pipes_and_devices_are_no_files() {
    let ground = Ground::new();
    let pipe = ground.path("docs/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    // Opening it would wait for ever.
    assert_eq!(
        read(&ground.load(&["read_files:@/docs/"]), "pipe").await,
        Err(NOT_PERMITTED)
    );
}

#[tokio::test]
async fn refusals_are_counted_when_they_are_too_many() {
    let ground = Ground::new();
    let plugin = ground.load(&["read_files:@/docs/"]);
    let (_, aside) = call(
        &plugin,
        "read",
        json!({"dir": 0, "path": "../secret", "flags": READ}),
    )
    .await;
    assert_eq!((aside.denied.len(), aside.denied_dropped), (1, 0));
    assert!(
        aside.denied[0].target.contains("secret"),
        "{:?}",
        aside.denied
    );
}

#[tokio::test]
async fn a_written_file_has_a_largest_size() {
    let ground = Ground::new();
    let atoms = ["@/out/"].map(|path| format!("write_files:{}", path.replace('@', &ground.root())));
    let small = bailiwick_wall::Limits {
        file_bytes: 10,
        ..crate::limits()
    };
    let plugin = crate::wall()
        .load(&component(FILES), &crate::grant(&atoms), Vec::new(), &small)
        .unwrap();
    assert_eq!(write(&plugin, "new", "0123456789").await, Ok(Value::Null));
    // `file-too-large`, in the order of wasi:filesystem's error-code.
    assert_eq!(write(&plugin, "new", "0123456789a").await, Err(8));
    assert_eq!(
        write(&ground.load(&["write_files:@/out/"]), "new", "0123456789a").await,
        Ok(Value::Null)
    );
}

#[tokio::test]
async fn l15_a_link_into_a_hole_changes_nothing_there() {
    let ground = Ground::new();
    symlink("hr", ground.path("docs/people")).unwrap();
    let attacks = [
        ("remove", json!({"dir": 0, "path": "people/pay"})),
        ("mkdir", json!({"dir": 0, "path": "people/new"})),
        (
            "symlink",
            json!({"dir": 0, "target": "a.txt", "path": "people/link"}),
        ),
        (
            "rename",
            json!({"dir": 0, "old": "a.txt", "new-dir": 0, "new": "people/a.txt"}),
        ),
    ];
    let holed = ground.load(&[
        "read_files:@/docs/",
        "write_files:@/docs/ except @/docs/hr/",
    ]);
    for (verb, arguments) in &attacks {
        let outcome = tool(&holed, verb, arguments.clone()).await;
        assert_eq!(outcome, Err(NOT_PERMITTED), "{verb}");
    }
    assert_eq!(fs::read_dir(ground.path("docs/hr")).unwrap().count(), 1);
    let whole = ground.load(&["read_files:@/docs/", "write_files:@/docs/"]);
    for (verb, arguments) in attacks {
        let outcome = tool(&whole, verb, arguments).await;
        assert_eq!(outcome, Ok(Value::Null), "the attack is real: {verb}");
    }
}
