//! One attack, once: bare or behind the gate, as one user.

use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::judge::{Before, Evidence};
use crate::probe::{Canary, Probe, Program, Streams};
use crate::sight::marked;
use crate::victim::Victim;
use crate::world::{User, World, as_user};

/// With the wall or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Bare,
    Inside,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The canary says so, and how.
    Worked(String),
    /// With its last words, which are only for people.
    Held(String),
    /// It was not tried, and why.
    NotRun(String),
    /// It never began, so nothing was shown.
    Broken(String),
}

/// Longer than any attack takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Output that is kept; the rest is read and forgotten.
const KEPT: usize = 4 << 20;
const GLANCE: Duration = Duration::from_millis(3);
/// How long what should be dead may take to be so. The kernel ends many processes one by one.
const GRACE: Duration = Duration::from_secs(4);
const BARE_GRACE: Duration = Duration::from_millis(150);

/// Runs `probe` in a world of its own.
pub(crate) fn run(probe: &Probe, tools: &crate::tools::Tools, place: Place, user: User) -> Verdict {
    let mut world = match World::new(tools, user) {
        Ok(world) => world,
        Err(error) => return Verdict::Broken(format!("no world: {error}")),
    };
    attack(probe, &mut world, place).unwrap_or_else(|error| Verdict::Broken(error.to_string()))
}

fn attack(probe: &Probe, world: &mut World<'_>, place: Place) -> Outcome<Verdict> {
    let mut victim = Victim::start(world)?;
    world
        .facts
        .insert("port".to_owned(), free_port()?.to_string());
    prepare(probe, world)?;
    let before = Before::look(probe, world);
    let mut evidence = Evidence::default();
    let mut running = Running::start(probe, world, &victim, place)?;
    let held = running.until_held_or_ended(probe, &mut evidence)?;
    if held {
        victim.check();
        evidence.look(probe, world, place);
    }
    if held && probe.kill_starter {
        running.child.kill()?;
    }
    drop(running.child.stdin.take());
    let status = running.end(probe, &mut evidence)?;
    if let Canary::Lives(beats) = probe.canary {
        let grace = if place == Place::Bare {
            BARE_GRACE
        } else {
            GRACE
        };
        evidence.lives = lives(world, &world.fill(beats), grace);
    }
    if !held {
        victim.check();
        evidence.look(probe, world, place);
    }
    end_all(world)?;
    evidence.output = running.output();
    evidence.output_bytes = running.counted.load(Ordering::Relaxed);
    evidence.told.clone_from(&victim.said);
    let proof = evidence.judge(probe, world, &before);
    before.restore(world);
    Ok(verdict(probe, world, &evidence, proof, status, place))
}

fn verdict(
    probe: &Probe,
    world: &World<'_>,
    evidence: &Evidence,
    proof: Option<String>,
    status: ExitStatus,
    place: Place,
) -> Verdict {
    if let Some(proof) = proof {
        return Verdict::Worked(world.plain(&proof));
    }
    let last = evidence.last_words();
    let signal = status.signal().or(status
        .code()
        .filter(|code| *code > 128)
        .map(|code| code - 128));
    let words = match signal {
        Some(31) => "killed for a foreign system call".to_owned(),
        Some(number) if last.is_empty() => format!("ended by signal {number}"),
        _ => world.plain(&last),
    };
    if evidence.output.contains("started") {
        return Verdict::Held(words);
    }
    if place == Place::Inside && probe.refusable {
        return Verdict::Held(format!("not started: {words}"));
    }
    Verdict::Broken(format!("{status}: {words}"))
}

fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// What an attack needs to be there.
fn prepare(probe: &Probe, world: &mut World<'_>) -> Outcome {
    match probe.attack.first() {
        Some(&"reboot-key") => {
            let now = std::fs::read_to_string("/proc/sys/kernel/ctrl-alt-del")?;
            let other = if now.trim() == "0" { "1" } else { "0" };
            world.facts.insert("cad".to_owned(), other.to_owned());
            Ok(())
        }
        Some(&"swap-on") => world
            .ask(&[
                &world.tools.path("helper").display().to_string(),
                "swap-space",
                &world.fill("@/write/swap"),
            ])
            .map(drop),
        Some(&"log-read") => {
            // Only root may; without it the attack has nothing to find, and says so bare.
            let _ = std::fs::write("/dev/kmsg", format!("escape suite: {}\n", world.secret));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Kills what is left of the attack, however it is spread.
fn end_all(world: &World<'_>) -> Outcome {
    for _ in 0..50 {
        let left: Vec<String> = marked(&world.mark)
            .iter()
            .map(|one| one.pid.to_string())
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let mut words = vec!["stop"];
        words.extend(left.iter().map(String::as_str));
        world.help(&words)?;
        sleep(GLANCE);
    }
    Err("what the attack left cannot be killed".into())
}

/// Is anything of it still there when it has had time to end?
fn lives(world: &World<'_>, beats: &str, grace: Duration) -> Option<String> {
    let size = || std::fs::metadata(beats).map_or(0, |meta| meta.len());
    let deadline = Instant::now() + grace;
    loop {
        let (left, first) = (marked(&world.mark).len(), size());
        // Some beats long.
        sleep(Duration::from_millis(90));
        let beaten = size() - first;
        if left == 0 && beaten == 0 {
            return None;
        }
        if Instant::now() >= deadline {
            return Some(format!("{left} processes, {beaten} beats"));
        }
    }
}

struct Running {
    child: Child,
    kept: Arc<Mutex<Vec<u8>>>,
    /// Bytes of output, kept or not.
    counted: Arc<AtomicU64>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(probe: &Probe, world: &World<'_>, victim: &Victim, place: Place) -> Outcome<Self> {
        let words = words(probe, world, place);
        let (program, args) = words.split_first().ok_or("no command")?;
        let stdin = match probe.streams {
            Streams::ReadOnlyFile => File::open(world.path("other/input"))?.into(),
            Streams::Folder => File::open(world.path("read"))?.into(),
            Streams::Socket => Stdio::from(std::os::fd::OwnedFd::from(UnixDatagram::unbound()?)),
            _ => Stdio::piped(),
        };
        let group = if probe.with_victims_group {
            victim.pid()
        } else {
            0
        };
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", world.path("home"))
            .env("BAILIWICK_HOME", world.path("state"))
            .env("ESCAPE_CANARY", &world.secret)
            .current_dir(world.path("write"))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(i32::try_from(group)?)
            .spawn()?;
        let (kept, counted) = (Arc::default(), Arc::default());
        let readers = [
            child.stdout.take().map(|end| gather(end, &kept, &counted)),
            child.stderr.take().map(|end| gather(end, &kept, &counted)),
        ];
        Ok(Self {
            child,
            kept,
            counted,
            readers: readers.into_iter().flatten().collect(),
        })
    }

    fn output(&self) -> String {
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }

    fn holds(&self) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // It is said early, or else after little was said.
        let early = kept.get(..kept.len().min(1 << 16)).unwrap_or_default();
        early.windows(8).any(|bytes| bytes == b"holding\n")
    }

    /// Does it wait to be looked at? False when it has ended.
    fn until_held_or_ended(&mut self, probe: &Probe, evidence: &mut Evidence) -> Outcome<bool> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.holds() {
                return Ok(true);
            }
            evidence.weigh_gate(probe, self.child.id());
            if self.child.try_wait()?.is_some() {
                return Ok(self.holds());
            }
            sleep(GLANCE);
        }
        self.child.kill()?;
        Ok(false)
    }

    fn end(&mut self, probe: &Probe, evidence: &mut Evidence) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            evidence.weigh_gate(probe, self.child.id());
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                self.child.kill()?;
            }
            sleep(GLANCE);
        };
        // What it left behind may hold its output open; what it wrote itself is there at once.
        for _ in 0..30 {
            if self
                .readers
                .iter()
                .all(std::thread::JoinHandle::is_finished)
            {
                break;
            }
            sleep(GLANCE);
        }
        Ok(status)
    }
}

fn gather(
    mut from: impl Read + Send + 'static,
    kept: &Arc<Mutex<Vec<u8>>>,
    counted: &Arc<AtomicU64>,
) -> std::thread::JoinHandle<()> {
    let (kept, counted) = (kept.clone(), counted.clone());
    std::thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let new = chunk.get(..count).unwrap_or_default();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            counted.fetch_add(count as u64, Ordering::Relaxed);
            let room = KEPT.saturating_sub(kept.len()).min(new.len());
            kept.extend_from_slice(new.get(..room).unwrap_or_default());
        }
    })
}

/// The whole command: user, streams, gate, program, attack.
fn words(probe: &Probe, world: &World<'_>, place: Place) -> Vec<String> {
    let mut words = as_user(world.user);
    let helper = world.tools.path("helper").display().to_string();
    match probe.streams {
        Streams::Terminal => words.extend([helper, "terminal".into(), "own".into()]),
        Streams::FreeTerminal => words.extend([helper, "terminal".into(), "free".into()]),
        Streams::Leak(path, number) => {
            words.extend([helper, "leak".into(), world.fill(path), number.to_string()])
        }
        _ => {}
    }
    if place == Place::Inside {
        words.extend([
            world.tools.path("bailiwick").display().to_string(),
            "exec".to_owned(),
        ]);
        words.extend(["--config".to_owned(), world.fill("@/conf/bailiwick.yaml")]);
        let usual = [
            "read_files:@/read/",
            "read_files:@/write/",
            "write_files:@/write/",
        ];
        for atom in usual.iter().chain(probe.grants) {
            words.extend(["--allow".to_owned(), world.fill(atom)]);
        }
        for limit in probe.limits {
            words.extend(["--limit".to_owned(), (*limit).to_owned()]);
        }
        words.push("--".to_owned());
    }
    let rest = probe.attack.iter().map(|word| world.fill(word));
    match probe.program {
        Program::Machine(path) => {
            words.push(path.to_owned());
            words.extend(rest);
            words.push(world.mark.clone());
        }
        Program::Static | Program::Dynamic => {
            let name = if probe.program == Program::Static {
                "probe"
            } else {
                "dynamic"
            };
            words.extend([world.path(name).display().to_string(), world.mark.clone()]);
            words.extend(rest);
        }
    }
    words
}
