//! What is answered where a request is not passed on. Nothing here holds a secret or a policy's text.

use bailiwick_capability::Kind;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::body::Body;

/// Why a request has no answer of its destination.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    missing: Option<String>,
    reason: String,
}

impl Refusal {
    /// Something is not granted.
    pub(super) fn missing(kind: Kind, scope: &str, reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            error: "refused by bailiwick",
            missing: Some(format!("{}:{scope}", kind.as_str())),
            reason: reason.into(),
        }
    }

    /// The destination gave no answer that can be passed on.
    pub(super) fn bad_gateway(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            error: "no answer from the destination",
            missing: None,
            reason: reason.into(),
        }
    }

    /// As JSON: `error`, `reason`, and for a refusal `missing` and `hint`.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut told = serde_json::json!({ "error": self.error, "reason": self.reason });
        if let Some(missing) = self.missing
            && let Some(object) = told.as_object_mut()
        {
            object.insert("missing".into(), missing.into());
            let hint = "other ways to the same place are closed as well; a person can grant it";
            object.insert("hint".into(), hint.into());
        }
        let mut response = Response::new(Body::whole(told.to_string()));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}
