//! Answers for good, in a file of policies beside the keys.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bailiwick_approval::{About, Choice, Question};
use bailiwick_audit::{Clock as _, SystemClock};
use bailiwick_gate::approve::Standing;
use bailiwick_policy::{PolicySource, StandingAnswer};
use rustix::fs::FlockOperation;

use crate::home::Home;
use crate::origin::Origin;

/// Where answers for good stand.
fn file(home: &Home) -> PathBuf {
    home.path().join("approved.cedar")
}

/// The policies as their files say now, and the file that grows.
pub(crate) struct Policies(pub(crate) Origin);

impl Standing for Policies {
    fn keep(&self, question: &Question, choice: Choice, by: &str) -> Result<(), String> {
        self.write(question, choice, by)
            .map_err(|error| format!("it cannot be kept for good: {error:#}"))
    }
}

impl Policies {
    fn write(&self, question: &Question, choice: Choice, by: &str) -> anyhow::Result<()> {
        let (tool, what) = match &question.about {
            About::Call { tool, .. } => (Some(tool.as_str()), format!("`{tool}`")),
            About::Atoms(_) => (None, format!("capabilities of `{}`", question.plugin)),
        };
        let (yes, word) = match choice {
            Choice::Ever => (true, "yes"),
            _ => (false, "no"),
        };
        let at = bailiwick_audit::format_time(SystemClock.now());
        let asked = question.policies.join("`, `");
        let id = question.id.get(..16).unwrap_or(&question.id);
        let path = file(self.0.home());
        let _alone = lock(&path)?;
        let (pdp, mut fresh) = self.0.policies()?;
        let written = pdp.standing(&StandingAnswer {
            id: &format!("answered-{id}"),
            asked: &question.policies,
            user: &question.user,
            plugin: &question.plugin,
            digest: &format!("sha256:{}", question.digest),
            tool,
            yes,
            reason: &format!(
                "{by} said {word} for good on {at}, when `{asked}` asked about {what}."
            ),
        });
        let text = written.map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let name = path.display().to_string();
        let grown = format!("{}{text}\n", read(&path)?);
        let policies = &mut fresh.sources.policies;
        policies.retain(|source| source.name != name);
        policies.push(PolicySource::new(name, grown.clone()));
        // What would keep the next gate from starting is not written.
        fresh.sources.load(&fresh.classification)?;
        crate::whole::replace(&path, &grown)
    }
}

/// The file as policies; none where nobody answered for good.
pub(crate) fn source(home: &Home) -> anyhow::Result<Option<PolicySource>> {
    let path = file(home);
    let text = read(&path)?;
    let source = PolicySource::new(path.display().to_string(), text);
    Ok((!source.text.is_empty()).then_some(source))
}

/// What stands there; nothing where there is no file.
fn read(path: &Path) -> anyhow::Result<String> {
    match crate::trusted::read(path) {
        Err(_)
            if path
                .symlink_metadata()
                .is_err_and(|error| error.kind() == ErrorKind::NotFound) =>
        {
            Ok(String::new())
        }
        text => text,
    }
}

/// Held until it is dropped; gates that run at the same time take turns.
fn lock(path: &Path) -> anyhow::Result<File> {
    let aside = path.with_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&aside)
        .with_context(|| format!("cannot open `{}`", aside.display()))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}
