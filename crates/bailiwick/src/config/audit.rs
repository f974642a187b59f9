//! The key `audit`: one word, or a map with more to say.

use std::fmt;
use std::path::PathBuf;

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

/// A witness that is asked to cosign the log's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessAt {
    /// Its submission prefix.
    pub(crate) url: String,
    /// Its key: `name+0123abcd+base64`, type 0x04.
    pub(crate) key: String,
}

/// A place where the log's checkpoints are published: exactly one of `file`, `url` and `git`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PublishTo {
    pub(crate) file: Option<PathBuf>,
    pub(crate) url: Option<String>,
    /// Of `url`: `put` or `post`.
    pub(crate) method: Option<PublishMethod>,
    pub(crate) git: Option<PathBuf>,
    /// Of `git`.
    pub(crate) branch: Option<String>,
}

/// How a checkpoint is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PublishMethod {
    Put,
    Post,
}

/// What is done with the log. `audit: strict` is short for `audit: {mode: strict}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, remote = "Self")]
pub(crate) struct Audit {
    pub(crate) mode: AuditMode,
    pub(crate) witnesses: Vec<WitnessAt>,
    /// How many of the witnesses have to cosign.
    pub(crate) at_least: usize,
    pub(crate) publish: Vec<PublishTo>,
    /// Where it is sent on to.
    pub(crate) export: Vec<super::Export>,
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
                // The derived reader of the map, as a function of its own.
                Audit::deserialize(MapAccessDeserializer::new(map)).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(WordOrMap)
    }
}
