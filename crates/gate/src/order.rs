//! Which plugins load, in which order, and which cannot for want of another: one broken plugin takes down only
//! those that depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::world::Source;

/// Plugins in the order in which they load, and those that do not load, with the reason.
pub struct Order {
    /// Each after what it depends on; otherwise by id, so that the order is always the same.
    pub load: Vec<Arc<Source>>,
    /// Plugins that cannot be loaded, by id, with the reason for people.
    pub refused: Vec<(Arc<Source>, String)>,
}

/// Puts plugins in order. Ids that two plugins claim name neither; dependencies that are missing, of another version or
/// in a circle refuse the plugins that have them.
#[must_use]
pub fn order(sources: Vec<Source>) -> Order {
    let mut refused = Vec::new();
    let mut by_id: BTreeMap<String, Vec<Arc<Source>>> = BTreeMap::new();
    for source in sources {
        let id = source.manifest.id().to_string();
        by_id.entry(id).or_default().push(Arc::new(source));
    }
    let mut waiting: BTreeMap<String, Arc<Source>> = BTreeMap::new();
    for (id, same) in by_id {
        if let [only] = same.as_slice() {
            waiting.insert(id, only.clone());
            continue;
        }
        let why = format!(
            "the id `{id}` is claimed by {} plugins: give each its own",
            same.len()
        );
        refused.extend(same.into_iter().map(|source| (source, why.clone())));
    }
    let known = waiting.clone();
    let mut load: Vec<Arc<Source>> = Vec::new();
    let mut loaded: BTreeSet<String> = BTreeSet::new();
    loop {
        let next = waiting
            .iter()
            .find(|(_, source)| {
                let mut needs = source.manifest.dependencies().iter();
                needs.all(|need| {
                    loaded.contains(need.id.as_str())
                        && known
                            .get(need.id.as_str())
                            .is_some_and(|found| need.range.matches(found.manifest.version()))
                })
            })
            .map(|(id, _)| id.clone());
        let Some((id, source)) = next.and_then(|id| waiting.remove_entry(&id)) else {
            break;
        };
        loaded.insert(id);
        load.push(source);
    }
    for source in waiting.values() {
        let why = unmet(source, &known, &loaded);
        refused.push((source.clone(), why));
    }
    Order { load, refused }
}

/// Why a plugin that is left over cannot be loaded.
fn unmet(
    source: &Source,
    known: &BTreeMap<String, Arc<Source>>,
    loaded: &BTreeSet<String>,
) -> String {
    let mut reasons = Vec::new();
    for need in source.manifest.dependencies() {
        let (id, range) = (&need.id, &need.range);
        match known.get(id.as_str()).map(|found| found.manifest.version()) {
            None => reasons.push(format!(
                "it depends on `{id}` {range}, which is not there: add that plugin"
            )),
            Some(version) if !range.matches(version) => reasons.push(format!(
                "it depends on `{id}` {range}, but {version} is there"
            )),
            Some(_) if !loaded.contains(id.as_str()) => reasons.push(format!(
                "it depends on `{id}`, which was not loaded: it lacks a dependency itself, or they depend on each other in a circle"
            )),
            Some(_) => {}
        }
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::source;
    use bailiwick_manifest::Manifest;

    fn plugin(id: &str, version: &str, needs: &[(&str, &str)]) -> Source {
        let needs: Vec<String> = needs
            .iter()
            .map(|(id, range)| format!("{id}: '{range}'"))
            .collect();
        let text = format!(
            "id: {id}\nversion: {version}\nruntime: {{command: [x]}}\ndependencies: {{{}}}\n",
            needs.join(", ")
        );
        source(Manifest::parse(id, text.as_bytes()).unwrap(), None, None)
    }

    fn sorted(sources: Vec<Source>) -> (Vec<String>, Vec<(String, String)>) {
        let order = order(sources);
        let id = |source: &Arc<Source>| source.manifest.id().to_string();
        (
            order.load.iter().map(id).collect(),
            order
                .refused
                .iter()
                .map(|(source, why)| (id(source), why.clone()))
                .collect(),
        )
    }

    #[test]
    fn what_is_depended_on_loads_first() {
        let (load, refused) = sorted(vec![
            plugin("a", "1.0.0", &[("c", "^1")]),
            plugin("b", "1.0.0", &[]),
            plugin("c", "1.2.0", &[("d", "*")]),
            plugin("d", "0.1.0", &[]),
        ]);
        assert_eq!(load, ["b", "d", "c", "a"]);
        assert!(refused.is_empty());
    }

    #[test]
    fn a_broken_plugin_takes_down_only_its_dependents() {
        let (load, refused) = sorted(vec![
            plugin("alone", "1.0.0", &[]),
            plugin("lost", "1.0.0", &[("nowhere", "*")]),
            plugin("old", "1.0.0", &[("alone", "^2")]),
            plugin("rides", "1.0.0", &[("lost", "*")]),
            plugin("ring-a", "1.0.0", &[("ring-b", "*")]),
            plugin("ring-b", "1.0.0", &[("ring-a", "*")]),
            plugin("self", "1.0.0", &[("self", "*")]),
        ]);
        assert_eq!(load, ["alone"]);
        let why = |id: &str| {
            let found = refused.iter().find(|(of, _)| of == id);
            found.map(|(_, why)| why.as_str()).unwrap()
        };
        assert!(why("lost").contains("`nowhere` *, which is not there"));
        assert!(why("old").contains("but 1.0.0 is there"));
        assert!(why("rides").contains("`lost`, which was not loaded"));
        assert!(why("ring-a").contains("circle") && why("ring-b").contains("circle"));
        assert!(why("self").contains("circle"));
    }

    #[test]
    fn an_id_that_two_claim_names_neither() {
        let (load, refused) = sorted(vec![
            plugin("twin", "1.0.0", &[]),
            plugin("twin", "2.0.0", &[]),
            plugin("other", "1.0.0", &[]),
        ]);
        assert_eq!(load, ["other"]);
        assert_eq!(refused.len(), 2);
        assert!(refused[0].1.contains("claimed by 2 plugins"));
    }
}
