//! `/id-types`: the kinds of ID that users are known by.

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::{Fault, nearest},
    id::{IdTypeCode, WorkspaceId},
    identity::{self, DialPlan, IdType, Normaliser},
    webhook::Webhook,
};
use fanhook_store::{id_types, ports::Table, webhooks};
use serde::Deserialize;
use serde_json::json;

use crate::{
    access::{Admin, Id, Member},
    input::Input,
    output::Page,
    problem::{Problem, Result},
};

/// Attempts at a change that others are faster at.
const ATTEMPTS: usize = 10;

/// An ID type as a caller writes it; its code stands in the path.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdTypeInput {
    #[serde(default)]
    code: Option<IdTypeCode>,
    display_name: String,
    priority: u32,
    #[serde(default = "enabled")]
    enabled: bool,
    #[serde(default)]
    in_mapping: bool,
    #[serde(default)]
    normaliser: Normaliser,
    #[serde(default)]
    dial_plan: Option<DialPlan>,
}

fn enabled() -> bool {
    true
}

impl IdTypeInput {
    fn into_type(self, code: IdTypeCode) -> IdType {
        let Self { code: _, display_name, priority, enabled, in_mapping, normaliser, dial_plan } = self;
        IdType { code, display_name, priority, enabled, in_mapping, normaliser, dial_plan }
    }
}

/// `GET /id-types`, strongest first.
pub(crate) async fn list(member: Member) -> Result<Json<Page<IdType>>> {
    let types = id_types::get(&*member.config, &member.workspace).await?.types;
    Ok(Json(Page { items: types, cursor: None }))
}

/// `GET /id-types/{code}`.
pub(crate) async fn read(member: Member, Id(code): Id<IdTypeCode>) -> Result<Json<IdType>> {
    let types = id_types::get(&*member.config, &member.workspace).await?.types;
    types.into_iter().find(|id_type| id_type.code == code).map(Json).ok_or_else(Problem::not_found)
}

/// `PUT /id-types/{code}`: makes or replaces one; the workspace's list as a whole must fulfil its rules.
pub(crate) async fn replace(
    admin: Admin,
    Id(code): Id<IdTypeCode>,
    Input(input): Input<IdTypeInput>,
) -> Result<impl IntoResponse> {
    if input.code.as_ref().is_some_and(|named| *named != code) {
        return Err(Problem::invalid(vec![Fault::new("code", "differs from the code in the address")]));
    }
    let id_type = input.into_type(code);
    for _ in 0..ATTEMPTS {
        let old = id_types::get(&*admin.config, &admin.workspace).await?;
        let mut types: Vec<IdType> =
            old.types.iter().filter(|other| other.code != id_type.code).cloned().collect();
        let status = if types.len() == old.types.len() { StatusCode::CREATED } else { StatusCode::OK };
        // The last one: a rule between two types is then told of this one.
        types.push(id_type.clone());
        let faults = identity::check(&types);
        if !faults.is_empty() {
            return Err(Problem::invalid(
                faults.into_iter().map(|fault| own(fault, types.len() - 1)).collect(),
            ));
        }
        if id_types::replace(&*admin.config, &admin.workspace, &old, types).await? {
            return Ok((status, Json(id_type)));
        }
    }
    Err(Problem::busy())
}

/// A fault of the list, told of the element at `index`.
fn own(mut fault: Fault, index: usize) -> Fault {
    if let Some(rest) = fault.field.strip_prefix(&format!("[{index}]")) {
        fault.field = rest.trim_start_matches('.').to_owned();
    }
    fault
}

/// `DELETE /id-types/{code}`: refused while a webhook names it.
pub(crate) async fn delete(admin: Admin, Id(code): Id<IdTypeCode>) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        let old = id_types::get(&*admin.config, &admin.workspace).await?;
        let types: Vec<IdType> = old.types.iter().filter(|other| other.code != code).cloned().collect();
        if types.len() == old.types.len() {
            return Err(Problem::not_found());
        }
        let users = users(&*admin.config, &admin.workspace, &code).await?;
        if !users.is_empty() {
            let users: Vec<_> =
                users.iter().map(|webhook| json!({"webhook": webhook.id, "name": webhook.name})).collect();
            let problem =
                Problem::conflict("in_use", "webhooks name this ID type; change or delete them first");
            return Err(problem.with("used_by", users));
        }
        if id_types::replace(&*admin.config, &admin.workspace, &old, types).await? {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(Problem::busy())
}

async fn users(config: &dyn Table, workspace: &WorkspaceId, code: &IdTypeCode) -> Result<Vec<Webhook>> {
    let (mut users, mut after) = (Vec::new(), None);
    loop {
        let (page, more) = webhooks::list(config, workspace, after, 100).await?;
        users.extend(page.into_iter().filter(|webhook| webhook.id_types.contains(code)));
        match more {
            Some(more) => after = Some(more),
            None => return Ok(users),
        }
    }
}

/// Faults of a list of codes, at the field `id_types`: each must be an enabled type of the workspace.
pub(crate) fn check_enabled(codes: &[IdTypeCode], types: &[IdType]) -> Vec<Fault> {
    let usable = || types.iter().filter(|id_type| id_type.enabled).map(|id_type| id_type.code.as_str());
    let wrong = codes.iter().enumerate().filter(|(_, code)| !usable().any(|known| known == code.as_str()));
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
