//! The plugins of a session with the names of their tools, as of one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plugin::{Plugin, Withheld};
use crate::session::NAMESPACE;
use crate::tool::{BoundTool, usable};

/// What a session has. It never changes; another one takes its place.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    plugins: Vec<Arc<Plugin>>,
    /// Name at the gate → plugin and the tool's own name.
    names: BTreeMap<String, (usize, String)>,
}

/// A shelf with one more plugin, or another one in its place.
pub(crate) struct Grown {
    pub(crate) shelf: Shelf,
    /// The names under which its tools are offered.
    pub(crate) offered: Vec<String>,
    /// Whose place it took.
    pub(crate) replaced: Option<Arc<Plugin>>,
}

impl Shelf {
    pub(crate) fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    pub(crate) fn find(&self, name: &str) -> Option<(&Arc<Plugin>, &BoundTool)> {
        let (at, own) = self.names.get(name)?;
        let plugin = self.plugins.get(*at)?;
        Some((plugin, plugin.tools.get(own)?))
    }

    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        self.plugins.iter().position(|plugin| plugin.id() == id)
    }

    /// All but one, and that one.
    pub(crate) fn without(&self, id: &str) -> (Self, Option<Arc<Plugin>>) {
        let mut rest = self.clone();
        let Some(at) = self.place(id) else {
            return (rest, None);
        };
        let taken = rest.plugins.remove(at);
        rest.names.retain(|_, (place, _)| *place != at);
        for (place, _) in rest.names.values_mut().filter(|(place, _)| *place > at) {
            *place -= 1;
        }
        (rest, Some(taken))
    }

    /// Puts a plugin in, in the place of the one of its id. Tools that cannot be offered are withheld.
    pub(crate) fn with(
        &self,
        plugin: Arc<Plugin>,
        namespaced: bool,
        withheld: &mut Withheld,
    ) -> Grown {
        let mut shelf = self.clone();
        let at = self.place(plugin.id()).unwrap_or(shelf.plugins.len());
        shelf.names.retain(|_, (place, _)| *place != at);
        let mut offered = Vec::new();
        for own in plugin.tools.keys() {
            let shown = if namespaced {
                format!("{}{NAMESPACE}{own}", plugin.id())
            } else {
                own.clone()
            };
            match usable(&shown) {
                Err(why) => withheld.push((own.clone(), why)),
                Ok(()) if shelf.names.contains_key(&shown) => {
                    let why = "a tool of another plugin has its name already".to_owned();
                    withheld.push((own.clone(), why));
                }
                Ok(()) => {
                    offered.push(shown.clone());
                    shelf.names.insert(shown, (at, own.clone()));
                }
            }
        }
        let replaced = match shelf.plugins.get_mut(at) {
            Some(place) => Some(std::mem::replace(place, plugin)),
            None => {
                shelf.plugins.push(plugin);
                None
            }
        };
        Grown {
            shelf,
            offered,
            replaced,
        }
    }
}
