//! What the figures were taken on.

/// The machine and the moment, a fact each.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    /// The mean number of runnable threads over the minute before the run.
    pub(crate) load: String,
    pub(crate) date: String,
}

pub(crate) fn describe() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
        .unwrap_or(std::env::consts::ARCH)
        .to_owned();
    let first = |text: String| text.split_whitespace().next().unwrap_or("?").to_owned();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        cpu,
        kernel: first(read("/proc/sys/kernel/osrelease")),
        load: first(read("/proc/loadavg")),
        date: bailiwick_audit::format_time(now),
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cores of {}, Linux {}, load {} at the start, {}",
            self.cores, self.cpu, self.kernel, self.load, self.date
        )
    }
}
