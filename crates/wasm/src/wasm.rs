//! The wall itself: one engine, and from bytes and a grant to a plugin.

use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_capability::{Grant, Kind};
use bailiwick_wall::{Limits, PrivateNames, Report, Resolve, Wall, WallError};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::bounds::Ticker;
use crate::files::FileWorld;
use crate::http::Outside;
use crate::imports::Imports;
use crate::link::linker;
use crate::plugin::{Plugin, World};
use crate::report::{WALL, report};
use crate::tools::tools;

/// Largest component, in bytes: a whole Python interpreter takes 18 MB.
const MAX_COMPONENT: usize = 64 << 20;
/// Stack of a guest, in bytes.
const MAX_STACK: usize = 1 << 20;

/// The Wasm wall.
#[derive(Clone)]
pub struct Wasm {
    engine: Engine,
    ticker: Ticker,
    outside: Outside,
}

impl Wasm {
    /// Builds the engine. Compiled code is kept in `cache` where one is given.
    /// # Errors
    /// [`WallError::Unsupported`] where this machine cannot run wasm, [`WallError::Build`] for a cache that is
    /// not this user's alone.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, WallError> {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .max_wasm_stack(MAX_STACK)
            .wasm_backtrace_max_frames(None);
        if let Some(cache) = cache {
            config.cache(Some(crate::cache::open(&cache)?));
        }
        let engine = Engine::new(&config).map_err(|error| unsupported(&error))?;
        let ticker = Ticker::start(&engine).map_err(|error| WallError::Build {
            what: "starting the wasm epoch thread".into(),
            why: error.to_string(),
        })?;
        let outside = Outside::new().map_err(|error| unsupported(&error))?;
        Ok(Self {
            engine,
            ticker,
            outside,
        })
    }

    /// Looks names up by `resolver` instead of the machine's own.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.outside.resolver = resolver;
        self
    }

    /// Lets these names lead to private addresses, where a grant names them literally.
    #[must_use]
    pub fn with_private_names(mut self, private: PrivateNames) -> Self {
        self.outside.private = private;
        self
    }

    /// Trusts exactly these certificate authorities for `https`, instead of the public ones.
    /// # Errors
    /// [`WallError::Build`] for what is no certificate authority.
    pub fn with_authorities(
        mut self,
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, WallError> {
        let wrong = |error: &dyn std::fmt::Display| WallError::Build {
            what: "reading the certificate authorities".into(),
            why: error.to_string(),
        };
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|error| wrong(&error))?;
        }
        self.outside.tls = Outside::trusting(roots).map_err(|error| wrong(&error))?;
        Ok(self)
    }

    /// Compares the imports with the grant, compiles, and links exactly what was granted. `env` holds the
    /// values of variables; only granted names reach the component. Runs nothing of the component.
    /// # Errors
    /// [`WallError::Refused`] for atoms that this wall cannot hold, [`WallError::Plugin`] for imports that the
    /// grant does not cover and for bytes that are no usable component, [`WallError::Build`] for granted
    /// directories that cannot be opened.
    pub fn load(
        &self,
        bytes: &[u8],
        grant: &Grant,
        env: Vec<(String, String)>,
        limits: &Limits,
    ) -> Result<Plugin, WallError> {
        let refused: Vec<_> = self.report(grant).refused().cloned().collect();
        if !refused.is_empty() {
            return Err(WallError::Refused(refused));
        }
        if bytes.len() > MAX_COMPONENT {
            return Err(WallError::Plugin(format!(
                "the component is larger than {MAX_COMPONENT} bytes"
            )));
        }
        let uncovered = Imports::read(bytes)?.refused_by(grant);
        if !uncovered.is_empty() {
            return Err(WallError::Plugin(uncovered.join("; ")));
        }
        let grant = Arc::new(grant.clone());
        let files = Arc::new(FileWorld::open(&grant, limits.file_bytes)?);
        let component = Component::from_binary(&self.engine, bytes).map_err(|error| {
            WallError::Plugin(format!("the component does not compile: {error:#}"))
        })?;
        let tools = tools(&component)?;
        let pre = linker(&self.engine, &grant)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(|error| {
                WallError::Plugin(format!("the component cannot be linked: {error:#}"))
            })?;
        let env = env
            .into_iter()
            .filter(|(name, _)| may_know(&grant, name))
            .collect();
        let mut outside = self.outside.clone();
        outside.private = outside.private.granted_in(&grant);
        let world = World {
            grant,
            files,
            env,
            limits: limits.clone(),
            outside,
        };
        Ok(Plugin::new(pre, tools, world, self.ticker.clone()))
    }
}

fn may_know(grant: &Grant, name: &str) -> bool {
    bailiwick_capability::Capability::parse_scope(Kind::ReadEnvironment, name)
        .is_ok_and(|operation| !name.contains('*') && grant.permits(&operation))
}

fn unsupported(error: &dyn std::fmt::Display) -> WallError {
    WallError::Unsupported {
        wall: WALL,
        lacks: error.to_string(),
    }
}

impl Wall for Wasm {
    fn name(&self) -> &'static str {
        WALL
    }

    fn report(&self, grant: &Grant) -> Report {
        report(grant)
    }
}
