//! What lies in a log's folder: names only, one folder at a time, so that a folder of any size can be looked through.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use bailiwick_tlog::{Checkpoint, TILE_WIDTH, TileKind, TilePath};

use super::rollback::is_newer;
use crate::key::{SIGNING_KEY_FILE, VERIFIER_KEY_FILE};
use crate::layout::{
    CHECKPOINT_FILE, COSIGNED_FILE, JOURNAL_DIR, LOCK_FILE, PRIVATE_DIR, TILE_DIR, segment_path,
    tile_end,
};
use crate::report::{Report, Tampering};

/// `tile/entries/x…` for the largest index has nine parts.
const MAX_DEPTH: usize = 12;
/// As many strange names are told; the rest are counted.
const MAX_NAMED: usize = 100;
/// What a crash leaves of a file that was being written, or of a segment that was being cut.
const LEFT: [&str; 2] = [".tmp", ".cut"];

/// What a log's folder holds beyond what the checkpoint says that it must.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The tile of the longest log.
    longest: Option<TilePath>,
    /// The last bundle that has a private file.
    last_private: Option<u64>,
    /// A tile that shows that the checkpoint was put back.
    newer: Option<TilePath>,
    /// Names in the log's own folders that no log has.
    pub(crate) strange: Vec<String>,
    pub(crate) more: u64,
    /// Names beside them that are none of a log's files; nobody reads those as part of it.
    pub(crate) beside: Vec<String>,
}

impl Inventory {
    /// Looks through the log's folder.
    pub(crate) fn scan(dir: &Path, checkpoint: &Checkpoint) -> std::io::Result<Self> {
        let mut found = Self::default();
        found.top(dir)?;
        let edge_gone = !edge_is_there(dir, checkpoint);
        walk(dir, TILE_DIR, 0, &mut |name, is_folder| {
            let Some(tile) = tile_of(name) else {
                // Folders are judged by what is in them.
                if !is_folder && !is_unfinished(name) {
                    found.strange(name);
                }
                return;
            };
            if is_folder {
                return found.strange(name);
            }
            if found
                .longest
                .is_none_or(|longest| tile_end(&longest) < tile_end(&tile))
            {
                found.longest = Some(tile);
            }
            let segment_gone = || !segment_path(dir, tile.index()).exists();
            if found.newer.is_none() && is_newer(&tile, checkpoint.size, edge_gone, &segment_gone) {
                found.newer = Some(tile);
            }
        })?;
        for folder in [JOURNAL_DIR, PRIVATE_DIR] {
            walk(dir, folder, MAX_DEPTH - 1, &mut |name, is_folder| {
                let number = number_in(name, folder).filter(|_| !is_folder);
                if folder == PRIVATE_DIR {
                    found.last_private = found.last_private.max(number);
                }
                if number.is_none() && (is_folder || !is_unfinished(name)) {
                    found.strange(name);
                }
            })?;
        }
        Ok(found)
    }

    /// The log's folder itself.
    fn top(&mut self, dir: &Path) -> std::io::Result<()> {
        for item in fs::read_dir(dir)? {
            let item = item?;
            let name = item.file_name().to_string_lossy().into_owned();
            let kind = item.file_type()?;
            match name.as_str() {
                TILE_DIR | JOURNAL_DIR | PRIVATE_DIR if kind.is_dir() => {}
                CHECKPOINT_FILE | COSIGNED_FILE | LOCK_FILE | VERIFIER_KEY_FILE
                | SIGNING_KEY_FILE
                    if kind.is_file() => {}
                TILE_DIR | JOURNAL_DIR | PRIVATE_DIR | CHECKPOINT_FILE | COSIGNED_FILE
                | LOCK_FILE | VERIFIER_KEY_FILE | SIGNING_KEY_FILE => self.strange(&name),
                _ if is_unfinished(&name) => {}
                _ if self.beside.len() < MAX_NAMED => self.beside.push(name),
                _ => {}
            }
        }
        self.beside.sort();
        Ok(())
    }

    fn strange(&mut self, name: &str) {
        if self.strange.len() < MAX_NAMED {
            self.strange.push(name.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// Says so when the checkpoint is an old one put back.
    pub(crate) fn put_back(&self, checkpoint: &Checkpoint) -> Option<String> {
        self.newer
            .map(|tile| super::rollback::says_newer(checkpoint.size, &tile))
    }

    /// Says so when there are tiles of more entries than the log has.
    pub(crate) fn beyond(&self, size: u64) -> Option<String> {
        let tile = self.longest.filter(|tile| tile_end(tile) > size)?;
        Some(super::rollback::says_beyond(size, &tile))
    }

    /// What no log of so many entries has.
    pub(crate) fn report(&mut self, size: u64) -> Report {
        let mut report = Report::new();
        if let Some(bundle) = self
            .last_private
            .filter(|bundle| *bundle >= size / TILE_WIDTH)
        {
            let detail = "it opens entries that the log does not have";
            let name = format!("{PRIVATE_DIR}/{bundle:012}");
            report.add(None, &name, Tampering::Strange, detail);
        }
        self.strange.sort();
        for name in &self.strange {
            let detail = "no log has such a file";
            report.add(None, name, Tampering::Strange, detail);
        }
        report.more += self.more;
        report
    }
}

fn tile_of(name: &str) -> Option<TilePath> {
    name.parse().ok()
}

fn is_unfinished(name: &str) -> bool {
    LEFT.iter().any(|left| name.ends_with(left))
}

fn number_in(name: &str, folder: &str) -> Option<u64> {
    let number = name.strip_prefix(folder)?.strip_prefix('/')?;
    let parsed = number.parse::<u64>().ok()?;
    (format!("{parsed:012}") == number).then_some(parsed)
}

/// Calls `each` with every name below `folder` of `dir`, and whether it is a folder.
pub(crate) fn walk(
    dir: &Path,
    folder: &str,
    depth: usize,
    each: &mut dyn FnMut(&str, bool),
) -> std::io::Result<()> {
    let path = dir.join(folder);
    // A link to a folder is not followed; `top` has named it.
    let listing = match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_dir() => fs::read_dir(&path),
        Ok(_) => return Ok(()),
        Err(error) => Err(error),
    };
    let listing = match listing {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for item in listing {
        let item = match item {
            Ok(item) => item,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let name = format!("{folder}/{}", item.file_name().to_string_lossy());
        let is_folder = item.file_type().is_ok_and(|kind| kind.is_dir());
        each(&name, is_folder);
        if is_folder && depth < MAX_DEPTH {
            walk(dir, &name, depth + 1, each)?;
        }
    }
    Ok(())
}

fn edge_is_there(dir: &Path, checkpoint: &Checkpoint) -> bool {
    let (index, width) = (checkpoint.size / TILE_WIDTH, checkpoint.size % TILE_WIDTH);
    let there = |kind| {
        let name = super::files::tile_name(kind, index, width);
        dir.join(name).symlink_metadata().is_ok()
    };
    width == 0 || there(TileKind::Entries) || there(TileKind::Hashes(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(number_in("journal/000000000007", "journal"), Some(7));
        for bad in [
            "journal/7",
            "journal/+00000000007",
            "journal/00000000000x",
            "journal/0000000000070",
            "journal/",
            "private/000000000007",
        ] {
            assert_eq!(number_in(bad, "journal"), None, "{bad}");
        }
    }
}
