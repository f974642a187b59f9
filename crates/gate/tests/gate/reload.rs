//! Other policies while a session goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_audit::Event;
use bailiwick_gate::discover::source;
use bailiwick_gate::world::Source;
use bailiwick_gate::{Gate, Notes, Reload, Ruling};
use bailiwick_manifest::Manifest;
use bailiwick_mcp::{
    CallOutcome, CallToolResult, Handler as _, Implementation, Peer, Revision, ToolCall,
};
use bailiwick_policy::{Classification, Pdp, PolicySource};
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::house::{House, arguments, facts, refusal};
use crate::puppet::{Strings, native, puppet};

const ASKS: &str = "required_capabilities: ['read_environment:AAA']\noptional_capabilities: ['read_environment:BBB']";
const SECRETS: &str =
    "@id(\"secrets\") permit (principal, action == Action::\"read_environment\", resource);";
const ONE: &str = "@id(\"one\") permit (principal, action == Action::\"read_environment\", resource == Variable::\"AAA\");";
const NO_CALLS: &str = "@id(\"quiet\") forbid (principal, action == Action::\"call\", resource);";

struct Stage {
    house: House,
    strings: Arc<Strings>,
    gate: Gate,
}

fn stage(policy: &str) -> Stage {
    let (builder, strings) = puppet(&["t"]);
    let house = House::with(policy, Some(builder));
    let quiet: Notes = Arc::new(|_, _| {});
    let sources = vec![native("plain", ""), native("risky", ASKS)];
    let gate = Gate::new(house.host.clone(), sources, true, quiet);
    Stage {
        house,
        strings,
        gate,
    }
}

fn pdp(policy: &str) -> Pdp {
    let mut sources = Pdp::default_sources();
    sources.push(PolicySource::new("test.cedar", policy));
    Pdp::load(&sources, &Classification::default()).unwrap()
}

/// These policies, and these plugins if there are other ones.
fn to(policy: &str, sources: Option<Vec<Source>>) -> Reload {
    Reload {
        ruling: Ruling {
            pdp: pdp(policy),
            facts: facts(),
            digest: "d2".to_owned(),
        },
        sources,
    }
}

fn peer() -> Peer {
    Peer {
        revision: Revision::LEGACY,
        client: Some(Implementation::new("tester", "1.0")),
        capabilities: Map::new(),
    }
}

impl Stage {
    async fn tools(&self) -> Vec<String> {
        let tools = self.gate.list_tools(&peer()).await.unwrap();
        tools.into_iter().map(|tool| tool.name).collect()
    }

    async fn call(&self, tool: &str) -> CallToolResult {
        let call = ToolCall::new(tool, arguments(json!({})));
        let cancel = CancellationToken::new();
        match self.gate.call_tool(&peer(), call, cancel).await.unwrap() {
            CallOutcome::Complete(result) => result,
            CallOutcome::InputRequired(input) => panic!("{input:?}"),
        }
    }

    async fn reload(&self, policy: &str) {
        self.gate.reload(to(policy, None)).await.unwrap();
    }

    fn starts(&self) -> usize {
        self.strings
            .seen()
            .iter()
            .filter(|what| *what == "start")
            .count()
    }

    /// What the last change was recorded to mean.
    fn told(&self) -> String {
        match self.house.events("policy_change").pop() {
            Some(Event::PolicyChange {
                loaded: true,
                reason,
                policy_sha256,
            }) => {
                assert_eq!(policy_sha256, "d2");
                reason
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn l32_what_is_no_longer_permitted_ends_at_once_and_comes_back_when_it_is() {
    let stage = stage(SECRETS);
    assert_eq!(
        stage.tools().await,
        ["plain__t", "risky__t"],
        "{:?}",
        stage.house.events("plugin_refused")
    );
    stage.reload("").await;
    assert_eq!(
        stage.told(),
        "risky is ended\nrisky loses read_environment:AAA\nrisky loses read_environment:BBB"
    );
    assert_eq!(stage.tools().await, ["plain__t"]);
    assert_eq!(
        refusal(&stage.call("risky__t").await)["code"],
        "unknown_tool"
    );
    assert!(!stage.call("plain__t").await.is_error);
    assert_eq!(stage.starts(), 2, "who loses nothing goes on");
    assert_eq!(stage.house.events("plugin_end").len(), 1);
    stage.reload(SECRETS).await;
    assert!(
        stage
            .told()
            .starts_with("risky is started\nrisky gains read_environment:AAA")
    );
    assert!(!stage.call("risky__t").await.is_error);
    assert_eq!(stage.starts(), 3);
}

#[tokio::test]
async fn a_grant_that_shrinks_is_a_new_plugin_with_less_of_the_same_token() {
    let stage = stage(SECRETS);
    stage.tools().await;
    stage.reload(ONE).await;
    assert_eq!(stage.told(), "risky loses read_environment:BBB");
    assert!(!stage.call("risky__t").await.is_error);
    let minted = stage.house.events("token_minted");
    let Some(Event::TokenMinted { grant, .. }) = minted.last() else {
        panic!("{minted:?}")
    };
    assert_eq!(grant, &["read_environment:AAA"]);
    stage.reload(SECRETS).await;
    assert_eq!(stage.told(), "risky gains read_environment:BBB");
    assert_eq!(stage.starts(), 4);
}

#[tokio::test]
async fn calls_are_held_to_the_new_rules_and_plugins_go_on() {
    let stage = stage(SECRETS);
    assert!(!stage.call("plain__t").await.is_error);
    stage.reload(&format!("{SECRETS}\n{NO_CALLS}")).await;
    assert_eq!(
        stage.told(),
        "plain's t can be called no more\nrisky's t can be called no more"
    );
    assert!(stage.tools().await.is_empty());
    assert_eq!(
        refusal(&stage.call("plain__t").await)["code"],
        "policy_denied"
    );
    assert_eq!(stage.starts(), 2);
    stage.reload(SECRETS).await;
    assert!(!stage.call("plain__t").await.is_error);
}

#[tokio::test]
async fn l31_policies_that_cannot_be_recorded_are_not_in_force() {
    let stage = stage(SECRETS);
    assert_eq!(stage.tools().await.len(), 2);
    stage.house.closer()();
    assert!(stage.gate.reload(to("", None)).await.is_err());
    let still = stage.house.host.judge.in_force.now().pdp.clone();
    assert!(still.policy_ids().any(|id| id == "secrets"));
    assert_eq!(stage.starts(), 2);
    assert_eq!(stage.house.steps.called.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn policies_that_change_before_anybody_came_hold_from_the_start() {
    let stage = stage(SECRETS);
    stage.reload("").await;
    assert_eq!(stage.tools().await, ["plain__t"]);
    assert_eq!(stage.starts(), 1);
}

fn plugin(id: &str, version: &str, rest: &str) -> Source {
    let text = format!("id: {id}\nversion: {version}\nruntime: {{command: [puppet]}}\n{rest}\n");
    let manifest = Manifest::parse("plugin.yaml", text.as_bytes()).unwrap();
    source(manifest, None, None)
}

impl Stage {
    async fn plugins(&self, sources: Vec<Source>) {
        let reload = to(SECRETS, Some(sources));
        self.gate.reload(reload).await.unwrap();
    }
}

#[tokio::test]
async fn a_manifest_that_changes_is_decided_anew_and_the_others_go_on() {
    let stage = stage(SECRETS);
    assert_eq!(stage.tools().await.len(), 2);
    let less = ASKS.replace("'read_environment:BBB'", "");
    let sources = vec![
        plugin("plain", "1.0.0", ""),
        plugin("risky", "1.1.0", &less),
    ];
    stage.plugins(sources.clone()).await;
    let told = stage.told();
    assert!(
        told.contains("risky is another plugin: it was 1.0.0 sha256:"),
        "{told}"
    );
    assert!(told.contains(", and is 1.1.0 sha256:"), "{told}");
    assert!(told.ends_with("risky loses read_environment:BBB"), "{told}");
    assert_eq!(stage.starts(), 3, "only the other one starts anew");
    assert!(!stage.call("risky__t").await.is_error);
    stage.plugins(sources).await;
    assert_eq!(stage.told(), "nobody gains or loses a capability or a tool");
    assert_eq!(stage.starts(), 3);
}

#[tokio::test]
async fn plugins_come_and_go_with_what_depends_on_them() {
    let stage = stage(SECRETS);
    stage.tools().await;
    let user = || plugin("user", "1.0.0", "dependencies: {plain: ^1}");
    stage
        .plugins(vec![user(), plugin("plain", "1.0.0", "")])
        .await;
    assert_eq!(stage.tools().await, ["plain__t", "user__t"]);
    assert!(stage.told().contains("risky is ended"));
    stage.plugins(vec![user()]).await;
    let told = stage.told();
    assert!(
        told.contains("plain is ended") && told.contains("user is ended"),
        "{told}"
    );
    assert!(stage.tools().await.is_empty());
    stage
        .plugins(vec![user(), plugin("plain", "2.0.0", "")])
        .await;
    assert_eq!(stage.tools().await, ["plain__t"], "it wants ^1");
    stage
        .plugins(vec![user(), plugin("plain", "1.2.0", "")])
        .await;
    assert_eq!(stage.tools().await, ["plain__t", "user__t"]);
}

#[tokio::test]
async fn facts_that_change_decide_at_once() {
    let policy = r#"@id("analysts") permit (principal in Role::"analyst",
        action == Action::"read_environment", resource);"#;
    let stage = stage(policy);
    assert_eq!(stage.tools().await, ["plain__t"]);
    let mut reload = to(policy, None);
    reload.ruling.facts.user.roles.insert("analyst".to_owned());
    stage.gate.reload(reload).await.unwrap();
    assert!(stage.told().starts_with("risky is started"));
    assert_eq!(stage.tools().await, ["plain__t", "risky__t"]);
    stage.reload(policy).await;
    assert_eq!(stage.tools().await, ["plain__t"]);
}

/// Waits until the gate, which looks by itself, recorded that time changed something.
async fn time_changed(stage: &Stage, what: &str) {
    for _ in 0..600 {
        let told = |event: &Event| matches!(event, Event::PolicyChange { reason, .. } if reason.contains(what));
        if stage.house.events("policy_change").iter().any(told) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{:?}", stage.house.events("policy_change"));
}

#[tokio::test]
async fn what_expires_ends_at_its_time_and_what_is_left_goes_on() {
    // The house's clock begins at 2027-01-15T08:00:00Z, a Friday.
    let policy = format!(
        "{ONE}\n@id(\"short\") @expires(\"2027-01-15T08:01:00Z\")\n\
         permit (principal, action == Action::\"read_environment\", resource == Variable::\"BBB\");"
    );
    let stage = stage(&policy);
    assert_eq!(stage.tools().await.len(), 2);
    stage.house.clock.pass(61);
    time_changed(&stage, "risky loses read_environment:BBB").await;
    // It is recorded before it is done.
    while stage.house.events("token_minted").len() < 3 || stage.call("risky__t").await.is_error {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(
        stage.house.events("plugin_end").len(),
        1,
        "the other one went on"
    );
    let minted = stage.house.events("token_minted");
    let Some(Event::TokenMinted { grant, .. }) = minted.last() else {
        panic!("{minted:?}")
    };
    assert_eq!(grant, &["read_environment:AAA"]);
}

#[tokio::test]
async fn office_hours_end_and_begin_while_a_session_is_open() {
    let policy = format!(
        "{SECRETS}\n@id(\"closed\") forbid (principal, action == Action::\"read_environment\", resource)\n\
         unless {{ context.local.hour >= 8 && context.local.hour < 17 }};"
    );
    let stage = stage(&policy);
    assert_eq!(stage.tools().await.len(), 2);
    stage.house.clock.pass(9 * 3600);
    time_changed(&stage, "risky is ended").await;
    assert_eq!(stage.tools().await, ["plain__t"]);
    stage.house.clock.pass(15 * 3600);
    time_changed(&stage, "risky is started").await;
    while stage.tools().await.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
