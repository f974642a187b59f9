//! Approvals: third-party blocks add what the gate had bounded, and nothing else.
#![expect(clippy::expect_used, reason = "helpers of tests may end the test")]

use bailiwick_capability::{Grant, Granted};
use bailiwick_token::{
    Approving, Ask, Asks, Claims, Expectation, Keys, Narrowing, Revocation, Revocations, Revoked,
    Token, TokenError, Verified, append_approval, approval_request, approve, attenuate, inspect,
    mint, sign_approval, verify,
};
use proptest::prelude::*;

const DIGEST: [u8; 32] = [7; 32];

fn grant(atoms: &[&str]) -> Grant {
    Grant::new(
        atoms
            .iter()
            .map(|text| text.parse::<Granted>().expect(text)),
    )
}

fn asking(atoms: &[(&str, u8)], approvers: &[&Keys]) -> Claims {
    let atoms = atoms.iter().map(|(text, people)| Ask {
        granted: text.parse().expect(text),
        people: *people,
    });
    Claims {
        session: "s".to_owned(),
        plugin: "mailer".to_owned(),
        plugin_version: "1.0.0".to_owned(),
        plugin_digest: DIGEST,
        user: "ann".to_owned(),
        agent: "a".to_owned(),
        grant: grant(&["clock"]),
        asks: Asks {
            atoms: atoms.collect(),
            approvers: approvers.iter().map(|keys| keys.public()).collect(),
        },
        issued: 1_000,
        expires: 2_000,
    }
}

fn verified(gate: &Keys, token: &Token, now: i64) -> Result<Verified, TokenError> {
    let expected = Expectation {
        session: "s",
        plugin_digest: &DIGEST,
        now,
    };
    verify(&gate.public(), token, &expected)
}

fn yes(atoms: &[&str]) -> Approving {
    Approving {
        grant: grant(atoms),
        ..Approving::default()
    }
}

#[test]
fn a_yes_adds_what_the_gate_had_bounded() {
    let (gate, boss) = (Keys::generate(), Keys::generate());
    let claims = asking(&[("write_files:/out/ except /out/.git/", 1)], &[&boss]);
    let token = mint(&gate, &claims).expect("minted");
    let before = verified(&gate, &token, 1_000).expect("verified");
    assert_eq!(before.grant(), &grant(&["clock"]), "asked is not granted");
    assert_eq!(before.claims().asks, claims.asks);

    let token = approve(&token, &boss, &yes(&["write_files:/"])).expect("approved");
    let after = verified(&gate, &token, 1_000).expect("verified");
    assert_eq!(
        after.grant(),
        &grant(&["clock", "write_files:/out/ except /out/.git/"]),
        "no more than was asked, holes included"
    );
    assert_eq!(after.approvals().len(), 1);
    let narrower = Narrowing {
        grant: grant(&["write_files:/out/a/"]),
        ..Narrowing::default()
    };
    let narrowed = attenuate(&token, &narrower).expect("narrowed");
    let narrowed = verified(&gate, &narrowed, 1_000).expect("verified");
    assert_eq!(narrowed.grant(), &grant(&["write_files:/out/a/"]));
}

#[test]
fn an_approver_elsewhere_needs_only_the_request() {
    let (gate, boss) = (Keys::generate(), Keys::generate());
    let token = mint(&gate, &asking(&[("clock", 1), ("random", 1)], &[&boss])).expect("minted");
    let request = approval_request(&token).expect("a request");
    let signed = sign_approval(&boss, &request, &yes(&["random"])).expect("signed");
    let approved = append_approval(&token, &signed).expect("appended");
    let sealed = verified(&gate, &approved, 1_000).expect("verified");
    assert_eq!(sealed.grant(), &grant(&["clock", "random"]));

    // The same yes behind another token, of the same claims, or a second time behind this one.
    let other = mint(&gate, &asking(&[("random", 1)], &[&boss])).expect("minted");
    for elsewhere in [&other, &approved] {
        let moved = append_approval(elsewhere, &signed).and_then(|t| verified(&gate, &t, 1_000));
        assert!(
            matches!(
                moved,
                Err(TokenError::Altered(_) | TokenError::Malformed(_))
            ),
            "{moved:?}"
        );
    }
    assert!(sign_approval(&boss, b"no request", &yes(&["random"])).is_err());
    assert!(append_approval(&token, b"no signed yes").is_err());
}

#[test]
fn who_may_not_approve_ruins_the_token() {
    let (gate, boss, agent) = (Keys::generate(), Keys::generate(), Keys::generate());
    let token = mint(&gate, &asking(&[("random", 1)], &[&boss])).expect("minted");
    let forged = approve(&token, &agent, &yes(&["random"])).expect("appended");
    assert!(matches!(
        verified(&gate, &forged, 1_000),
        Err(TokenError::Unknown { block: 1, .. })
    ));
    // The agent names itself an approver: only the gate's block says who is one.
    let named = Narrowing {
        by: Some("approver".to_owned()),
        grant: grant(&["clock"]),
        ..Narrowing::default()
    };
    let token = attenuate(&token, &named).expect("narrowed");
    let forged = approve(&token, &agent, &yes(&["random"])).expect("appended");
    assert!(verified(&gate, &forged, 1_000).is_err());
}

#[test]
fn two_people_are_two_keys_and_agree_on_what_both_said() {
    let (gate, one, two) = (Keys::generate(), Keys::generate(), Keys::generate());
    let claims = asking(&[("write_files:/out/", 2)], &[&one, &two]);
    let token = mint(&gate, &claims).expect("minted");
    let once = approve(&token, &one, &yes(&["write_files:/out/a/"])).expect("approved");
    let twice = approve(&once, &one, &yes(&["write_files:/out/"])).expect("approved");
    for alone in [&once, &twice] {
        let sealed = verified(&gate, alone, 1_000).expect("verified");
        assert_eq!(
            sealed.grant(),
            &grant(&["clock"]),
            "one person twice is one"
        );
    }
    let both = approve(&once, &two, &yes(&["write_files:/out/", "random"])).expect("approved");
    let sealed = verified(&gate, &both, 1_000).expect("verified");
    assert_eq!(sealed.grant(), &grant(&["clock", "write_files:/out/a/"]));
}

#[test]
fn a_yes_to_one_call_grants_nothing_else_and_a_yes_ends() {
    let (gate, boss, other) = (Keys::generate(), Keys::generate(), Keys::generate());
    let claims = asking(&[("random", 1)], &[&boss, &other]);
    let token = mint(&gate, &claims).expect("minted");
    let call = Approving {
        call: Some([3; 32]),
        ..yes(&["random"])
    };
    let token = approve(&token, &boss, &call).expect("approved");
    let token = approve(&token, &boss, &call).expect("approved again");
    let sealed = verified(&gate, &token, 1_000).expect("verified");
    assert_eq!(sealed.grant(), &grant(&["clock"]));
    assert_eq!(sealed.approved_call(&[3; 32]), 1, "one person twice is one");
    assert_eq!(sealed.approved_call(&[4; 32]), 0);
    let until = Approving {
        until: Some(1_500),
        call: None,
        ..call
    };
    let token = approve(&token, &other, &until).expect("approved");
    let at = |now| verified(&gate, &token, now).expect("the token goes on");
    assert_eq!(at(1_499).grant(), &grant(&["clock", "random"]));
    assert_eq!(at(1_500).grant(), &grant(&["clock"]));
    let told = inspect(&token, 1_600).expect("a token of ours");
    assert_eq!(told.approvals.len(), 3, "shown also when it is over");
    assert_eq!(told.grant, grant(&["clock"]));
}

#[test]
fn how_many_people_it_takes_is_bounded() {
    let gate = Keys::generate();
    for people in [0, 4] {
        let refused = mint(&gate, &asking(&[("random", people)], &[]));
        assert!(
            matches!(refused, Err(TokenError::Unsealable(_))),
            "{people}"
        );
    }
}

#[test]
fn what_is_revoked_by_id_session_plugin_or_user_is_refused() {
    let gate = Keys::generate();
    let token = mint(&gate, &asking(&[], &[])).expect("minted");
    let child = attenuate(&token, &Narrowing::default()).expect("narrowed");
    let (parent, child) = (
        verified(&gate, &token, 1_000).expect("verified"),
        verified(&gate, &child, 1_000).expect("verified"),
    );
    let list = |kind: &str, name: &str, at| {
        let mut list = Revocations::default();
        assert!(list.is_empty());
        let what = Revoked::new(kind, name).expect(name);
        assert_eq!((what.kind(), what.name().as_str()), (kind, name));
        let reason = "stolen".to_owned();
        list.add(Revocation { what, at, reason });
        list
    };
    let id = |verified: &Verified, block: usize| hex::encode(&verified.revocation_ids()[block]);
    let of_parent = list("id", &id(&parent, 0), 1);
    assert_eq!(of_parent.revokes(&parent), Some("stolen"));
    assert_eq!(
        of_parent.revokes(&child),
        Some("stolen"),
        "and what was made of it"
    );
    let of_child = list("id", &id(&child, 1), 1);
    assert_eq!(of_child.revokes(&parent), None);
    assert_eq!(of_child.revokes(&child), Some("stolen"));
    assert_eq!(list("session", "s", 1).revokes(&parent), Some("stolen"));
    for (kind, name) in [("plugin", "mailer"), ("user", "ann")] {
        assert_eq!(list(kind, name, 1_000).revokes(&parent), Some("stolen"));
        assert_eq!(list(kind, name, 999).revokes(&parent), None, "minted later");
    }
    for (kind, name) in [("session", "t"), ("plugin", "mail"), ("user", "an")] {
        assert_eq!(list(kind, name, 9_999).revokes(&parent), None);
    }
    for (kind, name) in [("id", "00"), ("plugin", ""), ("world", "x")] {
        assert!(Revoked::new(kind, name).is_err(), "{kind} {name}");
    }
}

/// What the specification says, without tokens: asked and approved within bounds, then narrowed.
fn model(claims: &Claims, yeses: &[(usize, Grant)], narrowings: &[Grant]) -> Grant {
    let mut atoms = claims.grant.atoms().to_vec();
    for ask in &claims.asks.atoms {
        let whole = Grant::new([ask.granted.clone()]);
        for (first, one) in yeses {
            if ask.people == 1 {
                atoms.extend(whole.meet(one).atoms().iter().cloned());
            }
            for (second, two) in yeses {
                if ask.people == 2 && first != second {
                    atoms.extend(whole.meet(one).meet(two).atoms().iter().cloned());
                }
            }
        }
    }
    narrowings
        .iter()
        .fold(Grant::new(atoms), |grant, to| grant.meet(to))
}

fn some_grant() -> impl Strategy<Value = Grant> {
    let atom = prop::sample::select(vec![
        "read_files:/a/",
        "read_files:/a/b/",
        "read_files:/",
        "write_files:/a/",
        "write_files:/a/ except /a/b/",
        "random",
        "clock",
    ]);
    prop::collection::vec(atom, 0..4).prop_map(|atoms| grant(&atoms))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn l34_approvals_stay_within_the_bound_in_any_order(
        asks in prop::collection::vec((prop::sample::select(vec!["read_files:/a/", "write_files:/a/ except /a/b/", "random"]), 1_u8..3), 0..3),
        steps in prop::collection::vec((0_usize..3, some_grant()), 0..6),
    ) {
        let gate = Keys::generate();
        let people = [Keys::generate(), Keys::generate()];
        let claims = asking(&asks, &[&people[0], &people[1]]);
        let mut token = mint(&gate, &claims).expect("minted");
        let (mut yeses, mut narrowings) = (Vec::new(), Vec::new());
        for (who, grant) in steps {
            if let Some(person) = people.get(who) {
                let approving = Approving { grant: grant.clone(), ..Approving::default() };
                token = approve(&token, person, &approving).expect("approved");
                yeses.push((who, grant));
            } else {
                let to = Narrowing { grant: grant.clone(), ..Narrowing::default() };
                token = attenuate(&token, &to).expect("narrowed");
                narrowings.push(grant);
            }
            let found = verified(&gate, &token, 1_000).expect("verified");
            let wanted = model(&claims, &yeses, &narrowings);
            prop_assert!(wanted.contains(found.grant()) && found.grant().contains(&wanted));
            let bound = claims.asks.atoms.iter().map(|ask| ask.granted.clone());
            let bound = Grant::new(bound.chain(claims.grant.atoms().iter().cloned()));
            prop_assert!(bound.contains(found.grant()));
        }
    }
}
