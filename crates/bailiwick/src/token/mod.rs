//! `bailiwick token`: read, narrow and revoke sealed grants, and change the key that seals them.

mod cli;
mod kept;
mod list;
mod show;
mod words;

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bailiwick_audit::{Clock as _, Event, SystemClock};
use bailiwick_capability::{Grant, Granted};
use bailiwick_token::{
    Keys, MAX_TOKEN_BYTES, Narrowing, Revocation, Revoked, Token, attenuate, inspect,
};
use serde_json::json;

pub(crate) use cli::TokenArgs;
use cli::{AttenuateArgs, FromArgs, RevokeArgs, TokenCommand};
pub(crate) use kept::{revocations, trusted};
pub(crate) use list::List;

use crate::assemble::record_deed;
use crate::home::Home;
use crate::report::{FINE, say, table};

pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        TokenCommand::Inspect(from) => show::show(&read(from)?, args.json),
        TokenCommand::Attenuate(narrower) => narrow(narrower, args.json),
        TokenCommand::Revoke(what) => revoke(what, args.json),
        TokenCommand::Revoked => list(args.json),
        TokenCommand::Rotate => rotate(args.json),
    }
}

/// Seconds since 1970.
fn now() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemClock.now().as_secs())?)
}

fn time(seconds: i64) -> String {
    bailiwick_audit::format_time(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn read(from: &FromArgs) -> anyhow::Result<Token> {
    let limit = (MAX_TOKEN_BYTES * 2) as u64;
    let mut text = String::new();
    match &from.file {
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(limit).read_to_string(&mut text))
            .with_context(|| format!("cannot read a token from `{}`", path.display()))?,
        None => std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .context("cannot read a token from standard input")?,
    };
    ensure!(
        !text.trim().is_empty(),
        "there is no token: give its file, or the token on standard input"
    );
    Ok(Token::from_base64(text.trim())?)
}

fn narrow(args: &AttenuateArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let token = read(&args.from)?;
    let now = now()?;
    let grant = if args.whole {
        inspect(&token, now)?.grant
    } else {
        Grant::new(args.only.iter().cloned().map(Granted::whole))
    };
    let lasting = args.lasting.map(|time| i64::try_from(time.as_secs()));
    let to = Narrowing {
        grant,
        expires: lasting.transpose()?.map(|time| now.saturating_add(time)),
        by: args.by.clone(),
    };
    let narrowed = attenuate(&token, &to)?;
    if inspect(&narrowed, now)?.grant.is_empty() {
        eprintln!(
            "bailiwick: the new token allows nothing: the old one has nothing of what `--only` names"
        );
    }
    if as_json {
        say!("{}", json!({ "token": narrowed.to_base64() }));
    } else {
        say!("{}", narrowed.to_base64());
    }
    Ok(ExitCode::from(FINE))
}

fn revoke(args: &RevokeArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let named = [
        ("id", &args.id),
        ("session", &args.session),
        ("plugin", &args.plugin),
        ("user", &args.user),
    ];
    let (kind, name) = named
        .into_iter()
        .find_map(|(kind, name)| Some((kind, name.as_deref()?)))
        .context("nothing was named")?;
    let what = Revoked::new(kind, name).map_err(anyhow::Error::msg)?;
    let home = Home::locate()?;
    home.make()?;
    // A list that cannot be read must not grow: whoever reads it refuses everything until it is mended.
    kept::revoked(&home)?;
    record_deed(
        &home,
        &Event::TokenRevoked {
            id: format!("{kind} {}", what.name()),
            reason: args.reason.clone(),
        },
    )?;
    let at = now()?;
    let reason = args.reason.clone();
    kept::revoke(&home, &Revocation { what, at, reason })?;
    if as_json {
        say!("{}", json!({ "kind": kind, "name": name, "at": at }));
    } else {
        say!("revoked: {kind} {}", bailiwick_gate::line(name));
    }
    Ok(ExitCode::from(FINE))
}

fn list(as_json: bool) -> anyhow::Result<ExitCode> {
    let home = Home::locate()?;
    let revoked = kept::revoked(&home)?;
    if as_json {
        let all: Vec<_> = revoked
            .iter()
            .map(|one| {
                json!({
                    "kind": one.what.kind(), "name": one.what.name(), "at": time(one.at), "reason": one.reason,
                })
            })
            .collect();
        say!(
            "{}",
            serde_json::to_string_pretty(&json!({ "revoked": all }))?
        );
        return Ok(ExitCode::from(FINE));
    }
    if revoked.is_empty() {
        say!("nothing is revoked");
        return Ok(ExitCode::from(FINE));
    }
    let mut rows = table(["what", "name", "when", "why"]);
    for one in &revoked {
        rows.add_row([
            one.what.kind().to_owned(),
            bailiwick_gate::line(&one.what.name()),
            time(one.at),
            bailiwick_gate::line(&one.reason),
        ]);
    }
    say!("{rows}");
    Ok(ExitCode::from(FINE))
}

fn rotate(as_json: bool) -> anyhow::Result<ExitCode> {
    let home = Home::locate()?;
    home.make()?;
    let old = home
        .token_keys(&crate::changes::makes(&home, "token"))?
        .public();
    let new = Keys::generate();
    record_deed(
        &home,
        &Event::KeyChange {
            key: "token".to_owned(),
            action: "replaced".to_owned(),
            id: new.public().to_string(),
        },
    )?;
    // Retired first: a crash in between leaves one key that mints, and is trusted as the one that mints.
    kept::retire(&home, &old, now()?)?;
    home.replace_token_keys(&new)?;
    if as_json {
        say!(
            "{}",
            json!({ "key": new.public().to_string(), "retired": old.to_string() })
        );
    } else {
        say!("grants are sealed with {} from now on", new.public());
        say!("tokens of {old} hold until they expire; gates that run go on with it until they end");
    }
    Ok(ExitCode::from(FINE))
}
