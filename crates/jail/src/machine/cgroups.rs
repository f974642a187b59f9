//! Which control groups this user may make, by looking: version 2 where it is delegated, version 1 where mounted.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::read;

pub(super) const MEND: &str = "start it as a service or scope of its own with delegation (`systemd-run --user --scope \
     -p Delegate=yes bailiwick …`), or as root with the controller mounted; without it, bounds hold per process";

/// The controllers that bound a plugin, with the names of their facts.
const CONTROLLERS: [(&str, &str); 3] = [
    ("memory", "cgroup-memory"),
    ("pids", "cgroup-pids"),
    ("cpu", "cgroup-cpu"),
];

/// Where a control group of ours would be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    dir: PathBuf,
    version: u8,
}

/// What may be used, or why not; `cgroup` means at least one controller.
pub(super) fn look() -> Vec<(&'static str, Result<String, String>)> {
    let mounts = read("/proc/self/mountinfo").unwrap_or_default();
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let each: Vec<(&str, Result<String, String>)> = CONTROLLERS
        .into_iter()
        .map(|(controller, name)| (name, usable(&mounts, &groups, controller)))
        .collect();
    let first = each.iter().find_map(|(_, found)| found.as_ref().ok());
    let any = match first {
        Some(found) => Ok(found.clone()),
        None => Err("no controller may be used".to_owned()),
    };
    std::iter::once(("cgroup", any)).chain(each).collect()
}

fn usable(mounts: &str, groups: &str, controller: &str) -> Result<String, String> {
    let place = place(mounts, groups, controller).ok_or("neither version is mounted with it")?;
    let shown = place.dir.display();
    let may = |path: &Path| {
        accessat(
            CWD,
            path,
            Access::WRITE_OK | Access::EXISTS,
            AtFlags::EACCESS,
        )
    };
    if place.version == 2 {
        let offered =
            std::fs::read_to_string(place.dir.join("cgroup.controllers")).unwrap_or_default();
        if !offered.split_whitespace().any(|name| name == controller) {
            return Err(format!("version 2 does not offer it in `{shown}`"));
        }
        may(&place.dir.join("cgroup.subtree_control"))
            .map_err(|errno| format!("`{shown}` is not delegated: {errno}"))?;
        may(&place.dir.join("cgroup.procs"))
            .map_err(|errno| format!("`{shown}` is not delegated: {errno}"))?;
    }
    may(&place.dir).map_err(|errno| format!("`{shown}`: {errno}"))?;
    Ok(format!("version {}, in `{shown}`", place.version))
}

/// Where this process is in the hierarchy that has `controller` (cgroups(7), proc_pid_mountinfo(5)).
fn place(mounts: &str, groups: &str, controller: &str) -> Option<Place> {
    let own = |wanted: &dyn Fn(&str) -> bool| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
            wanted(names).then(|| path.to_owned())
        })
    };
    let first = |version: u8| {
        mounts.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
            let fits = match version {
                1 => kind == "cgroup" && options.split(',').any(|option| option == controller),
                _ => kind == "cgroup2",
            };
            let mut before = before.split(' ').skip(3);
            fits.then_some((before.next()?, before.next()?))
        })
    };
    // A controller is in one version at a time; where version 1 has it mounted, that is the one.
    let (version, (root, at), path) = match first(1) {
        Some(mount) => (
            1,
            mount,
            own(&|names| names.split(',').any(|name| name == controller))?,
        ),
        None => (2, first(2)?, own(&str::is_empty)?),
    };
    let below = Path::new(&path).strip_prefix(root).unwrap_or(Path::new(""));
    let below = below.strip_prefix("/").unwrap_or(below);
    Some(Place {
        dir: Path::new(at).join(below),
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "30 25 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
         31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn version_1_is_where_the_controller_is_mounted_and_else_version_2() {
        let groups = "4:memory:/job/7\n8:pids:/\n0::/user.slice/s\n";
        let memory = place(BOTH, groups, "memory").unwrap();
        assert_eq!(
            memory,
            Place {
                dir: "/sys/fs/cgroup/memory/job/7".into(),
                version: 1
            }
        );
        let pids = place(BOTH, groups, "pids").unwrap();
        assert_eq!(
            pids,
            Place {
                dir: "/sys/fs/cgroup/unified/user.slice/s".into(),
                version: 2
            }
        );
    }

    #[test]
    fn a_container_sees_its_own_part_as_the_root() {
        let mounts = "9 1 0:26 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let inside = |path: &str| {
            place(mounts, &format!("0::{path}\n"), "memory")
                .unwrap()
                .dir
        };
        assert_eq!(inside("/docker/ab/x"), PathBuf::from("/sys/fs/cgroup/x"));
        assert_eq!(inside("/"), PathBuf::from("/sys/fs/cgroup"));
        assert_eq!(place("", "0::/\n", "memory"), None);
        assert_eq!(place(mounts, "", "memory"), None);
    }

    #[test]
    fn every_controller_is_judged() {
        let names: Vec<&str> = look().into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["cgroup", "cgroup-memory", "cgroup-pids", "cgroup-cpu"]
        );
    }
}
