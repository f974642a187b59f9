//! `bailiwick doctor`: what this machine offers to walls, what therefore holds, and how to mend the rest.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use bailiwick_capability::{Grant, Granted};
use bailiwick_jail::{Machine, Native};
use bailiwick_wall::{Hold, Wall, WallError};
use bailiwick_wasm::Wasm;
use serde_json::{Value, json};

use crate::assemble::native_wall;
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::home::Home;
use crate::person::Person;
use crate::report::{FINE, FOUND, say, table};
use crate::walls::NativeWall;

/// One wall, or what a wall is for.
#[derive(Debug)]
struct Standing {
    name: &'static str,
    holds: bool,
    how: String,
    mend: Option<String>,
}

pub(crate) fn run(args: &DoctorArgs, named: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::find(named)?.unwrap_or_default();
    let probed = Native::probe();
    let machine = Machine::look(probed.as_ref());
    let home = Home::locate();
    let wall = probed.as_ref().ok().zip(home.as_ref().ok());
    let wall = wall.and_then(|(native, home)| native_wall(&config, home, *native).ok());
    let mut walls = native_walls(probed.as_ref(), wall.as_ref(), &machine);
    walls.extend(bounds(probed.is_ok(), &machine));
    walls.push(seen(probed.is_ok(), &machine));
    walls.push(components());
    walls.push(secrets(&config));
    walls.extend([npm(), pypi()]);
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&as_json(&machine, &walls))?
        );
    } else {
        show(&machine, &walls);
    }
    let fine = walls.iter().all(|wall| wall.holds);
    Ok(ExitCode::from(if fine { FINE } else { FOUND }))
}

/// What the native wall itself says of one grant of each sort. A machine without it holds none.
fn native_walls(
    probed: Result<&Native, &WallError>,
    wall: Option<&NativeWall>,
    machine: &Machine,
) -> Vec<Standing> {
    let sorts = [
        ("files", "read_files:/etc/hostname"),
        ("programs", "execute_code:/bin/sh"),
        ("arguments of programs", "execute_code:/bin/sh -c"),
        ("network by name", "network_access:https://example.com"),
    ];
    let mut walls: Vec<Standing> = sorts
        .into_iter()
        .map(|(name, atom)| match probed {
            Ok(native) => asked(name, atom, wall.map_or(native as &dyn Wall, |wall| wall)),
            Err(error) => missing(name, error, machine),
        })
        .collect();
    walls.insert(
        1,
        match probed {
            Ok(_) => Standing {
                name: "no network",
                holds: true,
                how: "a network namespace without interfaces, and no sockets".to_owned(),
                mend: None,
            },
            Err(error) => missing("no network", error, machine),
        },
    );
    walls
}

fn asked(name: &'static str, atom: &str, native: &dyn Wall) -> Standing {
    let granted = atom.parse().map(Granted::whole);
    let report = granted.map(|atom| native.report(&Grant::new([atom])));
    let hold = report
        .ok()
        .and_then(|report| report.atoms.into_iter().next());
    let (holds, how) = match hold.map(|held| held.hold) {
        Some(Hold::Fully { how }) => (true, how),
        Some(Hold::Not { why }) => (false, why),
        None => (false, "the wall says nothing of it".to_owned()),
    };
    let mend =
        (!holds).then(|| "what needs it is refused; nothing wider runs in its place".to_owned());
    Standing {
        name,
        holds,
        how,
        mend,
    }
}

fn missing(name: &'static str, error: &WallError, machine: &Machine) -> Standing {
    let first = machine
        .facts
        .iter()
        .find(|fact| !fact.holds && fact.name != "native");
    Standing {
        name,
        holds: false,
        how: error.to_string(),
        mend: first.and_then(|fact| fact.mend.clone()),
    }
}

fn bounds(native: bool, machine: &Machine) -> Vec<Standing> {
    let with = |name, group: &str, by_group: &str, otherwise: &str, enough: bool| {
        let fact = machine.fact(group);
        let grouped = native && fact.is_some_and(|fact| fact.holds);
        let how = match (native, grouped) {
            (false, _) => "no native wall",
            (true, true) => by_group,
            (true, false) => otherwise,
        };
        let holds = grouped || (native && enough);
        let mend = fact.and_then(|fact| fact.mend.clone()).filter(|_| !holds);
        Standing {
            name,
            holds,
            how: how.to_owned(),
            mend,
        }
    };
    let own_ids = machine.fact("pid-max").is_some_and(|fact| fact.holds);
    vec![
        with(
            "memory",
            "cgroup-memory",
            "of all its processes together, by a control group",
            "of each process by itself only",
            false,
        ),
        with(
            "processes",
            "cgroup-pids",
            "by a control group",
            if own_ids {
                "by process ids of its own"
            } else {
                "together with all that this user runs"
            },
            own_ids,
        ),
        with(
            "processor time",
            "cgroup-cpu",
            "of each process, and shared by control group",
            "of each process",
            true,
        ),
        with(
            "open files, size of files, output, wall clock",
            "cgroup",
            "by rlimits and the host",
            "by rlimits and the host",
            true,
        ),
    ]
}

fn seen(native: bool, machine: &Machine) -> Standing {
    let fact = machine.fact("seccomp-notify").filter(|_| native);
    let holds = fact.is_some_and(|fact| fact.holds);
    Standing {
        name: "what was refused is seen",
        holds,
        how: fact.map_or_else(|| "no native wall".to_owned(), |fact| fact.found.clone()),
        mend: fact.and_then(|fact| fact.mend.clone()),
    }
}

fn components() -> Standing {
    let made = Wasm::new(None);
    Standing {
        name: "components",
        holds: made.is_ok(),
        how: match &made {
            Ok(_) => "the WebAssembly engine started".to_owned(),
            Err(error) => error.to_string(),
        },
        mend: made.is_err().then(|| {
            "use a processor that Cranelift compiles for, such as x86_64 or aarch64".to_owned()
        }),
    }
}

/// Where secrets would be kept; nothing is opened that would ask a person.
fn secrets(config: &Config) -> Standing {
    let keeper = Home::locate().and_then(|home| Ok(crate::secret::store(config, &home)?.keeper()?));
    let (holds, how) = match keeper {
        Ok(keeper) => (true, format!("{keeper}, for new ones")),
        Err(error) => (false, format!("{error:#}")),
    };
    Standing {
        name: "where secrets lie",
        holds,
        how,
        mend: (!holds).then(|| "set BAILIWICK_HOME to a folder of your own".to_owned()),
    }
}

fn npm() -> Standing {
    let mend = "install Node.js with npm (Debian: `apt install nodejs npm`)";
    tools(
        "npm packages",
        &[("node", &["--version"]), ("npm", &["--version"])],
        mend,
    )
}

fn pypi() -> Standing {
    let mend = "install Python with pip (Debian: `apt install python3 python3-pip`)";
    tools(
        "PyPI packages",
        &[
            ("python3", &["--version"]),
            ("python3", &["-m", "pip", "--version"]),
        ],
        mend,
    )
}

/// Whether each of these programs runs; they are this machine's own.
fn tools(name: &'static str, needed: &[(&str, &[&str])], mend: &str) -> Standing {
    let told: Vec<Result<String, String>> = needed
        .iter()
        .map(|(program, args)| version(program, args))
        .collect();
    let holds = told.iter().all(Result::is_ok);
    let how: Vec<String> = told
        .into_iter()
        .map(|told| told.unwrap_or_else(|why| why))
        .collect();
    Standing {
        name,
        holds,
        how: how.join(", "),
        mend: (!holds).then(|| mend.to_owned()),
    }
}

fn version(program: &str, args: &[&str]) -> Result<String, String> {
    let shown = format!("{program} {}", args.join(" "));
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("`{program}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` ended with {}", output.status));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let line = told.lines().next().unwrap_or_default();
    let short = line.split(" from ").next().unwrap_or_default();
    Ok(
        match short.starts_with(|c: char| c.is_ascii_alphabetic() && c != 'v') {
            true => short.to_owned(),
            false => format!("{program} {short}"),
        },
    )
}

fn show(machine: &Machine, walls: &[Standing]) {
    let mark = |holds: bool| if holds { "✔" } else { "✘" };
    say!("{}, as {}", machine.kernel, Person::current().name);
    say!(
        "container: {}",
        machine.container.as_deref().unwrap_or("none that shows")
    );
    say!(
        "security modules: {}",
        machine
            .modules
            .as_deref()
            .unwrap_or("the kernel does not show them")
    );
    let settings = machine
        .settings
        .iter()
        .map(|setting| format!("{} = {}", setting.name, setting.value));
    say!("settings: {}\n", settings.collect::<Vec<_>>().join(", "));
    let mut offers = table(["", "this machine", "found"]);
    for fact in &machine.facts {
        offers.add_row([mark(fact.holds), fact.name, &fact.found]);
    }
    say!("{offers}\n");
    let mut held = table(["", "wall", "held by", "how to mend it"]);
    for wall in walls {
        held.add_row([
            mark(wall.holds),
            wall.name,
            &wall.how,
            wall.mend.as_deref().unwrap_or_default(),
        ]);
    }
    say!("{held}");
    let left = walls.iter().filter(|wall| !wall.holds).count();
    match left {
        0 => say!("Every wall holds."),
        1 => say!("One wall does not hold: what needs it is refused."),
        _ => say!("{left} walls do not hold: what needs them is refused."),
    }
}

fn as_json(machine: &Machine, walls: &[Standing]) -> Value {
    let facts = machine.facts.iter().map(|fact| {
        json!({ "name": fact.name, "holds": fact.holds, "found": fact.found, "mend": fact.mend })
    });
    let walls = walls.iter().map(|wall| {
        json!({ "name": wall.name, "holds": wall.holds, "how": wall.how, "mend": wall.mend })
    });
    let settings = machine
        .settings
        .iter()
        .map(|setting| (setting.name.to_owned(), json!(setting.value)));
    json!({
        "kernel": machine.kernel,
        "user": Person::current().name,
        "container": machine.container,
        "modules": machine.modules,
        "settings": settings.collect::<serde_json::Map<_, _>>(),
        "facts": facts.collect::<Vec<_>>(),
        "walls": walls.collect::<Vec<_>>(),
    })
}
