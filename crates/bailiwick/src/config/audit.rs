//! The key `audit`: one word, or a map with more to say.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// How soon a tool call must be durable in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditMode {
    /// Written before it runs, durable within the commit window.
    #[default]
    Normal,
    /// Durable before it runs.
    Strict,
}

/// What is done with the log. `audit: strict` is short for `audit: {mode: strict}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) mode: AuditMode,
}

/// The keys of the map.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    mode: AuditMode,
}

impl From<Keys> for Audit {
    fn from(keys: Keys) -> Self {
        let Keys { mode } = keys;
        Self { mode }
    }
}

impl<'de> Deserialize<'de> for Audit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;
        impl<'de> Visitor<'de> for WordOrMap {
            type Value = Audit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "`normal`, `strict`, or a map of `mode` and what else is done with the log",
                )
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Audit, E> {
                let mode = match word {
                    "normal" => AuditMode::Normal,
                    "strict" => AuditMode::Strict,
                    other => return Err(E::unknown_variant(other, &["normal", "strict"])),
                };
                Ok(Audit {
                    mode,
                    ..Audit::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Audit, A::Error> {
                let keys =
                    Keys::deserialize(MapAccessDeserializer::new(map)).map_err(A::Error::custom)?;
                Ok(keys.into())
            }
        }
        deserializer.deserialize_any(WordOrMap)
    }
}
