//! Tokens that an agent's host narrowed for a task or a sub-agent: each gets a plugin of its own, behind a wall that is
//! built from no more than the token says.

use std::collections::HashMap;
use std::sync::Arc;

use bailiwick_audit::Event;
use bailiwick_token::Token;
use serde_json::{Map, Value};

use crate::admit::admit_approved;
use crate::host::GateError;
use crate::plugin::Plugin;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::wanting::Approved;

/// The member of a call's `_meta` that holds a narrowed token, in base64.
pub const TOKEN: &str = "bailiwick/token";
/// Plugins that run for narrowed tokens of one session at the same time.
const MAX_NARROWED: usize = 16;

/// Plugins by the digest of the token that they were started for.
pub(crate) type Narrowed = HashMap<String, Arc<Plugin>>;

/// The token that comes with a call.
///
/// # Errors
/// A member that is no text: whoever meant to narrow must not be given more.
pub(crate) fn token(meta: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    match meta.get(TOKEN) {
        None => Ok(None),
        Some(Value::String(token)) => Ok(Some(token.clone())),
        Some(_) => Err(refused(&format!("`{TOKEN}` is no text"))),
    }
}

fn refused(why: &str) -> Refusal {
    let mut refusal = Refusal::new(
        "token_refused",
        format!("the token of this call is refused: {}", crate::line(why)),
    );
    refusal.remedy = Some(
        "narrow a token that `serve --tokens FILE` wrote for this plugin and session".to_owned(),
    );
    refusal
}

impl Session {
    /// The plugin that a call goes to, if its grant still holds: the one of its token, where it comes with one.
    pub(crate) async fn own(
        &self,
        plugin: &Arc<Plugin>,
        token: Option<Result<String, Refusal>>,
    ) -> Result<Result<Arc<Plugin>, Refusal>, GateError> {
        let own = match token {
            None => plugin.clone(),
            Some(Err(refusal)) => return Ok(Err(refusal)),
            Some(Ok(token)) => match self.narrowed(plugin, &token).await? {
                Ok(narrowed) => narrowed,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        match own.admitted.holds(&self.host) {
            Ok(()) => Ok(Ok(own)),
            Err(lapse) => {
                own.lapse(&self.host, &lapse).await?;
                Ok(Err(Refusal::new(lapse.code(), lapse.to_string())))
            }
        }
    }

    /// The plugin that runs for a narrowed token of `plugin`'s; it is started where there is none.
    ///
    /// # Errors
    /// What stops the gate. A token that is refused is an `Ok(Err(refusal))`, and recorded.
    async fn narrowed(
        &self,
        plugin: &Arc<Plugin>,
        text: &str,
    ) -> Result<Result<Arc<Plugin>, Refusal>, GateError> {
        match self.start_narrowed(plugin, text).await? {
            Ok(narrowed) => Ok(Ok(narrowed)),
            Err(why) => {
                let reason = crate::line(&why);
                let event = Event::TokenRefused { id: None, reason };
                self.host
                    .recorder
                    .durable(&plugin.admitted.subject, event)
                    .await?;
                Ok(Err(refused(&why)))
            }
        }
    }

    async fn start_narrowed(
        &self,
        plugin: &Arc<Plugin>,
        text: &str,
    ) -> Result<Result<Arc<Plugin>, String>, GateError> {
        let host = &self.host;
        let token = match Token::from_base64(text) {
            Ok(token) => token,
            Err(error) => return Ok(Err(error.to_string())),
        };
        // Verified at every call: it may have expired since.
        let verified = match plugin.admitted.verify(host, &token) {
            Ok(verified) => verified,
            Err(why) => return Ok(Err(why)),
        };
        if !plugin.admitted.grant().contains(verified.grant()) {
            return Ok(Err(
                "it allows more than the plugin was granted by now".to_owned()
            ));
        }
        let key = format!(
            "{} {}",
            plugin.id(),
            bailiwick_audit::sha256_hex(text.as_bytes())
        );
        let mut narrowed = self.narrowed.lock().await;
        if let Some(running) = narrowed.get(&key) {
            return Ok(Ok(running.clone()));
        }
        let lapsed = narrowed
            .extract_if(|_, one| one.admitted.holds(host).is_err())
            .collect::<Vec<_>>();
        for (_, one) in lapsed {
            if let Err(lapse) = one.admitted.holds(host) {
                one.lapse(host, &lapse).await?;
            }
        }
        if narrowed.len() >= MAX_NARROWED {
            return Ok(Err(format!(
                "{MAX_NARROWED} narrowed tokens are in use: let one expire, or revoke it"
            )));
        }
        let approved = Approved {
            source: plugin.admitted.source.clone(),
            grant: plugin.admitted.extra().clone(),
            token,
        };
        let admitted = match admit_approved(host, &self.id, &self.agent, approved).await? {
            Ok(admitted) => admitted,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let mut started = match Plugin::start(host, admitted).await? {
            Ok((started, _)) => started,
            Err(why) => return Ok(Err(why)),
        };
        // What was decided on is what the agent was shown.
        let same = |name: &String| plugin.tools.get(name).map(|bound| &bound.tool);
        started
            .tools
            .retain(|name, bound| same(name) == Some(&bound.tool));
        let started = Arc::new(started);
        narrowed.insert(key, started.clone());
        Ok(Ok(started))
    }

    /// Ends what runs for narrowed tokens of a plugin's; the next call starts it again under what holds then.
    ///
    /// # Errors
    /// What stops the gate.
    pub(crate) async fn end_narrowed(&self, id: &str, status: &str) -> Result<(), GateError> {
        let ended: Vec<_> = {
            let mut narrowed = self.narrowed.lock().await;
            narrowed.extract_if(|_, plugin| plugin.id() == id).collect()
        };
        for (_, plugin) in ended {
            plugin.stop(&self.host, status).await?;
        }
        Ok(())
    }

    /// Every plugin that runs, narrowed ones last.
    pub(crate) async fn running(&self) -> Vec<Arc<Plugin>> {
        let shelf = self.shelf();
        let narrowed = self.narrowed.lock().await;
        shelf
            .plugins()
            .iter()
            .chain(narrowed.values())
            .cloned()
            .collect()
    }
}
