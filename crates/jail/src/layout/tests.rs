//! What is mounted where, and with which rights.

use bailiwick_wall::Closure;

use bailiwick_capability::{Capability, Granted, PathScope};

use super::*;
use crate::scopes::check_scope;

struct World {
    _keep: tempfile::TempDir,
    root: PathBuf,
}

impl World {
    fn new(folders: &[&str], files: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("layout")
            .tempdir_in("/var/tmp")
            .unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in folders {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in files {
            std::fs::write(root.join(file), "x").unwrap();
        }
        Self { _keep: dir, root }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.root.join(rest)
    }

    fn plan(&self, run: &[&str], atoms: &[&str]) -> Result<Layout, PathFault> {
        let program = Program {
            program: self.path("prog"),
            args: vec![],
            env: vec![],
            cwd: "/".into(),
            closure: Closure {
                read: vec![],
                run: run.iter().map(|p| self.path(p)).collect(),
            },
        };
        let atom = |text: &&str| {
            let (kind, rest) = text.split_once(':').unwrap();
            let mut parts = rest.split(" except ").map(|p| {
                format!("{kind}:{}/{p}", self.root.display())
                    .parse::<Capability>()
                    .unwrap()
            });
            let whole = parts.next().unwrap();
            Granted::with_holes(whole, parts.collect::<Vec<_>>()).unwrap()
        };
        plan(
            &program,
            &Grant::new(atoms.iter().map(atom)),
            &[],
            1000,
            1000,
        )
    }
}

fn access(layout: &Layout, path: &Path) -> Option<Access> {
    layout.nodes.iter().find_map(|(at, node)| match node {
        Node::Bind { access, .. } if at == path => Some(*access),
        _ => None,
    })
}

#[test]
fn only_what_is_granted_is_mounted() {
    let world = World::new(&["data/in", "data/out", "other"], &["prog"]);
    let layout = world
        .plan(&[], &["read_files:data/in/", "write_files:data/out/"])
        .unwrap();
    assert_eq!(access(&layout, &world.path("data/in")), Some(Access::Read));
    assert_eq!(
        access(&layout, &world.path("data/out")),
        Some(Access::Write)
    );
    assert_eq!(access(&layout, &world.path("prog")), Some(Access::Run));
    let ours = layout
        .nodes
        .iter()
        .filter(|(at, node)| at.starts_with(&world.root) && node.is_mount());
    assert_eq!(ours.count(), 3);
}

#[test]
fn what_lies_inside_is_mounted_once() {
    let world = World::new(&["data/in/deep"], &["prog"]);
    let layout = world
        .plan(
            &[],
            &[
                "read_files:data/",
                "read_files:data/in/deep/",
                "write_files:data/in/",
            ],
        )
        .unwrap();
    assert_eq!(access(&layout, &world.path("data")), Some(Access::Read));
    assert_eq!(access(&layout, &world.path("data/in")), Some(Access::Write));
    assert_eq!(access(&layout, &world.path("data/in/deep")), None);
}

#[test]
fn l16_write_and_execute_never_meet() {
    let world = World::new(&["app/bin"], &["prog", "app/bin/tool"]);
    for (run, atom) in [
        ("app", "write_files:app/"),
        ("app/bin", "write_files:app/"),
        ("app/bin/tool", "write_files:app/bin/tool"),
        ("app/bin/tool", "write_files:app/"),
    ] {
        let PathFault(why) = world.plan(&[run], &[atom]).unwrap_err();
        assert!(why.contains("writable and executable"), "{why}");
    }
    // A writable folder inside an executable tree is mounted over it, not executable.
    let layout = world.plan(&["app"], &["write_files:app/bin/"]).unwrap();
    assert_eq!(access(&layout, &world.path("app/bin")), Some(Access::Write));
}

#[test]
fn a_hole_is_not_shown_and_its_neighbours_are() {
    let world = World::new(&["data/hr", "data/pub"], &["prog", "data/file"]);
    let layout = world
        .plan(
            &[],
            &["read_files:data/ except hr/"
                .replace("except ", "except data/")
                .as_str()],
        )
        .unwrap();
    assert_eq!(access(&layout, &world.path("data")), None);
    assert_eq!(access(&layout, &world.path("data/pub")), Some(Access::Read));
    assert_eq!(
        access(&layout, &world.path("data/file")),
        Some(Access::Read)
    );
    assert_eq!(access(&layout, &world.path("data/hr")), None);
}

#[test]
fn a_hole_that_the_runtime_shows_is_refused() {
    let world = World::new(&["app/data/hr"], &["prog"]);
    let PathFault(why) = world
        .plan(&["app"], &["read_files:app/data/ except app/data/hr/"])
        .unwrap_err();
    assert!(why.contains("runtime itself needs it"), "{why}");
}

#[test]
fn a_parent_comes_before_its_children() {
    let world = World::new(&["a/b/c"], &["prog", "a/f"]);
    let layout = world
        .plan(&["a/f"], &["read_files:a/b/", "write_files:a/b/c/"])
        .unwrap();
    for (index, (path, _)) in layout.nodes.iter().enumerate() {
        let above = path.parent().unwrap();
        let bound = layout.nodes[..index]
            .iter()
            .any(|(p, n)| path.starts_with(p) && n.is_mount());
        let made = above == Path::new("/") || layout.nodes[..index].iter().any(|(p, _)| p == above);
        assert!(bound || made, "{} has no parent yet", path.display());
    }
}

#[test]
fn sockets_and_devices_are_no_files() {
    assert!(check_scope(&PathScope::parse("/dev/null").unwrap()).is_err());
    let world = World::new(&[], &["prog"]);
    let _listener = std::os::unix::net::UnixListener::bind(world.path("sock")).unwrap();
    assert!(world.plan(&[], &["read_files:sock"]).is_err());
}

#[test]
fn l18_no_runtime_may_be_the_whole_machine() {
    for part in ["/", "/proc", "/sys/kernel"] {
        let program = Program {
            program: "/bin/true".into(),
            args: vec![],
            env: vec![],
            cwd: "/".into(),
            closure: Closure {
                read: vec![part.into()],
                run: vec![],
            },
        };
        assert!(
            plan(&program, &Grant::default(), &[], 1000, 1000).is_err(),
            "{part}"
        );
    }
}
