//! Reading what may be anything: plain files only, and never more of them than they may hold.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use bailiwick_tlog::{HASH_BYTES, Hash, MAX_ENTRY_BYTES, TILE_WIDTH, TileKind, leaf_hash};

use crate::layout::tile_path;

/// A full bundle of the longest entries, each behind its length.
pub(crate) const MAX_BUNDLE_BYTES: u64 = TILE_WIDTH * (MAX_ENTRY_BYTES as u64 + 2);
/// A full hash tile.
pub(crate) const MAX_TILE_BYTES: u64 = TILE_WIDTH * HASH_BYTES as u64;
/// A journal segment: a bundle's entries and openings, and a seal after each of them, many times over.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 4 * MAX_BUNDLE_BYTES;

/// What became of reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// All of it is in the buffer.
    Whole,
    /// There is no such file.
    Missing,
    /// It is no plain file, is too long, or cannot be read.
    Bad(String),
}

/// Reads a file into `into`, whose memory is used again. A link or a pipe in the place of a file is not followed nor
/// waited for: what it leads to can be another thing tomorrow.
pub(crate) fn fetch(path: &Path, limit: u64, into: &mut Vec<u8>) -> Fetched {
    into.clear();
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Fetched::Missing,
        Err(error) => {
            let is_link = path
                .symlink_metadata()
                .is_ok_and(|meta| meta.file_type().is_symlink());
            return Fetched::Bad(if is_link {
                "a link stands in the place of the file".to_owned()
            } else {
                error.to_string()
            });
        }
    };
    match file.metadata() {
        Ok(meta) if !meta.is_file() => return Fetched::Bad("it is no plain file".to_owned()),
        Ok(meta) if meta.len() > limit => {
            return Fetched::Bad(format!(
                "it has {} bytes, and can have {limit} at most",
                meta.len()
            ));
        }
        Ok(_) => {}
        Err(error) => return Fetched::Bad(error.to_string()),
    }
    match (&file).take(limit).read_to_end(into) {
        Ok(_) => Fetched::Whole,
        Err(error) => Fetched::Bad(error.to_string()),
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK,
    );
    options.open(path)
}

/// The path of a tile below the log's folder.
pub(crate) fn tile_name(kind: TileKind, index: u64, width: u64) -> String {
    tile_path(kind, index, usize::try_from(width).unwrap_or(usize::MAX))
        .map(|tile| tile.to_string())
        .unwrap_or_default()
}

/// Hashes the entries of a bundle as far as it can be split, and says whether it ends inside an entry.
pub(crate) fn split_bundle(
    mut bytes: &[u8],
    found: &mut Vec<Hash>,
    mut each: impl FnMut(usize, &[u8]),
) -> bool {
    found.clear();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, rest)) = rest.split_at_checked(length) else {
            break;
        };
        each(found.len(), entry);
        found.push(leaf_hash(entry));
        bytes = rest;
    }
    !bytes.is_empty()
}

/// Whether the bytes of a tile are these hashes.
pub(crate) fn is_tile_of(bytes: &[u8], hashes: &[Hash]) -> bool {
    let (stored, rest) = bytes.as_chunks::<HASH_BYTES>();
    rest.is_empty()
        && stored.len() == hashes.len()
        && stored
            .iter()
            .zip(hashes)
            .all(|(stored, hash)| *stored == hash.0)
}

/// The hashes of a tile, as many whole ones as there are.
pub(crate) fn hashes_of(bytes: &[u8]) -> Vec<Hash> {
    let (stored, _) = bytes.as_chunks::<HASH_BYTES>();
    stored.iter().map(|hash| Hash(*hash)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_the_right_size_are_read() {
        let dir = tempfile::tempdir().expect("folder");
        let path = |name: &str| dir.path().join(name);
        let mut buffer = Vec::new();
        std::fs::write(path("file"), b"12345678").expect("writes");
        assert_eq!(fetch(&path("file"), 8, &mut buffer), Fetched::Whole);
        assert_eq!(buffer, b"12345678");
        let Fetched::Bad(why) = fetch(&path("file"), 7, &mut buffer) else {
            unreachable!("too long");
        };
        assert_eq!(why, "it has 8 bytes, and can have 7 at most");
        assert_eq!(fetch(&path("none"), 8, &mut buffer), Fetched::Missing);
        assert!(matches!(fetch(dir.path(), 8, &mut buffer), Fetched::Bad(_)));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("file"), path("link")).expect("links");
            let Fetched::Bad(why) = fetch(&path("link"), 8, &mut buffer) else {
                unreachable!("a link");
            };
            assert!(why.contains("link"), "{why}");
        }
    }

    #[test]
    fn a_bundle_is_split_as_far_as_it_goes() {
        let mut found = Vec::new();
        let mut seen = Vec::new();
        let cut = split_bundle(b"\0\x02ab\0\x00\0\x05x", &mut found, |at, entry| {
            seen.push((at, entry.to_vec()));
        });
        assert!(cut);
        assert_eq!(seen, [(0, b"ab".to_vec()), (1, Vec::new())]);
        assert_eq!(found, [leaf_hash(b"ab"), leaf_hash(b"")]);
        assert!(!split_bundle(b"", &mut found, |_, _| {}));
        assert!(found.is_empty());
    }
}
