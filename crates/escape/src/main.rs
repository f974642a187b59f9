//! Attacks on the wall, run through the real command line and judged from outside.
//!
//! Each attack runs bare, where the machine must let it work (or it proves nothing), and behind `bailiwick exec`, as
//! root and as an ordinary user; `cargo xtask escape` builds what it needs and runs it.

mod catalogue;
mod judge;
mod probe;
mod run;
mod sight;
mod suite;
mod table;
mod tools;
mod victim;
mod world;

use std::process::ExitCode;

/// Whatever keeps the suite from running; this program only prints it.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const HELP: &str = "\
bailiwick-escape [--json] [--list] [WORD…]

Attacks the wall, and says of each attack what it does without the wall, and inside as root and as an ordinary user.
Run it as root to see both users; as an ordinary user it sees that one. WORDs choose attacks by class or name.
Exit status 1 when an attack works inside, or one could not be tried.

  --json   for machines
  --list   the attacks, by class
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match escape(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bailiwick-escape: {error}");
            ExitCode::from(2)
        }
    }
}

fn escape(args: &[String]) -> Outcome<bool> {
    let (flags, words): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|word| word.starts_with('-'));
    let has = |flag: &str| flags.iter().any(|given| *given == flag);
    if has("--help") || has("-h") {
        print!("{HELP}");
        return Ok(true);
    }
    let known = ["--json", "--list"];
    if let Some(unknown) = flags.iter().find(|flag| !known.contains(&flag.as_str())) {
        return Err(format!("there is no `{unknown}`\n\n{HELP}").into());
    }
    let mut chosen = catalogue::all();
    if !words.is_empty() {
        chosen.retain(|probe| {
            words
                .iter()
                .any(|word| probe.class == *word || probe.name.contains(word.as_str()))
        });
    }
    if chosen.is_empty() {
        return Err(format!("nothing is called like {words:?}; `--list` shows all").into());
    }
    if has("--list") {
        chosen
            .iter()
            .for_each(|probe| println!("{:24} {}", probe.class, probe.name));
        return Ok(true);
    }
    let report = suite::run(&chosen)?;
    if has("--json") {
        println!("{:#}", table::json(&report));
    } else {
        print!("{}", table::text(&report));
    }
    Ok(report.holds())
}
