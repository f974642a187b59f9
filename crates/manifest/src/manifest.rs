//! A manifest that has been read and checked.

use std::collections::BTreeMap;

use bailiwick_capability::{Capability, Kind};
use semver::Version;
use serde_json::Value;

use crate::parts::{Atom, Dependency, Limits, Necessity, Runtime, Start, Tool};
use crate::{ManifestError, ManifestErrors, PluginId, Source, Span, Spanned, digest, read};

/// What a plugin says of itself and asks for. Made by reading one, so what it holds is consistent: every need and
/// binding of a tool is covered by an atom, no atom stands twice.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub(crate) source: Source,
    pub(crate) id: Spanned<PluginId>,
    pub(crate) version: Version,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) publisher: Option<String>,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) schema: BTreeMap<String, Value>,
    pub(crate) runtime: Runtime,
    pub(crate) tools: BTreeMap<String, Tool>,
}

impl Manifest {
    /// Reads a manifest. `name` is what people know it by, usually its path: JSON where it ends in `.json`, YAML where
    /// it ends in `.yaml` or `.yml`, and otherwise JSON when the first character is `{`.
    ///
    /// # Errors
    /// Every problem found, in the order of their places.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        read::manifest(name, bytes, read::Carrier::File)
    }

    /// The manifest of a program that a person put behind the gate without one: it asks for exactly `atoms`.
    ///
    /// # Errors
    /// An empty command.
    pub fn synthetic(
        id: PluginId,
        command: Vec<String>,
        atoms: impl IntoIterator<Item = Capability>,
    ) -> Result<Self, ManifestErrors> {
        let mut atoms: Vec<Capability> = atoms.into_iter().collect();
        atoms.sort_unstable();
        atoms.dedup();
        let mut text = String::new();
        let mut place = |line: String| {
            let start = text.len();
            text.push_str(&line);
            text.push('\n');
            Span::new(start, text.len().saturating_sub(1))
        };
        let atoms = atoms
            .into_iter()
            .map(|capability| Atom {
                span: place(format!("--allow {capability}")),
                capability,
                necessity: Necessity::Required,
            })
            .collect();
        let span = place(format!("-- {}", command.join(" ")));
        let source = Source::new("command line", text);
        if command.first().is_none_or(String::is_empty) {
            return Err(ManifestError::new(
                &source,
                span,
                "no command to run",
                "write the server's command behind `--`",
            )
            .into());
        }
        Ok(Self {
            source,
            id: Spanned { value: id, span },
            version: Version::new(0, 0, 0),
            name: None,
            description: None,
            publisher: None,
            atoms,
            dependencies: Vec::new(),
            schema: BTreeMap::new(),
            runtime: Runtime {
                start: Start::Command(command),
                env: BTreeMap::new(),
                limits: Limits::default(),
                span,
            },
            tools: BTreeMap::new(),
        })
    }

    /// The same manifest, asking besides for what it can do without. What it asks already stays as it is.
    #[must_use]
    pub fn with_optional(mut self, atoms: impl IntoIterator<Item = Capability>) -> Self {
        let span = self.id.span;
        for capability in atoms {
            if self
                .atoms
                .iter()
                .all(|known| known.capability != capability)
            {
                let necessity = Necessity::Optional;
                self.atoms.push(Atom {
                    span,
                    capability,
                    necessity,
                });
            }
        }
        self
    }

    /// The same manifest with the constants and limits of another, for a program that is named elsewhere.
    #[must_use]
    pub fn with_surroundings_of(mut self, other: &Self) -> Self {
        self.runtime.env.clone_from(&other.runtime.env);
        self.runtime.limits = other.runtime.limits;
        self
    }

    /// A problem that a later stage found, to be shown at the manifest's line.
    #[must_use]
    pub fn diagnostic(
        &self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ManifestError {
        ManifestError::new(&self.source, span, message, help)
    }

    /// SHA-256 over the canonical form: what the manifest means, so that comments, order of keys and YAML or JSON make
    /// no difference, and any change of meaning (also of name or description) does. See `docs/manifest.md`.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest::sha256(self)
    }

    /// [`Manifest::digest`] as `sha256:` and 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn digest_text(&self) -> String {
        format!("sha256:{}", hex::encode(self.digest()))
    }

    /// The named text that it was read from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The plugin's id.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        &self.id.value
    }

    /// Where the id stands.
    #[must_use]
    pub fn id_span(&self) -> Span {
        self.id.span
    }

    /// The plugin's version; 0.0.0 for a synthetic manifest.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// A name for people.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What it is for. Text from the plugin: data, never an instruction.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Who says to have published it; a claim, not a proof.
    #[must_use]
    pub fn publisher(&self) -> Option<&str> {
        self.publisher.as_deref()
    }

    /// All atoms, required ones first, each list in the order of the manifest.
    #[must_use]
    pub fn atoms(&self) -> &[Atom] {
        &self.atoms
    }

    /// The atoms without which the plugin is not loaded.
    pub fn required(&self) -> impl Iterator<Item = &Atom> {
        self.with(Necessity::Required)
    }

    /// The atoms without which the plugin is loaded reduced.
    pub fn optional(&self) -> impl Iterator<Item = &Atom> {
        self.with(Necessity::Optional)
    }

    fn with(&self, necessity: Necessity) -> impl Iterator<Item = &Atom> {
        self.atoms
            .iter()
            .filter(move |atom| atom.necessity == necessity)
    }

    /// The atoms of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Atom> {
        self.atoms
            .iter()
            .filter(move |atom| atom.capability.kind() == kind)
    }

    /// The plugins that must be loaded before.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// The contract: a JSON Schema per tool name, which arguments must fulfil besides the server's own. An object or a
    /// boolean; that it is a valid JSON Schema is for the stage that compiles it to check.
    #[must_use]
    pub fn schema(&self) -> &BTreeMap<String, Value> {
        &self.schema
    }

    /// How it is started.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What each tool needs, by tool name; tools that are not named here need nothing of their own.
    #[must_use]
    pub fn tools(&self) -> &BTreeMap<String, Tool> {
        &self.tools
    }
}
