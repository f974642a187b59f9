//! Other policies while a session goes on: validated before, recorded with what they mean, then in force at once.

use std::sync::Arc;

use bailiwick_audit::Event;
use bailiwick_capability::Grant;
use bailiwick_policy::Pdp;

use crate::admit::admit_approved;
use crate::host::GateError;
use crate::note::Note;
use crate::plugin::Plugin;
use crate::record::lines;
use crate::session::Session;
use crate::wanting::Approved;
use crate::world::Source;

/// The most of a difference that the log tells, in lines.
const MAX_TOLD: usize = 64;

/// What becomes of one plugin under other policies.
struct Change {
    source: Arc<Source>,
    running: Option<Arc<Plugin>>,
    /// None where it cannot be loaded any more.
    grant: Option<Grant>,
}

impl Change {
    fn before(&self) -> Grant {
        self.running
            .as_ref()
            .map(|plugin| plugin.admitted.grant().clone())
            .unwrap_or_default()
    }

    fn after(&self) -> Grant {
        self.grant.clone().unwrap_or_default()
    }

    /// Whether it goes on as it is.
    fn is_none(&self) -> bool {
        self.running.is_some() == self.grant.is_some() && self.before() == self.after()
    }

    /// Who gains and loses what, a line each.
    fn told(&self) -> Vec<String> {
        let id = self.source.manifest.id();
        let (before, after) = (self.before(), self.after());
        let beyond = |one: &Grant, other: &Grant| {
            let more = one.atoms().iter().filter(|atom| !other.holds(atom));
            lines(&Grant::new(more.cloned()))
        };
        let mut told: Vec<String> = Vec::new();
        match (&self.running, &self.grant) {
            (Some(_), None) => told.push(format!("{id} is ended")),
            (None, Some(_)) => told.push(format!("{id} is started")),
            _ => {}
        }
        told.extend(
            beyond(&before, &after)
                .iter()
                .map(|atom| format!("{id} loses {atom}")),
        );
        told.extend(
            beyond(&after, &before)
                .iter()
                .map(|atom| format!("{id} gains {atom}")),
        );
        told
    }
}

impl Session {
    fn changes(&self, pdp: &Pdp) -> Vec<Change> {
        let (judge, shelf) = (&self.host.judge, self.shelf());
        let change = |source: &Arc<Source>| {
            let id = source.manifest.id().as_str();
            let running = shelf
                .plugins()
                .iter()
                .find(|plugin| plugin.id() == id)
                .cloned();
            let extra = running
                .as_ref()
                .map(|plugin| plugin.admitted.extra().clone())
                .unwrap_or_default();
            let then = judge.assess_under(pdp, &self.id, &self.agent, source, &extra);
            let grant = then
                .ok()
                .filter(|then| then.loadable())
                .map(|then| then.grant);
            Change {
                source: source.clone(),
                running,
                grant,
            }
        };
        self.sources().iter().map(change).collect()
    }

    /// Puts other policies in force: recorded with who gains and who loses what, then every call and every plugin is
    /// held to them. Gives what people may want to know, and whether the list of tools may have changed.
    ///
    /// # Errors
    /// What stops the gate.
    pub(crate) async fn reload(&self, pdp: Pdp, digest: &str) -> Result<Vec<Note>, GateError> {
        let changes = self.changes(&pdp);
        let told: Vec<String> = changes.iter().flat_map(Change::told).collect();
        self.host.policies_changed(digest, &told).await?;
        self.host.judge.pdp.replace(pdp.clone());
        self.rules.replace(pdp, self.shelf().plugins());
        let mut notes = Vec::new();
        // What is lost is lost before anything is gained.
        let (lost, others): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .filter(|change| !change.is_none())
            .partition(|change| change.running.is_some());
        for change in lost.into_iter().chain(others) {
            notes.extend(self.apply(change).await?);
        }
        Ok(notes)
    }

    async fn apply(&self, change: Change) -> Result<Vec<Note>, GateError> {
        let id = change.source.manifest.id().to_string();
        let (before, after) = (change.before(), change.after());
        let Some(plugin) = change.running else {
            return self.load(change.source).await;
        };
        self.take_off(&id, "policies changed").await?;
        if change.grant.is_some() && before.contains(&after) {
            let approved = Approved {
                source: change.source,
                grant: plugin.admitted.extra().clone(),
                token: plugin.admitted.token().clone(),
            };
            return match admit_approved(&self.host, &self.id, &self.agent, approved).await? {
                Ok(admitted) => self.put(admitted).await,
                Err(why) => Ok(vec![Note::new(&id, &format!("refused: {why}"))]),
            };
        }
        self.load(change.source).await
    }
}

impl crate::host::Host {
    /// Records that other policies are in force, before they are.
    ///
    /// # Errors
    /// The log's own.
    pub(crate) async fn policies_changed(
        &self,
        digest: &str,
        told: &[String],
    ) -> Result<(), GateError> {
        let mut reason: Vec<String> = told.iter().take(MAX_TOLD).cloned().collect();
        if told.len() > MAX_TOLD {
            reason.push(format!("and {} more", told.len() - MAX_TOLD));
        }
        if reason.is_empty() {
            reason.push("nobody gains or loses a capability".to_owned());
        }
        let event = Event::PolicyChange {
            policy_sha256: digest.to_owned(),
            loaded: true,
            reason: reason.join("\n"),
        };
        let nobody = bailiwick_audit::Subject::default();
        Ok(self.recorder.durable(&nobody, event).await?)
    }
}
