//! What is not as it was when a gate last ran: keys made, policies changed. In the log before it takes effect.

use std::path::Path;

use bailiwick_audit::{Event, Log, Subject};
use bailiwick_token::Keys;

use crate::home::Home;
use crate::person::Person;

/// The digest of the policies that were in force last.
const SEEN_FILE: &str = "policies.sha256";

/// The keys that seal grants; that they are made is recorded before.
pub(crate) fn token_keys(home: &Home, log: &Log) -> anyhow::Result<Keys> {
    home.token_keys(&|keys| {
        log.append_durable(&person(), &made("token", keys))?;
        Ok(())
    })
}

/// The person's own key for saying yes; that it is made is recorded before.
pub(crate) fn approver_keys(home: &Home, log: &Log) -> anyhow::Result<Keys> {
    home.approver_keys(&|keys| {
        log.append_durable(&person(), &made("approver", keys))?;
        Ok(())
    })
}

/// A key that is about to be made.
pub(crate) fn made(key: &str, keys: &Keys) -> Event {
    Event::KeyChange {
        key: key.to_owned(),
        action: "made".to_owned(),
        id: keys.public().to_string(),
    }
}

/// Records by hand that a key is about to be made.
pub(crate) fn makes<'a>(home: &'a Home, key: &'a str) -> impl Fn(&Keys) -> anyhow::Result<()> + 'a {
    move |keys| crate::assemble::record_deed(home, &made(key, keys))
}

/// Records that other policies are in force than the last time, before anything is decided by them.
pub(crate) fn policies(home: &Home, log: &Log, digest: &str) -> anyhow::Result<()> {
    let path = home.path().join(SEEN_FILE);
    let seen = std::fs::read_to_string(&path).unwrap_or_default();
    if seen.trim_end() == digest {
        return Ok(());
    }
    if !seen.is_empty() {
        let event = Event::PolicyChange {
            policy_sha256: digest.to_owned(),
            loaded: true,
            reason: "they are not those that were in force before".to_owned(),
        };
        log.append_durable(&person(), &event)?;
    }
    seen_at(&path, digest)
}

/// Remembers which policies are in force.
pub(crate) fn seen(home: &Home, digest: &str) -> anyhow::Result<()> {
    seen_at(&home.path().join(SEEN_FILE), digest)
}

fn seen_at(path: &Path, digest: &str) -> anyhow::Result<()> {
    crate::whole::replace(path, &format!("{digest}\n"))
}

/// Whoever runs this.
pub(crate) fn person() -> Subject {
    Subject::default().with_user(Person::current().name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_audit::{Filter, Options, query};

    fn kinds(log: &Log) -> Vec<&'static str> {
        log.flush().unwrap();
        let all = query(log.dir(), Filter::default());
        all.map(|stored| stored.unwrap().entry().unwrap().event.kind())
            .collect()
    }

    #[test]
    fn a_key_that_is_made_and_policies_that_change_are_recorded_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        let log = Log::open(&home.audit(0), Options::default()).unwrap();
        let first = token_keys(&home, &log).unwrap().public().to_string();
        assert_eq!(token_keys(&home, &log).unwrap().public().to_string(), first);
        for digest in ["aa", "aa", "bb", "bb", "aa"] {
            policies(&home, &log, digest).unwrap();
        }
        assert_eq!(
            kinds(&log),
            ["key_change", "policy_change", "policy_change"]
        );
    }

    #[test]
    fn a_key_that_is_made_by_hand_is_recorded_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        let keys = || home.approver_keys(&makes(&home, "approver")).unwrap();
        let id = keys().public().to_string();
        assert_eq!(keys().public().to_string(), id);
        let told: Vec<_> = query(&home.audit(0), Filter::default())
            .map(|stored| stored.unwrap().entry().unwrap().event)
            .collect();
        assert_eq!(
            told,
            [Event::KeyChange {
                key: "approver".to_owned(),
                action: "made".to_owned(),
                id
            }]
        );
    }

    #[test]
    fn what_cannot_be_recorded_does_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        home.make().unwrap();
        let log = Log::open(&home.audit(0), Options::default()).unwrap();
        policies(&home, &log, "aa").unwrap();
        log.close().unwrap();
        assert!(policies(&home, &log, "bb").is_err());
        let seen = std::fs::read_to_string(home.path().join(SEEN_FILE)).unwrap();
        assert_eq!(seen, "aa\n");
        assert!(token_keys(&home, &log).is_err());
        assert!(!home.path().join("token.key").exists(), "nor is it made");
    }
}
