//! Our Cedar schema, parsed once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema, Validator};

use crate::error::Problem;

/// The schema that every policy must fit, in Cedar's schema language.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// What is made of the schema.
pub(crate) struct Vocabulary {
    pub(crate) schema: Schema,
    pub(crate) validator: Validator,
    /// The actions and their groups.
    pub(crate) actions: Entities,
}

static VOCABULARY: LazyLock<Result<Vocabulary, String>> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| e.to_string())?;
    Ok(Vocabulary {
        actions: schema.action_entities().map_err(|e| e.to_string())?,
        validator: Validator::new(schema.clone()),
        schema,
    })
});

/// The names of the types, parsed once: an entity is made for each part of each request.
static NAMES: LazyLock<Result<BTreeMap<Type, EntityTypeName>, String>> = LazyLock::new(|| {
    Type::ALL
        .into_iter()
        .map(|of| {
            Ok((
                of,
                of.as_str()
                    .parse()
                    .map_err(|e: cedar_policy::ParseErrors| e.to_string())?,
            ))
        })
        .collect()
});

/// The parsed schema; an error only if this build is broken, which a test excludes.
pub(crate) fn vocabulary() -> Result<&'static Vocabulary, Problem> {
    VOCABULARY.as_ref().map_err(|why| broken(why))
}

fn broken(why: &str) -> Problem {
    let help = "this build of Bailiwick is broken: report it";
    Problem::of("schema.cedarschema", why, help)
}

/// The entity types that this crate names. A typed list, so that a name is spelt once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Type {
    Action,
    Role,
    Group,
    Publisher,
    User,
    Agent,
    Plugin,
    Session,
    Sensitivity,
    Dir,
    File,
    Host,
    Domain,
    Network,
    Url,
    Scheme,
    Port,
    Method,
    Endpoint,
    Program,
    Command,
    Variables,
    Variable,
    Streams,
    Stream,
    AgentTools,
    AgentTool,
    Tool,
    Secret,
    Model,
    Ambient,
    Machine,
}

impl Type {
    pub(crate) const ALL: [Self; 32] = [
        Self::Action,
        Self::Role,
        Self::Group,
        Self::Publisher,
        Self::User,
        Self::Agent,
        Self::Plugin,
        Self::Session,
        Self::Sensitivity,
        Self::Dir,
        Self::File,
        Self::Host,
        Self::Domain,
        Self::Network,
        Self::Url,
        Self::Scheme,
        Self::Port,
        Self::Method,
        Self::Endpoint,
        Self::Program,
        Self::Command,
        Self::Variables,
        Self::Variable,
        Self::Streams,
        Self::Stream,
        Self::AgentTools,
        Self::AgentTool,
        Self::Tool,
        Self::Secret,
        Self::Model,
        Self::Ambient,
        Self::Machine,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "Action",
            Self::Role => "Role",
            Self::Group => "Group",
            Self::Publisher => "Publisher",
            Self::User => "User",
            Self::Agent => "Agent",
            Self::Plugin => "Plugin",
            Self::Session => "Session",
            Self::Sensitivity => "Sensitivity",
            Self::Dir => "Dir",
            Self::File => "File",
            Self::Host => "Host",
            Self::Domain => "Domain",
            Self::Network => "Network",
            Self::Url => "Url",
            Self::Scheme => "Scheme",
            Self::Port => "Port",
            Self::Method => "Method",
            Self::Endpoint => "Endpoint",
            Self::Program => "Program",
            Self::Command => "Command",
            Self::Variables => "Variables",
            Self::Variable => "Variable",
            Self::Streams => "Streams",
            Self::Stream => "Stream",
            Self::AgentTools => "AgentTools",
            Self::AgentTool => "AgentTool",
            Self::Tool => "Tool",
            Self::Secret => "Secret",
            Self::Model => "Model",
            Self::Ambient => "Ambient",
            Self::Machine => "Machine",
        }
    }

    /// The type of an entity, if it is one of ours.
    pub(crate) fn of(uid: &EntityUid) -> Option<Self> {
        let name = uid.type_name();
        let plain = name.namespace().is_empty();
        Self::ALL
            .into_iter()
            .find(|known| plain && known.as_str() == name.basename())
    }

    /// The entity of this type with this id.
    pub(crate) fn uid(self, id: &str) -> Result<EntityUid, Problem> {
        let names = NAMES.as_ref().map_err(|why| broken(why))?;
        let name = names
            .get(&self)
            .ok_or_else(|| broken(self.as_str()))?
            .clone();
        Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_capability::Kind;

    use super::*;

    #[test]
    fn the_schema_parses_and_names_every_kind_and_type() {
        let v = vocabulary().unwrap();
        for kind in Kind::ALL {
            let uid = Type::Action.uid(kind.as_str()).unwrap();
            assert!(v.actions.get(&uid).is_some(), "{kind}");
        }
        let declared: Vec<_> = v.schema.entity_types().map(ToString::to_string).collect();
        for known in Type::ALL {
            assert!(
                known == Type::Action || declared.contains(&known.as_str().to_owned()),
                "{known:?}"
            );
        }
        assert_eq!(declared.len(), Type::ALL.len() - 1);
    }

    #[test]
    fn the_schema_and_the_kinds_agree_on_what_is_high_risk() {
        let v = vocabulary().unwrap();
        let group = Type::Action.uid("high_risk").unwrap();
        for kind in Kind::ALL {
            let uid = Type::Action.uid(kind.as_str()).unwrap();
            assert_eq!(
                v.actions.is_ancestor_of(&group, &uid),
                kind.is_high_risk(),
                "{kind}"
            );
        }
    }
}
