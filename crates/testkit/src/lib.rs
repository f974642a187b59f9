//! Helpers that only tests use: real third-party plugins, official SDK clients, an independent sandbox.
//!
//! What is not set up is a failure that says how to mend it (`cargo xtask setup`), never a silent skip.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a test helper that cannot help ends the test"
)]

pub mod bwrap;
pub mod keyring;
pub mod netns;
pub mod real;
pub mod registry;
pub mod sdk;
pub mod user;

use std::path::{Path, PathBuf};

/// The repository's top folder.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("the crate lies two folders below the top")
        .to_owned()
}

/// A fresh folder below the system's temporary one, which every user may enter and read; removed when
/// dropped.
#[must_use]
pub fn readable_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix("bailiwick-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder can be made")
}
