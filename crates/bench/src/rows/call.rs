//! One tool call of a native MCP server: through the gate in front of its wall, directly, and through a dumb relay.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bailiwick_mcp::{Client, ClientOptions, ToolCall};
use serde_json::{Map, Value};
use tokio::process::{Child, Command};

use super::Effort;
use crate::Outcome;
use crate::sample::{Row, Side, compare};

const PATIENCE: Duration = Duration::from_secs(60);

/// Our own echo server, which costs next to nothing itself.
pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let server = [text(&std::env::current_exe()?)?, "echo-server".to_owned()];
    measure_server("MCP call of 200 B, lean server", &server, effort)
}

/// A server as people run them, on Node.
pub(crate) fn measure_node(effort: Effort) -> Outcome<Vec<Row>> {
    let root = std::env::var_os("BAILIWICK_REAL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/real"),
        PathBuf::from,
    );
    let script = root.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    let script = script
        .canonicalize()
        .map_err(|_| "server-everything is not there; run `cargo xtask setup`")?;
    let server = ["node".to_owned(), text(&script)?];
    measure_server("MCP call of 200 B, server-everything", &server, effort)
}

fn measure_server(name: &str, server: &[String], effort: Effort) -> Outcome<Vec<Row>> {
    let gate = gate_program()?;
    let relay = text(&std::env::current_exe()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let home = tempfile::tempdir()?;
    let connect = |first: &[&str]| {
        let words: Vec<&str> = first
            .iter()
            .copied()
            .chain(server.iter().map(String::as_str))
            .collect();
        runtime.block_on(Connection::open(&words, home.path()))
    };
    let through_gate = connect(&[&gate, "serve", "--"])?;
    let direct = connect(&[])?;
    let relayed = connect(&[&relay, "relay"])?;

    let message = "x".repeat(200);
    let arguments = Map::from_iter([("message".to_owned(), Value::String(message.clone()))]);
    let ask = |connection: &Connection| runtime.block_on(connection.echo(&arguments, &message));
    let mut sides = [
        Side::new("gate", || ask(&through_gate)),
        Side::new("direct", || ask(&direct)),
        Side::new("byte relay", || ask(&relayed)),
    ];
    compare(name, effort.plan(2000, 1), &mut sides)
}

/// `bailiwick`, built beside this program.
fn gate_program() -> Outcome<String> {
    let gate = std::env::current_exe()?.with_file_name("bailiwick");
    if !gate.is_file() {
        let shown = gate.display();
        return Err(format!(
            "there is no `{shown}`; build it with `cargo build --release -p bailiwick`"
        )
        .into());
    }
    text(&gate)
}

fn text(path: &Path) -> Outcome<String> {
    let path = path.to_str().ok_or("this program's path is not UTF-8")?;
    Ok(path.to_owned())
}

struct Connection {
    client: Client,
    _child: Child,
}

impl Connection {
    async fn open(words: &[&str], home: &Path) -> Outcome<Self> {
        let (program, args) = words.split_first().ok_or("no program")?;
        let mut child = Command::new(program)
            .args(args)
            .env("BAILIWICK_HOME", home.join("state"))
            // Not the configuration of whoever measures.
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let to = child.stdin.take().ok_or("no pipe to the server")?;
        let from = child.stdout.take().ok_or("no pipe from the server")?;
        let client = Client::connect(from, to, ClientOptions::default()).await?;
        client.list_tools().await?;
        Ok(Self {
            client,
            _child: child,
        })
    }

    async fn echo(&self, arguments: &Map<String, Value>, message: &str) -> Outcome {
        let call = ToolCall::new("echo", arguments.clone());
        let answer = self.client.call_tool(call, PATIENCE).await?.complete()?;
        if answer.is_error || !answer.all_text().contains(message) {
            return Err(format!("the answer is {:?}", answer.all_text()).into());
        }
        Ok(())
    }
}
