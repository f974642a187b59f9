//! Decisions against an oracle that knows nothing of parts, projections or Cedar: it judges every point of a
//! small world on its own, by reading the conditions itself.

use bailiwick_capability::{AbsPath, Capability, Grant};
use bailiwick_policy::{Classification, Pdp, Principal};
use proptest::prelude::*;

use crate::support::*;

/// A condition that policies may name: in Cedar, and as the oracle reads it.
struct Atom {
    cedar: String,
    holds: Box<dyn Fn(&str) -> bool>,
}

/// Points are texts of scopes. Each stands for all that no constant tells apart from it.
struct World {
    action: &'static str,
    atoms: Vec<Atom>,
    points: Vec<String>,
    requests: Vec<&'static str>,
    classification: Classification,
    principal: Principal,
}

#[derive(Debug, Clone)]
enum Condition {
    Atom(usize),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Deny,
    Ask,
    Allow,
}

type Policy = (u8, Condition);

fn conditions() -> impl Strategy<Value = Condition> {
    let atom = (0_usize..1000).prop_map(Condition::Atom);
    atom.prop_recursive(2, 6, 2, |inner| {
        let pair = || {
            (
                inner.clone().prop_map(Box::new),
                inner.clone().prop_map(Box::new),
            )
        };
        prop_oneof![
            inner.clone().prop_map(|c| Condition::Not(Box::new(c))),
            pair().prop_map(|(a, b)| Condition::And(a, b)),
            pair().prop_map(|(a, b)| Condition::Or(a, b)),
        ]
    })
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    // Permits are more frequent, so that something is granted.
    let effect = prop_oneof![4 => Just(0_u8), 2 => Just(1_u8), 1 => Just(2_u8)];
    proptest::collection::vec((effect, conditions()), 1..6)
}

impl Condition {
    fn cedar(&self, atoms: &[Atom]) -> String {
        match self {
            Self::Atom(at) => format!("({})", atoms[at % atoms.len()].cedar),
            Self::Not(inner) => format!("!{}", inner.cedar(atoms)),
            Self::And(a, b) => format!("({} && {})", a.cedar(atoms), b.cedar(atoms)),
            Self::Or(a, b) => format!("({} || {})", a.cedar(atoms), b.cedar(atoms)),
        }
    }

    fn holds(&self, atoms: &[Atom], point: &str) -> bool {
        match self {
            Self::Atom(at) => (atoms[at % atoms.len()].holds)(point),
            Self::Not(inner) => !inner.holds(atoms, point),
            Self::And(a, b) => a.holds(atoms, point) && b.holds(atoms, point),
            Self::Or(a, b) => a.holds(atoms, point) || b.holds(atoms, point),
        }
    }
}

impl World {
    fn load(&self, policies: &[Policy]) -> Pdp {
        let text: String = policies
            .iter()
            .map(|(effect, condition)| {
                let head = ["permit", "forbid", "@ask permit"][usize::from(*effect)];
                let (action, condition) = (self.action, condition.cedar(&self.atoms));
                format!("{head} (principal, action == Action::\"{action}\", resource) when {{ {condition} }};\n")
            })
            .collect();
        load_with(&text, &self.classification).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    fn expected(&self, policies: &[Policy], point: &str) -> Level {
        let some = |effect: u8| {
            policies
                .iter()
                .any(|(e, c)| *e == effect && c.holds(&self.atoms, point))
        };
        match (some(1), some(0), some(2)) {
            (true, _, _) => Level::Deny,
            (false, true, _) => Level::Allow,
            (false, false, true) => Level::Ask,
            _ => Level::Deny,
        }
    }

    /// Every request of the world: sound always, exact where the request is not a whole kind.
    fn check(&self, policies: &[Policy]) {
        let pdp = self.load(policies);
        for request in &self.requests {
            let colon = if request.is_empty() { "" } else { ":" };
            let asked = cap(&format!("{}{colon}{request}", self.action));
            let decision = pdp.decide(&self.principal, &now(), &asked);
            for atom in decision.granted().iter().chain(decision.pending()) {
                assert!(
                    asked.contains(atom.capability()),
                    "{atom} is not in {asked}"
                );
            }
            let granted = Grant::new(decision.granted().iter().cloned());
            let approved = Grant::new(decision.granted().iter().chain(decision.pending()).cloned());
            for point in &self.points {
                let operation: Capability = cap(&format!("{}:{point}", self.action));
                if !asked.contains(&operation) {
                    assert!(!granted.permits(&operation) && !approved.permits(&operation));
                    continue;
                }
                let level = self.expected(policies, point);
                let told = || format!("{asked}: {point} should be {level:?}\n{decision:#?}");
                assert!(
                    !granted.permits(&operation) || level == Level::Allow,
                    "{}",
                    told()
                );
                assert!(
                    !approved.permits(&operation) || level >= Level::Ask,
                    "{}",
                    told()
                );
                if !request.is_empty() {
                    assert_eq!(
                        granted.permits(&operation),
                        level == Level::Allow,
                        "{}",
                        told()
                    );
                    assert_eq!(
                        approved.permits(&operation),
                        level >= Level::Ask,
                        "{}",
                        told()
                    );
                }
            }
        }
    }
}

fn atom(cedar: &str, holds: impl Fn(&str) -> bool + 'static) -> Atom {
    Atom {
        cedar: cedar.to_owned(),
        holds: Box::new(holds),
    }
}

fn below(point: &str, tree: &str) -> bool {
    point == tree || point.starts_with(&format!("{}/", tree.trim_end_matches('/')))
}

fn files() -> World {
    let mut points = vec![String::new()];
    let mut last = points.clone();
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|stem| ["a", "b", "z"].map(|s| format!("{stem}/{s}")))
            .collect();
        points.extend(last.clone());
    }
    points.retain(|p| !p.is_empty());
    let mut atoms: Vec<Atom> = ["/", "/a", "/a/b", "/a/b/a", "/b", "/a/a/b"]
        .into_iter()
        .map(|dir| {
            atom(&format!("resource in Dir::\"{dir}\""), move |p| {
                below(p, dir)
            })
        })
        .collect();
    atoms.extend(
        ["/a/b", "/a/b/b", "/b/a", "/a/a/a"]
            .into_iter()
            .map(|file| atom(&format!("resource == File::\"{file}\""), move |p| p == file)),
    );
    let label = |p: &str| match p {
        _ if p == "/a/b/a/a" => "public",
        _ if below(p, "/a/b") => "secret",
        _ if below(p, "/b/b") => "public",
        _ => "unclassified",
    };
    atoms.extend(["secret", "public", "unclassified"].map(|l| {
        atom(
            &format!("resource.sensitivity == Sensitivity::\"{l}\""),
            move |p| label(p) == l,
        )
    }));
    atoms.push(atom(
        "principal.plugin has folder && resource in principal.plugin.folder",
        |p| below(p, "/a/a"),
    ));
    let classified = [
        ("/a/b/", "secret"),
        ("/a/b/a/a", "public"),
        ("/b/b/", "public"),
    ];
    let mut principal = alice();
    principal.plugin.folder = Some(AbsPath::parse("/a/a").unwrap());
    World {
        action: "read_files",
        atoms,
        points,
        requests: vec!["/a/", "/a/b/", "/a/b", "/b/", "/z/", "/a/a/a", ""],
        classification: Classification::parse(classified).unwrap(),
        principal,
    }
}

fn variables() -> World {
    let mut points: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|stem| ["A", "B", "Z"].map(|s| format!("{stem}{s}")))
            .collect();
        points.extend(last.clone());
    }
    let mut atoms: Vec<Atom> = ["A", "AB", "ABA", "B"]
        .into_iter()
        .map(|p| {
            atom(&format!("resource in Variables::\"{p}*\""), move |n| {
                n.starts_with(p)
            })
        })
        .collect();
    atoms.extend(["A", "AB", "ABB", "BA"].into_iter().map(|name| {
        atom(&format!("resource == Variable::\"{name}\""), move |n| {
            n == name
        })
    }));
    World {
        action: "read_environment",
        atoms,
        points,
        requests: vec!["A*", "AB*", "AB", "Z*", "BA", ""],
        classification: Classification::default(),
        principal: alice(),
    }
}

fn programs() -> World {
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
            atom(&format!("resource in Program::\"{c}\""), move |p| {
                begins(p, c)
            })
        })
        .collect();
    atoms.extend(["/u", "/u/b"].map(|dir| {
        atom(&format!("resource in Dir::\"{dir}\""), move |p| {
            p.starts_with(&format!("{dir}/"))
        })
    }));
    World {
        action: "execute_code",
        atoms,
        points,
        requests: vec!["/u/b/git", "/u/b/git log", "/u/ls", "/x/ls", ""],
        classification: Classification::default(),
        principal: alice(),
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

fn endpoints() -> World {
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
    let mut atoms: Vec<Atom> = ["e.org", "a.e.org", "10.0.0.1"]
        .into_iter()
        .map(|h| {
            atom(&format!("resource in Host::\"{h}\""), move |p| {
                split(p).1 == h
            })
        })
        .collect();
    atoms.extend(["e.org", "a.e.org", "net"].map(|d| {
        atom(&format!("resource in Domain::\"{d}\""), move |p| {
            within(split(p).1, d)
        })
    }));
    atoms.push(atom("resource in Network::\"10.0.0.0/16\"", |p| {
        split(p).1 == "10.0.0.1"
    }));
    atoms.extend(["GET", "POST"].map(|m| {
        atom(&format!("resource.method == Method::\"{m}\""), move |p| {
            split(p).4 == m
        })
    }));
    atoms.push(atom("resource.port == Port::\"443\"", |p| {
        split(p).2 == "443"
    }));
    atoms.push(atom("resource.scheme == Scheme::\"tcp\"", |p| {
        split(p).0 == "tcp"
    }));
    let url = |p: &str, path: &str| {
        let (scheme, _, port, at, _) = split(p);
        scheme == "https" && port == "443" && at.starts_with(path)
    };
    atoms.push(atom("resource in Url::\"https://a.e.org/v1/\"", move |p| {
        url(p, "/v1/") && split(p).1 == "a.e.org"
    }));
    atoms.push(atom(
        "resource in Url::\"https://*.e.org/v1/x/\"",
        move |p| {
            let one_label = split(p)
                .1
                .strip_suffix(".e.org")
                .is_some_and(|l| !l.contains('.'));
            url(p, "/v1/x/") && one_label
        },
    ));
    World {
        action: "network_access",
        atoms,
        points,
        requests: vec![
            "https://*.e.org",
            "https://*.e.org/v1/ GET,PUT",
            "https://a.e.org",
            "https://a.e.org GET,POST",
            "https://*.e.org:8443",
            "http://10.0.0.1",
            "tcp://e.org:443",
            "",
        ],
        classification: Classification::default(),
        principal: alice(),
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// Each case is several requests: 2,600 decisions in all, each compared at up to 120 points.
proptest! {
    #![proptest_config(cases(110))]

    #[test]
    fn files_are_granted_exactly(policies in policies()) {
        files().check(&policies);
    }

    #[test]
    fn names_are_granted_exactly(policies in policies()) {
        variables().check(&policies);
    }

    #[test]
    fn programs_are_granted_exactly(policies in policies()) {
        programs().check(&policies);
    }

    #[test]
    fn connections_are_granted_exactly(policies in policies()) {
        endpoints().check(&policies);
    }
}
