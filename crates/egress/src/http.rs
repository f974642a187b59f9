//! Requests that are decided one by one.
//!
//! TLS of the plugin's ends here, under a certificate of the session's own authority; each request is read
//! strictly, decided by the grant, written anew and sent over a verified connection of the host's.

mod answer;
mod body;
mod decide;
mod fields;
mod front;
mod guard;
mod head;
mod tasks;
#[cfg(test)]
mod tests;
mod upgrade;
mod upstream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_capability::{Host, Scheme};
use bailiwick_wall::WallError;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::front::Front;
use self::tasks::Tasks;
use self::upstream::Upstreams;
use crate::broker::{Broker, SecretUses};
use crate::ca::Authority;
use crate::context::Context;
use crate::replay::Replay;
use crate::rules::{Dialled, Rules};

pub use head::{Ambiguous, Framing, check as http_head};

/// Longest TLS handshake of the plugin's.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Requests of one plugin at once; each may cost a connection to the outside. Beyond it they wait.
const REQUESTS: usize = 256;

/// Ends TLS and HTTP of one plugin.
pub(crate) struct Terminator {
    authority: Option<Authority>,
    broker: Broker,
    upstreams: Upstreams,
    places: Arc<Semaphore>,
    /// Further authorities that the host trusts and the plugin is to trust, DER.
    trusted: Vec<Vec<u8>>,
}

impl Terminator {
    /// With a certificate authority of its own where something is to be terminated.
    pub(crate) fn new(
        rules: &Rules,
        uses: Option<Arc<dyn SecretUses>>,
        trusted: Vec<Vec<u8>>,
    ) -> Result<Self, WallError> {
        let authority = rules
            .may_terminate()
            .then(|| Authority::new(rules.scopes().map(|scope| scope.host())))
            .transpose()?;
        Ok(Self {
            authority,
            broker: Broker::new(rules.secrets(), uses),
            upstreams: Upstreams::default(),
            places: Arc::new(Semaphore::new(REQUESTS)),
            trusted,
        })
    }

    /// Files that the plugin needs in order to trust it, by place inside.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        crate::ca::files(self.authority.as_ref(), &self.trusted)
    }

    /// Variables that the plugin needs in order to trust it, and the placeholders of its secrets.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let mut env = crate::ca::env(self.authority.as_ref(), &self.trusted);
        env.extend(self.broker.env());
        env
    }

    /// Serves plain HTTP until the connection ends.
    pub(crate) async fn plain(&self, context: &Arc<Context>, stream: Replay, dialled: &Dialled) {
        let tasks = Tasks::default();
        let front = Front {
            context: Arc::clone(context),
            dialled: dialled.clone(),
            scheme: Scheme::Http,
            server: None,
            spawner: tasks.spawner(),
        };
        front.one(tasks, stream).await;
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
        let refuse = |reason: &str| context.refuse(&format!("https://{}", dialled.shown()), reason);
        let server = self
            .authority
            .as_ref()
            .map(|authority| authority.server(host));
        let Some(Ok(server)) = server else {
            return refuse("no certificate could be made for it");
        };
        let accepting = timeout(HANDSHAKE, TlsAcceptor::from(server).accept(stream));
        // A client that breaks off, as one does that trusts nobody of ours, is no denial.
        let Ok(Ok(stream)) = accepting.await else {
            return;
        };
        let session = stream.get_ref().1;
        // Read once more by the reader that decides: two readers of one ClientHello must agree (L5).
        let named = session.server_name().map(str::to_owned);
        if let Some(named) = named
            && Host::parse(&named).as_ref() != Ok(host)
        {
            return refuse("TLS was made for another name than the one that was decided");
        }
        let is_two = session.alpn_protocol() == Some(b"h2");
        let tasks = Tasks::default();
        let front = Front {
            context: Arc::clone(context),
            dialled: dialled.clone(),
            scheme: Scheme::Https,
            server: Some(host.clone()),
            spawner: tasks.spawner(),
        };
        if is_two {
            front.two(tasks, stream).await;
        } else {
            front.one(tasks, stream).await;
        }
    }
}
