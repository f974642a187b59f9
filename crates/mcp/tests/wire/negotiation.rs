//! How our client opens, against servers of each era and against servers that behave badly at the first message.

use std::time::Duration;

use bailiwick_mcp::{Client, ClientOptions, McpError, Negotiation, Revision};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Wire, members};

type Connecting = JoinHandle<Result<Client, McpError>>;

pub(crate) fn connect(options: ClientOptions) -> (Wire, Connecting) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (from, to) = tokio::io::split(ours);
    (
        Wire::new(theirs),
        tokio::spawn(Client::connect(from, to, options)),
    )
}

fn auto() -> ClientOptions {
    ClientOptions {
        probe_timeout: PATIENCE,
        ..ClientOptions::default()
    }
}

pub(crate) fn error(request: &Value, code: i64, data: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": "no", "data": data}})
}

pub(crate) fn result(request: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
}

fn greeting(version: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "p", "version": "1"}})
}

fn discovery() -> Value {
    json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": true}}, "ttlMs": 0, "cacheScope": "private"})
}

/// A plugin of an older revision, greeted and ready.
pub(crate) async fn legacy(options: ClientOptions) -> (Wire, Client) {
    let (mut wire, connecting) = connect(ClientOptions {
        negotiation: Negotiation::Legacy,
        ..options
    });
    let request = wire.next().await.unwrap();
    wire.send(result(&request, greeting("2025-11-25"))).await;
    assert_eq!(
        wire.next().await.unwrap()["method"],
        "notifications/initialized"
    );
    (wire, connecting.await.unwrap().unwrap())
}

/// A plugin of the 2026-07-28 revision.
pub(crate) async fn modern(options: ClientOptions) -> (Wire, Client) {
    let (mut wire, connecting) = connect(ClientOptions {
        negotiation: Negotiation::Modern,
        ..options
    });
    let request = wire.next().await.unwrap();
    wire.send(result(&request, discovery())).await;
    assert_eq!(wire.next().await.unwrap()["method"], "subscriptions/listen");
    (wire, connecting.await.unwrap().unwrap())
}

#[tokio::test]
async fn the_probe_carries_the_metadata_and_a_discovery_settles_it() {
    let (mut wire, connecting) = connect(auto());
    let probe = wire.next().await.unwrap();
    assert_eq!(probe["method"], "server/discover");
    let meta = &probe["params"]["_meta"];
    assert_eq!(
        meta["io.modelcontextprotocol/protocolVersion"],
        "2026-07-28"
    );
    assert_eq!(
        meta["io.modelcontextprotocol/clientInfo"]["name"],
        "bailiwick"
    );
    assert_eq!(
        meta["io.modelcontextprotocol/clientCapabilities"],
        json!({})
    );
    wire.send(result(&probe, discovery())).await;
    let listen = wire.next().await.unwrap();
    assert_eq!(listen["method"], "subscriptions/listen");
    assert_eq!(
        listen["params"]["notifications"],
        json!({"toolsListChanged": true})
    );
    let client = connecting.await.unwrap().unwrap();
    assert_eq!(client.revision(), Revision::MODERN);
    assert_eq!(client.server_info(), None);
    let listing = async { client.list_tools().await.unwrap() };
    let answering = async {
        let request = wire.next().await.unwrap();
        assert_eq!(&request["params"]["_meta"], meta);
        wire.send(result(
            &request,
            json!({"resultType": "complete", "tools": [], "ttlMs": 1, "cacheScope": "public"}),
        ))
        .await;
    };
    assert!(tokio::join!(listing, answering).0.tools.is_empty());
}

#[tokio::test]
async fn any_older_error_falls_back_to_the_handshake() {
    for code in [-32601, -32602, -32600, -32603, -32000, -32001, 0, 1] {
        let (mut wire, connecting) = connect(auto());
        let probe = wire.next().await.unwrap();
        wire.send(error(&probe, code, json!(null))).await;
        let request = wire.next().await.unwrap();
        assert_eq!(request["method"], "initialize", "{code}");
        assert_eq!(request["params"]["protocolVersion"], "2025-11-25");
        wire.send(result(&request, greeting("2024-11-05"))).await;
        assert_eq!(
            wire.next().await.unwrap()["method"],
            "notifications/initialized"
        );
        assert_eq!(
            connecting.await.unwrap().unwrap().revision(),
            Revision::V2024_11_05
        );
    }
}

#[tokio::test]
async fn modern_errors_never_fall_back_blindly() {
    for (code, data, wanted) in [
        (
            -32022,
            json!({"supported": ["2027-01-01"], "requested": "2026-07-28"}),
            None,
        ),
        (-32022, json!(null), None),
        (-32020, json!(null), None),
        (
            -32021,
            json!({"requiredCapabilities": {"sampling": {}}}),
            None,
        ),
        (
            -32022,
            json!({"supported": ["2027-01-01", "2025-03-26", "2025-06-18"]}),
            Some("2025-06-18"),
        ),
    ] {
        let (mut wire, connecting) = connect(auto());
        let probe = wire.next().await.unwrap();
        wire.send(error(&probe, code, data)).await;
        match wanted {
            Some(version) => assert_eq!(
                wire.next().await.unwrap()["params"]["protocolVersion"],
                version
            ),
            None => {
                let failed = connecting.await.unwrap().unwrap_err();
                assert!(
                    matches!(
                        failed,
                        McpError::NoCommonRevision { .. } | McpError::Refused { .. }
                    ),
                    "{failed}"
                );
                assert_eq!(wire.next().await, None, "no initialize follows");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_at_the_probe_is_greeted_the_old_way() {
    let (mut wire, connecting) = connect(ClientOptions {
        probe_timeout: Duration::from_millis(20),
        ..auto()
    });
    let probe = wire.next().await.unwrap();
    let request = wire.next().await.unwrap();
    assert_eq!(
        request["method"], "initialize",
        "the probe is not cancelled first"
    );
    wire.send(error(&probe, -32601, json!(null))).await;
    wire.send(result(&request, greeting("2025-06-18"))).await;
    wire.next().await.unwrap();
    let client = connecting.await.unwrap().unwrap();
    assert_eq!(client.revision(), Revision::V2025_06_18);
    assert_eq!(
        client.counters().stray_responses(),
        1,
        "the late answer is dropped"
    );
}

#[tokio::test]
async fn a_server_that_dies_at_the_probe_should_be_started_again() {
    let (mut wire, connecting) = connect(auto());
    wire.next().await.unwrap();
    drop(wire);
    assert!(matches!(
        connecting.await.unwrap(),
        Err(McpError::GoneOnProbe { .. })
    ));
    let (wire, connecting) = connect(ClientOptions {
        negotiation: Negotiation::Legacy,
        ..auto()
    });
    drop(wire);
    assert!(matches!(
        connecting.await.unwrap(),
        Err(McpError::PluginGone { .. })
    ));
}

#[tokio::test]
async fn answers_to_the_handshake_are_checked() {
    let mut oldest = greeting("2025-03-26");
    oldest["capabilities"] = json!({});
    for (answer, common) in [
        (greeting("2026-07-28"), true),
        (greeting("1999-01-01"), true),
        (oldest, true),
        (json!({}), false),
        (
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x"}}),
            false,
        ),
        (
            json!({"protocolVersion": "2025-11-25", "capabilities": [], "serverInfo": {"name": "x", "version": "1"}}),
            false,
        ),
        (
            json!({"protocolVersion": 7, "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}),
            false,
        ),
    ] {
        let options = ClientOptions {
            negotiation: Negotiation::Legacy,
            oldest: Revision::V2025_06_18,
            ..auto()
        };
        let (mut wire, connecting) = connect(options);
        let request = wire.next().await.unwrap();
        wire.send(result(&request, answer.clone())).await;
        let failed = connecting.await.unwrap().unwrap_err();
        assert_eq!(
            matches!(failed, McpError::NoCommonRevision { .. }),
            common,
            "{answer}: {failed}"
        );
        assert!(
            common || matches!(failed, McpError::BadAnswer { .. }),
            "{answer}: {failed}"
        );
    }
}

#[tokio::test]
async fn what_the_host_can_answer_is_declared_and_nothing_else() {
    let capabilities = members(json!({"elicitation": {"form": {}}}));
    let options = ClientOptions {
        negotiation: Negotiation::Legacy,
        capabilities: capabilities.clone(),
        ..auto()
    };
    let (mut wire, connecting) = connect(options);
    assert_eq!(
        wire.next().await.unwrap()["params"]["capabilities"],
        Value::Object(capabilities)
    );
    drop(wire);
    assert!(connecting.await.unwrap().is_err());
    let (mut wire, _connecting) = connect(ClientOptions {
        negotiation: Negotiation::Legacy,
        ..auto()
    });
    assert_eq!(
        wire.next().await.unwrap()["params"]["capabilities"],
        json!({})
    );
}
