//! The person's files and terminals as standard streams: what they are stays theirs.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use crate::support::{PYTHON, World};

fn exec(world: &World, script: &str) -> Command {
    let python = ["exec", "--", PYTHON, "-c", script];
    world.bailiwick(&python)
}

/// Mode and times of a file that is printed into, or read from, are not the program's to change.
#[test]
fn a_file_as_stream_keeps_what_it_is() {
    let world = World::new();
    let (input, output) = (world.file("in", "given\n"), world.file("out", ""));
    for file in [&input, &output] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let script = "import fcntl, os, sys\nprint(sys.stdin.read(), end='', flush=True)\n\
                  for stream in [0, 1, '/proc/self/fd/0', '/proc/self/fd/1']:\n\
                  \x20   for change in [lambda: os.chmod(stream, 0o777), lambda: os.utime(stream, (1, 1)),\n\
                  \x20                  lambda: fcntl.flock(stream, fcntl.LOCK_EX)]:\n\
                  \x20       try: change()\n\
                  \x20       except (OSError, TypeError): pass\n";
    let change = |mut command: Command| {
        command.stdin(File::open(&input).unwrap());
        command.stdout(File::options().append(true).open(&output).unwrap());
        assert!(command.status().unwrap().success());
    };
    let kept = || [&input, &output].map(|file| fs::metadata(file).unwrap().mode() & 0o777);
    let mut bare = Command::new(PYTHON);
    bare.args(["-c", script]);
    change(bare);
    assert_eq!(kept(), [0o777; 2], "without a wall it works");
    for file in [&input, &output] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    change(exec(&world, script));
    assert_eq!(kept(), [0o600; 2]);
    assert!(fs::metadata(&output).unwrap().mtime() > 1);
    assert_eq!(world.read("out"), "given\ngiven\n");
    world.settled();
}

#[test]
fn what_was_not_read_of_a_file_is_left_for_who_comes_next() {
    let world = World::new();
    let lines: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let input = world.file("in", &lines);
    let inside = exec(&world, "import os; print(os.read(0, 7).decode(), end='')");
    let words: Vec<_> = inside
        .get_args()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "(\"$@\"; cat) < \"$0\"", &input])
        .arg(inside.get_program())
        .args(words)
        .env_clear()
        .env("BAILIWICK_HOME", world.home())
        .env("PATH", "/usr/bin:/bin");
    let output = shell.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), lines);
    world.settled();
}

#[test]
fn output_and_errors_in_one_file_stay_in_order() {
    let world = World::new();
    let output = world.file("out", "");
    let script = "import os\nfor i in range(500):\n    os.write(1 + i % 2, b'%d\\n' % i)\n";
    let file = File::options().append(true).open(&output).unwrap();
    let mut command = exec(&world, script);
    command.stdout(file.try_clone().unwrap()).stderr(file);
    assert!(command.status().unwrap().success());
    let wanted: String = (0..500).map(|i| format!("{i}\n")).collect();
    assert_eq!(world.read("out"), wanted);
    world.settled();
}

/// A pipe that is handed over is shared with others, who would be told that it has nothing for them just now.
#[test]
fn flags_of_a_shared_pipe_come_back() {
    let world = World::new();
    let (read, write) = std::io::pipe().unwrap();
    let script = "import os; os.set_blocking(1, False); print('said', flush=True)";
    let mut command = exec(&world, script);
    command
        .stdin(Stdio::null())
        .stdout(write.try_clone().unwrap());
    assert!(command.status().unwrap().success());
    let flags = rustix::fs::fcntl_getfl(&write).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "{flags:?}");
    drop(read);
    world.settled();
}

/// Where only what is printed goes to a terminal, the program has that terminal, and not its mode.
#[test]
fn a_terminal_that_is_printed_to_keeps_its_mode() {
    let world = World::new();
    let inside = "import os; print('terminal', os.isatty(1), flush=True)\n\
                  for stream in [1, '/proc/self/fd/1']:\n\
                  \x20   try: os.chmod(stream, 0o777)\n\
                  \x20   except OSError as error: print(error.errno)\n";
    let outside = "import os, pty, subprocess, sys\n\
                   own, theirs = pty.openpty()\nbefore = os.stat(os.ttyname(theirs)).st_mode\n\
                   subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)\n\
                   print(os.read(own, 4096).decode()); print('same', os.stat(os.ttyname(theirs)).st_mode == before)\n";
    let exec = exec(&world, inside);
    let mut command = Command::new(PYTHON);
    command
        .args(["-c", outside])
        .arg(exec.get_program())
        .args(exec.get_args());
    command.env("BAILIWICK_HOME", world.home());
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(said.contains("terminal True"), "{said}");
    assert!(
        said.contains("30\r\n30"),
        "the file system may only be read: {said}"
    );
    assert!(said.contains("same True"), "{said}");
    world.settled();
}
