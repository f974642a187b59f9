//! Attackers on one side, real servers on the other.

mod leaks;
mod places;
mod refused;
mod streams;
mod support;
