//! Fuzzing with the compiler that everything else uses: LLVM's coverage instrumentation by flags, and
//! libFuzzer from source. `cargo fuzz` works too, where a nightly compiler and sanitizers are wanted.

use crate::run::{run, run_with, top};

/// What `cargo fuzz` passes, less the sanitizer. A target of its own, so that build scripts and macros stay
/// without it.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions";

/// Builds one target and runs it; `rest` goes to libFuzzer, such as `-max_total_time=300`.
pub(crate) fn fuzz(args: &[String]) -> Result<(), String> {
    let Some((target, rest)) = args.split_first() else {
        return Err("name a target of `fuzz/fuzz_targets/`, such as `client_hello`".to_owned());
    };
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let build = [
        "build",
        "--release",
        "--manifest-path=fuzz/Cargo.toml",
        "--target-dir=fuzz/target",
        "--target",
        &triple,
        "--bin",
        target,
    ];
    run_with("cargo", &build, &[("RUSTFLAGS", INSTRUMENTED)])?;
    let [corpus, artifacts] =
        ["corpus", "artifacts"].map(|kind| top().join("fuzz").join(kind).join(target));
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut all = vec![
        corpus.to_string_lossy().into_owned(),
        format!("-artifact_prefix={}/", artifacts.display()),
    ];
    all.extend(rest.iter().cloned());
    let program = top()
        .join("fuzz/target")
        .join(&triple)
        .join("release")
        .join(target);
    run(program, &all)
}
