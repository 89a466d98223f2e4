//! What is known of one user, by the data source that said it.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::StoredId;
use crate::{
    id::{IdTypeCode, SourceName},
    time::Millis,
};

/// What all sources know of one user. A source only ever replaces what it said itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile {
    /// What each source said last.
    pub sources: BTreeMap<SourceName, Source>,
}

/// What one source knows of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// As of when.
    pub updated: Millis,
    /// IDs by type, the strongest first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<IdTypeCode, Vec<StoredId>>,
    /// Tags by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Profile {
    /// Forgets all but IDs of these types and these tags.
    pub fn keep(&mut self, id_types: &[IdTypeCode], tags: &[String]) {
        for source in self.sources.values_mut() {
            source.ids.retain(|code, _| id_types.contains(code));
            source.tags.retain(|name, _| tags.contains(name));
        }
    }

    /// The profile as one, where a stronger source stands before a weaker one.
    ///
    /// `order` names the workspace's sources, the strongest first. Sources that it does not name are weaker than all that it does;
    /// among them the newest is the strongest, and of the same age the one whose name sorts first.
    pub fn merged(&self, order: &[SourceName]) -> Merged<'_> {
        let mut ranked: Vec<_> = self.sources.iter().collect();
        if ranked.len() > 1 {
            ranked.sort_by_key(|&(name, source)| {
                let rank = order.iter().position(|known| known == name).unwrap_or(order.len());
                (rank, Reverse(source.updated), name)
            });
        }
        Merged { sources: ranked.into_iter().map(|(_, source)| source).collect() }
    }
}

/// A profile's sources, the strongest first.
#[derive(Clone, Debug, Default)]
pub struct Merged<'a> {
    sources: Vec<&'a Source>,
}

impl<'a> Merged<'a> {
    /// All IDs of a type, the strongest first.
    pub fn ids(&self, id_type: &str) -> impl Iterator<Item = &'a StoredId> {
        self.sources.iter().filter_map(move |source| source.ids.get(id_type)).flatten()
    }

    /// The strongest source's value of a tag that is not empty.
    pub fn tag(&self, name: &str) -> Option<&'a str> {
        self.sources
            .iter()
            .filter_map(|source| source.tags.get(name))
            .map(String::as_str)
            .find(|value| !value.is_empty())
    }
}
