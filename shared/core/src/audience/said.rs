//! What a record of profiles says of its user.

use std::collections::BTreeMap;

use super::Record;
use crate::{
    id::{Qaid, SourceName},
    identity::{Source, StoredId},
    time::Millis,
};

/// What one source says of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// In which line, from 1.
    pub line: u64,
    /// Of whom.
    pub qaid: Qaid,
    /// Who says it.
    pub source: SourceName,
    /// What.
    pub what: Source,
}

impl Record<'_> {
    /// What it says; one that does not tell as of when speaks as of `otherwise`.
    ///
    /// The reader has checked the record of a profile file, so that `None` never comes of one.
    pub fn said(&self, otherwise: Millis) -> Option<Said> {
        let mut ids: BTreeMap<_, Vec<StoredId>> = BTreeMap::new();
        for (id_type, value) in self.ids() {
            ids.entry(id_type.clone()).or_default().push(StoredId::try_from(value.to_owned()).ok()?);
        }
        let tags = self.tags().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let updated = self.updated().unwrap_or(otherwise);
        let (qaid, source) = (self.qaid().parse().ok()?, self.source()?.clone());
        Some(Said { line: self.line(), qaid, source, what: Source { updated, ids, tags } })
    }
}
