//! Bounds on what a plugin may use up.

use std::fmt;
use std::time::Duration;

/// Bounds on one plugin. Whoever controls the plugin controls how near it comes to each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the whole plugin, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Open descriptors of one process.
    pub open_files: u32,
    /// Size of one written file, in bytes.
    pub file_bytes: u64,
    /// Processor time of the whole plugin, in seconds; none means unbounded.
    pub cpu_seconds: Option<u64>,
    /// Wall-clock time of one tool call.
    pub call: Duration,
    /// Wall-clock time from start to the first list of tools.
    pub start: Duration,
    /// Size of one message or result, in bytes.
    pub output_bytes: usize,
    /// Wall-clock time of the whole program, after which it is ended; none means unbounded.
    pub wall_clock: Option<Duration>,
    /// What all files that it writes may take together, in bytes; none means that only the file system bounds it.
    pub disk_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            processes: 256,
            open_files: 1024,
            file_bytes: 1 << 30,
            cpu_seconds: None,
            call: Duration::from_secs(60),
            start: Duration::from_secs(60),
            output_bytes: 8 << 20,
            wall_clock: None,
            disk_bytes: None,
        }
    }
}

/// One of the [`Limits`], by what it bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::processes`].
    Processes,
    /// [`Limits::file_bytes`].
    File,
    /// [`Limits::cpu_seconds`].
    Cpu,
    /// [`Limits::disk_bytes`].
    Disk,
    /// [`Limits::wall_clock`].
    Time,
    /// [`Limits::output_bytes`].
    Output,
}

impl Limit {
    /// Its name in a manifest's `runtime.limits` and in `exec --limit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::File => "file-size",
            Self::Cpu => "cpu",
            Self::Disk => "disk",
            Self::Time => "time",
            Self::Output => "output",
        }
    }

    /// Whether a manifest can name it.
    #[must_use]
    pub fn in_manifest(self) -> bool {
        matches!(self, Self::Memory | Self::Processes | Self::Output)
    }

    /// What `limits` set for it, for people.
    #[must_use]
    pub fn value(self, limits: &Limits) -> String {
        let time = |seconds: u64| format!("{seconds} s");
        match self {
            Self::Memory => size(limits.memory_bytes),
            Self::Processes => limits.processes.to_string(),
            Self::File => size(limits.file_bytes),
            Self::Cpu => limits.cpu_seconds.map_or_else(String::new, time),
            Self::Disk => limits.disk_bytes.map_or_else(String::new, size),
            Self::Time => limits
                .wall_clock
                .map_or_else(String::new, |time| format!("{} s", time.as_secs_f64())),
            Self::Output => size(limits.output_bytes as u64),
        }
    }
}

/// A limit that a plugin met. Displays as a sentence: which, its value, and how to set another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHit {
    /// Which.
    pub limit: Limit,
    /// Its value, for people.
    pub value: String,
}

impl LimitHit {
    /// That `limit` was met, of those in `limits`.
    #[must_use]
    pub fn new(limit: Limit, limits: &Limits) -> Self {
        Self {
            limit,
            value: limit.value(limits),
        }
    }

    /// Its name and value, as a record's target: `memory 256 MiB`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{} {}", self.limit.name(), self.value)
    }
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.limit.name();
        write!(f, "it met its limit `{name}` of {}", self.value)?;
        if self.limit.in_manifest() {
            write!(
                f,
                "; `{name}` under `runtime.limits` in its manifest, or `exec --limit {name}=…`, sets another"
            )
        } else {
            write!(f, "; `exec --limit {name}=…` sets another")
        }
    }
}

/// A number of bytes in the largest unit that divides it.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = |(unit, _): &&(u64, &str)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match units.iter().find(fits) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_says_which_limit_its_value_and_how_to_set_another() {
        let limits = Limits {
            memory_bytes: 256 << 20,
            file_bytes: 1500,
            ..Limits::default()
        };
        let memory = LimitHit::new(Limit::Memory, &limits);
        assert_eq!(memory.target(), "memory 256 MiB");
        let text = memory.to_string();
        for part in ["`memory` of 256 MiB", "`runtime.limits`", "--limit memory="] {
            assert!(text.contains(part), "{text}");
        }
        let file = LimitHit::new(Limit::File, &limits).to_string();
        assert!(
            file.contains("`file-size` of 1500 B") && !file.contains("manifest"),
            "{file}"
        );
    }
}
