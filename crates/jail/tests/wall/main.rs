//! Attacks on the native wall, and ordinary programs behind it. Every attack is also run without the wall,
//! where it succeeds: a probe that cannot succeed proves nothing.
#![expect(unsafe_code, reason = "the probes make raw system calls")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "everything here is a test, also what stands outside of test functions"
)]

mod attacks;
mod hidden;
mod holes;
mod life;
mod limits;
mod mounts;
mod network;
mod probe;
mod programs;
mod seen;
mod streams;
mod stubs;
mod used;
mod world;

/// Not a test of its own: what the attack tests run, bare and inside (see `world::World::attack`).
#[test]
fn probe_entry() {
    if let Ok(attack) = std::env::var("BAILIWICK_PROBE") {
        probe::main(&attack);
    }
}

/// Root runs everything once more as an ordinary user, by the same test program.
#[test]
fn everything_again_as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = world::World::new();
    let status = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(world.probe())
        .current_dir("/")
        .status()
        .expect("setpriv (util-linux) is needed");
    assert!(status.success(), "as an ordinary user: {status}");
}
