//! The id of a plugin.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest plugin id, in bytes: ids become prefixes of tool names, which clients cut short.
pub const MAX_ID: usize = 64;

/// A plugin's id: lower-case letters, digits and single hyphens inside, 1 to 64 bytes.
///
/// No underscore, so that `id__tool` always splits in one way only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId(String);

/// Why a text is no plugin id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a plugin id: {why}")]
pub struct PluginIdError {
    shown: String,
    why: &'static str,
}

impl PluginId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginId {
    type Err = PluginIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why| {
            Err(PluginIdError {
                shown: text
                    .chars()
                    .take(MAX_ID)
                    .collect::<String>()
                    .escape_debug()
                    .to_string(),
                why,
            })
        };
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > MAX_ID {
            return refuse("it is longer than 64 characters");
        }
        if !text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return refuse("only a-z, 0-9 and `-` may be in it");
        }
        if text.starts_with('-') || text.ends_with('-') || text.contains("--") {
            return refuse("hyphens stand singly, between letters or digits");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PluginId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PluginId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
