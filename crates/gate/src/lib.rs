//! The gate: discovers, decides, grants, seals, starts and mediates, over traits.
