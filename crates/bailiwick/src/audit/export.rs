//! `bailiwick audit export`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bailiwick_export::{Exporter, Format, Header, Options, Target};

use super::asked;
use super::cli::ExportArgs;
use crate::config::Config;
use crate::export::{of_log, variable_value};
use crate::home::Home;
use crate::report::FINE;

pub(super) fn run(
    logs: &[PathBuf],
    args: &ExportArgs,
    config: Option<Config>,
) -> anyhow::Result<ExitCode> {
    let format: Format = args.format.parse().map_err(anyhow::Error::msg)?;
    let target = Target::parse(&args.to, format)?;
    let keeps_place = args.follow && target != Target::Stdout;
    if let Target::File(path) = &target {
        ensure!(
            args.follow || path.symlink_metadata().is_err(),
            "`{}` is there already: name another file, or go on in it with `--follow`",
            path.display()
        );
    }
    let config = config.unwrap_or_default();
    let mut options = Options {
        log: PathBuf::new(),
        format,
        target,
        headers: headers(&args.header)?,
        roots: config.trusted_authorities()?,
        filter: asked::filter(&args.filter)?,
        places: None,
        tell: Arc::new(|line| eprintln!("bailiwick: {line}")),
    };
    if keeps_place {
        let home = Home::locate()?;
        home.make()?;
        options.places = Some(home.exports());
    }
    let exporters = logs.iter().map(|log| {
        let target = match keeps_place && logs.len() > 1 {
            true => of_log(&options.target, log),
            false => options.target.clone(),
        };
        let options = Options {
            log: log.clone(),
            target,
            ..options.clone()
        };
        Ok(Exporter::new(options)?)
    });
    let exporters: Vec<Exporter> = exporters.collect::<anyhow::Result<_>>()?;
    if args.follow {
        return follow(exporters);
    }
    let mut count = 0;
    for exporter in exporters {
        count += exporter.run()?;
    }
    if args.to != "-" {
        eprintln!("{count} entries exported to {}", args.to);
    }
    Ok(ExitCode::from(FINE))
}

/// All of them at once, until one cannot go on.
fn follow(exporters: Vec<Exporter>) -> anyhow::Result<ExitCode> {
    let (ended, first) = std::sync::mpsc::channel();
    for exporter in exporters {
        let ended = ended.clone();
        std::thread::spawn(move || {
            let Err(error) = exporter.follow();
            // Nobody listens when another one ended before.
            let _ = ended.send(error);
        });
    }
    drop(ended);
    let error = first.recv().context("there is no log to follow")?;
    Err(error.into())
}

/// `NAME=VARIABLE`: the header's name, and the environment variable that holds its value.
fn headers(given: &[String]) -> anyhow::Result<Vec<Header>> {
    let header = |text: &String| {
        let (name, variable) = text.split_once('=').with_context(|| {
            format!("`{text}`: write NAME=VARIABLE, with the variable that holds the value")
        })?;
        Ok(Header::new(name, variable_value(variable)?)?)
    };
    given.iter().map(header).collect()
}
