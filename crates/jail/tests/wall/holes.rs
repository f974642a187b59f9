//! A workspace that may be written but for the files that steer other programs, whether they are there
//! yet or not.

use std::path::Path;
use std::process::Command;

use bailiwick_capability::{Grant, Granted};
use bailiwick_jail::{Extras, Watch};
use bailiwick_wall::{Denials, Limits, Program};

use crate::world::{Ended, World, grant, program, run_with};

/// What may not be written: folders and files, some of which do not exist.
const HOLES: [&str; 5] = [
    ".git/hooks/",
    ".git/config",
    ".mcp.json",
    ".claude/settings.json",
    "deep/er/hole/",
];

struct Workspace {
    world: World,
    denials: Denials,
}

impl Workspace {
    fn new() -> Self {
        let workspace = Self {
            world: World::new(),
            denials: Denials::new(),
        };
        for folder in [".git/hooks", ".git/objects", "src", "deep"] {
            std::fs::create_dir_all(workspace.path(folder)).unwrap();
        }
        for (file, text) in [
            (".git/config", "real"),
            (".git/HEAD", "ref"),
            ("src/a.c", "a"),
            ("README", "r"),
        ] {
            std::fs::write(workspace.path(file), text).unwrap();
        }
        workspace
    }

    fn path(&self, rest: &str) -> std::path::PathBuf {
        self.world.path("write").join(rest)
    }

    fn grant(&self) -> Grant {
        let part = |rest: &str| {
            let path = self.path(rest);
            format!("write_files:{}", path.display()).parse().unwrap()
        };
        let write = Granted::with_holes(part(""), HOLES.map(part)).unwrap();
        let reads = grant(&[&format!("read_files:{}", self.path("").display())]);
        Grant::new(reads.atoms().iter().cloned().chain([write]))
    }

    /// Runs a script of bash in the workspace, behind the wall.
    fn inside(&self, script: &str) -> Ended {
        let program = Program {
            args: vec!["-c".into(), script.into()],
            cwd: self.path(""),
            ..program("/bin/bash".as_ref())
        };
        let extras = Extras {
            denials: self.denials.clone(),
            watch: Watch::Nothing,
            ..Extras::default()
        };
        run_with(&program, &self.grant(), &Limits::default(), &extras).unwrap()
    }

    fn bare(&self, script: &str) -> bool {
        let mut run = Command::new("bash");
        run.args(["-c", script]).current_dir(self.path(""));
        run.output().unwrap().status.success()
    }

    /// Succeeds bare, is refused inside, and leaves no trace in any hole.
    fn attack(script: &str) {
        let bare = Self::new();
        assert!(bare.bare(script), "bare, `{script}` must succeed");
        assert!(bare.is_breached(), "bare, `{script}` must reach a hole");
        let held = Self::new();
        let ended = held.inside(script);
        assert!(
            !held.is_breached(),
            "`{script}` reached a hole: {}",
            ended.output
        );
    }

    fn is_breached(&self) -> bool {
        let text = |file: &str| std::fs::read_to_string(self.path(file)).unwrap_or_default();
        text(".git/config") != "real"
            || std::fs::read_dir(self.path(".git/hooks"))
                .map_or(true, |mut files| files.next().is_some())
            || [".mcp.json", ".claude/settings.json", "deep/er/hole"]
                .iter()
                .any(|hole| self.path(hole).symlink_metadata().is_ok())
    }
}

macro_rules! attacks {
    ($($name:ident: $script:literal;)*) => {
        $(#[test]
        fn $name() {
            Workspace::attack($script);
        })*
    };
}

attacks! {
    l14_create_what_is_not_there: "echo x > .mcp.json";
    l14_create_with_its_folder: "mkdir .claude && echo x > .claude/settings.json";
    l14_create_a_hole_folder: "mkdir -p deep/er/hole";
    l14_write_a_hook: "echo x > .git/hooks/pre-commit";
    l14_append_to_a_hole: "echo x >> .git/config";
    l14_truncate_a_hole: "truncate -s 0 .git/config";
    l14_remove_a_hole: "rm .git/config";
    l14_rename_onto_a_hole: "echo x > t && mv -T t .mcp.json";
    l14_rename_a_hole_away: "mv .git/config .git/gone";
    l14_rename_the_folder_above: "mv .git elsewhere && mkdir -p .git/hooks && echo x > .git/hooks/h";
    l14_rename_a_prepared_folder_to_stand_above: "mkdir -p p/er/hole && rmdir deep && mv -T p deep";
    l14_link_to_stand_above: "mkdir -p p/er/hole && rmdir deep && ln -s p deep";
    l14_exchange: "mkdir -p src/hooks && echo x > src/hooks/h && rm -r .git/hooks && mv -T src/hooks .git/hooks";
    l16_hard_link_a_hole_and_write_it: "ln .git/config copy && echo x > copy";
    l16_hard_link_onto_a_hole: "echo x > t && ln t .mcp.json";
    l15_symlink_to_a_hole_and_write_it: "ln -s .git/config l && echo x > l";
    l15_symlink_with_an_absolute_target: "ln -s $PWD/.git/config l && echo x > l";
    l15_symlinked_folder: "ln -s .git g && echo x > g/config";
    l15_symlinked_hole_folder: "ln -s .git/hooks g && echo x > g/h";
    l15_dots: "echo x > src/../.git/config";
    l15_dots_at_the_end: "cd .git/objects && echo x > ../config";
    l15_through_own_descriptors: "exec 9< .git && echo x > /proc/self/fd/9/config";
    l15_through_the_working_directory: "cd .git && echo x > /proc/self/cwd/config";
    l19_a_trailing_slash: "mkdir -p deep/er/ && mkdir deep/er/hole/";
    l16_a_symlink_as_hole: "ln -s src/a.c .mcp.json";
    l16_a_fifo_as_hole: "mkfifo .mcp.json";
    l14_a_folder_as_hole: "mkdir .mcp.json";
    l18_through_proc_root: "echo x > /proc/self/root$PWD/.git/config";
}

#[test]
fn ordinary_work_goes_on() {
    let workspace = Workspace::new();
    let script = "set -e
        echo new > top; echo more >> top; cat top > /dev/null
        echo new > src/b.c; mkdir -p made/in/depth; echo x > made/in/depth/file
        (cd made/in && echo y > depth/relative && mkdir ../sibling)
        mv top made/top; mv made/top again; cp again src/copy; mv src/copy made/back
        ln again hard; ln -s again soft; echo through >> soft
        umask 077; echo private > private; umask 022; echo public > public
        chmod 700 public; touch -d '2001-01-01' again; truncate -s 3 again
        echo obj > .git/objects/o; echo idx > .git/index.lock; mv .git/index.lock .git/index
        rm hard soft; mkdir empty; rmdir empty; mkfifo pipe; rm pipe
        echo one > swap; echo two > README.tmp; mv README.tmp README
        rm -r made src; mkdir src; echo fresh > src/fresh; exec 5<>README; echo rw >&5
        echo done";
    let ended = workspace.inside(script);
    assert!(
        ended.output.trim_end().ends_with("done"),
        "{}",
        ended.output
    );
    assert!(!workspace.is_breached());
    let text = |file: &str| std::fs::read_to_string(workspace.path(file)).unwrap();
    assert_eq!(
        (
            text("again").as_str(),
            text("src/fresh").as_str(),
            text("README").as_str()
        ),
        ("new", "fresh\n", "rw\n\n")
    );
    assert_eq!(text(".git/index"), "idx\n");
    let mode = |file: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(workspace.path(file))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!((mode("private"), mode("public")), (0o600, 0o700));
    let told = workspace.denials.take();
    assert!(
        told.iter().all(|denied| denied.operation != "write_files"),
        "{told:?}"
    );
}

#[test]
fn what_is_refused_is_told() {
    let workspace = Workspace::new();
    let ended = workspace.inside("echo x > .mcp.json || echo refused");
    assert!(ended.output.contains("refused"), "{}", ended.output);
    let told = workspace.denials.take();
    let target = workspace.path(".mcp.json").display().to_string();
    let found = told.iter().find(|denied| denied.target == target).unwrap();
    assert_eq!(found.operation, "write_files");
}

#[test]
fn writing_is_not_reading() {
    let workspace = Workspace::new();
    let write = workspace
        .grant()
        .atoms()
        .iter()
        .find(|atom| !atom.holes().is_empty())
        .cloned()
        .unwrap();
    let program = Program {
        args: vec![
            "-c".into(),
            "exec 5<>README && cat <&5; cat README; echo blind > README".into(),
        ],
        cwd: workspace.path(""),
        ..program("/bin/bash".as_ref())
    };
    let ended = run_with(
        &program,
        &Grant::new([write]),
        &Limits::default(),
        &Extras::default(),
    )
    .unwrap();
    assert!(
        !ended.output.lines().any(|line| line == "r"),
        "{}",
        ended.output
    );
    assert_eq!(
        std::fs::read_to_string(workspace.path("README")).unwrap(),
        "blind\n"
    );
}

#[test]
fn the_host_may_replace_a_hole_and_it_stays_one() {
    let workspace = Workspace::new();
    let script = "echo ready; read go; echo x > .git/config; echo x > .mcp.json; echo x > .git/hooks/h; echo over";
    let program = Program {
        args: vec!["-c".into(), script.into()],
        cwd: workspace.path(""),
        ..program("/bin/bash".as_ref())
    };
    let jail = bailiwick_jail::Native::probe().unwrap();
    let stdio = bailiwick_jail::Stdio::Piped;
    let mut jailed = jail
        .spawn(&program, &workspace.grant(), &Limits::default(), stdio)
        .unwrap();
    let mut out = std::io::BufReader::new(std::fs::File::from(jailed.stdout.take().unwrap()));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    replace(&workspace.path(".git/config"), "real");
    replace(&workspace.path(".mcp.json"), "the person's own");
    std::fs::rename(workspace.path(".git/hooks"), workspace.path("old-hooks")).unwrap();
    std::fs::create_dir(workspace.path(".git/hooks")).unwrap();
    let mut stdin = std::fs::File::from(jailed.stdin.take().unwrap());
    std::io::Write::write_all(&mut stdin, b"go\n").unwrap();
    std::io::Read::read_to_string(&mut out, &mut line).unwrap();
    assert!(line.ends_with("over\n"), "{line}");
    assert_eq!(
        std::fs::read_to_string(workspace.path(".git/config")).unwrap(),
        "real"
    );
    assert_eq!(
        std::fs::read_to_string(workspace.path(".mcp.json")).unwrap(),
        "the person's own"
    );
    assert_eq!(
        std::fs::read_dir(workspace.path(".git/hooks"))
            .unwrap()
            .count(),
        0
    );
}

/// As editors save.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("saved");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn l17_a_race_of_links_never_reaches_a_hole() {
    let workspace = Workspace::new();
    let script = "mkdir -p d; (for i in $(seq 400); do ln -sfn .git l; ln -sfn d l; done) &
        for i in $(seq 400); do echo x > l/config; done 2>/dev/null; wait; echo over";
    let ended = workspace.inside(script);
    assert!(ended.output.ends_with("over\n"), "{}", ended.output);
    assert!(!workspace.is_breached());
}

#[test]
fn git_works_in_it() {
    let workspace = Workspace::new();
    std::fs::remove_dir_all(workspace.path(".git")).unwrap();
    assert!(workspace.bare("git init -q . && git config user.email a@b && git config user.name n && printf real > .git/keep"));
    let config = std::fs::read(workspace.path(".git/config")).unwrap();
    let ended = workspace.inside(
        "git -c core.fsmonitor=false add src README && git commit -qm one && git log --oneline",
    );
    assert!(ended.output.contains("one"), "{}", ended.output);
    assert_eq!(
        std::fs::read(workspace.path(".git/config")).unwrap(),
        config
    );
}
