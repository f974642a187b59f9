//! What decides, from the configuration: policies with their links, and what is classified.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bailiwick_audit::sha256_hex;
use bailiwick_capability::{AbsPath, Granted, PathScope};
use bailiwick_gate::resolve::{SearchPath, resolve};
use bailiwick_policy::{Classification, Pdp, PolicyError, PolicySource};

use crate::assemble::Parts;
use crate::config::Config;
use crate::person::Person;

/// Policies as they were read.
pub(crate) struct Read {
    pub(crate) digest: String,
    pub(crate) sources: Sources,
    pub(crate) classification: Classification,
}

/// What a policy set is made of.
pub(crate) struct Sources {
    pub(crate) policies: Vec<PolicySource>,
    /// What makes policies of the templates among them.
    pub(crate) links: Vec<PolicySource>,
}

impl Sources {
    /// All of them, or everything that is wrong with them.
    pub(crate) fn load(&self, labels: &Classification) -> Result<Pdp, PolicyError> {
        Pdp::load_linked(&self.policies, &self.links, labels)
    }

    /// Of each text in order, and of what the configuration and the person's home classify: a line for each place and
    /// its label, sorted. What is ours depends on where a gate is started, and is not among them.
    pub(crate) fn digest(&self, named: &Classification) -> String {
        let of = |text: &str| sha256_hex(text.as_bytes());
        let mut all: String = self
            .policies
            .iter()
            .map(|source| of(&source.text))
            .collect();
        if !self.links.is_empty() {
            all.push_str(" links ");
            all.extend(self.links.iter().map(|source| of(&source.text)));
        }
        let lines: BTreeSet<String> = named
            .entries()
            .map(|(scope, label)| format!("{scope} {label}\n"))
            .collect();
        all.push_str(&of(&lines.into_iter().collect::<String>()));
        of(&all)
    }
}

/// The configured policies with their links, then what people answered for good.
pub(crate) fn sources(parts: &Parts<'_>) -> anyhow::Result<Sources> {
    let mut policies = parts.config.policy_sources(parts.policies)?;
    policies.extend(crate::approvals::source(parts.home)?);
    let links = parts.config.link_sources()?;
    Ok(Sources { policies, links })
}

/// The policies, the classification, and what the person allows by hand.
pub(crate) fn policies(
    parts: &Parts<'_>,
    person: &Person,
    search: &SearchPath,
) -> anyhow::Result<(Pdp, Read)> {
    let allow = parts.allow;
    let sources = sources(parts)?;
    let digest = sources.digest(&classification(parts.config, person)?);
    let classification = classified(parts, person)?;
    let pdp = sources.load(&classification)?;
    if let Err(why) = &person.groups
        && pdp.asks_about_groups()
    {
        anyhow::bail!(
            "policies ask about groups, and the groups of `{}` cannot be told: {why}",
            person.name
        );
    }
    let read = Read {
        digest,
        sources,
        classification,
    };
    if allow.is_empty() {
        return Ok((pdp, read));
    }
    let allowed = allow
        .iter()
        .map(|capability| {
            resolve(capability, search)
                .map(Granted::whole)
                .map_err(|error| {
                    anyhow::anyhow!("--allow {capability}: {}; {}", error.message, error.help)
                })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let pdp = pdp.with_person_grants(&person.name, &allowed)?;
    Ok((pdp, read))
}

/// What is in force: the person's own entries, the well-known places of their home, and what is ours.
pub(crate) fn classified(parts: &Parts<'_>, person: &Person) -> anyhow::Result<Classification> {
    let named = classification(parts.config, person)?;
    let mut ours = ours(parts)?;
    // A secret place may hold policies; it is then neither read nor written.
    ours.retain(|(scope, _)| named.entries().all(|other| other != (scope, "secret")));
    Ok(named.and(ours)?)
}

/// The person's own entries, over the well-known places of their home.
pub(crate) fn classification(config: &Config, person: &Person) -> anyhow::Result<Classification> {
    let entries = config
        .classification
        .iter()
        .map(|(path, label)| (path.as_str(), label.as_str()));
    let own = Classification::parse(entries)?;
    let mut whole = own.clone();
    let real = person
        .homes
        .iter()
        .filter_map(|home| home.canonicalize().ok());
    for home in real.filter(|home| home.parent().is_some()) {
        let home = AbsPath::exactly(
            home.to_str()
                .context("your home folder's name is not UTF-8")?,
        )?;
        let usual = Classification::for_home(&home)?;
        let named: BTreeSet<&PathScope> = own.entries().map(|(scope, _)| scope).collect();
        let unnamed = usual.entries().filter(|(scope, _)| !named.contains(scope));
        let unnamed: Vec<_> = unnamed
            .map(|(scope, label)| (scope.clone(), label.to_owned()))
            .collect();
        whole = whole.and(unnamed)?;
    }
    Ok(whole)
}

/// Our own keys and log are nobody's to read, and what steers us nobody's to write, wherever they lie and
/// whatever a configuration calls them.
fn ours(parts: &Parts<'_>) -> anyhow::Result<Vec<(PathScope, String)>> {
    let opens_secrets = crate::secret::identity(parts.config);
    let state = std::iter::once(parts.home.path())
        .chain(opens_secrets.as_deref())
        .map(|path| (path, "secret"));
    let given = parts.policies.iter().map(PathBuf::as_path);
    let steering = parts.config.control_files().chain(given);
    let steering = steering.map(|path| (path, "control"));
    let mut places: Vec<(PathScope, String)> = state
        .chain(steering)
        .map(|(path, label)| {
            // What is not there yet has no links to resolve.
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let is_file = real.is_file();
            Ok((scope(&real, !is_file)?, label.to_owned()))
        })
        .collect::<anyhow::Result<_>>()?;
    let here = std::env::current_dir().unwrap_or_default();
    for (path, is_tree) in crate::workspace::steering(&here) {
        let place = (scope(&path, is_tree)?, "control".to_owned());
        if !places.iter().any(|(known, _)| *known == place.0) {
            places.push(place);
        }
    }
    Ok(places)
}

fn scope(path: &Path, is_tree: bool) -> anyhow::Result<PathScope> {
    let text = path
        .to_str()
        .with_context(|| format!("the name of `{}` is not UTF-8", path.display()))?;
    let place = AbsPath::exactly(text)?;
    Ok(if is_tree {
        PathScope::Tree(place)
    } else {
        PathScope::File(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_others_where_another_place_is_classified() {
        let of = |entries: &[(&str, &str)]| {
            let sources = Sources {
                policies: Pdp::default_sources(),
                links: Vec::new(),
            };
            sources.digest(&Classification::parse(entries.iter().copied()).unwrap())
        };
        let two = of(&[("/a/", "secret"), ("/b", "control")]);
        assert_eq!(two, of(&[("/b", "control"), ("/a/", "secret")]));
        assert_ne!(two, of(&[("/a/", "control"), ("/b", "control")]));
        assert_ne!(two, of(&[("/a/", "secret")]));
        assert_ne!(two, of(&[]));
    }

    #[test]
    fn l14_no_variable_uncovers_the_keys_of_a_home() {
        let (real, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let homes = [&other, &real].map(|dir| dir.path().canonicalize().unwrap());
        let person = Person {
            name: "ann".to_owned(),
            homes: homes.to_vec(),
            groups: Ok(BTreeSet::new()),
        };
        let classified = classification(&Config::default(), &person).unwrap();
        for home in homes {
            let keys = PathScope::parse(&format!("{}/.ssh/", home.display())).unwrap();
            let found = classified.entries().find(|(scope, _)| **scope == keys);
            assert_eq!(found.map(|(_, label)| label), Some("secret"));
        }
    }
}
