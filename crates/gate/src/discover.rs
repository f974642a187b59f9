//! Finds plugins by their manifests alone. Nothing of a plugin runs to find out what it is.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_manifest::{
    ComponentError, MAX_BYTES, MAX_COMPONENT_BYTES, Manifest, ManifestErrors, Start,
};
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
    let entries = entries(path).map_err(|error| none(path, error))?;
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

fn entries(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Where [`discover`] looks for manifests and components, whether or not anything is there: what it finds is the same
/// as long as all of these are, and the [`Source::files`] of what it found.
#[must_use]
pub fn places(path: &Path) -> Vec<PathBuf> {
    let manifests = |dir: &Path| MANIFEST_NAMES.map(|name| dir.join(name));
    let mut places = vec![path.to_owned()];
    places.extend(manifests(path));
    for entry in entries(path).unwrap_or_default() {
        if entry.is_dir() {
            places.extend(manifests(&entry));
        }
        places.push(entry);
    }
    places
}

fn manifest_in(dir: &Path) -> Result<Option<PathBuf>, DiscoverError> {
    let mut found = Vec::new();
    for path in MANIFEST_NAMES.map(|name| dir.join(name)) {
        match path.symlink_metadata() {
            Ok(_) => found.push(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // What cannot be looked at may be a manifest.
            Err(error) => return Err(none(&path, error)),
        }
    }
    if let [_, second, ..] = found.as_slice() {
        let why = format!("it has two manifests; remove `{}`", second.display());
        return Err(none(dir, why));
    }
    Ok(found.pop())
}

fn one(path: &Path) -> Result<Source, DiscoverError> {
    let is_component = path.extension().is_some_and(|ending| ending == "wasm");
    let limit = if is_component {
        MAX_COMPONENT_BYTES
    } else {
        MAX_BYTES
    };
    let bytes = read(path, limit)?;
    let dir = path
        .parent()
        .map(Path::to_owned)
        .filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or_else(|| PathBuf::from("."));
    let dir = dir.canonicalize().map_err(|error| none(path, error))?;
    if is_component {
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
        return Ok(Source {
            files: vec![path.to_owned()],
            ..source(manifest, Some(dir), Some(bytes))
        });
    }
    let manifest = Manifest::parse(&path.display().to_string(), &bytes)?;
    let mut files = vec![path.to_owned()];
    let component = match &manifest.runtime().start {
        Start::Component(file) => {
            let file = dir.join(file);
            let bytes = read(&file, MAX_COMPONENT_BYTES)?;
            files.push(file);
            Some(bytes)
        }
        Start::Command(_) | Start::Embedded => None,
    };
    Ok(Source {
        files,
        ..source(manifest, Some(dir), component)
    })
}

/// Reads a regular file up to `limit` bytes: a plugin's folder may hold pipes and devices as well.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, DiscoverError> {
    let unreadable = |error| none(path, error);
    let irregular = || none(path, "it is not a regular file");
    let oversize = || none(path, format!("it is over the limit of {limit} bytes"));
    // Opening a pipe would wait for its other end.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(irregular());
    }
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(irregular());
    }
    if meta.len() > limit as u64 {
        return Err(oversize());
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(oversize());
    }
    Ok(bytes)
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
        files: Vec::new(),
    }
}
