//! The attack's processes as the machine's own `/proc` shows them, from outside of every namespace.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::linux::fs::MetadataExt as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::probe::Sight;
use crate::world::World;

/// Ours: they carry the mark in their arguments because they start or serve attacks.
const OWN: [&str; 4] = ["bailiwick", "helper", "setpriv", "victim"];

/// A process of the attack.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    folder: PathBuf,
}

/// All processes that have `mark` among their arguments, tools aside.
pub(crate) fn marked(mark: &str) -> Vec<Seen> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let is_ours = |folder: &Path| {
        let words = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        let program = words.split('\0').next().unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        words.contains(mark) && !OWN.contains(&name)
    };
    all.filter_map(|entry| {
        let folder = entry.ok()?.path();
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        is_ours(&folder).then_some(Seen { pid, folder })
    })
    .collect()
}

impl Seen {
    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    fn link(&self, file: &str) -> Option<String> {
        let target = fs::read_link(self.folder.join(file)).ok()?;
        Some(target.display().to_string())
    }

    /// Open descriptors: their numbers and places.
    fn descriptors(&self) -> Vec<(u32, PathBuf)> {
        let Ok(all) = fs::read_dir(self.folder.join("fd")) else {
            return Vec::new();
        };
        all.filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path))
        })
        .collect()
    }

    /// A field of `stat`, numbered as in proc(5); from the third on.
    fn field(&self, number: usize) -> Option<i64> {
        let stat = self.text("stat");
        let rest = stat.rsplit_once(')')?.1;
        rest.split_whitespace()
            .nth(number.checked_sub(3)?)?
            .parse()
            .ok()
    }

    /// A line of `status` or of a file like it, as a number.
    fn number(&self, file: &str, name: &str) -> Option<u64> {
        let text = self.text(file);
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn file_id(&self, link: &str) -> Option<(u64, u64)> {
        let meta = fs::metadata(self.folder.join(link)).ok()?;
        Some((meta.st_dev(), meta.st_ino()))
    }

    /// One of the things that a single process shows.
    fn shows(&self, sight: Sight, world: &World<'_>) -> Option<String> {
        match sight {
            Sight::Descriptor(prefix) => {
                self.descriptors().into_iter().find_map(|(number, path)| {
                    let target = fs::read_link(path).ok()?.display().to_string();
                    (number > 2 && target.starts_with(prefix)).then(|| format!("holds {target}"))
                })
            }
            Sight::OtherProgram => {
                let runs = self.file_id("exe")?;
                let granted = ["probe", "dynamic"].map(|name| fs::metadata(world.path(name)));
                let granted = granted.into_iter().flatten();
                let is_granted = granted
                    .map(|meta| (meta.st_dev(), meta.st_ino()))
                    .any(|id| id == runs);
                (!is_granted).then(|| format!("runs {}", self.link("exe").unwrap_or_default()))
            }
            Sight::MappedCode(name) => self
                .text("maps")
                .lines()
                .find(|line| {
                    line.contains(name)
                        && line
                            .split(' ')
                            .nth(1)
                            .is_some_and(|mode| mode.contains('x'))
                })
                .map(|line| format!("has mapped {line}")),
            Sight::Mounted => self
                .text("mountinfo")
                .lines()
                .find(|line| line.contains(&format!(" {} ", world.mark)))
                .map(|line| format!("has mounted {line}")),
            Sight::Personality => {
                let persona = self.text("personality");
                let bits = u32::from_str_radix(persona.trim(), 16).ok()?;
                (bits != 0).then(|| format!("has personality {bits:x}"))
            }
            Sight::Favoured => {
                let (nice, policy) = (self.field(19)?, self.field(41)?);
                (nice < 0 || policy == 1 || policy == 2)
                    .then(|| format!("nice {nice}, class {policy}"))
            }
            Sight::Spared => {
                let score: i64 = self.text("oom_score_adj").trim().parse().ok()?;
                (score < 0).then(|| format!("score {score}"))
            }
            Sight::ControllingTerminal => {
                let terminal = self.field(7)?;
                (terminal != 0).then(|| format!("controlled by terminal {terminal:#x}"))
            }
            Sight::Traced => {
                let tracer = self.number("status", "TracerPid:")?;
                (tracer != 0).then(|| format!("traced by {tracer}"))
            }
            Sight::OtherUser => {
                let status = self.text("status");
                let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
                let uid: u32 = line.split_whitespace().nth(1)?.parse().ok()?;
                (uid != world.uid()?).then(|| format!("is user {uid}"))
            }
            Sight::Descriptors(bound) => {
                let open = self.descriptors().len() as u64;
                (open > bound).then(|| format!("{open} descriptors"))
            }
            _ => None,
        }
    }
}

/// What is shown by all of them together.
fn sum(all: &[Seen], one: impl Fn(&Seen) -> Option<u64>) -> u64 {
    all.iter().filter_map(one).sum()
}

fn over(amount: u64, bound: u64, of: &str) -> Option<String> {
    (amount > bound).then(|| format!("{amount} {of}"))
}

/// Looks for `sight` at the attack's processes. None when it is not there.
pub(crate) fn look(sight: Sight, world: &World<'_>) -> Option<String> {
    let all = marked(&world.mark);
    match sight {
        Sight::Apart(name) => {
            let places: BTreeSet<String> = all.iter().filter_map(|one| place(one, name)).collect();
            (places.len() > 1).then(|| format!("apart: {places:?}"))
        }
        Sight::Processes(bound) => over(
            sum(&all, |one| one.number("status", "Threads:")),
            bound,
            "processes",
        ),
        Sight::Zombies(bound) => over(sum(&all, |one| Some(zombies_of(one.pid))), bound, "zombies"),
        Sight::Memory(bound) => over(
            sum(&all, |one| one.number("smaps_rollup", "Pss:")) / 1024,
            bound,
            "MiB",
        ),
        Sight::Locked(bound) => over(
            sum(&all, |one| one.number("status", "VmLck:")) / 1024,
            bound,
            "MiB locked",
        ),
        Sight::HeldFiles(bound) => over(
            sum(&all, |one| Some(held(one))) >> 20,
            bound,
            "MiB in files",
        ),
        Sight::Port => {
            let port = world.facts.get("port")?.parse().ok()?;
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
            Some(format!("answers on {address}"))
        }
        Sight::Socket(name) => {
            let name = world.fill(name);
            let reached = match name.strip_prefix('=') {
                Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name)
                    .and_then(|address| UnixStream::connect_addr(&address)),
                None => UnixStream::connect(&name),
            };
            reached.ok().map(|_| format!("answers on {name}"))
        }
        single => all.iter().find_map(|one| one.shows(single, world)),
    }
}

fn place(one: &Seen, name: &str) -> Option<String> {
    if name == "root" {
        return one.file_id("root").map(|id| format!("{id:?}"));
    }
    one.link(&format!("ns/{name}"))
}

/// Bytes of files that have a descriptor, counted by blocks.
fn held(one: &Seen) -> u64 {
    let files = one.descriptors();
    let sizes = files.iter().filter_map(|(_, path)| {
        let meta = fs::metadata(path).ok()?;
        meta.is_file().then(|| meta.st_blocks() * 512)
    });
    sizes.sum()
}

/// Children of `parent` that are dead; they have no arguments any more.
fn zombies_of(parent: u32) -> u64 {
    let Ok(all) = fs::read_dir("/proc") else {
        return 0;
    };
    let dead = all.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let dead = dead.filter(|stat| {
        let mut rest = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace();
        rest.next() == Some("Z") && rest.next() == Some(&parent.to_string())
    });
    dead.count() as u64
}
