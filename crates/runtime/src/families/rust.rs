//! Rust's toolchain: what rustup's names stand for, the compiler's sysroot, and its linker.

use std::path::{Path, PathBuf};

use crate::error::RuntimeError;
use crate::lookup;
use crate::settings::Settings;
use crate::start::Resolver;

const TOOLS: [&str; 7] = [
    "rustc",
    "cargo",
    "rustdoc",
    "rustfmt",
    "cargo-clippy",
    "clippy-driver",
    "cargo-fmt",
];
/// Folders that may hold rustup's own, beside cargo's.
const MANAGERS: [&str; 2] = [".rustup", "rustup"];

pub(crate) fn is_tool(name: &str) -> bool {
    TOOLS.contains(&name)
}

/// The toolchain's program behind one of rustup's names: the default toolchain's. rustup itself would also
/// look at the working directory, whose files are the plugin's to write, and might fetch what they name.
pub(crate) fn behind(
    program: &Path,
    real: &Path,
    _settings: &Settings,
) -> Result<Option<PathBuf>, RuntimeError> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if real.file_name().is_none_or(|real| real != "rustup") || !is_tool(&name) {
        return Ok(None);
    }
    let bad = |why: &str| RuntimeError::Program {
        path: program.to_owned(),
        why: format!(
            "{why}; hint: name the toolchain's own program, as `rustup which {name}` tells it"
        ),
    };
    let above = real.ancestors().nth(3).unwrap_or(Path::new("/"));
    let manager = MANAGERS
        .iter()
        .map(|folder| above.join(folder))
        .find(|folder| folder.join("settings.toml").is_file())
        .ok_or_else(|| bad("rustup's settings are not beside it"))?;
    let settings = std::fs::read_to_string(manager.join("settings.toml")).unwrap_or_default();
    let toolchain =
        default_toolchain(&settings).ok_or_else(|| bad("rustup has no default toolchain"))?;
    let found = manager
        .join("toolchains")
        .join(toolchain)
        .join("bin")
        .join(&*name);
    if lookup::is_program(&found) {
        return Ok(Some(found));
    }
    Err(bad("rustup's default toolchain does not hold it"))
}

/// `default_toolchain` of rustup's settings, as a plain folder name.
fn default_toolchain(settings: &str) -> Option<&str> {
    let value = settings
        .lines()
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("default_toolchain"))?;
    let name = value
        .trim()
        .strip_prefix('=')?
        .trim()
        .strip_prefix('"')?
        .strip_suffix('"')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (name.bytes().all(plain) && !name.starts_with('.') && !name.is_empty()).then_some(name)
}

pub(crate) fn add(
    resolver: &mut Resolver<'_>,
    name: &str,
    prefix: &Path,
) -> Result<(), RuntimeError> {
    let sysroot = prefix.join("lib/rustlib");
    if !resolver.look.is_dir(&sysroot) {
        return Ok(());
    }
    if name.starts_with("cargo") {
        for tool in TOOLS.iter().filter(|tool| **tool != name) {
            resolver.add_helper(&prefix.join("bin").join(tool), "what cargo starts")?;
        }
        return Ok(());
    }
    if matches!(name, "rustfmt") {
        return Ok(());
    }
    for target in resolver.look.names(&sysroot) {
        let target = sysroot.join(target);
        if resolver.look.is_dir(&target.join("lib")) {
            resolver
                .needs
                .run(target, "Rust's standard library and its own linker");
        }
    }
    match resolver.search("cc") {
        Some(linker) => resolver.add_helper(&linker, "by which rustc links"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_name_is_a_toolchain() {
        let of = |line: &str| default_toolchain(line).map(str::to_owned);
        assert_eq!(
            of("version = \"12\"\ndefault_toolchain = \"stable-x\"\n").as_deref(),
            Some("stable-x")
        );
        for line in [
            "",
            "default_toolchain = \"../x\"",
            "default_toolchain = \"/x\"",
            "[o]\ndefault_toolchain = \"x\"",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
