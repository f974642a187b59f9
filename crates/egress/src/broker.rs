//! Secrets: put in on the way to where they are bound, taken out of what comes back.
//!
//! The plugin holds a placeholder. In a request to a bound destination, in a bound place, the value takes
//! its stead; anywhere else the request is refused. Every answer of such a destination is searched for
//! the values, however it spells them.

mod body;
mod decode;
mod needles;
mod places;
mod scrub;
mod spelling;

use std::pin::Pin;
use std::sync::Arc;

use bailiwick_capability::{Capability, Kind, NetScope, Scope};
use bailiwick_wall::Secret;
use http::request::Parts;

pub(crate) use self::body::{Answer, Found, Watch, fields as clean_fields};
pub(crate) use self::decode::Decoder;
use self::needles::Needles;
use self::places::{Form, Used};
use self::scrub::Scrubbed;

/// Longest body in which a field is looked for, in bytes: it is held in memory as a whole.
pub(crate) const MAX_FORM: usize = 1 << 20;

/// The answer of [`SecretUses::about_to_use`].
pub type MayUse<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Told of each use of a secret before the first byte of its value leaves.
pub trait SecretUses: Send + Sync {
    /// The value of `secret` is about to go to `destination`, as `scheme://host[:port]`. The request waits;
    /// an error, which is a sentence for the operator, refuses it.
    fn about_to_use<'a>(&'a self, secret: &'a str, destination: &'a str) -> MayUse<'a>;
}

/// Why a request with a placeholder was refused; text for the plugin and the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misused {
    /// The secret's name.
    pub(crate) secret: String,
    /// A sentence without any value.
    pub(crate) why: String,
}

/// What the broker knows of one plugin's secrets.
pub(crate) struct Broker {
    secrets: Vec<Secret>,
    uses: Option<Arc<dyn SecretUses>>,
    placeholders: Arc<Needles>,
    scrubbed: Arc<Scrubbed>,
}

impl Broker {
    pub(crate) fn new(secrets: &[Secret], uses: Option<Arc<dyn SecretUses>>) -> Self {
        let pairs = secrets
            .iter()
            .map(|secret| (secret.value.expose(), secret.placeholder.as_str()));
        let placeholders = secrets.iter().map(|secret| secret.placeholder.as_bytes());
        Self {
            placeholders: Arc::new(Needles::new(placeholders)),
            scrubbed: Arc::new(Scrubbed::new(pairs)),
            secrets: secrets.to_vec(),
            uses,
        }
    }

    /// Whether the plugin has no secrets.
    pub(crate) fn is_idle(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The variables by which the plugin finds its placeholders.
    pub(crate) fn env(&self) -> impl Iterator<Item = (String, String)> {
        self.secrets
            .iter()
            .map(|secret| (secret.binding.variable.clone(), secret.placeholder.clone()))
    }

    /// Whether a secret may go anywhere on a destination: then every answer of it is searched, because
    /// what one request brings there another may fetch.
    pub(crate) fn guards(&self, destination: &NetScope) -> bool {
        self.secrets
            .iter()
            .flat_map(|secret| &secret.binding.to)
            .any(|to| meets(to, destination))
    }

    /// What searches answers.
    pub(crate) fn scrubbed(&self) -> &Arc<Scrubbed> {
        &self.scrubbed
    }

    /// What searches request bodies for placeholders.
    pub(crate) fn placeholders(&self) -> &Arc<Needles> {
        &self.placeholders
    }

    /// The name of a secret by its number.
    pub(crate) fn name(&self, number: usize) -> &str {
        self.secrets
            .get(number)
            .map_or("", |secret| secret.name.as_str())
    }

    fn bound(&self, point: &NetScope) -> Vec<&Secret> {
        let here = |secret: &&Secret| secret.binding.to.iter().any(|to| covers(to, point));
        self.secrets.iter().filter(here).collect()
    }

    /// Whether the body of a request is to be held, so that a field of it can be filled.
    pub(crate) fn wants_body(&self, point: &NetScope, parts: &Parts) -> bool {
        let is_field =
            |place: &bailiwick_wall::Place| matches!(place, bailiwick_wall::Place::Field(_));
        let mut bound = self.bound(point).into_iter();
        bound.any(|secret| secret.binding.places.iter().any(is_field)) && form(parts).is_some()
    }

    /// Puts values in where placeholders may stand. `body` is the whole body, where it is held.
    /// Answers the new body where a field of it was filled.
    ///
    /// # Errors
    /// A placeholder that stands elsewhere; a use that the host does not allow.
    pub(crate) async fn fill(
        &self,
        point: &NetScope,
        parts: &mut Parts,
        body: Option<&[u8]>,
        destination: &str,
    ) -> Result<Option<Vec<u8>>, Misused> {
        let bound = self.bound(point);
        let mut used = Used::new();
        places::fill_head(parts, &bound, &mut used);
        let filled = body
            .zip(form(parts))
            .and_then(|(body, form)| places::fill_body(form, body, &bound, &mut used));
        self.nothing_left(parts, filled.as_deref().map(Vec::as_slice).or(body))?;
        for secret in &used {
            self.about_to_use(secret, destination).await?;
        }
        Ok(filled.map(|filled| filled.to_vec()))
    }

    async fn about_to_use(&self, secret: &str, destination: &str) -> Result<(), Misused> {
        let misused = |why: &str| Misused {
            secret: secret.to_owned(),
            why: why.to_owned(),
        };
        let uses = self
            .uses
            .as_ref()
            .ok_or_else(|| misused("nobody records its use"))?;
        let allowed = uses.about_to_use(secret, destination).await;
        allowed.map_err(|why| misused(&format!("its use was not allowed: {why}")))
    }

    /// A placeholder that is left stands where it may not.
    fn nothing_left(&self, parts: &Parts, body: Option<&[u8]>) -> Result<(), Misused> {
        let target = parts
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str());
        let fields = parts
            .headers
            .iter()
            .flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
        for text in [target.as_bytes()].into_iter().chain(fields).chain(body) {
            self.nothing_in(text)?;
        }
        Ok(())
    }

    fn nothing_in(&self, text: &[u8]) -> Result<(), Misused> {
        match self.placeholders.find(text) {
            Ok(None) => Ok(()),
            Ok(Some(number)) => Err(misplaced(self.name(number))),
            Err(lost) => Err(Misused {
                secret: String::new(),
                why: lost.to_string(),
            }),
        }
    }
}

/// A placeholder stands where its secret may not go.
pub(crate) fn misplaced(secret: &str) -> Misused {
    Misused {
        secret: secret.to_owned(),
        why: "it may not go to this destination, or not in this place of a request".to_owned(),
    }
}

fn form(parts: &Parts) -> Option<Form> {
    if parts.headers.contains_key(http::header::CONTENT_ENCODING) {
        return None;
    }
    Form::of(parts.headers.get(http::header::CONTENT_TYPE))
}

fn capability(scope: &NetScope) -> Option<Capability> {
    Capability::new(Kind::NetworkAccess, Scope::Net(scope.clone())).ok()
}

fn covers(to: &NetScope, point: &NetScope) -> bool {
    capability(to)
        .zip(capability(point))
        .is_some_and(|(to, point)| to.contains(&point))
}

fn meets(to: &NetScope, whole: &NetScope) -> bool {
    capability(to)
        .zip(capability(whole))
        .is_some_and(|(to, whole)| to.meet(&whole).is_some())
}
