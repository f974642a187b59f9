//! Capability kinds, scopes and their lattice: pure, no I/O, no clock.
