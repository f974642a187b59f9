//! In which order plugins that depend on each other are loaded.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Dependency, Manifest, ManifestError, ManifestErrors, PluginId};

/// Orders manifests so that each comes after what it depends on; otherwise by id, so that the order is always the same.
///
/// # Errors
/// Every id that two manifests claim, every dependency that is missing, has the wrong version, or closes a circle; each
/// at its line in its own manifest.
pub fn load_order(manifests: &[Manifest]) -> Result<Vec<&Manifest>, ManifestErrors> {
    let mut problems = Vec::new();
    let mut by_id: BTreeMap<&PluginId, &Manifest> = BTreeMap::new();
    for manifest in manifests {
        match by_id.get(manifest.id()) {
            None => {
                by_id.insert(manifest.id(), manifest);
            }
            Some(first) => problems.push(manifest.diagnostic(
                manifest.id_span(),
                format!(
                    "the id `{}` is taken by {}",
                    manifest.id(),
                    first.source().name()
                ),
                "give one of the two plugins another id, or remove it",
            )),
        }
    }
    for manifest in manifests {
        for dependency in manifest.dependencies() {
            problems.extend(unmet(manifest, dependency, by_id.get(&dependency.id)));
        }
    }
    let mut order = Order {
        by_id: &by_id,
        done: BTreeSet::new(),
        loaded: Vec::new(),
        problems,
    };
    for id in by_id.keys() {
        order.visit(id);
    }
    if order.problems.is_empty() {
        Ok(order.loaded)
    } else {
        Err(ManifestErrors::new(order.problems))
    }
}

fn unmet(
    manifest: &Manifest,
    dependency: &Dependency,
    found: Option<&&Manifest>,
) -> Option<ManifestError> {
    let Dependency { id, range, span } = dependency;
    match found {
        None => Some(manifest.diagnostic(
            *span,
            format!("`{}` depends on `{id}`, which is not there", manifest.id()),
            format!("add the plugin `{id}` ({range}), or remove the dependency"),
        )),
        Some(other) if !range.matches(other.version()) => Some(manifest.diagnostic(
            *span,
            format!(
                "`{}` depends on `{id}` {range}, but {} is there",
                manifest.id(),
                other.version()
            ),
            format!("install a version of `{id}` inside the range, or widen the range"),
        )),
        Some(_) => None,
    }
}

struct Order<'a, 'm> {
    by_id: &'m BTreeMap<&'a PluginId, &'a Manifest>,
    done: BTreeSet<&'a PluginId>,
    loaded: Vec<&'a Manifest>,
    problems: Vec<ManifestError>,
}

impl<'a> Order<'a, '_> {
    /// Depth first, with a stack of our own: how long a chain is, the plugins decide.
    fn visit(&mut self, id: &'a PluginId) {
        let Some(&root) = self.by_id.get(id) else {
            return;
        };
        if !self.done.insert(root.id()) {
            return;
        }
        let mut path: Vec<(&'a Manifest, std::slice::Iter<'a, Dependency>)> =
            vec![(root, root.dependencies().iter())];
        while let Some((manifest, rest)) = path.last_mut() {
            let manifest: &'a Manifest = manifest;
            let Some(dependency) = rest.next() else {
                self.loaded.push(manifest);
                path.pop();
                continue;
            };
            let ring = path.iter().position(|(one, _)| *one.id() == dependency.id);
            if let Some(start) = ring {
                let names: Vec<&str> = path
                    .iter()
                    .skip(start)
                    .map(|(one, _)| one.id().as_str())
                    .chain([dependency.id.as_str()])
                    .collect();
                self.problems.push(manifest.diagnostic(
                    dependency.span,
                    format!(
                        "plugins depend on each other in a circle: {}",
                        names.join(" → ")
                    ),
                    "remove one of these dependencies",
                ));
            } else if let Some(&next) = self.by_id.get(&dependency.id)
                && self.done.insert(next.id())
            {
                path.push((next, next.dependencies().iter()));
            }
        }
    }
}
