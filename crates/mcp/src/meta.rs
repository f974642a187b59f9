//! `_meta`, the metadata of a message, and who is at the other end.

use serde_json::{Map, Value};

use crate::error::RpcError;
use crate::revision::Revision;

pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Takes out what MCP itself puts in: it describes one connection and is never forwarded to another.
pub(crate) fn strip_reserved(meta: &mut Map<String, Value>) {
    for key in [
        VERSION,
        CLIENT_INFO,
        CLIENT_CAPABILITIES,
        LOG_LEVEL,
        SERVER_INFO,
        SUBSCRIPTION,
    ] {
        meta.shift_remove(key);
    }
}

/// Takes `_meta` out of a result.
pub(crate) fn take(members: &mut Map<String, Value>) -> Result<Map<String, Value>, String> {
    match members.shift_remove("_meta") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(mut meta)) => {
            strip_reserved(&mut meta);
            Ok(meta)
        }
        Some(_) => Err("\"_meta\" is not an object".into()),
    }
}

/// Puts `_meta` into a result, if there is any.
pub(crate) fn put(members: &mut Map<String, Value>, meta: Map<String, Value>) {
    if !meta.is_empty() {
        members.insert("_meta".into(), Value::Object(meta));
    }
}

/// The name and version that a client or server gives itself: its claim, for display and logs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Implementation {
    /// Of the software.
    pub name: String,
    /// Of the software, in whatever form it likes.
    pub version: String,
    /// All other members (`title`, `icons`, `websiteUrl`, …).
    pub rest: Map<String, Value>,
}

impl Implementation {
    /// A name and a version and nothing else.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            rest: Map::new(),
        }
    }

    pub(crate) fn from_value(value: Value) -> Option<Self> {
        let Value::Object(mut rest) = value else {
            return None;
        };
        let (Some(Value::String(name)), Some(Value::String(version))) =
            (rest.shift_remove("name"), rest.shift_remove("version"))
        else {
            return None;
        };
        Some(Self {
            name,
            version,
            rest,
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("name".into(), self.name.as_str().into());
        members.insert("version".into(), self.version.as_str().into());
        members.extend(self.rest.clone());
        Value::Object(members)
    }
}

/// The agent's side of a request: of the whole connection before 2026-07-28, of this one request since.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// The revision of the request.
    pub revision: Revision,
    /// Who the client says it is.
    pub client: Option<Implementation>,
    /// The `ClientCapabilities` that it declared.
    pub capabilities: Map<String, Value>,
}

impl Peer {
    /// Whether the client declared this capability (`elicitation`, `sampling`, …).
    #[must_use]
    pub fn has_capability(&self, name: &str) -> bool {
        self.capabilities.get(name).is_some_and(Value::is_object)
    }

    /// Whether its user can be asked with a form.
    #[must_use]
    pub fn takes_forms(&self) -> bool {
        let declared = self
            .capabilities
            .get("elicitation")
            .and_then(Value::as_object);
        declared.is_some_and(|modes| modes.is_empty() || modes.contains_key("form"))
    }

    /// Reads the metadata of a 2026-07-28 request; `None` when the request carries no version, as older ones do.
    ///
    /// # Errors
    /// `-32602` for missing or malformed keys, `-32022` for another version.
    pub(crate) fn from_meta(meta: &Map<String, Value>) -> Result<Option<Self>, RpcError> {
        let Some(version) = meta.get(VERSION) else {
            return Ok(None);
        };
        let Some(version) = version.as_str() else {
            return Err(RpcError::invalid_params(format!(
                "_meta[\"{VERSION}\"] must be a text"
            )));
        };
        let Some(revision) = Revision::parse(version).filter(|revision| revision.is_modern())
        else {
            return Err(RpcError::unsupported_version(version, &[Revision::MODERN]));
        };
        let Some(Value::Object(capabilities)) = meta.get(CLIENT_CAPABILITIES) else {
            return Err(RpcError::invalid_params(format!(
                "_meta[\"{CLIENT_CAPABILITIES}\"] must be an object"
            )));
        };
        let client = match meta.get(CLIENT_INFO) {
            None => None,
            Some(info) => Some(Implementation::from_value(info.clone()).ok_or_else(|| {
                RpcError::invalid_params(format!(
                    "_meta[\"{CLIENT_INFO}\"] must hold the texts \"name\" and \"version\""
                ))
            })?),
        };
        Ok(Some(Self {
            revision,
            client,
            capabilities: capabilities.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(meta: Value) -> Result<Option<Peer>, RpcError> {
        Peer::from_meta(meta.as_object().unwrap())
    }

    #[test]
    fn the_metadata_of_a_modern_request_is_required() {
        assert_eq!(read(json!({"progressToken": 1})), Ok(None));
        let peer = read(json!({VERSION: "2026-07-28", CLIENT_INFO: {"name": "a", "version": "1", "title": "A"}, CLIENT_CAPABILITIES: {"elicitation": {}}}))
            .unwrap()
            .unwrap();
        assert!(peer.has_capability("elicitation") && !peer.has_capability("sampling"));
        assert_eq!(
            peer.client.unwrap().to_value(),
            json!({"name": "a", "version": "1", "title": "A"})
        );
        for (meta, code) in [
            (json!({VERSION: 7}), crate::INVALID_PARAMS),
            (json!({VERSION: "2026-07-28"}), crate::INVALID_PARAMS),
            (
                json!({VERSION: "2026-07-28", CLIENT_CAPABILITIES: []}),
                crate::INVALID_PARAMS,
            ),
            (
                json!({VERSION: "2026-07-28", CLIENT_CAPABILITIES: {}, CLIENT_INFO: {"name": "a"}}),
                crate::INVALID_PARAMS,
            ),
            (
                json!({VERSION: "2025-11-25", CLIENT_CAPABILITIES: {}}),
                crate::UNSUPPORTED_VERSION,
            ),
            (json!({VERSION: "2099-01-01"}), crate::UNSUPPORTED_VERSION),
        ] {
            assert_eq!(read(meta.clone()).unwrap_err().code, code, "{meta}");
        }
    }
}
