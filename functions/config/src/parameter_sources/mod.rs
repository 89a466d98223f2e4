//! `/parameter-sources`: constants and interfaces that parameters of type `call` take their values from.

pub(crate) mod calls;
mod secret;
mod view;

use std::future::ready;

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::Fault,
    id::ParameterSourceId,
    limits,
    parameter_source::{Constant, Interface, ParameterSource, SourceValue},
    webhook::Webhook,
};
use fanhook_store::{
    Deleted,
    parameter_sources::{self, Made, Replaced},
    webhooks,
};
use serde::Deserialize;
use utoipa::ToSchema;

use self::{secret::InterfaceInput, view::ParameterSourceView};
use crate::{
    access::{Admin, Caller, Id, Member},
    audit::Action,
    draft::{Draft, Parts},
    output::{Page, PageQuery},
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
    query::Params,
};

/// A parameter source as an administrator writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Coupon of the day", "value": {
        "kind": "interface", "url": "https://shop.example.com/coupon", "pointer": "/coupon/code",
        "secret_header": {"name": "X-Api-Key", "secret": "a secret of the shop's"},
    },
}))]
pub(crate) struct ParameterSourceInput {
    /// Unique in the workspace.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Free text.
    #[serde(default)]
    #[schema(max_length = 1000)]
    description: String,
    /// What gives the value.
    value: ValueInput,
}

/// What gives the value.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum ValueInput {
    /// It is always the same.
    Constant(Constant),
    /// An HTTP API is asked for it when a run starts.
    Interface(InterfaceInput),
}

impl Parts for ParameterSourceInput {
    const PARTS: &'static [&'static [&'static str]] = &[
        &["name"],
        &["description"],
        &["value.type"],
        &["value.text", "value.type"],
        &["value.url"],
        &["value.headers", "value.body"],
        &["value.body", "value.method"],
        &["value.secret_header", "value.headers", "value.body"],
        &["value.secret_header.secret", "value.secret_header", "value.url"],
        &["value.pointer"],
    ];
}

impl ParameterSourceInput {
    fn source(
        &self,
        caller: &Caller,
        id: ParameterSourceId,
        version: u32,
        value: SourceValue,
    ) -> ParameterSource {
        ParameterSource {
            id,
            workspace: caller.workspace.clone(),
            version,
            name: self.name.clone(),
            description: self.description.clone(),
            value,
        }
    }

    /// All faults at once, those of the secret with them.
    fn check(&self, caller: &Caller, old: Option<&Interface>) -> Result<()> {
        let (value, secret) = match &self.value {
            ValueInput::Constant(constant) => (SourceValue::Constant(constant.clone()), None),
            ValueInput::Interface(input) => {
                (SourceValue::Interface(input.with(String::new())), input.check(old))
            }
        };
        let id = ParameterSourceId::new(caller.random.uuid7(caller.now));
        let source = self.source(caller, id, 1, value);
        let mut faults = caller.with_rules(|rules| source.check(rules));
        faults.extend(secret);
        if serde_json::to_vec(&source).map_or(usize::MAX, |json| json.len()) > limits::PARAMETER_SOURCE {
            faults.push(Fault::new(
                "",
                format!("a parameter source has at most {} bytes in all", limits::PARAMETER_SOURCE),
            ));
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }

    /// The value as it is stored, its secret encrypted.
    async fn value(
        &self,
        caller: &Caller,
        id: ParameterSourceId,
        old: Option<&Interface>,
    ) -> Result<SourceValue> {
        Ok(match &self.value {
            ValueInput::Constant(constant) => SourceValue::Constant(constant.clone()),
            ValueInput::Interface(input) => SourceValue::Interface(input.apply(caller, id, old).await?),
        })
    }
}

fn interface(source: &ParameterSource) -> Option<&Interface> {
    match &source.value {
        SourceValue::Interface(interface) => Some(interface),
        SourceValue::Constant(_) => None,
    }
}

/// Makes a parameter source.
#[utoipa::path(post, path = "/parameter-sources", tag = "Parameter sources", operation_id = "create_parameter_source",
    request_body = ParameterSourceInput, responses(
    (status = 201, description = "It was made.", body = ParameterSourceView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`name_taken`."),
))]
pub(crate) async fn create(admin: Admin, draft: Draft<ParameterSourceInput>) -> Result<impl IntoResponse> {
    let (input, ()) = draft.check(|input| ready(input.check(&admin, None))).await?;
    let id = ParameterSourceId::new(admin.random.uuid7(admin.now));
    let value = input.value(&admin, id, None).await?;
    let source = input.source(&admin, id, 1, value);
    let view = ParameterSourceView::audited(&source);
    let entry = admin.entry(Action::Made, ("parameter_source", &id.to_string()), None, Some(&view));
    match parameter_sources::create(&*admin.config, &source, &entry).await? {
        Made::Done => Ok((StatusCode::CREATED, tagged(&source))),
        Made::NameTaken => Err(Problem::name_taken("parameter source")),
    }
}

/// Lists the parameter sources, oldest first.
#[utoipa::path(get, path = "/parameter-sources", tag = "Parameter sources", operation_id = "list_parameter_sources", params(PageQuery), responses(
    (status = 200, description = "A page of them.", body = Page<ParameterSourceView>),
))]
pub(crate) async fn list(
    member: Member,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<ParameterSourceView>>> {
    let (after, limit) = page.read()?;
    let (found, more) = parameter_sources::list(&*member.config, &member.workspace, after, limit).await?;
    Ok(Json(Page::new(found.iter().map(ParameterSourceView::from).collect(), more)))
}

/// Reads a parameter source; its secret is never told.
#[utoipa::path(get, path = "/parameter-sources/{id}", tag = "Parameter sources", operation_id = "read_parameter_source",
    params(("id" = ParameterSourceId, Path)), responses(
    (status = 200, description = "The parameter source.", body = ParameterSourceView, headers(("etag" = String, description = "For `If-Match`."))),
))]
pub(crate) async fn read(
    member: Member,
    Id(id): Id<ParameterSourceId>,
) -> Result<Tagged<ParameterSourceView>> {
    Ok(tagged(&find(&member, id).await?))
}

/// Replaces a parameter source; runs that have started keep the value that they took.
#[utoipa::path(put, path = "/parameter-sources/{id}", tag = "Parameter sources", operation_id = "replace_parameter_source",
    params(("id" = ParameterSourceId, Path), IfMatch), request_body = ParameterSourceInput, responses(
    (status = 200, description = "It was replaced.", body = ParameterSourceView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`name_taken`; `changed_meanwhile`."),
))]
pub(crate) async fn replace(
    admin: Admin,
    Id(id): Id<ParameterSourceId>,
    if_match: IfMatch,
    draft: Draft<ParameterSourceInput>,
) -> Result<Tagged<ParameterSourceView>> {
    for _ in 0..ATTEMPTS {
        let old = find(&admin, id).await?;
        let (input, ()) = draft.check(|input| ready(input.check(&admin, interface(&old)))).await?;
        if_match.check(Some(&Tag::version(old.version)))?;
        let value = input.value(&admin, id, interface(&old)).await?;
        let new = input.source(&admin, id, old.version + 1, value);
        let (before, after) = (ParameterSourceView::audited(&old), ParameterSourceView::audited(&new));
        let of = ("parameter_source", &*id.to_string());
        let entry = admin.entry(Action::Replaced, of, Some(&before), Some(&after));
        match parameter_sources::replace(&*admin.config, &old, &new, &entry).await? {
            Replaced::Done => return Ok(tagged(&new)),
            Replaced::NameTaken => return Err(Problem::name_taken("parameter source")),
            Replaced::Gone => return Err(Problem::not_found()),
            Replaced::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// Deletes a parameter source that no webhook uses.
#[utoipa::path(delete, path = "/parameter-sources/{id}", tag = "Parameter sources", operation_id = "delete_parameter_source",
    params(("id" = ParameterSourceId, Path), IfMatch), responses(
    (status = 204, description = "It is gone."),
    (status = 409, description = "`in_use`, with the webhooks in `used_by`; `changed_meanwhile`."),
))]
pub(crate) async fn delete(
    admin: Admin,
    Id(id): Id<ParameterSourceId>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        let source = find(&admin, id).await?;
        if_match.check(Some(&Tag::version(source.version)))?;
        let view = ParameterSourceView::audited(&source);
        let entry = admin.entry(Action::Deleted, ("parameter_source", &id.to_string()), Some(&view), None);
        match parameter_sources::delete(&*admin.config, &source, &entry).await? {
            Deleted::Done => return Ok(StatusCode::NO_CONTENT),
            Deleted::Gone => return Err(Problem::not_found()),
            Deleted::InUse => {
                let uses = |webhook: &Webhook| webhook.content.sources().contains(&id);
                // None: the last one has just gone.
                if let Some(users) = webhooks::users(&*admin.config, &admin.workspace, uses).await? {
                    return Err(Problem::in_use(&users));
                }
            }
            Deleted::Changed => {}
        }
    }
    Err(Problem::busy())
}

fn tagged(source: &ParameterSource) -> Tagged<ParameterSourceView> {
    Tagged(Tag::version(source.version), source.into())
}

/// A parameter source of the caller's workspace.
async fn find(caller: &Caller, id: ParameterSourceId) -> Result<ParameterSource> {
    let found = parameter_sources::get(&*caller.config, &caller.workspace, id).await?;
    found.ok_or_else(Problem::not_found)
}
