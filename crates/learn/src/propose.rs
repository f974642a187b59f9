//! The proposal: capabilities to ask for, each with its evidence.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_capability::{AbsPath, Capability, Grant, Granted, Kind, NetScope, Scope};

use crate::files::{nameable, scopes};
use crate::{Lessons, Seen};

/// So many files of one folder, or folders of one folder, make it worth asking for as a whole.
pub const MANY: usize = 3;
/// Examples given for one line.
const EXAMPLES: usize = 3;

/// Kinds whose use cannot be seen from outside a plugin.
const UNSEEN: [Kind; 8] = [
    Kind::NetworkListen,
    Kind::ReadEnvironment,
    Kind::WriteToLogs,
    Kind::CallTool,
    Kind::UseModel,
    Kind::AskUser,
    Kind::Clock,
    Kind::Random,
];

/// Whether what is used of this kind can be seen from outside a plugin.
#[must_use]
pub fn leaves_a_trace(kind: Kind) -> bool {
    !UNSEEN.contains(&kind)
}

/// Why a capability is proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// How often what it covers was used.
    pub times: u64,
    /// How many different targets those were.
    pub targets: usize,
    /// Some of them.
    pub examples: Vec<String>,
    /// Tools that ran meanwhile.
    pub tools: BTreeSet<String>,
}

/// One capability to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What to ask for.
    pub capability: Capability,
    /// None where its use cannot be seen, so that it is kept as it was.
    pub evidence: Option<Evidence>,
}

/// What to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// In the order of the capabilities.
    pub lines: Vec<Line>,
    /// What was granted and nothing of it was used.
    pub unused: Vec<Granted>,
    /// Uses that are not covered, because there were too many to keep.
    pub beyond: u64,
}

/// Proposes the least that covers what was seen, generalised within what was granted: a folder for many of its files, a
/// whole host for requests to it. What no atom of the grant let through, such as a runtime's own files, is left out.
#[must_use]
pub fn propose(grant: &Grant, lessons: &Lessons) -> Proposal {
    let covered = |(seen, _): &(&Seen, _)| seen.covered_by(grant).is_some();
    let seen: Vec<&Seen> = lessons
        .seen()
        .filter(covered)
        .map(|(seen, _)| seen)
        .collect();
    let changed: BTreeSet<AbsPath> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Entries(Kind::WriteFiles, path) => Some(nameable(path)),
            _ => None,
        })
        .collect();
    let mut asked: BTreeSet<Capability> = BTreeSet::new();
    for kind in [Kind::ReadFiles, Kind::WriteFiles] {
        let of_kind: Vec<&Seen> = seen
            .iter()
            .copied()
            .filter(|seen| seen.kind() == kind)
            .collect();
        asked.extend(scopes(kind, &of_kind, grant, &changed));
    }
    for one in &seen {
        if let Seen::Operation(operation) = one {
            asked.extend(one.covered_by(grant).map(|atom| operated(operation, atom)));
        }
    }
    let inside = |capability: &Capability| {
        asked
            .iter()
            .any(|other| other != capability && other.contains(capability))
    };
    let least = asked
        .iter()
        .filter(|capability| !inside(capability))
        .cloned();
    let mut lines: BTreeMap<Capability, Option<Evidence>> = least
        .map(|capability| (capability, Some(Evidence::default())))
        .collect();
    let whole = Grant::new(lines.keys().cloned().map(Granted::whole));
    for (seen, lesson) in lessons.seen().filter(covered) {
        let Some(atom) = seen.covered_by(&whole) else {
            continue;
        };
        if let Some(Some(evidence)) = lines.get_mut(atom.capability()) {
            evidence.times = evidence.times.saturating_add(lesson.times);
            evidence.targets += 1;
            evidence.tools.extend(lesson.tools.iter().cloned());
            if evidence.examples.len() < EXAMPLES {
                evidence.examples.push(seen.target());
            }
        }
    }
    let used = |atom: &&Granted| seen.iter().any(|seen| seen.lies_in(atom));
    let (kept, others): (Vec<&Granted>, Vec<&Granted>) = grant
        .atoms()
        .iter()
        .partition(|atom| !leaves_a_trace(atom.capability().kind()));
    lines.extend(
        kept.into_iter()
            .map(|atom| (atom.capability().clone(), None)),
    );
    Proposal {
        lines: lines
            .into_iter()
            .map(|(capability, evidence)| Line {
                capability,
                evidence,
            })
            .collect(),
        unused: others
            .into_iter()
            .filter(|atom| !used(atom))
            .cloned()
            .collect(),
        beyond: lessons.beyond(),
    }
}

/// What to ask for, so that an operation is let through: a destination as a whole, else what was granted for it.
fn operated(operation: &Capability, atom: &Granted) -> Capability {
    let destination = match operation.scope() {
        Scope::Net(net) => {
            NetScope::new(net.scheme(), net.host().clone(), net.port(), None, None).ok()
        }
        _ => None,
    };
    let whole = destination.and_then(|net| Capability::new(operation.kind(), Scope::Net(net)).ok());
    match (whole, operation.kind()) {
        (Some(whole), _) if atom.capability().contains(&whole) => whole,
        // Each is named one by one.
        (_, Kind::UseSecret) => operation.clone(),
        _ => atom.capability().clone(),
    }
}
