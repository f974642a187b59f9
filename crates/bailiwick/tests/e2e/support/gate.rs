//! A client of the wire itself: it sees every line that the gate writes, and can send any.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// The two families of protocol revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// 2026-07-28: stateless.
    Modern,
    /// `initialize` and 2025-11-25.
    Legacy,
}

/// A test that waits longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A gate and the connection to it.
pub(crate) struct Gate {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    stderr: Option<JoinHandle<String>>,
    family: Family,
    capabilities: Value,
    next: i64,
}

/// A question of the gate's for the user of its client.
pub(crate) struct Elicited {
    /// As `elicitation/create` has them.
    pub(crate) params: Value,
    call: Value,
    id: Value,
}

impl Gate {
    pub(crate) fn start(command: Command, family: Family) -> Self {
        Self::start_with(command, family, json!({}))
    }

    /// A client that declares these capabilities.
    pub(crate) fn start_with(mut command: Command, family: Family, capabilities: Value) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                let message = serde_json::from_str(&line);
                // Whatever is no JSON is a message too: a text that no test expects.
                if send.send(message.unwrap_or(Value::String(line))).is_err() {
                    return;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut gate = Self {
            stdin: child.stdin.take(),
            child,
            lines,
            stderr: Some(stderr),
            family,
            capabilities,
            next: 1,
        };
        if family == Family::Legacy {
            gate.greet();
        }
        gate
    }

    fn greet(&mut self) {
        let answer = self.request(
            "initialize",
            json!({ "protocolVersion": "2025-11-25", "capabilities": self.capabilities,
                    "clientInfo": { "name": "e2e", "version": "1" } }),
        );
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-11-25",
            "{answer}"
        );
        self.raw(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    /// Sends a line as it is.
    pub(crate) fn raw(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the gate's input is open");
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    /// Sends a request and gives its id.
    pub(crate) fn send(&mut self, method: &str, mut params: Value) -> i64 {
        let id = self.next;
        self.next += 1;
        if self.family == Family::Modern {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "e2e", "version": "1" });
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.raw(&message.to_string());
        id
    }

    /// The next line that the gate writes.
    pub(crate) fn next(&mut self) -> Value {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(_) => {
                let _ = self.child.kill();
                panic!("the gate says nothing more:\n{}", self.words());
            }
        }
    }

    /// The answer to `id`, whatever comes before it.
    pub(crate) fn answer(&mut self, id: i64) -> Value {
        loop {
            let message = self.next();
            if message["id"] == id && message["method"].is_null() {
                return message;
            }
        }
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// The names of the tools that are offered.
    pub(crate) fn tools(&mut self) -> Vec<String> {
        let answer = self.request("tools/list", json!({}));
        let tools = answer["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("no tools: {answer}"));
        let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
        tools.iter().map(name).collect()
    }

    pub(crate) fn send_call(&mut self, tool: &str, arguments: Value) -> i64 {
        self.send(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
    }

    /// The result of a call with these parameters.
    pub(crate) fn call_with(&mut self, params: Value) -> Value {
        let id = self.send("tools/call", params);
        self.result(id)
    }

    /// The result of a call.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send_call(tool, arguments);
        self.result(id)
    }

    /// What the gate asks the user about the call `id`, in its family's way.
    pub(crate) fn elicited(&mut self, id: i64, tool: &str, arguments: &Value) -> Elicited {
        let call = json!({ "id": id, "name": tool, "arguments": arguments });
        if self.family == Family::Modern {
            let mut asked = self.result(id);
            assert_eq!(asked["resultType"], "input_required", "{asked}");
            let mut request = asked["inputRequests"]["approval"].take();
            assert_eq!(request["method"], "elicitation/create");
            let (params, id) = (request["params"].take(), asked["requestState"].take());
            return Elicited { params, call, id };
        }
        loop {
            let mut message = self.next();
            if message["method"] == "elicitation/create" {
                let (params, id) = (message["params"].take(), message["id"].take());
                return Elicited { params, call, id };
            }
        }
    }

    /// Answers for the user, and gives what became of the call.
    pub(crate) fn answer_elicited(&mut self, asked: &Elicited, result: &Value) -> Value {
        let call = &asked.call;
        if self.family == Family::Modern {
            let params = json!({
                "name": call["name"], "arguments": call["arguments"],
                "inputResponses": { "approval": result }, "requestState": asked.id,
            });
            let id = self.send("tools/call", params);
            return self.result(id);
        }
        self.raw(&json!({ "jsonrpc": "2.0", "id": asked.id, "result": result }).to_string());
        self.result(call["id"].as_i64().unwrap())
    }

    /// The result with this id.
    pub(crate) fn result(&mut self, id: i64) -> Value {
        let answer = self.answer(id);
        assert!(answer["result"].is_object(), "no result: {answer}");
        answer["result"].clone()
    }

    /// The result of a call; `None` when the gate has ended instead.
    pub(crate) fn call_unless_ended(&mut self, tool: &str, arguments: &Value) -> Option<Value> {
        let id = self.next;
        self.next += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let message =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let stdin = self.stdin.as_mut()?;
        writeln!(stdin, "{message}").ok()?;
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(message) if message["id"] == id => return Some(message["result"].clone()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Waits for a gate that ends by itself. Gives its status and what it said to its operator.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = self.wait();
        (status, self.words())
    }

    /// Ends the input, and waits for the gate to end well. Gives what it said to its operator.
    pub(crate) fn end(mut self) -> String {
        drop(self.stdin.take());
        let status = self.wait();
        let words = self.words();
        assert_eq!(status, Some(0), "the gate ended badly:\n{words}");
        words
    }

    fn wait(&mut self) -> Option<i32> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            if std::time::Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("the gate does not end:\n{}", self.words());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn words(&mut self) -> String {
        self.stderr
            .take()
            .map(|thread| thread.join().unwrap())
            .unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The code of a refusal or failure that the gate made; empty for a plugin's own result.
pub(crate) fn code(result: &Value) -> &str {
    let own = told(result);
    assert!(
        own.is_null() || result["isError"] == true,
        "a refusal that is no error: {result}"
    );
    own["code"].as_str().unwrap_or_default()
}

/// What the gate says of a refusal, for machines. Where a tool declares what its structured content looks
/// like, it is in `_meta` alone; else in both places.
pub(crate) fn told(result: &Value) -> &Value {
    let own = &result["_meta"]["bailiwick"];
    let structured = &result["structuredContent"]["bailiwick"];
    assert!(structured.is_null() || structured == own, "{result}");
    own
}

/// The text of a result.
pub(crate) fn text(result: &Value) -> String {
    let blocks = result["content"].as_array().cloned().unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}
