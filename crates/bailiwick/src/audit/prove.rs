//! `bailiwick audit prove` and `check-proof`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use bailiwick_audit::{
    Checkpoint, ProveError, ProvenEntry, VerifierKey, cosigned_note, escape, prove_continuation,
    prove_entry, published_note, read_verifier_key, render,
};
use bailiwick_tlog::{
    MAX_PROOF_BYTES, SignedNote, Submission, TlogProof, WitnessKey, tree_root, verify_consistency,
};
use bailiwick_witness::{Cosigned, QuorumError, cosigned_by};
use clap::Args;
use serde_json::{Value, json};

use crate::report::{FINE, FOUND, say};

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// The entry's index
    #[arg(
        value_name = "ENTRY",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    entry: Option<u64>,
    /// Prove that the log continues this older checkpoint, instead of an entry
    #[arg(long, value_name = "CHECKPOINT")]
    from: Option<PathBuf>,
    /// The newer checkpoint; the published one unless named
    #[arg(long, value_name = "CHECKPOINT")]
    to: Option<PathBuf>,
    /// Leave out what opens sealed values: the proof then shows no personal data
    #[arg(long)]
    without_private: bool,
    /// Prove against the newest checkpoint that witnesses cosigned, if that is older than the published one
    #[arg(long, conflicts_with_all = ["from", "to"])]
    cosigned: bool,
    /// The log's verifier key; the one beside the log unless named
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the proof goes; standard output unless named
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The proof
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The log's verifier key, as text or in a file, from somebody you trust: not from whoever gave you the proof
    #[arg(long, value_name = "KEY")]
    key: String,
    #[command(flatten)]
    quorum: QuorumArgs,
    /// The older checkpoint that the log has to continue, where the proof is of that
    #[arg(long, value_name = "CHECKPOINT")]
    from: Option<PathBuf>,
}

/// Which witnesses have to have cosigned.
#[derive(Debug, Default, Args)]
pub(crate) struct QuorumArgs {
    /// The key of a witness that you trust, as text or in a file
    #[arg(long = "witness", value_name = "KEY")]
    witnesses: Vec<String>,
    /// How many of the witnesses named have to have cosigned; all of them unless said
    #[arg(long, value_name = "NUMBER", requires = "witnesses")]
    at_least: Option<usize>,
}

impl QuorumArgs {
    /// Who of the witnesses named cosigned.
    pub(crate) fn check(&self, note: &SignedNote) -> anyhow::Result<Vec<Cosigned>> {
        Ok(self.quorum(note)??)
    }

    fn quorum(&self, note: &SignedNote) -> anyhow::Result<Result<Vec<Cosigned>, QuorumError>> {
        let keys = self.keys()?;
        let at_least = self.at_least.unwrap_or(keys.len());
        ensure!(
            at_least <= keys.len(),
            "--at-least {at_least} asks for more witnesses than are named with --witness"
        );
        Ok(cosigned_by(note, &keys, at_least))
    }

    /// The newest checkpoint of a log that enough of the witnesses named cosigned, where any are named: the published
    /// one, else the one that is kept beside it. The inner error says that there is none.
    pub(crate) fn newest_cosigned(
        &self,
        dir: &Path,
    ) -> anyhow::Result<Result<Option<SignedNote>, QuorumError>> {
        if self.witnesses.is_empty() {
            return Ok(Ok(None));
        }
        let published = published_note(dir)?;
        let Err(error) = self.quorum(&published)? else {
            return Ok(Ok(Some(published)));
        };
        let Some(beside) = cosigned_note(dir)? else {
            return Ok(Err(error));
        };
        Ok(self.quorum(&beside)?.map(|_| Some(beside)))
    }

    fn keys(&self) -> anyhow::Result<Vec<WitnessKey>> {
        let read = |named: &String| {
            let text = text_or_file(named)?;
            let key = text.trim_end().parse();
            key.with_context(|| format!("`{}` is no key of a witness", escape(named)))
        };
        self.witnesses.iter().map(read).collect()
    }
}

pub(super) fn prove(logs: &[PathBuf], args: &ProveArgs) -> anyhow::Result<ExitCode> {
    let [dir] = logs else {
        bail!(
            "there are {} logs: name the one that is meant with --log",
            logs.len()
        );
    };
    let key = match &args.key {
        Some(path) => verifier_key(&path.to_string_lossy())?,
        None => read_verifier_key(dir)?,
    };
    let text = match (&args.from, args.entry) {
        (Some(from), _) => {
            let older = open(&read_note(from)?, &key, from)?;
            let newer = match &args.to {
                Some(to) => read_note(to)?,
                None => published_note(dir)?,
            };
            prove_continuation(dir, &older, &newer, &key)?.to_string()
        }
        (None, Some(entry)) => one_entry(dir, entry, args, &key)?.to_text()?,
        (None, None) => bail!("name an entry, or an older checkpoint with --from"),
    };
    match &args.output {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?,
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::from(FINE))
}

/// Proves against the checkpoint that was asked for, else against the published one. That one may be replaced while its
/// tiles are read: then once more.
fn one_entry(
    dir: &Path,
    entry: u64,
    args: &ProveArgs,
    key: &VerifierKey,
) -> anyhow::Result<ProvenEntry> {
    let mut tries = 3;
    loop {
        let note = match &args.to {
            Some(to) => read_note(to)?,
            None if args.cosigned => cosigned_note(dir)?
                .context("no witness has cosigned a checkpoint of this log yet")?,
            None => published_note(dir)?,
        };
        tries -= 1;
        match prove_entry(dir, entry, &note, key) {
            Ok(proven) if args.without_private => return Ok(proven.without_private()),
            Ok(proven) => return Ok(proven),
            Err(ProveError::Log(_)) if tries > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn check(args: &CheckArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let text = read_text(&args.proof)?;
    let key = verifier_key(&args.key)?;
    let checked = if text.starts_with("old ") {
        continuation(&text, args, &key)
    } else {
        entry(&text, args, &key)
    };
    match (checked, as_json) {
        (Ok(value), true) => say!("{}", serde_json::to_string_pretty(&value)?),
        (Ok(value), false) => print(&value),
        (Err(error), true) => {
            let value = json!({ "ok": false, "why": format!("{error:#}") });
            say!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(ExitCode::from(FOUND));
        }
        (Err(error), false) => {
            say!("✘ {}", escape(&format!("{error:#}")));
            return Ok(ExitCode::from(FOUND));
        }
    }
    Ok(ExitCode::from(FINE))
}

fn entry(text: &str, args: &CheckArgs, key: &VerifierKey) -> anyhow::Result<Value> {
    ensure!(
        args.from.is_none(),
        "--from belongs to a proof that the log continues a checkpoint, and this one is of an entry"
    );
    let foreign = text.parse::<TlogProof>()?.extra.is_none();
    ensure!(
        !foreign,
        "this proof carries no entry, so there is nothing that it could be the proof of"
    );
    let proven = ProvenEntry::parse(text)?;
    let checkpoint = proven.verify(key)?;
    let witnesses = args.quorum.check(&proven.proof.checkpoint)?;
    let stored = &proven.stored;
    let shown = match stored.entry() {
        Ok(entry) => render(stored.index, &entry),
        // A newer Bailiwick's: proven all the same.
        Err(_) => escape(&String::from_utf8_lossy(&stored.json)),
    };
    let raw: Value = serde_json::from_slice(&stored.json).unwrap_or(Value::Null);
    let opened: Vec<Value> = stored
        .openings
        .iter()
        .map(
            |opening| json!({"sealed": opening.commitment().to_string(), "value": opening.value()}),
        )
        .collect();
    Ok(json!({
        "ok": true, "index": stored.index, "entry": raw, "opened": opened, "shown": shown,
        "checkpoint": as_value(&checkpoint), "witnesses": named(&witnesses),
    }))
}

fn continuation(text: &str, args: &CheckArgs, key: &VerifierKey) -> anyhow::Result<Value> {
    let from = args
        .from
        .as_ref()
        .context("this proves that a log continues an older checkpoint: name that with --from")?;
    let older = open(&read_note(from)?, key, from)?;
    let submission: Submission = text.parse()?;
    let newer = Checkpoint::open(&submission.checkpoint.to_string(), key)?;
    ensure!(
        submission.old == older.size,
        "the proof is from {} entries on, and `{}` has {}",
        submission.old,
        from.display(),
        older.size
    );
    let older_root = if older.size == 0 {
        tree_root(&[])
    } else {
        older.root
    };
    verify_consistency(
        older.size,
        newer.size,
        &older_root,
        &newer.root,
        &submission.proof,
    )?;
    let witnesses = args.quorum.check(&submission.checkpoint)?;
    Ok(json!({
        "ok": true, "from": as_value(&older), "checkpoint": as_value(&newer),
        "witnesses": named(&witnesses),
    }))
}

fn as_value(checkpoint: &Checkpoint) -> Value {
    json!({
        "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.to_string(),
    })
}

fn named(witnesses: &[Cosigned]) -> Vec<Value> {
    let one = |cosigned: &Cosigned| json!({"name": cosigned.name, "time": cosigned.time});
    witnesses.iter().map(one).collect()
}

fn print(value: &Value) {
    let at = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    let text = |pointer: &str| escape(at(pointer).as_str().unwrap_or_default());
    match value.pointer("/index") {
        Some(index) => {
            say!(
                "✔ entry {index} is in the log {}",
                text("/checkpoint/origin")
            );
            // Escaped already.
            say!("  {}", at("/shown").as_str().unwrap_or_default());
        }
        None => say!(
            "✔ the log {} continues the checkpoint of {} entries",
            text("/checkpoint/origin"),
            at("/from/size")
        ),
    }
    say!(
        "  signed over {} entries, root {}",
        at("/checkpoint/size"),
        text("/checkpoint/root")
    );
    for witness in at("/witnesses").as_array().into_iter().flatten() {
        let name = witness["name"].as_str().unwrap_or_default();
        let time = witness["time"].as_u64().unwrap_or_default();
        let time = std::time::Duration::from_secs(time);
        say!(
            "  cosigned by {} at {}",
            escape(name),
            bailiwick_audit::format_time(time)
        );
    }
}

/// A verifier key, given as it is or in a file.
fn verifier_key(named: &str) -> anyhow::Result<VerifierKey> {
    let text = text_or_file(named)?;
    let key = text.trim_end().parse();
    key.with_context(|| format!("`{}` is no verifier key of a log", escape(named)))
}

fn text_or_file(named: &str) -> anyhow::Result<String> {
    // No key has fewer pluses, and a file with that many may still be named by a path that begins with `./`.
    if named.matches('+').count() >= 2 && !named.starts_with(['.', '/']) {
        return Ok(named.to_owned());
    }
    read_text(Path::new(named))
}

fn read_note(path: &Path) -> anyhow::Result<SignedNote> {
    let parsed = read_text(path)?.parse();
    parsed.with_context(|| format!("`{}` is no checkpoint", path.display()))
}

fn open(note: &SignedNote, key: &VerifierKey, path: &Path) -> anyhow::Result<Checkpoint> {
    Checkpoint::open(&note.to_string(), key)
        .with_context(|| format!("`{}` is no checkpoint of this log", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let cannot = || format!("cannot read `{}`", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    let mut text = String::new();
    file.take(MAX_PROOF_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .with_context(cannot)?;
    ensure!(
        text.len() <= MAX_PROOF_BYTES,
        "`{}` is longer than 2 MiB",
        path.display()
    );
    Ok(text)
}
