//! From an accepted connection to what becomes of it.
