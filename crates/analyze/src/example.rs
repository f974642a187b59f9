//! From the solver's world to ours: a request that a person can read, and that the decision point decides.

use std::collections::BTreeSet;

use bailiwick_capability::{AbsPath, Capability};
use bailiwick_policy::{
    Agent, Call, CallVerdict, Context, Pdp, PluginFacts, Principal, Reason, Tally, User,
};
use cedar_policy::{Entities, EntityUid, EvalResult, Request};

use crate::encode::BOTH;
use crate::question::{Answer, Asking};

/// What nobody mentioned, where the solver needed something.
const ANY: &str = "anything";

/// A request that shows an answer.
#[derive(Debug, Clone)]
pub struct Example {
    /// What is asked for: capabilities as texts, or `call:<plugin>/<tool>`.
    pub asked: Vec<String>,
    /// Who asks.
    pub principal: Principal,
    /// In which circumstances.
    pub context: Context,
    /// The policies that permit it.
    pub permitted_by: Vec<Reason>,
    /// Why the other set does not, where there is one.
    pub refused_by: Vec<Reason>,
}

impl Example {
    pub(crate) fn read(action: &str, request: &Request, entities: &Entities, now: i64) -> Self {
        let world = World { request, entities };
        let asked = match action {
            BOTH => {
                let other = world.context("other").and_then(as_uid);
                vec![
                    world.point("read_files", request.resource().cloned().as_ref()),
                    world.point("network_access", other.as_ref()),
                ]
            }
            action => vec![world.point(action, request.resource().cloned().as_ref())],
        };
        Self {
            asked,
            principal: world.principal(),
            context: world.circumstances(now),
            permitted_by: Vec::new(),
            refused_by: Vec::new(),
        }
    }

    /// Puts the example to the decision point itself: what it does not confirm is no answer.
    pub(crate) fn confirm(
        mut self,
        permitting: &Pdp,
        refusing: Option<&Pdp>,
        asking: Asking,
    ) -> Answer {
        for asked in &self.asked {
            let (permitted, reasons) = match self.decide(permitting, asked, asking) {
                Ok(decided) => decided,
                Err(why) => return self.unconfirmed(&why),
            };
            self.permitted_by.extend(reasons);
            if !permitted {
                return self.unconfirmed("the decision point does not permit it");
            }
            let Some(refusing) = refusing else { continue };
            match self.decide(refusing, asked, asking) {
                Ok((false, reasons)) => self.refused_by.extend(reasons),
                Ok((true, _)) => {
                    return self.unconfirmed("the decision point permits it under both sets");
                }
                Err(why) => return self.unconfirmed(&why),
            }
        }
        Answer::Yes(Box::new(self))
    }

    fn unconfirmed(&self, why: &str) -> Answer {
        let asked = self.asked.join(" and ");
        Answer::Undecided(format!("the solver found `{asked}`, but {why}"))
    }

    fn decide(
        &self,
        pdp: &Pdp,
        asked: &str,
        asking: Asking,
    ) -> Result<(bool, Vec<Reason>), String> {
        let is_approved = asking == Asking::Approved;
        if let Some(tool) = asked.strip_prefix("call:") {
            let own = format!("{}/", self.principal.plugin.id);
            let tool = tool
                .strip_prefix(&own)
                .ok_or("it is a tool of another plugin")?;
            let call = Call {
                tool,
                arguments: &serde_json::Map::new(),
                created: &BTreeSet::new(),
                counts: &Tally::default(),
            };
            let decision = pdp.decide_call_with(&self.principal, &self.context, &call);
            let permitted = match decision.verdict {
                CallVerdict::Allow => true,
                CallVerdict::Ask => is_approved,
                CallVerdict::Deny => false,
            };
            return Ok((permitted, decision.reasons));
        }
        let capability: Capability = asked
            .parse()
            .map_err(|_| format!("`{asked}` is no capability"))?;
        let decision = pdp.decide(&self.principal, &self.context, &capability);
        let atoms = decision.granted().iter();
        let pending = decision.pending().iter().filter(|_| is_approved);
        let permitted = atoms.chain(pending).any(|atom| atom.permits(&capability));
        Ok((permitted, decision.reasons))
    }
}

fn as_uid(value: EvalResult) -> Option<EntityUid> {
    match value {
        EvalResult::EntityUid(uid) => Some(uid),
        _ => None,
    }
}

fn as_text(value: EvalResult) -> Option<String> {
    match value {
        EvalResult::String(text) => Some(text),
        _ => None,
    }
}

fn as_set(value: EvalResult) -> Vec<EvalResult> {
    match value {
        EvalResult::Set(set) => set.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

fn id(uid: &EntityUid) -> String {
    uid.id().unescaped().to_owned()
}

fn type_of(uid: &EntityUid) -> String {
    uid.type_name().to_string()
}

struct World<'a> {
    request: &'a Request,
    entities: &'a Entities,
}

impl World<'_> {
    fn attribute(&self, of: &EntityUid, name: &str) -> Option<EvalResult> {
        self.entities.get(of)?.attr(name)?.ok()
    }

    fn linked(&self, of: &EntityUid, name: &str) -> Option<EntityUid> {
        self.attribute(of, name).and_then(as_uid)
    }

    fn context(&self, name: &str) -> Option<EvalResult> {
        self.request.context()?.get(name)
    }

    /// What an entity lies in, of one type.
    fn above(&self, of: &EntityUid, wanted: &str) -> BTreeSet<String> {
        let all = self.entities.ancestors(of).into_iter().flatten();
        all.filter(|uid| type_of(uid) == wanted).map(id).collect()
    }

    fn principal(&self) -> Principal {
        let Some(session) = self.request.principal() else {
            return Principal::default();
        };
        let user = self.linked(session, "user");
        let agent = self.linked(session, "agent");
        let plugin = self.linked(session, "plugin");
        let text = |of: &Option<EntityUid>, name: &str| {
            let value = self.attribute(of.as_ref()?, name)?;
            as_text(value)
        };
        let named = |uid: &Option<EntityUid>| uid.as_ref().map(id).unwrap_or_default();
        let folder = plugin
            .as_ref()
            .and_then(|plugin| self.linked(plugin, "folder"));
        Principal {
            session: id(session),
            user: User {
                name: named(&user),
                roles: user
                    .as_ref()
                    .map(|user| self.above(user, "Role"))
                    .unwrap_or_default(),
                groups: user
                    .as_ref()
                    .map(|user| self.above(user, "Group"))
                    .unwrap_or_default(),
                department: text(&user, "department"),
            },
            agent: Agent {
                name: named(&agent),
                version: text(&agent, "version").unwrap_or_default(),
            },
            plugin: PluginFacts {
                id: named(&plugin),
                version: text(&plugin, "version").unwrap_or_default(),
                digest: text(&plugin, "digest").unwrap_or_default(),
                publisher: plugin
                    .as_ref()
                    .and_then(|plugin| self.above(plugin, "Publisher").pop_first()),
                folder: folder.and_then(|folder| AbsPath::parse(&id(&folder)).ok()),
            },
        }
    }

    fn circumstances(&self, now: i64) -> Context {
        let text = |name: &str| self.context(name).and_then(as_text).unwrap_or_default();
        let set = |name: &str| self.context(name).map(as_set).unwrap_or_default();
        Context {
            environment: text("environment"),
            isolation: text("isolation"),
            labels: set("labels").into_iter().filter_map(as_text).collect(),
            machine: set("machine")
                .into_iter()
                .filter_map(as_uid)
                .map(|uid| id(&uid))
                .collect(),
            now,
            ..Context::default()
        }
    }

    /// A capability for one point that lies in what the resource lies in.
    fn point(&self, action: &str, resource: Option<&EntityUid>) -> String {
        let Some(resource) = resource else {
            return action.to_owned();
        };
        let own = id(resource);
        let longest = |of: &str| self.above(resource, of).into_iter().max_by_key(String::len);
        let scope = match action {
            "read_files" | "write_files" => match longest("Dir") {
                _ if AbsPath::parse(&own)
                    .is_ok_and(|path| path.to_string() == own && own != "/") =>
                {
                    own
                }
                Some(dir) => format!("{}/{ANY}", dir.trim_end_matches('/')),
                None => format!("/{ANY}"),
            },
            "network_access" => self.connection(resource),
            "network_listen" => match own.parse::<u16>() {
                Ok(port) if port > 0 => format!("127.0.0.1:{port}"),
                _ => "127.0.0.1:65535".to_owned(),
            },
            "execute_code" | "execute_shell" => match (longest("Program"), longest("Dir")) {
                (Some(program), _) => program,
                (None, Some(dir)) => format!("{}/{ANY}", dir.trim_end_matches('/')),
                (None, None) => format!("/{ANY}"),
            },
            "ask_user" | "clock" | "random" => return action.to_owned(),
            "call" => {
                let plugin = self.principal().plugin.id;
                let is_tool = own
                    .strip_prefix(&format!("{plugin}/"))
                    .is_some_and(|tool| !tool.is_empty());
                if is_tool {
                    own
                } else {
                    format!("{plugin}/{ANY}")
                }
            }
            _ => {
                let prefix = ["Variables", "Streams", "AgentTools"]
                    .iter()
                    .find_map(|of| longest(of));
                match prefix {
                    _ if format!("{action}:{own}")
                        .parse::<Capability>()
                        .is_ok_and(|c| c.to_string() == format!("{action}:{own}"))
                        && !own.contains('*') =>
                    {
                        own
                    }
                    Some(prefix) => prefix.replace('*', "Z"),
                    None => ANY.to_owned(),
                }
            }
        };
        format!("{action}:{scope}")
    }

    fn connection(&self, resource: &EntityUid) -> String {
        let link = |name: &str| self.linked(resource, name).as_ref().map(id);
        let scheme = link("scheme").unwrap_or_else(|| "https".to_owned());
        let longest = |of: &str| self.above(resource, of).into_iter().max_by_key(String::len);
        let url = longest("Url");
        let (authority, path) = url.as_deref().and_then(|url| url.split_once("://")).map_or(
            (None, String::new()),
            |(_, rest)| match rest.find('/') {
                Some(at) => (
                    rest.get(..at),
                    rest.get(at..).unwrap_or_default().to_owned(),
                ),
                None => (Some(rest), String::new()),
            },
        );
        let of_url = authority.map(|authority| {
            let host = match authority.strip_prefix('[') {
                Some(_) => authority.split_inclusive(']').next(),
                None => authority.split(':').next(),
            };
            host.unwrap_or(authority).replacen('*', ANY, 1)
        });
        let host = longest("Host")
            .or(of_url)
            .or_else(|| longest("Domain").map(|domain| format!("{ANY}.{domain}")))
            .or_else(|| {
                longest("Network").and_then(|range| Some(range.split_once('/')?.0.to_owned()))
            })
            .unwrap_or_else(|| format!("{ANY}.invalid"));
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host
        };
        let port = link("port")
            .and_then(|port| port.parse::<u16>().ok())
            .filter(|port| *port > 0);
        let port = port.unwrap_or(65_535);
        if scheme == "tcp" {
            return format!("tcp://{host}:{port}");
        }
        let path = if path.is_empty() || path.ends_with('/') {
            format!("{}/{ANY}", path.trim_end_matches('/'))
        } else {
            path
        };
        let usable = |m: &String| !m.is_empty() && m.bytes().all(|b| b.is_ascii_uppercase());
        let method = link("method")
            .filter(usable)
            .unwrap_or_else(|| "PROPFIND".to_owned());
        format!("{scheme}://{host}:{port}{path} {method}")
    }
}
