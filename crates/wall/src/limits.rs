//! Bounds on what a plugin may use up.

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
    /// Processor time of one process, in seconds; none means unbounded.
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
