//! The story: what the plugins ask and get, what works, what is stopped, and how it is proved afterwards.

use std::path::Path;
use std::sync::Arc;

use bailiwick_audit::{Filter, query, read_verifier_key, render, verify};
use bailiwick_capability::{Grant, Granted};
use bailiwick_gate::discover::discover;
use bailiwick_gate::world::Source;
use bailiwick_gate::{Gate, Host};
use bailiwick_policy::Agent;
use bailiwick_wall::Limits;
use bailiwick_wasm::{Aside, Wasm};
use serde_json::{Value, json};

use super::attack::{self, Attack};
use super::client::Connection;
use super::stage::{Stage, copy};
use super::teller::{Mark, Teller, brief};
use crate::assemble::{Parts, host};
use crate::check;
use crate::config::Config;
use crate::home::Home;

pub(super) async fn tell(teller: &mut Teller) -> anyhow::Result<()> {
    let stage = Stage::build().await?;
    let config = Config {
        plugins: vec![stage.path("plugins")],
        policies: vec![stage.path("policies")],
        environment: "demonstration".to_owned(),
        ..Config::default()
    };
    let home = Home::at(stage.path("state"));
    let parts = Parts {
        config: &config,
        home: &home,
        progress: Arc::new(|_| {}),
        ..Parts::new(&config, &home, &[])
    };
    let host = Arc::new(host(&parts)?);
    let sources = discover(&stage.path("plugins"))?;

    teller
        .say("Three plugins lie in a folder. Two are Wasm components, one is a native MCP server.");
    teller.say("None is trusted. Nothing of them has run yet.");
    asked_and_granted(teller, &host, &sources);
    let gate = Arc::new(Gate::new(host.clone(), sources, true, Arc::new(|_, _| {})));
    gate.begin().await?;
    let agent = Connection::gate(gate.clone()).await?;
    what_works(teller, &stage, &agent).await?;
    native_attacks(teller, &stage, &agent).await?;
    wasm_attacks(teller, &stage, &agent).await?;
    gate.end("the demonstration is over").await?;
    agent.end().await;
    // The last one to go closes the log: a copy of it is whole then.
    drop((gate, host));
    the_log(teller, &home.audit(0), &stage.path("tampered"))
}

fn asked_and_granted(teller: &mut Teller, host: &Host, sources: &[Source]) {
    teller.chapter("What they ask, what they get, and why");
    let agent = Agent {
        name: "demo-agent".to_owned(),
        version: "1.0.0".to_owned(),
    };
    for source in sources {
        let assessment = host.judge.assess("demo", &agent, source);
        if teller.aloud() {
            check::show(&host.judge, source, &assessment);
        }
        let loads = assessment.is_ok_and(|assessment| assessment.loadable());
        let mark = if loads { Mark::Good } else { Mark::Bad };
        let id = source.manifest.id();
        teller.step(
            mark,
            &format!("decide on `{id}`"),
            if loads {
                "it may be loaded"
            } else {
                "it may not be loaded"
            },
        );
    }
}

async fn what_works(teller: &mut Teller, stage: &Stage, agent: &Connection) -> anyhow::Result<()> {
    teller.chapter("What works");
    let tools = agent.tools().await?;
    teller.step(
        Mark::Good,
        &format!("list tools (MCP {})", agent.revision()),
        &tools.join(", "),
    );
    let minutes = stage.text("docs/minutes.txt");
    let url = format!("http://127.0.0.1:{}/public/hello", stage.port);
    for (tool, arguments, expected) in [
        (
            "notebook__word-count",
            json!({ "text": "one gate, many plugins" }),
            "4",
        ),
        ("notebook__read-note", json!({ "path": minutes }), "cake"),
        (
            "courier__fetch",
            json!({ "method": "GET", "url": url }),
            "public/hello",
        ),
        ("scribe__read_note", json!({ "path": minutes }), "cake"),
    ] {
        let result = agent.call(tool, &arguments).await?;
        let text = result.all_text();
        let mark = if !result.is_error && text.contains(expected) {
            Mark::Good
        } else {
            Mark::Bad
        };
        teller.step(mark, &format!("{tool} {arguments}"), &brief(&text));
    }
    Ok(())
}

async fn native_attacks(
    teller: &mut Teller,
    stage: &Stage,
    agent: &Connection,
) -> anyhow::Result<()> {
    teller.chapter(
        "What the native plugin tries: first as agents usually run it, then behind the gate",
    );
    let bare = Connection::bare(&stage.program()?, &["demo-plugin"]).await?;
    for attack in attack::native(stage) {
        attack.reset(stage)?;
        let answer = bare.call(attack.tool, &attack.arguments).await?.all_text();
        let worked = attack.worked(stage, &answer).await?;
        without_wall(teller, attack.what, worked, &answer);
        attack.reset(stage)?;
        let answer = agent
            .call(&format!("scribe__{}", attack.tool), &attack.arguments)
            .await?
            .all_text();
        behind_wall(
            teller,
            &attack,
            attack.worked(stage, &answer).await?,
            &answer,
        );
    }
    Ok(())
}

fn without_wall(teller: &mut Teller, what: &str, worked: bool, answer: &str) {
    let mark = if worked { Mark::Bare } else { Mark::Bad };
    let outcome = if worked {
        "it worked"
    } else {
        "it did not even work here"
    };
    teller.step(
        mark,
        &format!("without a wall: {what}"),
        &format!("{outcome}: {}", brief(answer)),
    );
}

fn behind_wall(teller: &mut Teller, attack: &Attack, worked: bool, answer: &str) {
    let mark = if worked { Mark::Bad } else { Mark::Good };
    let outcome = if worked { "IT WORKED" } else { "stopped" };
    teller.step(
        mark,
        &format!("behind the gate: {}", attack.what),
        &format!("{outcome}: {}", brief(answer)),
    );
}

/// Components are attacked from a world with everything in it, then from their own.
async fn wasm_attacks(
    teller: &mut Teller,
    stage: &Stage,
    agent: &Connection,
) -> anyhow::Result<()> {
    teller.chapter("What the components try: first with everything granted, then with their grant");
    let key = json!({ "path": stage.text("keys/id_ed25519") });
    let wide = wide_plugin(
        stage,
        "notebook",
        &format!("read_files:{}/", stage.text("")),
    )?;
    let opened = wide_call(&wide, "read-note", &key).await;
    without_wall(
        teller,
        "read a private key",
        opened.contains(super::stage::KEY),
        &opened,
    );
    let answer = agent.call("notebook__read-note", &key).await?.all_text();
    held(
        teller,
        "read a private key",
        !answer.contains(super::stage::KEY),
        &answer,
    );

    let port = stage.port;
    let url = format!("http://127.0.0.1:{port}/private/salaries");
    let request = json!({ "method": "GET", "url": url });
    let wide = wide_plugin(
        stage,
        "courier",
        &format!("network_access:http://127.0.0.1:{port}"),
    )?;
    stage.requests.forget();
    let answer = wide_call(&wide, "fetch", &request).await;
    without_wall(
        teller,
        "fetch outside the granted path",
        stage.requests.saw("/private/"),
        &answer,
    );
    stage.requests.forget();
    let answer = agent.call("courier__fetch", &request).await?.all_text();
    held(
        teller,
        "fetch outside the granted path",
        !stage.requests.saw("/private/"),
        &answer,
    );

    let bytes = std::fs::read(stage.path("plugins/courier/plugin.wasm"))?;
    let refused = Wasm::new(None)?.load(&bytes, &Grant::default(), Vec::new(), &Limits::default());
    let (fine, why) = match refused {
        Ok(_) => (false, "it was loaded".to_owned()),
        Err(error) => (true, error.to_string()),
    };
    held(
        teller,
        "load a component that imports HTTP without any grant",
        fine,
        &why,
    );
    Ok(())
}

fn held(teller: &mut Teller, what: &str, fine: bool, answer: &str) {
    let (mark, outcome) = if fine {
        (Mark::Good, "stopped")
    } else {
        (Mark::Bad, "IT WORKED")
    };
    teller.step(
        mark,
        &format!("with its grant: {what}"),
        &format!("{outcome}: {}", brief(answer)),
    );
}

fn wide_plugin(stage: &Stage, name: &str, atom: &str) -> anyhow::Result<bailiwick_wasm::Plugin> {
    let bytes = std::fs::read(stage.path(&format!("plugins/{name}/plugin.wasm")))?;
    let grant = Grant::new([atom.parse::<Granted>()?]);
    Ok(Wasm::new(None)?.load(&bytes, &grant, Vec::new(), &Limits::default())?)
}

async fn wide_call(plugin: &bailiwick_wasm::Plugin, tool: &str, arguments: &Value) -> String {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    match plugin.call(tool, &arguments, &mut Aside::default()).await {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

fn the_log(teller: &mut Teller, log: &Path, copy_to: &Path) -> anyhow::Result<()> {
    teller.chapter("What is proved afterwards");
    let refusals = Filter {
        decision: Some(bailiwick_audit::Outcome::Deny),
        ..Filter::default()
    };
    let refusals = query(log, refusals).collect::<Result<Vec<_>, _>>()?;
    for stored in refusals.iter().rev().take(4).rev() {
        teller.say(&format!("    {}", render(stored.index, &stored.entry()?)));
    }
    let calls = Filter {
        kind: Some("tool_call".to_owned()),
        ..Filter::default()
    };
    let calls = query(log, calls).count();
    let seen = format!("{calls} calls that ran, {} refusals", refusals.len());
    teller.step(
        if refusals.is_empty() {
            Mark::Bad
        } else {
            Mark::Good
        },
        "read the audit log",
        &seen,
    );
    let key = read_verifier_key(log)?;
    match verify(log, &key, None) {
        Ok(fine) => {
            let text = format!(
                "{} entries, all as they were signed; root {}",
                fine.size, fine.root
            );
            teller.step(Mark::Good, "verify the audit log", &text);
        }
        Err(report) => teller.step(Mark::Bad, "verify the audit log", &format!("{report}")),
    }
    copy(log, copy_to)?;
    let changed = tamper(copy_to)?;
    match verify(copy_to, &key, None) {
        Ok(_) => teller.step(Mark::Bad, &format!("tamper: {changed}"), "NOT NOTICED"),
        Err(report) => {
            let first = report.first().map(ToString::to_string).unwrap_or_default();
            teller.step(
                Mark::Good,
                &format!("tamper with a copy: {changed}"),
                &format!("caught: {first}"),
            );
        }
    }
    Ok(())
}

/// Makes a refusal look like a grant, as somebody with the disk in hand might, wherever the log keeps it.
fn tamper(log: &Path) -> anyhow::Result<String> {
    let (from, to) = (b"call_refused".as_slice(), b"call_allowed".as_slice());
    let mut changed = Vec::new();
    let mut folders = vec![log.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path)?;
            let found = bytes.windows(from.len()).position(|window| window == from);
            if let Some(place) = found.and_then(|at| bytes.get_mut(at..at + to.len())) {
                place.copy_from_slice(to);
                std::fs::write(&path, bytes)?;
                changed.push(
                    path.strip_prefix(log)
                        .unwrap_or(&path)
                        .display()
                        .to_string(),
                );
            }
        }
    }
    anyhow::ensure!(!changed.is_empty(), "no refusal was recorded");
    Ok(format!(
        "`call_refused` becomes `call_allowed` in {}",
        changed.join(" and ")
    ))
}
