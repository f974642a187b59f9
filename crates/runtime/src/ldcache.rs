//! glibc's `/etc/ld.so.cache`: which library name is found at which path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// Bound on the file's size; the real one is below 1 MB.
const MAX_BYTES: u64 = 16 << 20;

/// Library names and every path that the cache gives for each, plain ones only: entries for special
/// processors (hwcaps) are an optimisation that loaders do without.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoaderCache {
    paths: BTreeMap<String, Vec<PathBuf>>,
}

impl LoaderCache {
    /// Reads the cache; an absent or unreadable one is empty, and libraries are then found by folder.
    pub(crate) fn read(path: &Path) -> Self {
        let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_BYTES);
        let bytes = if small {
            std::fs::read(path).unwrap_or_default()
        } else {
            Vec::new()
        };
        Self::parse(&bytes).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let start = bytes
            .windows(MAGIC.len())
            .position(|window| window == MAGIC)?;
        let table = bytes.get(start..)?;
        let count = usize::try_from(word(table, MAGIC.len())?).ok()?;
        let mut paths: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for index in 0..count {
            let at = HEADER.checked_add(index.checked_mul(ENTRY)?)?;
            let hwcap = u64::from(word(table, at + 16)?) | u64::from(word(table, at + 20)?) << 32;
            if hwcap != 0 {
                continue;
            }
            let (name, path) = (
                text(table, word(table, at + 4)?)?,
                text(table, word(table, at + 8)?)?,
            );
            paths.entry(name).or_default().push(PathBuf::from(path));
        }
        Some(Self { paths })
    }

    pub(crate) fn lookup(&self, name: &str) -> &[PathBuf] {
        self.paths.get(name).map_or(&[], Vec::as_slice)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

fn text(table: &[u8], offset: u32) -> Option<String> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_machines_own_cache_agrees_with_the_files() {
        let path = Path::new("/etc/ld.so.cache");
        if std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(MAGIC)) {
            let cache = LoaderCache::read(path);
            let found = cache.lookup("libc.so.6");
            assert!(found.iter().any(|path| path.exists()), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut file = MAGIC.to_vec();
            file.extend(bytes);
            let _ = LoaderCache::parse(&file);
        }
    }
}
