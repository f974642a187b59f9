//! No policy text makes the loader or the decision point panic; what is granted lies inside what was asked; every
//! problem points into the text. The first line links templates.
#![no_main]

use bailiwick_policy::{
    Agent, Call, Classification, Context, Known, Pdp, PluginFacts, PolicySource, Principal, Question, Tally, User,
};
use libfuzzer_sys::fuzz_target;

const ASKED: [&str; 8] = [
    "read_files:/data/", "read_files", "network_access", "network_access:https://*.e.org/v1/ GET,POST",
    "execute_code", "execute_code:/usr/bin/git log", "read_environment:A*", "clock",
];

fuzz_target!(|text: &str| {
    let (links, policies) = text.split_once('\n').unwrap_or(("", text));
    let links: Vec<PolicySource> = links
        .strip_prefix("//")
        .map(|links| PolicySource::new("links", links))
        .into_iter()
        .collect();
    let labels = Classification::parse([("/data/hr/**", "confidential")]).unwrap();
    let pdp = match Pdp::load_linked(&[PolicySource::new("p", policies)], &links, &labels) {
        Ok(pdp) => pdp,
        Err(error) => {
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                assert!(problem.span.0 <= policies.len(), "{problem}");
            }
            return;
        }
    };
    let principal = Principal {
        session: "s".into(),
        user: User { name: "alice".into(), roles: ["r".to_owned()].into(), groups: ["g".to_owned()].into(), department: None },
        agent: Agent { name: "a".into(), version: "1".into() },
        plugin: PluginFacts { id: "p".into(), ..PluginFacts::default() },
    };
    let context = Context { now: 1_790_000_000, isolation: "native".into(), ..Context::default() };
    let _ = pdp.lint(&Known::default(), context.now).unwrap();
    for asked in ASKED {
        let asked = asked.parse().unwrap();
        let decision = pdp.decide(&principal, &context, &asked);
        for atom in decision.granted().iter().chain(decision.pending()) {
            assert!(asked.contains(atom.capability()), "{atom} is not in {asked}");
        }
        let explained = pdp.explain(&principal, &context, Question::Load(&asked)).unwrap();
        assert!(!explained.decision.is_full() || explained.changes.is_empty());
    }
    let call = Call {
        tool: "t",
        arguments: &serde_json::Map::new(),
        created: &Default::default(),
        counts: &Tally::default(),
    };
    let _ = pdp.decide_call_with(&principal, &context, &call);
});
