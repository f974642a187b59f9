//! The closed method tables, by direction and revision (LESSONS L25): what is not listed here is refused or dropped.

use crate::revision::Revision;

/// A request that the agent may make of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentRequest {
    /// `initialize`, before 2026-07-28
    Initialize,
    /// `server/discover`, since 2026-07-28
    Discover,
    /// `ping`, before 2026-07-28
    Ping,
    /// `tools/list`
    ListTools,
    /// `tools/call`
    CallTool,
    /// `subscriptions/listen`, since 2026-07-28
    Listen,
}

impl AgentRequest {
    /// The request of exactly this name in this revision.
    #[must_use]
    pub fn lookup(revision: Revision, method: &str) -> Option<Self> {
        match (revision.is_modern(), method) {
            (_, "tools/list") => Some(Self::ListTools),
            (_, "tools/call") => Some(Self::CallTool),
            (true, "server/discover") => Some(Self::Discover),
            (true, "subscriptions/listen") => Some(Self::Listen),
            (false, "initialize") => Some(Self::Initialize),
            (false, "ping") => Some(Self::Ping),
            _ => None,
        }
    }
}

/// A notification of the agent that has an effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentNotification {
    /// `notifications/initialized`, before 2026-07-28
    Initialized,
    /// `notifications/cancelled`
    Cancelled,
}

impl AgentNotification {
    /// The notification of exactly this name. Notifications carry no revision on stdio, so one table serves all.
    #[must_use]
    pub fn lookup(method: &str) -> Option<Self> {
        match method {
            "notifications/initialized" => Some(Self::Initialized),
            "notifications/cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// A request that a plugin may make of us; only before 2026-07-28, where it is an `input_required` result instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginRequest {
    /// `ping`
    Ping,
    /// `sampling/createMessage`: wants the agent's model.
    CreateMessage,
    /// `elicitation/create`: wants an answer of the user; since 2025-06-18.
    Elicit,
    /// `roots/list`: wants the agent's folders.
    ListRoots,
}

impl PluginRequest {
    /// The request of exactly this name in this revision.
    #[must_use]
    pub fn lookup(revision: Revision, method: &str) -> Option<Self> {
        match method {
            _ if revision.is_modern() => None,
            "ping" => Some(Self::Ping),
            "sampling/createMessage" => Some(Self::CreateMessage),
            "roots/list" => Some(Self::ListRoots),
            "elicitation/create" if revision >= Revision::V2025_06_18 => Some(Self::Elicit),
            _ => None,
        }
    }
}

/// A notification of a plugin that is handed on to [`PluginEvents`](crate::PluginEvents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginNotification {
    /// `notifications/tools/list_changed`
    ToolsListChanged,
    /// `notifications/progress`
    Progress,
    /// `notifications/message`
    Log,
    /// `notifications/subscriptions/acknowledged`, since 2026-07-28
    SubscriptionAcknowledged,
}

impl PluginNotification {
    /// The notification of exactly this name in this revision.
    #[must_use]
    pub fn lookup(revision: Revision, method: &str) -> Option<Self> {
        match method {
            "notifications/tools/list_changed" => Some(Self::ToolsListChanged),
            "notifications/progress" => Some(Self::Progress),
            "notifications/message" => Some(Self::Log),
            "notifications/subscriptions/acknowledged" if revision.is_modern() => {
                Some(Self::SubscriptionAcknowledged)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every method of every published schema, with the official extensions' ones.
    const SPEC: [&str; 39] = [
        "completion/complete",
        "elicitation/create",
        "initialize",
        "logging/setLevel",
        "notifications/cancelled",
        "notifications/elicitation/complete",
        "notifications/initialized",
        "notifications/message",
        "notifications/progress",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
        "notifications/roots/list_changed",
        "notifications/subscriptions/acknowledged",
        "notifications/tasks",
        "notifications/tasks/status",
        "notifications/tools/list_changed",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "resources/directory/read",
        "roots/list",
        "sampling/createMessage",
        "server/discover",
        "skills/list",
        "skills/get",
        "subscriptions/listen",
        "tasks/cancel",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tasks/update",
        "tools/call",
        "tools/list",
    ];

    fn found<T>(lookup: impl Fn(&str) -> Option<T>) -> Vec<&'static str> {
        SPEC.into_iter()
            .filter(|method| lookup(method).is_some())
            .collect()
    }

    #[test]
    fn l25_requests_of_the_agent_are_a_closed_table() {
        for revision in Revision::ALL {
            let wanted: &[&str] = if revision.is_modern() {
                &[
                    "server/discover",
                    "subscriptions/listen",
                    "tools/call",
                    "tools/list",
                ]
            } else {
                &["initialize", "ping", "tools/call", "tools/list"]
            };
            assert_eq!(
                found(|method| AgentRequest::lookup(revision, method)),
                wanted,
                "{revision}"
            );
        }
        assert_eq!(
            found(AgentNotification::lookup),
            ["notifications/cancelled", "notifications/initialized"]
        );
    }

    #[test]
    fn l25_requests_of_a_plugin_are_a_closed_table() {
        for revision in Revision::ALL {
            let wanted: &[&str] = match revision {
                Revision::V2026_07_28 => &[],
                Revision::V2024_11_05 | Revision::V2025_03_26 => {
                    &["ping", "roots/list", "sampling/createMessage"]
                }
                _ => &[
                    "elicitation/create",
                    "ping",
                    "roots/list",
                    "sampling/createMessage",
                ],
            };
            assert_eq!(
                found(|method| PluginRequest::lookup(revision, method)),
                wanted,
                "{revision}"
            );
        }
    }

    #[test]
    fn l25_names_match_exactly() {
        for method in [
            "Tools/call",
            "tools/call ",
            "tools/CALL",
            "tools/call/",
            "",
            "tools\u{2215}call",
        ] {
            for revision in Revision::ALL {
                assert_eq!(AgentRequest::lookup(revision, method), None, "{method:?}");
                assert_eq!(PluginRequest::lookup(revision, method), None, "{method:?}");
                assert_eq!(
                    PluginNotification::lookup(revision, method),
                    None,
                    "{method:?}"
                );
            }
        }
    }
}
