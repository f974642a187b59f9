//! What happened, put together from entries in the order of time: plugin by plugin, and act by act.

use std::collections::{BTreeMap, HashMap};

use bailiwick_audit::{Entry, Event, Moment, Outcome};
use serde::Serialize;

use super::asked::millis_between;
use super::deed::{self, Tone};

/// Acts that are told one by one; what comes after is counted. Bounds memory, whatever a plugin does.
const MAX_ACTS: usize = 1000;
/// Different things of one sort that are kept for a plugin.
const MAX_KEPT: usize = 500;
/// Calls that may be under way at once, as far as the story goes.
const MAX_PENDING: usize = 10_000;

/// The story of a session, or of a plugin in several.
#[derive(Debug, Default, Serialize)]
pub(super) struct Story {
    pub(super) sessions: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) user: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) client: Option<String>,
    /// How the session ended; nothing where no entry says so.
    pub(super) ended: Option<String>,
    pub(super) entries: u64,
    pub(super) unreadable: u64,
    pub(super) plugins: BTreeMap<String, Part>,
    pub(super) acts: Vec<Act>,
    /// Acts that were left out at the end.
    pub(super) more: u64,
    #[serde(skip)]
    pending: HashMap<String, (String, String)>,
}

/// What one plugin asked, got and did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Part {
    pub(super) digest: Option<String>,
    pub(super) wall: Option<String>,
    pub(super) required: Vec<String>,
    pub(super) optional: Vec<String>,
    pub(super) atoms: Vec<Answer>,
    pub(super) holds: Vec<String>,
    pub(super) calls: BTreeMap<String, Calls>,
    pub(super) stopped: Vec<Stop>,
    pub(super) secrets: BTreeMap<String, u64>,
    pub(super) ended: Option<String>,
    /// Whether it ended as it should not, or never began.
    pub(super) badly: bool,
}

/// What became of one atom that was asked for.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) asked: String,
    pub(super) outcome: Outcome,
    pub(super) granted: Vec<String>,
    pub(super) policies: Vec<String>,
    pub(super) reasons: Vec<String>,
}

/// The calls of one tool.
#[derive(Debug, Default, Serialize)]
pub(super) struct Calls {
    pub(super) made: u64,
    pub(super) ok: u64,
    pub(super) errors: u64,
    pub(super) refused: u64,
    pub(super) shortest: u64,
    pub(super) longest: u64,
    pub(super) in_all: u64,
}

impl Calls {
    /// Calls without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.made.saturating_sub(self.ok + self.errors)
    }
}

/// What was stopped, with its repeats.
#[derive(Debug, Serialize)]
pub(super) struct Stop {
    pub(super) at: String,
    pub(super) what: String,
    pub(super) why: String,
    pub(super) policies: Vec<String>,
    pub(super) times: u64,
}

/// One line of the story, with its repeats.
#[derive(Debug, Serialize)]
pub(super) struct Act {
    pub(super) at: String,
    /// Milliseconds since the beginning.
    pub(super) after: u64,
    pub(super) plugin: Option<String>,
    pub(super) what: String,
    pub(super) outcome: String,
    #[serde(skip)]
    pub(super) tone: Tone,
    pub(super) times: u64,
}

impl Story {
    pub(super) fn add(&mut self, entry: &Entry) {
        if self.from.is_empty() {
            self.from.clone_from(&entry.time);
        }
        self.to.clone_from(&entry.time);
        self.entries += 1;
        let subject = &entry.subject;
        if let Some(session) = &subject.session
            && self.sessions.len() < MAX_KEPT
            && !self.sessions.contains(session)
        {
            self.sessions.push(session.clone());
        }
        keep(&mut self.user, subject.user.as_ref());
        keep(&mut self.agent, subject.agent.as_ref());
        match &entry.event {
            Event::SessionStart { client, .. } => keep(&mut self.client, Some(client)),
            Event::SessionEnd { reason } => self.ended = Some(reason.clone()),
            _ => {}
        }
        if let Some(plugin) = &subject.plugin
            && (self.plugins.len() < MAX_KEPT || self.plugins.contains_key(plugin))
        {
            let part = self.plugins.entry(plugin.clone()).or_default();
            keep(&mut part.digest, subject.plugin_digest.as_ref());
            part.add(entry);
        }
        self.act(entry);
    }

    /// Adds a line, or one more to the line before.
    fn act(&mut self, entry: &Entry) {
        let mut deed = deed::of(entry);
        let mut at = entry.time.clone();
        match &entry.event {
            // A call is told with its answer; a decision that allowed it says nothing more.
            Event::ToolCall { call, .. } if self.pending.len() < MAX_PENDING => {
                self.pending.insert(call.clone(), (at, deed.what));
                return;
            }
            Event::Decision {
                moment: Moment::Call,
                outcome: Outcome::Grant,
                ..
            } => return,
            Event::ToolResult {
                call,
                millis,
                is_error,
                ..
            } => {
                if let Some((began, what)) = self.pending.remove(call) {
                    (at, deed.what) = (began, what);
                }
                // So that repeats are one line; how long calls took is told with the plugin.
                deed.outcome = if *is_error { "an error" } else { "ok" }.to_owned();
                if *millis >= 1000 {
                    deed.outcome.push_str(&format!(" after {}", span(*millis)));
                }
            }
            _ => {}
        }
        let plugin = entry.subject.plugin.clone();
        if let Some(last) = self.acts.last_mut()
            && (&last.plugin, &last.what, &last.outcome) == (&plugin, &deed.what, &deed.outcome)
        {
            last.times += 1;
        } else if self.acts.len() < MAX_ACTS {
            self.acts.push(Act {
                after: millis_between(&self.from, &at),
                at,
                plugin,
                what: deed.what,
                outcome: deed.outcome,
                tone: deed.tone,
                times: 1,
            });
        } else {
            self.more += 1;
        }
    }

    /// Tells of calls that nobody answered.
    pub(super) fn end(&mut self) {
        let mut open: Vec<(String, String)> = self.pending.drain().map(|(_, call)| call).collect();
        open.sort_unstable();
        for (at, what) in open {
            self.acts.push(Act {
                after: millis_between(&self.from, &at),
                at,
                plugin: None,
                what,
                outcome: "no answer".to_owned(),
                tone: Tone::Uneasy,
                times: 1,
            });
        }
        self.acts.sort_by(|a, b| a.at.cmp(&b.at));
    }
}

impl Part {
    fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Request {
                required, optional, ..
            } => {
                self.required.clone_from(required);
                self.optional.clone_from(optional);
            }
            Event::Decision {
                moment: Moment::Load,
                atoms,
                ..
            } => {
                self.atoms = atoms
                    .iter()
                    .map(|atom| Answer {
                        asked: atom.asked.clone(),
                        outcome: atom.outcome,
                        granted: atom.granted.clone(),
                        policies: atom.policies.clone(),
                        reasons: atom.reasons.clone(),
                    })
                    .collect();
            }
            Event::PluginStart { wall, grant, .. } => {
                self.wall = Some(wall.clone());
                self.holds.clone_from(grant);
                (self.ended, self.badly) = (None, false);
            }
            Event::PluginEnd { status } => self.ended = Some(status.clone()),
            Event::PluginCrash { reason } => {
                (self.ended, self.badly) = (Some(format!("crashed: {reason}")), true);
            }
            Event::PluginRefused { reason } => {
                (self.ended, self.badly) = (Some(format!("not started: {reason}")), true);
            }
            Event::SecretUse {
                secret,
                destination,
            } => {
                let use_of = format!("{secret} → {destination}");
                if self.secrets.len() < MAX_KEPT || self.secrets.contains_key(&use_of) {
                    *self.secrets.entry(use_of).or_default() += 1;
                }
            }
            _ => self.call_or_stop(entry),
        }
    }

    fn call_or_stop(&mut self, entry: &Entry) {
        match &entry.event {
            Event::ToolCall { tool, .. } => self.tool(tool, |calls| calls.made += 1),
            Event::ToolResult {
                tool,
                is_error,
                millis,
                ..
            } => self.tool(tool, |calls| {
                let first = calls.ok + calls.errors == 0;
                calls.shortest = if first {
                    *millis
                } else {
                    calls.shortest.min(*millis)
                };
                calls.longest = calls.longest.max(*millis);
                calls.in_all = calls.in_all.saturating_add(*millis);
                *if *is_error {
                    &mut calls.errors
                } else {
                    &mut calls.ok
                } += 1;
            }),
            Event::CallRefused {
                tool,
                reason,
                policies,
                ..
            } => {
                self.tool(tool, |calls| calls.refused += 1);
                self.stop(&entry.time, format!("call of {tool}"), reason, policies, 1);
            }
            Event::OperationDenied {
                operation,
                target,
                reason,
                dropped,
            } => {
                self.stop(
                    &entry.time,
                    format!("{operation} {target}"),
                    reason,
                    &[],
                    dropped.saturating_add(1),
                );
            }
            Event::TokenRefused { reason, .. } => {
                self.stop(&entry.time, "its token".to_owned(), reason, &[], 1);
            }
            Event::ToolChanged { tool, .. } => {
                self.stop(
                    &entry.time,
                    tool.clone(),
                    "it is not what was approved",
                    &[],
                    1,
                );
            }
            _ => {}
        }
    }

    fn tool(&mut self, tool: &str, note: impl FnOnce(&mut Calls)) {
        if self.calls.len() < MAX_KEPT || self.calls.contains_key(tool) {
            note(self.calls.entry(tool.to_owned()).or_default());
        }
    }

    fn stop(&mut self, at: &str, what: String, why: &str, policies: &[String], times: u64) {
        let has_room = self.stopped.len() < MAX_KEPT;
        let same = self
            .stopped
            .iter_mut()
            .find(|stop| stop.what == what && stop.why == why);
        match same {
            Some(stop) => stop.times = stop.times.saturating_add(times),
            None if has_room => self.stopped.push(Stop {
                at: at.to_owned(),
                what,
                why: why.to_owned(),
                policies: policies.to_vec(),
                times,
            }),
            None => {}
        }
    }
}

fn keep(kept: &mut Option<String>, new: Option<&String>) {
    if kept.is_none() {
        *kept = new.cloned();
    }
}

/// How long, for people: `41 ms`, `1.5 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{seconds}.{} s", millis % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_audit::Subject;

    fn entry(second: u64, plugin: &str, event: Event) -> Entry {
        Entry {
            v: bailiwick_audit::ENTRY_VERSION,
            time: format!("2026-11-23T15:00:{second:02}.000Z"),
            subject: Subject::session("0af7651916cd43dd").with_plugin(plugin, "d"),
            event,
        }
    }

    fn call(id: &str) -> Event {
        Event::ToolCall {
            call: id.into(),
            tool: "t".into(),
            arguments: [].into(),
        }
    }

    fn answer(id: &str, millis: u64, is_error: bool) -> Event {
        Event::ToolResult {
            call: id.into(),
            tool: "t".into(),
            bytes: 1,
            sha256: String::new(),
            is_error,
            millis,
        }
    }

    fn told(entries: Vec<Entry>) -> Story {
        let mut story = Story::default();
        entries.iter().for_each(|entry| story.add(entry));
        story.end();
        story
    }

    #[test]
    fn calls_are_counted_and_repeats_are_one_line() {
        let story = told(vec![
            entry(0, "p", call("1")),
            entry(1, "p", answer("1", 3, false)),
            entry(2, "p", call("2")),
            entry(3, "p", answer("2", 9, false)),
            entry(4, "p", call("3")),
            entry(5, "p", answer("3", 1, true)),
            entry(6, "p", call("4")),
        ]);
        let calls = &story.plugins["p"].calls["t"];
        assert_eq!(
            (calls.made, calls.ok, calls.errors, calls.unanswered()),
            (4, 2, 1, 1)
        );
        assert_eq!((calls.shortest, calls.longest, calls.in_all), (1, 9, 13));
        let acts: Vec<_> = story
            .acts
            .iter()
            .map(|act| (act.after, act.outcome.as_str(), act.times))
            .collect();
        assert_eq!(
            acts,
            [(0, "ok", 2), (4000, "an error", 1), (6000, "no answer", 1)]
        );
    }

    #[test]
    fn what_was_stopped_is_told_with_reason_policy_and_repeats() {
        let denied = |dropped| Event::OperationDenied {
            operation: "read_files".into(),
            target: "/etc/shadow".into(),
            reason: "not granted".into(),
            dropped,
        };
        let refused = Event::CallRefused {
            call: "1".into(),
            tool: "t".into(),
            reason: "no".into(),
            policies: vec!["lock".into()],
        };
        let story = told(vec![
            entry(0, "p", denied(4)),
            entry(1, "p", refused),
            entry(2, "p", denied(0)),
        ]);
        let stops: Vec<_> = story.plugins["p"]
            .stopped
            .iter()
            .map(|stop| (stop.what.as_str(), stop.times, stop.policies.len()))
            .collect();
        assert_eq!(
            stops,
            [("read_files /etc/shadow", 6, 0), ("call of t", 1, 1)]
        );
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut story = Story::default();
        for number in 0..3000 {
            let denied = Event::OperationDenied {
                operation: "read_files".into(),
                target: format!("/{number}"),
                reason: "not granted".into(),
                dropped: 0,
            };
            story.add(&entry(1, "p", denied));
        }
        story.end();
        assert_eq!((story.acts.len(), story.more), (MAX_ACTS, 2000));
        assert_eq!(story.plugins["p"].stopped.len(), MAX_KEPT);
    }

    #[test]
    fn spans_read_well() {
        for (millis, text) in [
            (41, "41 ms"),
            (1_540, "1.5 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
