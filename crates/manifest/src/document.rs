//! The manifest as an author writes it, for its JSON Schema. Editors complete and check by it; the gate reads with
//! places and says more.
