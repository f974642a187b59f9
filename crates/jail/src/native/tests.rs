//! A wall with a part missing does not let anything start (L13).

use super::probe::kernel_is_at_least;
use super::*;
use crate::landlock::Rights;
use crate::sys;

fn program() -> Program {
    Program {
        program: "/bin/true".into(),
        args: vec![],
        env: vec![],
        cwd: "/".into(),
        closure: bailiwick_wall::Closure {
            read: vec![],
            run: ["/usr", "/lib", "/lib64", "/bin"]
                .map(PathBuf::from)
                .into_iter()
                .filter(|path| path.exists())
                .collect(),
        },
    }
}

/// Starts `/bin/true` behind a wall that `spoil` has changed.
fn start_spoilt(spoil: impl FnOnce(&mut Plan)) -> Result<Jailed, WallError> {
    let native = Native::probe().unwrap();
    let layout = native.layout(&program(), &Grant::default(), &[]).unwrap();
    let extras = Extras::default();
    let pipes = Pipes::new(Stdio::Piped, None, false, false).unwrap();
    let mut plan = native
        .prepare(
            &program(),
            &layout,
            &Limits::default(),
            None,
            &pipes,
            &extras,
        )
        .unwrap();
    spoil(&mut plan);
    start(&plan, pipes, |failure| describe(failure, &layout))
}

fn assert_fails_at(step: Step, spoil: impl FnOnce(&mut Plan)) {
    match start_spoilt(spoil) {
        Err(WallError::Build { what, why }) => {
            assert!(what.starts_with(step.text()), "{what}: {why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_whole_wall_lets_it_start() {
    assert!(start_spoilt(|_| ()).unwrap().wait().unwrap().success());
}

#[test]
fn l13_a_filter_that_allows_everything_is_noticed() {
    let allow = libc::sock_filter {
        code: 6,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    assert_fails_at(Step::SelfTest, |plan| plan.filter = vec![allow]);
}

#[test]
fn l13_a_filter_that_the_kernel_does_not_take_is_noticed() {
    assert_fails_at(Step::Seccomp, |plan| plan.filter.clear());
}

#[test]
fn l13_landlock_that_allows_everything_is_noticed() {
    assert_fails_at(Step::SelfTest, |plan| {
        plan.rules.push(PathRule {
            path: c"/".to_owned(),
            access: Rights::SCRATCH.bits(true),
        });
    });
}

#[test]
fn l13_landlock_that_handles_nothing_is_noticed() {
    assert_fails_at(Step::Landlock, |plan| {
        plan.ruleset.0 = sys::LandlockAttr::default()
    });
}

#[test]
fn l15_a_path_that_became_another_is_noticed() {
    assert_fails_at(Step::Changed, |plan| {
        for make in &mut plan.makes {
            if let What::Bind { identity, .. } = &mut make.what {
                identity.1 += 1;
            }
        }
    });
}

#[test]
fn l14_a_path_that_went_away_is_noticed() {
    assert_fails_at(Step::Make, |plan| {
        for make in &mut plan.makes {
            if let What::Bind { source, .. } = &mut make.what {
                *source = c"/no/such/place".to_owned();
            }
        }
    });
}

#[test]
fn handed_descriptors_lie_above_those_that_they_become() {
    let pipes = Pipes::new(Stdio::Piped, None, true, true).unwrap();
    let numbers = pipes.numbers();
    let passages = [numbers.control.unwrap(), numbers.listeners.unwrap()];
    let others = [numbers.report, numbers.life].into_iter().chain(passages);
    let numbers: Vec<i32> = numbers.stdio.into_iter().chain(others).collect();
    assert!(
        numbers.iter().all(|number| *number >= 10),
        "{numbers:?} may be what they are moved to"
    );
}

#[test]
fn versions_compare_as_numbers() {
    assert!(kernel_is_at_least(2, 6));
    assert!(kernel_is_at_least(5, 99));
    assert!(!kernel_is_at_least(99, 0));
}

#[test]
fn paths_are_hidden_from_neither_errors_nor_terminals() {
    let layout = Layout {
        nodes: vec![(PathBuf::from("/a\u{1b}[31m"), Node::Folder)],
        ..Layout::default()
    };
    let error = describe(
        Failure {
            step: Step::Make,
            index: 0,
            errno: libc::ENOENT,
        },
        &layout,
    );
    assert!(error.to_string().contains("/a\\u{1b}[31m"), "{error}");
}

#[test]
fn l20_a_variable_arrives_under_its_own_name_or_not_at_all() {
    let of = |name: &str, value: &str| environment(&[(name.into(), value.into())]);
    assert_eq!(of("A", "b=c").unwrap(), [c"A=b=c".to_owned()]);
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
        assert!(of(name, value).is_err(), "{name:?}");
    }
}

/// As where version 2 is delegated: the child is made straight in its group.
#[test]
fn a_child_is_made_inside_its_group() {
    use std::os::fd::AsRawFd;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let Some(mount) = mount.filter(|_| geteuid().is_root()) else {
        return;
    };
    let name = format!("wall-{}", std::process::id());
    let dir = Path::new(mount.split(' ').nth(4).unwrap()).join(&name);
    std::fs::create_dir(&dir).unwrap();
    let folder = std::fs::File::open(&dir).unwrap();
    let mut jailed = start_spoilt(|plan| {
        plan.entrance = crate::cgroup::Entrance {
            files: Vec::new(),
            folder: Some(folder.as_raw_fd()),
        };
    })
    .unwrap();
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", jailed.pid()));
    let status = jailed.wait().unwrap();
    std::fs::remove_dir(&dir).unwrap();
    assert!(status.success());
    let groups = groups.unwrap();
    assert!(
        groups
            .lines()
            .any(|line| line.starts_with("0::") && line.ends_with(&name)),
        "{groups}"
    );
}
