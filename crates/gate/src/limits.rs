//! How much a plugin may use.

use crate::world::Source;

/// The manifest's limits over the usual ones.
#[must_use]
pub fn limits(source: &Source) -> bailiwick_wall::Limits {
    let asked = &source.manifest.runtime().limits;
    let usual = bailiwick_wall::Limits::default();
    // A manifest is the plugin's own word: it may lower a bound, and ask for some more time, no more.
    bailiwick_wall::Limits {
        memory_bytes: asked
            .memory_bytes
            .map_or(usual.memory_bytes, |bytes| bytes.min(usual.memory_bytes)),
        processes: asked
            .processes
            .map_or(usual.processes, |count| count.min(usual.processes)),
        call: asked.call.map_or(usual.call, |time| time.min(MAX_CALL)),
        start: asked.start.map_or(usual.start, |time| time.min(MAX_CALL)),
        output_bytes: asked
            .output_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map_or(usual.output_bytes, |bytes| bytes.min(usual.output_bytes)),
        ..usual
    }
}

/// A slow tool may ask for more time than is usual, up to this.
const MAX_CALL: std::time::Duration = std::time::Duration::from_secs(600);
