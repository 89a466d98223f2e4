//! The audit log: who changed what, when, and how it was before and after; listed by object and by person.
//!
//! An entry is written in the transaction of its change, where both are in the same table. Where they are not, it is written first: so
//! no change is without its entry, though an entry may be of a change that did not come about.

use std::cmp::Reverse;

use fanhook_core::{
    id::{EntryId, WorkspaceId},
    limits,
    time::Millis,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::{
    StoreError, StoreResult,
    item::{Attributes, from_json, json, keyed, text},
    keys,
    ports::{Condition, Item, Key, Order, Query, Table, Transaction, Write},
};

const WHAT: &str = "audit entry";
/// Entries that are read at once: they may be large, and what does not fit into the page was read for nothing.
const AT_ONCE: usize = 10;

/// What a change was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Kind of the object, as in `webhook`.
    pub kind: String,
    /// Its identifier among those of its kind.
    pub id: String,
}

/// One change. No secret stands in it: `before` and `after` are what the API tells of the object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Identifier; entries sort by the time of the change.
    pub id: EntryId,
    /// When.
    pub at: Millis,
    /// Who, by the subject of the token.
    pub person: String,
    /// What was done, as in `replaced`.
    pub action: String,
    /// To what.
    pub subject: Subject,
    /// How it was, as far as it changed; none where it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// How it is, as far as it changed; none where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
}

/// The writes of an entry, for the transaction of its change: the entry by its object, and where it is by its person.
pub(crate) fn writes(workspace: &WorkspaceId, entry: &Entry) -> StoreResult<[(Write, Option<Condition>); 2]> {
    let sk = Some(entry.id.to_string());
    let key = Key { pk: of(workspace, &entry.subject), sk: sk.clone() };
    let mut whole = keyed(&key);
    whole.insert("json".to_owned(), json(WHAT, entry)?);
    let mut listed = keyed(&Key { pk: by_person(workspace, &entry.person), sk });
    listed.insert("of".to_owned(), text(&key.pk));
    Ok([(Write::Put(whole), None), (Write::Put(listed), None)])
}

/// Writes an entry by itself.
pub async fn record(config: &dyn Table, workspace: &WorkspaceId, entry: &Entry) -> StoreResult<()> {
    match config.transact(writes(workspace, entry)?.into()).await? {
        Transaction::Done => Ok(()),
        Transaction::Failed(_) => Err(StoreError::corrupt(WHAT, "it was refused")),
    }
}

/// The changes of one object, newest first, behind the one given; and where to go on.
pub async fn of_subject(
    config: &dyn Table,
    workspace: &WorkspaceId,
    subject: &Subject,
    after: Option<EntryId>,
    limit: usize,
) -> StoreResult<(Vec<Entry>, Option<EntryId>)> {
    let page = config.query(&newest(of(workspace, subject), after, limit)).await?;
    let entries = page.items.iter().map(|item| from_json(WHAT, item)).collect::<StoreResult<_>>()?;
    Ok((entries, more(page.more)?))
}

/// The changes that one person made, newest first, behind the one given, as many as an answer holds; and where to go on.
pub async fn by(
    config: &dyn Table,
    workspace: &WorkspaceId,
    person: &str,
    after: Option<EntryId>,
    limit: usize,
) -> StoreResult<(Vec<Entry>, Option<EntryId>)> {
    let page = config.query(&newest(by_person(workspace, person), after, limit)).await?;
    let place =
        |item: &Item| Ok(Key { pk: item.text("of")?.to_owned(), sk: Some(item.text("sk")?.to_owned()) });
    let places: Vec<Key> = page.items.iter().map(place).collect::<StoreResult<_>>()?;
    let (mut entries, mut filled): (Vec<(Entry, usize)>, usize) = (Vec::new(), 0);
    for places in places.chunks(AT_ONCE) {
        if filled > limits::ANSWER {
            break;
        }
        for item in config.get_many(places, true).await? {
            let size = item.text("json")?.len();
            entries.push((from_json(WHAT, &item)?, size));
            filled += size;
        }
    }
    entries.sort_by_key(|(entry, _)| Reverse(entry.id));
    let fitting = limits::fitting(entries.iter().map(|(_, size)| *size));
    let more = match entries.get(fitting - 1) {
        Some((last, _)) if fitting < places.len() => Some(last.id),
        _ => self::more(page.more)?,
    };
    entries.truncate(fitting);
    Ok((entries.into_iter().map(|(entry, _)| entry).collect(), more))
}

fn newest(pk: String, after: Option<EntryId>, limit: usize) -> Query {
    let after = after.map(|entry| entry.to_string());
    Query { pk, after, limit, order: Order::Descending, consistent: true, ..Query::default() }
}

fn more(sk: Option<String>) -> StoreResult<Option<EntryId>> {
    sk.map(|sk| sk.parse().map_err(|error| StoreError::corrupt(WHAT, error))).transpose()
}

/// An object's identifier, or a person's, may hold anything: keys hold a digest of it.
fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn of(workspace: &WorkspaceId, subject: &Subject) -> String {
    keys::audit(workspace, &digest(&format!("{}#{}", subject.kind, subject.id)))
}

fn by_person(workspace: &WorkspaceId, person: &str) -> String {
    keys::audit_by(workspace, &digest(person))
}
