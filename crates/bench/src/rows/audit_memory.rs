//! Resident memory of the writer and of verification at two lengths of a log, in KiB, not in µs: each in a process of
//! its own, at its highest (VmHWM, proc_pid_status(5)).

use std::path::Path;
use std::process::Command;

use bailiwick_audit::{Log, Options, read_verifier_key, verify};

use super::Effort;
use crate::Outcome;
use crate::forge;
use crate::sample::{Row, Spread};

const SHORT: u64 = 100_000;
const LONG: u64 = 10_000_000;
const QUICK: u64 = 400_000;
/// What the writer appends to the log that it finds.
const APPENDED: usize = 10_000;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let long = effort
        .entries
        .unwrap_or(if effort.quick { QUICK } else { LONG });
    let folder = tempfile::tempdir()?;
    let dirs = [SHORT, long].map(|entries| (entries, folder.path().join(entries.to_string())));
    for (entries, dir) in &dirs {
        forge::log(dir, *entries)?;
    }
    let [(_, short_dir), (_, long_dir)] = &dirs;
    let mut rows = Vec::new();
    for (what, name) in [("verify", "verification"), ("write", "the log's writer")] {
        let mut highest = [0.0, 0.0];
        let mut seconds = 0.0;
        for (highest, dir) in highest.iter_mut().zip([short_dir, long_dir]) {
            let start = std::time::Instant::now();
            *highest = in_a_process(what, dir)?;
            seconds = start.elapsed().as_secs_f64();
        }
        let [short, long_log] = highest;
        rows.push(Row {
            name: format!("memory of {name}, in KiB; the longer took {seconds:.1} s"),
            ours: format!("{long} entries"),
            baseline: format!("{SHORT} entries"),
            our_time: Spread::of(&[long_log]),
            baseline_time: Spread::of(&[short]),
            ratio: Spread::of(&[long_log / short]),
            samples: 1,
            batch: 1,
        });
    }
    Ok(rows)
}

fn in_a_process(what: &str, dir: &Path) -> Outcome<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.arg("audit-once").arg(what).arg(dir).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Does it once in this process and prints its highest resident memory.
pub(crate) fn once(what: &str, dir: &str) -> Outcome {
    let dir = Path::new(dir);
    match what {
        "verify" => {
            let key = read_verifier_key(dir)?;
            verify(dir, &key, None).map_err(|report| report.to_string())?;
        }
        "write" => {
            let log = Log::open(dir, Options::default())?;
            for _ in 0..APPENDED {
                log.append(&forge::subject(), &forge::event())?;
            }
            log.close()?;
        }
        other => return Err(format!("there is no `{other}`").into()),
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.split_whitespace().next())
        .ok_or("no resident memory")?;
    println!("{value}");
    Ok(())
}
