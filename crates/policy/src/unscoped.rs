//! Whole kinds whose parts are not all capabilities: networks (any port, any depth of names, address ranges)
//! and programs (directories). Such a kind is granted whole only if every part of it is permitted;
//! else what remains are the permitted constants.

use std::collections::{BTreeSet, HashSet};

use bailiwick_capability::{
    Capability, DnsName, Granted, Host, HostPattern, Kind, NetScope, PathScope, Scheme, Scope,
};
use cedar_policy::Entity;

use crate::constant::{Constant, Literal, is_within};
use crate::decide::{Findings, Reasons, find};
use crate::decision::{Effect, INEXPRESSIBLE, Reason};
use crate::error::Problem;
use crate::evaluate::{ANY, Evaluator, Level, Verdict, endpoint};
use crate::network::Cidr;
use crate::schema::Type;
use crate::subject::entity;

/// Most narrower requests that stand for a whole network; where more are needed it is not granted whole.
const MAX_REQUESTS: usize = 1024;

const SCHEMES: [Scheme; 3] = [Scheme::Https, Scheme::Http, Scheme::Tcp];

/// A set of hosts that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Hosts {
    /// Every name and address that no policy mentions.
    Unmentioned,
    /// A name and what lies below it.
    Domain(DnsName),
    /// Addresses.
    Range(Cidr),
}

impl Hosts {
    fn is_in(&self, constant: &Constant) -> bool {
        match (self, constant) {
            (Self::Domain(name), Constant::Domain(domain)) => is_within(name, domain),
            (Self::Range(inner), Constant::Network(outer)) => outer.covers(*inner),
            _ => false,
        }
    }
}

/// The whole network: what is granted of it is all of it, with holes where policy refuses what a capability can name;
/// or, where policy draws a line that none can follow, what it permits of the hosts that it names.
pub(crate) fn network(evaluator: &Evaluator<'_>, asked: &Capability) -> Result<Findings, Problem> {
    let (wide, narrow) = widest(evaluator)?;
    let level = lowest(&wide).min(lowest(&narrow));
    let mut reasons = Reasons::new(asked);
    for verdict in wide.iter().chain(&narrow).filter(|v| v.level == level) {
        reasons.add(std::slice::from_ref(asked), std::slice::from_ref(verdict));
    }
    if lowest(&wide) < lowest(&narrow) {
        return Ok(Findings {
            reasons: reasons.done(),
            ..Findings::default()
        });
    }
    let every_port = level > Level::Deny;
    let requests = requests(evaluator, every_port)?;
    let mut parts = Vec::new();
    for request in requests.into_iter().take(MAX_REQUESTS + 1) {
        let found = find(evaluator, &request)?;
        parts.push((request, found));
    }
    let unnamed = every_port.then(|| unnamed_port(evaluator)).flatten();
    let sum = Sum {
        asked,
        parts: &parts,
        unnamed,
    };
    let (granted, is_whole) = sum.at_least(Level::Allow, level);
    let (approvable, is_whole_approved) = sum.at_least(Level::Ask, level);
    let mut all = reasons.done();
    for (_, found) in parts {
        let shapes = !found.approvable.is_empty() || is_whole_approved;
        for reason in found.reasons.into_iter().filter(|_| shapes) {
            let known = |r: &Reason| r.policy == reason.policy && r.text == reason.text;
            if !all.iter().any(known) {
                all.push(reason);
            }
        }
    }
    let some = wide
        .iter()
        .chain(&narrow)
        .any(|verdict| verdict.level > Level::Deny);
    if !is_whole && (some || !approvable.is_empty()) {
        all.push(inexpressible(
            asked,
            "port, method, address range, or name at any depth",
            "hosts",
        ));
    }
    Ok(Findings {
        granted,
        approvable,
        reasons: all,
    })
}

/// Why a whole kind is not granted although policy permits much of it.
pub(crate) fn inexpressible(asked: &Capability, line: &str, mend: &str) -> Reason {
    let text = format!(
        "policy draws a line by {line} that no capability for all of `{asked}` can follow: ask for the {mend} that are needed"
    );
    Reason {
        policy: INEXPRESSIBLE.to_owned(),
        effect: Effect::Default,
        text: Some(text),
        remedy: None,
        about: asked.to_string(),
    }
}

/// What was found for every host that policies name, on every port that they can tell apart.
struct Sum<'a> {
    asked: &'a Capability,
    parts: &'a [(Capability, Findings)],
    /// The port that stands for all that no policy names.
    unnamed: Option<u16>,
}

impl Sum<'_> {
    /// What is granted at a level, and whether it is the whole network but for its holes.
    fn at_least(&self, level: Level, reached: Level) -> (Vec<Granted>, bool) {
        let of = |found: &Findings| match level {
            Level::Allow => found.granted.clone(),
            Level::Ask | Level::Deny => found.approvable.clone(),
        };
        let is_unnamed = |request: &Capability| match request.scope() {
            Scope::Net(net) => self.unnamed == Some(net.port()),
            _ => true,
        };
        let all = |request: &Capability| vec![Granted::whole(request.clone())];
        // A hole in one unnamed port would have to be one in each of them.
        let pierced = |(request, found): &(Capability, Findings)| {
            is_unnamed(request) && of(found) != all(request)
        };
        let is_whole =
            reached >= level && self.parts.len() <= MAX_REQUESTS && !self.parts.iter().any(pierced);
        if !is_whole {
            let named = self
                .parts
                .iter()
                .filter(|(request, _)| !is_unnamed(request));
            return (named.flat_map(|(_, found)| of(found)).collect(), false);
        }
        let mut holes = Vec::new();
        let mut granted = Vec::new();
        for (request, found) in self.parts {
            match of(found).as_slice() {
                [one] if one.capability() == request => holes.extend(one.holes().iter().cloned()),
                others => {
                    holes.push(request.clone());
                    granted.extend(others.iter().cloned());
                }
            }
        }
        granted.extend(Granted::with_holes(
            self.asked.clone(),
            holes.iter().cloned(),
        ));
        // A hole of one host may lie over what another request was granted.
        let reach = |(request, _): &&(Capability, Findings)| {
            holes.iter().any(|hole| hole.meet(request).is_some())
        };
        granted.extend(
            self.parts
                .iter()
                .filter(reach)
                .flat_map(|(_, found)| of(found)),
        );
        (granted, true)
    }
}

fn lowest(verdicts: &[Verdict]) -> Level {
    verdicts
        .iter()
        .map(|v| v.level)
        .min()
        .unwrap_or(Level::Deny)
}

/// The parts of the network that are no scopes, judged as the whole kind, and by themselves.
fn widest(evaluator: &Evaluator<'_>) -> Result<(Vec<Verdict>, Vec<Verdict>), Problem> {
    let mut hosts = BTreeSet::from([Hosts::Unmentioned]);
    let mut methods = BTreeSet::from([ANY.to_owned()]);
    for constant in evaluator.constants() {
        match constant {
            Constant::Domain(name) => hosts.extend([Hosts::Domain(name.clone())]),
            Constant::Network(range) => hosts.extend([Hosts::Range(*range)]),
            Constant::Method(method) => methods.extend([method.as_str().to_owned()]),
            _ => {}
        }
    }
    let ports = ports(evaluator);
    let mut resources: Vec<Entity> = Vec::new();
    for scheme in SCHEMES {
        for port in &ports {
            for method in methods
                .iter()
                .filter(|m| scheme != Scheme::Tcp || *m == ANY)
            {
                for (at, hosts) in hosts.iter().enumerate() {
                    let inside = |l: &&Literal| hosts.is_in(&l.constant);
                    let parents = evaluator.literals().filter(inside).map(|l| l.uid.clone());
                    let id = format!("{}://{ANY}{at}:{port}", scheme.as_str());
                    let port = port.to_string();
                    resources.push(endpoint(
                        &id,
                        scheme.as_str(),
                        &port,
                        method,
                        parents.collect(),
                    )?);
                }
            }
        }
    }
    Ok((
        evaluator.verdicts(resources.clone(), true)?,
        evaluator.verdicts(resources, false)?,
    ))
}

/// The ports that policies name, and one that none of them names.
fn ports(evaluator: &Evaluator<'_>) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> = evaluator
        .constants()
        .filter_map(|constant| match constant {
            Constant::Port(port) => Some(*port),
            Constant::Url(url) => Some(url.port()),
            _ => None,
        })
        .collect();
    ports.extend((1..=u16::MAX).rev().find(|port| !ports.contains(port)));
    ports
}

/// The port among [`ports`] that no policy names; none where they name all.
fn unnamed_port(evaluator: &Evaluator<'_>) -> Option<u16> {
    let named = |port: u16| {
        evaluator.constants().any(|constant| match constant {
            Constant::Port(named) => *named == port,
            Constant::Url(url) => url.port() == port,
            _ => false,
        })
    };
    ports(evaluator)
        .into_iter()
        .rev()
        .find(|port| !named(*port))
}

/// The narrower requests that policies name: every URL, and every host on the usual ports.
/// To judge the whole network, every host on every port that policies can tell apart.
fn requests(evaluator: &Evaluator<'_>, every_port: bool) -> Result<BTreeSet<Capability>, Problem> {
    let mut hosts: BTreeSet<HostPattern> = BTreeSet::new();
    let mut requests = BTreeSet::new();
    for constant in evaluator.constants() {
        match constant {
            Constant::Url(url) => {
                hosts.insert(url.host().clone());
                requests.extend(capability(url.clone()));
            }
            Constant::Host(host) => {
                hosts.insert(HostPattern::Exact(host.clone()));
            }
            Constant::Domain(name) => {
                hosts.insert(HostPattern::Exact(Host::Name(name.clone())));
                hosts.extend(name.parent().map(|_| HostPattern::Suffix(name.clone())));
            }
            _ => {}
        }
    }
    let mut ports: BTreeSet<(Scheme, u16)> = SCHEMES
        .into_iter()
        .filter_map(|scheme| Some((scheme, scheme.default_port()?)))
        .collect();
    if every_port {
        let named = self::ports(evaluator);
        ports.extend(
            SCHEMES
                .into_iter()
                .flat_map(|s| named.iter().map(move |p| (s, *p))),
        );
    }
    for host in hosts {
        for (scheme, port) in &ports {
            let net = NetScope::new(*scheme, host.clone(), *port, None, None);
            requests.extend(net.ok().and_then(capability));
            if requests.len() > MAX_REQUESTS {
                return Ok(requests);
            }
        }
    }
    Ok(requests)
}

fn capability(net: NetScope) -> Option<Capability> {
    Capability::new(Kind::NetworkAccess, Scope::Net(net)).ok()
}

/// Programs in each directory that policies name: parts of all programs that no scope can say.
/// Nothing for other requests.
pub(crate) fn folders(
    evaluator: &Evaluator<'_>,
    asked: &Capability,
) -> Result<Vec<Verdict>, Problem> {
    let about_programs = matches!(asked.kind(), Kind::ExecuteCode | Kind::ExecuteShell);
    if !about_programs || *asked.scope() != Scope::Whole {
        return Ok(Vec::new());
    }
    let trees: Vec<(&Literal, &PathScope)> = evaluator
        .literals()
        .filter_map(|literal| match &literal.constant {
            Constant::Path(scope @ PathScope::Tree(_)) => Some((literal, scope)),
            _ => None,
        })
        .collect();
    let mut resources = Vec::new();
    for (literal, tree) in &trees {
        let above = trees
            .iter()
            .filter(|(_, other)| tree.path().is_within(other.path()));
        let parents: HashSet<_> = above.map(|(other, _)| other.uid.clone()).collect();
        let id = format!("{}/{ANY}", literal.uid.id().unescaped());
        resources.push(entity(Type::Command.uid(&id)?, [], parents)?);
    }
    let mut verdicts = evaluator.verdicts(resources.clone(), true)?;
    verdicts.extend(evaluator.verdicts(resources, false)?);
    Ok(verdicts)
}
