//! Builds the freestanding `init` that is process 1 inside the wall, so that the library can carry it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=init/init.rs");
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let output = PathBuf::from(variable("OUT_DIR")).join("init");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        return match std::fs::write(&output, b"") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=init"])
        .args([
            "-Copt-level=s",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-Cforce-unwind-tables=no",
        ])
        .args(["-Crelocation-model=static", "-Ctarget-feature=+crt-static"])
        .args([
            "-Clink-arg=-nostartfiles",
            "-Clink-arg=-nostdlib",
            "-Clink-arg=-static",
        ])
        .args([
            "-Clink-arg=-Wl,--build-id=none",
            "-Clink-arg=-Wl,-z,noexecstack",
        ])
        .arg(format!("--target={}", variable("TARGET")))
        .arg("-o")
        .arg(&output)
        .arg("init/init.rs");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    match rustc.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        other => {
            eprintln!("building the wall's init with {rustc:?} failed: {other:?}");
            ExitCode::FAILURE
        }
    }
}
