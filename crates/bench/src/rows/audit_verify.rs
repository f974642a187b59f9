//! Verification of a log on one core, against reading its bundles and hashing each once.
//!
//! The rates in the name are by the processor time of the one thread that verifies, so that whatever else the machine
//! does meanwhile is not counted; the times in the row are by the clock on the wall.

use std::path::Path;

use bailiwick_audit::{read_verifier_key, verify};
use bailiwick_tlog::{TILE_WIDTH, TileKind, TilePath, leaf_hash};

use super::Effort;
use crate::Outcome;
use crate::forge;
use crate::sample::{Row, Side, Spread, compare};

const ENTRIES: u64 = 200_000;
const QUICK: u64 = 20_000;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let entries = if effort.quick { QUICK } else { ENTRIES };
    let folder = tempfile::tempdir()?;
    let bytes = forge::log(folder.path(), entries)?;
    let key = read_verifier_key(folder.path())?;
    let mut busy = Vec::new();
    let mut sides = [
        Side::new("verify", || {
            let before = processor_nanos()?;
            let verified =
                verify(folder.path(), &key, None).map_err(|report| report.to_string())?;
            busy.push(processor_nanos()? - before);
            if verified.sealed == entries {
                Ok(())
            } else {
                Err("not all entries were verified".into())
            }
        }),
        Side::new("read and SHA-256", || read(folder.path(), entries)),
    ];
    let mut rows = compare("", effort.plan(10, 1), &mut sides)?;
    drop(sides);
    let each = entries as f64 / (Spread::of(&busy).median / 1e9);
    for row in &mut rows {
        row.name = format!(
            "audit verify, {entries} entries of {bytes} B: {:.0} MB/s, {:.0} entries/s of a core",
            each * bytes as f64 / 1e6,
            each
        );
    }
    Ok(rows)
}

/// Nanoseconds that this thread has run (proc(5), `schedstat`).
fn processor_nanos() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no schedstat")?.parse()?)
}

fn read(dir: &Path, entries: u64) -> Outcome {
    for index in 0..entries.div_ceil(TILE_WIDTH) {
        let width = u16::try_from((entries - index * TILE_WIDTH).min(TILE_WIDTH))?;
        let tile = TilePath::new(TileKind::Entries, index, width)?;
        std::hint::black_box(leaf_hash(&std::fs::read(dir.join(tile.to_string()))?));
    }
    Ok(())
}
