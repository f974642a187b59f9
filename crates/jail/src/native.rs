//! The native wall itself: what it takes from the machine, and how it starts a program.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bailiwick_capability::{Grant, Kind};
use bailiwick_wall::{HeldAtom, Limits, Program, Report, Wall, WallError};
use rustix::process::{getegid, geteuid};

use crate::base;
use crate::child::{
    Failure, Make, NODEV, NOEXEC, NOSUID, PathRule, Place, Plan, RDONLY, Step, Strings,
    TerminalPlan, What,
};
use crate::extras::{Extras, Watch};
use crate::jailed::Jailed;
use crate::layout::{Access, Layout, Node, base_only, plan};
use crate::paths::{PathFault, What as Found};
use crate::seccomp::Profile;
use crate::spawn::{PROGRAM_STEP, Pipes, Stdio, c_string, relative, start};
use crate::supervise::{self, View};
use crate::{landlock, report, seccomp, sys};

/// The native wall on this machine. Make it once with [`Native::probe`], which starts a process; copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    abi: u32,
    bounds_pids: bool,
}

impl Wall for Native {
    fn name(&self) -> &'static str {
        report::NAME
    }

    fn report(&self, grant: &Grant) -> Report {
        report::report(grant)
    }
}

fn unsupported(lacks: impl Into<String>) -> WallError {
    WallError::Unsupported {
        wall: report::NAME,
        lacks: lacks.into(),
    }
}

/// Landlock's part is fixed by its ABI; later ABIs add what this wall does not know yet.
const NEWEST_ABI: u32 = 7;

impl Native {
    /// Looks at what this machine can, by building a wall around nothing and seeing it stand.
    ///
    /// # Errors
    /// [`WallError::Unsupported`] with what is missing and how to mend it.
    pub fn probe() -> Result<Self, WallError> {
        let abi = match sys::landlock_abi() {
            Ok(abi) if abi >= landlock::MINIMUM_ABI => abi.min(NEWEST_ABI),
            Ok(abi) => {
                return Err(unsupported(format!(
                    "Landlock ABI {abi} is too old; use Linux 6.2 or later"
                )));
            }
            Err(_) => {
                return Err(unsupported(
                    "Landlock is off; use Linux 6.2 or later and have `landlock` in the `lsm=` boot parameter",
                ));
            }
        };
        // Where `/proc/sys` is read-only (containers), the bound on processes is RLIMIT_NPROC alone.
        for bounds_pids in [kernel_is_at_least(6, 14), false] {
            let native = Self { abi, bounds_pids };
            match native.try_empty() {
                Err(WallError::Build { what, .. })
                    if bounds_pids && what == Step::PidMax.text() => {}
                Err(WallError::Build { what, why }) => {
                    return Err(unsupported(format!("{what}: {why}")));
                }
                other => return other.map(|()| native),
            }
        }
        Err(unsupported("the number of processes cannot be bounded"))
    }

    /// Builds the wall and runs init alone, which ends at once because there is nothing to exec.
    fn try_empty(&self) -> Result<(), WallError> {
        let nothing = Program {
            program: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            closure: bailiwick_wall::Closure::default(),
        };
        let inner = |id: u32| base::inner_id(id);
        let empty = base_only(inner(geteuid().as_raw()), inner(getegid().as_raw()))
            .map_err(|fault| unsupported(fault.0))?;
        let extras = Extras::default();
        let pipes = Pipes::new(Stdio::Piped, false, false).map_err(|error| pipes_failed(&error))?;
        let plan = self.prepare(&nothing, &empty, &Limits::default(), &pipes, &extras)?;
        match start(&plan, pipes, |failure| describe(failure, &empty)) {
            // The exec of the empty path must fail, and only that.
            Err(WallError::Build { what, .. }) if what == PROGRAM_STEP => Ok(()),
            Err(other) => Err(other),
            Ok(_) => Err(unsupported("an empty program was started")),
        }
    }

    /// Starts `program` with exactly `grant` behind the wall.
    ///
    /// The call waits until the program has been exec'ed (a few milliseconds) and may be made from any
    /// thread of a host with many threads. Nothing is inherited: no environment, no descriptor but stdio.
    ///
    /// # Errors
    /// [`WallError::Refused`] when the wall cannot hold an atom, [`WallError::Build`] when a step of
    /// building it fails. In either case nothing of the program has run.
    pub fn spawn(
        &self,
        program: &Program,
        grant: &Grant,
        limits: &Limits,
        stdio: Stdio,
    ) -> Result<Jailed, WallError> {
        self.spawn_with(program, grant, limits, stdio, &Extras::default())
    }

    /// As [`Native::spawn`], with more in the world than the grant's files and programs.
    ///
    /// # Errors
    /// As [`Native::spawn`].
    pub fn spawn_with(
        &self,
        program: &Program,
        grant: &Grant,
        limits: &Limits,
        stdio: Stdio,
        extras: &Extras,
    ) -> Result<Jailed, WallError> {
        let served = |held: &HeldAtom| {
            let kind = held.atom.capability().kind();
            extras.network.is_some() && matches!(kind, Kind::NetworkAccess | Kind::UseSecret)
        };
        let report = self.report(grant);
        let refused: Vec<_> = report
            .refused()
            .filter(|held| !served(held))
            .cloned()
            .collect();
        if !refused.is_empty() {
            return Err(WallError::Refused(refused));
        }
        if !program.program.is_absolute() {
            let why = format!("`{}` is not an absolute path", program.program.display());
            return Err(WallError::Build {
                what: "preparing the program".to_owned(),
                why,
            });
        }
        let mut layout = self.layout(program, grant, &extras.files)?;
        if stdio.has_own_terminals(extras.terminals) {
            layout.add_terminals().map_err(planning_failed)?;
        }
        let profile = profile(extras, &layout);
        let watched = profile.watch != Watch::Nothing;
        let mut pipes =
            Pipes::new(stdio, profile.network, watched).map_err(|error| pipes_failed(&error))?;
        let plan = self.prepare(program, &layout, limits, &pipes, extras)?;
        if let Some(control) = pipes.take_control() {
            let broker = layout.broker(grant).map_err(planning_failed)?;
            let denials = extras.denials.clone();
            supervise::start(control, profile, View::default(), broker, denials)
                .map_err(|error| pipes_failed(&error))?;
        }
        start(&plan, pipes, |failure| describe(failure, &layout))
    }

    fn layout(
        &self,
        program: &Program,
        grant: &Grant,
        files: &[(PathBuf, Vec<u8>)],
    ) -> Result<Layout, WallError> {
        let (uid, gid) = (
            base::inner_id(geteuid().as_raw()),
            base::inner_id(getegid().as_raw()),
        );
        plan(program, grant, files, uid, gid).map_err(planning_failed)
    }

    fn prepare(
        &self,
        program: &Program,
        layout: &Layout,
        limits: &Limits,
        pipes: &Pipes,
        extras: &Extras,
    ) -> Result<Plan, WallError> {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let id_map = |id: u32| format!("{} {id} 1", base::inner_id(id)).into_bytes();
        let numbers = pipes.numbers();
        let network = extras.network.as_ref().zip(numbers.listeners);
        // Init tells by its name whether there is a terminal to watch over.
        let init = match numbers.terminal {
            Some(_) => c".init-terminal",
            None => c".init",
        };
        let mut argv = vec![init.to_owned(), c_string(program.program.as_os_str())?];
        for argument in &program.args {
            argv.push(c_string(argument)?);
        }
        let envp = environment(&program.env)?;
        let rules = layout.rules.iter().map(|rule| {
            Ok(PathRule {
                path: c_string(rule.path.as_os_str())?,
                access: landlock::known(self.abi, rule.access),
            })
        });
        Ok(Plan {
            stdio: numbers.stdio,
            devices: pipes.devices().map_err(|error| pipes_failed(&error))?,
            report: numbers.report,
            life: numbers.life,
            control: numbers.control,
            network: network
                .map(|(network, socket)| network.plan(socket, self.abi))
                .transpose()?,
            terminal: terminal(pipes, numbers.terminal),
            uid_map: id_map(uid),
            gid_map: id_map(gid),
            pid_max: self
                .bounds_pids
                .then(|| pid_max(limits.processes).to_string().into_bytes()),
            scratch_size: c_string(
                (limits.memory_bytes / SCRATCH_SHARE)
                    .max(1 << 20)
                    .to_string()
                    .as_ref(),
            )?,
            makes: makes(layout)?,
            rules: rules.collect::<Result<_, WallError>>()?,
            ruleset: landlock::attributes(self.abi),
            limits: resource_limits(limits),
            filter: filter(profile(extras, layout)).to_vec(),
            cwd: c_string(program.cwd.as_os_str())?,
            argv: Strings::new(argv),
            envp: Strings::new(envp),
        })
    }

    /// Whether a pid namespace of this machine takes a bound on its processes.
    pub(crate) fn bounds_pids(&self) -> bool {
        self.bounds_pids
    }

    /// Says in words what wall `program` would get under `grant`, a line each.
    #[must_use]
    pub fn explain(&self, program: &Program, grant: &Grant) -> Vec<String> {
        crate::explain::explain(
            self.abi,
            self.bounds_pids,
            self.layout(program, grant, &[]),
            grant,
        )
    }
}

/// The environment as exec takes it. A name with `=` would arrive as another name.
fn environment(variables: &[(OsString, OsString)]) -> Result<Vec<CString>, WallError> {
    let variable = |(name, value): &(OsString, OsString)| {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            let why = format!("`{}` is not a name", name.to_string_lossy().escape_debug());
            return Err(WallError::Build {
                what: "preparing the environment".to_owned(),
                why,
            });
        }
        let mut text = name.clone();
        text.push("=");
        text.push(value);
        c_string(&text)
    };
    variables.iter().map(variable).collect()
}

/// `/tmp` and the home may each take this share of the memory.
const SCRATCH_SHARE: u64 = 8;

/// Process ids up to 300 are not given out again, so the bound starts there (kernel/pid.c).
fn pid_max(processes: u32) -> u32 {
    processes.saturating_add(301).min(4_194_304)
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}

fn profile(extras: &Extras, layout: &Layout) -> Profile {
    // What the broker is to answer must come to it.
    let needed = match layout.brokered.is_empty() {
        true => Watch::Nothing,
        false => Watch::Acts,
    };
    Profile {
        network: extras.network.is_some(),
        terminals: layout.terminals,
        watch: extras.watch.max(needed),
    }
}

fn terminal(pipes: &Pipes, socket: Option<i32>) -> Option<TerminalPlan> {
    let (like, socket) = (pipes.like?, socket?);
    Some(TerminalPlan { socket, like })
}

/// Compiled once for each profile.
fn filter(profile: Profile) -> &'static [libc::sock_filter] {
    static FILTERS: [[[OnceLock<Vec<libc::sock_filter>>; 3]; 2]; 2] =
        [const { [const { [const { OnceLock::new() }; 3] }; 2] }; 2];
    let [without, with] = &FILTERS;
    let [alone, networked] = if profile.terminals { with } else { without };
    let [nothing, acts, everything] = if profile.network { networked } else { alone };
    let slot = match profile.watch {
        Watch::Nothing => nothing,
        Watch::Acts => acts,
        Watch::Everything => everything,
    };
    slot.get_or_init(|| seccomp::compile(profile))
}

fn resource_limits(limits: &Limits) -> Vec<(u32, u64)> {
    let mut list = vec![
        (libc::RLIMIT_DATA, limits.memory_bytes),
        (libc::RLIMIT_NPROC, limits.processes.into()),
        (libc::RLIMIT_NOFILE, limits.open_files.into()),
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
        (libc::RLIMIT_RTPRIO, 0),
    ];
    list.extend(
        limits
            .cpu_seconds
            .map(|seconds| (libc::RLIMIT_CPU, seconds)),
    );
    list
}

fn makes(layout: &Layout) -> Result<Vec<Make>, WallError> {
    let mounts = layout.nodes.iter().filter(|(_, node)| node.is_mount());
    let mounts: BTreeMap<&Path, &Node> = mounts.map(|(at, node)| (at.as_path(), node)).collect();
    let inside_bind = |path: &Path| {
        let around = path.ancestors().skip(1).find_map(|above| mounts.get(above));
        matches!(around, Some(Node::Bind { .. }))
    };
    let place = |path: &Path, folder: bool| match (inside_bind(path), folder) {
        (true, _) => Place::Exists,
        (false, true) => Place::Folder,
        (false, false) => Place::File,
    };
    let make = |(path, node): &(PathBuf, Node)| {
        let what = match node {
            Node::Folder => What::Folder,
            Node::Link(target) => What::Link(c_string(target)?),
            Node::File { content, mode } => What::File {
                content: content.clone(),
                mode: *mode,
            },
            Node::Over { content } => What::Over {
                content: content.clone(),
            },
            Node::Scratch => What::Scratch {
                place: place(path, true),
            },
            Node::Proc => What::Proc {
                place: place(path, true),
            },
            Node::Terminals => What::Terminals {
                place: place(path, true),
            },
            Node::Bind { access, found } => What::Bind {
                source: c_string(found.real.as_os_str())?,
                identity: found.identity,
                attributes: attributes(*access),
                place: place(path, found.kind == Found::Folder),
            },
        };
        Ok(Make {
            at: relative(path)?,
            what,
        })
    };
    layout.nodes.iter().map(make).collect()
}

fn attributes(access: Access) -> u64 {
    match access {
        Access::Read => RDONLY | NOSUID | NODEV | NOEXEC,
        Access::Run => RDONLY | NOSUID | NODEV,
        Access::Write => NOSUID | NODEV | NOEXEC,
        // A device can be written through a read-only mount; its mode, owner and times cannot.
        Access::Device => RDONLY | NOSUID | NOEXEC,
    }
}

fn planning_failed(fault: PathFault) -> WallError {
    WallError::Build {
        what: "planning what is shown".to_owned(),
        why: fault.0,
    }
}

fn pipes_failed(error: &io::Error) -> WallError {
    WallError::Build {
        what: "preparing stdin, stdout and stderr".to_owned(),
        why: error.to_string(),
    }
}

/// A failure of the child, for people: the step, the path, and how to mend it.
fn describe(failure: Failure, layout: &Layout) -> WallError {
    let path = match failure.step {
        Step::Make | Step::Changed => layout.nodes.get(failure.index).map(|(path, _)| path),
        Step::Landlock => layout.rules.get(failure.index).map(|rule| &rule.path),
        _ => None,
    };
    let mut what = failure.step.text().to_owned();
    if let Some(path) = path {
        let shown = String::from_utf8_lossy(path.as_os_str().as_bytes())
            .escape_debug()
            .to_string();
        what = format!("{what} (`{shown}`)");
    }
    let error = io::Error::from_raw_os_error(failure.errno);
    let why = match (failure.step, failure.errno) {
        (Step::Clone, libc::EPERM | libc::EACCES) => format!(
            "{error}: user namespaces are not permitted; see the sysctls kernel.unprivileged_userns_clone and \
             kernel.apparmor_restrict_unprivileged_userns, and the container's seccomp profile"
        ),
        (Step::Clone, libc::ENOSPC) => {
            format!("{error}: raise the sysctl user.max_user_namespaces and its siblings")
        }
        (Step::Network, libc::EADDRINUSE) => format!("{error}: a granted port is taken inside"),
        (Step::SelfTest, number @ 1000..) => format!(
            "proof {} did not hold; the program was not started",
            number - 1000
        ),
        (Step::Changed, _) => "it was replaced meanwhile; try again".to_owned(),
        (Step::IdMap, libc::EACCES | libc::EPERM) => {
            format!("{error}: the host process must be dumpable and user namespaces unrestricted")
        }
        _ => error.to_string(),
    };
    WallError::Build { what, why }
}

#[cfg(test)]
mod tests;
