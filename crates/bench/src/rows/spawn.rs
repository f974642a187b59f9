//! Starting a program behind the native wall and waiting for its end.

use std::process::Command;

use bailiwick_capability::Grant;
use bailiwick_jail::{Native, Stdio};
use bailiwick_wall::{Closure, Limits, Program};

use super::{Effort, libraries};
use crate::Outcome;
use crate::sample::{Row, Side, compare};

const TRUE: &str = "/bin/true";
const BWRAP: [&str; 8] = [
    "--unshare-all",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
];

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let native = Native::probe()?;
    let program = Program {
        program: TRUE.into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: "/".into(),
        closure: Closure {
            read: Vec::new(),
            run: libraries(),
        },
    };
    let (grant, limits) = (Grant::default(), Limits::default());
    let well = |ended: bool| {
        if ended {
            Ok(())
        } else {
            Err(format!("{TRUE} failed").into())
        }
    };
    let mut sides = [
        Side::new("native wall", || {
            let mut jailed = native.spawn(&program, &grant, &limits, Stdio::Inherit)?;
            well(jailed.wait()?.success())
        }),
        Side::new("bwrap --unshare-all", || {
            well(
                Command::new("bwrap")
                    .args(BWRAP)
                    .arg(TRUE)
                    .status()?
                    .success(),
            )
        }),
        Side::new("posix_spawn", || {
            well(Command::new(TRUE).status()?.success())
        }),
    ];
    compare("start and end of `true`", effort.plan(300, 1), &mut sides)
}
