//! The attacks, the victim and a helper, compiled from their C sources by the system's compiler.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::world::{User, as_user};

macro_rules! sources {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../", $folder, "/", $name)))),*]
    };
}

const PROBES: &[(&str, &str)] = sources!("probes": "probe.h" "main.c" "files.c" "links.c" "proc_files.c"
    "descriptors.c" "mounts.c" "network.c" "rings.c" "processes.c" "kernel.c" "terminals.c" "shared.c" "leftovers.c"
    "bombs.c" "secrets.c" "programs.c");
const VICTIM: &[(&str, &str)] = sources!("victim": "victim.c");
const HELPER: &[(&str, &str)] = sources!("victim": "helper.c");
const PRELOAD: &[(&str, &str)] = sources!("victim": "preload.c");

/// Everything that is run, in a folder that every user may enter.
#[derive(Debug)]
pub(crate) struct Tools {
    folder: tempfile::TempDir,
    /// Lines of a configuration that make users trusted, so that policy forbids as little as possible and the walls do
    /// the work.
    roles: Vec<(User, String)>,
}

impl Tools {
    /// Compiles, and copies the gate, so that a build meanwhile changes nothing.
    pub(crate) fn make() -> Outcome<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::Builder::new()
            .prefix("escape-tools-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/var/tmp")?;
        let at = folder.path();
        std::thread::scope(|scope| {
            let all = [
                scope.spawn(|| compile(at, "probe", PROBES, &["-static", "-pthread"])),
                scope.spawn(|| compile(at, "dynamic", PROBES, &["-pthread"])),
                scope.spawn(|| compile(at, "victim", VICTIM, &["-static"])),
                scope.spawn(|| compile(at, "helper", HELPER, &["-static"])),
                scope.spawn(|| compile(at, "preload.so", PRELOAD, &["-shared", "-fPIC"])),
            ];
            all.into_iter().try_for_each(|one| {
                one.join()
                    .unwrap_or_else(|_| Err("a compilation panicked".into()))
            })
        })?;
        let gate = std::env::current_exe()?.with_file_name("bailiwick");
        std::fs::copy(&gate, at.join("bailiwick")).map_err(|error| {
            format!(
                "{}: {error}; hint: `cargo xtask escape` builds it first, or do `cargo build --release -p bailiwick`",
                gate.display()
            )
        })?;
        let roles = [User::Root, User::Ordinary]
            .map(|user| Ok::<_, Box<dyn Error + Send + Sync>>((user, role(user)?)));
        let roles = roles.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { folder, roles })
    }

    /// The configuration's line about this user.
    pub(crate) fn role(&self, user: User) -> &str {
        let found = self.roles.iter().find(|(one, _)| *one == user);
        found.map_or("", |(_, line)| line)
    }

    /// Where the tool of this name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn role(user: User) -> Outcome<String> {
    let mut command = as_user(user);
    command.extend(["id", "-un"].map(str::to_owned));
    let (program, args) = command.split_first().ok_or("no command")?;
    let output = Command::new(program).args(args).output()?;
    let name = String::from_utf8(output.stdout)?;
    Ok(format!(
        "  {}: {{roles: [trusted-operator]}}\n",
        name.trim()
    ))
}

fn compile(
    folder: &Path,
    name: &str,
    sources: &[(&str, &str)],
    options: &[&str],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let source = folder.join(format!("{name}.src"));
    std::fs::create_dir(&source)?;
    let mut command = Command::new("cc");
    command.current_dir(&source).arg("-O1").args(options);
    for (file, text) in sources {
        std::fs::write(source.join(file), text)?;
        if file.ends_with(".c") {
            command.arg(file);
        }
    }
    let output = command
        .arg("-o")
        .arg(folder.join(name))
        .output()
        .map_err(|error| {
            format!("`cc`: {error}; hint: install a C compiler, as `cargo xtask setup` does")
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`{name}` does not compile:\n{}",
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}
