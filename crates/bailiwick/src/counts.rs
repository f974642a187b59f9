//! How often calls were made that quotas limit, for all gates of a home and across their lives.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bailiwick_gate::ledger::Ledger;
use bailiwick_policy::{Charge, Quota, Tally};
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use crate::home::Home;

/// A file that is larger was not written by us: a hundred quotas that are used up.
const MAX_BYTES: u64 = 16 << 20;
/// How long a gate waits for another that counts. One that was stopped half-way must not hold up all others.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);

/// The counts of a home.
pub(crate) struct Counted {
    counts: PathBuf,
    /// Held while the counts change; they are replaced, so they cannot be locked themselves.
    lock: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    policy: String,
    who: String,
    quota: String,
    /// Seconds since 1970, oldest first.
    at: Vec<i64>,
}

impl Counted {
    pub(crate) fn of(home: &Home) -> Self {
        Self {
            counts: home.path().join("quotas"),
            lock: home.path().join("quotas.lock"),
        }
    }

    fn alone(&self) -> anyhow::Result<File> {
        let shown = self.lock.display();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits())?)
            .open(&self.lock)
            .with_context(|| format!("cannot open `{shown}`"))?;
        let since = Instant::now();
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(error).with_context(|| format!("cannot lock `{shown}`"));
            }
            if since.elapsed() > PATIENCE {
                bail!("another gate holds `{shown}` and does not let go: end it");
            }
            std::thread::sleep(PAUSE);
        }
        Ok(file)
    }

    fn read(&self) -> anyhow::Result<Tally> {
        let shown = self.counts.display();
        let mut file = match OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits())?)
            .open(&self.counts)
        {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Tally::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
        };
        let meta = file.metadata()?;
        ensure!(
            meta.mode() & 0o022 == 0,
            "others may write `{shown}`: run `chmod 600 {shown}`"
        );
        ensure!(meta.len() <= MAX_BYTES, "`{shown}` is far too long");
        let mut text = String::new();
        file.read_to_string(&mut text)
            .ok()
            .and_then(|_| parse(&text))
            .with_context(|| format!("`{shown}` is damaged: remove it, and all counts begin anew"))
    }

    fn try_settle(&self, step: &mut dyn FnMut(&mut Tally) -> bool) -> anyhow::Result<()> {
        let _alone = self.alone()?;
        let mut tally = self.read()?;
        if step(&mut tally) {
            crate::whole::replace(&self.counts, &printed(&tally)?)?;
        }
        Ok(())
    }
}

impl Ledger for Counted {
    fn settle(&self, step: &mut dyn FnMut(&mut Tally) -> bool) -> Result<(), String> {
        self.try_settle(step).map_err(|error| format!("{error:#}"))
    }
}

fn parse(text: &str) -> Option<Tally> {
    let mut tally = Tally::default();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).ok()?;
        let charge = Charge {
            policy: line.policy,
            who: line.who,
            quota: Quota::parse(&line.quota)?,
        };
        for at in line.at {
            tally.charge(std::slice::from_ref(&charge), at);
        }
    }
    Some(tally)
}

fn printed(tally: &Tally) -> anyhow::Result<String> {
    let mut text = String::new();
    for (charge, times) in tally.charged() {
        let line = Line {
            policy: charge.policy.clone(),
            who: charge.who.clone(),
            quota: charge.quota.to_string(),
            at: times.collect(),
        };
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_policy::Counts as _;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        (dir, home)
    }

    fn charge(who: &str) -> Charge {
        Charge {
            policy: "slow\nly".to_owned(),
            who: who.to_owned(),
            quota: Quota::parse("100/minute").unwrap(),
        }
    }

    fn used(counted: &Counted, who: &str) -> u32 {
        let mut used = 0;
        counted
            .settle(&mut |tally| {
                used = tally.used(&charge(who), 1030);
                false
            })
            .unwrap();
        used
    }

    #[test]
    fn gates_of_one_home_count_together_and_across_their_lives() {
        let (_dir, home) = home();
        let gates: Vec<_> = (0..4)
            .map(|_| {
                let home = home.clone();
                std::thread::spawn(move || {
                    let counted = Counted::of(&home);
                    for at in 0..10 {
                        let step = &mut |tally: &mut Tally| {
                            tally.charge(&[charge("ann")], 1000 + at);
                            true
                        };
                        counted.settle(step).unwrap();
                    }
                })
            })
            .collect();
        gates.into_iter().for_each(|gate| gate.join().unwrap());
        let later = Counted::of(&home);
        assert_eq!((used(&later, "ann"), used(&later, "bob")), (40, 0));
        let mode = later.counts.metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn counts_that_cannot_be_had_permit_nothing() {
        let (_dir, home) = home();
        let counted = Counted::of(&home);
        let fails = |part: &str| {
            let mut ran = false;
            let error = counted.settle(&mut |_| {
                ran = true;
                false
            });
            assert!(!ran, "{part}");
            let error = error.unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        for damaged in ["no line\n", "{\"policy\":\"p\"}\n", "\n"] {
            std::fs::write(&counted.counts, damaged).unwrap();
            std::fs::set_permissions(&counted.counts, PermissionsExt::from_mode(0o600)).unwrap();
            fails("damaged");
        }
        std::fs::set_permissions(&counted.counts, PermissionsExt::from_mode(0o666)).unwrap();
        fails("chmod 600");
        std::fs::remove_file(&counted.counts).unwrap();
        assert_eq!(used(&counted, "ann"), 0);
        let held = counted.alone().unwrap();
        fails("does not let go");
        drop(held);
        assert_eq!(used(&counted, "ann"), 0);
    }
}
