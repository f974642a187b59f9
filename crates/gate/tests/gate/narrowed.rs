//! An agent's host narrows a token for a sub-agent, and the gate holds the sub-agent to it.

use bailiwick_audit::Event;
use bailiwick_gate::Session;
use bailiwick_gate::session::Beside;
use bailiwick_mcp::CallToolResult;
use bailiwick_token::{Keys, Narrowing, Token, attenuate};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::house::{DOCS, House, READER, arguments, refusal};

struct Stage {
    house: House,
    session: Session,
}

async fn stage() -> Stage {
    let house = House::new(DOCS);
    std::fs::create_dir(house.root().join("docs/sub")).unwrap();
    std::fs::write(house.root().join("docs/sub/deep.txt"), "four").unwrap();
    let session = house.open(vec![house.notebook(READER)]).await;
    Stage { house, session }
}

fn narrower(token: &str, grant: &[String], expires: Option<i64>) -> String {
    let atoms = grant.iter().map(|atom| atom.parse().unwrap());
    let to = Narrowing {
        grant: bailiwick_capability::Grant::new(atoms),
        expires,
        by: None,
    };
    attenuate(&Token::from_base64(token).unwrap(), &to)
        .unwrap()
        .to_base64()
}

impl Stage {
    fn token(&self) -> String {
        self.session.plugins()[0].admitted.token_base64()
    }

    fn for_sub(&self, expires: Option<i64>) -> String {
        narrower(
            &self.token(),
            &[format!("read_files:{}/sub/", self.house.docs())],
            expires,
        )
    }

    async fn call(&self, note: &str, token: Option<&str>) -> CallToolResult {
        let beside = Beside {
            token: token.map(|token| Ok(token.to_owned())),
            ..Beside::default()
        };
        let arguments = arguments(json!({ "path": format!("{}/{note}", self.house.docs()) }));
        let cancel = CancellationToken::new();
        let called = self
            .session
            .call_with("notebook__read-note", arguments, beside, &cancel);
        called.await.unwrap()
    }

    async fn reads(&self, note: &str, token: Option<&str>) -> bool {
        !self.call(note, token).await.is_error
    }

    async fn code(&self, token: &str) -> String {
        let result = self.call("sub/deep.txt", Some(token)).await;
        refusal(&result)["code"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_narrowed_token_is_enforced_and_the_session_keeps_its_own() {
    let stage = stage().await;
    let token = stage.for_sub(None);
    assert!(stage.reads("sub/deep.txt", Some(&token)).await);
    assert!(
        !stage.reads("note.txt", Some(&token)).await,
        "beside what the token says"
    );
    assert!(
        stage.reads("note.txt", None).await,
        "the agent itself keeps all"
    );
    assert!(
        stage.reads("note.txt", Some(&stage.token())).await,
        "a token that was not narrowed says the same"
    );
    assert!(stage.reads("sub/deep.txt", Some(&token)).await);
    assert_eq!(
        stage.house.steps.counts()[1],
        3,
        "a plugin for each token, started once"
    );
    let starts = stage.house.events("plugin_start");
    let Event::PluginStart { grant, .. } = &starts[1] else {
        panic!("{starts:?}")
    };
    assert_eq!(
        grant,
        &[format!("read_files:{}/sub/", stage.house.docs())],
        "its wall is built from the token"
    );
}

#[tokio::test]
async fn only_a_token_of_this_session_and_this_plugin_narrows() {
    let stage = stage().await;
    let other = self::stage().await;
    let foreign = other.for_sub(None);
    let mut torn = stage.for_sub(None);
    torn.truncate(torn.len() / 2);
    let nothing = narrower(&stage.token(), &[], None);
    for token in [foreign.as_str(), torn.as_str(), "", "null"] {
        assert_eq!(stage.code(token).await, "token_refused");
    }
    assert_eq!(stage.house.events("token_refused").len(), 4);
    let refused = stage.code(&nothing).await;
    assert!(
        ["token_refused", "capability_missing"].contains(&refused.as_str()),
        "{refused}"
    );
    let forged = bailiwick_token::mint(
        &Keys::generate(),
        &bailiwick_token::Claims {
            session: stage.session.id.clone(),
            plugin: "notebook".to_owned(),
            plugin_version: "1.0.0".to_owned(),
            plugin_digest: stage.session.plugins()[0].admitted.source.digest,
            user: "ann".to_owned(),
            agent: "tester".to_owned(),
            grant: bailiwick_capability::Grant::new(["read_files:/".parse().unwrap()]),
            asks: bailiwick_token::Asks::default(),
            issued: 1_800_000_000,
            expires: 1_800_001_000,
        },
    );
    assert_eq!(
        stage.code(&forged.unwrap().to_base64()).await,
        "token_refused"
    );
}

#[tokio::test]
async fn a_narrowed_token_ends_by_itself_or_by_revocation_and_nobody_else_does() {
    let stage = stage().await;
    let short = stage.for_sub(Some(1_800_000_060));
    assert!(stage.reads("sub/deep.txt", Some(&short)).await);
    stage.house.clock.pass(61);
    assert_eq!(stage.code(&short).await, "token_refused");
    stage.session.end_lapsed().await.unwrap();
    assert_eq!(
        stage.house.events("plugin_end").len(),
        1,
        "its plugin is ended"
    );
    let revoked = stage.for_sub(None);
    assert!(stage.reads("sub/deep.txt", Some(&revoked)).await);
    let ids =
        bailiwick_token::inspect(&Token::from_base64(&revoked).unwrap(), 1_800_000_100).unwrap();
    let last = ids.revocation_ids.last().map(hex::encode).unwrap();
    stage.house.revoked.revoke("id", &last);
    assert_eq!(stage.code(&revoked).await, "grant_revoked");
    assert!(stage.reads("note.txt", None).await);
}

#[tokio::test]
async fn narrowed_plugins_have_a_number_and_end_with_the_session() {
    let stage = stage().await;
    for number in 0..20 {
        let token = stage.for_sub(Some(1_800_000_500 + number));
        let reads = stage.reads("sub/deep.txt", Some(&token)).await;
        assert_eq!(reads, number < 16, "{number}");
    }
    stage.session.close("over").await.unwrap();
    assert_eq!(stage.house.events("plugin_end").len(), 17);
}
