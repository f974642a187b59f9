//! Which names and bindings there may be.

use std::collections::BTreeSet;

use bailiwick_capability::{Host, HostPattern, Kind, NameScope, NetScope, Scheme};
use bailiwick_wall::{Binding, Place};

use crate::error::SecretError;

/// The most destinations of one secret.
pub const MAX_DESTINATIONS: usize = 32;
/// The most places of one secret.
pub const MAX_PLACES: usize = 16;
/// Longest name of a variable, in bytes.
const MAX_VARIABLE: usize = 128;

/// Headers that frame or route a message: what stands there decides where a request ends or goes.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Variables that steer how programs start.
const STEERING: &[&str] = &["HOME", "IFS", "PATH", "PWD", "SHELL", "TMPDIR"];

/// Checks that `text` names one secret exactly, as `use_secret:NAME` does: no star, no other metacharacter (L21).
///
/// # Errors
/// [`SecretError::Invalid`].
pub fn name(text: &str) -> Result<(), SecretError> {
    match NameScope::parse(Kind::UseSecret, text) {
        Ok(NameScope::Exact(_)) => Ok(()),
        _ => Err(SecretError::invalid(
            format!("`{}` is no name of a secret", text.escape_debug()),
            "write 1 to 128 letters, digits and `_ . - / :`; a name means exactly one secret",
        )),
    }
}

/// The variable for a secret that names none: its name in upper case, with `_` for what no variable has.
#[must_use]
pub fn default_variable(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

/// The places of a secret that names none: the `Authorization` header, as a token or as the password of basic
/// authentication.
#[must_use]
pub fn default_places() -> Vec<Place> {
    vec![Place::Header("authorization".to_owned()), Place::Basic]
}

/// Checks a binding, and leaves out what it says twice.
///
/// # Errors
/// [`SecretError::Invalid`]: no destination or place, or too many; a destination that is not encrypted and not on
/// this machine; a place that frames messages; a variable that is none or steers how programs start.
pub fn checked(binding: Binding) -> Result<Binding, SecretError> {
    let to = once(binding.to, ToString::to_string);
    let places = once(binding.places, ToString::to_string);
    if to.is_empty() || to.len() > MAX_DESTINATIONS {
        return Err(SecretError::invalid(
            format!("a secret has 1 to {MAX_DESTINATIONS} destinations"),
            "name where it may go, such as `--to https://api.example.com`",
        ));
    }
    if places.is_empty() || places.len() > MAX_PLACES {
        return Err(SecretError::invalid(
            format!("a secret has 1 to {MAX_PLACES} places"),
            "name where in a request it may stand, such as `--as header:authorization`",
        ));
    }
    to.iter().try_for_each(destination)?;
    places.iter().try_for_each(place)?;
    variable(&binding.variable)?;
    Ok(Binding {
        to,
        places,
        variable: binding.variable,
    })
}

/// Keeps the first of those that print alike.
fn once<T>(all: Vec<T>, print: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.into_iter()
        .filter(|one| seen.insert(print(one)))
        .collect()
}

fn destination(to: &NetScope) -> Result<(), SecretError> {
    let here = match to.host() {
        HostPattern::Exact(Host::Ip(ip)) => ip.is_loopback(),
        HostPattern::Exact(Host::Name(name)) => name.as_str() == "localhost",
        HostPattern::Suffix(_) => false,
    };
    match to.scheme() {
        Scheme::Https => Ok(()),
        Scheme::Http if here => Ok(()),
        Scheme::Http => Err(SecretError::invalid(
            format!("`{to}` would carry the secret in plain"),
            "write `https://…`; `http://` goes to `localhost` and loopback addresses only",
        )),
        Scheme::Tcp => Err(SecretError::invalid(
            format!("`{to}` has no place for a secret"),
            "write `https://…`: a secret is put into HTTP requests",
        )),
    }
}

fn place(place: &Place) -> Result<(), SecretError> {
    match place {
        Place::Header(name) if FRAMING.contains(&name.as_str()) => Err(SecretError::invalid(
            format!("the header `{name}` frames or routes a request, and holds no secret"),
            "name the header that the service reads, such as `header:authorization`",
        )),
        _ => Ok(()),
    }
}

fn variable(name: &str) -> Result<(), SecretError> {
    let shown = name.escape_debug();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let starts = name
        .bytes()
        .next()
        .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic());
    if !starts || name.len() > MAX_VARIABLE || !name.bytes().all(plain) {
        return Err(SecretError::invalid(
            format!("`{shown}` is no name of a variable"),
            "name one with `--variable`: letters, digits and `_`, no digit first",
        ));
    }
    if STEERING.contains(&name) || name.starts_with("LD_") {
        return Err(SecretError::invalid(
            format!("the variable `{shown}` steers how programs start"),
            "name another with `--variable`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(to: &[&str], places: &[&str], variable: &str) -> Binding {
        Binding {
            to: to.iter().map(|to| NetScope::parse(to).unwrap()).collect(),
            places: places.iter().map(|place| place.parse().unwrap()).collect(),
            variable: variable.to_owned(),
        }
    }

    #[test]
    fn l21_a_name_means_exactly_one_secret() {
        for good in [
            "github_token",
            "a",
            "team/ci.key-1",
            "db:main",
            &"x".repeat(128),
        ] {
            assert!(name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(129);
        for bad in [
            "", "*", "**", "git*", "git?", "[ab]", "a|b", "{a,b}", "a b", "a\n", "a\0", "é", "$x",
            "a%2a", "'a'", &long,
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_destination_is_encrypted_or_on_this_machine() {
        for good in [
            "https://api.github.com",
            "https://*.example.com/v1/ GET,POST",
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://[::1]:9000/hook",
        ] {
            assert!(checked(binding(&[good], &["basic"], "X")).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com",
            "http://*.localhost.example",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "tcp://db.example.com:5432",
            "tcp://127.0.0.1:5432",
        ] {
            assert!(checked(binding(&[bad], &["basic"], "X")).is_err(), "{bad}");
        }
    }

    #[test]
    fn l2_no_destination_and_no_place_are_no_binding() {
        assert!(checked(binding(&[], &["basic"], "X")).is_err());
        assert!(checked(binding(&["https://a.example"], &[], "X")).is_err());
        let many: Vec<String> = (0..=MAX_DESTINATIONS)
            .map(|n| format!("https://a{n}.example"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(checked(binding(&many, &["basic"], "X")).is_err());
    }

    #[test]
    fn what_is_said_twice_counts_once() {
        let twice = ["https://a.example", "https://a.example:443/"];
        let kept = checked(binding(&twice, &["basic", "basic"], "X")).unwrap();
        assert_eq!((kept.to.len(), kept.places.len()), (1, 1));
    }

    #[test]
    fn variables_and_headers_that_steer_are_refused() {
        for bad in [
            "",
            "1A",
            "A-B",
            "A=B",
            "LD_PRELOAD",
            "PATH",
            "HOME",
            "É",
            "A\0",
        ] {
            assert!(
                checked(binding(&["https://a.example"], &["basic"], bad)).is_err(),
                "{bad:?}"
            );
        }
        for bad in [
            "header:host",
            "header:Content-Length",
            "header:transfer-encoding",
        ] {
            assert!(
                checked(binding(&["https://a.example"], &[bad], "X")).is_err(),
                "{bad}"
            );
        }
        assert_eq!(default_variable("github_token"), "GITHUB_TOKEN");
        assert_eq!(default_variable("team/ci.key"), "TEAM_CI_KEY");
        assert!(
            checked(binding(
                &["https://a.example"],
                &["basic"],
                &default_variable("2fa")
            ))
            .is_err()
        );
    }
}
