//! The JSON-RPC envelope: requests, notifications, and responses keyed by the request that they answer.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::RpcError;
use crate::json::{self, JsonError, JsonLimits};
use crate::text::excerpt;

/// The longest request id in text form that is accepted and repeated.
const ID_BYTES: usize = 512;

/// The id of a request: an integer or a text, never null.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RequestId {
    /// An integer.
    Number(i64),
    /// A text of at most 512 bytes.
    Text(String),
}

impl RequestId {
    /// The id that this JSON value is, if it is one.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_i64().map(Self::Number),
            Value::String(text) if text.len() <= ID_BYTES => Some(Self::Text(text.clone())),
            _ => None,
        }
    }

    /// The id as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => out.serialize_i64(*number),
            Self::Text(text) => out.serialize_str(text),
        }
    }
}

/// One message. Members of the envelope that JSON-RPC does not know are dropped; `params` and `result` are kept whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// Chosen by the sender, unique among its open requests.
        id: RequestId,
        /// Not yet looked up in any table.
        method: String,
        /// Empty when absent.
        params: Map<String, Value>,
    },
    /// Wants none.
    Notification {
        /// Not yet looked up in any table.
        method: String,
        /// Empty when absent.
        params: Map<String, Value>,
    },
    /// Answers the request of this id; `None` where the peer could not read the id.
    Response {
        /// Of the request.
        id: Option<RequestId>,
        /// The result, or the error.
        outcome: Result<Map<String, Value>, RpcError>,
    },
}

/// Why a line is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Longer than the transport allows. The line was skipped; the next one is read as usual.
    #[error("a line over the limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Not acceptable JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not a JSON-RPC 2.0 message as MCP has it.
    #[error("not a JSON-RPC message: {0}")]
    Envelope(String),
}

impl Message {
    /// Reads one message from one line.
    ///
    /// # Errors
    /// [`MessageError`]; batches (JSON arrays) are refused in every revision.
    pub fn parse(line: &[u8], limits: JsonLimits) -> Result<Self, MessageError> {
        match json::parse(line, limits)? {
            Value::Object(members) => Self::from_members(members).map_err(MessageError::Envelope),
            Value::Array(_) => Err(MessageError::Envelope(
                "batches are not supported, send one message a line".into(),
            )),
            _ => Err(MessageError::Envelope("a message is a JSON object".into())),
        }
    }

    fn from_members(mut members: Map<String, Value>) -> Result<Self, String> {
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err("\"jsonrpc\" must be \"2.0\"".into());
        }
        let id = match members.get("id") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(RequestId::from_value(value).ok_or(
                "\"id\" must be an integer of 64 bits or a text of at most 512 bytes",
            )?)),
        };
        let result = members.shift_remove("result");
        let error = members.shift_remove("error");
        match (members.shift_remove("method"), result, error) {
            (Some(Value::String(method)), None, None) => {
                let params = params(members.shift_remove("params"), &method)?;
                match id {
                    None => Ok(Self::Notification { method, params }),
                    Some(Some(id)) => Ok(Self::Request { id, method, params }),
                    Some(None) => Err("the id of a request is never null".into()),
                }
            }
            (None, Some(Value::Object(result)), None) => match id.flatten() {
                Some(id) => Ok(Self::Response {
                    id: Some(id),
                    outcome: Ok(result),
                }),
                None => Err("a result without the id of its request".into()),
            },
            (None, None, Some(error)) => Ok(Self::Response {
                id: id.flatten(),
                outcome: Err(RpcError::from_value(error)
                    .ok_or("\"error\" must hold an integer \"code\" and a text \"message\"")?),
            }),
            (None, Some(_), None) => Err("\"result\" must be an object".into()),
            (None, None, None) => {
                Err("it holds neither \"method\" nor \"result\" nor \"error\"".into())
            }
            (Some(_), None, None) => Err("\"method\" must be a text".into()),
            _ => Err("it holds more than one of \"method\", \"result\", \"error\"".into()),
        }
    }
}

fn params(value: Option<Value>, method: &str) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(params)) => Ok(params),
        Some(_) => Err(format!(
            "the params of {} must be an object",
            excerpt(method)
        )),
    }
}

/// The id of a line that is not a message, read leniently and only to tell the sender which request failed.
pub(crate) fn salvage_id(line: &[u8]) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Id {
        id: Option<Value>,
    }
    let found: Id = serde_json::from_slice(line).ok()?;
    RequestId::from_value(&found.id?)
}

#[derive(Serialize)]
struct RequestLine<'a> {
    jsonrpc: &'static str,
    id: i64,
    method: &'static str,
    params: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct NotificationLine<'a> {
    jsonrpc: &'static str,
    method: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    params: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct ResultLine<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    result: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    error: &'a RpcError,
}

/// One line with its line end. Writing JSON maps to memory cannot fail; an empty line would be skipped by the peer.
fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

pub(crate) fn request_line(id: i64, method: &'static str, params: &Map<String, Value>) -> Vec<u8> {
    line(&RequestLine {
        jsonrpc: "2.0",
        id,
        method,
        params,
    })
}

pub(crate) fn notification_line(method: &'static str, params: &Map<String, Value>) -> Vec<u8> {
    line(&NotificationLine {
        jsonrpc: "2.0",
        method,
        params,
    })
}

pub(crate) fn result_line(id: &RequestId, result: &Map<String, Value>) -> Vec<u8> {
    line(&ResultLine {
        jsonrpc: "2.0",
        id,
        result,
    })
}

/// `id` is absent where it could not be read: null in the older revisions, left out since 2026-07-28.
pub(crate) fn error_line(id: Option<Value>, error: &RpcError) -> Vec<u8> {
    line(&ErrorLine {
        jsonrpc: "2.0",
        id,
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Message, MessageError> {
        Message::parse(text.as_bytes(), JsonLimits::default())
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#),
            Ok(Message::Request { id: RequestId::Text(id), .. }) if id == "a"
        ));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","method":"x","params":{"a":1}}"#),
            Ok(Message::Notification { params, .. }) if params.len() == 1
        ));
        assert!(matches!(
            parse(r#"{"result":{},"jsonrpc":"2.0","id":7}"#),
            Ok(Message::Response {
                id: Some(RequestId::Number(7)),
                outcome: Ok(_)
            })
        ));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#),
            Ok(Message::Response {
                id: None,
                outcome: Err(_)
            })
        ));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            r#"[]"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            r#"7"#,
            r#"{}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"m"}}"#,
        ] {
            assert!(
                matches!(parse(text), Err(MessageError::Envelope(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn ids_are_short() {
        let with_id = |length: usize| {
            let id = "x".repeat(length);
            parse(&format!(
                r#"{{"jsonrpc":"2.0","id":"{id}","method":"ping"}}"#
            ))
        };
        assert!(with_id(512).is_ok());
        assert!(matches!(with_id(513), Err(MessageError::Envelope(_))));
    }

    #[test]
    fn l24_a_method_in_other_case_is_no_method() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"METHOD":"tools/call","paramſ":{}}"#,
            r#"{"JSONRPC":"2.0","id":1,"method":"tools/call"}"#,
        ] {
            assert!(
                matches!(parse(text), Err(MessageError::Envelope(_))),
                "{text}"
            );
        }
        let Ok(Message::Request { method, params, .. }) = parse(
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","Params":{"name":"x"},"paramſ":{"name":"y"}}"#,
        ) else {
            panic!("the exact members are read");
        };
        assert_eq!(method, "ping");
        assert!(params.is_empty());
    }

    #[test]
    fn an_id_can_be_salvaged_from_a_refused_line() {
        let line = br#"{"jsonrpc":"2.0","id":3,"result":{"a":1,"a":2}}"#;
        assert!(Message::parse(line, JsonLimits::default()).is_err());
        assert_eq!(salvage_id(line), Some(RequestId::Number(3)));
        assert_eq!(salvage_id(b"nonsense"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(text in "\\PC{0,120}", method in "[a-z/]{0,12}", id in any::<i64>()) {
            let _ = parse(&text);
            let _ = salvage_id(text.as_bytes());
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
            prop_assert!(parse(&line).is_ok());
        }
    }
}
