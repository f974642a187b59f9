//! `bailiwick audit report`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bailiwick_audit::{VerifierKey, read_verifier_key};
use bailiwick_report::{
    Assessment, Framework, Period, assess, html, markdown, oscal, write_proofs,
};
use clap::Args;

use super::asked::moment;
use crate::report::{FINE, FOUND};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// `nist-800-53` or `soc2`
    #[arg(long)]
    framework: String,
    /// From this time on: `2026-11-23`, or `90d` for ninety days ago
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Before this time; now unless named
    #[arg(long, value_name = "TIME", default_value = "0s")]
    to: String,
    /// `md`, `html` or `oscal`; as the file is named, else `md`
    #[arg(long)]
    format: Option<String>,
    /// The report's file, or a folder for it; proofs of its examples go beside it
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Markdown,
    Html,
    Oscal,
}

pub(super) fn run(dirs: &[PathBuf], args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let framework = Framework::named(&args.framework)?;
    let form = form(args)?;
    let period = Period {
        from: moment(&args.from)?,
        to: moment(&args.to)?,
    };
    let logs: Vec<(&Path, VerifierKey)> = dirs
        .iter()
        .map(|dir| Ok((dir.as_path(), read_verifier_key(dir)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut assessment = assess(&logs, framework, period, |_| ())?;
    match &args.output {
        None => std::io::stdout()
            .lock()
            .write_all(written(&assessment, form)?.as_bytes())?,
        Some(output) => write(&mut assessment, &logs, form, output)?,
    }
    let sound = assessment.is_sound();
    if !sound {
        eprintln!(
            "bailiwick: a log does not verify, so the report is no evidence: run `bailiwick audit verify`"
        );
    }
    Ok(ExitCode::from(if sound { FINE } else { FOUND }))
}

fn form(args: &ReportArgs) -> anyhow::Result<Form> {
    let ending = args.output.as_deref().and_then(Path::extension);
    let named = args
        .format
        .as_deref()
        .or(match ending.and_then(|ending| ending.to_str()) {
            Some("html") => Some("html"),
            Some("json") => Some("oscal"),
            _ => None,
        });
    Ok(match named.unwrap_or("md") {
        "md" => Form::Markdown,
        "html" => Form::Html,
        "oscal" => Form::Oscal,
        other => bail!("`{other}` is no form of a report: write md, html or oscal"),
    })
}

fn written(assessment: &Assessment, form: Form) -> anyhow::Result<String> {
    Ok(match form {
        Form::Markdown => markdown(assessment),
        Form::Html => html(assessment),
        Form::Oscal => serde_json::to_string_pretty(&oscal(assessment))? + "\n",
    })
}

/// The report, with a folder of proofs beside it.
fn write(
    assessment: &mut Assessment,
    logs: &[(&Path, VerifierKey)],
    form: Form,
    output: &Path,
) -> anyhow::Result<()> {
    let ending = match form {
        Form::Markdown => "md",
        Form::Html => "html",
        Form::Oscal => "json",
    };
    let is_folder = output.is_dir() || output.as_os_str().to_string_lossy().ends_with('/');
    let file = match is_folder {
        true => output.join(format!("{}.{ending}", assessment.framework.id)),
        false => output.to_owned(),
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let proofs = format!("{}-proofs", relative(&stem));
    let count = write_proofs(assessment, logs, &folder.join(&proofs), &proofs)?;
    std::fs::write(&file, written(assessment, form)?)
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    eprintln!(
        "{} written, with {count} proofs in `{proofs}`",
        file.display()
    );
    Ok(())
}

/// A name that means the same in a link of Markdown, of HTML and in a URI.
fn relative(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}
