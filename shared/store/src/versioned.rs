//! Objects that a workspace has many of, each whole in one item: its JSON, its version, and how many others use it (`uses`).
//!
//! A change needs the version that was read, and stands in one transaction with all else that must hold at that moment ([`Writes`]): so
//! nothing is overwritten that its writer did not see, and nothing deleted that is used, whatever happens at once.

use std::{fmt::Display, str::FromStr};

use fanhook_core::{id::WorkspaceId, limits};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError, StoreResult,
    audit::{self, Entry},
    item::{Attributes, from_json, json, keyed, number},
    keys,
    ports::{Change, Condition, Item, Key, Query, Table, Transaction, Update, Value, Write},
};

/// Such an object.
pub(crate) trait Versioned: Serialize + DeserializeOwned {
    /// What it is, as in `webhook`.
    const WHAT: &'static str;
    /// Beginning of its sort keys.
    const PREFIX: &'static str;
    /// Its identifier.
    type Id: Copy + Display + FromStr;

    /// Where it is kept.
    const KEY: fn(&WorkspaceId, Self::Id) -> Key;

    fn head(&self) -> Head<'_, Self::Id>;
}

/// What is asked of any such object.
pub(crate) struct Head<'a, Id> {
    pub(crate) workspace: &'a WorkspaceId,
    pub(crate) id: Id,
    pub(crate) version: u32,
    pub(crate) name: &'a str,
}

/// What deleting an object gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// Others use it.
    InUse,
    /// Somebody changed it since it was read.
    Changed,
    /// It was gone before.
    Gone,
}

/// Who uses an object: told where its deletion is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// What they are, as in `webhook`.
    pub kind: &'static str,
    /// Identifier and name of each, oldest first; of the first [`limits::PAGE`] only, so that any number fits an answer.
    pub first: Vec<(String, String)>,
    /// How many there are.
    pub count: usize,
}

/// One object of a workspace.
pub(crate) async fn get<V: Versioned>(
    config: &dyn Table,
    workspace: &WorkspaceId,
    id: V::Id,
) -> StoreResult<Option<V>> {
    config.get(&(V::KEY)(workspace, id)).await?.map(|item| from_json(V::WHAT, &item)).transpose()
}

/// Objects of a workspace, oldest first, behind the one given; and where to go on.
pub(crate) async fn list<V: Versioned>(
    config: &dyn Table,
    workspace: &WorkspaceId,
    after: Option<V::Id>,
    limit: usize,
) -> StoreResult<(Vec<V>, Option<V::Id>)> {
    let query = Query {
        pk: keys::workspace(workspace),
        prefix: V::PREFIX.to_owned(),
        after: after.and_then(|id| (V::KEY)(workspace, id).sk),
        limit,
        consistent: true,
        ..Query::default()
    };
    let page = config.query(&query).await?;
    let objects = page.items.iter().map(|item| from_json(V::WHAT, item)).collect::<StoreResult<_>>()?;
    let parse = |sk: String| {
        let id = sk.strip_prefix(V::PREFIX).and_then(|id| id.parse().ok());
        id.ok_or_else(|| StoreError::corrupt(V::WHAT, "its sort key is not an identifier"))
    };
    Ok((objects, page.more.map(parse).transpose()?))
}

/// The objects of a workspace that use what `uses` asks for; none where there are none.
pub(crate) async fn users<V: Versioned>(
    config: &dyn Table,
    workspace: &WorkspaceId,
    uses: impl Fn(&V) -> bool,
) -> StoreResult<Option<Users>> {
    let (mut found, mut after) = (Users { kind: V::WHAT, first: Vec::new(), count: 0 }, None);
    loop {
        let (page, more) = list::<V>(config, workspace, after, limits::PAGE).await?;
        for user in page.iter().filter(|object| uses(object)) {
            if found.count < limits::PAGE {
                let head = user.head();
                found.first.push((head.id.to_string(), head.name.to_owned()));
            }
            found.count += 1;
        }
        if more.is_none() {
            return Ok((found.count > 0).then_some(found));
        }
        after = more;
    }
}

/// For the transaction of another object: one use more or less of this one.
pub(crate) fn used<V: Versioned>(workspace: &WorkspaceId, id: V::Id, by: i64) -> Write {
    Write::Update((V::KEY)(workspace, id), Update::default().with("uses", Change::Add(by)))
}

/// An object is still as it was read.
pub(crate) fn unchanged<V: Versioned>(object: &V) -> Condition {
    Condition::Equals("version", number(object.head().version))
}

fn key<V: Versioned>(object: &V) -> Key {
    let head = object.head();
    (V::KEY)(head.workspace, head.id)
}

/// The writes of one change: the object's own, which stands first, and others. `R` is what it means that one of those was refused.
pub(crate) struct Writes<'a, R> {
    workspace: &'a WorkspaceId,
    /// The object's JSON afterwards; none where it is deleted.
    wanted: Option<Value>,
    all: Vec<(Write, Option<Condition>)>,
    refusals: Vec<(usize, R)>,
}

/// What became of a change.
pub(crate) enum Committed<R> {
    /// It was made.
    Done,
    /// The object is not as it was read; how it stands.
    Changed(Item),
    /// The object is gone.
    Gone,
    /// Another write was refused.
    Refused(R),
}

impl<'a, R> Writes<'a, R> {
    /// An object is made.
    pub(crate) fn made<V: Versioned>(new: &'a V) -> StoreResult<Self> {
        let wanted = json(V::WHAT, new)?;
        let mut item = keyed(&key(new));
        item.insert("json".to_owned(), wanted.clone());
        item.insert("version".to_owned(), number(new.head().version));
        Ok(Self::new(new.head().workspace, Some(wanted), Write::Put(item), Condition::Absent))
    }

    /// An object that was read as `old` is replaced.
    pub(crate) fn replaced<V: Versioned>(old: &V, new: &'a V) -> StoreResult<Self> {
        let wanted = json(V::WHAT, new)?;
        let update = Update::default().set("json", wanted.clone()).set("version", number(new.head().version));
        Ok(Self::new(new.head().workspace, Some(wanted), Write::Update(key(new), update), unchanged(old)))
    }

    /// An object that was read so is deleted, unless others use it.
    pub(crate) fn deleted<V: Versioned>(old: &'a V) -> Self {
        let unused = Condition::Any(vec![Condition::Missing("uses"), Condition::AtMost("uses", 0)]);
        let condition = Condition::All(vec![unchanged(old), unused]);
        Self::new(old.head().workspace, None, Write::Delete(key(old)), condition)
    }

    fn new(workspace: &'a WorkspaceId, wanted: Option<Value>, own: Write, condition: Condition) -> Self {
        Self { workspace, wanted, all: vec![(own, Some(condition))], refusals: Vec::new() }
    }

    /// And this write.
    pub(crate) fn and(&mut self, write: Write) {
        self.all.push((write, None));
    }

    /// And this write, under a condition; `refusal` is what it means where it does not hold.
    pub(crate) fn and_where(&mut self, (write, condition): (Write, Condition), refusal: R) {
        self.refusals.push((self.all.len(), refusal));
        self.all.push((write, Some(condition)));
    }

    /// Writes all of it, or nothing. What is said of the object itself goes first, then the refusals in the order that they came in.
    pub(crate) async fn commit(mut self, config: &dyn Table, audit: &Entry) -> StoreResult<Committed<R>> {
        self.all.extend(audit::writes(self.workspace, audit)?);
        let Transaction::Failed(failed) = config.transact(self.all).await? else {
            return Ok(Committed::Done);
        };
        if let Some((_, standing)) = failed.iter().find(|(index, _)| *index == 0) {
            return Ok(match standing {
                None => Committed::Gone,
                // A transaction whose answer was lost meets its own version.
                Some(item) if self.wanted.is_some_and(|wanted| item.get("json") == Some(&wanted)) => {
                    Committed::Done
                }
                Some(item) => Committed::Changed(item.clone()),
            });
        }
        let refused = |(at, _): &(usize, R)| failed.iter().any(|(index, _)| index == at);
        match self.refusals.into_iter().find(refused) {
            Some((_, refusal)) => Ok(Committed::Refused(refusal)),
            None => Err(StoreError::corrupt("change", "it was refused for no reason")),
        }
    }
}

impl Writes<'_, Deleted> {
    /// Deletes the object, and tells one that is used from one that was changed.
    pub(crate) async fn delete(self, config: &dyn Table, audit: &Entry) -> StoreResult<Deleted> {
        Ok(match self.commit(config, audit).await? {
            Committed::Done => Deleted::Done,
            Committed::Changed(item) if item.maybe_number("uses")?.unwrap_or(0) > 0 => Deleted::InUse,
            Committed::Changed(_) => Deleted::Changed,
            Committed::Gone => Deleted::Gone,
            Committed::Refused(refusal) => refusal,
        })
    }
}
