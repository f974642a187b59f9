//! Programs that bring more than libraries do a real task in an independent sandbox that holds nothing but
//! their closure; and their closures hold nothing that the task would do without.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may end the test"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use bailiwick_runtime::{PRIVATE_HOME, Prepared, Settings, closure_of, resolve};
use bailiwick_testkit::{bwrap, readable_dir};

const C: &str = "#include <stdio.h>\nint main(void) { puts(\"made\"); return 0; }\n";
const JAVA: &str = "public class Main { public static void main(String[] a) throws Exception {\n\
    System.out.println(java.time.ZoneId.of(\"Europe/Berlin\") + \" \" + java.security.MessageDigest.getInstance(\"SHA-256\")); } }\n";

/// A program, its arguments, what it reads, other programs that were granted, and what it says.
#[derive(Default)]
struct Task<'a> {
    words: &'a [&'a str],
    input: &'a str,
    shown: &'a [&'a Path],
    besides: &'a [&'a str],
    says: &'a str,
}

fn settings() -> (tempfile::TempDir, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::from_process(dir.path().join("cache"));
    settings.cwd = PathBuf::from("/");
    (dir, settings)
}

fn prepare(task: &Task<'_>, settings: &Settings) -> Prepared {
    let words: Vec<String> = task.words.iter().map(|word| (*word).to_owned()).collect();
    let mut prepared = resolve(&words, settings).unwrap();
    for other in task.besides {
        let (closure, _) = closure_of(Path::new(other), settings).unwrap();
        prepared.program.closure.read.extend(closure.read);
        prepared.program.closure.run.extend(closure.run);
    }
    prepared
}

fn run(prepared: &Prepared, task: &Task<'_>) -> Output {
    let mut command = bwrap::command(&prepared.program, Path::new(PRIVATE_HOME), task.shown);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .expect("bubblewrap starts; run `cargo xtask setup`");
    // A program that ends early closes its input; what it said is judged below.
    let _ = child.stdin.take().unwrap().write_all(task.input.as_bytes());
    child.wait_with_output().unwrap()
}

fn succeeds(output: &Output, task: &Task<'_>) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains(task.says)
}

/// The task is done with the closure alone.
fn does(task: &Task<'_>) -> Prepared {
    let (_dir, settings) = settings();
    let prepared = prepare(task, &settings);
    let output = run(&prepared, task);
    assert!(
        succeeds(&output, task),
        "{:?}: {}{}\n{:#?}",
        task.words,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        prepared.program.closure
    );
    prepared
}

/// The task is not done without any one entry of the closure, but for those that `spared` says.
fn needs_each(task: &Task<'_>, spared: &[&str]) {
    let prepared = does(task);
    let closure = &prepared.program.closure;
    let mut idle = BTreeSet::new();
    let real = |path: &PathBuf| path.canonicalize().unwrap();
    for path in closure.read.iter().chain(&closure.run) {
        // What is listed by several names goes at once. In this sandbox what can be read can be run, so what is
        // listed as runnable below a readable folder cannot be taken away.
        let file = real(path);
        if closure
            .read
            .iter()
            .any(|above| file.starts_with(real(above)) && file != real(above))
        {
            continue;
        }
        let mut less = prepared.clone();
        less.program
            .closure
            .read
            .retain(|other| real(other) != file);
        less.program.closure.run.retain(|other| real(other) != file);
        if succeeds(&run(&less, task), task) {
            idle.insert(path.to_string_lossy().into_owned());
        }
    }
    idle.retain(|path| !spared.iter().any(|spared| path.contains(spared)));
    assert!(idle.is_empty(), "{:?} does without {idle:#?}", task.words);
}

#[test]
fn c_is_compiled_assembled_and_linked() {
    let task = Task {
        words: &["/usr/bin/gcc", "-x", "c", "-", "-o", "/tmp/out"],
        input: C,
        ..Task::default()
    };
    // Languages, linkers and names besides those of this task, and messages in other alphabets.
    let spared = [
        "gold",
        "/locale/",
        "/bin/c",
        "/bin/g",
        "libisl",
        "x86_64-linux-gnu-gcc",
    ];
    needs_each(&task, &spared);
    does(&Task {
        words: &["/usr/bin/g++", "-x", "c++", "-", "-o", "/tmp/out"],
        input: "#include <iostream>\nint main() { std::cout << 1; }\n",
        ..Task::default()
    });
}

#[test]
fn make_runs_what_was_granted_besides() {
    let dir = readable_dir();
    let folder = dir.path().canonicalize().unwrap();
    std::fs::write(folder.join("a.c"), C).unwrap();
    let path = folder.to_str().unwrap();
    let task = Task {
        words: &["/usr/bin/make", "-f", "-"],
        input: &format!("/tmp/a: {path}/a.c\n\tgcc -o /tmp/a {path}/a.c\n"),
        shown: &[&folder],
        besides: &["/usr/bin/gcc"],
        says: "gcc -o /tmp/a",
    };
    does(&task);
    let (_dir, settings) = settings();
    let alone = Task {
        besides: &[],
        ..task
    };
    assert!(
        !run(&prepare(&alone, &settings), &alone).status.success(),
        "no compiler without a grant"
    );
}

#[test]
fn java_compiles_and_runs_a_source_file() {
    let dir = readable_dir();
    let folder = dir.path().canonicalize().unwrap();
    std::fs::write(folder.join("Main.java"), JAVA).unwrap();
    let source = folder.join("Main.java");
    let prepared = does(&Task {
        words: &["/usr/bin/java", source.to_str().unwrap()],
        shown: &[&folder],
        says: "Europe/Berlin SHA-256",
        ..Task::default()
    });
    let entries = prepared.needs.len();
    assert!(entries <= 24, "{:#?}", prepared.needs);
    let etc = prepared
        .needs
        .iter()
        .filter(|need| need.path.starts_with("/etc"));
    for need in etc {
        let shown = need.path.to_string_lossy();
        assert!(
            shown.starts_with("/etc/java-") || shown == "/etc/ld.so.cache",
            "{need}"
        );
    }
}

#[test]
fn rust_is_compiled_and_linked() {
    let Some(rustc) = rust("rustc") else { return };
    let prepared = does(&Task {
        words: &[&rustc, "-", "-o", "/tmp/out"],
        input: "fn main() { println!(\"made\"); }\n",
        ..Task::default()
    });
    assert!(
        prepared.program.program.ends_with("bin/rustc"),
        "no rustup in between"
    );
    let dir = readable_dir();
    let folder = dir.path().canonicalize().unwrap();
    std::fs::create_dir(folder.join("src")).unwrap();
    std::fs::write(folder.join("src/main.rs"), "fn main() {}").unwrap();
    std::fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    let manifest = folder.join("Cargo.toml");
    let cargo = rust("cargo").unwrap();
    let locked = std::process::Command::new(&cargo)
        .args([
            "generate-lockfile",
            "--offline",
            "--quiet",
            "--manifest-path",
        ])
        .arg(&manifest)
        .status();
    assert!(locked.unwrap().success());
    does(&Task {
        words: &[
            &cargo,
            "build",
            "--offline",
            "--target-dir",
            "/tmp/t",
            "--manifest-path",
            manifest.to_str().unwrap(),
        ],
        shown: &[&folder],
        ..Task::default()
    });
}

/// A tool of the toolchain that builds this test: for users who may enter its folder.
fn rust(name: &str) -> Option<String> {
    let cargo = std::env::var_os("CARGO").map(PathBuf::from)?;
    let tool = cargo.parent()?.join(name);
    tool.is_file().then(|| tool.to_str().unwrap().to_owned())
}

#[test]
fn git_clones_and_commits() {
    let dir = readable_dir();
    let repository = dir.path().canonicalize().unwrap().join("a");
    let path = repository.to_str().unwrap();
    let made = std::process::Command::new("/usr/bin/git")
        .args(["init", "-q", path])
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::write(repository.join("file"), "x").unwrap();
    let commit = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "safe.directory=*",
        "-C",
        path,
    ];
    for last in [&["add", "."][..], &["commit", "-q", "-m", "one"]] {
        let done = std::process::Command::new("/usr/bin/git")
            .args(commit)
            .args(last)
            .status()
            .unwrap();
        assert!(done.success());
    }
    does(&Task {
        words: &[
            "/usr/bin/git",
            "-c",
            "safe.directory=*",
            "clone",
            "-v",
            path,
            "/tmp/b",
        ],
        shown: &[&repository],
        // git starts the other side of a clone by a shell, which is a grant of its own.
        besides: &["/bin/sh"],
        ..Task::default()
    });
    needs_each(
        &Task {
            words: &[
                "/usr/bin/git",
                "-c",
                "safe.directory=*",
                "-C",
                path,
                "log",
                "--oneline",
            ],
            shown: &[&repository],
            says: "one",
            ..Task::default()
        },
        // Other commands than this one need them: `init`, and every one that is a program of its own.
        &["git-core", "/locale/", "libgcc_s"],
    );
    let (_dir, mut settings) = settings();
    let count = |settings: &Settings| {
        let (closure, _) = closure_of(Path::new("/usr/bin/git"), settings).unwrap();
        closure.run.len()
    };
    let without = count(&settings);
    settings.network = true;
    assert!(
        count(&settings) > without + 5,
        "what fetches comes with the network"
    );
}

#[test]
fn small_programs_need_little() {
    let dir = readable_dir();
    let file = dir.path().canonicalize().unwrap().join("data");
    std::fs::write(&file, "shown\n").unwrap();
    let url = format!("file://{}", file.display());
    needs_each(
        &Task {
            words: &["/usr/bin/curl", "-s", &url],
            shown: &[&file],
            says: "shown",
            ..Task::default()
        },
        &["/locale/", "libgcc_s"],
    );
    needs_each(
        &Task {
            words: &["/bin/sh", "-c", "echo $0"],
            says: "/bin/sh",
            ..Task::default()
        },
        &["/locale/"],
    );
    let prepared = does(&Task {
        words: &[
            "/usr/bin/perl",
            "-MList::Util=sum",
            "-MPOSIX",
            "-e",
            "print sum(1, 2), setlocale(LC_ALL, '')",
        ],
        says: "3C.UTF-8",
        ..Task::default()
    });
    assert!(prepared.needs.len() <= 14, "{:#?}", prepared.needs);
}

#[test]
fn a_static_program_needs_only_itself_and_goes_by_its_name() {
    let dir = readable_dir();
    let folder = dir.path().canonicalize().unwrap();
    let made = std::process::Command::new("gcc")
        .args(["-static", "-x", "c", "-o"])
        .arg(folder.join("many"))
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            let code = "#include <unistd.h>\n#include <string.h>\n\
                int main(int n, char **v) { write(1, v[0], strlen(v[0])); return 0; }\n";
            child.stdin.take().unwrap().write_all(code.as_bytes())?;
            child.wait()
        });
    assert!(made.unwrap().success());
    std::os::unix::fs::symlink("many", folder.join("vi")).unwrap();
    let vi = folder.join("vi");
    let prepared = does(&Task {
        words: &[vi.to_str().unwrap()],
        says: "/vi",
        ..Task::default()
    });
    let paths: Vec<_> = prepared
        .needs
        .iter()
        .map(|need| need.path.clone())
        .collect();
    assert_eq!(paths, [folder.join("many"), vi]);
}

#[test]
fn pythons_time_zones_are_there() {
    does(&Task {
        words: &[
            "/usr/bin/python3",
            "-c",
            "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Berlin'))",
        ],
        says: "Europe/Berlin",
        ..Task::default()
    });
}

#[test]
fn a_terminals_description_comes_with_a_terminal_for_programs_that_draw() {
    let (_dir, mut settings) = settings();
    let described = |program: &str, settings: &Settings| {
        let (closure, _) = closure_of(Path::new(program), settings).unwrap();
        let found = closure
            .read
            .iter()
            .filter(|path| path.to_string_lossy().contains("terminfo"));
        found.cloned().collect::<Vec<_>>()
    };
    assert_eq!(described("/bin/bash", &settings), Vec::<PathBuf>::new());
    settings.terminal = Some("xterm".to_owned());
    assert_eq!(described("/bin/bash", &settings).len(), 1);
    assert!(described("/bin/bash", &settings)[0].ends_with("x/xterm"));
    assert_eq!(described("/bin/cat", &settings), Vec::<PathBuf>::new());
    for hostile in ["../../etc/passwd", "/etc/passwd", "..", "", "é"] {
        settings.terminal = Some(hostile.to_owned());
        assert_eq!(
            described("/bin/bash", &settings),
            Vec::<PathBuf>::new(),
            "{hostile}"
        );
    }
}
