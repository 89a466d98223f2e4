//! Profiles: what is known of a user, an item each, an attribute for each data source.
//!
//! A source's attribute is one map `{updated, ids: {<type>: [<id>]}, tags: {<name>: <value>}}`, replaced as a whole by one update of that
//! attribute alone: sources merge by standing beside each other, and none can erase what another said.

use std::collections::{BTreeMap, HashMap};

use fanhook_core::{
    id::{IdTypeCode, Qaid, SourceName, WorkspaceId},
    identity::{Profile, Source, StoredId},
    time::Millis,
};

use crate::{
    StoreError, StoreResult,
    item::{number, text},
    keys,
    ports::{Condition, Conditional, Item, Table, Update, Value, Write},
};

/// Users that one call of [`get_many`] reads at once.
pub const BATCH: usize = 100;

/// Before a source's name in the name of its attribute, so that none meets an attribute of ours.
const PREFIX: &str = "source:";
const WHAT: &str = "profile";

/// What became of what a source says of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It stands, in place of anything older that the source said.
    Stored,
    /// The source said something newer before, which stands.
    Outdated,
    /// With it the profile would be larger than the store takes; what was there before stands.
    TooLarge,
}

/// Stores what one source says of one user, unless that source said something newer before. What is as old replaces.
pub async fn put_source(
    profiles: &dyn Table,
    workspace: &WorkspaceId,
    qaid: &Qaid,
    source: &SourceName,
    said: &Source,
) -> StoreResult<Put> {
    let name = format!("{PREFIX}{source}");
    let condition = Condition::NotNewer(name.clone(), said.updated.0);
    let update = Update::default().set(name, encode(said));
    let write = Write::Update(keys::profile(workspace, qaid), update);
    match profiles.write(write, Some(condition)).await {
        Ok(Conditional::Done(_)) => Ok(Put::Stored),
        Ok(Conditional::Failed(_)) => Ok(Put::Outdated),
        Err(StoreError::TooLarge { .. }) => Ok(Put::TooLarge),
        Err(error) => Err(error),
    }
}

/// One user's profile, strongly consistent.
pub async fn get(profiles: &dyn Table, workspace: &WorkspaceId, qaid: &Qaid) -> StoreResult<Option<Profile>> {
    profiles.get(&keys::profile(workspace, qaid)).await?.map(decode).transpose()
}

/// The profiles of those of the users that have one, in any order; any number of users, none twice.
pub async fn get_many(
    profiles: &dyn Table,
    workspace: &WorkspaceId,
    qaids: &[Qaid],
) -> StoreResult<Vec<(Qaid, Profile)>> {
    let mut found = Vec::with_capacity(qaids.len());
    for batch in qaids.chunks(BATCH) {
        let keys: Vec<_> = batch.iter().map(|qaid| keys::profile(workspace, qaid)).collect();
        // A read that is a moment old will do: an import and a run have no order between them.
        for mut item in profiles.get_many(&keys, false).await? {
            let Some(Value::S(pk)) = item.remove("pk") else {
                return Err(StoreError::corrupt(WHAT, "its key is missing"));
            };
            let qaid = pk.strip_prefix(workspace.as_str()).and_then(|rest| rest.strip_prefix('#'));
            let qaid = qaid.ok_or_else(|| StoreError::corrupt(WHAT, "it is of another workspace"))?;
            let qaid = qaid.parse().map_err(|error| StoreError::corrupt(WHAT, error))?;
            found.push((qaid, decode(item)?));
        }
    }
    Ok(found)
}

/// Erases a user's profile, whatever sources said.
pub async fn erase(profiles: &dyn Table, workspace: &WorkspaceId, qaid: &Qaid) -> StoreResult<()> {
    profiles.write(Write::Delete(keys::profile(workspace, qaid)), None).await.map(|_| ())
}

fn encode(said: &Source) -> Value {
    let list = |ids: &Vec<StoredId>| Value::L(ids.iter().map(|id| text(id.as_str())).collect());
    let mut map = HashMap::from([("updated".to_owned(), number(said.updated.0))]);
    if !said.ids.is_empty() {
        let ids = said.ids.iter().map(|(code, ids)| (code.to_string(), list(ids))).collect();
        map.insert("ids".to_owned(), Value::M(ids));
    }
    if !said.tags.is_empty() {
        let tags = said.tags.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        map.insert("tags".to_owned(), Value::M(tags));
    }
    Value::M(map)
}

// By hand, and by moving texts out of the item: this is done for every user that is sent to.

fn decode(item: Item) -> StoreResult<Profile> {
    let mut sources = BTreeMap::new();
    for (name, value) in item {
        if let Some(name) = name.strip_prefix(PREFIX) {
            let name = name.parse().map_err(|error| StoreError::corrupt(WHAT, error))?;
            sources.insert(name, source(value)?);
        }
    }
    Ok(Profile { sources })
}

fn source(value: Value) -> StoreResult<Source> {
    let mut said = Source::default();
    for (field, value) in map(value)? {
        match field.as_str() {
            "updated" => said.updated = updated(&value)?,
            "ids" => said.ids = map(value)?.into_iter().map(ids).collect::<StoreResult<_>>()?,
            "tags" => {
                let tag = |(name, value)| Ok((name, string(value)?));
                said.tags = map(value)?.into_iter().map(tag).collect::<StoreResult<_>>()?;
            }
            // A later version's field.
            _ => {}
        }
    }
    Ok(said)
}

fn ids((code, values): (String, Value)) -> StoreResult<(IdTypeCode, Vec<StoredId>)> {
    let code = code.try_into().map_err(|error| StoreError::corrupt(WHAT, error))?;
    let Value::L(values) = values else { return Err(StoreError::corrupt(WHAT, "IDs are no list")) };
    let id = |value| StoredId::try_from(string(value)?).map_err(|error| StoreError::corrupt(WHAT, error));
    Ok((code, values.into_iter().map(id).collect::<StoreResult<_>>()?))
}

fn updated(value: &Value) -> StoreResult<Millis> {
    let Value::N(digits) = value else { return Err(StoreError::corrupt(WHAT, "`updated` is no number")) };
    digits.parse().map(Millis).map_err(|error| StoreError::corrupt(WHAT, error))
}

fn map(value: Value) -> StoreResult<HashMap<String, Value>> {
    match value {
        Value::M(map) => Ok(map),
        _ => Err(StoreError::corrupt(WHAT, "a map was expected")),
    }
}

fn string(value: Value) -> StoreResult<String> {
    match value {
        Value::S(text) => Ok(text),
        _ => Err(StoreError::corrupt(WHAT, "a text was expected")),
    }
}
