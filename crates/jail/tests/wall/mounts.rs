//! What is mounted inside granted trees. As root only: each test mounts in a namespace of a thread of its own.

use std::ffi::{CStr, CString};
use std::path::Path;

use bailiwick_jail::{Native, Stdio};
use bailiwick_wall::{Limits, Wall};

use crate::world::{BLOCKED, World, grant, program};

/// Runs `test` on a thread with mounts of its own, where `kind` is mounted at `at`; not without root.
fn with_mount(kind: &CStr, at: &Path, test: impl FnOnce() + Send) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    std::fs::create_dir(at).unwrap();
    let at = CString::new(at.as_os_str().as_encoded_bytes()).unwrap();
    let mounted = move || {
        // SAFETY: plain numbers and strings that live across the calls; the namespace is this thread's own.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
            let (none, root) = (std::ptr::null(), c"/".as_ptr());
            let private = libc::MS_REC | libc::MS_PRIVATE;
            assert_eq!(libc::mount(none, root, none, private, none.cast()), 0);
            let kind = kind.as_ptr();
            assert_eq!(libc::mount(kind, at.as_ptr(), kind, 0, none.cast()), 0);
        }
        test();
    };
    std::thread::scope(|scope| scope.spawn(mounted).join().unwrap());
}

#[test]
fn l18_a_proc_that_is_mounted_in_a_granted_tree_is_not_shown() {
    let world = World::new();
    let tree = grant(&[&format!("read_files:{}/read/", world.root().display())]);
    let refused = || {
        let native = Native::probe().unwrap();
        let count = native.report(&tree).refused().count();
        let started = native.spawn(
            &program("/bin/true".as_ref()),
            &tree,
            &Limits::default(),
            Stdio::Piped,
        );
        assert_eq!(started.is_err(), count == 1);
        count == 1
    };
    with_mount(c"proc", &world.path("read/proc"), || assert!(refused()));
    assert!(!refused());
}

#[test]
fn l16_a_mount_inside_a_granted_tree_is_bound_like_the_tree() {
    let world = World::new();
    let at = |rest: &str| world.path(rest).display().to_string();
    let code = |attack: &str| world.inside(attack, &world.grant()).status.code();
    with_mount(c"tmpfs", &world.path("read/nested"), || {
        std::fs::write(at("read/nested/data"), "x").unwrap();
        assert_eq!(code(&format!("read {}", at("read/nested/data"))), Some(0));
        for attack in ["append", "write", "remove"] {
            let attack = format!("{attack} {}", at("read/nested/data"));
            assert_eq!(world.bare(&attack).status.code(), Some(0), "{attack}");
            std::fs::write(at("read/nested/data"), "x").unwrap();
            assert_eq!(code(&attack), Some(BLOCKED), "{attack}");
        }
    });
    with_mount(c"tmpfs", &world.path("write/nested"), || {
        let run = format!("write-and-run /usr/bin/true {}", at("write/nested/true"));
        assert_eq!(world.bare(&run).status.code(), Some(0));
        assert_eq!(code(&run), Some(BLOCKED));
        assert_eq!(code(&format!("write {}", at("write/nested/new"))), Some(0));
    });
}
