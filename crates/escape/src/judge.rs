//! The verdict: from what is outside of the attack, before and after.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::probe::{Canary, Digits, Probe};
use crate::run::Place;
use crate::sight::look;
use crate::world::World;

/// All that can be seen of a file. Files of the kernel count by content alone.
#[derive(Debug, PartialEq, Eq)]
struct Print {
    meta: Option<([u64; 2], [u32; 3], [i64; 4])>,
    content: Option<Vec<u8>>,
}

/// Longer than any wall takes to notice.
const LASTING: Duration = Duration::from_secs(6);
/// Longer than every canary file.
const MAX_CONTENT: u64 = 1 << 21;

fn is_kernels(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/sys")
}

impl Print {
    fn of(path: &Path) -> Self {
        let meta = fs::symlink_metadata(path).ok();
        let small = meta
            .as_ref()
            .is_some_and(|meta| meta.is_file() && meta.len() < MAX_CONTENT);
        Self {
            content: small.then(|| fs::read(path).ok()).flatten(),
            meta: meta.filter(|_| !is_kernels(path)).map(|meta| {
                (
                    [meta.ino(), meta.size()],
                    [meta.mode(), meta.uid(), meta.gid()],
                    [
                        meta.mtime(),
                        meta.mtime_nsec(),
                        meta.ctime(),
                        meta.ctime_nsec(),
                    ],
                )
            }),
        }
    }
}

/// The state of the canary before the attack.
#[derive(Debug)]
pub(crate) struct Before {
    changed: Option<(PathBuf, Print)>,
    clock: Option<i64>,
    attack: &'static str,
}

impl Before {
    pub(crate) fn look(probe: &Probe, world: &World<'_>) -> Self {
        Self {
            changed: match probe.canary {
                Canary::Changed(path) => {
                    let path = PathBuf::from(world.fill(path));
                    let print = Print::of(&path);
                    Some((path, print))
                }
                _ => None,
            },
            clock: matches!(probe.canary, Canary::Clock(_)).then(|| clock(world)),
            attack: probe.attack.first().unwrap_or(&""),
        }
    }

    /// Undoes what a bare attack did to the machine.
    pub(crate) fn restore(&self, world: &World<'_>) {
        if let Some((path, print)) = &self.changed
            && is_kernels(path)
            && Print::of(path) != *print
            && let Some(content) = &print.content
        {
            let _ = fs::write(path, content);
        }
        if let Some(clock) = self.clock {
            let _ = world.help(&["clock", &clock.to_string()]);
        }
        let _ = match self.attack {
            "segment-leave" => world.help(&["ipc-remove", &world.left_key()]),
            "swap-on" => world.help(&["swap-off", &world.fill("@/write/swap")]),
            _ => return,
        };
    }
}

fn clock(world: &World<'_>) -> i64 {
    let said = world.help(&["clock"]).unwrap_or_default();
    said.trim().parse().unwrap_or(-1)
}

/// What was gathered about one run.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) output: String,
    pub(crate) told: Vec<String>,
    pub(crate) lives: Option<String>,
    seen: Option<String>,
    gate_mib: u64,
    pub(crate) output_bytes: u64,
}

impl Evidence {
    /// Looks at what may be gone later; where it has to last, until it is gone or has lasted.
    pub(crate) fn look(&mut self, probe: &Probe, world: &World<'_>, place: Place) {
        if self.seen.is_some() {
            return;
        }
        let lasts = probe.lasting && place == Place::Inside;
        let deadline = Instant::now() + if lasts { LASTING } else { Duration::ZERO };
        loop {
            self.seen = seen(probe, world);
            if self.seen.is_none() || Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Remembers the most memory that the gate took, where that is the question.
    pub(crate) fn weigh_gate(&mut self, probe: &Probe, pid: u32) {
        if let Canary::GateMemory(_) = probe.canary {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            self.gate_mib = self.gate_mib.max(peak.unwrap_or(0) / 1024);
        }
    }

    /// Why the attack worked, or none.
    pub(crate) fn judge(
        &self,
        probe: &Probe,
        world: &World<'_>,
        before: &Before,
    ) -> Option<String> {
        let has = |text: &str| self.output.contains(text);
        match probe.canary {
            Canary::Said => has(&world.secret).then(|| "brought the secret out".to_owned()),
            Canary::SaidFile(path, digits) => {
                let own = own(path, digits)?;
                has(&own).then(|| format!("brought out {path}"))
            }
            Canary::Answered(text) => {
                has(&world.fill(text)).then(|| "answered the challenge".to_owned())
            }
            Canary::Changed(_) => {
                let (path, print) = before.changed.as_ref()?;
                (Print::of(path) != *print).then(|| format!("changed {}", path.display()))
            }
            Canary::Told(text) => {
                let text = world.fill(text);
                self.told
                    .iter()
                    .find(|line| line.contains(&text))
                    .map(|line| format!("the victim: {line}"))
            }
            Canary::Terminal(text) => {
                has(&world.fill(text)).then(|| "changed the terminal".to_owned())
            }
            Canary::Lives(_) => self.lives.clone(),
            Canary::Clock(value) => {
                (clock(world) == value).then(|| "changed the clock's error".to_owned())
            }
            Canary::GateMemory(bound) => {
                (self.gate_mib > bound).then(|| format!("the gate took {} MiB", self.gate_mib))
            }
            Canary::Long(path, bound) => {
                let long = fs::metadata(world.fill(path)).ok()?.len() >> 20;
                (long > bound).then(|| format!("{long} MiB long"))
            }
            Canary::Output(bound) => {
                let came = self.output_bytes >> 20;
                (came > bound).then(|| format!("{came} MiB came through"))
            }
            Canary::Seen(_) | Canary::Line(..) | Canary::Fills(..) => self.seen.clone(),
        }
    }

    /// The last line of the output that says something.
    pub(crate) fn last_words(&self) -> String {
        let dull = |line: &&str| {
            !line.trim().is_empty()
                && !["done", "holding"].contains(line)
                && !line.starts_with("started")
        };
        let last = self.output.lines().rfind(dull).unwrap_or_default();
        last.chars().filter(|c| !c.is_control()).take(160).collect()
    }
}

fn seen(probe: &Probe, world: &World<'_>) -> Option<String> {
    match probe.canary {
        Canary::Seen(sight) => look(sight, world),
        Canary::Line(file, text) => line(&world.fill(file), &world.fill(text), world),
        Canary::Fills(folder, bound) => {
            let size = size(Path::new(&world.fill(folder))) >> 20;
            (size > bound).then(|| format!("{size} MiB"))
        }
        _ => None,
    }
}

/// What only a look at the file itself tells.
fn own(path: &str, digits: Digits) -> Option<String> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(
        &mut std::io::Read::take(fs::File::open(path).ok()?, 256),
        &mut bytes,
    )
    .ok()?;
    Some(match digits {
        Digits::Text => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Digits::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
    .filter(|text| text.len() > 20)
}

fn line(file: &str, text: &str, world: &World<'_>) -> Option<String> {
    // Keys are shown to those alone who may see them.
    let content = world.ask(&["cat", file]).ok()?;
    let found = content.lines().find(|line| line.contains(text))?;
    Some(format!("{file}: {}", found.trim()))
}

fn size(folder: &Path) -> u64 {
    let Ok(all) = fs::read_dir(folder) else {
        return 0;
    };
    all.flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
