//! Lives of chance against a model: a list of leaves. Crashes, truncations and forgeries come in any order; the log has
//! what the model has, or says that it was tampered with.

use std::path::{Path, PathBuf};

use bailiwick_audit::{Checkpoint, Disk as _, Log, Subject, read_verifier_key, verify};
use bailiwick_tlog::Hash;
use proptest::prelude::*;

use crate::disk::{Chance, End, Sim};
use crate::life::{Act, DIR, Promised, check, event, leaves, live, options, recover, scratch};

#[derive(Debug, Clone)]
enum Step {
    Live(Vec<Act>),
    /// The world ends at a request, and perhaps again while the log is opened.
    Crash {
        acts: Vec<Act>,
        at: u64,
        end: End,
        again: Option<u64>,
    },
    /// Somebody changes a file of a closed log.
    Forge {
        seed: u64,
        how: Forgery,
    },
    /// Somebody puts a whole older log back.
    RollBack,
}

#[derive(Debug, Clone, Copy)]
enum Forgery {
    Flip,
    Truncate,
    Empty,
    Insert,
    Remove,
    /// The bytes of another file of this log.
    Swap,
    /// The bytes it had at an earlier time.
    PutBack,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => Just(Act::Append),
        3 => Just(Act::Durable),
        1 => Just(Act::Flush),
        1 => Just(Act::Reopen),
    ];
    let few = prop::collection::vec(act, 1..12);
    (prop_oneof![5 => Just(0), 1 => 200..300_usize], few).prop_map(|(many, few)| {
        let mut acts = vec![Act::Append; many];
        acts.extend(few);
        acts
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Kill), any::<u64>().prop_map(End::PowerLoss)]
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        Just(Forgery::Flip),
        Just(Forgery::Truncate),
        Just(Forgery::Empty),
        Just(Forgery::Insert),
        Just(Forgery::Remove),
        Just(Forgery::Swap),
        Just(Forgery::PutBack),
    ];
    prop_oneof![
        2 => acts().prop_map(Step::Live),
        3 => (acts(), 0..120_u64, end(), prop::option::of(0..40_u64))
            .prop_map(|(acts, at, end, again)| Step::Crash { acts, at, end, again }),
        4 => (any::<u64>(), how).prop_map(|(seed, how)| Step::Forge { seed, how }),
        1 => Just(Step::RollBack),
    ]
}

/// The log as it should be.
struct Model {
    disk: Sim,
    leaves: Vec<Hash>,
    /// The disk and the checkpoint of some earlier time.
    older: Vec<(Sim, usize)>,
}

impl Model {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Live(acts) => {
                self.older
                    .push((self.disk.after(End::Kill), self.leaves.len()));
                let mut promised = Promised::all(&self.leaves);
                assert!(live(&self.disk, &options(&self.disk), acts, &mut promised));
                self.leaves = check(&self.disk, End::Kill, &promised, "a quiet life");
                assert_eq!(self.leaves.len(), promised.leaves.len(), "nothing else");
            }
            Step::Crash {
                acts,
                at,
                end,
                again,
            } => self.crash(acts, *at, *end, *again),
            Step::Forge { seed, how } => self.forge(*seed, *how),
            Step::RollBack => self.roll_back(),
        }
    }

    fn crash(&mut self, acts: &[Act], at: u64, end: End, again: Option<u64>) {
        let disk = self.disk.after(End::Kill).crash_at(at);
        let mut promised = Promised::all(&self.leaves);
        live(&disk, &options(&disk), acts, &mut promised);
        let mut left = disk.after(end);
        if let Some(again) = again {
            let recovering = left.crash_at(again);
            live(
                &recovering,
                &options(&recovering),
                &[],
                &mut Promised::default(),
            );
            left = recovering.after(End::PowerLoss(at));
        }
        self.leaves = recover(&left, end, &promised, "a crash");
        self.disk = left;
    }

    fn forge(&mut self, seed: u64, how: Forgery) {
        let mut chance = Chance(seed);
        let forged = self.disk.after(End::Kill);
        let files = files(&forged);
        let Some(path) = files.get(chance.below(files.len())) else {
            return;
        };
        let read_on = |disk: &Sim, path: &Path| disk.read(path).unwrap_or_default();
        let other = match how {
            Forgery::PutBack => match self.older.get(chance.below(self.older.len())) {
                Some((older, _)) => read_on(older, path),
                None => return,
            },
            _ => read_on(&forged, &files[chance.below(files.len())]),
        };
        if matches!(how, Forgery::Remove) {
            forged.remove(path).expect("a file");
        } else {
            forged.edit(path, |bytes| match how {
                Forgery::Flip if !bytes.is_empty() => {
                    let at = chance.below(bytes.len());
                    bytes[at] ^= 1 << chance.below(8);
                }
                Forgery::Truncate => bytes.truncate(chance.below(bytes.len())),
                Forgery::Insert => bytes.insert(chance.below(bytes.len()), b'E'),
                Forgery::Empty => bytes.clear(),
                Forgery::Swap | Forgery::PutBack => *bytes = other,
                Forgery::Flip | Forgery::Remove => {}
            });
        }
        let what = format!("{how:?} of {}", path.display());
        self.nothing_false_is_believed(&forged, &what);
    }

    /// Of a closed log everything is signed: it is found out, or it is what it was.
    fn nothing_false_is_believed(&self, forged: &Sim, what: &str) {
        let genuine = scratch();
        self.disk.copy_out(Path::new(DIR), genuine.path());
        let key = read_verifier_key(genuine.path()).expect("key");
        let folder = scratch();
        forged.copy_out(Path::new(DIR), folder.path());
        // Openings are not signed: they may be gone, but what was signed is not.
        let believed = |folder: &Path| verify(folder, &key, None).ok().map(|_| leaves(folder));
        let found = believed(folder.path());
        assert!(found.is_none_or(|found| found == self.leaves), "{what}");
        // A writer looks at the end of a log alone; whatever it signs on, the rest is found as it was before.
        if let Ok(log) = Log::open(Path::new(DIR), options(forged)) {
            log.append_durable(&Subject::default(), &event(1))
                .expect(what);
            log.close().expect(what);
            let folder = scratch();
            forged.copy_out(Path::new(DIR), folder.path());
            let found = believed(folder.path());
            let goes_on = |found: Vec<Hash>| found.starts_with(&self.leaves);
            assert!(found.is_none_or(goes_on), "{what} is signed on");
        }
    }

    fn roll_back(&self) {
        let folder = scratch();
        self.disk.copy_out(Path::new(DIR), folder.path());
        let key = read_verifier_key(folder.path()).expect("key");
        let note = std::fs::read_to_string(folder.path().join("checkpoint")).expect("there");
        let kept = Checkpoint::open(&note, &key).expect("signed");
        for (older, size) in &self.older {
            let folder = scratch();
            older.copy_out(Path::new(DIR), folder.path());
            let found = verify(folder.path(), &key, Some(&kept));
            assert!(
                found.is_err() || *size == self.leaves.len(),
                "a log of {size} entries in the place of {}",
                self.leaves.len()
            );
        }
    }
}

fn files(disk: &Sim) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for (name, is_folder) in disk.list(&folder).expect("a folder") {
            let path = folder.join(name);
            if is_folder { &mut folders } else { &mut found }.push(path);
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_log_has_what_the_model_has_or_says_that_it_was_tampered_with(
        steps in prop::collection::vec(step(), 1..8)
    ) {
        let mut model = Model { disk: Sim::new(), leaves: Vec::new(), older: Vec::new() };
        model.step(&Step::Live(vec![Act::Durable]));
        model.older.clear();
        for step in &steps {
            model.step(step);
        }
    }
}
