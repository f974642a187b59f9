//! A long log in seconds: bundles, tiles and a checkpoint, written without the writer.

use std::fs;
use std::path::Path;

use bailiwick_audit::{Checkpoint, Event, Log, Options, SIGNING_KEY_FILE, Subject, tail};
use bailiwick_tlog::{
    CompactRange, Hash, SigningKey, TILE_WIDTH, TileKind, TilePath, encode_entry, encode_tile,
    leaf_hash, tree_root,
};

use crate::Outcome;

/// What stands where each entry has a number of its own.
const NUMBER: &str = "00000000000000000017";

/// Whose entries are measured.
pub(crate) fn subject() -> Subject {
    Subject::session("0af7651916cd43dd8448eb211c80319c")
        .with_plugin("bench", "00".repeat(32))
        .with_agent("bench 1")
}

/// The result of a tool, the most frequent of all entries.
pub(crate) fn event() -> Event {
    Event::ToolResult {
        call: format!("0af7651916cd43dd8448eb211c80319c-{NUMBER}"),
        tool: "echo".to_owned(),
        bytes: 200,
        sha256: "00".repeat(32),
        is_error: false,
        millis: 3,
    }
}

/// Makes a closed log of so many entries in `dir`, and gives the bytes of an entry.
pub(crate) fn log(dir: &Path, entries: u64) -> Outcome<usize> {
    let empty = Log::open(dir, Options::default())?;
    empty.close()?;
    drop(empty);
    let text = fs::read_to_string(dir.join(SIGNING_KEY_FILE))?;
    let key = SigningKey::from_secret_text(text.trim_end())?;
    let sample = sample()?;
    let (head, end) = sample.split_once(NUMBER).ok_or("no number in the sample")?;

    let mut levels = Levels {
        dir,
        edges: Vec::new(),
    };
    let (mut bundle, mut hashes) = (Vec::new(), Vec::new());
    let mut entry = Vec::new();
    for index in 0..entries {
        entry.clear();
        entry.extend_from_slice(head.as_bytes());
        entry.extend_from_slice(format!("{index:020}").as_bytes());
        entry.extend_from_slice(end.as_bytes());
        encode_entry(&entry, &mut bundle)?;
        hashes.push(leaf_hash(&entry));
        if hashes.len() as u64 == TILE_WIDTH || index + 1 == entries {
            let path = TilePath::new(
                TileKind::Entries,
                index / TILE_WIDTH,
                u16::try_from(hashes.len())?,
            )?;
            put(dir, &path, &bundle)?;
            bundle.clear();
            levels.leaves(index / TILE_WIDTH, std::mem::take(&mut hashes))?;
        }
    }
    let range = levels.finish()?;
    let checkpoint = Checkpoint {
        origin: key.verifier().name().to_owned(),
        size: range.size(),
        root: range.root(),
    };
    fs::write(dir.join("checkpoint"), checkpoint.sign(&key)?)?;
    Ok(sample.len())
}

/// An entry as the writer writes it.
fn sample() -> Outcome<String> {
    let folder = tempfile::tempdir()?;
    let log = Log::open(folder.path(), Options::default())?;
    log.append_durable(&subject(), &event())?;
    let stored = tail(folder.path(), 1)?
        .pop()
        .ok_or("nothing was appended")?;
    Ok(String::from_utf8(stored.json.to_vec())?)
}

/// The partial tiles of each level, the leaves' first.
struct Levels<'a> {
    dir: &'a Path,
    edges: Vec<(u64, Vec<Hash>)>,
}

impl Levels<'_> {
    fn leaves(&mut self, index: u64, hashes: Vec<Hash>) -> Outcome {
        let (mut level, mut index, mut hashes) = (0_usize, index, hashes);
        loop {
            if self.edges.len() <= level {
                self.edges.push((0, Vec::new()));
            }
            if (hashes.len() as u64) < TILE_WIDTH {
                if let Some(edge) = self.edges.get_mut(level) {
                    *edge = (index, hashes);
                }
                return Ok(());
            }
            let kind = TileKind::Hashes(u8::try_from(level)?);
            put(
                self.dir,
                &TilePath::new(kind, index, 256)?,
                &encode_tile(&hashes),
            )?;
            let root = tree_root(&hashes);
            level += 1;
            if self.edges.len() <= level {
                self.edges.push((0, Vec::new()));
            }
            let edge = self.edges.get_mut(level).ok_or("no such level")?;
            edge.1.push(root);
            if (edge.1.len() as u64) < TILE_WIDTH {
                return Ok(());
            }
            (index, hashes) = (edge.0, std::mem::take(&mut edge.1));
            edge.0 += 1;
        }
    }

    fn finish(self) -> Outcome<CompactRange> {
        for (level, (index, hashes)) in (0_u8..).zip(&self.edges) {
            if !hashes.is_empty() {
                let width = u16::try_from(hashes.len())?;
                let path = TilePath::new(TileKind::Hashes(level), *index, width)?;
                put(self.dir, &path, &encode_tile(hashes))?;
            }
        }
        let edges: Vec<_> = self.edges.into_iter().map(|(_, hashes)| hashes).collect();
        Ok(CompactRange::from_edges(&edges))
    }
}

fn put(dir: &Path, tile: &TilePath, bytes: &[u8]) -> Outcome {
    let path = dir.join(tile.to_string());
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forged_is_a_log() {
        for entries in [0, 1, 256, 300, 70_000] {
            let folder = tempfile::tempdir().unwrap();
            log(folder.path(), entries).unwrap();
            let key = bailiwick_audit::read_verifier_key(folder.path()).unwrap();
            let verified = bailiwick_audit::verify(folder.path(), &key, None).unwrap();
            assert_eq!(verified.size, entries);
            // The writer goes on with it.
            let log = Log::open(folder.path(), Options::default()).unwrap();
            log.append_durable(&subject(), &event()).unwrap();
            log.close().unwrap();
            let verified = bailiwick_audit::verify(folder.path(), &key, None).unwrap();
            assert_eq!(verified.sealed, entries + 1);
        }
    }
}
