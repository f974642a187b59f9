//! The native wall itself: what it takes from the machine, and how it starts a program.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bailiwick_capability::{Grant, Kind, Scope};
use bailiwick_wall::{HeldAtom, Limits, Program, Report, Wall, WallError};
use rustix::process::{getegid, geteuid};

use crate::base;
use crate::bounds;
use crate::cgroup::Group;
use crate::child::{
    Failure, Make, NODEV, NOEXEC, NOSUID, PathRule, Place, Plan, RDONLY, Step, Strings,
    TerminalPlan, What,
};
use crate::extras::{Extras, Watch};
use crate::jailed::Jailed;
use crate::layout::{Access, Layout, Node, plan};
use crate::paths::{PathFault, What as Found};
use crate::seccomp::Profile;
use crate::spawn::{Pipes, Stdio, c_string, relative, start};
use crate::supervise::{self, Runner, View};
use crate::{landlock, report, seccomp};

/// The native wall on this machine. Make it once with [`Native::probe`], which starts a process; copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    abi: u32,
    bounds_pids: bool,
    tells: bool,
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

impl Native {
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
            match (kind, held.atom.capability().scope()) {
                (Kind::NetworkAccess | Kind::UseSecret, _) => extras.network.is_some(),
                (Kind::ExecuteCode, Scope::Program(scope)) => {
                    !scope.args().is_empty() && extras.programs.is_some()
                }
                _ => false,
            }
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
        if stdio.has_own_terminals(extras.terminals, extras.streams.as_deref()) {
            layout.add_terminals().map_err(planning_failed)?;
        }
        let profile = self.profile(extras, &layout)?;
        let watched = profile.watch != Watch::Nothing;
        let mut pipes = Pipes::new(stdio, extras.streams.as_deref(), profile.network, watched)
            .map_err(|error| pipes_failed(&error))?;
        let group = bounds::group(limits)?;
        let plan = self.prepare(program, &layout, limits, group.as_ref(), &pipes, extras)?;
        let mut watcher = None;
        if let Some(control) = pipes.take_control() {
            let broker = layout.broker(grant).map_err(planning_failed)?;
            let view = View::of(&layout, extras.network.as_ref());
            let runner = extras
                .programs
                .clone()
                .map(|programs| Runner::new(programs, layout.stubs.clone()));
            let denials = extras.denials.clone();
            let watched = supervise::start(control, profile, view, broker, runner, denials);
            watcher = Some(watched.map_err(|error| pipes_failed(&error))?);
        }
        let mut jailed = start(&plan, pipes, |failure| describe(failure, &layout))?;
        jailed.watch(watcher);
        bounds::measured(jailed, group, &layout, limits, &extras.denials)
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
        group: Option<&Group>,
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
            entrance: group.map(Group::entrance).unwrap_or_default(),
            stdio: numbers.stdio,
            devices: pipes.devices().map_err(|error| pipes_failed(&error))?,
            reopened: pipes.reopened().map_err(|error| pipes_failed(&error))?,
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
            limits: bounds::of_each_process(limits, group),
            filter: filter(self.profile(extras, layout)?).to_vec(),
            cwd: c_string(program.cwd.as_os_str())?,
            argv: Strings::new(argv),
            envp: Strings::new(envp),
        })
    }

    /// Which filter a world gets. Where nothing can be watched here, nothing is; but a part of the wall that
    /// answers calls is never left out.
    fn profile(&self, extras: &Extras, layout: &Layout) -> Result<Profile, WallError> {
        // What the broker is to answer must come to it.
        let needed = match layout.brokered.is_empty() && layout.stubs.is_empty() {
            true => Watch::Nothing,
            false => Watch::Acts,
        };
        if !self.tells && needed != Watch::Nothing {
            return Err(unsupported(
                "a writable folder with a forbidden part, and arguments of programs, are held by answering system \
                 calls, and something around this process watches those already; run it outside of that, or grant \
                 folders without holes and programs without arguments",
            ));
        }
        let wants_uses = extras.denials.wants_uses();
        if !self.tells && wants_uses {
            return Err(unsupported(
                "what a program uses is seen by watching its system calls, and something around this process watches \
                 those already; run it outside of that",
            ));
        }
        let asked = match wants_uses {
            true => Watch::Looks,
            false => extras.watch,
        };
        Ok(Profile {
            network: extras.network.is_some(),
            terminals: layout.terminals,
            watch: if self.tells {
                asked.max(needed)
            } else {
                Watch::Nothing
            },
        })
    }

    /// Whether what the wall refuses can be told here: nothing around this process may watch system calls already.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.tells
    }

    /// Whether a pid namespace of this machine takes a bound on its processes.
    pub(crate) fn bounds_pids(&self) -> bool {
        self.bounds_pids
    }

    /// Says in words what wall `program` would get under `grant`, a line each.
    #[must_use]
    pub fn explain(&self, program: &Program, grant: &Grant) -> Vec<String> {
        let layout = self.layout(program, grant, &[]);
        let mut lines = crate::explain::explain(self.abi, self.bounds_pids, layout, grant);
        lines.push(
            match self.tells {
                true => "what is refused: told to the host, as closely as it is watched",
                false => "what is refused: NOT told, because something around this process watches system calls already",
            }
            .to_owned(),
        );
        lines
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

fn terminal(pipes: &Pipes, socket: Option<i32>) -> Option<TerminalPlan> {
    let (like, socket) = (pipes.like?, socket?);
    Some(TerminalPlan { socket, like })
}

/// Compiled once for each profile.
fn filter(profile: Profile) -> &'static [libc::sock_filter] {
    static FILTERS: [[[OnceLock<Vec<libc::sock_filter>>; 4]; 2]; 2] =
        [const { [const { [const { OnceLock::new() }; 4] }; 2] }; 2];
    let [without, with] = &FILTERS;
    let [alone, networked] = if profile.terminals { with } else { without };
    let [nothing, acts, everything, looks] = if profile.network { networked } else { alone };
    let slot = match profile.watch {
        Watch::Nothing => nothing,
        Watch::Acts => acts,
        Watch::Everything => everything,
        Watch::Looks => looks,
    };
    slot.get_or_init(|| seccomp::compile(profile))
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
            Node::Over { content, run } => What::Over {
                content: content.clone(),
                run: *run,
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

mod probe;
#[cfg(test)]
mod tests;
