//! `bailiwick secret`: keeps what plugins use and never see.

mod input;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bailiwick_audit::Event;
use bailiwick_secret::{
    Keep, Listed, Options, Store, checked, default_places, default_variable, name, protect,
};
use bailiwick_wall::Binding;
use serde_json::json;

use crate::assemble::record_deed;
use crate::cli::{SecretArgs, SecretCommand, SecretSetArgs};
use crate::config::{Config, Kept};
use crate::home::Home;
use crate::report::{FINE, USAGE, exit, say, table};

pub(crate) fn run(args: &SecretArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    // Before anything is read: this process will hold values.
    protect()?;
    let config = Config::find(named)?.unwrap_or_default();
    let home = Home::locate()?;
    let store = store(&config, &home)?;
    match &args.command {
        SecretCommand::Set(args) => set(args, &home, &store),
        SecretCommand::List { json } => list(&store, *json),
        SecretCommand::Rm { name } => remove(name, &home, &store),
    }
}

/// The secrets of this home, as the configuration and the environment say.
pub(crate) fn store(config: &Config, home: &Home) -> anyhow::Result<Store> {
    Ok(Store::open(home.path(), options(config))?)
}

/// The file that opens the secrets, where it does not lie in the state folder.
pub(crate) fn identity(config: &Config) -> Option<PathBuf> {
    options(config).identity
}

fn options(config: &Config) -> Options {
    let keep = match config.secrets.keep {
        Kept::Auto => Keep::Auto,
        Kept::Keyring => Keep::Keyring,
        Kept::File => Keep::File,
    };
    Options::from_process(keep, config.secrets.identity.clone())
}

fn set(args: &SecretSetArgs, home: &Home, store: &Store) -> anyhow::Result<ExitCode> {
    let secret = &args.name;
    if !args.value.is_empty() || args.named_value.is_some() {
        let message = "a value was given as an argument, where other programs and the shell's history see it: replace \
                       that secret where it was issued, and give the new one on standard input";
        return Err(exit(USAGE, message));
    }
    name(secret)?;
    home.make()?;
    let old = store.list()?.into_iter().find(|one| one.name == *secret);
    let replaced = old.is_some();
    let binding = binding(args, old)?;
    let value = input::value(secret)?;
    let keeper = store.keeper()?.to_string();
    record_deed(
        home,
        &Event::SecretStored {
            secret: secret.clone(),
            to: texts(&binding.to),
            places: texts(&binding.places),
            variable: binding.variable.clone(),
            keeper: keeper.clone(),
            replaced,
        },
    )?;
    let to = texts(&binding.to).join(", ");
    store.set(secret, value, binding)?;
    let done = if replaced { "replaced" } else { "kept" };
    say!("`{secret}` is {done} ({keeper}), for {to} alone");
    Ok(ExitCode::from(FINE))
}

/// What is said now, over what was said before, over what is usual.
fn binding(args: &SecretSetArgs, old: Option<Listed>) -> anyhow::Result<Binding> {
    let usual = || Binding {
        to: Vec::new(),
        places: default_places(),
        variable: default_variable(&args.name),
    };
    let mut binding = old.map_or_else(usual, |old| old.binding);
    if !args.to.is_empty() {
        binding.to.clone_from(&args.to);
    }
    if !args.places.is_empty() {
        binding.places.clone_from(&args.places);
    }
    if let Some(variable) = &args.variable {
        binding.variable.clone_from(variable);
    }
    Ok(checked(binding)?)
}

fn list(store: &Store, as_json: bool) -> anyhow::Result<ExitCode> {
    let listed = store.list()?;
    if as_json {
        let secrets: Vec<_> = listed
            .iter()
            .map(|one| {
                json!({
                    "name": one.name, "to": texts(&one.binding.to), "places": texts(&one.binding.places),
                    "variable": one.binding.variable, "set": one.set, "keeper": one.keeper.to_string(),
                })
            })
            .collect();
        say!(
            "{}",
            serde_json::to_string_pretty(&json!({ "secrets": secrets }))?
        );
    } else if listed.is_empty() {
        say!("there are no secrets; keep one with `bailiwick secret set NAME --to https://…`");
    } else {
        let mut table = table(["secret", "only to", "as", "variable", "set", "kept"]);
        for one in listed {
            table.add_row([
                one.name,
                texts(&one.binding.to).join("\n"),
                texts(&one.binding.places).join("\n"),
                one.binding.variable,
                one.set,
                one.keeper.to_string(),
            ]);
        }
        say!("{table}");
    }
    Ok(ExitCode::from(FINE))
}

fn remove(secret: &str, home: &Home, store: &Store) -> anyhow::Result<ExitCode> {
    name(secret)?;
    if !store.list()?.iter().any(|one| one.name == secret) {
        let message = format!(
            "there is no secret `{secret}`: `bailiwick secret list` shows those that there are"
        );
        return Err(exit(USAGE, message));
    }
    home.make()?;
    record_deed(
        home,
        &Event::SecretRemoved {
            secret: secret.to_owned(),
        },
    )?;
    store.remove(secret)?;
    say!("`{secret}` is removed; plugins that run keep it until they end");
    Ok(ExitCode::from(FINE))
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
