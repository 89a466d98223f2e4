//! From a row to what it says of a user: pure.

use std::collections::BTreeMap;

use fanhook_core::{
    audience::Record,
    id::{Qaid, SourceName},
    identity::{Source, StoredId},
    time::Millis,
};

/// What one row says.
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

/// What a row says; one that does not tell as of when speaks as of `otherwise`.
///
/// The reader has checked the row, so that `None` never comes.
pub fn said(record: &Record<'_>, otherwise: Millis) -> Option<Said> {
    let mut ids: BTreeMap<_, Vec<StoredId>> = BTreeMap::new();
    for (id_type, value) in record.ids() {
        ids.entry(id_type.clone()).or_default().push(StoredId::try_from(value.to_owned()).ok()?);
    }
    let tags = record.tags().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let updated = record.updated().unwrap_or(otherwise);
    let (qaid, source) = (record.qaid().parse().ok()?, record.source()?.clone());
    Some(Said { line: record.line(), qaid, source, what: Source { updated, ids, tags } })
}
