//! Whether a granted atom was used, and whether that can be known.

use bailiwick_capability::Kind;

use crate::propose::leaves_a_trace;

/// What the uses of a granted atom come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It was used.
    Used,
    /// Its uses would have been told, and there was none.
    Unused,
    /// Its uses are told only while the plugin is watched, and it was not.
    NotWatched,
    /// Its uses are never told.
    NoTrace,
}

impl Standing {
    /// Of an atom of this kind that was used so often, and was granted in so many starts in which its uses were told.
    #[must_use]
    pub fn of(kind: Kind, uses: u64, told: u64) -> Self {
        match (uses, told) {
            (1.., _) => Self::Used,
            _ if !leaves_a_trace(kind) => Self::NoTrace,
            (0, 0) => Self::NotWatched,
            _ => Self::Unused,
        }
    }
}

/// Whether uses of this kind are told by a start that was watched, or not: secrets always pass by the gate.
#[must_use]
pub fn is_told(kind: Kind, watched: bool) -> bool {
    kind == Kind::UseSecret || (watched && leaves_a_trace(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_is_not_known_to_be_unused() {
        for (kind, uses, told, standing) in [
            (Kind::ReadFiles, 1, 0, Standing::Used),
            (Kind::ReadFiles, 0, 1, Standing::Unused),
            (Kind::ReadFiles, 0, 0, Standing::NotWatched),
            (Kind::ReadEnvironment, 0, 1, Standing::NoTrace),
        ] {
            assert_eq!(Standing::of(kind, uses, told), standing, "{kind:?}");
        }
        assert!(is_told(Kind::ReadFiles, true) && !is_told(Kind::ReadFiles, false));
        assert!(!is_told(Kind::ReadEnvironment, true));
        assert!(is_told(Kind::UseSecret, false));
    }
}
