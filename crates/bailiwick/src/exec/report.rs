//! `--json FILE`: what was asked, granted and refused, and how it ended.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use bailiwick_gate::admit::lines;
use bailiwick_gate::assess::Assessment;
use serde_json::{Map, Value, json};

use crate::check::atom_json;

/// The report, as far as it is known. It is written once, in the end, whatever the end is.
pub(super) struct Report {
    file: Option<File>,
    parts: Map<String, Value>,
}

impl Report {
    /// Opens the file before anything runs. An existing one is replaced; it may be a device or pipe, such as
    /// `/dev/fd/3`.
    pub(super) fn open(path: Option<&Path>, command: &[String]) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            options
                .open(path)
                .with_context(|| format!("cannot write the report `{}`", path.display()))
        };
        let parts = [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("command", json!(command)),
            ("asked", json!([])),
            ("granted", json!([])),
            (
                "refused_by_wall",
                json!({ "operations": [], "not_listed": 0 }),
            ),
            ("limits_reached", json!([])),
        ];
        Ok(Self {
            file: path.map(open).transpose()?,
            parts: parts
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        })
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.parts.insert(name.to_owned(), value);
    }

    /// What became of what was asked.
    pub(super) fn assessed(&mut self, assessment: &Assessment) {
        let asked: Vec<Value> = assessment.rows.iter().map(atom_json).collect();
        self.set("asked", Value::Array(asked));
        if assessment.loadable() {
            self.set("granted", json!(lines(&assessment.grant)));
        }
    }

    /// Writes it. `outcome` is `ended`, `explained`, `refused`, `no_wall`, `limit` or `error`.
    pub(super) fn write(
        mut self,
        outcome: &str,
        status: u8,
        message: Option<&str>,
    ) -> anyhow::Result<()> {
        self.set(
            "outcome",
            json!({ "kind": outcome, "status": status, "message": message }),
        );
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&Value::Object(self.parts))?;
        writeln!(file, "{text}").context("cannot write the report")
    }
}
