//! What a plugin's runtime needs besides its grant, for `check`: found, not run, and nothing fetched.

use std::path::Path;

use bailiwick_capability::{Grant, Kind};
use bailiwick_gate::plain;
use bailiwick_gate::world::Source;
use bailiwick_manifest::Start;
use bailiwick_runtime::{Ecosystem, Known, Need, Settings, closure_of, inspect};
use serde_json::{Value, json};

use crate::report::say;
use crate::walls::granted_programs;

/// What is shown to a plugin so that it can run at all.
pub(crate) struct Runs {
    /// The program, or why there is none.
    program: Result<Known, String>,
    /// Each program that it is granted to execute, with what that one needs or why it cannot be found.
    granted: Vec<(String, Result<Vec<Need>, String>)>,
}

impl Runs {
    /// Looks at a plugin with what it was granted; none for a component, which needs nothing of the machine.
    pub(crate) fn of(source: &Source, grant: &Grant, cache: &Path) -> Option<Self> {
        let Start::Command(command) = &source.manifest.runtime().start else {
            return None;
        };
        let settings = Settings {
            plugin_dir: source.dir.clone(),
            keep: false,
            network: grant.of_kind(Kind::NetworkAccess).next().is_some(),
            ..Settings::from_process(cache)
        };
        let granted = granted_programs(grant).into_iter().map(|path| {
            let needs = closure_of(&path, &settings)
                .map(|(_, needs)| needs)
                .map_err(|error| error.to_string());
            (path.display().to_string(), needs)
        });
        Some(Self {
            program: inspect(command, &settings).map_err(|error| error.to_string()),
            granted: granted.collect(),
        })
    }

    /// Prints it, a line for each path with its reason.
    pub(crate) fn show(&self) {
        match &self.program {
            Err(why) => say!("It cannot run here: {}\n", plain(why)),
            Ok(Known::ToFetch(ecosystem, packages)) => {
                let packages = packages.join(", ");
                say!(
                    "Not fetched yet. `serve` and `exec` fetch it first, in a step with a grant of its own:"
                );
                say!(
                    "  {packages} from {}, scripts off, pinned by its integrity\n",
                    registry(*ecosystem)
                );
            }
            Ok(Known::Ready(prepared)) => {
                say!("To run at all it is also shown, whatever it is granted:");
                lines(&prepared.needs);
                for package in &prepared.packages {
                    let (name, version) = (&package.name, &package.version);
                    say!("  package {name}@{version}: {}", plain(&package.integrity));
                }
                say!();
            }
        }
        for (program, needs) in &self.granted {
            match needs {
                Ok(needs) => {
                    say!(
                        "To execute {}, as granted, it is also shown:",
                        plain(program)
                    );
                    lines(needs);
                }
                Err(why) => say!("{} cannot run here: {}", plain(program), plain(why)),
            }
            say!();
        }
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        let own = match &self.program {
            Err(why) => json!({ "error": why }),
            Ok(Known::ToFetch(ecosystem, packages)) => {
                json!({ "to_fetch": { "registry": ecosystem.name(), "packages": packages } })
            }
            Ok(Known::Ready(prepared)) => {
                let packages = prepared.packages.iter().map(|package| {
                    json!({
                        "registry": package.ecosystem.name(), "package": package.name,
                        "version": package.version, "integrity": package.integrity,
                    })
                });
                json!({
                    "program": prepared.program.program,
                    "needs": needs_json(&prepared.needs),
                    "packages": packages.collect::<Vec<_>>(),
                })
            }
        };
        let granted = self.granted.iter().map(|(program, needs)| match needs {
            Ok(needs) => json!({ "program": program, "needs": needs_json(needs) }),
            Err(why) => json!({ "program": program, "error": why }),
        });
        json!({ "own": own, "granted_programs": granted.collect::<Vec<_>>() })
    }
}

fn lines(needs: &[Need]) {
    for need in needs {
        say!("  {}", plain(&need.to_string()));
    }
}

fn needs_json(needs: &[Need]) -> Vec<Value> {
    let one = |need: &Need| json!({ "path": need.path, "run": need.run, "why": need.why });
    needs.iter().map(one).collect()
}

fn registry(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Npm => "the npm registry of this machine's configuration",
        Ecosystem::Pypi => "the Python package index of this machine's configuration",
    }
}
