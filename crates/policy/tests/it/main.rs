//! What the decision point promises, tested from outside.

mod calls;
mod defaults;
mod docs;
mod load;
mod network;
mod oracle;
mod partial;
mod support;
