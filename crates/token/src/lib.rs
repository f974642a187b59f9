//! The sealed grant: biscuit-auth lives here only.
