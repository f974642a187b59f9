//! What people are told of plugins.

/// What became of one plugin, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The plugin's id.
    pub plugin: String,
    /// A line for people, without anything that a terminal obeys.
    pub text: String,
}

impl Note {
    pub(crate) fn new(plugin: &str, text: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            text: crate::line(text),
        }
    }
}
