//! Who asks, and in which circumstances.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bailiwick_capability::AbsPath;
use cedar_policy::{Entity, EntityUid, RestrictedExpression};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::constant::{self, Literal};
use crate::error::Problem;
use crate::mention::Mentions;
use crate::schema::Type;

/// The delegation chain: one plugin, for one agent, for one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The session's id.
    pub session: String,
    /// The user on whose behalf it runs.
    pub user: User,
    /// The agent that the user runs.
    pub agent: Agent,
    /// The plugin that the agent uses.
    pub plugin: PluginFacts,
}

/// A user, as the authentication said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name that policies call `User::"…"`.
    pub name: String,
    /// The roles that policies call `Role::"…"`.
    pub roles: BTreeSet<String>,
    /// The operating system's groups, which policies call `Group::"…"`.
    pub groups: BTreeSet<String>,
    /// The department, if known.
    pub department: Option<String>,
}

/// An agent, as it calls itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its version; empty if it tells none.
    pub version: String,
}

/// What was established about a plugin. Only verified facts belong here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginFacts {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The digest of what will run, such as `sha256:…`.
    pub digest: String,
    /// Its publisher, if verified.
    pub publisher: Option<String>,
    /// The folder it lies in, links resolved, if it lies in one.
    pub folder: Option<AbsPath>,
}

/// The circumstances of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Such as `production`.
    pub environment: String,
    /// Now, in seconds since 1970 (UTC).
    pub now: i64,
    /// The name of the wall that will hold the grant.
    pub isolation: String,
    /// What the session has touched so far.
    pub labels: BTreeSet<String>,
    /// What this machine was seen to have, by the names that policies call `Machine::"…"`.
    pub machine: BTreeSet<String>,
    /// How far the clocks on the wall are ahead of UTC, in seconds; for office hours, and 0 unless told.
    pub utc_offset: i32,
}

impl Principal {
    /// The session's entity.
    pub(crate) fn uid(&self) -> Result<EntityUid, Problem> {
        Type::Session.uid(&self.session)
    }

    /// The chain as entities. Roles, groups and publishers need none of their own: they have neither attributes nor parents.
    pub(crate) fn entities(&self, folders: &[Literal]) -> Result<Vec<Entity>, Problem> {
        let user = Type::User.uid(&self.user.name)?;
        let agent = Type::Agent.uid(&self.agent.name)?;
        let plugin = Type::Plugin.uid(&self.plugin.id)?;
        let roles = self.user.roles.iter().map(|role| Type::Role.uid(role));
        let groups = self.user.groups.iter().map(|group| Type::Group.uid(group));
        let belongs = roles.chain(groups).collect::<Result<_, _>>()?;
        let publisher = self.plugin.publisher.iter();
        let publisher = publisher
            .map(|p| Type::Publisher.uid(p))
            .collect::<Result<_, _>>()?;
        let department = self.user.department.iter().map(|d| ("department", text(d)));
        let mut facts = vec![
            ("version", text(&self.plugin.version)),
            ("digest", text(&self.plugin.digest)),
        ];
        facts.extend(folders.first().map(|folder| {
            let uid = folder.uid.clone();
            ("folder", RestrictedExpression::new_entity_uid(uid))
        }));
        let reference = |uid: &EntityUid| RestrictedExpression::new_entity_uid(uid.clone());
        let chain = [
            ("user", reference(&user)),
            ("agent", reference(&agent)),
            ("plugin", reference(&plugin)),
        ];
        let parents = HashSet::from([user.clone(), agent.clone(), plugin.clone()]);
        let version = [
            ("name", text(&self.agent.name)),
            ("version", text(&self.agent.version)),
        ];
        Ok(vec![
            entity(self.uid()?, chain, parents)?,
            entity(user, department, belongs)?,
            entity(agent, version, HashSet::new())?,
            entity(plugin, facts, publisher)?,
        ])
    }

    /// The plugin's folder as a constant: policies name it by `principal.plugin.folder`.
    pub(crate) fn folder(&self) -> Result<Option<Literal>, Problem> {
        let Some(folder) = &self.plugin.folder else {
            return Ok(None);
        };
        let uid = Type::Dir.uid(folder.as_str())?;
        let scope = bailiwick_capability::PathScope::Tree(folder.clone());
        Ok(Some(Literal {
            uid,
            constant: constant::Constant::Path(scope),
            is_container: true,
        }))
    }
}

impl Context {
    /// The circumstances as Cedar's context: those that policies mention.
    pub(crate) fn pairs(
        &self,
        unscoped: bool,
        mentions: &Mentions,
    ) -> Result<BTreeMap<String, RestrictedExpression>, Problem> {
        // That the clock is none is an error whether or not a policy asks: times decide what is in force.
        let now = self.time()?;
        let mut pairs = BTreeMap::new();
        let mut put = |name: &str, value: &dyn Fn() -> Result<RestrictedExpression, Problem>| {
            if mentions.has(name) {
                pairs.insert(name.to_owned(), value()?);
            }
            Ok::<_, Problem>(())
        };
        put("environment", &|| Ok(text(&self.environment)))?;
        put("isolation", &|| Ok(text(&self.isolation)))?;
        put("labels", &|| {
            let labels = self.labels.iter().map(|label| text(label));
            Ok(RestrictedExpression::new_set(labels))
        })?;
        put("machine", &|| {
            let machine = self.machine.iter().map(|name| Type::Machine.uid(name));
            let machine: Vec<EntityUid> = machine.collect::<Result<_, _>>()?;
            let machine = machine
                .into_iter()
                .map(RestrictedExpression::new_entity_uid);
            Ok(RestrictedExpression::new_set(machine))
        })?;
        put("now", &|| {
            let now = now.format(&Rfc3339).map_err(|_| self.timeless())?;
            Ok(RestrictedExpression::new_datetime(now))
        })?;
        put("local", &|| self.local(now))?;
        put("unscoped", &|| Ok(RestrictedExpression::new_bool(unscoped)))?;
        Ok(pairs)
    }

    /// What policies see of the time, as facts in Cedar.
    pub(crate) fn time_facts(&self) -> Result<Vec<String>, Problem> {
        let now = self.time()?;
        let written = now.format(&Rfc3339).map_err(|_| self.timeless())?;
        let weekday = now.weekday().to_string().to_lowercase();
        Ok(vec![
            format!("context.now == datetime(\"{written}\")"),
            format!("context.local.weekday == \"{weekday}\""),
            format!("context.local.hour == {}", now.hour()),
            format!("context.local.minute == {}", now.minute()),
        ])
    }

    fn timeless(&self) -> Problem {
        let what = format!("{} is no time", self.now);
        Problem::of("context", what, "set the machine's clock")
    }

    fn time(&self) -> Result<OffsetDateTime, Problem> {
        OffsetDateTime::from_unix_timestamp(self.now).map_err(|_| self.timeless())
    }

    /// What the clock on the wall shows.
    fn local(&self, now: OffsetDateTime) -> Result<RestrictedExpression, Problem> {
        let what = || format!("{} seconds is no offset from UTC", self.utc_offset);
        let broken = || Problem::of("context", what(), "set the machine's time zone");
        let offset = UtcOffset::from_whole_seconds(self.utc_offset).map_err(|_| broken())?;
        let local = now.checked_to_offset(offset).ok_or_else(broken)?;
        let weekday = local.weekday().to_string().to_lowercase();
        let number = |value: u8| RestrictedExpression::new_long(i64::from(value));
        let fields = [
            ("weekday".to_owned(), text(&weekday)),
            ("hour".to_owned(), number(local.hour())),
            ("minute".to_owned(), number(local.minute())),
        ];
        RestrictedExpression::new_record(fields)
            .map_err(|e| Problem::of("context", e.to_string(), "report this"))
    }
}

pub(crate) fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

pub(crate) fn entity<'a>(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (&'a str, RestrictedExpression)>,
    parents: HashSet<EntityUid>,
) -> Result<Entity, Problem> {
    let attributes: HashMap<_, _> = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let name = uid.to_string();
    Entity::new(uid, attributes, parents)
        .map_err(|e| Problem::of(&name, e.to_string(), "report this"))
}
