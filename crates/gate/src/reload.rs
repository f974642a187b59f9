//! Something else in force while a session goes on: policies, facts, plugins. Validated before, recorded with what it
//! means, then in force at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_audit::Event;
use bailiwick_capability::Grant;
use bailiwick_policy::Pdp;

use crate::admit::admit_approved;
use crate::host::{GateError, Ruling};
use crate::note::Note;
use crate::order::{Order, order};
use crate::plugin::Plugin;
use crate::record::lines;
use crate::rules::told;
use crate::session::Session;
use crate::wanting::Approved;
use crate::world::Source;

/// The most of a difference that the log tells, in lines.
const MAX_TOLD: usize = 64;

/// What takes the place of what is in force.
pub struct Reload {
    /// Policies, and the facts that they are asked with.
    pub ruling: Ruling,
    /// The plugins as they lie on disk now; none where they are what they were.
    pub sources: Option<Vec<Source>>,
}

/// What becomes of one plugin.
struct Change {
    id: String,
    /// As it lies on disk, if it may be loaded as far as other plugins are concerned; else why not.
    source: Result<Arc<Source>, String>,
    /// As it lay there before.
    was: Option<Arc<Source>>,
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

    /// Whether another plugin of its id lies there now.
    fn is_another(&self) -> bool {
        let now = self.source.as_ref().ok();
        now.map(|source| source.digest) != self.was.as_ref().map(|source| source.digest)
    }

    /// Whether it goes on as it is.
    fn is_none(&self) -> bool {
        self.running.is_some() == self.grant.is_some()
            && self.before() == self.after()
            && !self.is_another()
    }

    /// Who gains and loses what, a line each.
    fn told(&self) -> Vec<String> {
        let (id, before, after) = (&self.id, self.before(), self.after());
        let beyond = |one: &Grant, other: &Grant| {
            let more = one.atoms().iter().filter(|atom| !other.holds(atom));
            lines(&Grant::new(more.cloned()))
        };
        let mut told: Vec<String> = Vec::new();
        if let (Ok(now), Some(was), true) = (&self.source, &self.was, self.is_another()) {
            let (was, now) = (named(was), named(now));
            told.push(format!(
                "{id} is another plugin: it was {was}, and is {now}"
            ));
        }
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

fn named(source: &Source) -> String {
    format!(
        "{} sha256:{}",
        source.manifest.version(),
        source.digest_hex()
    )
}

impl Session {
    /// What becomes of each plugin, in the order in which they load; last, those that are not there any more.
    fn changes(&self, reload: &Reload, order: &Order) -> Vec<Change> {
        let were = self.sources();
        let mut changes = Vec::new();
        let mut will_run = BTreeSet::new();
        for source in &order.load {
            let change = self.change(reload, &were, source, &will_run);
            if change.grant.is_some() {
                will_run.insert(change.id.clone());
            }
            changes.push(change);
        }
        let is_named = |source: &Source, id: &str| source.manifest.id().as_str() == id;
        let is_there = |id: &str| order.load.iter().any(|source| is_named(source, id));
        for was in were
            .iter()
            .filter(|was| !is_there(was.manifest.id().as_str()))
        {
            let id = was.manifest.id().as_str();
            let why = order
                .refused
                .iter()
                .find(|(source, _)| is_named(source, id));
            changes.push(Change {
                id: id.to_owned(),
                source: Err(why.map_or_else(
                    || "it is not there any more".to_owned(),
                    |(_, why)| why.clone(),
                )),
                was: Some(was.clone()),
                running: self.running_as(id),
                grant: None,
            });
        }
        changes
    }

    /// The plugins in the order in which they load from now on.
    fn order_of(&self, reload: &Reload) -> Order {
        match &reload.sources {
            Some(sources) => order(sources.clone()),
            None => Order {
                load: self.sources(),
                refused: Vec::new(),
            },
        }
    }

    fn change(
        &self,
        reload: &Reload,
        were: &[Arc<Source>],
        source: &Arc<Source>,
        will_run: &BTreeSet<String>,
    ) -> Change {
        let id = source.manifest.id().as_str();
        let was = were.iter().find(|was| was.manifest.id().as_str() == id);
        let running = self.running_as(id);
        // What people approved, they approved of these bytes.
        let same = running
            .iter()
            .filter(|plugin| plugin.admitted.source.digest == source.digest);
        let extra = same.map(|plugin| plugin.admitted.extra().clone()).next();
        let mut needed = source.manifest.dependencies().iter();
        let grant = if needed.all(|needed| will_run.contains(needed.id.as_str())) {
            let (judge, extra) = (&self.host.judge, extra.unwrap_or_default());
            let then = judge.assess_under(&reload.ruling, &self.id, &self.agent, source, &extra);
            then.ok()
                .filter(|then| then.loadable())
                .map(|then| then.grant)
        } else {
            None
        };
        Change {
            id: id.to_owned(),
            source: Ok(source.clone()),
            was: was.cloned(),
            running,
            grant,
        }
    }

    fn running_as(&self, id: &str) -> Option<Arc<Plugin>> {
        let shelf = self.shelf();
        shelf
            .plugins()
            .iter()
            .find(|plugin| plugin.id() == id)
            .cloned()
    }

    /// Puts something else in force: recorded with who gains and who loses what, then every call and every plugin is
    /// held to it. Gives what people may want to know.
    ///
    /// # Errors
    /// What stops the gate.
    pub(crate) async fn reload(&self, reload: Reload) -> Result<Vec<Note>, GateError> {
        let order = self.order_of(&reload);
        let changes = self.changes(&reload, &order);
        let plugins = self.shelf();
        let pdp = told(reload.ruling.pdp.clone(), plugins.plugins());
        let mut lines: Vec<String> = changes.iter().flat_map(Change::told).collect();
        lines.extend(self.calls_changed(&changes, &reload.ruling, &pdp));
        if lines.is_empty() {
            lines.push("nobody gains or loses a capability or a tool".to_owned());
        }
        self.host
            .policies_changed(&reload.ruling.digest, &lines)
            .await?;
        self.rules.replace(pdp);
        self.host.judge.in_force.replace(reload.ruling);
        self.come_from(order.load);
        let mut notes = Vec::new();
        for (source, why) in order.refused {
            notes.push(self.refuse(&source, why).await?);
        }
        let (same, changes): (Vec<Change>, Vec<Change>) =
            changes.into_iter().partition(Change::is_none);
        for source in same.into_iter().filter_map(|change| change.source.ok()) {
            notes.extend(self.want(&source)?);
        }
        notes.extend(self.apply(changes, "policies changed").await?);
        Ok(notes)
    }

    /// Holds every plugin to what the same policies say by now: some expire, some ask what time it is. Nothing is done
    /// and nothing recorded where they say the same.
    ///
    /// # Errors
    /// What stops the gate.
    pub(crate) async fn time_passed(&self) -> Result<Option<Vec<Note>>, GateError> {
        let ruling = self.host.judge.in_force.now();
        if !ruling.pdp.is_timed() {
            return Ok(None);
        }
        let (ruling, sources) = (Ruling::clone(&ruling), None);
        let reload = Reload { ruling, sources };
        let changes = self.changes(&reload, &self.order_of(&reload));
        let changes: Vec<Change> = changes
            .into_iter()
            .filter(|change| !change.is_none())
            .collect();
        if changes.is_empty() {
            return Ok(None);
        }
        let mut lines = vec!["the time changes what policies say".to_owned()];
        lines.extend(changes.iter().flat_map(Change::told));
        let digest = self.host.judge.in_force.now().digest.clone();
        self.host.policies_changed(&digest, &lines).await?;
        self.apply(changes, "policy permits it no longer at this time")
            .await
            .map(Some)
    }

    /// Which tools of plugins that go on can be called no more, or can be by now, a line each.
    fn calls_changed(&self, changes: &[Change], ruling: &Ruling, pdp: &Pdp) -> Vec<String> {
        let askable = self.host.approvals.askable();
        let mut lines = Vec::new();
        for change in changes.iter().filter(|change| change.is_none()) {
            let Some(plugin) = &change.running else {
                continue;
            };
            let (before, mut after) = (self.caller(plugin), self.caller(plugin));
            self.host
                .judge
                .tell(&ruling.facts, &mut after.principal, &mut after.context);
            for tool in plugin.tools.keys() {
                let was = self.rules.hidden(&before, tool, askable).is_none();
                let is = self
                    .rules
                    .hidden_under(pdp, &after, tool, askable)
                    .is_none();
                match (was, is) {
                    (true, false) => {
                        lines.push(format!("{}'s {tool} can be called no more", change.id))
                    }
                    (false, true) => lines.push(format!("{}'s {tool} can be called", change.id)),
                    _ => {}
                }
            }
        }
        lines
    }

    async fn apply(&self, changes: Vec<Change>, because: &str) -> Result<Vec<Note>, GateError> {
        let mut notes = Vec::new();
        // What is lost is lost before anything is gained, and nobody runs without what it depends on.
        for change in changes.iter().rev() {
            let why = match &change.source {
                Err(why) => why.as_str(),
                Ok(_) if change.is_another() => "another version took its place",
                Ok(_) => because,
            };
            self.take_off(&change.id, why).await?;
        }
        for change in changes {
            notes.extend(self.start_again(change).await?);
        }
        Ok(notes)
    }

    /// Starts what was taken off, or is new. What only loses something keeps its token, and what people approved.
    async fn start_again(&self, change: Change) -> Result<Vec<Note>, GateError> {
        let keeps = !change.is_another() && change.before().contains(&change.after());
        let Ok(source) = change.source else {
            return Ok(Vec::new());
        };
        match (change.running, change.grant) {
            (Some(plugin), Some(_)) if keeps => {
                let approved = Approved {
                    source,
                    grant: plugin.admitted.extra().clone(),
                    token: plugin.admitted.token().clone(),
                };
                match admit_approved(&self.host, &self.id, &self.agent, approved).await? {
                    Ok(admitted) => self.put(admitted).await,
                    Err(why) => Ok(vec![Note::new(&change.id, &format!("refused: {why}"))]),
                }
            }
            _ => self.load(source).await,
        }
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
        let event = Event::PolicyChange {
            policy_sha256: digest.to_owned(),
            loaded: true,
            reason: reason.join("\n"),
        };
        let nobody = bailiwick_audit::Subject::default();
        Ok(self.recorder.durable(&nobody, event).await?)
    }
}
