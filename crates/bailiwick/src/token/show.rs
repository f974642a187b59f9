//! `bailiwick token inspect`.

use std::process::ExitCode;

use bailiwick_capability::Grant;
use bailiwick_gate::line;
use bailiwick_token::{Expectation, Inspection, Token, TokenError, inspect};
use serde_json::{Value, json};

use super::words::words;
use super::{now, time};
use crate::home::Home;
use crate::report::{FINE, FOUND, say};

/// What this machine knows of a token's seal.
enum Seal {
    Holds,
    Revoked(String),
    /// No key here, or a bad signature, or it is over.
    Fails(String),
}

pub(super) fn show(token: &Token, as_json: bool) -> anyhow::Result<ExitCode> {
    let told = inspect(token, now()?)?;
    let seal = seal(token, &told)?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&value(&told, &seal))?);
    } else {
        print(&told, &seal);
    }
    let fine = matches!(seal, Seal::Holds);
    Ok(ExitCode::from(if fine { FINE } else { FOUND }))
}

fn seal(token: &Token, told: &Inspection) -> anyhow::Result<Seal> {
    let home = Home::locate()?;
    if home.path().join("token.key").symlink_metadata().is_err() {
        return Ok(Seal::Fails(
            "there is no key of a gate here to check it with".to_owned(),
        ));
    }
    // Session and plugin are the gate's to compare; here they are as the token says.
    let expected = Expectation {
        session: &told.sealed.session,
        plugin_digest: &told.sealed.plugin_digest,
        now: now()?,
    };
    let verified = match super::trusted(&home)?.verify(token, &expected) {
        Ok(verified) => verified,
        Err(error @ TokenError::ForeignKey) => {
            return Ok(Seal::Fails(format!("{error}; nothing below is proven")));
        }
        Err(error) => return Ok(Seal::Fails(error.to_string())),
    };
    let list = super::revocations(&home)?;
    Ok(list
        .revokes(&verified)
        .map_or(Seal::Holds, |why| Seal::Revoked(why.to_owned())))
}

fn print(told: &Inspection, seal: &Seal) {
    let sealed = &told.sealed;
    match seal {
        Seal::Holds => say!(
            "✔ sealed by this gate, and in force until {}",
            time(told.expires)
        ),
        Seal::Revoked(why) => say!("✘ revoked: {}", line(why)),
        Seal::Fails(why) => say!("✘ {}", line(why)),
    }
    say!(
        "  plugin {} {}, for {} through {}, session {}",
        line(&sealed.plugin),
        line(&sealed.plugin_version),
        line(&sealed.user),
        line(&sealed.agent),
        line(&sealed.session)
    );
    say!(
        "  sealed {}, until {}",
        time(sealed.issued),
        time(sealed.expires)
    );
    say!("\nIt allows the plugin to");
    print_grant(&told.grant, "nothing");
    for (number, to) in (1..).zip(&told.narrowings) {
        let by = to.by.as_deref().map_or_else(
            || "by somebody who left no name".to_owned(),
            |by| format!("for “{}”, as whoever did it says", line(by)),
        );
        let until = to
            .expires
            .map_or_else(String::new, |at| format!(", until {}", time(at)));
        say!("\nNarrowed ({number}) {by}{until}, to");
        print_grant(&to.grant, "nothing");
    }
    for ask in &told.sealed.asks.atoms {
        let people = if ask.people == 1 { "person" } else { "people" };
        say!(
            "\nWith the yes of {} {people}: {}",
            ask.people,
            words(&ask.granted)
        );
    }
    for approval in &told.approvals {
        let until = approval
            .approving
            .until
            .map_or_else(String::new, |at| format!(", until {}", time(at)));
        let what = if approval.approving.call.is_some() {
            "one call, with"
        } else {
            "to"
        };
        say!("\nApproved by the key {}{until}, {what}", approval.approver);
        print_grant(&approval.approving.grant, "nothing more");
    }
    say!("\nRevocation ids, the newest block's last:");
    for id in ids(told) {
        say!("  {id}");
    }
}

fn print_grant(grant: &Grant, none: &str) {
    if grant.is_empty() {
        say!("  - {none}");
    }
    for granted in grant.atoms() {
        say!("  - {}", words(granted));
    }
}

fn ids(told: &Inspection) -> Vec<String> {
    told.revocation_ids.iter().map(hex::encode).collect()
}

fn atoms(grant: &Grant) -> Vec<String> {
    grant.atoms().iter().map(ToString::to_string).collect()
}

fn value(told: &Inspection, seal: &Seal) -> Value {
    let sealed = &told.sealed;
    let (status, why) = match seal {
        Seal::Holds => ("holds", None),
        Seal::Revoked(why) => ("revoked", Some(why)),
        Seal::Fails(why) => ("fails", Some(why)),
    };
    json!({
        "seal": status, "why": why, "plugin": sealed.plugin, "version": sealed.plugin_version,
        "user": sealed.user, "agent": sealed.agent, "session": sealed.session,
        "issued": time(sealed.issued), "expires": time(told.expires), "grant": atoms(&told.grant),
        "sealed": { "grant": atoms(&sealed.grant), "expires": time(sealed.expires) },
        "asks": sealed.asks.atoms.iter().map(|ask| json!({
            "atom": ask.granted.to_string(), "people": ask.people,
        })).collect::<Vec<_>>(),
        "approvers": sealed.asks.approvers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "narrowed": told.narrowings.iter().map(|to| json!({
            "by": to.by, "grant": atoms(&to.grant), "expires": to.expires.map(time),
        })).collect::<Vec<_>>(),
        "approvals": told.approvals.iter().map(|one| json!({
            "approver": one.approver.to_string(), "grant": atoms(&one.approving.grant),
            "one_call": one.approving.call.is_some(), "until": one.approving.until.map(time),
        })).collect::<Vec<_>>(),
        "revocation_ids": ids(told),
    })
}
