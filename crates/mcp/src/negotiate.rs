//! Which revision a plugin speaks: the probe of the 2026-07-28 revision, and the older handshake.

use serde_json::{Map, Value};

use crate::client::{ClientOptions, Negotiation};
use crate::error::{
    HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, McpError, RpcError, UNSUPPORTED_VERSION,
};
use crate::link::{Link, OnDrop, stamp};
use crate::message::notification_line;
use crate::meta::{self, Implementation};
use crate::revision::Revision;
use crate::text::excerpt;

const DISCOVER: &str = "server/discover";
const INITIALIZE: &str = "initialize";

/// What was agreed with a plugin.
#[derive(Debug, Clone)]
pub(crate) struct Agreed {
    pub(crate) revision: Revision,
    pub(crate) server: Option<Implementation>,
    pub(crate) capabilities: Map<String, Value>,
    pub(crate) instructions: Option<String>,
    metadata: Option<Map<String, Value>>,
}

impl Agreed {
    /// Adds what the revision wants in the `_meta` of each request.
    pub(crate) fn stamp(&self, params: &mut Map<String, Value>) {
        if let Some(metadata) = &self.metadata {
            stamp(params, metadata);
        }
    }
}

/// What the probe says about the plugin.
enum Probe {
    Modern(Box<Agreed>),
    /// Speaks an older revision; the one to ask for.
    Legacy(Revision),
}

pub(crate) async fn agree(link: &Link, options: &ClientOptions) -> Result<Agreed, McpError> {
    let agreed = match options.negotiation {
        Negotiation::Legacy => initialize(link, options, Revision::LEGACY).await,
        Negotiation::Modern => match probe(link, options).await? {
            Probe::Modern(agreed) => Ok(*agreed),
            Probe::Legacy(revision) => Err(no_common(options, revision.as_str())),
        },
        Negotiation::Auto => automatic(link, options).await,
    }?;
    // Only set here, so that the receiving side judges by the older tables until it is known.
    let _ = link.revision.set(agreed.revision);
    Ok(agreed)
}

async fn automatic(link: &Link, options: &ClientOptions) -> Result<Agreed, McpError> {
    let result = match probe(link, options).await {
        Ok(Probe::Modern(agreed)) => return Ok(*agreed),
        Ok(Probe::Legacy(revision)) => initialize(link, options, revision).await,
        Err(error) => Err(error),
    };
    result.map_err(|error| match error {
        McpError::PluginGone { reason } => McpError::GoneOnProbe { reason },
        error => error,
    })
}

async fn probe(link: &Link, options: &ClientOptions) -> Result<Probe, McpError> {
    let metadata = metadata(options);
    let mut params = Map::new();
    stamp(&mut params, &metadata);
    let answer = link
        .request(DISCOVER, params, options.probe_timeout, OnDrop::Forget)
        .await;
    match answer {
        Ok(answer) => Ok(read_discovery(answer, metadata, options)?
            .map_or(Probe::Legacy(Revision::LEGACY), |probe| probe)),
        Err(McpError::Refused { error, .. }) if error.code == UNSUPPORTED_VERSION => {
            let named = error
                .data_member("supported")
                .map(versions)
                .unwrap_or_default();
            best_legacy(&named, options)
                .map(Probe::Legacy)
                .ok_or_else(|| no_common(options, &list(&named)))
        }
        // These exist in the new revision only, and asking in the old way would not mend what they say.
        Err(
            error @ McpError::Refused {
                error:
                    RpcError {
                        code: HEADER_MISMATCH | MISSING_CLIENT_CAPABILITY,
                        ..
                    },
                ..
            },
        ) => Err(error),
        Err(
            McpError::Refused { .. }
            | McpError::TimedOut { .. }
            | McpError::BadAnswer { .. }
            | McpError::Unreadable(_),
        ) => Ok(Probe::Legacy(Revision::LEGACY)),
        Err(error) => Err(error),
    }
}

/// `None` when the answer is not a discovery at all, as from a server that answers anything with something.
fn read_discovery(
    mut answer: Map<String, Value>,
    metadata: Map<String, Value>,
    options: &ClientOptions,
) -> Result<Option<Probe>, McpError> {
    let Some(named) = answer
        .get("supportedVersions")
        .map(versions)
        .filter(|named| !named.is_empty())
    else {
        return Ok(None);
    };
    if !named
        .iter()
        .any(|version| version == Revision::MODERN.as_str())
    {
        let legacy =
            best_legacy(&named, options).ok_or_else(|| no_common(options, &list(&named)))?;
        return Ok(Some(Probe::Legacy(legacy)));
    }
    let server = answer
        .get_mut("_meta")
        .and_then(Value::as_object_mut)
        .and_then(|meta| meta.shift_remove(meta::SERVER_INFO));
    let (capabilities, instructions) = declared(&mut answer, DISCOVER)?;
    Ok(Some(Probe::Modern(Box::new(Agreed {
        revision: Revision::MODERN,
        server: server.and_then(Implementation::from_value),
        capabilities,
        instructions,
        metadata: Some(metadata),
    }))))
}

async fn initialize(
    link: &Link,
    options: &ClientOptions,
    revision: Revision,
) -> Result<Agreed, McpError> {
    let bad = |why: String| McpError::BadAnswer {
        method: INITIALIZE,
        why,
    };
    let mut params = Map::new();
    params.insert("protocolVersion".into(), revision.as_str().into());
    params.insert(
        "capabilities".into(),
        Value::Object(options.capabilities.clone()),
    );
    params.insert("clientInfo".into(), options.info.to_value());
    let mut answer = link
        .request(INITIALIZE, params, options.request_timeout, OnDrop::Forget)
        .await?;
    let Some(Value::String(version)) = answer.shift_remove("protocolVersion") else {
        return Err(bad("it has no text \"protocolVersion\"".into()));
    };
    let revision = Revision::parse(&version)
        .filter(|revision| !revision.is_modern() && *revision >= options.oldest)
        .ok_or_else(|| no_common(options, &excerpt(&version)))?;
    let server = answer
        .shift_remove("serverInfo")
        .and_then(Implementation::from_value)
        .ok_or_else(|| bad("\"serverInfo\" must hold the texts \"name\" and \"version\"".into()))?;
    let (capabilities, instructions) = declared(&mut answer, INITIALIZE)?;
    let line = notification_line("notifications/initialized", &Map::new());
    let sent = tokio::time::timeout(options.request_timeout, link.outbox.send(line)).await;
    if !matches!(sent, Ok(Ok(()))) {
        return Err(McpError::PluginGone {
            reason: "it does not read its input".into(),
        });
    }
    Ok(Agreed {
        revision,
        server: Some(server),
        capabilities,
        instructions,
        metadata: None,
    })
}

fn declared(
    answer: &mut Map<String, Value>,
    method: &'static str,
) -> Result<(Map<String, Value>, Option<String>), McpError> {
    let Some(Value::Object(capabilities)) = answer.shift_remove("capabilities") else {
        return Err(McpError::BadAnswer {
            method,
            why: "it has no object \"capabilities\"".into(),
        });
    };
    match answer.shift_remove("instructions") {
        None | Some(Value::Null) => Ok((capabilities, None)),
        Some(Value::String(instructions)) => Ok((capabilities, Some(instructions))),
        Some(_) => Err(McpError::BadAnswer {
            method,
            why: "\"instructions\" is not a text".into(),
        }),
    }
}

fn metadata(options: &ClientOptions) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert(meta::VERSION.into(), Revision::MODERN.as_str().into());
    metadata.insert(meta::CLIENT_INFO.into(), options.info.to_value());
    metadata.insert(
        meta::CLIENT_CAPABILITIES.into(),
        Value::Object(options.capabilities.clone()),
    );
    metadata
}

/// At most 32 version identifiers that a plugin names.
fn versions(value: &Value) -> Vec<String> {
    let named = value.as_array().map(Vec::as_slice).unwrap_or_default();
    named
        .iter()
        .take(32)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn best_legacy(named: &[String], options: &ClientOptions) -> Option<Revision> {
    let known = named.iter().filter_map(|version| Revision::parse(version));
    known
        .filter(|revision| !revision.is_modern() && *revision >= options.oldest)
        .max()
}

fn list(named: &[String]) -> String {
    let shown: Vec<_> = named.iter().map(|version| excerpt(version)).collect();
    if shown.is_empty() {
        "none that it names".into()
    } else {
        shown.join(", ")
    }
}

fn no_common(options: &ClientOptions, theirs: &str) -> McpError {
    let ours: Vec<_> = Revision::ALL
        .into_iter()
        .filter(|revision| match options.negotiation {
            Negotiation::Auto => *revision >= options.oldest,
            Negotiation::Modern => revision.is_modern(),
            Negotiation::Legacy => !revision.is_modern() && *revision >= options.oldest,
        })
        .map(Revision::as_str)
        .collect();
    McpError::NoCommonRevision {
        ours: ours.join(", "),
        theirs: theirs.to_owned(),
    }
}
