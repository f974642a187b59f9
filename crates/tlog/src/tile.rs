//! Tiles: 256-wide rows of hashes, and where they lie (C2SP tlog-tiles, "Merkle Tree").

use std::fmt;
use std::str::FromStr;

use crate::hash::{HASH_BYTES, Hash};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Highest tile level that a path can name.
const MAX_LEVEL: u8 = 63;

/// What a tile path points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes at this tile level; level 0 holds leaf hashes.
    Hashes(u8),
    /// An entry bundle.
    Entries,
}

/// The place of a tile or bundle below the log's prefix: `tile/0/x001/234`, `tile/entries/000.p/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Why something is not a tile or a tile's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The text is not the one way of writing a tile's path.
    #[error("{0:?} is not a tile path; one looks like tile/0/x001/234 or tile/entries/000.p/17")]
    Path(String),
    /// Level above 63, or width of 0 or above 256.
    #[error(
        "no tile has level {level} and width {width}: levels go to 63 and widths from 1 to 256"
    )]
    OutOfRange {
        /// Level asked for; 0 for bundles.
        level: u8,
        /// Width asked for.
        width: u16,
    },
    /// The bytes are not `width` hashes.
    #[error("a tile of width {width} has {expected} bytes, and this has {found}")]
    Length {
        /// Expected hashes.
        width: u16,
        /// Expected bytes.
        expected: usize,
        /// Found bytes.
        found: usize,
    },
}

impl TilePath {
    /// A tile or bundle of `width` hashes or entries (1 to 256) at `index` of its level.
    ///
    /// # Errors
    /// [`TileError::OutOfRange`].
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        let level = match kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        if level > MAX_LEVEL || width == 0 || u64::from(width) > TILE_WIDTH {
            return Err(TileError::OutOfRange { level, width });
        }
        Ok(Self { kind, index, width })
    }

    /// Hash tile or bundle.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Index within its level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes or entries, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether this is a full tile.
    #[must_use]
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The full tile at the same place, which may stand in for a partial one.
    #[must_use]
    pub fn full(&self) -> Self {
        Self {
            width: 256,
            ..*self
        }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (left, group) in groups.iter().enumerate().rev() {
            if left > 0 {
                write!(f, "x{group:03}/")?;
            } else {
                write!(f, "{group:03}")?;
            }
        }
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = parse_path(text).ok_or_else(|| TileError::Path(text.to_owned()))?;
        // One spelling only: what does not print as it was written is not a path.
        if parsed.to_string() == text {
            Ok(parsed)
        } else {
            Err(TileError::Path(text.to_owned()))
        }
    }
}

fn parse_path(text: &str) -> Option<TilePath> {
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = if level == "entries" {
        TileKind::Entries
    } else {
        TileKind::Hashes(level.parse().ok()?)
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| *width < 256)?),
        None => (rest, 256),
    };
    let mut number = 0_u64;
    for group in index.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 {
            return None;
        }
        number = number
            .checked_mul(1000)?
            .checked_add(digits.parse::<u16>().ok()?.into())?;
    }
    TilePath::new(kind, number, width).ok()
}

/// The bytes of a tile: its hashes, one after the other.
#[must_use]
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile of exactly `width`.
///
/// # Errors
/// [`TileError::Length`].
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let expected = usize::from(width) * HASH_BYTES;
    if bytes.len() != expected {
        return Err(TileError::Length {
            width,
            expected,
            found: bytes.len(),
        });
    }
    Ok(bytes
        .as_chunks::<HASH_BYTES>()
        .0
        .iter()
        .map(|hash| Hash(*hash))
        .collect())
}

/// Where the root of a perfect subtree is found: the tree over hashes `start .. start + count` of tile `index` of
/// `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeInTile {
    /// Tile level.
    pub level: u8,
    /// Tile index in that level.
    pub index: u64,
    /// First hash in the tile.
    pub start: usize,
    /// How many hashes, a power of two up to 128.
    pub count: usize,
}

/// Finds the tile that holds the perfect subtree over leaves `index << height .. (index + 1) << height`.
#[must_use]
pub fn node_in_tile(height: u32, index: u64) -> NodeInTile {
    let inside = height % 8;
    let first = index << inside;
    NodeInTile {
        level: u8::try_from(height / 8).unwrap_or(u8::MAX),
        index: first / TILE_WIDTH,
        start: usize::try_from(first % TILE_WIDTH).unwrap_or(0),
        count: 1 << inside,
    }
}

/// Every hash tile of a tree of `size` leaves, level by level, left to right; the last of a level may be partial.
pub fn tiles_of_tree(size: u64) -> impl Iterator<Item = TilePath> {
    (0..8_u8).flat_map(move |level| {
        let hashes = size >> (8 * u32::from(level));
        let tiles = hashes.div_ceil(TILE_WIDTH);
        (0..tiles).filter_map(move |index| {
            let width = (hashes - index * TILE_WIDTH).min(TILE_WIDTH);
            TilePath::new(TileKind::Hashes(level), index, u16::try_from(width).ok()?).ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let full = TilePath::new(TileKind::Hashes(0), 1_234_067, 256).expect("valid");
        assert_eq!(full.to_string(), "tile/0/x001/x234/067");
        let partial = TilePath::new(TileKind::Entries, 0, 17).expect("valid");
        assert_eq!(partial.to_string(), "tile/entries/000.p/17");
        assert_eq!(partial.full().to_string(), "tile/entries/000");
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "tile/00/000",
            "tile/64/000",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/067",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/017",
            "tile/0/000.p/",
            "tile/0/x001",
            "tile//000",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/+01",
            "tile/entries/000.p/1.p/1",
            "tile/-1/000",
            "tile/0/../000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert!(bad.parse::<TilePath>().is_err(), "{bad}");
        }
        assert!(TilePath::new(TileKind::Hashes(64), 0, 1).is_err());
        assert!(TilePath::new(TileKind::Entries, 0, 257).is_err());
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_that_the_specification_lists() {
        let tiles: Vec<_> = tiles_of_tree(70_000).collect();
        let count = |level, full| {
            tiles
                .iter()
                .filter(|t| t.kind() == TileKind::Hashes(level) && t.is_full() == full)
                .count()
        };
        assert_eq!(
            (count(0, true), count(0, false), count(1, true)),
            (273, 1, 1)
        );
        let partial = |level| {
            tiles
                .iter()
                .find(|t| t.kind() == TileKind::Hashes(level) && !t.is_full())
        };
        assert_eq!(partial(0).map(TilePath::width), Some(112));
        assert_eq!(partial(1).map(TilePath::width), Some(17));
        assert_eq!(partial(2).map(TilePath::width), Some(1));
        let widths: Vec<_> = tiles_of_tree(256).map(|t| t.to_string()).collect();
        assert_eq!(widths, ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(tiles_of_tree(0).count(), 0);
    }

    #[test]
    fn tiles_of_the_wrong_length_are_refused() {
        let bytes = encode_tile(&[Hash([1; 32]), Hash([2; 32])]);
        assert_eq!(decode_tile(&bytes, 2).expect("right").len(), 2);
        for (bytes, width) in [
            (&bytes[..63], 2),
            (&bytes[..], 1),
            (&bytes[..], 3),
            (&[][..], 1),
        ] {
            assert!(matches!(
                decode_tile(bytes, width),
                Err(TileError::Length { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_print(level in 0_u8..64, entries: bool, index: u64, width in 1_u16..=256) {
            let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
            let path = TilePath::new(kind, index, width).expect("in range");
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn any_text_parses_to_its_own_spelling_or_not_at_all(text in "tile/[0-9x/.pe]{0,20}") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
