//! The algebra that everything else stands on: order, meet, parse and print.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

use bailiwick_capability::{Capability, Grant, Granted, Kind};
use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "c d", "é", "..x"]);
    (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, tree)| {
        let path = format!("/{}", segments.join("/"));
        if tree && path != "/" {
            format!("{path}/")
        } else {
            path
        }
    })
}

fn url() -> impl Strategy<Value = String> {
    let hosts = vec![
        "example.com",
        "*.example.com",
        "a.example.com",
        "b.a.example.com",
        "10.0.0.1",
        "[::1]",
    ];
    let paths = vec!["", "/v1", "/v1/", "/v1/x", "/v2/", "/%C3%A9"];
    let methods = vec!["", " GET", " POST", " GET,POST"];
    let schemes = vec!["https", "http"];
    (
        prop::sample::select(schemes),
        prop::sample::select(hosts),
        prop::sample::select(vec!["", ":8443"]),
        prop::sample::select(paths),
        prop::sample::select(methods),
    )
        .prop_map(|(scheme, host, port, path, methods)| {
            format!("{scheme}://{host}{port}{path}{methods}")
        })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        path().prop_map(|p| format!("read_files:{p}")),
        path().prop_map(|p| format!("write_files:{p}")),
        url().prop_map(|u| format!("network_access:{u}")),
        prop::sample::select(vec![
            "/bin/git",
            "/bin/git status",
            "/bin/git status -s",
            "/bin/sh 'a b'",
            "git"
        ])
        .prop_map(|p| format!("execute_code:{p}")),
        prop::sample::select(vec!["APP_*", "APP_A", "APP_A*", "LANG", "APP"])
            .prop_map(|n| format!("read_environment:{n}")),
        prop::sample::select(Kind::ALL.to_vec()).prop_map(|kind| kind.to_string()),
        (1u16..4).prop_map(|p| format!("network_listen:127.0.0.1:{p}")),
    ]
}

fn atom() -> impl Strategy<Value = Capability> {
    text().prop_map(|text| text.parse().expect(&text))
}

/// Atoms of one kind, so that they meet often.
fn kin(n: usize) -> impl Strategy<Value = Vec<Capability>> {
    prop_oneof![
        prop::collection::vec(
            path().prop_map(|p| format!("read_files:{p}").parse().unwrap()),
            n
        ),
        prop::collection::vec(
            url().prop_map(|u| format!("network_access:{u}").parse().unwrap()),
            n
        ),
        prop::collection::vec(atom(), n),
    ]
}

fn granted() -> impl Strategy<Value = Granted> {
    kin(4).prop_map(|atoms| {
        let mut atoms = atoms.into_iter();
        let whole = atoms.next().unwrap();
        Granted::with_holes(whole.clone(), atoms).unwrap_or_else(|| Granted::whole(whole))
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    prop::collection::vec(granted(), 0..5).prop_map(Grant::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn print_then_parse_is_the_identity(atom in atom()) {
        prop_assert_eq!(atom.to_string().parse::<Capability>().unwrap(), atom);
    }

    #[test]
    fn granted_print_then_parse_is_the_identity(atom in granted()) {
        prop_assert_eq!(atom.to_string().parse::<Granted>().unwrap(), atom);
    }

    #[test]
    fn parsing_never_panics_and_what_parses_prints_stably(text in "\\PC*|(read_files|network_access|execute_code):[ -~]{0,24}") {
        if let Ok(atom) = text.parse::<Capability>() {
            prop_assert_eq!(atom.to_string().parse::<Capability>().unwrap(), atom);
        }
    }

    #[test]
    fn contains_is_a_partial_order(atoms in kin(3)) {
        let [a, b, c] = &atoms[..] else { unreachable!() };
        prop_assert!(a.contains(a));
        if a.contains(b) && b.contains(a) { prop_assert_eq!(a, b); }
        if a.contains(b) && b.contains(c) { prop_assert!(a.contains(c)); }
    }

    #[test]
    fn meet_is_the_greatest_lower_bound(atoms in kin(3)) {
        let [a, b, c] = &atoms[..] else { unreachable!() };
        let met = a.meet(b);
        prop_assert_eq!(&met, &b.meet(a));
        prop_assert_eq!(a.overlaps(b), met.is_some());
        prop_assert_eq!(a.meet(a), Some(a.clone()));
        if let Some(met) = &met {
            prop_assert!(a.contains(met) && b.contains(met), "never wider than either side");
        }
        if a.contains(c) && b.contains(c) {
            prop_assert!(met.as_ref().is_some_and(|met| met.contains(c)), "nothing that both permit is lost");
        }
        let left = met.and_then(|met| met.meet(c));
        let right = b.meet(c).and_then(|met| a.meet(&met));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn granted_meet_never_widens(a in granted(), b in granted(), point in atom()) {
        if let Some(met) = a.meet(&b) {
            prop_assert_eq!(b.meet(&a), Some(met.clone()));
            prop_assert!(a.contains(&met) && b.contains(&met));
            if met.permits(&point) { prop_assert!(a.permits(&point) && b.permits(&point)); }
        }
        if a.permits(&point) && b.permits(&point) {
            prop_assert!(a.meet(&b).is_some_and(|met| met.permits(&point)));
        }
        if a.contains(&b) && b.permits(&point) { prop_assert!(a.permits(&point)); }
    }

    #[test]
    fn l34_no_path_widens_a_grant(a in grant(), b in grant(), point in atom()) {
        let met = a.meet(&b);
        prop_assert_eq!(&met, &b.meet(&a));
        prop_assert_eq!(&a.meet(&a), &a);
        prop_assert!(a.contains(&met) && b.contains(&met));
        prop_assert_eq!(met.permits(&point), a.permits(&point) && b.permits(&point));
        prop_assert!(!Grant::default().permits(&point));
        prop_assert!(a.meet(&Grant::default()).is_empty());
        let json = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Grant>(&json).unwrap(), a);
    }
}
