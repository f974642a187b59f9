use super::*;

#[test]
fn keys_are_read_as_whole_words() {
    let events = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
    assert_eq!(value(events, "oom_kill"), Some(2));
    assert_eq!(value("max 7\n", "max"), Some(7));
    assert_eq!(value("oom_kill_disable 0\n", "oom_kill"), None);
}

#[test]
fn names_of_groups_differ() {
    assert_ne!(name(), name());
}

/// A second hierarchy that root may use, with whatever controllers: what is common to all is tried there.
fn second() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let dir = std::path::PathBuf::from(mount.split(' ').nth(4)?);
    rustix::process::geteuid().is_root().then_some(dir)
}

#[test]
fn what_a_dead_host_left_is_ended_and_removed() {
    let Some(dir) = second() else { return };
    let base = place::Base {
        dir: rustix::fs::open(&dir, OFlags::DIRECTORY, Mode::empty()).unwrap(),
        path: dir.clone(),
    };
    let dead = stale::Maker::dead().name(0);
    let alive = name();
    for name in [&dead, &alive] {
        std::fs::create_dir(dir.join(name)).unwrap();
    }
    let mut left = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    std::fs::write(dir.join(&dead).join("cgroup.procs"), left.id().to_string()).unwrap();
    stale::sweep(&base);
    let ended = left.wait().unwrap();
    // Its removal may have come before its end.
    stale::sweep(&base);
    let kept = [&dead, &alive].map(|name| dir.join(name).exists());
    std::fs::remove_dir(dir.join(&alive)).unwrap();
    assert!(!ended.success());
    assert_eq!(kept, [false, true]);
}
