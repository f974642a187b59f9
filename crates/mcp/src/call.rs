//! A tool call and what comes of it.

use serde_json::{Map, Value};

use crate::content;
use crate::error::{McpError, RpcError};
use crate::meta;
use crate::revision::Revision;
use crate::text::excerpt;

/// The parameters of `tools/call`, as the gate authorises them and as they are sent on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolCall {
    /// Of the tool.
    pub name: String,
    /// Empty when the caller gave none.
    pub arguments: Map<String, Value>,
    /// `_meta` without what concerns one connection only: MCP's own keys and the progress token. Trace context stays.
    pub meta: Map<String, Value>,
    /// What the caller wants progress notifications to carry. [`Client`](crate::Client) never sends it: the token is
    /// unique on the caller's connection only, and nobody forwards the notifications yet.
    pub progress_token: Option<Value>,
    /// Other members, such as `inputResponses` and `requestState` of a repeated call.
    pub rest: Map<String, Value>,
}

impl ToolCall {
    /// A call with these arguments and nothing else.
    #[must_use]
    pub fn new(name: impl Into<String>, arguments: Map<String, Value>) -> Self {
        Self {
            name: name.into(),
            arguments,
            ..Self::default()
        }
    }

    /// Reads the params of a request. A `task` member is dropped, which MCP wants of a server without tasks.
    ///
    /// # Errors
    /// `-32602` that says what is wrong.
    pub fn from_params(mut params: Map<String, Value>) -> Result<Self, RpcError> {
        let Some(Value::String(name)) = params.shift_remove("name") else {
            return Err(RpcError::invalid_params("tools/call needs a text \"name\""));
        };
        let arguments = match params.shift_remove("arguments") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(RpcError::invalid_params("\"arguments\" must be an object")),
        };
        let mut meta = match params.shift_remove("_meta") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(meta)) => meta,
            Some(_) => return Err(RpcError::invalid_params("\"_meta\" must be an object")),
        };
        meta::strip_reserved(&mut meta);
        let progress_token = meta.shift_remove("progressToken");
        params.shift_remove("task");
        Ok(Self {
            name,
            arguments,
            meta,
            progress_token,
            rest: params,
        })
    }

    pub(crate) fn into_params(self) -> Map<String, Value> {
        let mut params = Map::new();
        params.insert("name".into(), self.name.into());
        params.insert("arguments".into(), Value::Object(self.arguments));
        let mut meta = self.meta;
        meta::strip_reserved(&mut meta);
        meta.shift_remove("progressToken");
        if !meta.is_empty() {
            params.insert("_meta".into(), Value::Object(meta));
        }
        params.extend(self.rest);
        params
    }
}

/// What a tool call ended in.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum CallOutcome {
    /// The tool has run, well or with an error of its own.
    Complete(CallToolResult),
    /// The tool wants to know something first (2026-07-28).
    InputRequired(InputRequired),
}

impl From<CallToolResult> for CallOutcome {
    fn from(result: CallToolResult) -> Self {
        Self::Complete(result)
    }
}

/// The result of a tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallToolResult {
    /// Content blocks, each checked to be of a known type.
    pub content: Vec<Value>,
    /// JSON for the output schema.
    pub structured_content: Option<Value>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// `_meta` without MCP's own keys.
    pub meta: Map<String, Value>,
    /// All other members, kept as they came.
    pub rest: Map<String, Value>,
}

/// A tool's questions, to be answered in a repetition of the call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputRequired {
    /// Requests by name; each an object with `method` and `params`.
    pub requests: Map<String, Value>,
    /// To be sent back unread with the answers.
    pub state: Option<String>,
    /// `_meta` without MCP's own keys.
    pub meta: Map<String, Value>,
    /// All other members.
    pub rest: Map<String, Value>,
}

impl CallToolResult {
    /// A success with one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![content::text(text)],
            ..Self::default()
        }
    }

    /// A tool error with a text for the model and, if any, JSON for machines.
    #[must_use]
    pub fn error(text: impl Into<String>, structured: Option<Value>) -> Self {
        Self {
            structured_content: structured,
            is_error: true,
            ..Self::text(text)
        }
    }

    /// All text blocks, one after the other.
    #[must_use]
    pub fn all_text(&self) -> String {
        let texts = self
            .content
            .iter()
            .filter_map(|block| block.get("text")?.as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    fn from_members(mut members: Map<String, Value>) -> Result<Self, String> {
        let structured_content = members.shift_remove("structuredContent");
        let content = match members.shift_remove("content") {
            Some(Value::Array(blocks)) => blocks,
            None if structured_content.is_some() => Vec::new(),
            _ => return Err("it has no list \"content\"".into()),
        };
        content.iter().try_for_each(content::check)?;
        let is_error = match members.shift_remove("isError") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_error)) => is_error,
            Some(_) => return Err("\"isError\" is not a boolean".into()),
        };
        Ok(Self {
            content,
            structured_content,
            is_error,
            meta: meta::take(&mut members)?,
            rest: members,
        })
    }

    fn into_members(mut self, revision: Revision) -> Map<String, Value> {
        let mut members = Map::new();
        if !revision.is_modern() {
            self.content = self
                .content
                .into_iter()
                .map(|block| content::for_revision(block, revision))
                .collect();
            let kept = revision >= Revision::V2025_06_18
                && self
                    .structured_content
                    .as_ref()
                    .is_none_or(Value::is_object);
            if !kept {
                let dropped = self.structured_content.take();
                if let Some(value) = dropped.filter(|_| self.content.is_empty()) {
                    self.content.push(content::text(value.to_string()));
                }
            }
        }
        members.insert("content".into(), Value::Array(self.content));
        if let Some(value) = self.structured_content {
            members.insert("structuredContent".into(), value);
        }
        if self.is_error {
            members.insert("isError".into(), true.into());
        }
        meta::put(&mut members, self.meta);
        members.extend(self.rest);
        members
    }
}

impl InputRequired {
    fn from_members(mut members: Map<String, Value>) -> Result<Self, String> {
        let requests = match members.shift_remove("inputRequests") {
            None => Map::new(),
            Some(Value::Object(requests)) => requests,
            Some(_) => return Err("\"inputRequests\" is not an object".into()),
        };
        for (name, request) in &requests {
            let method = request
                .get("method")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if !matches!(
                method,
                "elicitation/create" | "sampling/createMessage" | "roots/list"
            ) {
                return Err(format!(
                    "the input request {} has the unknown method {}",
                    excerpt(name),
                    excerpt(method)
                ));
            }
        }
        let state = match members.shift_remove("requestState") {
            None => None,
            Some(Value::String(state)) => Some(state),
            Some(_) => return Err("\"requestState\" is not a text".into()),
        };
        if requests.is_empty() && state.is_none() {
            return Err("it requires input but names none".into());
        }
        Ok(Self {
            requests,
            state,
            meta: meta::take(&mut members)?,
            rest: members,
        })
    }

    fn into_members(self) -> Map<String, Value> {
        let mut members = Map::new();
        if !self.requests.is_empty() {
            members.insert("inputRequests".into(), Value::Object(self.requests));
        }
        if let Some(state) = self.state {
            members.insert("requestState".into(), state.into());
        }
        meta::put(&mut members, self.meta);
        members.extend(self.rest);
        members
    }
}

impl CallOutcome {
    /// The result, where questions are no use to the caller.
    ///
    /// # Errors
    /// [`McpError::BadAnswer`] for [`CallOutcome::InputRequired`].
    pub fn complete(self) -> Result<CallToolResult, McpError> {
        match self {
            Self::Complete(result) => Ok(result),
            Self::InputRequired(_) => Err(McpError::BadAnswer {
                method: "tools/call",
                why: "it asks for input, which cannot be given here".into(),
            }),
        }
    }

    /// Reads the answer to `tools/call`: nothing else can come of it, whatever the plugin sends.
    pub(crate) fn from_members(
        mut members: Map<String, Value>,
        revision: Revision,
    ) -> Result<Self, String> {
        let kind = members
            .shift_remove("resultType")
            .filter(|_| revision.is_modern());
        match kind.as_ref().map(Value::as_str) {
            None | Some(Some("complete")) => {
                CallToolResult::from_members(members).map(Self::Complete)
            }
            Some(Some("input_required")) => {
                InputRequired::from_members(members).map(Self::InputRequired)
            }
            Some(other) => Err(format!(
                "unknown resultType {}",
                excerpt(other.unwrap_or_default())
            )),
        }
    }

    /// The answer to `tools/call` in a revision; `None` where the revision cannot express it.
    pub(crate) fn into_members(self, revision: Revision) -> Option<Map<String, Value>> {
        let (kind, mut members) = match self {
            Self::Complete(result) => ("complete", result.into_members(revision)),
            Self::InputRequired(_) if !revision.is_modern() => return None,
            Self::InputRequired(input) => ("input_required", input.into_members()),
        };
        members.shift_remove("resultType");
        if revision.is_modern() {
            members.insert("resultType".into(), kind.into());
        }
        Some(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn members(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn outcome(value: Value, revision: Revision) -> Result<CallOutcome, String> {
        CallOutcome::from_members(members(value), revision)
    }

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let wire = json!({
            "content": [{"type": "text", "text": "a", "x": {"y": 1}}], "structuredContent": [1], "isError": true,
            "_meta": {"com.example/a": 1}, "future": [null], "resultType": "complete"
        });
        let read = outcome(wire.clone(), Revision::MODERN).unwrap();
        assert_eq!(
            read.into_members(Revision::MODERN).map(Value::Object),
            Some(wire)
        );
        let params = json!({"name": "t", "arguments": {"a": 1.0}, "_meta": {"traceparent": "00-"}, "requestState": "s", "future": 1});
        let call = ToolCall::from_params(members(params.clone())).unwrap();
        assert_eq!(Value::Object(call.into_params()), params);
    }

    #[test]
    fn what_concerns_one_connection_stays_there() {
        let call = ToolCall::from_params(members(json!({
            "name": "t", "task": {"ttl": 1},
            "_meta": {"progressToken": 7, "io.modelcontextprotocol/protocolVersion": "2026-07-28", "a/b": 1}
        })))
        .unwrap();
        assert_eq!(call.progress_token, Some(json!(7)));
        assert_eq!(Value::Object(call.meta.clone()), json!({"a/b": 1}));
        assert!(call.rest.is_empty());
        let sent = Value::Object(call.into_params());
        assert_eq!(
            sent,
            json!({"name": "t", "arguments": {}, "_meta": {"a/b": 1}})
        );
    }

    #[test]
    fn answers_of_another_shape_are_refused() {
        for value in [
            json!({}),
            json!({"tools": []}),
            json!({"content": {}}),
            json!({"content": [{"type": "TEXT", "text": "a"}]}),
            json!({"content": [], "isError": "no"}),
            json!({"content": [], "_meta": 7}),
            json!({"content": [], "resultType": "Complete"}),
            json!({"content": [], "resultType": 7}),
            json!({"resultType": "input_required"}),
            json!({"resultType": "input_required", "inputRequests": {"a": {"method": "tools/call"}}}),
            json!({"resultType": "task", "task": {}}),
        ] {
            assert!(outcome(value.clone(), Revision::MODERN).is_err(), "{value}");
        }
    }

    #[test]
    fn result_types_belong_to_the_modern_revision() {
        let plain = outcome(
            json!({"content": [], "resultType": "input_required"}),
            Revision::LEGACY,
        )
        .unwrap();
        assert!(matches!(plain, CallOutcome::Complete(_)));
        assert!(
            !plain
                .clone()
                .into_members(Revision::LEGACY)
                .unwrap()
                .contains_key("resultType")
        );
        assert_eq!(
            plain.into_members(Revision::MODERN).unwrap()["resultType"],
            "complete"
        );
        let asking = outcome(
            json!({"resultType": "input_required", "requestState": "s"}),
            Revision::MODERN,
        )
        .unwrap();
        assert_eq!(asking.clone().into_members(Revision::LEGACY), None);
        assert!(asking.complete().is_err());
    }

    #[test]
    fn older_revisions_get_structured_content_that_they_can_read() {
        let result = CallToolResult {
            structured_content: Some(json!([1, 2])),
            ..CallToolResult::default()
        };
        let older = CallOutcome::from(result)
            .into_members(Revision::LEGACY)
            .unwrap();
        assert_eq!(
            Value::Object(older),
            json!({"content": [{"type": "text", "text": "[1,2]"}]})
        );
        let denied = CallToolResult::error("no", Some(json!({"denied": true})));
        assert_eq!(denied.all_text(), "no");
        let members = CallOutcome::from(denied)
            .into_members(Revision::LEGACY)
            .unwrap();
        assert_eq!(members["structuredContent"], json!({"denied": true}));
        assert_eq!(members["isError"], json!(true));
    }

    #[test]
    fn bad_call_params_are_refused() {
        for params in [
            json!({}),
            json!({"name": 1}),
            json!({"Name": "t"}),
            json!({"name": "t", "arguments": []}),
            json!({"name": "t", "_meta": 1}),
        ] {
            let error = ToolCall::from_params(members(params.clone())).unwrap_err();
            assert_eq!(error.code, crate::INVALID_PARAMS, "{params}");
        }
    }
}
