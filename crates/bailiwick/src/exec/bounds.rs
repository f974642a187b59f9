//! `--limit NAME=VALUE`: what a person bounds by hand.

use std::time::Duration;

use bailiwick_manifest::{size, time};
use bailiwick_wall::Limits;
use serde_json::{Value, json};

/// One bound of a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Memory(u64),
    Processes(u32),
    Cpu(Duration),
    Files(u32),
    FileSize(u64),
    Disk(u64),
    Time(Duration),
    Output(u64),
}

/// The names, with what their values are.
const KNOWN: &str = "memory, disk, file-size and output take a size such as `512MiB`; time and cpu a time such as \
     `90s`; processes and files a count";

impl std::str::FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no limit: {KNOWN}");
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let count = || value.parse::<u32>().ok().filter(|count| *count > 0);
        let bound = match name {
            "memory" => size(value).map(Self::Memory),
            "processes" => count().map(Self::Processes),
            "cpu" => time(value).map(Self::Cpu),
            "files" => count().map(Self::Files),
            "file-size" => size(value).map(Self::FileSize),
            "disk" => size(value).map(Self::Disk),
            "time" => time(value).map(Self::Time),
            "output" => size(value).map(Self::Output),
            _ => None,
        };
        bound.ok_or_else(wrong)
    }
}

/// All bounds of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Those of the wall.
    pub(crate) wall: Limits,
    /// What it may print, in bytes; none means any amount.
    pub(crate) output: Option<u64>,
}

impl Bounds {
    /// The usual bounds with a person's in their place, the last of a name.
    pub(crate) fn new(usual: &Limits, given: &[Bound]) -> Self {
        // A person at a terminal takes as long as they like.
        let mut wall = Limits {
            cpu_seconds: None,
            ..usual.clone()
        };
        let mut output = None;
        for bound in given {
            match *bound {
                Bound::Memory(bytes) => wall.memory_bytes = bytes,
                Bound::Processes(count) => wall.processes = count,
                Bound::Cpu(time) => wall.cpu_seconds = Some(time.as_millis().div_ceil(1000) as u64),
                Bound::Files(count) => wall.open_files = count,
                Bound::FileSize(bytes) => wall.file_bytes = bytes,
                Bound::Disk(bytes) => wall.disk_bytes = Some(bytes),
                Bound::Time(time) => wall.wall_clock = Some(time),
                Bound::Output(bytes) => output = Some(bytes),
            }
        }
        Self { wall, output }
    }

    /// For the report: bytes, counts, and seconds.
    pub(crate) fn as_json(&self) -> Value {
        let wall = &self.wall;
        json!({
            "memory": wall.memory_bytes,
            "processes": wall.processes,
            "cpu": wall.cpu_seconds,
            "files": wall.open_files,
            "file-size": wall.file_bytes,
            "disk": wall.disk_bytes,
            "time": wall.wall_clock.map(|time| time.as_secs_f64()),
            "output": self.output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_read_and_put_in_its_place() {
        let given = [
            "memory=64MiB",
            "processes=9",
            "cpu=1500ms",
            "files=20",
            "file-size=1KiB",
            "disk=2MiB",
            "time=5s",
            "output=10",
            "output=20",
        ];
        let given: Vec<Bound> = given.iter().map(|text| text.parse().unwrap()).collect();
        let bounds = Bounds::new(&Limits::default(), &given);
        let told = bounds.as_json();
        let expected = json!({
            "memory": 64 << 20, "processes": 9, "cpu": 2, "files": 20, "file-size": 1024, "disk": 2 << 20, "time": 5.0,
            "output": 20,
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_no_limit_is_told_with_those_that_there_are() {
        for wrong in [
            "",
            "memory",
            "memory=",
            "memory=lots",
            "time=5",
            "processes=0",
            "files=-1",
            "speed=9",
        ] {
            let error = wrong.parse::<Bound>().unwrap_err();
            assert!(error.contains("file-size"), "{error}");
        }
    }
}
