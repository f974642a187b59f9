//! Every path of the gate that can allow something, walked with a log that fails at every step in turn: no effect comes
//! before its event, and none after the log has failed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Options;
use bailiwick_gate::{GateError, Session};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::house::{House, agent, arguments};
use crate::puppet::{Act, native, puppet};
use crate::witness::{Book, Effect, Watched};

/// Whoever may use secrets makes calls that are high-risk.
const POLICY: &str =
    "@id(\"secrets\") permit (principal, action == Action::\"use_secret\", resource);";
const RISKY: &str = "required_capabilities: ['use_secret:token']";

/// Everything that an agent can bring about, once: lists, calls of ordinary and of high-risk tools, refusals, a plugin
/// that dies and is started again, the end.
async fn everything(house: &House, book: &Book, dies: impl Fn()) -> Result<(), GateError> {
    let sources = vec![native("plain", ""), native("risky", RISKY)];
    let session = Session::open(house.host.clone(), sources, agent(), "2025-11-25", true).await?;
    let cancel = CancellationToken::new();
    let outcome = async {
        let listed = session.tools().await?;
        book.happens(Effect::Show);
        assert_eq!(listed.len(), 2);
        let calls = [
            "plain__t", "risky__t", "nowhere", "plain__t", "plain__t", "risky__t",
        ];
        for (number, tool) in calls.into_iter().enumerate() {
            if number == 3 {
                dies();
            }
            session
                .call(tool, arguments(json!({"a": 1})), None, &cancel)
                .await?;
            book.happens(Effect::Answer);
        }
        session.tools().await?;
        book.happens(Effect::Show);
        Ok(())
    };
    let outcome = outcome.await;
    outcome.and(session.close("over").await)
}

/// One walk with a log whose disk does so many operations; gives the book, and whether it came to its end.
async fn walk(operations: i64) -> (House, Arc<Book>, Result<(), GateError>) {
    let book = Book::new();
    let (inner, strings) = puppet(&["t"]);
    let watched = Watched {
        inner,
        book: book.clone(),
    };
    let options = Options {
        disk: book.disk.clone(),
        // Only what the walk itself writes: the moments are the same each time.
        publish_within: Duration::from_secs(3600),
        ..Options::default()
    };
    let house = House::on(POLICY, Some(Arc::new(watched)), options);
    *book.log.lock().unwrap() = house.log.dir().to_owned();
    book.disk.limit(operations);
    let outcome = everything(&house, &book, || strings.pull(Act::AnswerAndDie)).await;
    (house, book, outcome)
}

#[tokio::test]
async fn l31_no_effect_comes_before_its_event_or_after_the_log_failed() {
    let (_house, whole, outcome) = walk(i64::MAX / 2).await;
    outcome.unwrap();
    assert_eq!(*whole.unrecorded.lock().unwrap(), Vec::<String>::new());
    let expected = whole.effects.lock().unwrap().clone();
    let happened = |effect: Effect| expected.iter().filter(|other| **other == effect).count();
    assert_eq!(
        happened(Effect::Start("plain".into())),
        2,
        "it was started again: {expected:?}"
    );
    assert_eq!(happened(Effect::Start("risky".into())), 1);
    assert_eq!(happened(Effect::Call("plain".into(), "t".into())), 3);
    assert_eq!(happened(Effect::Call("risky".into(), "t".into())), 2);
    assert_eq!((happened(Effect::Show), happened(Effect::Answer)), (2, 6));
    let mut stopped_at = 0;
    for operations in 0.. {
        let (_house, book, outcome) = walk(operations).await;
        assert_eq!(
            *book.unrecorded.lock().unwrap(),
            Vec::<String>::new(),
            "after {operations}"
        );
        let effects = book.effects.lock().unwrap().clone();
        assert!(
            expected.starts_with(&effects),
            "after {operations}: {effects:?}"
        );
        if !book.disk.refused() {
            assert_eq!(effects, expected);
            assert!(operations > 30, "the log was hardly asked");
            break;
        }
        assert!(
            matches!(outcome, Err(GateError::Audit(_))),
            "after {operations}: {outcome:?}"
        );
        assert!(effects.len() >= stopped_at, "a later failure stops later");
        stopped_at = effects.len();
    }
}

/// Without the gate's own care the witness would say so.
#[tokio::test]
async fn l31_the_witness_sees_what_has_no_event() {
    let (_house, book, _) = walk(i64::MAX / 2).await;
    for effect in [
        Effect::Start("plain".into()),
        Effect::Call("risky".into(), "t".into()),
        Effect::Show,
        Effect::Answer,
        Effect::Prepare("plain".into()),
    ] {
        let before = book.unrecorded.lock().unwrap().len();
        book.happens(effect.clone());
        assert!(book.unrecorded.lock().unwrap().len() > before, "{effect:?}");
    }
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a source file before its tests, without lines that are comments.
fn source(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// How often each file of these crates' sources has this text.
fn sites(of: &[&str], needle: &str) -> BTreeMap<String, usize> {
    let mut files = Vec::new();
    of.iter()
        .for_each(|name| sources(&crates().join(name).join("src"), &mut files));
    let mut found = BTreeMap::new();
    for file in files {
        let times = source(&file).matches(needle).count();
        if times > 0 {
            let name = file.strip_prefix(crates()).unwrap().display().to_string();
            found.insert(name, times);
        }
    }
    found
}

fn table(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
    rows.iter()
        .map(|(file, times)| ((*file).to_owned(), *times))
        .collect()
}

/// The methods of a trait in a file.
fn methods(file: &str, of: &str) -> Vec<String> {
    let text = source(&crates().join(file));
    let body = text.split(&format!("pub trait {of}:")).nth(1).unwrap();
    let body = body.split("\n}").next().unwrap();
    let names = body.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")?
            .split(['(', '<'])
            .next()
            .map(str::to_owned)
    });
    names.collect()
}

/// A new way to have an effect must come here, and say which event precedes it and which test holds that.
#[test]
fn l31_every_way_to_an_effect_is_known_with_its_event() {
    // `wall`, `denied`, `tells_uses`, `used` and `ended` only tell, `stop` only ends; the others are watched above.
    assert_eq!(
        methods("gate/src/world.rs", "Builder"),
        ["wall", "prepare", "tells_uses", "start"]
    );
    assert_eq!(
        methods("gate/src/world.rs", "Instance"),
        ["tools", "call", "denied", "used", "ended", "stop"]
    );
    // `secret_use`: egress asks before a value leaves, and has no value without somebody to ask.
    assert_eq!(
        methods("egress/src/broker.rs", "SecretUses"),
        ["about_to_use"]
    );
    // `preparation_start`: `Confined::run` records, then runs.
    assert_eq!(methods("runtime/src/runner.rs", "Runner"), ["wall", "run"]);
    let all = [
        "gate",
        "bailiwick",
        "wall",
        "jail",
        "egress",
        "runtime",
        "secret",
        "wasm",
        "mcp",
    ];
    assert_eq!(
        sites(&all, "pub trait "),
        table(&[
            ("egress/src/broker.rs", 1),
            // `approval`: an answer is recorded, then kept; the client is asked and tells what it was answered.
            ("gate/src/approve.rs", 2),
            // Counts of calls; they are kept before the call is, and only limit.
            ("gate/src/ledger.rs", 1),
            // What is revoked; it only takes away.
            ("gate/src/withdrawn.rs", 1),
            ("gate/src/world.rs", 2),
            // `decision` on an operation: `Bound` records, then spawns.
            ("jail/src/supervise/programs.rs", 1),
            // Told what a plugin sends of its own accord; nothing of it goes on.
            ("mcp/src/events.rs", 1),
            // The gate as it is asked; the session answers.
            ("mcp/src/server.rs", 1),
            ("runtime/src/runner.rs", 1),
            // Says which wall holds what.
            ("wall/src/report.rs", 1),
            // Names to addresses, within a start that was recorded with its grant.
            ("wall/src/resolve.rs", 1),
        ]),
        "a new trait: does anything happen through it, and which event precedes that?"
    );
    assert_eq!(
        sites(&["gate", "bailiwick"], ".spawn_with("),
        table(&[
            ("bailiwick/src/exec/run.rs", 1), // plugin_start, by `Admitted::launch`
            ("bailiwick/src/walls/confined.rs", 1), // preparation_start
            ("bailiwick/src/walls/native.rs", 1), // plugin_start, by `Admitted::start`
            ("bailiwick/src/walls/programs.rs", 1), // decision, of the moment `operation`
        ]),
        "a new place where something is started behind a wall"
    );
    assert_eq!(
        sites(&["gate", "bailiwick"], "mint("),
        table(&[("gate/src/admit.rs", 1)])
    );
    // A launch is what worlds are made of, and cannot be made without somebody who records.
    assert_eq!(
        sites(&["gate", "bailiwick"], "Launch::new("),
        table(&[("gate/src/admit.rs", 1)])
    );
    // Worlds that only explain themselves, and those that start.
    assert_eq!(
        sites(&["gate", "bailiwick"], ".world(host)"),
        table(&[
            ("bailiwick/src/exec/mod.rs", 1), // `--explain`
            ("gate/src/admit.rs", 1),         // `Admitted::launch`, which records
        ])
    );
}
