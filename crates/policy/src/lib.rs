//! The policy decision point: Cedar lives here only.
