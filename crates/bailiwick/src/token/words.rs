//! A token in words that a person reads.

use bailiwick_capability::{Granted, Kind, Scope};
use bailiwick_gate::line;

/// One atom as a sentence: `read files below /data/, but not /data/hr/`.
pub(super) fn words(granted: &Granted) -> String {
    let capability = granted.capability();
    let mut sentence = verb(capability.kind()).to_owned();
    match capability.scope() {
        Scope::Whole => sentence.push_str(anything(capability.kind())),
        scope => {
            sentence.push(' ');
            sentence.push_str(&line(&scope.to_string()));
        }
    }
    let holes: Vec<String> = granted
        .holes()
        .iter()
        .map(|hole| line(&hole.scope().to_string()))
        .collect();
    if !holes.is_empty() {
        sentence.push_str(", but not ");
        sentence.push_str(&holes.join(", "));
    }
    sentence
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::ReadFiles => "read files at",
        Kind::WriteFiles => "create, change and remove files at",
        Kind::NetworkAccess => "connect to",
        Kind::NetworkListen => "listen on",
        Kind::ExecuteCode => "run the program",
        Kind::ExecuteShell => "run the shell",
        Kind::ReadEnvironment => "read the variable",
        Kind::UseSecret => "use, without seeing it, the secret",
        Kind::WriteToLogs => "write to the log",
        Kind::CallTool => "call the tool",
        Kind::UseModel => "ask the model",
        Kind::AskUser => "ask the user",
        Kind::Clock => "read the clock",
        Kind::Random => "read random numbers",
    }
}

/// What an unbounded scope comes to.
fn anything(kind: Kind) -> &'static str {
    match kind {
        Kind::Clock | Kind::Random | Kind::AskUser => "",
        Kind::NetworkAccess => " anything",
        Kind::NetworkListen => " any port",
        Kind::ReadFiles | Kind::WriteFiles => " any place",
        _ => " of any name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_read_as_sentences() {
        for (atom, sentence) in [
            (
                "read_files:/data/ except /data/hr/",
                "read files at /data/, but not /data/hr/",
            ),
            ("network_access", "connect to anything"),
            ("clock", "read the clock"),
            (
                "execute_code:/usr/bin/git status",
                "run the program /usr/bin/git status",
            ),
            (
                "use_secret:github_token",
                "use, without seeing it, the secret github_token",
            ),
        ] {
            assert_eq!(words(&atom.parse().unwrap()), sentence);
        }
    }
}
