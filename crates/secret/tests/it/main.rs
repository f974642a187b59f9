//! The store on a real disk and in a real keyring: what is kept, what is refused, and what a crash leaves.
#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, also in helpers outside of test functions"
)]

mod crash;
mod file;
mod keyring;

use std::path::{Path, PathBuf};

use bailiwick_capability::NetScope;
use bailiwick_secret::{Keep, Options, Store, default_places};
use bailiwick_wall::{Binding, SecretValue};

const CANARY: &str = "canary-7b1d40c98e2f";

/// A folder of our own alone; gone with the test.
fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap()
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec()).unwrap()
}

fn binding(to: &str) -> Binding {
    Binding {
        to: vec![NetScope::parse(to).unwrap()],
        places: default_places(),
        variable: "TOKEN".to_owned(),
    }
}

fn github() -> Binding {
    binding("https://api.github.com")
}

/// A store in a sealed file.
fn sealed(dir: &Path) -> Store {
    let options = Options {
        keep: Keep::File,
        ..Options::default()
    };
    Store::open(dir, options).unwrap()
}

/// The text of a secret's value.
fn text(store: &Store, name: &str) -> Option<String> {
    let (value, _) = store.get(name).unwrap()?;
    Some(String::from_utf8(value.expose().to_vec()).unwrap())
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// Asserts that the canary is in no file below `dir`, in none of the forms that a program might write it in.
fn nowhere(dir: &Path) {
    use base64::Engine as _;
    let mut forms = vec![CANARY.as_bytes().to_vec(), hex::encode(CANARY).into_bytes()];
    // Base64 of a text inside another depends on where it begins.
    for before in ["", "x", "xx"] {
        let whole =
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{before}{CANARY}"));
        forms.push(whole.as_bytes().get(4..whole.len() - 4).unwrap().to_vec());
    }
    let all = files(dir);
    assert!(!all.is_empty());
    for file in all {
        let bytes = std::fs::read(&file).unwrap();
        for form in &forms {
            let found = bytes.windows(form.len()).any(|part| part == form);
            assert!(!found, "{} holds the value", file.display());
        }
    }
}
