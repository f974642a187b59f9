//! What is indexed of an entry, and what of it a filter asks for.

use bailiwick_audit::{Concern, Entry, Filter, Outcome, SESSION_PREFIX, claims, tools};
use bailiwick_capability::{
    Capability, Host, HostPattern, Kind, NameScope, PathScope, ProgramRef, Scope,
};

/// How deep a path is indexed; deeper ones are as if they were cut off there.
const MAX_DEPTH: usize = 24;

/// Lengths at which the beginning of a session's id is indexed; what is asked for is cut to the longest that fits.
const PREFIXES: [usize; 3] = [SESSION_PREFIX, 16, 32];

/// Fields. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Field {
    Plugin = 1,
    User = 2,
    Session = 3,
    /// The first bytes of a session's id, as many as [`PREFIXES`] say.
    SessionPrefix = 4,
    Agent = 5,
    Decision = 6,
    Event = 7,
    Tool = 8,
    /// An atom lies at or below this place: `read_files`, `read_files\0data`, `read_files\0data\0hr`.
    Below = 9,
    /// An atom covers this place and what is below it.
    Covers = 10,
}

/// A value of a field.
pub(crate) type Term = (Field, Vec<u8>);

/// What an entry is found by.
pub(crate) fn of_entry(entry: &Entry, put: &mut dyn FnMut(Field, &[u8])) {
    let subject = &entry.subject;
    let named = [
        (Field::Plugin, &subject.plugin),
        (Field::User, &subject.user),
        (Field::Session, &subject.session),
        (Field::Agent, &subject.agent),
    ];
    for (field, value) in named {
        if let Some(value) = value {
            put(field, value.as_bytes());
        }
    }
    let session = subject.session.as_deref().unwrap_or_default();
    for prefix in PREFIXES
        .iter()
        .filter_map(|length| session.as_bytes().get(..*length))
    {
        put(Field::SessionPrefix, prefix);
    }
    if let Some(outcome) = entry.event.outcome() {
        put(Field::Decision, outcome.as_str().as_bytes());
    }
    put(Field::Event, entry.event.kind().as_bytes());
    for tool in tools(&entry.event) {
        put(Field::Tool, tool.as_bytes());
    }
    for claim in claims(entry) {
        let place = Place::of(&claim.atom);
        for depth in 0..=place.steps.len() {
            put(Field::Below, &place.name(depth));
        }
        if place.covers {
            put(Field::Covers, &place.name(place.steps.len()));
        }
    }
}

/// What a bundle must hold for a filter to match in it: of each group one. Time and text are not among them.
pub(crate) fn of_filter(filter: &Filter) -> Vec<Vec<Term>> {
    let mut groups = Vec::new();
    let mut all = |field, value: Option<&str>| {
        groups.extend(value.map(|value| vec![(field, value.as_bytes().to_vec())]));
    };
    all(Field::Plugin, filter.plugin.as_deref());
    all(Field::User, filter.user.as_deref());
    all(Field::Agent, filter.agent.as_deref());
    all(Field::Event, filter.kind.as_deref());
    all(Field::Tool, filter.tool.as_deref());
    all(Field::Decision, filter.decision.map(Outcome::as_str));
    if let Some(session) = filter.session.as_deref() {
        // Cut anywhere, also inside of a character: entries are cut in the same place.
        let mut prefixes = PREFIXES
            .iter()
            .filter_map(|length| session.as_bytes().get(..*length));
        let prefix = prefixes.next_back();
        groups.push(vec![match prefix {
            Some(prefix) => (Field::SessionPrefix, prefix.to_vec()),
            None => (Field::Session, session.as_bytes().to_vec()),
        }]);
    }
    if let Some(concern) = &filter.capability {
        groups.push(places(concern).iter().flat_map(Place::asked).collect());
    }
    groups
}

/// A place in the hierarchy of a kind: folders, the labels of a host's name from the last to the first, or one name.
struct Place {
    kind: Kind,
    steps: Vec<String>,
    /// The atom covers all that is below.
    covers: bool,
}

impl Place {
    fn of(atom: &Capability) -> Self {
        let (steps, covers) = match atom.scope() {
            Scope::Whole => (Vec::new(), true),
            Scope::Path(PathScope::File(path)) => (folders(path.as_str()), false),
            Scope::Path(PathScope::Tree(path)) => (folders(path.as_str()), true),
            Scope::Net(net) => of_host(net.host()),
            Scope::Listen(listen) => (vec![listen.port().to_string()], false),
            Scope::Program(program) => match program.program() {
                ProgramRef::Path(path) => (folders(path.as_str()), false),
                ProgramRef::Named(name) => (vec![format!("\u{1}{name}")], false),
            },
            Scope::Name(NameScope::Exact(name)) => (vec![name.as_str().to_owned()], false),
            // A beginning of names is no step on the way to them.
            Scope::Name(NameScope::Prefix(_)) => (Vec::new(), true),
        };
        Self::new(atom.kind(), steps, covers)
    }

    fn new(kind: Kind, mut steps: Vec<String>, covers: bool) -> Self {
        let cut = steps.len() > MAX_DEPTH;
        steps.truncate(MAX_DEPTH);
        Self {
            kind,
            steps,
            covers: covers || cut,
        }
    }

    fn name(&self, depth: usize) -> Vec<u8> {
        let mut name = self.kind.as_str().as_bytes().to_vec();
        for step in self.steps.iter().take(depth) {
            name.push(0);
            name.extend_from_slice(step.as_bytes());
        }
        name
    }

    /// What overlaps with this place lies at or below it, or covers it from above.
    fn asked(&self) -> Vec<Term> {
        let depth = self.steps.len();
        let mut terms = vec![(Field::Below, self.name(depth))];
        terms.extend((0..depth).map(|depth| (Field::Covers, self.name(depth))));
        terms
    }
}

fn folders(path: &str) -> Vec<String> {
    let steps = path.split('/').filter(|step| !step.is_empty());
    steps.map(str::to_owned).collect()
}

fn of_host(host: &HostPattern) -> (Vec<String>, bool) {
    let labels = |name: &str| name.rsplit('.').map(str::to_owned).collect();
    match host {
        HostPattern::Exact(Host::Name(name)) => (labels(name.as_str()), false),
        HostPattern::Exact(Host::Ip(ip)) => (vec![ip.to_string()], false),
        HostPattern::Suffix(name) => (labels(name.as_str()), true),
    }
}

/// The places that a concern asks about, by kind.
fn places(concern: &Concern) -> Vec<Place> {
    match concern {
        Concern::Kind(kind) => vec![Place::new(*kind, Vec::new(), true)],
        Concern::Atom(atom) => vec![Place::of(atom)],
        Concern::Path(scope) => {
            let steps = folders(scope.path().as_str());
            let kinds = concern.kinds().into_iter();
            kinds
                .map(|kind| Place::new(kind, steps.clone(), true))
                .collect()
        }
        Concern::Host(host) => {
            let (steps, covers) = of_host(host);
            vec![Place::new(Kind::NetworkAccess, steps, covers)]
        }
    }
}
