//! The key `audit.export`: where the log is sent on to.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// `ocsf`, `otlp`, `syslog` or `cef`.
    pub(crate) format: String,
    /// A file, or a URL.
    pub(crate) to: String,
    /// Headers of requests, each with where its value is kept.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, HeaderValue>,
}

/// Where the value of a header is kept: never in this file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HeaderValue {
    /// In this environment variable of the gate.
    pub(crate) env: Option<String>,
    /// In the store of secrets, under this name.
    pub(crate) secret: Option<String>,
    /// What stands before it, such as `Bearer `.
    pub(crate) prefix: String,
}
