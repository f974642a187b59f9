//! Small worlds for the oracle: for each kind of capability the constants that policies may name, the points that
//! they tell apart, and what is asked for. Which paths, names and hosts there are is drawn anew for each case.

use bailiwick_capability::AbsPath;
use bailiwick_policy::Classification;

use crate::oracle::{Atom, World};
use crate::support::*;

/// Random numbers from which a world is drawn.
pub(crate) type Seed = [u16; 12];

fn pick<'a, T>(seed: &Seed, at: usize, from: &'a [T]) -> &'a T {
    &from[usize::from(seed[at % seed.len()]) % from.len()]
}

fn texts_of(alphabet: &[&str], join: &str, depth: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..depth {
        last = last
            .iter()
            .flat_map(|stem| alphabet.iter().map(move |s| format!("{stem}{join}{s}")))
            .collect();
        all.extend(last.clone());
    }
    all
}

fn world(action: &str, atoms: Vec<Atom>, points: Vec<String>, requests: &[&str]) -> World {
    World {
        action: action.to_owned(),
        atoms,
        points,
        requests: requests.iter().map(|&r| r.to_owned()).collect(),
        whole_is_exact: true,
        container: None,
        classification: Classification::default(),
        principal: alice(),
    }
}

fn atom(cedar: impl Into<String>, holds: impl Fn(&str) -> bool + 'static) -> Atom {
    Atom {
        cedar: cedar.into(),
        holds: Box::new(holds),
    }
}

/// What holds, or does not, whatever is asked for.
fn circumstances(atoms: &mut Vec<Atom>) {
    for (cedar, holds) in [
        ("principal in Role::\"analyst\"", true),
        ("principal in Role::\"admin\"", false),
        (
            "principal.user has department && principal.user.department == \"hr\"",
            true,
        ),
        ("principal.agent.name like \"cl*\"", true),
        ("context.environment == \"production\"", true),
        ("context.isolation == \"wasm\"", false),
        ("context.machine.contains(Machine::\"userns\")", true),
        ("context.local.hour < 24", true),
        ("context.now < datetime(\"2020-01-01\")", false),
    ] {
        atoms.push(atom(format!("({cedar})"), move |_| holds));
    }
}

fn below(point: &str, tree: &str) -> bool {
    point == tree || tree == "/" || point.starts_with(&format!("{tree}/"))
}

/// Paths of up to four names from `a`, `b` and `z`; nothing that policies mention has a `z` in it.
pub(crate) fn files(seed: &Seed, action: &str) -> World {
    let named = texts_of(&["a", "b"], "/", 3);
    let of = |at: usize| pick(seed, at, &named).clone();
    let mut atoms = Vec::new();
    for dir in [of(0), of(1), of(2), of(3), "/".to_owned()] {
        let cedar = format!("resource in Dir::\"{dir}\"");
        atoms.push(atom(cedar, move |p| below(p, &dir)));
    }
    for file in [of(4), of(5), of(6)] {
        let cedar = format!("resource == File::\"{file}\"");
        atoms.push(atom(cedar, move |p| p == file));
    }
    // Trees and files with labels; of those that hold a path the narrowest counts.
    let mut entries: Vec<(String, bool, &str)> = Vec::new();
    for (at, tree, label) in [
        (7, true, "secret"),
        (8, true, "public"),
        (9, false, "secret"),
        (10, true, "internal"),
    ] {
        if entries
            .iter()
            .all(|(path, is_tree, _)| (path, *is_tree) != (&of(at), tree))
        {
            entries.push((of(at), tree, label));
        }
    }
    for label in ["secret", "public", "internal", "unclassified"] {
        let entries = entries.clone();
        let holds = move |p: &str| {
            let holding = entries
                .iter()
                .filter(|(path, tree, _)| if *tree { below(p, path) } else { p == path });
            let narrowest = holding.max_by_key(|(path, tree, _)| (path.len(), !tree));
            narrowest.map_or("unclassified", |(_, _, label)| label) == label
        };
        atoms.push(atom(
            format!("resource.sensitivity == Sensitivity::\"{label}\""),
            holds,
        ));
    }
    let folder = of(11);
    let mut principal = alice();
    principal.plugin.folder = Some(AbsPath::parse(&folder).unwrap());
    atoms.push(atom(
        "(principal.plugin has folder && resource in principal.plugin.folder)",
        move |p| below(p, &folder),
    ));
    circumstances(&mut atoms);
    let patterns: Vec<(String, &str)> = entries
        .iter()
        .map(|(path, tree, label)| {
            (
                if *tree {
                    format!("{path}/")
                } else {
                    path.clone()
                },
                *label,
            )
        })
        .collect();
    let patterns = patterns
        .iter()
        .map(|(pattern, label)| (pattern.as_str(), *label));
    let container = of(0);
    World {
        classification: Classification::parse(patterns).unwrap(),
        principal,
        container: Some((
            format!("Dir::\"{container}\""),
            Box::new(move |p| below(p, &container)),
        )),
        ..world(
            action,
            atoms,
            texts_of(&["a", "b", "z"], "/", 4),
            &[
                "/a/", "/a/b/", "/a/b", "/b/", "/z/", "/a/a/a", "/b/a/b/", "", "/",
            ],
        )
    }
}

/// Names of up to four letters, one by one and by their beginnings.
pub(crate) fn names(seed: &Seed, action: &str, one: &str, many: &str) -> World {
    let named = texts_of(&["A", "B"], "", 3);
    let of = |at: usize| pick(seed, at, &named).clone();
    let mut atoms = Vec::new();
    for prefix in [of(0), of(1), of(2), of(3)] {
        let cedar = format!("resource in {many}::\"{prefix}*\"");
        atoms.push(atom(cedar, move |n| n.starts_with(&prefix)));
    }
    for name in [of(4), of(5), of(6), of(7)] {
        let cedar = format!("resource == {one}::\"{name}\"");
        atoms.push(atom(cedar, move |n| n == name));
    }
    circumstances(&mut atoms);
    let container = of(0);
    World {
        container: Some((
            format!("{many}::\"{container}*\""),
            Box::new(move |n| n.starts_with(&container)),
        )),
        ..world(
            action,
            atoms,
            texts_of(&["A", "B", "Z"], "", 4),
            &["A*", "AB*", "AB", "Z*", "BA", "BAB*", ""],
        )
    }
}

/// Names that are only ever asked for one by one.
pub(crate) fn exact(seed: &Seed, action: &str, one: &str) -> World {
    let named = texts_of(&["a", "b"], "", 2);
    let mut atoms: Vec<Atom> = (0..4)
        .map(|at| pick(seed, at, &named).clone())
        .map(|name| atom(format!("resource == {one}::\"{name}\""), move |n| n == name))
        .collect();
    circumstances(&mut atoms);
    world(
        action,
        atoms,
        texts_of(&["a", "b", "z"], "", 2),
        &["a", "ab", "zz", ""],
    )
}

/// What has no scope.
pub(crate) fn ambient(action: &str) -> World {
    let mut atoms = vec![atom(format!("resource == Ambient::\"{action}\""), |_| true)];
    circumstances(&mut atoms);
    world(action, atoms, vec![String::new()], &[""])
}

/// Ports on loopback.
pub(crate) fn ports(seed: &Seed) -> World {
    let named = ["22", "80", "443", "8080"];
    let mut atoms: Vec<Atom> = (0..3)
        .map(|at| *pick(seed, at, &named))
        .map(|port| {
            let holds = move |p: &str| p.ends_with(&format!(":{port}"));
            atom(format!("resource == Port::\"{port}\""), holds)
        })
        .collect();
    circumstances(&mut atoms);
    let points: Vec<String> = ["22", "80", "443", "8080", "9999"]
        .iter()
        .map(|p| format!("127.0.0.1:{p}"))
        .collect();
    world(
        "network_listen",
        atoms,
        points,
        &["127.0.0.1:22", "127.0.0.1:443", "127.0.0.1:9999", ""],
    )
}

/// Shells, and the folders that they lie in.
pub(crate) fn shells() -> World {
    let shells = ["/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/zsh"];
    let points = shells.iter().map(|&s| s.to_owned()).collect();
    let mut atoms: Vec<Atom> = shells[..3]
        .iter()
        .map(|&shell| {
            atom(format!("resource in Program::\"{shell}\""), move |p| {
                p == shell
            })
        })
        .collect();
    atoms.extend(["/bin", "/usr"].map(|dir| {
        atom(format!("resource in Dir::\"{dir}\""), move |p| {
            below(p, dir)
        })
    }));
    circumstances(&mut atoms);
    World {
        whole_is_exact: false,
        ..world(
            "execute_shell",
            atoms,
            points,
            &["/bin/sh", "/usr/bin/zsh", ""],
        )
    }
}

/// Programs with leading arguments, and the folders that they lie in.
pub(crate) fn programs() -> World {
    let commands: [&'static str; 6] = [
        "/u/b/git",
        "/u/b/git log",
        "/u/b/git log -p",
        "/u/b/git push",
        "/u/ls",
        "/x/ls",
    ];
    let points = commands.iter().map(|c| format!("{c} zz")).collect();
    let begins = |point: &str, command: &str| point.starts_with(&format!("{command} "));
    let mut atoms: Vec<Atom> = commands[..5]
        .iter()
        .copied()
        .map(|c| {
            atom(format!("resource in Program::\"{c}\""), move |p| {
                begins(p, c)
            })
        })
        .collect();
    atoms.extend(["/u", "/u/b"].map(|dir| {
        atom(format!("resource in Dir::\"{dir}\""), move |p| {
            p.starts_with(&format!("{dir}/"))
        })
    }));
    circumstances(&mut atoms);
    let git = move |p: &str| begins(p, "/u/b/git");
    World {
        whole_is_exact: false,
        container: Some(("Program::\"/u/b/git\"".to_owned(), Box::new(git))),
        ..world(
            "execute_code",
            atoms,
            points,
            &[
                "/u/b/git",
                "/u/b/git log",
                "/u/b/git log -p",
                "/u/ls",
                "/x/ls",
                "",
            ],
        )
    }
}

/// The parts of `scheme://host:port/path METHOD`, or of `tcp://host:port`.
fn split(point: &str) -> (&str, &str, &str, String, &str) {
    let (url, method) = point.split_once(' ').unwrap_or((point, "-"));
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = authority.split_once(':').unwrap();
    (scheme, host, port, path.to_owned(), method)
}

/// Hosts, ports, paths and methods.
pub(crate) fn endpoints(seed: &Seed) -> World {
    let hosts = [
        "e.org",
        "a.e.org",
        "b.e.org",
        "z.e.org",
        "q.a.e.org",
        "other.net",
        "bade.org",
        "10.0.0.1",
        "10.9.0.1",
    ];
    let mut points = Vec::new();
    for host in hosts {
        for path in ["/zz", "/v1/zz", "/v1/x/zz"] {
            for method in ["GET", "POST", "PUT"] {
                points.push(format!("https://{host}:443{path} {method}"));
                points.push(format!("https://{host}:8443{path} {method}"));
                points.push(format!("http://{host}:80{path} {method}"));
            }
        }
        points.push(format!("tcp://{host}:443"));
    }
    let within = |host: &str, domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    let names = [
        "e.org",
        "a.e.org",
        "b.e.org",
        "10.0.0.1",
        "other.net",
        "q.a.e.org",
    ];
    let mut atoms: Vec<Atom> = [0, 1, 2]
        .map(|at| *pick(seed, at, &names))
        .into_iter()
        .map(|h| {
            atom(format!("resource in Host::\"{h}\""), move |p| {
                split(p).1 == h
            })
        })
        .collect();
    let domains = ["e.org", "a.e.org", "net", "b.e.org", "q.a.e.org", "org"];
    atoms.extend([3, 4, 5].map(|at| *pick(seed, at, &domains)).map(|d| {
        atom(format!("resource in Domain::\"{d}\""), move |p| {
            within(split(p).1, d)
        })
    }));
    let range = *pick(
        seed,
        6,
        &["10.0.0.0/16", "10.0.0.0/8", "10.9.0.0/24", "0.0.0.0/0"],
    );
    atoms.push(atom(
        format!("resource in Network::\"{range}\""),
        move |p| match split(p).1 {
            "10.0.0.1" => range != "10.9.0.0/24",
            "10.9.0.1" => range != "10.0.0.0/16",
            _ => false,
        },
    ));
    atoms.extend(["GET", "POST"].map(|m| {
        atom(format!("resource.method == Method::\"{m}\""), move |p| {
            split(p).4 == m
        })
    }));
    let port = *pick(seed, 7, &["443", "8443", "80"]);
    atoms.push(atom(
        format!("resource.port == Port::\"{port}\""),
        move |p| split(p).2 == port,
    ));
    atoms.push(atom("resource.scheme == Scheme::\"tcp\"", |p| {
        split(p).0 == "tcp"
    }));
    let url = |p: &str, path: &str| {
        let (scheme, _, port, at, _) = split(p);
        scheme == "https" && port == "443" && at.starts_with(path)
    };
    let urls = ["/v1/", "/", "/v1/x/"];
    let (host, path) = (*pick(seed, 8, &names[..3]), *pick(seed, 9, &urls));
    atoms.push(atom(
        format!(
            "resource in Url::\"https://{host}{}\"",
            path.trim_end_matches(|c| path == "/" && c == '/')
        ),
        move |p| url(p, path) && split(p).1 == host,
    ));
    let path = *pick(seed, 10, &urls);
    let suffix = *pick(seed, 11, &["e.org", "a.e.org"]);
    atoms.push(atom(
        format!(
            "resource in Url::\"https://*.{suffix}{}\"",
            path.trim_end_matches(|c| path == "/" && c == '/')
        ),
        move |p| {
            let label = split(p)
                .1
                .strip_suffix(suffix)
                .and_then(|l| l.strip_suffix('.'));
            url(p, path) && label.is_some_and(|l| !l.contains('.'))
        },
    ));
    circumstances(&mut atoms);
    World {
        whole_is_exact: false,
        container: Some((
            "Domain::\"e.org\"".to_owned(),
            Box::new(move |p| within(split(p).1, "e.org")),
        )),
        ..world(
            "network_access",
            atoms,
            points,
            &[
                "https://*.e.org",
                "https://*.e.org/v1/ GET,PUT",
                "https://a.e.org",
                "https://a.e.org GET,POST",
                "https://*.e.org:8443",
                "https://*.a.e.org",
                "http://10.0.0.1",
                "https://10.9.0.1",
                "tcp://e.org:443",
                "",
            ],
        )
    }
}
