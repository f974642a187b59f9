//! Measures starting `/bin/true`: bare, behind this wall, and behind `bwrap --unshare-all`, interleaved.
//! Prints medians in microseconds and ratios; only the ratios of one run mean anything.

use std::process::Command;
use std::time::Instant;

use bailiwick_capability::Grant;
use bailiwick_jail::{Native, Stdio};
use bailiwick_wall::{Closure, Limits, Program};

const BWRAP: [&str; 9] = [
    "--unshare-all",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "/bin/true",
];
const ROUNDS: usize = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let native = Native::probe()?;
    let program = Program {
        program: "/bin/true".into(),
        args: vec![],
        env: vec![],
        cwd: "/".into(),
        closure: Closure {
            read: vec![],
            run: ["/usr", "/lib", "/lib64", "/bin"].map(Into::into).into(),
        },
    };
    let (grant, limits) = (Grant::default(), Limits::default());
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let runs: [&dyn Fn() -> Result<bool, Box<dyn std::error::Error>>; 3] = [
            &|| Ok(Command::new("/bin/true").status()?.success()),
            &|| {
                Ok(native
                    .spawn(&program, &grant, &limits, Stdio::Piped)?
                    .wait()?
                    .success())
            },
            &|| Ok(Command::new("bwrap").args(BWRAP).status()?.success()),
        ];
        for (run, times) in runs.iter().zip(&mut times) {
            let start = Instant::now();
            if !run()? {
                return Err("a run failed".into());
            }
            times.push(start.elapsed().as_micros());
        }
    }
    let [bare, wall, bwrap] = times.map(|mut times| {
        times.sort_unstable();
        times.get(ROUNDS / 2).copied().unwrap_or(0)
    });
    println!("bare {bare} µs, wall {wall} µs, bwrap {bwrap} µs");
    println!(
        "wall/bare {:.2}, wall/bwrap {:.2}",
        ratio(wall, bare),
        ratio(wall, bwrap)
    );
    Ok(())
}

fn ratio(a: u128, b: u128) -> f64 {
    a as f64 / b.max(1) as f64
}
