//! The real plugins that `cargo xtask setup` installs from the registries, pinned in `testdata/real`.

use std::path::{Path, PathBuf};

/// Where they are: `BAILIWICK_REAL`, or `.cache/real` in the repository.
#[must_use]
pub fn root() -> PathBuf {
    std::env::var_os("BAILIWICK_REAL")
        .map_or_else(|| crate::repository().join(".cache/real"), PathBuf::from)
}

/// The entry script of one of the npm servers, such as `server-filesystem`; run it with `node`.
#[must_use]
pub fn npm_script(server: &str) -> PathBuf {
    present(
        root()
            .join("node_modules/@modelcontextprotocol")
            .join(server)
            .join("dist/index.js"),
    )
}

/// The bare command line of one of the npm servers, without its arguments.
#[must_use]
pub fn npm(server: &str) -> Vec<String> {
    vec!["node".to_owned(), path_text(&npm_script(server))]
}

/// A console script of one of the Python servers, such as `mcp-server-git`.
#[must_use]
pub fn pypi_script(server: &str) -> PathBuf {
    present(root().join("venv/bin").join(server))
}

/// The bare command line of one of the Python servers, without its arguments.
#[must_use]
pub fn pypi(server: &str) -> Vec<String> {
    vec![path_text(&pypi_script(server))]
}

/// The Python interpreter that has the official SDK.
#[must_use]
pub fn python() -> PathBuf {
    present(root().join("venv/bin/python"))
}

/// The exact version that `testdata/real/package.json` pins.
#[must_use]
pub fn npm_version(server: &str) -> String {
    let path = crate::repository().join("testdata/real/package.json");
    let text = std::fs::read(&path).expect("package.json can be read");
    let value: serde_json::Value = serde_json::from_slice(&text).expect("package.json is JSON");
    let found = value
        .get("dependencies")
        .and_then(|all| all.get(format!("@modelcontextprotocol/{server}")));
    found
        .and_then(serde_json::Value::as_str)
        .unwrap_or_else(|| panic!("{} does not pin {server}", path.display()))
        .to_owned()
}

/// The exact version that `testdata/real/requirements.txt` pins.
#[must_use]
pub fn pypi_version(server: &str) -> String {
    let path = crate::repository().join("testdata/real/requirements.txt");
    let text = std::fs::read_to_string(&path).expect("requirements.txt can be read");
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(server)?.strip_prefix("=="));
    found
        .unwrap_or_else(|| panic!("{} does not pin {server}", path.display()))
        .to_owned()
}

/// A path as text; every path in tests is UTF-8.
#[must_use]
pub fn path_text(path: &Path) -> String {
    path.to_str().expect("test paths are UTF-8").to_owned()
}

fn present(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "`{}` is missing; run `cargo xtask setup`",
        path.display()
    );
    path
}
