//! Decisions against an oracle that knows nothing of parts, projections or Cedar: it judges every point of a
//! small world on its own, by reading the conditions itself.

use bailiwick_capability::{Capability, Grant, Granted};
use bailiwick_policy::{Classification, Effect, Pdp, PolicySource, Principal};
use proptest::prelude::*;

use crate::support::*;
use crate::worlds::{self, Seed};

/// What holds of a point, as the oracle reads it.
type Holds = Box<dyn Fn(&str) -> bool>;

/// A condition that policies may name: in Cedar, and as the oracle reads it.
pub(crate) struct Atom {
    pub(crate) cedar: String,
    pub(crate) holds: Holds,
}

/// Points are texts of scopes. Each stands for all that no constant tells apart from it.
pub(crate) struct World {
    pub(crate) action: String,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) points: Vec<String>,
    pub(crate) requests: Vec<String>,
    /// Whether everything that can be permitted of the whole kind can be said as capabilities.
    pub(crate) whole_is_exact: bool,
    /// Something that resources lie in, for `resource in …` in heads.
    pub(crate) container: Option<(String, Holds)>,
    pub(crate) classification: Classification,
    pub(crate) principal: Principal,
}

#[derive(Debug, Clone)]
enum Condition {
    Atom(usize),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    If(Box<Condition>, Box<Condition>, Box<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Deny,
    Ask,
    Allow,
}

/// How a policy is written around its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dress {
    Plain,
    Unless,
    Expired,
    NotYetExpired,
    ForRole(bool),
    ForUser(bool),
    SeveralActions,
    InContainer,
    /// A template that is linked to the user, or to somebody else.
    Template(bool),
    /// A template that is linked to the container.
    ContainerTemplate,
}

#[derive(Debug, Clone)]
struct Policy {
    effect: u8,
    condition: Condition,
    dress: Dress,
}

fn conditions() -> impl Strategy<Value = Condition> {
    let atom = (0_usize..1000).prop_map(Condition::Atom);
    atom.prop_recursive(2, 6, 2, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Condition::Not),
            (boxed(), boxed()).prop_map(|(a, b)| Condition::And(a, b)),
            (boxed(), boxed()).prop_map(|(a, b)| Condition::Or(a, b)),
            (boxed(), boxed(), boxed()).prop_map(|(a, b, c)| Condition::If(a, b, c)),
        ]
    })
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    // Permits are more frequent, so that something is granted; so are policies that apply.
    let effect = prop_oneof![4 => Just(0_u8), 2 => Just(1_u8), 1 => Just(2_u8)];
    let dress = prop_oneof![
        6 => Just(Dress::Plain),
        2 => Just(Dress::Unless),
        1 => Just(Dress::Expired),
        1 => Just(Dress::NotYetExpired),
        2 => any::<bool>().prop_map(Dress::ForRole),
        1 => any::<bool>().prop_map(Dress::ForUser),
        1 => Just(Dress::SeveralActions),
        2 => Just(Dress::InContainer),
        2 => any::<bool>().prop_map(Dress::Template),
        1 => Just(Dress::ContainerTemplate),
    ];
    let policy = (effect, conditions(), dress).prop_map(|(effect, condition, dress)| Policy {
        effect,
        condition,
        dress,
    });
    proptest::collection::vec(policy, 1..6)
}

impl Condition {
    fn cedar(&self, atoms: &[Atom]) -> String {
        match self {
            Self::Atom(at) => format!("({})", atoms[at % atoms.len()].cedar),
            Self::Not(inner) => format!("!{}", inner.cedar(atoms)),
            Self::And(a, b) => format!("({} && {})", a.cedar(atoms), b.cedar(atoms)),
            Self::Or(a, b) => format!("({} || {})", a.cedar(atoms), b.cedar(atoms)),
            Self::If(a, b, c) => {
                let [a, b, c] = [a, b, c].map(|part| part.cedar(atoms));
                format!("(if {a} then {b} else {c})")
            }
        }
    }

    fn holds(&self, atoms: &[Atom], point: &str) -> bool {
        match self {
            Self::Atom(at) => (atoms[at % atoms.len()].holds)(point),
            Self::Not(inner) => !inner.holds(atoms, point),
            Self::And(a, b) => a.holds(atoms, point) && b.holds(atoms, point),
            Self::Or(a, b) => a.holds(atoms, point) || b.holds(atoms, point),
            Self::If(a, b, c) if a.holds(atoms, point) => b.holds(atoms, point),
            Self::If(_, _, c) => c.holds(atoms, point),
        }
    }
}

impl World {
    /// A policy in Cedar, and the link of its template.
    fn write(&self, at: usize, policy: &Policy) -> (String, Option<String>) {
        let effect = ["permit", "forbid", "@ask permit"][usize::from(policy.effect)];
        let condition = policy.condition.cedar(&self.atoms);
        let action = format!("Action::\"{}\"", self.action);
        let container = self.container.as_ref().map(|(cedar, _)| cedar.as_str());
        let within =
            container.map_or_else(|| "resource".to_owned(), |c| format!("resource in {c}"));
        let mut id = String::new();
        let mut link = None;
        let mut slot = |name: &str, value: &str| {
            id = format!("@id(\"t{at}\") ");
            let value = value.replace('"', "\\\"");
            let args = format!("{{\"{name}\": \"{value}\"}}");
            link = Some(format!(
                "{{\"template_id\": \"t{at}\", \"link_id\": \"l{at}\", \"args\": {args}}}"
            ));
        };
        let (who, actions, what) = match policy.dress {
            Dress::ForRole(yes) => (
                format!(
                    "principal in Role::\"{}\"",
                    if yes { "analyst" } else { "boss" }
                ),
                None,
                None,
            ),
            Dress::ForUser(yes) => (
                format!(
                    "principal in User::\"{}\"",
                    if yes { "alice" } else { "bob" }
                ),
                None,
                None,
            ),
            Dress::Template(yes) => {
                slot(
                    "?principal",
                    &format!("User::\"{}\"", if yes { "alice" } else { "bob" }),
                );
                ("principal in ?principal".to_owned(), None, None)
            }
            Dress::ContainerTemplate if container.is_some() => {
                slot("?resource", container.unwrap());
                (
                    "principal".to_owned(),
                    None,
                    Some("resource in ?resource".to_owned()),
                )
            }
            Dress::InContainer => ("principal".to_owned(), None, Some(within)),
            Dress::SeveralActions => (
                "principal".to_owned(),
                Some(format!("action in [{action}, {action}]")),
                None,
            ),
            _ => ("principal".to_owned(), None, None),
        };
        let expiry = match policy.dress {
            Dress::Expired => "@expires(\"2020-01-01\") ",
            Dress::NotYetExpired => "@expires(\"2040-01-01\") ",
            _ => "",
        };
        let clause = match policy.dress {
            Dress::Unless => format!("unless {{ !({condition}) }}"),
            _ => format!("when {{ {condition} }}"),
        };
        let actions = actions.unwrap_or_else(|| format!("action == {action}"));
        let what = what.unwrap_or_else(|| "resource".to_owned());
        (
            format!("{expiry}{id}{effect} ({who}, {actions}, {what}) {clause};\n"),
            link,
        )
    }

    /// Whether a policy applies to a point.
    fn applies(&self, policy: &Policy, point: &str) -> bool {
        let within = || {
            self.container
                .as_ref()
                .is_none_or(|(_, holds)| holds(point))
        };
        let dressed = match policy.dress {
            Dress::Expired => false,
            Dress::ForRole(yes) | Dress::ForUser(yes) | Dress::Template(yes) => yes,
            Dress::InContainer | Dress::ContainerTemplate => within(),
            Dress::Plain | Dress::Unless | Dress::NotYetExpired | Dress::SeveralActions => true,
        };
        dressed && policy.condition.holds(&self.atoms, point)
    }

    fn load(&self, policies: &[Policy]) -> Pdp {
        let written = policies
            .iter()
            .enumerate()
            .map(|(at, policy)| self.write(at, policy));
        let (texts, links): (Vec<String>, Vec<Option<String>>) = written.unzip();
        let text = texts.concat();
        let links: Vec<String> = links.into_iter().flatten().collect();
        let links = PolicySource::new("links.json", format!("[{}]", links.join(",")));
        let source = PolicySource::new("test.cedar", text.clone());
        Pdp::load_linked(&[source], &[links], &self.classification)
            .unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    fn expected(&self, policies: &[Policy], point: &str) -> Level {
        let some = |effect: u8| {
            policies
                .iter()
                .any(|p| p.effect == effect && self.applies(p, point))
        };
        match (some(1), some(0), some(2)) {
            (true, _, _) => Level::Deny,
            (false, true, _) => Level::Allow,
            (false, false, true) => Level::Ask,
            _ => Level::Deny,
        }
    }

    /// Every request of the world: sound always; exact where the scope language can say the answer.
    fn check(&self, policies: &[Policy]) {
        let pdp = self.load(policies);
        let capability = |scope: &str| {
            let colon = if scope.is_empty() { "" } else { ":" };
            cap(&format!("{}{colon}{scope}", self.action))
        };
        let points: Vec<(&str, Capability, Level)> = self
            .points
            .iter()
            .map(|point| {
                (
                    point.as_str(),
                    capability(point),
                    self.expected(policies, point),
                )
            })
            .collect();
        for request in &self.requests {
            let asked = capability(request);
            let is_exact = !request.is_empty() || self.whole_is_exact;
            let decision = pdp.decide(&self.principal, &now(), &asked);
            for atom in decision.granted().iter().chain(decision.pending()) {
                assert!(
                    asked.contains(atom.capability()),
                    "{atom} is not in {asked}"
                );
            }
            let explained = decision.reasons.iter().any(|r| r.effect > Effect::Permit);
            assert!(
                decision.is_full() || explained,
                "nothing says why: {decision:#?}"
            );
            let granted = Grant::new(decision.granted().iter().cloned());
            let approved = Grant::new(decision.granted().iter().chain(decision.pending()).cloned());
            for (point, operation, level) in &points {
                let level = if asked.contains(operation) {
                    *level
                } else {
                    Level::Deny
                };
                let (has, could) = (granted.permits(operation), approved.permits(operation));
                let told = || format!("{asked}: {point} should be {level:?}\n{decision:#?}");
                assert!(!has || level == Level::Allow, "too much: {}", told());
                assert!(!could || level >= Level::Ask, "too much: {}", told());
                // A whole kind that is granted but for its holes is granted exactly.
                let covers = |atoms: &[Granted]| atoms.iter().any(|a| *a.capability() == asked);
                if is_exact || covers(decision.granted()) {
                    assert!(has || level < Level::Allow, "too little: {}", told());
                }
                if is_exact || covers(decision.pending()) {
                    assert!(could || level == Level::Deny, "too little: {}", told());
                }
            }
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// 5,000 policy sets, each in a world of its own: some 30,000 decisions, each compared at up to 120 points.
proptest! {
    #![proptest_config(cases(700))]

    #[test]
    fn files_are_granted_exactly(seed in any::<Seed>(), policies in policies()) {
        let action = ["read_files", "write_files"][usize::from(seed[0] % 2)];
        worlds::files(&seed, action).check(&policies);
    }

    #[test]
    fn names_are_granted_exactly(seed in any::<Seed>(), policies in policies()) {
        let (action, one, many) = [
            ("read_environment", "Variable", "Variables"),
            ("write_to_logs", "Stream", "Streams"),
            ("call_tool", "AgentTool", "AgentTools"),
        ][usize::from(seed[0] % 3)];
        worlds::names(&seed, action, one, many).check(&policies);
    }

    #[test]
    fn secrets_and_models_are_granted_exactly(seed in any::<Seed>(), policies in policies()) {
        let (action, one) = [("use_secret", "Secret"), ("use_model", "Model")][usize::from(seed[0] % 2)];
        worlds::exact(&seed, action, one).check(&policies);
    }

    #[test]
    fn programs_are_granted_exactly(shell in any::<bool>(), policies in policies()) {
let world = if shell { worlds::shells() } else { worlds::programs() };
        world.check(&policies);
    }

    #[test]
    fn connections_are_granted_exactly(seed in any::<Seed>(), policies in policies()) {
        worlds::endpoints(&seed).check(&policies);
    }

    #[test]
    fn ports_are_granted_exactly(seed in any::<Seed>(), policies in policies()) {
        worlds::ports(&seed).check(&policies);
    }

    #[test]
    fn what_has_no_scope_is_granted_exactly(at in 0..3_usize, policies in policies()) {
        worlds::ambient(["ask_user", "clock", "random"][at]).check(&policies);
    }
}
