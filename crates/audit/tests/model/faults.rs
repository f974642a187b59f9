//! Errors of the disk, one at a time.
