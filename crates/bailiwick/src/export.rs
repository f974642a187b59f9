//! Sends logs on while the gate runs, to the targets of `audit.export`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bailiwick_audit::{Event, Filter, Subject};
use bailiwick_capability::NetScope;
use bailiwick_export::{Exporter, Format, Handle, Header, Options, Target};
use bailiwick_gate::record::Recorder;
use bailiwick_wall::Place;
use zeroize::Zeroizing;

use crate::config::{Config, Export, HeaderValue};
use crate::home::Home;

/// How long the gate waits at its end for what is not sent yet; the rest is sent by the next one.
const GRACE: Duration = Duration::from_secs(1);

/// Exports that are ready to start.
pub(crate) struct Prepared {
    exporters: Vec<Exporter>,
    /// The secrets that they send, to be recorded before.
    uses: Vec<Event>,
}

/// The exports of a gate that runs.
pub(crate) struct Running(Vec<Handle>);

/// Reads the targets, with the values of their headers. Every log of this home is sent: one that a gate left behind
/// while its target was away is sent by the next.
pub(crate) fn prepare(config: &Config, home: &Home) -> anyhow::Result<Prepared> {
    let mut prepared = Prepared {
        exporters: Vec::new(),
        uses: Vec::new(),
    };
    for export in &config.audit.export {
        let within = || format!("`audit.export` to `{}`", export.to);
        let format: Format = export
            .format
            .parse()
            .map_err(anyhow::Error::msg)
            .with_context(within)?;
        let target = target(config, export, format).with_context(within)?;
        let headers =
            headers(config, home, export, &target, &mut prepared.uses).with_context(within)?;
        for log in home.logs() {
            let options = Options {
                target: of_log(&target, &log),
                log,
                format,
                headers: headers.clone(),
                roots: config.trusted_authorities()?,
                filter: Filter::default(),
                places: Some(home.exports()),
                tell: Arc::new(|line| eprintln!("bailiwick: {line}")),
            };
            prepared
                .exporters
                .push(Exporter::new(options).with_context(within)?);
        }
    }
    Ok(prepared)
}

/// Records the secrets that are about to be sent.
pub(crate) async fn record(recorder: &Recorder, prepared: &Prepared) -> anyhow::Result<()> {
    for event in &prepared.uses {
        recorder.durable(&Subject::default(), event.clone()).await?;
    }
    Ok(())
}

impl Prepared {
    /// Starts each on a thread of its own.
    pub(crate) fn start(self) -> Running {
        Running(self.exporters.into_iter().map(Exporter::start).collect())
    }
}

impl Running {
    /// Lets them send what there is, for a moment.
    pub(crate) fn finish(self) {
        let deadline = Instant::now() + GRACE;
        for handle in self.0 {
            // What is left is sent by the next gate.
            let _done = handle.finish(deadline);
        }
    }
}

/// A target as it is written; a file's path starts at the configuration.
fn target(config: &Config, export: &Export, format: Format) -> anyhow::Result<Target> {
    let target = Target::parse(&export.to, format)?;
    let dir = config.file.as_deref().and_then(Path::parent);
    Ok(match (target, dir) {
        (Target::Stdout, _) => bail!("standard output is the gate's own: name a file"),
        (Target::File(path), Some(dir)) => Target::File(dir.join(path)),
        (target, _) => target,
    })
}

/// The same target for one of several logs. Each has a file of its own, since a file has one writer:
/// `out.jsonl`, `out-audit-1.jsonl`.
pub(crate) fn of_log(target: &Target, log: &Path) -> Target {
    let slot = log
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    match target {
        Target::File(path) if slot != "audit" => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let ending = path
                .extension()
                .map(|ending| format!(".{}", ending.to_string_lossy()));
            Target::File(
                path.with_file_name(format!("{stem}-{slot}{}", ending.unwrap_or_default())),
            )
        }
        other => other.clone(),
    }
}

fn headers(
    config: &Config,
    home: &Home,
    export: &Export,
    target: &Target,
    uses: &mut Vec<Event>,
) -> anyhow::Result<Vec<Header>> {
    let mut headers = Vec::new();
    for (name, value) in &export.headers {
        let within = || format!("the header `{name}`");
        let found = match (&value.env, &value.secret) {
            (Some(variable), None) => variable_value(variable).with_context(within)?,
            (None, Some(secret)) => {
                let (found, to) =
                    secret_value(config, home, secret, name, target).with_context(within)?;
                uses.push(Event::SecretUse {
                    secret: secret.clone(),
                    destination: to,
                });
                found
            }
            _ => bail!(
                "the header `{name}`: write where its value is kept, as `{{env: NAME}}` or `{{secret: NAME}}`"
            ),
        };
        headers.push(Header::new(name, prefixed(value, &found))?);
    }
    Ok(headers)
}

fn prefixed(value: &HeaderValue, found: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(value.prefix.len() + found.len()));
    whole.extend_from_slice(value.prefix.as_bytes());
    whole.extend_from_slice(found);
    whole
}

/// The value of an environment variable of ours.
pub(crate) fn variable_value(variable: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let value =
        std::env::var(variable).with_context(|| format!("the variable `{variable}` is not set"))?;
    Ok(Zeroizing::new(value.into_bytes()))
}

/// A secret's value, if it may go there in that header; and where it goes.
fn secret_value(
    config: &Config,
    home: &Home,
    secret: &str,
    header: &str,
    target: &Target,
) -> anyhow::Result<(Zeroizing<Vec<u8>>, String)> {
    let Target::Http(uri) = target else {
        bail!("only http and https carry headers");
    };
    bailiwick_secret::protect()?;
    let (value, binding) = crate::secret::store(config, home)?
        .get(secret)?
        .with_context(|| {
            format!("there is no secret `{secret}`: keep it with `bailiwick secret set {secret}`")
        })?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let place = format!(
        "{scheme}://{}",
        uri.authority().map_or("", |authority| authority.as_str())
    );
    let destination =
        NetScope::parse(&place).map_err(|error| anyhow::anyhow!("{place}: {}", error.message()))?;
    let same = |bound: &NetScope| {
        (bound.scheme(), bound.host(), bound.port())
            == (destination.scheme(), destination.host(), destination.port())
    };
    ensure!(
        binding.to.iter().any(same),
        "the secret `{secret}` may not go to {destination}: keep it with `bailiwick secret set {secret} --to {destination}`"
    );
    ensure!(
        binding
            .places
            .contains(&Place::Header(header.to_lowercase())),
        "the secret `{secret}` may not stand in the header `{header}`: keep it with `--place header:{header}`"
    );
    Ok((
        Zeroizing::new(value.expose().to_vec()),
        destination.to_string(),
    ))
}
