//! A plugin's manifest: bytes to typed atoms with source positions, and its JSON Schema.
