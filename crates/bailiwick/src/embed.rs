//! `bailiwick embed`: puts a manifest into a component, so that one file is the whole plugin.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use bailiwick_manifest::{ComponentError, embed};

use crate::cli::EmbedArgs;
use crate::report::{FINE, diagnostic, say};

pub(crate) fn run(args: &EmbedArgs) -> anyhow::Result<ExitCode> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
    };
    let (component, manifest) = (read(&args.component)?, read(&args.manifest)?);
    let whole = embed(&component, &manifest).map_err(|error| match error {
        ComponentError::Manifest(errors) => diagnostic(errors),
        other => other.into(),
    })?;
    let shown = args.output.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.output)
        .with_context(|| format!("cannot make `{shown}`; an existing file is not replaced"))?;
    file.write_all(&whole)
        .with_context(|| format!("cannot write `{shown}`"))?;
    say!("`{shown}` carries its manifest; look at it with `bailiwick check {shown}`");
    Ok(ExitCode::from(FINE))
}
