//! `/id-types`: the kinds of ID that users are known by.

use std::future::ready;

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::{Fault, nearest},
    id::IdTypeCode,
    identity::{self, IdType, Normaliser, Region},
    limits,
    webhook::Webhook,
};
use fanhook_store::{Swapped, id_types, webhooks};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    access::{Admin, Id, Member},
    audit::Action,
    draft::{Draft, Parts},
    output::Page,
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
};

/// An ID type as a caller writes it; its code stands in the path.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"display_name": "Loyalty card", "priority": 20, "in_mapping": false, "normaliser": "trim"}))]
pub(crate) struct IdTypeInput {
    /// May be left out; else as in the address.
    #[serde(default)]
    code: Option<IdTypeCode>,
    /// What people read.
    #[schema(min_length = 1, max_length = 100)]
    display_name: String,
    /// Smaller is stronger; unique in the workspace.
    priority: u32,
    /// Only enabled types can be sent.
    #[serde(default = "enabled")]
    enabled: bool,
    /// Whether users can be looked up by it; at most 5 types.
    #[serde(default)]
    in_mapping: bool,
    /// How a value is brought into its one form before it is sent or hashed.
    #[serde(default)]
    normaliser: Normaliser,
    /// For `phone`: where numbers without a calling code belong to.
    #[serde(default)]
    region: Option<Region>,
}

fn enabled() -> bool {
    true
}

impl Parts for IdTypeInput {
    const PARTS: &'static [&'static [&'static str]] =
        &[&["code"], &["display_name"], &["priority"], &["region", "normaliser"]];
}

impl IdTypeInput {
    fn id_type(&self, code: &IdTypeCode) -> IdType {
        let Self { code: _, display_name, priority, enabled, in_mapping, normaliser, region } = self.clone();
        IdType { code: code.clone(), display_name, priority, enabled, in_mapping, normaliser, region }
    }

    /// The list `old` with this type at its end, in place of the one that had its code.
    fn check(&self, code: &IdTypeCode, old: &[IdType]) -> Result<Vec<IdType>> {
        let mut types: Vec<IdType> = old.iter().filter(|other| other.code != *code).cloned().collect();
        // The last one: a rule between two types is then told of this one.
        types.push(self.id_type(code));
        let other = self.code.as_ref().filter(|named| *named != code);
        let other = other.map(|_| Fault::new("code", "differs from the code in the address"));
        let of_list = identity::check(&types).into_iter().map(|fault| own(fault, types.len() - 1));
        let faults: Vec<Fault> = other.into_iter().chain(of_list).collect();
        if faults.is_empty() { Ok(types) } else { Err(Problem::invalid(faults)) }
    }
}

/// Lists the ID types, strongest first.
#[utoipa::path(get, path = "/id-types", tag = "ID types", operation_id = "list_id_types", responses(
    (status = 200, description = "All of them.", body = Page<IdType>),
))]
pub(crate) async fn list(member: Member) -> Result<Json<Page<IdType>>> {
    let types = id_types::get(&*member.config, &member.workspace).await?.types;
    Ok(Json(Page { items: types, cursor: None }))
}

/// Reads an ID type.
#[utoipa::path(get, path = "/id-types/{code}", tag = "ID types", operation_id = "read_id_type",
    params(("code" = IdTypeCode, Path)),
    responses((status = 200, description = "The ID type.", body = IdType, headers(("etag" = String, description = "For `If-Match`.")))),
)]
pub(crate) async fn read(member: Member, Id(code): Id<IdTypeCode>) -> Result<Tagged<IdType>> {
    let types = id_types::get(&*member.config, &member.workspace).await?.types;
    let found = types.into_iter().find(|id_type| id_type.code == code).ok_or_else(Problem::not_found)?;
    Ok(Tagged(Tag::of(&found), found))
}

/// Makes or replaces an ID type.
///
/// The workspace's list as a whole must fulfil its rules: at most 50, each priority once, at most 5 in the mapping.
#[utoipa::path(put, path = "/id-types/{code}", tag = "ID types", operation_id = "replace_id_type",
    params(("code" = IdTypeCode, Path), IfMatch), request_body = IdTypeInput, responses(
    (status = 200, description = "It was replaced.", body = IdType, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 201, description = "It was made.", body = IdType, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn replace(
    admin: Admin,
    Id(code): Id<IdTypeCode>,
    if_match: IfMatch,
    draft: Draft<IdTypeInput>,
) -> Result<impl IntoResponse> {
    for _ in 0..ATTEMPTS {
        let old = id_types::get(&*admin.config, &admin.workspace).await?;
        let (input, types) = draft.check(|input| ready(input.check(&code, &old.types))).await?;
        let id_type = input.id_type(&code);
        if_match.check(tag(&old.types, &id_type.code).as_ref())?;
        let before = old.types.iter().find(|other| other.code == id_type.code);
        let (status, action) = match before {
            Some(_) => (StatusCode::OK, Action::Replaced),
            None => (StatusCode::CREATED, Action::Made),
        };
        let entry = admin.entry(action, ("id_type", id_type.code.as_str()), before, Some(&id_type));
        match id_types::replace(&*admin.config, &admin.workspace, &old, types, &entry).await? {
            Swapped::Done => return Ok((status, Tagged(Tag::of(&id_type), id_type))),
            Swapped::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// The tag of a type of the list.
fn tag(types: &[IdType], code: &IdTypeCode) -> Option<Tag> {
    types.iter().find(|id_type| id_type.code == *code).map(Tag::of)
}

/// A fault of the list, told of the element at `index`.
fn own(mut fault: Fault, index: usize) -> Fault {
    if let Some(rest) = fault.field.strip_prefix(&format!("[{index}]")) {
        fault.field = rest.trim_start_matches('.').to_owned();
    }
    fault
}

/// Deletes an ID type that no webhook names.
#[utoipa::path(delete, path = "/id-types/{code}", tag = "ID types", operation_id = "delete_id_type",
    params(("code" = IdTypeCode, Path), IfMatch), responses(
    (status = 204, description = "It is gone."),
    (status = 409, description = "`in_use`, with the webhooks in `used_by`; `changed_meanwhile`."),
))]
pub(crate) async fn delete(admin: Admin, Id(code): Id<IdTypeCode>, if_match: IfMatch) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        let old = id_types::get(&*admin.config, &admin.workspace).await?;
        let types: Vec<IdType> = old.types.iter().filter(|other| other.code != code).cloned().collect();
        if types.len() == old.types.len() {
            return Err(Problem::not_found());
        }
        if_match.check(tag(&old.types, &code).as_ref())?;
        let uses = |webhook: &Webhook| webhook.id_types.contains(&code);
        if let Some(users) = webhooks::users(&*admin.config, &admin.workspace, uses).await? {
            return Err(Problem::in_use(&users));
        }
        let before = old.types.iter().find(|other| other.code == code);
        let entry = admin.entry(Action::Deleted, ("id_type", code.as_str()), before, None);
        match id_types::replace(&*admin.config, &admin.workspace, &old, types, &entry).await? {
            Swapped::Done => return Ok(StatusCode::NO_CONTENT),
            Swapped::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// Faults of a list of codes, at the field `id_types`: each must be an enabled type of the workspace.
pub(crate) fn check_enabled(codes: &[IdTypeCode], types: &[IdType]) -> Vec<Fault> {
    let usable = || types.iter().filter(|id_type| id_type.enabled).map(|id_type| id_type.code.as_str());
    let codes = codes.iter().take(limits::ID_TYPES).enumerate();
    let wrong = codes.filter(|(_, code)| !usable().any(|known| known == code.as_str()));
    let fault = |(index, code): (usize, &IdTypeCode)| {
        let fault = Fault::new(
            format!("id_types[{index}]"),
            format!("`{code}` is no enabled ID type of the workspace"),
        );
        match nearest(code.as_str(), usable()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint("`GET /id-types` lists them"),
        }
    };
    wrong.map(fault).collect()
}
