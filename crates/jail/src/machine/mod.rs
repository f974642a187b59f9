//! What this machine offers to a wall, found by trying.
//!
//! Nothing on the machine is changed: what is tried is tried by processes that end at once, in namespaces that
//! end with them. Where the whole native wall stands ([`crate::Native::probe`]), what it is made of is not tried
//! again.

mod trial;

use std::collections::BTreeSet;
use std::path::Path;

use bailiwick_wall::WallError;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::{Native, cgroup, landlock, meter, sys};

/// One thing that the machine has or lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name, as policies call it in `Machine::"…"`.
    pub name: &'static str,
    /// Whether it works here, for this user.
    pub holds: bool,
    /// What was found, for people.
    pub found: String,
    /// How to get it, where it is missing and that is known.
    pub mend: Option<String>,
}

/// A setting of the kernel that bears on walls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As sysctl(8) names it.
    pub name: &'static str,
    /// Its value, as text.
    pub value: String,
}

/// What this machine offers, to the user who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Name, release and architecture of the kernel (uname(2)).
    pub kernel: String,
    /// What says that this is a container, if anything does.
    pub container: Option<String>,
    /// The security modules in force, where the kernel shows them (`/sys/kernel/security/lsm`).
    pub modules: Option<String>,
    /// Settings that restrict walls; those that this kernel has.
    pub settings: Vec<Setting>,
    /// Everything that policies may require, in a fixed order.
    pub facts: Vec<Fact>,
}

/// Settings that decide whether a wall can be built.
const SETTINGS: [&str; 9] = [
    "user.max_user_namespaces",
    "user.max_net_namespaces",
    "user.max_mnt_namespaces",
    "user.max_pid_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.yama.ptrace_scope",
    "kernel.io_uring_disabled",
    "kernel.core_pattern",
];

/// The names of Landlock's ABIs from the oldest that the wall takes.
const ABIS: [(u32, &str); 5] = [
    (3, "landlock-3"),
    (4, "landlock-4"),
    (5, "landlock-5"),
    (6, "landlock-6"),
    (7, "landlock-7"),
];

impl Machine {
    /// Looks at the machine; `native` is what probing the native wall gave.
    #[must_use]
    pub fn look(native: Result<&Native, &WallError>) -> Self {
        let settings: Vec<Setting> = SETTINGS
            .into_iter()
            .filter_map(|name| {
                Some(Setting {
                    name,
                    value: setting(name)?,
                })
            })
            .collect();
        let settings = settings.into_iter().chain([Setting {
            // Without it processes are found by asking every one for its parent, which is dearer.
            name: "CONFIG_PROC_CHILDREN",
            value: if meter::kernel_lists_children() {
                "y"
            } else {
                "n"
            }
            .to_owned(),
        }]);
        let settings = settings.collect();
        let container = container();
        let mut machine = Self {
            kernel: kernel(),
            modules: read("/sys/kernel/security/lsm"),
            facts: Vec::new(),
            settings,
            container,
        };
        machine.native(native);
        machine.namespaces(native.is_ok());
        machine.landlock(native.is_ok());
        machine.filters(native.is_ok());
        machine.bounds(native.ok());
        machine.surroundings();
        machine
    }

    /// The names of what holds, as policy sees them.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let held = self.facts.iter().filter(|fact| fact.holds);
        held.map(|fact| fact.name.to_owned()).collect()
    }

    /// The fact of this name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.name == name)
    }

    fn add(
        &mut self,
        name: &'static str,
        holds: bool,
        found: impl Into<String>,
        mend: Option<String>,
    ) {
        let mend = mend.filter(|_| !holds);
        let found = found.into();
        self.facts.push(Fact {
            name,
            holds,
            found,
            mend,
        });
    }

    fn native(&mut self, native: Result<&Native, &WallError>) {
        match native {
            Ok(_) => self.add(
                "native",
                true,
                "a wall was built around nothing, and stood",
                None,
            ),
            Err(error) => self.add(
                "native",
                false,
                error.to_string(),
                Some("mend what is missing below".to_owned()),
            ),
        }
    }

    fn namespaces(&mut self, proven: bool) {
        let mend = self.mend_namespaces();
        for (name, flags, what) in trial::NAMESPACES {
            let tried = if proven {
                Ok(())
            } else {
                trial::namespace(flags)
            };
            self.add(name, tried.is_ok(), said(&tried, what), Some(mend.clone()));
        }
        let tried = if proven { Ok(()) } else { trial::mount_api() };
        let what = "a file system was mounted inside alone";
        self.add("mount-api", tried.is_ok(), said(&tried, what), Some(mend));
    }

    /// Why this user gets no namespaces, as far as the machine tells.
    fn mend_namespaces(&self) -> String {
        let is = |name: &str, value: &str| {
            self.settings
                .iter()
                .any(|setting| setting.name == name && setting.value == value)
        };
        let mut ways = Vec::new();
        let none = self
            .settings
            .iter()
            .filter(|setting| setting.name.starts_with("user.max_") && setting.value == "0");
        ways.extend(none.map(|setting| {
            format!(
                "`sysctl -w {}=10000` as root of this user namespace or its parent",
                setting.name
            )
        }));
        if is("kernel.unprivileged_userns_clone", "0") {
            ways.push("`sysctl -w kernel.unprivileged_userns_clone=1`".to_owned());
        }
        if is("kernel.apparmor_restrict_unprivileged_userns", "1") {
            ways.push(
                "an AppArmor profile with `userns,` for bailiwick in /etc/apparmor.d, or \
                 `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
                    .to_owned(),
            );
        }
        if self.container.is_some() {
            ways.push(
                "a container whose seccomp and AppArmor profiles permit user namespaces and mounts \
                 (Docker, Podman: `--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                 --security-opt systempaths=unconfined`)"
                    .to_owned(),
            );
        }
        if ways.is_empty() {
            ways.push("a kernel with CONFIG_USER_NS, and no seccomp filter around this process that forbids clone(2) with namespaces".to_owned());
        }
        ways.push("Wasm plugins need none of this".to_owned());
        ways.join("; or ")
    }

    fn landlock(&mut self, proven: bool) {
        let abi = sys::landlock_abi();
        let tried = match abi {
            Ok(_) if proven => Ok(()),
            Ok(_) => trial::landlock(),
            Err(errno) => Err(errno),
        };
        let abi = abi.unwrap_or(0);
        let found = match tried {
            Ok(()) => format!("ABI {abi}, and a ruleset was put in force"),
            Err(_) => said(&tried, ""),
        };
        let mend = "Linux 6.2 or later, with `landlock` in the `lsm=` boot parameter".to_owned();
        let enough = tried.is_ok() && abi >= landlock::MINIMUM_ABI;
        self.add("landlock", enough, found, Some(mend));
        for (least, name) in ABIS {
            let mend = format!("a kernel with Landlock ABI {least} or later");
            self.add(
                name,
                tried.is_ok() && abi >= least,
                format!("ABI {abi}"),
                Some(mend),
            );
        }
    }

    fn filters(&mut self, proven: bool) {
        let mend = "a kernel with CONFIG_SECCOMP_FILTER, and no filter around this process that forbids seccomp(2)";
        let tried = if proven { Ok(()) } else { trial::filter(false) };
        let what = "a filter of system calls was installed";
        self.add(
            "seccomp",
            tried.is_ok(),
            said(&tried, what),
            Some(mend.to_owned()),
        );
        let tried = trial::filter(true);
        let what = "a filter that tells the host was installed";
        let mend = match tried {
            Err(libc::EBUSY) => {
                "run it where nothing around it watches system calls by user notification already"
            }
            _ => mend,
        };
        self.add(
            "seccomp-notify",
            tried.is_ok(),
            said(&tried, what),
            Some(mend.to_owned()),
        );
    }

    fn bounds(&mut self, native: Option<&Native>) {
        let bounded = native.is_some_and(Native::bounds_pids);
        let found = match bounded {
            true => "`kernel.pid_max` of a pid namespace was set",
            false => "`kernel.pid_max` of a pid namespace cannot be set",
        };
        let mend = "Linux 6.14 or later, with a writable /proc/sys".to_owned();
        self.add("pid-max", bounded, found, Some(mend));
        for (name, tried) in cgroup::facts() {
            let (holds, found) = match tried {
                Ok(found) => (true, found),
                Err(found) => (false, found),
            };
            self.add(name, holds, found, Some(cgroup::MEND.to_owned()));
        }
    }

    fn surroundings(&mut self) {
        let apparmor = read("/sys/module/apparmor/parameters/enabled").as_deref() == Some("Y");
        self.add("apparmor", apparmor, switched(apparmor), None);
        let yama = setting("kernel.yama.ptrace_scope");
        self.add("yama", yama.is_some(), switched(yama.is_some()), None);
        let kvm = Path::new("/dev/kvm");
        let found = match accessat(
            CWD,
            kvm,
            Access::READ_OK | Access::WRITE_OK,
            AtFlags::EACCESS,
        ) {
            Ok(()) => std::fs::File::open(kvm)
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Err(errno) => Err(errno.to_string()),
        };
        let text = match &found {
            Ok(()) => "/dev/kvm was opened".to_owned(),
            Err(why) => format!("/dev/kvm: {why}"),
        };
        let mend = "a machine with virtualization, and this user in the group `kvm`".to_owned();
        self.add("kvm", found.is_ok(), text, Some(mend));
        let whole = read("/proc/self/uid_map")
            .is_some_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
        let found = if whole {
            "the machine's own users"
        } else {
            "inside another user namespace"
        };
        self.add("init-user", whole, found, None);
    }
}

fn said(tried: &Result<(), sys::Errno>, what: &str) -> String {
    match tried {
        Ok(()) => what.to_owned(),
        Err(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
    }
}

fn switched(on: bool) -> &'static str {
    if on { "switched on" } else { "not in force" }
}

fn kernel() -> String {
    let name = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    format!(
        "{} {} {}",
        part(name.sysname()),
        part(name.release()),
        part(name.machine())
    )
}

/// A small file of the kernel's, trimmed; none where it is missing or empty.
fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn setting(name: &str) -> Option<String> {
    read(&format!("/proc/sys/{}", name.replace('.', "/")))
}

/// What container managers leave behind for those inside. None of it is a wall or its absence.
fn container() -> Option<String> {
    let marks = [
        ("/.dockerenv", "Docker"),
        ("/run/.containerenv", "Podman"),
        ("/var/run/secrets/kubernetes.io", "Kubernetes"),
    ];
    let mark = marks.into_iter().find(|(path, _)| Path::new(path).exists());
    let manager = read("/run/systemd/container");
    manager
        .or_else(|| mark.map(|(path, name)| format!("{name} ({path})")))
        .or_else(|| {
            let groups = read("/proc/1/cgroup")?;
            let known = ["docker", "kubepods", "containerd", "lxc", "libpod"];
            let found = known.into_iter().find(|name| groups.contains(name))?;
            Some(format!("{found} (/proc/1/cgroup)"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_wall_proves_is_found_by_trying_each_too() {
        let native = Native::probe().unwrap();
        let proven = Machine::look(Ok(&native));
        let unproven = WallError::Plugin("as if".to_owned());
        let tried = Machine::look(Err(&unproven));
        let (mut proven, tried) = (proven.names(), tried.names());
        assert!(proven.remove("native"));
        proven.remove("pid-max");
        assert_eq!(proven, tried);
        for name in [
            "userns",
            "netns",
            "mount-api",
            "landlock",
            "landlock-3",
            "seccomp",
        ] {
            assert!(tried.contains(name), "{name}: {tried:?}");
        }
    }

    #[test]
    fn every_fact_says_what_was_found_and_what_is_missing_how_to_get_it() {
        let error = WallError::Plugin("as if".to_owned());
        let machine = Machine::look(Err(&error));
        let names: BTreeSet<&str> = machine.facts.iter().map(|fact| fact.name).collect();
        assert_eq!(names.len(), machine.facts.len(), "each once");
        for fact in &machine.facts {
            assert!(!fact.found.is_empty(), "{fact:?}");
            let informs = ["apparmor", "yama", "init-user"].contains(&fact.name);
            assert!(fact.holds || informs || fact.mend.is_some(), "{fact:?}");
        }
    }

    #[test]
    fn the_mending_names_the_setting_that_forbids() {
        let mut machine = Machine::look(Err(&WallError::Plugin("as if".to_owned())));
        machine.settings = vec![Setting {
            name: "user.max_user_namespaces",
            value: "0".to_owned(),
        }];
        assert!(
            machine
                .mend_namespaces()
                .contains("user.max_user_namespaces")
        );
        machine.settings = vec![Setting {
            name: "kernel.apparmor_restrict_unprivileged_userns",
            value: "1".to_owned(),
        }];
        assert!(machine.mend_namespaces().contains("AppArmor profile"));
    }
}
