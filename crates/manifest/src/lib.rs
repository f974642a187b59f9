//! A plugin's manifest: bytes in, typed and checked out, every part with its place in the source; no I/O.
//!
//! [`Manifest::parse`] reads YAML or JSON and reports all problems at once, each with line, column and help.
//! A manifest only *asks*: nothing here decides or grants. `docs/manifest.md` explains the format for authors,
//! `json_schema` describes it for editors.

mod argument;
mod component;
mod digest;
mod document;
mod error;
mod identity;
mod json;
mod manifest;
mod order;
mod parts;
mod read;
mod source;
mod suggest;
mod tree;
mod units;
mod yaml;

pub use argument::{ArgumentPath, Segment};
pub use component::{ComponentError, MAX_COMPONENT_BYTES, SECTION, embed};
pub use document::{SCHEMA_ID, json_schema};
pub use error::{MAX_PROBLEMS, ManifestError, ManifestErrors};
pub use identity::{MAX_ID, PluginId, PluginIdError};
pub use manifest::Manifest;
pub use order::load_order;
pub use parts::{
    Atom, Binding, Creates, Dependency, Limits, Necessity, Need, Runtime, Start, Tool,
};
pub use read::to_json;
pub use source::{Source, Span, Spanned};
pub use tree::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
pub use units::{size, time};
