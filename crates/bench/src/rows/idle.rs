//! What an idle plugin behind the native wall takes beyond its own process. In KiB, not in µs.

use bailiwick_capability::Grant;
use bailiwick_jail::{Extras, Jailed, Native, Stdio, Watch};
use bailiwick_wall::{Closure, Limits, Program};

use super::{Effort, libraries};
use crate::Outcome;
use crate::sample::{Row, Spread};

/// Plugins that are idle at once.
const PLUGINS: u32 = 16;
/// The most that one may take.
const MOST: f64 = 2048.0;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let native = Native::probe()?;
    let program = Program {
        program: "/bin/cat".into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: "/".into(),
        closure: Closure {
            read: Vec::new(),
            run: libraries(),
        },
    };
    let extras = Extras {
        watch: Watch::Everything,
        ..Extras::default()
    };
    let start = || -> Outcome<Jailed> {
        let grant = Grant::default();
        let limits = Limits::default();
        Ok(native.spawn_with(&program, &grant, &limits, Stdio::Piped, &extras)?)
    };
    let rounds = effort.plan(20, 1).rounds;
    let mut samples = Vec::with_capacity(rounds);
    drop(start()?);
    for _ in 0..rounds {
        let before = resident("self")?;
        let plugins = (0..PLUGINS).map(|_| start()).collect::<Outcome<Vec<_>>>()?;
        let host = resident("self")? - before;
        let mut inits = 0.0;
        for plugin in &plugins {
            inits += resident(&plugin.pid().to_string())?;
        }
        samples.push((host + inits) / f64::from(PLUGINS));
    }
    let ratios: Vec<f64> = samples.iter().map(|kib| kib / MOST).collect();
    Ok(vec![Row {
        name: "memory of an idle plugin beyond its own process, in KiB".to_owned(),
        ours: "watched native wall".to_owned(),
        baseline: "2 MiB".to_owned(),
        our_time: Spread::of(&samples),
        baseline_time: Spread::of(&[MOST]),
        ratio: Spread::of(&ratios),
        samples: samples.len(),
        batch: PLUGINS,
    }])
}

/// Resident memory of a process, in KiB (proc_pid_status(5)).
fn resident(pid: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = value.and_then(|value| value.split_whitespace().next());
    Ok(number.ok_or("no resident memory")?.parse()?)
}
