//! What the scenarios share: a world of their own, a client that speaks to a gate, and the log's promises.

mod gate;
mod log;
mod plugins;
mod world;

pub(crate) use gate::{Family, Gate, code, text, told};
pub(crate) use log::{index_of, kind};
pub(crate) use plugins::{PYTHON, Script, real_plugin, repository};
pub(crate) use world::{Ended, World, run, within};
