//! Whatever processes do to hide, they end with their program, with its host, and when they are told to.

use std::io::Read;
use std::os::fd::OwnedFd;

use bailiwick_jail::{Jailed, Native, Stdio};
use bailiwick_wall::{Limits, Program};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::life::ends_with_its_host;
use crate::world::{grant, program};

/// Every way to hide that the wall lets a process try. Each hidden one keeps stdout open as long as it lives.
const HIDE: &str = r#"
import ctypes, os, signal, subprocess, sys, time

libc = ctypes.CDLL(None)

def deaf():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

def orphan(work):
    first = os.fork()
    if first == 0:
        os.setsid()
        if os.fork() == 0:
            work()
            while True:
                time.sleep(1000)
        os._exit(0)
    os.waitpid(first, 0)

orphan(lambda: None)
orphan(deaf)
orphan(lambda: os.kill(os.getpid(), signal.SIGSTOP))
# A subreaper, so that its orphans never come to init.
orphan(lambda: (libc.prctl(36, 1, 0, 0, 0), orphan(deaf)))
# Not told of by any signal at its end, and in nobody's group.
orphan(lambda: (os.setpgid(0, 0), libc.prctl(1, 0)))
# A vfork whose child lives on, while its parent waits in the kernel.
orphan(lambda: subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True))
# Against its init: deaf, without descriptors, at the end of the queue.
for tried in (lambda: os.kill(1, signal.SIGSTOP), lambda: os.kill(1, signal.SIGKILL),
              lambda: os.setpriority(os.PRIO_PROCESS, 1, 19)):
    try:
        tried()
    except OSError:
        pass
print("inside", flush=True)
if sys.argv[1:] == ["leave"]:
    os._exit(0)
while True:
    time.sleep(1000)
"#;

fn hide(words: &[&str]) -> Program {
    let mut args = vec!["-c".into(), HIDE.into()];
    args.extend(words.iter().map(Into::into));
    Program {
        args,
        ..program("/usr/bin/python3".as_ref())
    }
}

/// The program, and its stdout after it has said that all are hidden.
fn started(words: &[&str]) -> (Jailed, std::fs::File) {
    let mut jailed = Native::probe()
        .unwrap()
        .spawn(&hide(words), &grant(&[]), &Limits::default(), Stdio::Piped)
        .unwrap();
    let stdout: OwnedFd = jailed.stdout.take().unwrap();
    let mut stdout = std::fs::File::from(stdout);
    let mut line = [0; 7];
    stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"inside\n");
    (jailed, stdout)
}

/// End of file: nobody holds the pipe any more.
fn all_are_gone(mut stdout: std::fs::File) {
    assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn the_hidden_end_with_their_program() {
    let (mut jailed, stdout) = started(&["leave"]);
    assert!(jailed.wait().unwrap().success());
    all_are_gone(stdout);
}

#[test]
fn the_hidden_end_when_they_are_told_to() {
    let (mut jailed, stdout) = started(&[]);
    jailed.kill().unwrap();
    jailed.wait().unwrap();
    all_are_gone(stdout);
}

/// Somebody has stopped init, which could end nobody any more: being killed needs no help of its own.
#[test]
fn a_stopped_init_holds_up_no_end() {
    let (jailed, stdout) = started(&[]);
    let init = Pid::from_raw(jailed.pid().try_into().unwrap()).unwrap();
    kill_process(init, Signal::STOP).unwrap();
    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    waitid(WaitId::PidFd(jailed.pidfd()), stopped).unwrap();
    drop(jailed);
    all_are_gone(stdout);
}

#[test]
fn the_hidden_end_when_the_host_is_killed() {
    let script = HIDE.replace('\'', "'\\''");
    ends_with_its_host(&format!("exec python3 -c '{script}'"));
}
