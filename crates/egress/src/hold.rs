//! What is said of each atom before anything starts.

use bailiwick_capability::{Grant, Granted};
use bailiwick_wall::Hold;

/// What becomes of an atom of `network_access` or `use_secret` inside `grant`; other kinds are refused.
pub fn hold(atom: &Granted, grant: &Grant) -> Hold {
    let _ = (atom, grant);
    Hold::Not {
        why: "not served here".to_owned(),
    }
}
