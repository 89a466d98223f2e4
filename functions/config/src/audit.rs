//! `/audit`: who changed what, when, and how it was before and after.

use axum::Json;
use fanhook_core::{
    fault::{Fault, nearest},
    id::{EntryId, WorkspaceId},
};
use fanhook_store::audit::{self, Entry, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Admin, Caller},
    output::{Page, PageQuery, Time},
    problem::{Problem, Result},
    query::Params,
};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Made,
    Replaced,
    Deleted,
    Started,
    Paused,
    Resumed,
    Cancelled,
    Consented,
    Tested,
    Withdrawn,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Replaced => "replaced",
            Self::Deleted => "deleted",
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Cancelled => "cancelled",
            Self::Consented => "consented",
            Self::Tested => "tested",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// An object, as the log names it: its kind and its identifier.
pub(crate) type Of<'a> = (&'static str, &'a str);

impl Caller {
    /// The entry of a change by this caller. Objects are told as the API tells them, so without secrets; of both only what differs.
    pub(crate) fn entry<T: Serialize>(
        &self,
        action: Action,
        of: Of<'_>,
        before: Option<&T>,
        after: Option<&T>,
    ) -> Entry {
        let told = |object: Option<&T>| object.map(|object| serde_json::to_value(object).unwrap_or_default());
        let (mut before, mut after) = (told(before), told(after));
        if let (Some(before), Some(after)) = (&mut before, &mut after) {
            keep_differences(before, after);
        }
        Entry {
            id: EntryId::new(self.random.uuid7(self.now)),
            at: self.now,
            person: self.person.clone(),
            action: action.name().to_owned(),
            subject: Subject { kind: of.0.to_owned(), id: of.1.to_owned() },
            before,
            after,
        }
    }

    /// Writes the entry of a change that another table holds: before the change is made.
    pub(crate) async fn record<T: Serialize>(
        &self,
        action: Action,
        of: Of<'_>,
        before: Option<&T>,
        after: Option<&T>,
    ) -> Result<()> {
        self.record_entry(&self.entry(action, of, before, after)).await
    }

    /// Writes an entry; once more, it stands in place of itself.
    pub(crate) async fn record_entry(&self, entry: &Entry) -> Result<()> {
        Ok(audit::record(&*self.config, &self.workspace, entry).await?)
    }
}

/// An object as the log tells it: as the API does, and beside what each of these pointers finds a secret by a mark. Every encryption
/// gives another ciphertext, so that the mark says nothing of the secret, but that it was replaced.
pub(crate) fn masked<'a>(
    view: &impl Serialize,
    secrets: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Value {
    let mut told = serde_json::to_value(view).unwrap_or_default();
    for (pointer, ciphertext) in secrets {
        if let (Some(Value::Object(holder)), Some(ciphertext)) = (told.pointer_mut(pointer), ciphertext) {
            let mark = hex::encode(&Sha256::digest(ciphertext)[..4]);
            holder.insert("secret".to_owned(), format!("[masked {mark}]").into());
        }
    }
    told
}

/// Drops what two objects have in common, member by member; lists are compared whole.
fn keep_differences(before: &mut Value, after: &mut Value) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return };
    let shared: Vec<String> = old.keys().filter(|name| new.contains_key(*name)).cloned().collect();
    for name in shared {
        if old[&name] == new[&name] {
            old.remove(&name);
            new.remove(&name);
        } else {
            keep_differences(&mut old[&name], &mut new[&name]);
        }
    }
}

/// What the log knows of.
const KINDS: [&str; 11] = [
    "webhook",
    "push",
    "parameter_source",
    "grant",
    "run",
    "upload",
    "id_type",
    "sources",
    "profiles",
    "profile",
    "organization_key",
];

/// Whose changes, or the changes of what: either `person`, or `kind` and `object`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Changes by this person, by the subject (`sub`) of their tokens.
    person: Option<String>,
    /// With `object`: changes of this object. `webhook`, `push`, `parameter_source`, `grant`, `run`, `upload`, `id_type`, `sources`,
    /// `profiles`, `profile`, `organization_key`.
    kind: Option<String>,
    /// Its identifier: of an ID type its code, of a grant its webhook, of a profile the SHA-256 of its QAID in hex, of `sources` and
    /// `profiles` the same word, of the organization key `organization`.
    object: Option<String>,
    /// Most items of the page; 50 where it is left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
#[schema(example = json!({
    "id": "0190a5b2c3d4e5f60718293a4b5c6d7e", "at": "2027-01-15T08:00:00.000Z", "person": "a-subject", "action": "replaced",
    "kind": "webhook", "object": "whk_0190a5b2c3d4e5f60718293a4b5c6d7e", "before": {"version": 1, "name": "Coupon"},
    "after": {"version": 2, "name": "Coupons"},
}))]
pub(crate) struct EntryView {
    /// Its identifier.
    id: EntryId,
    /// When.
    at: Time,
    /// Who, by the subject of the token.
    person: String,
    /// `made`, `replaced`, `deleted`, `started`, `paused`, `resumed`, `cancelled`, `consented`, `withdrawn`, `tested`.
    action: String,
    /// Kind of the object.
    kind: String,
    /// The object.
    object: String,
    /// How it was, as far as it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// How it is, as far as it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, person, action, subject, before, after } = entry;
        Self { id, at: Time(at), person, action, kind: subject.kind, object: subject.id, before, after }
    }
}

/// Lists changes, newest first: of one object, or by one person.
///
/// An entry of a run, an upload, profiles or the organization key is written before the change itself, and may be of one that did not come about.
#[utoipa::path(get, path = "/audit", tag = "Audit", operation_id = "list_changes", params(AuditQuery), responses(
    (status = 200, description = "A page of them.", body = Page<EntryView>),
))]
pub(crate) async fn list(admin: Admin, Params(query): Params<AuditQuery>) -> Result<Json<Page<EntryView>>> {
    let AuditQuery { person, kind, object, limit, cursor } = query;
    let (after, limit) = PageQuery::new(limit, cursor).read()?;
    if let Some(kind) = kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
        let fault =
            Fault::new("kind", format!("the log knows of no such kind; there are {}", KINDS.join(", ")));
        return Err(Problem::invalid(vec![match nearest(kind, KINDS) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        }]));
    }
    let (table, workspace): (_, &WorkspaceId) = (&*admin.config, &admin.workspace);
    let (entries, more) = match (person, kind, object) {
        (Some(person), None, None) => audit::by(table, workspace, &person, after, limit).await?,
        (None, Some(kind), Some(id)) => {
            audit::of_subject(table, workspace, &Subject { kind, id }, after, limit).await?
        }
        _ => {
            let fault = Fault::new("", "the query names either `person`, or `kind` and `object`");
            return Err(Problem::invalid(vec![fault]));
        }
    };
    Ok(Json(Page::new(entries.into_iter().map(EntryView::from).collect(), more)))
}
