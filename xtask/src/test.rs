//! The README's one test command.

use crate::run::works;
use crate::setup;

/// Sets up, then runs every test; `args` go to the test runner.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    setup::install()?.judge()?;
    let nextest = works("cargo", &["nextest", "--version"]);
    let rest = args.iter().map(String::as_str);
    if !nextest {
        let all: Vec<&str> = ["test", "--release", "--workspace"]
            .into_iter()
            .chain(rest)
            .collect();
        return run_cargo(&all);
    }
    // nextest leaves documentation tests to cargo; they come first, so that the last lines count the
    // real ones.
    if args.is_empty() {
        run_cargo(&["test", "--release", "--workspace", "--doc", "--quiet"])?;
    }
    let all: Vec<&str> = [
        "nextest",
        "run",
        "--release",
        "--workspace",
        "--no-fail-fast",
    ]
    .into_iter()
    .chain(rest)
    .collect();
    run_cargo(&all)
}

fn run_cargo(args: &[&str]) -> Result<(), String> {
    crate::run::run("cargo", args)
}
