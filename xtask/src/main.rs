//! The project's own chores. `cargo xtask` alone lists them.

mod bench;
mod check;
mod escape;
mod fuzz;
mod run;
mod setup;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  setup          install what the tests need (idempotent; quick when done)
  test [ARGS]    setup, then every test of the workspace; ARGS go to the test runner
  fmt            is everything formatted?
  clippy         lints, warnings are errors
  bench [ARGS]   ratios against baselines of the same run (--quick, --json, --list, names)
  escape [ARGS]  attacks on the wall, bare and inside (--json, --list, classes or names)
  fuzz TARGET [ARGS]  run a target of fuzz/; ARGS go to libFuzzer (-max_total_time=300)
  deny           bans, licences and sources of everything that is built (cargo-deny)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args
        .split_first()
        .map_or(("help", [].as_slice()), |(first, rest)| {
            (first.as_str(), rest)
        });
    let done = match command {
        "setup" => setup::install().and_then(setup::Missing::judge),
        "test" => test::run(rest),
        "bench" => bench::measure(rest),
        "escape" => escape::attack(rest),
        "fuzz" => fuzz::fuzz(rest),
        "fmt" => check::fmt(),
        "clippy" => check::clippy(rest),
        "deny" => check::deny(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no `{other}`\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
