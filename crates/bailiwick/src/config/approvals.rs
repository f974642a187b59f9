//! Who says yes to what policy asks a person about.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

/// How long a question waits where nothing is said.
const PATIENCE: Duration = Duration::from_secs(300);

/// Who is asked, and how long their answer is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Approvals {
    /// Names, each with a public key; the gate's own user where there are none.
    pub(crate) approvers: BTreeMap<String, String>,
    /// Whether an answer at the agent's own client counts, where one person is enough.
    pub(crate) client: bool,
    /// Such as `90s` or `5m`.
    patience: Option<String>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            approvers: BTreeMap::new(),
            client: true,
            patience: None,
        }
    }
}

impl Approvals {
    /// How long a question waits before it is refused.
    pub(crate) fn patience(&self) -> anyhow::Result<Duration> {
        let Some(text) = &self.patience else {
            return Ok(PATIENCE);
        };
        bailiwick_manifest::time(text)
            .filter(|time| !time.is_zero())
            .with_context(|| {
                format!("approvals.patience: `{text}` is no time: write `90s` or `5m`")
            })
    }
}
