//! `/profiles`: what is known of users, written in batches; one user looked up or erased.

use std::collections::{BTreeMap, HashMap};

use axum::{Json, http::StatusCode};
use fanhook_core::{
    audience::{Item, Kind, Limits, Reader, Reason, Said},
    fault::Fault,
    id::{IdTypeCode, Qaid, SourceName},
    identity::Source,
    limits,
    time::Millis,
};
use fanhook_store::{
    id_types,
    profiles::{self, Put},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Admin, Member},
    audit::Action,
    input::Input,
    output::Time,
    problem::{Problem, Result},
    query::Params,
};

/// Users that are written at a time.
const AT_A_TIME: usize = 16;

/// A batch; each item is as a line of an NDJSON profile file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"items": [{"qaid": "u-17", "source": "crm", "ids": {"MOBILE": ["+4915112345678"]}, "tags": {"name": "Ann"}}]}))]
pub(crate) struct Batch {
    /// The profiles, each as a line of an NDJSON profile file: `qaid`, `source`, `updated` (left out: now; at most a
    /// day ahead), `ids`, `tags`.
    #[schema(min_items = 1, max_items = 500, value_type = Vec<serde_json::Value>)]
    items: Vec<Box<RawValue>>,
}

/// What became of a batch, item by item, in its order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{"result": "stored"}]}))]
pub(crate) struct Results {
    /// One each.
    items: Vec<ItemResult>,
}

/// What became of one item.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
enum ItemResult {
    /// It stands, in place of what its source said before.
    Stored,
    /// Its source said something newer before.
    Outdated,
    /// It is wrong; nothing of it was stored.
    Refused {
        /// What is wrong with it.
        error: Fault,
    },
}

impl ItemResult {
    fn refused(index: usize, item: &RawValue, reason: &Reason) -> Self {
        let mut error =
            Fault::new(member(item, reason), reason.to_string()).within(&format!("items[{index}]"));
        if let Reason::Json { column, .. } = reason {
            (error.line, error.column) = (Some(1), u32::try_from(*column).ok());
        }
        if *reason == Reason::ProfileTooLarge {
            error = error.hint("let a source say less of the user, or erase the user");
        }
        Self::Refused { error }
    }
}

/// The path in an item of what is wrong with it.
fn member(item: &RawValue, reason: &Reason) -> String {
    match reason {
        Reason::Json { column, .. } => {
            // The last byte that was read: of what is of another type that is the one in front.
            let read = column.saturating_sub(1);
            let between = |byte: &u8| b" \t\r\n:,".contains(byte);
            let blank = item.get().as_bytes().iter().skip(read).take_while(|byte| between(byte)).count();
            path_to(item, read + blank)
        }
        Reason::Missing { field } => (*field).to_owned(),
        // A file of columns has one for each type.
        Reason::Invalid { field, .. } | Reason::Repeated { field } => match field.strip_prefix("id.") {
            Some(id_type) => format!("ids.{id_type}"),
            None => field.clone(),
        },
        _ => String::new(),
    }
}

/// The path in a value of the innermost one that holds the byte at an offset of its text.
fn path_to(value: &RawValue, offset: usize) -> String {
    let text = value.get();
    let inner: Vec<(String, &RawValue)> =
        if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
            members.into_iter().collect()
        } else {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            items.into_iter().enumerate().map(|(index, item)| (format!("[{index}]"), item)).collect()
        };
    let holding = inner.into_iter().find_map(|(name, value)| {
        let start = value.get().as_ptr().addr() - text.as_ptr().addr();
        let within = offset.checked_sub(start).filter(|within| *within < value.get().len())?;
        Some(Fault::new(path_to(value, within), "").within(&name).field)
    });
    holding.unwrap_or_default()
}

/// Writes a batch of profiles, each item with a fate of its own.
///
/// An item replaces what its source said of the user before, unless that was newer. Doing a batch again changes nothing.
#[utoipa::path(post, path = "/profiles", tag = "Profiles", operation_id = "write_profiles", request_body = Batch, responses(
    (status = 200, description = "What became of each item, in their order.", body = Results),
))]
pub(crate) async fn write(member: Member, Input(batch): Input<Batch>) -> Result<Json<Results>> {
    let count = batch.items.len();
    if count == 0 || count > limits::PROFILES {
        let fault = Fault::new("items", format!("a batch is 1 to {} profiles", limits::PROFILES));
        return Err(Problem::invalid(vec![fault]));
    }
    let types = id_types::get(&*member.config, &member.workspace).await?.types;
    let types = types.into_iter().map(|id_type| id_type.code).collect();
    let mut results = vec![ItemResult::Stored; count];
    // What a batch says last of a user stands: so one user's items go one after the other.
    let mut users: HashMap<Qaid, Vec<(usize, Said)>> = HashMap::new();
    for (index, read) in read(&batch.items, types, member.now).into_iter().enumerate() {
        match read {
            Ok(said) => users.entry(said.qaid.clone()).or_default().push((index, said)),
            Err(reason) => results[index] = ItemResult::refused(index, &batch.items[index], &reason),
        }
    }
    let mut sources: BTreeMap<&SourceName, usize> = BTreeMap::new();
    for (_, said) in users.values().flatten() {
        *sources.entry(&said.source).or_default() += 1;
    }
    if !sources.is_empty() {
        // The log outlives the profiles, so it does not name the users.
        let after = json!({"items_by_source": sources});
        member.record(Action::Replaced, ("profiles", "profiles"), None, Some(&after)).await?;
    }
    let (table, workspace) = (&*member.profiles, &member.workspace);
    let put = async |items: Vec<(usize, Said)>| {
        let mut done = Vec::with_capacity(items.len());
        for (index, said) in items {
            let put = profiles::put_source(table, workspace, &said.qaid, &said.source, &said.what).await?;
            done.push((index, put));
        }
        Ok::<_, Problem>(done)
    };
    let work: Vec<_> = users.into_values().map(put).collect();
    let done: Vec<Vec<(usize, Put)>> = stream::iter(work).buffer_unordered(AT_A_TIME).try_collect().await?;
    for (index, put) in done.into_iter().flatten() {
        results[index] = match put {
            Put::Stored => ItemResult::Stored,
            Put::Outdated => ItemResult::Outdated,
            Put::TooLarge => ItemResult::refused(index, &batch.items[index], &Reason::ProfileTooLarge),
        };
    }
    Ok(Json(Results { items: results }))
}

/// What an item says, or what is wrong with it.
type Read = std::result::Result<Said, Reason>;

/// Reads items by the rules of profile files.
fn read(items: &[Box<RawValue>], types: Vec<IdTypeCode>, now: Millis) -> Vec<Read> {
    let no_object = || Reason::Json { detail: "an object is expected".to_owned(), column: 1 };
    let mut read: Vec<Read> = items.iter().map(|_| Err(no_object())).collect();
    let objects: Vec<usize> = (0..items.len()).filter(|&index| items[index].get().starts_with('{')).collect();
    let mut reader = Reader::new(Kind::Profiles, types, Limits::of_profiles(now));
    for &index in &objects {
        // Outside strings a line break is but a blank; inside, JSON has none.
        reader.feed(items[index].get().replace(['\n', '\r'], " ").as_bytes());
        reader.feed(b"\n");
    }
    reader.end();
    let place = |line: u64| usize::try_from(line).ok().and_then(|line| objects.get(line.checked_sub(1)?));
    loop {
        match reader.read() {
            Ok(Item::Record(record)) => {
                if let (Some(&index), Some(said)) = (place(record.line()), record.said(now)) {
                    read[index] = Ok(said);
                }
            }
            Ok(Item::Bad(row)) => {
                if let Some(&index) = place(row.line) {
                    read[index] = Err(row.reason);
                }
            }
            // Lines of objects are NDJSON whatever stands in them: no error of a whole file comes.
            Ok(Item::Starved | Item::End) | Err(_) => return read,
        }
    }
}

/// Whom a request is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// The user.
    #[param(example = "u-17")]
    qaid: Qaid,
}

/// What is known of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
#[schema(example = json!({
    "qaid": "u-17", "sources": {"crm": {"updated": "2027-01-15T08:00:00.000Z", "ids": {"MOBILE": ["+4915112345678"]}, "tags": {"name": "Ann"}}},
}))]
pub(crate) struct ProfileView {
    /// The user.
    qaid: Qaid,
    /// By source.
    sources: BTreeMap<SourceName, SourceView>,
}

/// What one source said last of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProfileSource)]
struct SourceView {
    /// When.
    updated: Time,
    /// IDs by type; digests are written `md5:…` and `sha256:…`.
    ids: BTreeMap<IdTypeCode, Vec<String>>,
    /// Tags by name.
    tags: BTreeMap<String, String>,
}

impl From<Source> for SourceView {
    fn from(source: Source) -> Self {
        let texts = |ids: Vec<fanhook_core::identity::StoredId>| ids.into_iter().map(String::from).collect();
        Self {
            updated: Time(source.updated),
            ids: source.ids.into_iter().map(|(code, ids)| (code, texts(ids))).collect(),
            tags: source.tags,
        }
    }
}

/// Tells what each source says of a user.
#[utoipa::path(get, path = "/profiles", tag = "Profiles", operation_id = "read_profile", params(User), responses(
    (status = 200, description = "The profile.", body = ProfileView),
))]
pub(crate) async fn look_up(admin: Admin, Params(User { qaid }): Params<User>) -> Result<Json<ProfileView>> {
    let profile = profiles::get(&*admin.profiles, &admin.workspace, &qaid).await?;
    let sources = profile.ok_or_else(Problem::not_found)?.sources;
    let sources = sources.into_iter().map(|(name, source)| (name, source.into())).collect();
    Ok(Json(ProfileView { qaid, sources }))
}

/// Erases whatever is known of a user, now; done again it changes nothing.
///
/// Files and outcomes go with their retention.
#[utoipa::path(delete, path = "/profiles", tag = "Profiles", operation_id = "erase_profile", params(User), responses(
    (status = 204, description = "Nothing is known any more."),
))]
pub(crate) async fn erase(admin: Admin, Params(User { qaid }): Params<User>) -> Result<StatusCode> {
    // The log outlives the profile, so it does not name the user; who has the QAID finds the entry.
    let digest = hex::encode(Sha256::digest(qaid.as_str()));
    admin.record(Action::Deleted, ("profile", &digest), None, None::<&()>).await?;
    profiles::erase(&*admin.profiles, &admin.workspace, &qaid).await?;
    Ok(StatusCode::NO_CONTENT)
}
