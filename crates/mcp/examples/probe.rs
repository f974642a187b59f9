//! Starts an MCP server without any wall, connects, and prints what it says of itself: `probe CMD ARGS…`.

use std::process::Stdio;

use bailiwick_mcp::{Client, ClientOptions, McpError, Negotiation};
use tokio::process::Command;

async fn connect(
    command: &[String],
    negotiation: Negotiation,
) -> Result<(Client, tokio::process::Child), McpError> {
    let io = |what: &str| McpError::Io(what.to_owned());
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io("usage: probe CMD ARGS…"))?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io(&error.to_string()))?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io("no pipes to the server"));
    };
    let options = ClientOptions {
        negotiation,
        ..ClientOptions::default()
    };
    Ok((Client::connect(from, to, options).await?, child))
}

#[tokio::main]
async fn main() -> Result<(), McpError> {
    let command: Vec<String> = std::env::args().skip(1).collect();
    let (client, _child) = match connect(&command, Negotiation::Auto).await {
        Err(McpError::GoneOnProbe { reason }) => {
            println!("ended at the probe ({reason}); started again");
            connect(&command, Negotiation::Legacy).await?
        }
        other => other?,
    };
    println!(
        "{} {:?}",
        client.revision(),
        client.server_info().map(|server| &server.name)
    );
    let list = client.list_tools().await?;
    for tool in &list.tools {
        println!("{}  {}", tool.pin(), tool.name);
    }
    for note in &list.notes {
        println!("note: {note}");
    }
    println!("malformed lines: {}", client.counters().malformed());
    Ok(())
}
