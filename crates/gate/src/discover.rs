//! Finds plugins by their manifests alone. Nothing of a plugin runs to find out what it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_manifest::{ComponentError, MAX_COMPONENT_BYTES, Manifest, ManifestErrors, Start};
use sha2::{Digest, Sha256};

use crate::world::Source;

/// The names a manifest may have, beside its plugin.
pub const MANIFEST_NAMES: [&str; 3] = ["plugin.yaml", "plugin.yml", "plugin.json"];

/// Why a plugin was not found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// There is nothing of the kind.
    #[error("there is no plugin at `{path}`: {why}")]
    None {
        /// Where.
        path: PathBuf,
        /// What was looked for.
        why: String,
    },
    /// The manifest does not say what it should.
    #[error(transparent)]
    Manifest(#[from] ManifestErrors),
    /// The component does not carry a manifest that can be used.
    #[error("`{path}`: {source}")]
    Component {
        /// Which component.
        path: PathBuf,
        /// Why.
        source: ComponentError,
    },
}

fn none(path: &Path, why: impl ToString) -> DiscoverError {
    DiscoverError::None {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// The plugins at `path`: a manifest, a component with a manifest inside, a plugin's folder, or a folder of those.
///
/// # Errors
/// Whatever cannot be read is an error, never left out.
pub fn discover(path: &Path) -> Result<Vec<Source>, DiscoverError> {
    let meta = path.metadata().map_err(|error| none(path, error))?;
    if !meta.is_dir() {
        return one(path).map(|source| vec![source]);
    }
    if let Some(manifest) = manifest_in(path)? {
        return one(&manifest).map(|source| vec![source]);
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(|dir| dir.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| none(path, error))?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.extension().is_some_and(|ending| ending == "wasm") {
            found.push(one(&entry)?);
        } else if entry.is_dir()
            && let Some(manifest) = manifest_in(&entry)?
        {
            found.push(one(&manifest)?);
        }
    }
    if found.is_empty() {
        let why = format!(
            "no {} and no component in it or its folders",
            MANIFEST_NAMES.join(", ")
        );
        return Err(none(path, why));
    }
    Ok(found)
}

fn manifest_in(dir: &Path) -> Result<Option<PathBuf>, DiscoverError> {
    let mut found = MANIFEST_NAMES
        .map(|name| dir.join(name))
        .into_iter()
        .filter(|path| path.exists());
    let first = found.next();
    if let (Some(_), Some(second)) = (&first, found.next()) {
        return Err(none(
            dir,
            format!("it has two manifests; remove `{}`", second.display()),
        ));
    }
    Ok(first)
}

fn one(path: &Path) -> Result<Source, DiscoverError> {
    let bytes = read(path)?;
    let dir = path
        .parent()
        .map(Path::to_owned)
        .filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or_else(|| PathBuf::from("."));
    let dir = dir.canonicalize().map_err(|error| none(path, error))?;
    if path.extension().is_some_and(|ending| ending == "wasm") {
        let manifest = Manifest::from_component(&path.display().to_string(), &bytes)
            .map_err(|source| DiscoverError::Component {
                path: path.to_owned(),
                source,
            })?
            .ok_or_else(|| {
                none(
                    path,
                    "the component carries no manifest; put a plugin.yaml beside it",
                )
            })?;
        return Ok(source(manifest, Some(dir), Some(bytes)));
    }
    let manifest = Manifest::parse(&path.display().to_string(), &bytes)?;
    let component = match &manifest.runtime().start {
        Start::Component(file) => Some(read(&dir.join(file))?),
        Start::Command(_) | Start::Embedded => None,
    };
    Ok(source(manifest, Some(dir), component))
}

fn read(path: &Path) -> Result<Vec<u8>, DiscoverError> {
    let size = path.metadata().map_err(|error| none(path, error))?.len();
    if size > MAX_COMPONENT_BYTES as u64 {
        return Err(none(
            path,
            format!("{size} bytes are over the limit of {MAX_COMPONENT_BYTES}"),
        ));
    }
    std::fs::read(path).map_err(|error| none(path, error))
}

/// A plugin from its parts, with its digest.
#[must_use]
pub fn source(manifest: Manifest, dir: Option<PathBuf>, component: Option<Vec<u8>>) -> Source {
    let mut hash = Sha256::new();
    hash.update(manifest.digest());
    if let Some(bytes) = &component {
        hash.update(Sha256::digest(bytes));
    }
    Source {
        manifest,
        dir,
        component: component.map(Arc::new),
        digest: hash.finalize().into(),
    }
}
