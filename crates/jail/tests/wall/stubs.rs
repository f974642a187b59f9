//! Programs of which only some arguments are granted: what the host decides on is what runs.

use std::ffi::OsString;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bailiwick_capability::Grant;
use bailiwick_jail::{Asked, Extras, Native, Programs, Running, Stdio, Watch};
use bailiwick_wall::{Denials, Limits, Program};

use crate::world::{grant, program};

/// Runs `/usr/bin/printf` where its first argument is `ok`.
#[derive(Debug, Default)]
struct Host {
    asked: Mutex<Vec<Vec<OsString>>>,
}

impl Programs for Host {
    fn start(&self, asked: Asked) -> Result<Running, String> {
        assert_eq!(asked.program, std::path::Path::new("/usr/bin/printf"));
        self.asked.lock().unwrap().push(asked.args.clone());
        if asked.args.first().is_none_or(|first| first != "ok") {
            return Err("not granted".to_owned());
        }
        let script = "printf '%s ' \"$@\"; [ -t 0 ] || cat; exit $#";
        let program = Program {
            args: ["-c", script, "real"]
                .map(OsString::from)
                .into_iter()
                .chain(asked.args)
                .collect(),
            cwd: asked.cwd,
            ..program("/bin/bash".as_ref())
        };
        let extras = Extras {
            streams: Some(Arc::new(asked.streams)),
            ..Extras::default()
        };
        let jail = Native::probe().unwrap();
        let jailed = jail
            .spawn_with(
                &program,
                &Grant::default(),
                &Limits::default(),
                Stdio::Inherit,
                &extras,
            )
            .map_err(|error| error.to_string())?;
        Ok(Running {
            jailed,
            keep: Box::new(()),
        })
    }
}

struct Told {
    output: String,
    status: i32,
    denials: Denials,
    host: Arc<Host>,
}

fn inside(script: &str) -> Told {
    let host = Arc::new(Host::default());
    let extras = Extras {
        programs: Some(host.clone()),
        watch: Watch::Nothing,
        ..Extras::default()
    };
    let denials = extras.denials.clone();
    let program = Program {
        args: vec!["-c".into(), script.into()],
        ..program("/bin/bash".as_ref())
    };
    let granted = grant(&["execute_code:/usr/bin/printf ok"]);
    let jail = Native::probe().unwrap();
    let mut jailed = jail
        .spawn_with(
            &program,
            &granted,
            &Limits::default(),
            Stdio::Piped,
            &extras,
        )
        .unwrap();
    drop(jailed.stdin.take());
    let mut output = String::new();
    let mut out = std::fs::File::from(jailed.stdout.take().unwrap());
    let mut errors = std::fs::File::from(jailed.stderr.take().unwrap());
    out.read_to_string(&mut output).unwrap();
    errors.read_to_string(&mut output).unwrap();
    let status = jailed.wait().unwrap().code().unwrap();
    Told {
        output,
        status,
        denials,
        host,
    }
}

const PRINTF: &str = "env printf";

#[test]
fn what_is_granted_runs_with_its_streams_and_its_status() {
    let told = inside(&format!("echo fed | {PRINTF} ok two; exit $?"));
    assert_eq!((told.output.as_str(), told.status), ("ok two fed\n", 2));
    let denied = told.denials.take();
    assert!(
        denied.iter().all(|d| d.operation != "execute_code"),
        "{denied:?}"
    );
}

#[test]
fn what_is_not_granted_is_refused_and_told() {
    let told = inside(&format!("{PRINTF} evil ok; echo $?"));
    assert!(told.output.contains("126\n"), "{}", told.output);
    assert!(
        told.output.contains("may not be run with these arguments"),
        "{}",
        told.output
    );
    let denied = told.denials.take();
    assert!(
        denied
            .iter()
            .any(|d| d.operation == "execute_code" && d.target == "/usr/bin/printf evil ok"),
        "{denied:?}"
    );
}

#[test]
fn no_other_name_or_loader_reaches_the_real_program() {
    for way in [
        "cp /usr/bin/printf /tmp/p && chmod +x /tmp/p && /tmp/p evil",
        "/lib64/ld-linux-x86-64.so.2 /usr/bin/printf evil",
        "ln -s /usr/bin/printf /tmp/l && /tmp/l evil",
        "exec -a ok /usr/bin/printf evil",
        "/.init evil",
        "cd /usr/bin && ./printf evil",
        "/proc/self/root/usr/bin/printf evil",
    ] {
        let told = inside(&format!("{way}; echo over"));
        assert!(!told.output.contains("evil "), "`{way}`: {}", told.output);
        let asked = told.host.asked.lock().unwrap();
        assert!(
            asked
                .iter()
                .all(|args| args.first().is_none_or(|first| first != "ok")),
            "`{way}`: {asked:?}"
        );
    }
}

#[test]
fn without_a_host_that_runs_them_arguments_are_refused() {
    let granted = grant(&["execute_code:/usr/bin/printf ok"]);
    let jail = Native::probe().unwrap();
    let program = program("/bin/true".as_ref());
    assert!(
        jail.spawn(&program, &granted, &Limits::default(), Stdio::Piped)
            .is_err()
    );
}

#[test]
fn a_run_ends_with_its_asker() {
    let told = inside(&format!(
        "mkfifo /tmp/f; (sleep 1000 > /tmp/f) & {PRINTF} ok < /tmp/f & p=$!; sleep 0.3; kill -9 $p; wait $p; echo $?; kill %1"
    ));
    assert!(told.output.contains("137"), "{}", told.output);
}

/// No stub, no run: whose memory another thread may rewrite cannot ask.
#[test]
fn l17_only_a_stub_may_ask() {
    let python = "
import ctypes, threading
libc = ctypes.CDLL(None, use_errno=True)
word = ctypes.create_string_buffer(b'ok')
argv = (ctypes.c_void_p * 3)(ctypes.addressof(word), ctypes.addressof(word), None)
stop = False
def flip():
    while not stop:
        word.raw = b'no\\0'
        word.raw = b'ok\\0'
t = threading.Thread(target=flip); t.start()
for _ in range(200):
    libc.syscall(5000, argv)
stop = True; t.join(); print('over')
";
    let told = inside(&format!("python3 -c \"{}\"", python.replace('"', "\\\"")));
    assert!(told.output.contains("over"), "{}", told.output);
    assert!(told.host.asked.lock().unwrap().is_empty());
}
