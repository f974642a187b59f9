//! What is revoked. Where the list is kept, and who acts on it, is the caller's.

use std::collections::HashMap;

use crate::Verified;

/// What a revocation is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// Every token with a block of this id, 64 bytes: the token, and what was made of it.
    Id(Vec<u8>),
    /// Every token of this session.
    Session(String),
    /// Every token of this plugin that was minted by then.
    Plugin(String),
    /// Every token of this user that was minted by then.
    User(String),
}

impl Revoked {
    /// As written in lists and on the command line: `id`, `session`, `plugin`, `user`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Session(_) => "session",
            Self::Plugin(_) => "plugin",
            Self::User(_) => "user",
        }
    }

    /// Its name; an id in hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Id(id) => hex::encode(id),
            Self::Session(name) | Self::Plugin(name) | Self::User(name) => name.clone(),
        }
    }

    /// The reverse of [`Revoked::kind`] and [`Revoked::name`].
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn new(kind: &str, name: &str) -> Result<Self, String> {
        match kind {
            "id" => match hex::decode(name) {
                Ok(id) if id.len() == 64 => Ok(Self::Id(id)),
                _ => Err(format!(
                    "`{name}` is no revocation id: 128 hexadecimal digits, as `token inspect` shows them"
                )),
            },
            _ if name.is_empty() => Err(format!("a {kind} without a name")),
            "session" => Ok(Self::Session(name.to_owned())),
            "plugin" => Ok(Self::Plugin(name.to_owned())),
            "user" => Ok(Self::User(name.to_owned())),
            _ => Err(format!(
                "`{kind}` cannot be revoked: an id, a session, a plugin or a user can"
            )),
        }
    }
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Of what.
    pub what: Revoked,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Why, for people.
    pub reason: String,
}

/// A list of revocations, ready to be asked: one look-up for each name of a token, whatever its length.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    ids: HashMap<Vec<u8>, String>,
    sessions: HashMap<String, String>,
    /// With the latest time: what was minted by then is revoked.
    plugins: HashMap<String, (i64, String)>,
    users: HashMap<String, (i64, String)>,
}

impl Revocations {
    /// Takes one more up.
    pub fn add(&mut self, revocation: Revocation) {
        let Revocation { what, at, reason } = revocation;
        match what {
            Revoked::Id(id) => {
                self.ids.insert(id, reason);
            }
            Revoked::Session(name) => {
                self.sessions.insert(name, reason);
            }
            Revoked::Plugin(name) => latest(&mut self.plugins, name, at, reason),
            Revoked::User(name) => latest(&mut self.users, name, at, reason),
        }
    }

    /// Why a token is revoked, if it is.
    #[must_use]
    pub fn revokes(&self, verified: &Verified) -> Option<&str> {
        let claims = verified.claims();
        let by_id = || {
            let ids = verified.revocation_ids().iter();
            ids.filter_map(|id| self.ids.get(id)).next()
        };
        let reason = self
            .sessions
            .get(&claims.session)
            .or_else(|| minted_by(&self.plugins, &claims.plugin, claims.issued))
            .or_else(|| minted_by(&self.users, &claims.user, claims.issued))
            .or_else(by_id);
        reason.map(String::as_str)
    }

    /// How many names are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len() + self.sessions.len() + self.plugins.len() + self.users.len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn latest(list: &mut HashMap<String, (i64, String)>, name: String, at: i64, reason: String) {
    let entry = list.entry(name).or_insert_with(|| (at, reason.clone()));
    if at >= entry.0 {
        *entry = (at, reason);
    }
}

fn minted_by<'a>(
    list: &'a HashMap<String, (i64, String)>,
    name: &str,
    issued: i64,
) -> Option<&'a String> {
    let (at, reason) = list.get(name)?;
    (issued <= *at).then_some(reason)
}
