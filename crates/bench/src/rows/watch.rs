//! What the wall costs an operation, and what seeing its refusals adds.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio as Pipe};

use bailiwick_capability::{Grant, Granted};
use bailiwick_jail::{Extras, Jailed, Native, Stdio, Watch};
use bailiwick_wall::{Closure, Limits, Program};

use super::{Effort, libraries};
use crate::Outcome;
use crate::sample::{Row, Side, compare};

/// Operations for each word to a worker, so that the pipes to it do not count.
const AT_ONCE: u32 = 200;
const LEVELS: [(&str, Watch); 3] = [
    ("wall, watching nothing", Watch::Nothing),
    ("wall, watching acts", Watch::Acts),
    ("wall, watching everything", Watch::Everything),
];

/// A process that works when told to.
struct Worker {
    to: File,
    from: BufReader<File>,
    _held: Held,
}

/// Ended with the worker.
enum Held {
    Jailed { _jailed: Jailed },
    Bare(Child),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Bare(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Worker {
    fn work(&mut self, operation: &str) -> Outcome {
        writeln!(self.to, "{operation} {AT_ONCE}")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        match answer.trim_end() {
            "done" => Ok(()),
            other => Err(format!("`{operation}` gave `{other}`").into()),
        }
    }

    fn bare(how: &str, files: &Files) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([how, &files.read, &files.write])
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("no pipe to the worker")?;
        let from = child.stdout.take().ok_or("no pipe from the worker")?;
        Ok(Self {
            to: File::from(std::os::fd::OwnedFd::from(to)),
            from: BufReader::new(File::from(std::os::fd::OwnedFd::from(from))),
            _held: Held::Bare(child),
        })
    }

    fn jailed(native: &Native, watch: Watch, files: &Files) -> Outcome<Self> {
        let program = Program {
            program: std::env::current_exe()?,
            args: ["operate", &files.read, &files.write]
                .map(Into::into)
                .into(),
            ..program("/bin/true")
        };
        let atoms = [
            format!("read_files:{}", files.read),
            format!("write_files:{}", files.write),
        ];
        let atoms: Vec<Granted> = atoms
            .iter()
            .map(|atom| atom.parse())
            .collect::<Result<_, _>>()?;
        let mut jailed = native.spawn_with(
            &program,
            &Grant::new(atoms),
            &Limits::default(),
            Stdio::Piped,
            &watching(watch),
        )?;
        let to = jailed.stdin.take().ok_or("no pipe to the worker")?;
        let from = jailed.stdout.take().ok_or("no pipe from the worker")?;
        Ok(Self {
            to: to.into(),
            from: BufReader::new(from.into()),
            _held: Held::Jailed { _jailed: jailed },
        })
    }
}

struct Files {
    read: String,
    write: String,
}

fn watching(watch: Watch) -> Extras {
    Extras {
        watch,
        ..Extras::default()
    }
}

fn program(path: &str) -> Program {
    Program {
        program: path.into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: "/".into(),
        closure: Closure {
            read: Vec::new(),
            run: libraries(),
        },
    }
}

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Row>> {
    let native = Native::probe()?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let file = |name: &str| -> Outcome<String> {
        let path = folder.path().canonicalize()?.join(name);
        std::fs::write(&path, vec![b'x'; 4096])?;
        Ok(path.to_str().ok_or("a path that is no text")?.to_owned())
    };
    let files = Files {
        read: file("read")?,
        write: file("write")?,
    };
    let bare = RefCell::new(Worker::bare("operate", &files)?);
    let landlock = RefCell::new(Worker::bare("operate-landlock", &files)?);
    let mut rows = Vec::new();
    for (name, watch) in LEVELS {
        let walled = RefCell::new(Worker::jailed(&native, watch, &files)?);
        for operation in ["open", "read", "write"] {
            let mut sides = vec![Side::new(name, || walled.borrow_mut().work(operation))];
            if operation == "open" {
                sides.push(Side::new("Landlock alone", || {
                    landlock.borrow_mut().work(operation)
                }));
            }
            sides.push(Side::new("bare", || bare.borrow_mut().work(operation)));
            let row = format!("{AT_ONCE} times {}", said(operation));
            rows.extend(compare(&row, effort.plan(300, 3), &mut sides)?);
        }
    }
    rows.extend(spawned(
        effort,
        &native,
        program("/bin/true"),
        "start and end of `true`",
        200,
    )?);
    match which("node") {
        Some(node) => {
            let node = Program {
                args: vec!["-e".into(), "0".into()],
                ..program(&node)
            };
            rows.extend(spawned(
                effort,
                &native,
                node,
                "start and end of `node -e 0`",
                40,
            )?);
        }
        None => return Err("node is not there".into()),
    }
    Ok(rows)
}

fn said(operation: &str) -> &str {
    match operation {
        "open" => "open, read and close",
        "read" => "read 4 KiB of an open file",
        _ => "write 4 KiB to an open file",
    }
}

fn which(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = found.find(|path| path.is_file())?;
    Some(found.canonicalize().ok()?.to_str()?.to_owned())
}

/// A start and end with watching everything, against the same unwatched.
fn spawned(
    effort: Effort,
    native: &Native,
    program: Program,
    name: &str,
    rounds: usize,
) -> Outcome<Vec<Row>> {
    let grant = Grant::default();
    let run = &|watch: Watch| -> Outcome {
        let extras = watching(watch);
        let limits = Limits::default();
        let mut jailed = native.spawn_with(&program, &grant, &limits, Stdio::Inherit, &extras)?;
        match jailed.wait()?.success() {
            true => Ok(()),
            false => Err(format!("`{}` failed", program.program.display()).into()),
        }
    };
    let [nothing, acts, everything] = LEVELS;
    let mut sides =
        [everything, nothing, acts].map(|(name, watch)| Side::new(name, move || run(watch)));
    compare(name, effort.plan(rounds, 1), &mut sides)
}
