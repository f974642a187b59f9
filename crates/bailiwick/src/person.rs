//! The person on whose behalf the gate runs: the operating system's user.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The operating system's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// The login name, or `uid-1000` where the machine has no name for the number.
    pub(crate) name: String,
    /// The home folders, as the user database and `HOME` say: both, so that no variable uncovers the other one.
    pub(crate) homes: Vec<PathBuf>,
    /// The groups that the process has, by name, or `gid-1000` where the machine has no name for the number; else why
    /// they cannot be told.
    pub(crate) groups: Result<BTreeSet<String>, String>,
}

impl Person {
    pub(crate) fn current() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let (name, home) = lookup(&passwd, uid).unwrap_or_else(|| (unnamed(uid), None));
        let env = std::env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute());
        Self {
            name,
            homes: env.into_iter().chain(home).collect(),
            groups: groups(),
        }
    }
}

/// The login name of a user.
pub(crate) fn name_of(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    lookup(&passwd, uid).map_or_else(|| unnamed(uid), |(name, _)| name)
}

fn groups() -> Result<BTreeSet<String>, String> {
    let numbers = rustix::process::getgroups().map_err(|error| error.to_string())?;
    let table =
        std::fs::read_to_string("/etc/group").map_err(|error| format!("`/etc/group`: {error}"))?;
    // Whether the first one is among the others is the system's choice (getgroups(2)).
    let first = rustix::process::getegid();
    let numbers = numbers.into_iter().chain([first]);
    Ok(numbers
        .map(|number| group(&table, number.as_raw()))
        .collect())
}

/// The name of a group (group(5)).
fn group(table: &str, number: u32) -> String {
    let found = table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("gid-{number}"))
}

fn unnamed(uid: u32) -> String {
    format!("uid-{uid}")
}

fn lookup(passwd: &str, uid: u32) -> Option<(String, Option<PathBuf>)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _, _, home, ..] = fields.as_slice() else {
            return None;
        };
        (id.parse() == Ok(uid)).then(|| {
            let home = PathBuf::from(home);
            ((*name).to_owned(), home.is_absolute().then_some(home))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_database_is_read_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n";
        assert_eq!(
            lookup(passwd, 1000),
            Some(("ann".to_owned(), Some("/home/ann".into())))
        );
        assert_eq!(lookup(passwd, 7), None);
    }

    #[test]
    fn groups_are_named_where_the_machine_has_a_name() {
        let table = "root:x:0:\nbroken\n:x:7:\ndocker:x:998:ann,bob\n";
        assert_eq!(group(table, 998), "docker");
        assert_eq!(group(table, 0), "root");
        assert_eq!(group(table, 7), "gid-7");
        assert!(!groups().unwrap().is_empty());
    }
}
