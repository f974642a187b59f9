//! Lives of chance.
