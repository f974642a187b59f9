//! What a plugin says or asks besides answering.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::error::RpcError;
use crate::method::PluginRequest;

/// Hears what a plugin says outside its answers. The functions that are not `async` run on the reading task: they
/// must not block, and a plugin can call them as fast as it can write.
#[async_trait]
pub trait PluginEvents: Send + Sync {
    /// The plugin's list of tools may have changed.
    fn tools_list_changed(&self) {}

    /// A log message: `level`, `logger`, `data`. Text of the plugin.
    fn log(&self, _params: Map<String, Value>) {}

    /// Progress of a call: `progressToken`, `progress`, `total`, `message`.
    fn progress(&self, _params: Map<String, Value>) {}

    /// Something was dropped; for the operator, already made safe to show.
    fn note(&self, _note: &str) {}

    /// Whether [`request`](Self::request) is to be asked; what is not answered here is refused without asking.
    fn answers(&self, _request: PluginRequest) -> bool {
        false
    }

    /// Answers a request of the plugin (sampling, elicitation, roots). The declared client capabilities
    /// ([`ClientOptions`](crate::ClientOptions)) should say the same as [`answers`](Self::answers).
    ///
    /// # Errors
    /// What the plugin is told; the default refuses everything.
    async fn request(
        &self,
        _request: PluginRequest,
        _params: Map<String, Value>,
    ) -> Result<Map<String, Value>, RpcError> {
        Err(RpcError::new(
            crate::METHOD_NOT_FOUND,
            "this host does not answer such requests",
        ))
    }
}

/// Hears nothing and refuses everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl PluginEvents for NoEvents {}
