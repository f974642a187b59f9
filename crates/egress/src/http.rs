//! Requests that are decided one by one.

use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_capability::Host;
use bailiwick_wall::WallError;

use crate::context::Context;
use crate::replay::Replay;
use crate::rules::{Dialled, Rules};

/// Ends TLS and HTTP of one plugin.
pub(crate) struct Terminator {}

impl Terminator {
    /// With a certificate authority of its own where something is to be terminated.
    pub(crate) fn new(rules: &Rules) -> Result<Self, WallError> {
        let _ = rules;
        Ok(Self {})
    }

    /// Files that the plugin needs in order to trust it, by place inside.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        Vec::new()
    }

    /// Variables that the plugin needs in order to trust it, and the placeholders of its secrets.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Serves plain HTTP until the connection ends.
    pub(crate) async fn plain(&self, context: &Arc<Context>, stream: Replay, dialled: &Dialled) {
        let _ = stream;
        context.refuse(&format!("http://{}", dialled.shown()), "not served yet");
    }

    /// Serves TLS until the connection ends. `host` is the one of `dialled` that SNI named; the whole
    /// ClientHello is still to be read from `stream`.
    pub(crate) async fn tls(
        &self,
        context: &Arc<Context>,
        stream: Replay,
        dialled: &Dialled,
        host: &Host,
    ) {
        let _ = (stream, host);
        context.refuse(&format!("https://{}", dialled.shown()), "not served yet");
    }
}
