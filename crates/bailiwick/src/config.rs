//! `bailiwick.yaml`: which plugins, which policies, and the facts that policies may use.

mod approvals;
mod audit;
mod export;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bailiwick_audit::sha256_hex;
use bailiwick_capability::DnsName;
use bailiwick_policy::{Pdp, PolicySource};
use bailiwick_wall::{Prefix, PrivateNames};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;

pub(crate) use approvals::Approvals;
pub(crate) use audit::{Audit, AuditMode, PublishMethod, PublishTo};
pub(crate) use export::{Export, HeaderValue};

pub(crate) const FILE: &str = "bailiwick.yaml";

/// What is known of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UserFacts {
    pub(crate) roles: Vec<String>,
    pub(crate) department: Option<String>,
}

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    /// In the system's keyring where there is one, else in a sealed file.
    #[default]
    Auto,
    Keyring,
    File,
}

/// How secrets are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Secrets {
    pub(crate) keep: Kept,
    /// What opens the sealed file, when it lies elsewhere than in the state folder.
    pub(crate) identity: Option<PathBuf>,
}

/// How closely native programs are watched, so that what is refused can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Watched {
    /// Everything that is refused is told. Opening a file for reading costs more.
    #[default]
    Everything,
    /// All but refused reading.
    Acts,
}

impl From<Watched> for bailiwick_jail::Watch {
    fn from(watched: Watched) -> Self {
        match watched {
            Watched::Everything => Self::Everything,
            Watched::Acts => Self::Acts,
        }
    }
}

/// The configuration file. Paths in it start at its own folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) plugins: Vec<PathBuf>,
    pub(crate) policies: Vec<PathBuf>,
    /// What makes policies of templates, in JSON.
    pub(crate) links: Vec<PathBuf>,
    pub(crate) default_policies: bool,
    pub(crate) environment: String,
    pub(crate) labels: Vec<String>,
    /// By its name in the IANA database; the machine's unless named.
    pub(crate) time_zone: Option<String>,
    pub(crate) classification: BTreeMap<String, String>,
    pub(crate) users: BTreeMap<String, UserFacts>,
    pub(crate) approvals: Approvals,
    pub(crate) audit: Audit,
    pub(crate) secrets: Secrets,
    pub(crate) watch: Watched,
    /// Certificates of authorities that are trusted besides the machine's own, in PEM.
    pub(crate) trust: Vec<PathBuf>,
    /// Names of private networks, each with the addresses that it may lead to.
    pub(crate) private_names: BTreeMap<String, Vec<String>>,
    /// The file itself.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
    /// SHA-256 of its bytes, in hex; of nothing where there is none.
    #[serde(skip)]
    pub(crate) sha256: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plugins: Vec::new(),
            policies: Vec::new(),
            links: Vec::new(),
            default_policies: true,
            environment: "development".to_owned(),
            labels: Vec::new(),
            time_zone: None,
            classification: BTreeMap::new(),
            users: BTreeMap::new(),
            approvals: Approvals::default(),
            audit: Audit::default(),
            secrets: Secrets::default(),
            watch: Watched::default(),
            trust: Vec::new(),
            private_names: BTreeMap::new(),
            file: None,
            sha256: sha256_hex(&[]),
        }
    }
}

impl Config {
    /// The named file, else `bailiwick.yaml` found upward from the working directory, else none.
    pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<Option<Self>> {
        if let Some(path) = named {
            return Self::read(path).map(Some);
        }
        let here = std::env::current_dir().context("the working directory is gone")?;
        let found = here
            .ancestors()
            .map(|dir| dir.join(FILE))
            // A link that leads nowhere is an error, not a reason to look further up.
            .find(|path| path.symlink_metadata().is_ok());
        found.map(|path| Self::read(&path)).transpose()
    }

    /// Reads a file, with its relative paths made absolute.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = crate::trusted::read(path)?;
        let mut config =
            Self::parse(&text).with_context(|| format!("`{shown}` is not a configuration"))?;
        let real = path.canonicalize()?;
        let dir = real.parent().unwrap_or(Path::new("/"));
        let named = config.plugins.iter_mut().chain(&mut config.policies);
        let named = named.chain(&mut config.links).chain(&mut config.trust);
        let places = config.audit.publish.iter_mut();
        let places = places.flat_map(|to| to.file.iter_mut().chain(&mut to.git));
        for entry in named.chain(&mut config.secrets.identity).chain(places) {
            *entry = dir.join(&*entry);
        }
        config.file = Some(real);
        config.sha256 = sha256_hex(text.as_bytes());
        Ok(config)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        if text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            return Ok(Self::default());
        }
        Ok(serde_saphyr::from_str(text)?)
    }

    /// What holds only from the start of a gate on: the rest is followed while it runs.
    pub(crate) fn fixed(&self) -> Self {
        let followed = Self::default();
        Self {
            plugins: followed.plugins,
            policies: followed.policies,
            links: followed.links,
            default_policies: followed.default_policies,
            environment: followed.environment,
            labels: followed.labels,
            classification: followed.classification,
            users: followed.users,
            sha256: followed.sha256,
            ..self.clone()
        }
    }

    /// What steers the gate: whoever writes there widens the next grant.
    pub(crate) fn control_files(&self) -> impl Iterator<Item = &Path> {
        let named = self.plugins.iter().chain(&self.policies);
        named
            .chain(&self.links)
            .chain(&self.trust)
            .chain(&self.file)
            .map(PathBuf::as_path)
    }

    /// The names of `private_names:` with their ranges of addresses.
    pub(crate) fn private_names(&self) -> anyhow::Result<PrivateNames> {
        let entries = self.private_names.iter().map(|(name, ranges)| {
            let parsed = DnsName::parse(name)
                .with_context(|| format!("`private_names`: `{name}` is no name of a host"))?;
            let ranges = ranges.iter().map(|range| range.parse::<Prefix>());
            let ranges = ranges
                .collect::<Result<Vec<_>, _>>()
                .with_context(|| format!("`private_names` of `{name}`"))?;
            Ok((parsed, ranges))
        });
        let entries: Vec<_> = entries.collect::<anyhow::Result<_>>()?;
        Ok(PrivateNames::new(entries))
    }

    /// The authorities of `trust:`, in DER.
    pub(crate) fn trusted_authorities(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        for path in &self.trust {
            let text = crate::trusted::read(path)?;
            let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
            let before = found.len();
            for certificate in certificates {
                let certificate = certificate.map_err(|error| {
                    anyhow::anyhow!("`{}` is no PEM: {error:?}", path.display())
                })?;
                found.push(certificate.to_vec());
            }
            if found.len() == before {
                bail!("`{}` holds no certificate: write it in PEM", path.display());
            }
        }
        Ok(found)
    }

    /// The policies: ours unless switched off, then every `*.cedar` of the named files and folders.
    /// In the end come those of `given`.
    pub(crate) fn policy_sources(&self, given: &[PathBuf]) -> anyhow::Result<Vec<PolicySource>> {
        let mut sources = if self.default_policies {
            Pdp::default_sources()
        } else {
            Vec::new()
        };
        for path in self.policies.iter().chain(given) {
            for file in cedar_files(path)? {
                let text = crate::trusted::read(&file)?;
                sources.push(PolicySource {
                    name: file.display().to_string(),
                    text,
                });
            }
        }
        Ok(sources)
    }

    /// The links of templates, as they lie there now.
    pub(crate) fn link_sources(&self) -> anyhow::Result<Vec<PolicySource>> {
        let read = |path: &PathBuf| {
            let text = crate::trusted::read(path)?;
            Ok(PolicySource::new(path.display().to_string(), text))
        };
        self.links.iter().map(read).collect()
    }
}

fn cedar_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = path.display();
    let meta = path
        .metadata()
        .with_context(|| format!("cannot read the policies `{shown}`"))?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "cedar"));
    files.sort();
    if files.is_empty() {
        bail!("`{shown}` holds no `*.cedar` file: add one, or remove the folder from `policies:`");
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_duplicate_keys_are_refused() {
        assert!(Config::parse("pluginz: []").is_err());
        assert!(Config::parse("plugins: []\nplugins: [a]").is_err());
        assert!(Config::parse("audit: sometimes").is_err());
        assert!(Config::parse("audit: [strict]").is_err());
        assert!(Config::parse("audit: {mode: sometimes}").is_err());
        assert!(Config::parse("audit: {mode: strict, mode: normal}").is_err());
        assert!(Config::parse("audit: {modus: strict}").is_err());
        assert!(Config::parse("users: {a: {role: x}}").is_err());
    }

    #[test]
    fn l2_empty_and_absent_mean_nothing_is_loaded() {
        for text in ["", "# nothing", "plugins: []", "environment: production"] {
            assert!(Config::parse(text).unwrap().plugins.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_word_for_audit_is_short_for_its_mode() {
        let of = |text| Config::parse(text).unwrap().audit;
        assert_eq!(of("audit: strict"), of("audit: {mode: strict}"));
        assert_eq!(of("audit: strict").mode, AuditMode::Strict);
        assert_eq!(of("audit: {}"), of("audit: normal"));
        assert_eq!(of("audit: normal"), Audit::default());
    }

    #[test]
    fn paths_start_at_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        std::fs::write(&file, "plugins: [a, /b]\naudit: strict").unwrap();
        let config = Config::read(&file).unwrap();
        assert_eq!(
            config.plugins,
            [
                dir.path().canonicalize().unwrap().join("a"),
                PathBuf::from("/b")
            ]
        );
        assert_eq!(config.audit.mode, AuditMode::Strict);
        assert_eq!(
            config.sha256,
            sha256_hex(b"plugins: [a, /b]\naudit: strict"),
            "what sha256sum says of the file"
        );
    }

    #[test]
    fn the_documented_configuration_has_every_key_and_is_read() {
        let text = include_str!("../../../docs/configuration.md");
        let (_, rest) = text.split_once("```yaml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let config = Config::parse(example).unwrap();
        let told: Vec<&str> = example
            .lines()
            .filter(|line| !line.starts_with([' ', '#']))
            .filter_map(|line| Some(line.split_once(':')?.0))
            .collect();
        let keys = "plugins policies links default_policies environment labels time_zone classification users audit approvals secrets watch trust \
                    private_names";
        assert_eq!(told, keys.split(' ').collect::<Vec<_>>());
        assert_ne!(config.plugins, Vec::<PathBuf>::new());
        assert_eq!(config.users["alice"].roles, ["analyst"]);
    }

    #[test]
    fn the_documentation_tells_the_truth_about_defaults() {
        let said = Config::parse(
            "{plugins: [], policies: [], links: [], default_policies: true, environment: development, labels: [],
              classification: {}, users: {}, audit: normal, approvals: {approvers: {}, client: true}, secrets: {keep: auto}, watch: everything, trust: [], private_names: {}}",
        );
        assert_eq!(said.unwrap(), Config::default());
    }

    /// There is no key that opens everything, and none that only watches.
    #[test]
    fn l33_the_defaults_are_closed_and_no_key_opens_them() {
        let closed = Config::default();
        assert!(closed.default_policies && closed.plugins.is_empty());
        assert!(closed.private_names.is_empty() && closed.trust.is_empty());
        for key in [
            "allow_all: true",
            "permissive: true",
            "mode: learning",
            "audit_only: true",
            "watch: nothing",
            "private_names: [db.internal]",
        ] {
            assert!(Config::parse(key).is_err(), "{key}");
        }
        for names in [
            "{\"*.internal\": [10.0.0.0/8]}",
            "{db.internal: [0.0.0.0/0]}",
        ] {
            let config = Config::parse(&format!("private_names: {names}")).unwrap();
            assert!(config.private_names().is_err(), "{names}");
        }
    }

    #[test]
    fn an_empty_policy_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(cedar_files(dir.path()).is_err());
    }
}
