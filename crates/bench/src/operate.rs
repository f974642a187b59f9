//! Performs operations on files when told to, so that the same can be measured in any surroundings.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;

use landlock::{
    ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
    path_beneath_rules,
};

use crate::Outcome;

const CHUNK: usize = 4096;

/// Serves on standard input and output: a line names an operation and how often, the answer is a line.
/// `read` and `write` are the files that it works on.
pub(crate) fn serve(read: &str, write: &str) -> Outcome {
    let open = File::open(read)?;
    let output = OpenOptions::new().write(true).open(write)?;
    let mut buffer = [0u8; CHUNK];
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (operation, times) = line.split_once(' ').ok_or("an operation and a number")?;
        for _ in 0..times.parse::<u32>()? {
            match operation {
                "open" => drop(File::open(read)?.read(&mut buffer)?),
                "read" => drop(open.read_at(&mut buffer, 0)?),
                "write" => output.write_all_at(&buffer, 0)?,
                other => return Err(format!("there is no operation `{other}`").into()),
            }
        }
        println!("done");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The same under Landlock alone, with rules on as many paths as the wall has: the system's, and the two files.
pub(crate) fn serve_under_landlock(read: &str, write: &str) -> Outcome {
    let abi = ABI::V3;
    let system = super::rows::libraries();
    let devices = [
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
    ];
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(system, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(devices, AccessFs::from_file(abi)))?
        .add_rules(path_beneath_rules(
            ["/tmp", "/proc"],
            AccessFs::from_all(abi),
        ))?
        .add_rules(path_beneath_rules([read], AccessFs::ReadFile))?
        .add_rules(path_beneath_rules([write], AccessFs::WriteFile))?
        .restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        return Err("Landlock is not enforced".into());
    }
    serve(read, write)
}
