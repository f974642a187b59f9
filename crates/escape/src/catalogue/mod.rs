//! All attacks, by class. A class is a file here and one or more of C sources in `probes/`.

mod bombs;
mod files;
mod kernel;
mod leftovers;
mod names;
mod network;
mod processes;
mod programs;
mod secrets;
mod worlds;

use crate::probe::{Canary, Probe, probe};

const SAID: Canary = Canary::Said;

/// Every attack, in the order in which it is shown.
pub(crate) fn all() -> Vec<Probe> {
    let classes: [(&'static str, &[Probe]); 26] = [
        ("files", files::FILES),
        ("links and races", files::LINKS),
        ("/proc and /sys", processes::PROC),
        ("descriptors", processes::DESCRIPTORS),
        ("mounts", worlds::MOUNTS),
        ("namespaces", worlds::NAMESPACES),
        ("network", network::INTERNET),
        ("local sockets", network::LOCAL),
        ("socket families", network::FAMILIES),
        ("io_uring", kernel::RINGS),
        ("foreign ABIs", kernel::FOREIGN),
        ("ptrace and memory", processes::MEMORY),
        ("signals", processes::SIGNALS),
        ("other processes' share", processes::SHARE),
        ("kernel doors", kernel::DOORS),
        ("keyrings", kernel::KEYS),
        ("terminals", kernel::TERMINALS),
        ("shared memory", worlds::SHARED),
        ("leftovers", leftovers::LEFTOVERS),
        ("bombs", bombs::BOMBS),
        ("starving others", bombs::STARVING),
        ("secrets", secrets::SECRETS),
        ("programs", programs::PROGRAMS),
        ("granted network", network::GRANTED),
        ("granted names", names::NAMES),
        ("what is granted", files::GRANTED),
    ];
    let named = |(class, probes): (&'static str, &[Probe])| {
        probes
            .iter()
            .map(move |probe| Probe { class, ..*probe })
            .collect::<Vec<_>>()
    };
    classes.into_iter().flat_map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_attacks_exist() {
        let mut names = BTreeSet::new();
        for probe in super::all() {
            assert!(names.insert(probe.name), "`{}` stands twice", probe.name);
            assert!(!probe.attack.is_empty(), "`{}` does nothing", probe.name);
        }
        assert!(names.len() >= 110, "{}", names.len());
    }
}
