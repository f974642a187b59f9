//! The constants that policies name, and which part of a request each of them covers.
//!
//! Everything rests on one function, [`Constant::project`]: the part of a request that lies inside a constant
//! is again a capability. So a request falls into finitely many parts on each of which no policy can tell two
//! points apart.

use bailiwick_capability::{
    AbsPath, Capability, CapabilityError, DnsName, Host, HostPattern, Kind, ListenScope, Method,
    NameScope, NetScope, PathScope, ProgramRef, ProgramScope, Scope,
};
use cedar_policy::EntityUid;

use crate::network::Cidr;
use crate::schema::Type;

/// What one entity in a policy stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constant {
    /// `Dir`, `File`.
    Path(PathScope),
    /// `Url`.
    Url(NetScope),
    /// `Host`.
    Host(Host),
    /// `Domain`.
    Domain(DnsName),
    /// `Network`.
    Network(Cidr),
    /// `Port`.
    Port(u16),
    /// `Method`.
    Method(Method),
    /// `Program`.
    Program(ProgramScope),
    /// `Variable`, `Streams`, … of this kind.
    Name(Kind, NameScope),
}

/// A constant with the entity that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) uid: EntityUid,
    pub(crate) constant: Constant,
    /// Whether it is a container, to be given to resources inside it as a parent.
    pub(crate) is_container: bool,
}

/// Why an entity in a policy is refused: what, and how to mend it.
pub(crate) type Fault = (String, String);

/// Reads one entity of a policy; none for those that are not about resources.
pub(crate) fn read(uid: &EntityUid) -> Result<Option<Literal>, Fault> {
    let Some(kind) = Type::of(uid) else {
        return Ok(None);
    };
    let id = uid.id().unescaped();
    let constant = match kind {
        Type::Dir | Type::File => path(kind, id)?,
        Type::Host => Constant::Host(canonical(id, Host::parse(id))?),
        Type::Domain => Constant::Domain(canonical(id, DnsName::parse(id))?),
        Type::Network => Constant::Network(Cidr::parse(id).ok_or_else(|| {
            fault(
                id,
                "an address range",
                "write `10.0.0.0/8`, with no bit set after the prefix",
            )
        })?),
        Type::Url => url(id)?,
        Type::Port => match id.parse::<u16>() {
            Ok(port) if port > 0 && port.to_string() == id => Constant::Port(port),
            _ => return Err(fault(id, "a port", "write a number from 1 to 65535")),
        },
        Type::Method => {
            Constant::Method(Method::parse(id).map_err(|e| (e.message().into(), e.help().into()))?)
        }
        Type::Program => program(id)?,
        Type::Variable | Type::Stream | Type::AgentTool | Type::Secret | Type::Model => {
            name(kind, id, false)?
        }
        Type::Variables | Type::Streams | Type::AgentTools => name(kind, id, true)?,
        // Calls are decided one by one, so what they name cuts nothing; but it must be able to match.
        Type::Tool => {
            let parts = id.split_once('/');
            return match parts.is_some_and(|(plugin, tool)| !plugin.is_empty() && !tool.is_empty())
            {
                true => Ok(None),
                false => Err(fault(
                    id,
                    "a plugin's tool",
                    "write `Tool::\"<plugin id>/<tool>\"`",
                )),
            };
        }
        Type::Endpoint => {
            let mend = "name where it goes by `resource in Url::…`, `Host::…`, `Domain::…` or `Network::…`";
            return Err((
                "an Endpoint cannot be named in a policy".into(),
                mend.into(),
            ));
        }
        Type::Command => {
            let mend = "write `resource in Program::\"/usr/bin/git\"`";
            return Err(("a Command cannot be named in a policy".into(), mend.into()));
        }
        _ => return Ok(None),
    };
    let is_container = !matches!(
        kind,
        Type::File
            | Type::Port
            | Type::Method
            | Type::Variable
            | Type::Stream
            | Type::AgentTool
            | Type::Secret
            | Type::Model
    );
    Ok(Some(Literal {
        uid: uid.clone(),
        constant,
        is_container,
    }))
}

fn fault(id: &str, what: &str, mend: &str) -> Fault {
    (
        format!("`{}` is not {what}", id.escape_debug()),
        mend.into(),
    )
}

/// One thing is written one way, so that entities that are the same have the same id.
fn canonical<T: ToString>(id: &str, parsed: Result<T, CapabilityError>) -> Result<T, Fault> {
    let value = parsed.map_err(|e| (e.message().to_owned(), e.help().to_owned()))?;
    let written = value.to_string();
    if written == id {
        return Ok(value);
    }
    let what = format!("`{}` is not how it is written here", id.escape_debug());
    Err((what, format!("write \"{written}\"")))
}

fn path(kind: Type, id: &str) -> Result<Constant, Fault> {
    let path = canonical(id, AbsPath::parse(id))?;
    if kind == Type::Dir {
        return Ok(Constant::Path(PathScope::Tree(path)));
    }
    if id == "/" {
        return Err(fault(id, "a file", "write `resource in Dir::\"/\"`"));
    }
    Ok(Constant::Path(PathScope::File(path)))
}

fn url(id: &str) -> Result<Constant, Fault> {
    let scope = canonical(id, NetScope::parse(id))?;
    if scope.methods().is_some() {
        let mend = "add `when { resource.method == Method::\"GET\" }`";
        return Err(fault(id, "a URL without methods", mend));
    }
    Ok(Constant::Url(scope))
}

fn program(id: &str) -> Result<Constant, Fault> {
    let scope = canonical(id, ProgramScope::parse(id))?;
    match scope.program() {
        ProgramRef::Path(_) => Ok(Constant::Program(scope)),
        ProgramRef::Named(_) => {
            let mend = "write the absolute path: a bare name may be any file";
            Err(fault(id, "a program's path", mend))
        }
    }
}

fn name(of: Type, id: &str, prefix: bool) -> Result<Constant, Fault> {
    let kind = match of {
        Type::Variable | Type::Variables => Kind::ReadEnvironment,
        Type::Stream | Type::Streams => Kind::WriteToLogs,
        Type::AgentTool | Type::AgentTools => Kind::CallTool,
        Type::Model => Kind::UseModel,
        _ => Kind::UseSecret,
    };
    let scope = canonical(id, NameScope::parse(kind, id))?;
    match (&scope, prefix) {
        (NameScope::Exact(_), false) | (NameScope::Prefix(_), true) => {
            Ok(Constant::Name(kind, scope))
        }
        (NameScope::Prefix(_), false) => Err(fault(
            id,
            "one name",
            "for a prefix write the plural: `resource in Variables::\"LC_*\"`",
        )),
        (NameScope::Exact(_), true) => Err(fault(
            id,
            "a prefix",
            "end it in `*`, or write the singular: `resource == Variable::\"LANG\"`",
        )),
    }
}

impl Constant {
    /// The part of `request` inside this constant, if any. `request` is a whole kind only where the kind is
    /// not about connections or programs.
    pub(crate) fn project(&self, request: &Capability) -> Option<Capability> {
        let kind = request.kind();
        let own = |scope: Scope| Capability::new(kind, scope).ok()?.meet(request);
        match (self, request.scope()) {
            (Self::Path(dir), Scope::Program(program)) => {
                inside_dir(dir, program).then(|| request.clone())
            }
            (Self::Path(scope), _) => own(Scope::Path(scope.clone())),
            (Self::Url(scope), _) => own(Scope::Net(scope.clone())),
            (Self::Host(host), Scope::Net(net)) => own(with_host(net, host.clone())?),
            (Self::Domain(domain), Scope::Net(net)) => domain_part(domain, net, request),
            (Self::Network(range), Scope::Net(net)) => match net.host() {
                HostPattern::Exact(Host::Ip(ip)) => range.contains(*ip).then(|| request.clone()),
                _ => None,
            },
            (Self::Port(port), _) => {
                let listen = ListenScope::parse(&format!("127.0.0.1:{port}")).ok()?;
                own(Scope::Listen(listen))
            }
            (Self::Program(scope), _) => own(Scope::Program(scope.clone())),
            (Self::Name(of, scope), _) if *of == kind => own(Scope::Name(scope.clone())),
            _ => None,
        }
    }

    /// Whether every point of `request` lies inside this constant.
    pub(crate) fn covers(&self, request: &Capability) -> bool {
        self.project(request).as_ref() == Some(request)
    }
}

fn inside_dir(dir: &PathScope, program: &ProgramScope) -> bool {
    match (dir, program.program()) {
        (PathScope::Tree(tree), ProgramRef::Path(path)) => path.is_within(tree),
        _ => false,
    }
}

fn with_host(net: &NetScope, host: Host) -> Option<Scope> {
    let path = net.path().cloned();
    let methods = net.methods().cloned();
    let host = HostPattern::Exact(host);
    NetScope::new(net.scheme(), host, net.port(), path, methods)
        .ok()
        .map(Scope::Net)
}

/// A domain is its name and every name below it, at any depth.
fn domain_part(domain: &DnsName, net: &NetScope, request: &Capability) -> Option<Capability> {
    match net.host() {
        HostPattern::Exact(Host::Ip(_)) => None,
        HostPattern::Exact(Host::Name(name)) => is_within(name, domain).then(|| request.clone()),
        HostPattern::Suffix(suffix) if is_within(suffix, domain) => Some(request.clone()),
        HostPattern::Suffix(_) => {
            let scope = with_host(net, Host::Name(domain.clone()))?;
            Capability::new(request.kind(), scope).ok()?.meet(request)
        }
    }
}

/// Whether a name is a domain or lies below it.
pub(crate) fn is_within(name: &DnsName, domain: &DnsName) -> bool {
    name.as_str()
        .strip_suffix(domain.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
