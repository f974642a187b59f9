//! Runs a program inside the native wall by hand: `jail [+ATOM]… PROGRAM ARGS…`, with /usr and its links as
//! runtime. For trying things out and for measuring; `bailiwick exec` is the real one.

use std::process::ExitCode;

use bailiwick_capability::{Grant, Granted};
use bailiwick_jail::{Native, Stdio};
use bailiwick_wall::{Closure, Limits, Program};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut atoms = Vec::new();
    let mut words = std::env::args_os().skip(1).peekable();
    while let Some(atom) = words.next_if(|word| word.to_string_lossy().starts_with('+')) {
        atoms.push(Granted::whole(
            atom.to_string_lossy().trim_start_matches('+').parse()?,
        ));
    }
    let program = Program {
        program: words
            .next()
            .ok_or("usage: jail [+ATOM]… PROGRAM ARGS…")?
            .into(),
        args: words.collect(),
        env: vec![
            ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
            ("HOME".into(), bailiwick_jail::HOME.into()),
        ],
        cwd: std::env::current_dir()?,
        closure: Closure {
            read: vec![],
            run: ["/usr", "/lib", "/lib64", "/bin"].map(Into::into).into(),
        },
    };
    let native = Native::probe()?;
    let mut jailed = native.spawn(
        &program,
        &Grant::new(atoms),
        &Limits::default(),
        Stdio::Inherit,
    )?;
    let status = jailed.wait()?;
    Ok(status.code().map_or(ExitCode::FAILURE, |code| {
        ExitCode::from(u8::try_from(code).unwrap_or(1))
    }))
}
