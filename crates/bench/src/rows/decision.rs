//! Decisions when a plugin is loaded and when a tool is called, against Cedar's own authorizer on the same requests.

use std::collections::{HashMap, HashSet};

use bailiwick_capability::Capability;
use bailiwick_policy::{Agent, CallVerdict, Classification, Pdp, PluginFacts, PolicySource};
use bailiwick_policy::{Context, Principal, User};
use cedar_policy::{Authorizer, Entities, Entity, EntityUid, PolicySet, Request};
use cedar_policy::{Context as CedarContext, Decision, RestrictedExpression};
use serde_json::{Map, Value};

use super::Effort;
use crate::Outcome;
use crate::sample::{Plan, Row, Side, compare};

/// Policies besides the default ones.
const ADDED: [usize; 3] = [0, 100, 1_000];
/// The same for calls, where each of them is about a call.
const ADDED_CALLS: [usize; 4] = [0, 10, 100, 1_000];
const NOW: i64 = 1_790_000_000;

pub(crate) fn measure_load(effort: Effort) -> Outcome<Vec<Row>> {
    let atoms = atoms()
        .iter()
        .map(|atom| atom.parse::<Capability>())
        .collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    for added in ADDED {
        let world = World::new(added, policy)?;
        let requests = (0..atoms.len())
            .map(|i| request(kind_of(i).0, &point(i)?))
            .collect::<Outcome<Vec<_>>>()?;
        let permitted = |outcome: usize| well(added, outcome, requests.len());
        let name = format!("load decision, 20 atoms, {added} policies added");
        let mut sides = [
            Side::new("decide", || {
                let granted = atoms.iter().filter(|atom| {
                    let decision = world.pdp.decide(&world.principal, &world.context, atom);
                    !decision.granted().is_empty()
                });
                permitted(granted.count())
            }),
            Side::new("bare Cedar, one point an atom", || {
                let allowed = requests.iter().filter(|(request, entities)| {
                    let answer =
                        Authorizer::new().is_authorized(request, &world.policies, entities);
                    answer.decision() == Decision::Allow
                });
                permitted(allowed.count())
            }),
        ];
        rows.extend(compare(&name, plan(effort, added, 200), &mut sides)?);
    }
    Ok(rows)
}

pub(crate) fn measure_call(effort: Effort) -> Outcome<Vec<Row>> {
    let arguments = Map::from_iter([("message".to_owned(), Value::String("x".repeat(200)))]);
    let mut rows = Vec::new();
    for added in ADDED_CALLS {
        let world = World::new(added, call_policy)?;
        let tool = || -> Outcome<Entity> {
            let uid = uid("Tool", "bench/echo")?;
            Ok(Entity::new_no_attrs(uid, HashSet::from([uid_plugin()?])))
        };
        let (ready, entities) = request("call", &tool()?)?;
        let allowed = |yes: bool| {
            if yes {
                Ok(())
            } else {
                Err("the call is denied".into())
            }
        };
        let bare = |request: &Request, entities: &Entities| {
            let answer = Authorizer::new().is_authorized(request, &world.policies, entities);
            allowed(answer.decision() == Decision::Allow)
        };
        let name = format!("call decision, {added} policies added");
        let mut sides = [
            Side::new("decide_call", || {
                let decision =
                    world
                        .pdp
                        .decide_call(&world.principal, &world.context, "echo", &arguments);
                allowed(decision.verdict == CallVerdict::Allow)
            }),
            Side::new("is_authorized", || bare(&ready, &entities)),
            Side::new("building the request, and is_authorized", || {
                let (request, entities) = request("call", &tool()?)?;
                bare(&request, &entities)
            }),
        ];
        rows.extend(compare(&name, plan(effort, added, 2000), &mut sides)?);
    }
    let (few, many) = (
        World::new(10, call_policy)?,
        World::new(1_000, call_policy)?,
    );
    let under = |world: &World| {
        let call = world
            .pdp
            .decide_call(&world.principal, &world.context, "echo", &arguments);
        if call.verdict == CallVerdict::Allow {
            Ok(())
        } else {
            Err("the call is denied".into())
        }
    };
    let mut sides = [
        Side::new("under 1,000 policies", || under(&many)),
        Side::new("under 10", || under(&few)),
    ];
    rows.extend(compare("call decision", effort.plan(2000, 1), &mut sides)?);
    Ok(rows)
}

/// Bare Cedar's time grows with the policies.
fn plan(effort: Effort, added: usize, rounds: usize) -> Plan {
    effort.plan(if added > 100 { rounds / 5 } else { rounds }, 1)
}

/// With no policies of one's own, nothing of this is granted; with them, all of it.
fn well(added: usize, granted: usize, all: usize) -> Outcome {
    let expected = if added == 0 { 0 } else { all };
    if granted == expected {
        return Ok(());
    }
    Err(format!("{granted} of {all} atoms are granted, not {expected}").into())
}

struct World {
    pdp: Pdp,
    principal: Principal,
    context: Context,
    policies: PolicySet,
}

impl World {
    fn new(added: usize, policy: fn(usize) -> String) -> Outcome<Self> {
        let mut sources = Pdp::default_sources();
        let more: String = (0..added).map(policy).collect();
        let text: String = sources.iter().map(|source| source.text.clone()).collect();
        sources.push(PolicySource::new("bench.cedar", more.clone()));
        Ok(Self {
            pdp: Pdp::load(&sources, &Classification::default())?,
            policies: (text + &more).parse()?,
            principal: Principal {
                session: "s".to_owned(),
                user: User {
                    name: "u".to_owned(),
                    ..User::default()
                },
                agent: Agent {
                    name: "a".to_owned(),
                    version: "1".to_owned(),
                },
                plugin: PluginFacts {
                    id: "bench".to_owned(),
                    version: "1.0.0".to_owned(),
                    digest: "sha256:00".to_owned(),
                    ..PluginFacts::default()
                },
            },
            context: Context {
                environment: "development".to_owned(),
                now: NOW,
                isolation: "native".to_owned(),
                ..Context::default()
            },
        })
    }
}

/// The action, and what the i-th atom and policy are about.
fn kind_of(i: usize) -> (&'static str, String) {
    match i % 3 {
        0 => ("read_files", format!("/data/set{i}")),
        1 => ("network_access", format!("h{i}.example.com")),
        _ => ("read_environment", format!("NAME_{i}")),
    }
}

fn atoms() -> Vec<String> {
    let atom = |i| match kind_of(i) {
        (kind @ "read_files", path) => format!("{kind}:{path}/"),
        (kind @ "network_access", host) => format!("{kind}:https://{host}"),
        (kind, name) => format!("{kind}:{name}"),
    };
    (0..20).map(atom).collect()
}

fn policy(i: usize) -> String {
    let (kind, about) = kind_of(i);
    let condition = match kind {
        "read_files" => format!("resource in Dir::\"{about}\""),
        "network_access" => format!("resource in Host::\"{about}\""),
        _ => format!("resource == Variable::\"{about}\""),
    };
    format!("@id(\"bench-{i}\")\npermit (principal, action == Action::\"{kind}\", {condition});\n")
}

/// What people write about calls: by tool, by plugin, by user and role, and of arguments' names.
fn call_policy(i: usize) -> String {
    let (who, what, when) = match i % 5 {
        0 => (
            "principal".to_owned(),
            format!("resource == Tool::\"p{i}/t\""),
            "",
        ),
        1 => (
            "principal".to_owned(),
            format!("resource in Plugin::\"p{i}\""),
            "",
        ),
        2 => (
            format!("principal in User::\"u{i}\""),
            "resource".to_owned(),
            "",
        ),
        3 => (
            format!("principal in Role::\"r{i}\""),
            "resource".to_owned(),
            "",
        ),
        _ => (
            "principal".to_owned(),
            format!("resource == Tool::\"p{i}/t\""),
            " when { context.argument_names.contains(\"force\") }",
        ),
    };
    let effect = if i % 5 == 4 { "forbid" } else { "permit" };
    format!("@id(\"call-{i}\")\n{effect} ({who}, action == Action::\"call\", {what}){when};\n")
}

fn uid(kind: &str, id: &str) -> Outcome<EntityUid> {
    Ok(EntityUid::from_type_name_and_id(kind.parse()?, id.parse()?))
}

fn uid_plugin() -> Outcome<EntityUid> {
    uid("Plugin", "bench")
}

/// The i-th atom's resource, with what it lies in.
fn point(i: usize) -> Outcome<Entity> {
    let reference = |kind, id| {
        Ok::<_, Box<dyn std::error::Error>>(RestrictedExpression::new_entity_uid(uid(kind, id)?))
    };
    let (kind, about) = kind_of(i);
    let (uid, attributes, parent) = match kind {
        "read_files" => (
            uid("File", &format!("{about}/x"))?,
            vec![("sensitivity", reference("Sensitivity", "unclassified")?)],
            Some(uid("Dir", &about)?),
        ),
        "network_access" => (
            uid("Endpoint", &format!("https://{about} GET"))?,
            vec![
                ("scheme", reference("Scheme", "https")?),
                ("port", reference("Port", "443")?),
                ("method", reference("Method", "GET")?),
            ],
            Some(uid("Host", &about)?),
        ),
        _ => (uid("Variable", &about)?, Vec::new(), None),
    };
    let attributes: HashMap<_, _> = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(Entity::new(uid, attributes, parent.into_iter().collect())?)
}

/// What our own evaluator hands to Cedar: the delegation chain, the resource and the circumstances.
fn request(action: &str, resource: &Entity) -> Outcome<(Request, Entities)> {
    let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
    let link = |uid: &EntityUid| RestrictedExpression::new_entity_uid(uid.clone());
    let named = |pairs: Vec<(&str, RestrictedExpression)>| -> HashMap<String, _> {
        let owned = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        owned.collect()
    };
    let (session, user, agent) = (uid("Session", "s")?, uid("User", "u")?, uid("Agent", "a")?);
    let plugin = uid_plugin()?;
    let chain = named(vec![
        ("user", link(&user)),
        ("agent", link(&agent)),
        ("plugin", link(&plugin)),
    ]);
    let parents = HashSet::from([user.clone(), agent.clone(), plugin.clone()]);
    let entities = [
        Entity::new(session.clone(), chain, parents)?,
        Entity::new_no_attrs(user, HashSet::new()),
        Entity::new(
            agent,
            named(vec![("name", text("a")), ("version", text("1"))]),
            HashSet::new(),
        )?,
        Entity::new(
            plugin,
            named(vec![
                ("version", text("1.0.0")),
                ("digest", text("sha256:00")),
            ]),
            HashSet::new(),
        )?,
        resource.clone(),
    ];
    let mut context = vec![
        ("environment".to_owned(), text("development")),
        ("isolation".to_owned(), text("native")),
        ("labels".to_owned(), RestrictedExpression::new_set([])),
        ("machine".to_owned(), RestrictedExpression::new_set([])),
        (
            "now".to_owned(),
            RestrictedExpression::new_datetime("2026-09-21T14:13:20Z"),
        ),
        ("unscoped".to_owned(), RestrictedExpression::new_bool(false)),
    ];
    if action == "call" {
        let names = RestrictedExpression::new_set([text("message")]);
        context.push(("argument_names".to_owned(), names));
    }
    let request = Request::new(
        session,
        uid("Action", action)?,
        resource.uid(),
        CedarContext::from_pairs(context)?,
        None,
    )?;
    Ok((request, Entities::from_entities(entities, None)?))
}
