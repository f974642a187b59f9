//! A host to attack: canaries, granted folders, and the probe program in a place that anyone may read.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use bailiwick_capability::{Grant, Granted};
use bailiwick_jail::{Extras, HOME, Native, Stdio, Watch};
use bailiwick_wall::{Closure, Denials, Denied, Limits, Program, WallError};

/// What a blocked probe exits with.
pub(crate) const BLOCKED: i32 = 42;

pub(crate) struct World {
    dir: tempfile::TempDir,
}

pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

impl World {
    /// Folders: `secret` (canaries), `read`, `write`; the probe at `probe`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("wall-")
            .tempdir_in("/var/tmp")
            .unwrap();
        let world = Self { dir };
        open_up(world.root());
        for folder in ["secret", "read", "write", "other"] {
            std::fs::create_dir(world.path(folder)).unwrap();
            std::fs::set_permissions(world.path(folder), PermissionsExt::from_mode(0o777)).unwrap();
        }
        std::fs::write(world.path("secret/key"), "canary").unwrap();
        std::fs::write(world.path("read/data"), "granted").unwrap();
        std::os::unix::fs::symlink("../secret/key", world.path("read/link")).unwrap();
        copy_program(&std::env::current_exe().unwrap(), &world.probe());
        world
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, rest: &str) -> PathBuf {
        self.root().join(rest)
    }

    pub(crate) fn probe(&self) -> PathBuf {
        self.path("probe")
    }

    /// Reading `read/`, and reading and writing `write/`.
    pub(crate) fn grant(&self) -> Grant {
        let root = self.root().display();
        grant(&[
            &format!("read_files:{root}/read/"),
            &format!("read_files:{root}/write/"),
            &format!("write_files:{root}/write/"),
        ])
    }

    fn probe_command(attack: &str) -> (Vec<OsString>, Vec<(OsString, OsString)>) {
        let arguments = ["--exact", "probe_entry", "--nocapture", "--test-threads=1"];
        let env = vec![("BAILIWICK_PROBE".into(), attack.into())];
        (arguments.map(Into::into).into(), env)
    }

    pub(crate) fn bare(&self, attack: &str) -> Ended {
        let (arguments, env) = Self::probe_command(attack);
        let output = Command::new(self.probe())
            .args(arguments)
            .envs(env)
            .output()
            .unwrap();
        Ended {
            status: output.status,
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    pub(crate) fn inside(&self, attack: &str, grant: &Grant) -> Ended {
        self.inside_watched(attack, grant, Watch::Nothing)
    }

    fn inside_watched(&self, attack: &str, grant: &Grant, watch: Watch) -> Ended {
        let denials = match watch {
            Watch::Looks => Denials::with_uses(),
            _ => Denials::new(),
        };
        let extras = Extras {
            watch,
            denials,
            ..Extras::default()
        };
        self.probed(attack, grant, &extras)
    }

    fn probed(&self, attack: &str, grant: &Grant, extras: &Extras) -> Ended {
        let (args, env) = Self::probe_command(attack);
        let program = Program {
            args,
            env,
            ..program(&self.probe())
        };
        run_with(&program, grant, &Limits::default(), extras).unwrap()
    }

    /// What is let through while a probe runs inside, of what the grant is about.
    pub(crate) fn used(&self, attack: &str) -> Vec<(String, String)> {
        let extras = Extras {
            denials: Denials::with_uses(),
            ..Extras::default()
        };
        self.probed(attack, &self.grant(), &extras);
        let root = self.root().display().to_string();
        let used = extras.denials.take_uses().into_iter();
        used.filter(|used| used.target.starts_with(&root) && !used.target.contains("probe"))
            .map(|used| (used.operation, used.target.replace(&root, "@")))
            .collect()
    }

    /// What is told while a probe runs inside; by the time it has ended, all of it.
    pub(crate) fn denied(&self, attack: &str, grant: &Grant, watch: Watch) -> Vec<Denied> {
        let extras = Extras {
            watch,
            ..Extras::default()
        };
        self.probed(attack, grant, &extras);
        extras.denials.take()
    }

    /// Succeeds bare, fails inside.
    pub(crate) fn attack(&self, attack: &str) {
        let bare = self.bare(attack);
        assert_eq!(
            bare.status.code(),
            Some(0),
            "bare, `{attack}` must succeed: {}",
            bare.output
        );
        self.blocked(attack);
    }

    /// Succeeds bare for root only, fails inside for anyone.
    pub(crate) fn attack_of_root(&self, attack: &str) {
        if rustix::process::geteuid().is_root() {
            self.attack(attack);
        } else {
            self.blocked(attack);
        }
    }

    /// Fails inside, watched or not; for attacks on what exists only there.
    pub(crate) fn blocked(&self, attack: &str) {
        for watch in [Watch::Nothing, Watch::Everything, Watch::Looks] {
            let inside = self.inside_watched(attack, &self.grant(), watch);
            assert_eq!(
                inside.status.code(),
                Some(BLOCKED),
                "inside ({watch:?}), `{attack}` must fail: {}",
                inside.output
            );
        }
    }

    /// Succeeds inside, watched as closely as can be: the wall is not simply closed.
    pub(crate) fn allowed(&self, attack: &str) {
        let inside = self.inside_watched(attack, &self.grant(), Watch::Everything);
        assert_eq!(
            inside.status.code(),
            Some(0),
            "inside, `{attack}` must succeed: {}",
            inside.output
        );
    }
}

/// A fresh temporary folder is private to its owner; the probes of another user must reach it.
fn open_up(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// By another process: were the copy open for writing here, a clone of another test's could still hold it
/// open when it is to be run (`ETXTBSY`).
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(status.success());
    open_up(to);
}

pub(crate) fn grant(atoms: &[&str]) -> Grant {
    Grant::new(
        atoms
            .iter()
            .map(|atom| Granted::whole(atom.parse().unwrap())),
    )
}

/// The program with all of /usr as its runtime.
pub(crate) fn program(path: &Path) -> Program {
    Program {
        program: path.into(),
        args: vec![],
        env: vec![
            ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
            ("HOME".into(), HOME.into()),
        ],
        cwd: "/".into(),
        closure: Closure {
            read: vec![],
            run: runtime(),
        },
    }
}

fn runtime() -> Vec<PathBuf> {
    ["/usr", "/lib", "/lib64", "/bin"]
        .map(PathBuf::from)
        .into_iter()
        .filter(|path| path.exists())
        .collect()
}

/// Runs to the end with no input; gives stdout and stderr together.
pub(crate) fn run(program: &Program, grant: &Grant, limits: &Limits) -> Result<Ended, WallError> {
    run_with(program, grant, limits, &Extras::default())
}

pub(crate) fn run_with(
    program: &Program,
    grant: &Grant,
    limits: &Limits,
    extras: &Extras,
) -> Result<Ended, WallError> {
    let jail = Native::probe()?;
    let mut jailed = jail.spawn_with(program, grant, limits, Stdio::Piped, extras)?;
    drop(jailed.stdin.take());
    let mut stderr = std::fs::File::from(jailed.stderr.take().unwrap());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        text
    });
    let mut text = Vec::new();
    std::fs::File::from(jailed.stdout.take().unwrap())
        .read_to_end(&mut text)
        .unwrap();
    text.extend(errors.join().unwrap());
    let status = jailed.wait().unwrap();
    Ok(Ended {
        status,
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}
