//! GCC: its compilers proper, the assembler and the linker, headers, and libraries to link with.

use std::path::{Path, PathBuf};

use crate::error::RuntimeError;
use crate::start::Resolver;

/// Languages' compilers and what runs them; those that are installed are used.
const PARTS: [&str; 6] = ["cc1", "cc1plus", "collect2", "lto1", "lto-wrapper", "f951"];
/// What drivers start by name. `ld` is chosen by `-fuse-ld=`.
const TOOLS: [(&str, &str); 3] = [
    ("as", "the assembler"),
    ("ld", "the linker"),
    ("ld.gold", "the linker, chosen by -fuse-ld=gold"),
];
/// The names by which builds ask for the compiler.
const NAMES: [&str; 6] = ["cc", "gcc", "c++", "g++", "cpp", "c99"];

/// Is it a driver of GCC: `gcc`, `g++-12`, `x86_64-linux-gnu-gcc-12`?
pub(crate) fn is_compiler(name: &str) -> bool {
    let (stem, version) = split_version(name);
    let stem = stem.rsplit('-').next().unwrap_or(stem);
    ["gcc", "g++", "c++", "cc", "cpp", "gfortran"].contains(&stem)
        && version.is_none_or(|version| !version.is_empty())
}

/// `12` of `g++-12`.
fn split_version(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('-') {
        Some((stem, version))
            if version
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.') =>
        {
            (stem, Some(version))
        }
        _ => (name, None),
    }
}

pub(crate) fn add(
    resolver: &mut Resolver<'_>,
    real: &Path,
    name: &str,
    prefix: &Path,
) -> Result<(), RuntimeError> {
    let bin = real.parent().unwrap_or(prefix);
    let Some((triple, folders)) = homes(resolver, name, prefix) else {
        return Ok(());
    };
    for folder in folders {
        for part in PARTS {
            let part = folder.join(part);
            if resolver.look.is_file(&part) {
                resolver.add_module(&part)?;
            }
        }
        resolver.needs.run(
            folder,
            "the compiler proper, its headers and its own libraries",
        );
    }
    for (tool, why) in TOOLS {
        resolver.add_helper(&bin.join(tool), why)?;
    }
    for other in NAMES.map(|name| bin.join(name)) {
        if other != real && resolver.look.real(&other).is_ok_and(|found| found == real) {
            resolver
                .needs
                .run(other, "the compiler, under a name that builds use");
        }
    }
    for (folder, why) in [
        (prefix.join("include"), "headers"),
        (
            PathBuf::from("/usr/local/include"),
            "headers installed by hand",
        ),
        (prefix.join("lib").join(&triple), "libraries to link with"),
        (
            Path::new("/lib").join(&triple),
            "libraries to link with, under the name that they have for each other",
        ),
    ] {
        if !resolver.look.names(&folder).is_empty() {
            resolver.needs.read(folder, why);
        }
    }
    Ok(())
}

/// The triple that it compiles for, and its own folders for that version: below `lib`, where they exist also
/// below `libexec`.
fn homes(resolver: &Resolver<'_>, name: &str, prefix: &Path) -> Option<(String, Vec<PathBuf>)> {
    let (stem, version) = split_version(name);
    let below = prefix.join("lib/gcc");
    let triples = resolver.look.names(&below);
    let native = |triple: &&String| triple.starts_with(std::env::consts::ARCH);
    let triple = triples
        .iter()
        .find(|triple| stem.starts_with(&format!("{triple}-")))
        .or_else(|| triples.iter().find(native))?;
    let mut versions = resolver.look.names(&below.join(triple));
    versions.retain(|found| version.is_none_or(|wanted| wanted == found));
    let major = |version: &String| {
        version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok())
    };
    let version = versions.iter().max_by_key(|version| major(version))?;
    let folders = ["lib/gcc", "libexec/gcc"]
        .map(|folder| prefix.join(folder).join(triple).join(version))
        .into_iter()
        .filter(|folder| resolver.look.is_dir(folder))
        .collect();
    Some((triple.clone(), folders))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_told_from_other_programs() {
        for name in ["gcc", "cc", "g++-12", "x86_64-linux-gnu-gcc-12", "cpp"] {
            assert!(is_compiler(name), "{name}");
        }
        for name in [
            "gcc-ar",
            "x86_64-linux-gnu-gcc-ar-12",
            "tcc",
            "as",
            "gccgo",
            "-12",
        ] {
            assert!(!is_compiler(name), "{name}");
        }
    }
}
