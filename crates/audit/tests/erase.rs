//! Erasing what is personal: nothing of it is left, and the log still proves what it proved.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test helpers stop the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_audit::{
    AuditError, Checkpoint, Entry, Erasing, Event, Filter, Keep, Log, Options, Redaction,
    SEALED_PREFIX, Subject, Whose, archive, erase, mark, query, read_verifier_key, verify,
};
use tempfile::TempDir;

mod faulty;
use faulty::Faulty;

const ANN: &str = "ann-zq81";
const BOB: &str = "bob-xw72";
/// What Ann's calls are about: in no other place.
const SECRET_OF_ANN: &str = "quarterly-figures-kq93";

struct Made {
    _dir: TempDir,
    log: PathBuf,
    before: Checkpoint,
}

fn options() -> Options {
    Options::default()
}

fn call(about: &str) -> Event {
    let keep = Redaction {
        default: Keep::Value,
        ..Redaction::default()
    };
    Event::ToolCall {
        call: "c-0".to_owned(),
        tool: "read".to_owned(),
        arguments: keep.apply("read", &serde_json::json!({ "path": about })),
    }
}

fn checkpoint(log: &Path) -> Checkpoint {
    let note = fs::read_to_string(log.join("checkpoint")).expect("checkpoint");
    Checkpoint::open(&note, &read_verifier_key(log).expect("key")).expect("signed")
}

/// 600 entries: two bundles with files of openings, and a part in the journal. Ann's are in all of them.
fn made() -> Made {
    let dir = tempfile::tempdir().expect("folder");
    let log = dir.path().join("log");
    let writer = Log::open(&log, options()).expect("opens");
    let ann = Subject::session("s-ann").with_user(ANN);
    let bob = Subject::session("s-bob").with_user(BOB);
    for number in 0..300 {
        let about = format!("/home/{ANN}/{SECRET_OF_ANN}/{number}");
        writer.append(&ann, &call(&about)).expect("appends");
        let event = match number % 3 {
            0 => call("/srv/of-bob"),
            1 => Event::PluginRefused {
                reason: format!("`/home/{ANN}/x` is not granted"),
            },
            _ => Event::OperationDenied {
                operation: "read_files".to_owned(),
                target: "/srv/of-bob".to_owned(),
                reason: "not granted".to_owned(),
                dropped: 0,
            },
        };
        let mut event = Some(event);
        if let Some(Event::PluginRefused { .. }) = event
            && number % 2 == 0
        {
            event = None;
        }
        writer
            .append(&bob, &event.unwrap_or_else(|| call("/srv/of-bob")))
            .expect("appends");
    }
    writer.close().expect("closes");
    let before = checkpoint(&log);
    Made {
        _dir: dir,
        log,
        before,
    }
}

/// A log that was told Ann's name and home, as the command line does.
fn told() -> Options {
    Options {
        persons: vec![ANN.to_owned(), format!("/home/{ANN}")],
        ..options()
    }
}

fn ann() -> Whose {
    Whose::User(ANN.to_owned())
}

fn run(
    log: &Path,
    options: &Options,
    whose: &Whose,
    archives: &[PathBuf],
) -> Result<u64, AuditError> {
    let erasing = Erasing {
        whose,
        archives,
        by: "auditor",
        reason: "asked for under article 17",
    };
    Ok(erase(log, options, &erasing)?.commitments.len() as u64)
}

/// The files below a folder that hold these bytes, whatever they are.
fn holding(folder: &Path, bytes: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).expect("lists") {
            let path = item.expect("lists").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = fs::read(&path).expect("reads");
            if content
                .windows(bytes.len())
                .any(|part| part == bytes.as_bytes())
            {
                found.push(path);
            }
        }
    }
    found
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for item in fs::read_dir(from).expect("lists") {
        let item = item.expect("lists");
        let target = to.join(item.file_name());
        if item.file_type().expect("type").is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), &target).expect("copies");
        }
    }
}

fn entries(log: &Path) -> Vec<Entry> {
    query(log, Filter::default())
        .map(|stored| stored.expect("reads").entry().expect("an entry"))
        .collect()
}

fn erasures(log: &Path) -> Vec<Event> {
    let all = entries(log).into_iter().map(|entry| entry.event);
    all.filter(|event| event.kind() == "erasure").collect()
}

fn holds(made: &Made) {
    let key = read_verifier_key(&made.log).expect("key");
    if let Err(report) = verify(&made.log, &key, Some(&made.before)) {
        panic!("the log no longer holds: {report:?}");
    }
}

#[test]
fn a_user_is_erased_to_the_last_byte_and_the_log_still_holds() {
    let made = made();
    // A name in what is Bob's was sealed only because the writer was told it.
    assert!(
        !holding(&made.log, SECRET_OF_ANN).is_empty(),
        "it was there"
    );
    let whose = ann();
    let values = run(&made.log, &options(), &whose, &[]).expect("erased");
    assert!(values >= 600, "{values}");
    assert_eq!(holding(&made.log, SECRET_OF_ANN), Vec::<PathBuf>::new());
    holds(&made);
    let all = entries(&made.log);
    let (anns, bobs): (Vec<_>, Vec<_>) = all[..600]
        .iter()
        .partition(|entry| entry.subject.session.as_deref() == Some("s-ann"));
    assert_eq!((anns.len(), bobs.len()), (300, 300));
    for entry in anns {
        let user = entry.subject.user.as_deref().expect("a user");
        assert!(user.starts_with(SEALED_PREFIX), "{user}");
    }
    assert!(
        bobs.iter()
            .all(|entry| entry.subject.user.as_deref() == Some(BOB))
    );
    let Event::Erasure {
        of,
        by,
        entries,
        values: told,
        ..
    } = &erasures(&made.log)[0]
    else {
        panic!("no erasure recorded")
    };
    assert_eq!((of.as_str(), by.as_deref()), ("a user", Some("auditor")));
    assert_eq!(*told, values);
    assert!(*entries >= 300);
}

#[test]
fn where_the_log_was_told_a_name_it_is_nowhere_left_after_erasing() {
    let made = made();
    let dir = made.log.with_file_name("other");
    let writer = Log::open(&dir, told()).expect("opens");
    let bob = Subject::session("s-bob").with_user(BOB);
    for _ in 0..300 {
        let reason = format!("`/home/{ANN}/x` is not granted to {}", ANN.to_uppercase());
        writer
            .append(&bob, &Event::PluginRefused { reason })
            .expect("appends");
    }
    drop(writer);
    assert!(!holding(&dir, ANN).is_empty());
    run(&dir, &told(), &ann(), &[]).expect("erased");
    assert_eq!(holding(&dir, ANN), Vec::<PathBuf>::new());
    assert_eq!(holding(&dir, &ANN.to_uppercase()), Vec::<PathBuf>::new());
    let left = entries(&dir);
    assert!(
        left[..300]
            .iter()
            .all(|entry| entry.subject.user.as_deref() == Some(BOB))
    );
}

#[test]
fn a_session_and_a_single_entry_are_erased_and_nothing_else() {
    let made = made();
    let of_bob = |log: &Path| {
        let text = "/srv/of-bob";
        entries(log)
            .iter()
            .filter(|entry| serde_json::to_string(entry).expect("json").contains(text))
            .count()
    };
    let before = of_bob(&made.log);
    run(&made.log, &options(), &Whose::Entry(1), &[]).expect("erased");
    assert_eq!(of_bob(&made.log), before - 1);
    assert!(entries(&made.log)[0].subject.user.as_deref() == Some(ANN));
    run(
        &made.log,
        &options(),
        &Whose::Session("s-bob".to_owned()),
        &[],
    )
    .expect("erased");
    assert_eq!(of_bob(&made.log), 0);
    assert_eq!(holding(&made.log, BOB), Vec::<PathBuf>::new());
    assert!(!holding(&made.log, SECRET_OF_ANN).is_empty());
    holds(&made);
    let told: Vec<_> = erasures(&made.log)
        .into_iter()
        .map(|event| match event {
            Event::Erasure { of, .. } => of,
            _ => String::new(),
        })
        .collect();
    assert_eq!(told, ["entry 1", "session s-bob"]);
}

#[test]
fn whoever_erases_themselves_is_not_named_as_the_one_who_did() {
    let made = made();
    let whose = ann();
    let erasing = Erasing {
        whose: &whose,
        archives: &[],
        by: ANN,
        reason: "mine",
    };
    erase(&made.log, &options(), &erasing).expect("erased");
    assert_eq!(holding(&made.log, SECRET_OF_ANN), Vec::<PathBuf>::new());
    assert!(matches!(
        &erasures(&made.log)[0],
        Event::Erasure { by: None, .. }
    ));
    let of_ann = Filter {
        user: Some(ANN.to_owned()),
        ..Filter::default()
    };
    assert_eq!(query(&made.log, of_ann).count(), 0);
}

#[test]
fn a_reason_that_names_the_person_is_refused_and_nothing_happens() {
    let made = made();
    let whose = ann();
    let reason = format!("{} asked", ANN.to_uppercase());
    let erasing = Erasing {
        whose: &whose,
        archives: &[],
        by: "auditor",
        reason: &reason,
    };
    let error = erase(&made.log, &options(), &erasing).expect_err("refused");
    assert!(error.to_string().contains("without the name"), "{error}");
    assert_eq!(checkpoint(&made.log), made.before);
}

#[test]
fn what_there_is_nothing_of_leaves_no_trace() {
    let made = made();
    let nobody = Whose::User("nobody-at-all".to_owned());
    assert_eq!(
        run(&made.log, &options(), &nobody, &[]).expect("nothing to do"),
        0
    );
    assert_eq!(checkpoint(&made.log), made.before);
}

#[test]
fn a_log_that_is_being_written_is_not_erased_from() {
    let made = made();
    let writer = Log::open(&made.log, options()).expect("opens");
    let error = run(&made.log, &options(), &ann(), &[]).expect_err("locked");
    assert!(matches!(error, AuditError::Locked { .. }), "{error}");
    writer.close().expect("closes");
}

#[test]
fn archives_that_are_named_lose_it_too() {
    let made = made();
    let kept = made.log.with_file_name("kept");
    let writer = Log::open(&made.log, options()).expect("opens");
    archive(&writer, &Subject::default(), 512, &kept).expect("archived");
    drop(writer);
    assert!(!holding(&kept, SECRET_OF_ANN).is_empty());
    run(&made.log, &options(), &ann(), std::slice::from_ref(&kept)).expect("erased");
    assert_eq!(holding(&kept, SECRET_OF_ANN), Vec::<PathBuf>::new());
    let key = read_verifier_key(&kept).expect("key");
    assert_eq!(verify(&kept, &key, None).expect("holds").size, 512);
}

#[test]
fn what_version_1_holds_in_the_clear_is_told() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1");
    let marked = mark(&from, &[], &Whose::User("ann".to_owned())).expect("reads");
    assert_eq!(
        (marked.in_the_clear.len(), marked.commitments.len()),
        (280, 0)
    );
}

/// The disk refuses at every single operation in turn, for good, as when the machine goes down there: then the log is
/// opened again, and what was begun is finished, or was not begun and is done anew.
#[test]
fn an_erasure_interrupted_anywhere_is_finished() {
    let made = made();
    for after in 0.. {
        let work = tempfile::tempdir().expect("folder");
        let log = work.path().join("log");
        copy(&made.log, &log);
        let disk = Arc::new(Faulty::default());
        disk.limit(after);
        let faulty = Options {
            disk: disk.clone(),
            ..options()
        };
        let outcome = run(&log, &faulty, &ann(), &[]);
        assert_eq!(disk.refused(), outcome.is_err(), "after {after}");
        let begun = log.join("erasing").exists();
        Log::open(&log, options())
            .expect("opens")
            .close()
            .expect("closes");
        assert!(!log.join("erasing").exists());
        if outcome.is_ok() || begun {
            assert_eq!(
                holding(&log, SECRET_OF_ANN),
                Vec::<PathBuf>::new(),
                "after {after}"
            );
        }
        run(&log, &options(), &ann(), &[]).expect("erased now");
        assert_eq!(
            holding(&log, SECRET_OF_ANN),
            Vec::<PathBuf>::new(),
            "after {after}"
        );
        let key = read_verifier_key(&log).expect("key");
        let verified = verify(&log, &key, Some(&made.before)).expect("holds");
        assert!(verified.size > 600);
        if outcome.is_ok() {
            assert!(after > 20, "the disk was never asked");
            return;
        }
    }
}
