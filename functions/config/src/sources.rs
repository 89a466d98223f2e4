//! `/sources`: the data sources that profiles come from, strongest first.

use std::collections::HashSet;

use axum::Json;
use fanhook_core::{fault::Fault, id::SourceName};
use fanhook_store::sources;
use serde::{Deserialize, Serialize};

use crate::{
    access::{Admin, Member},
    input::Input,
    problem::{Problem, Result},
};

/// Most sources of a workspace.
const MAX_SOURCES: usize = 50;

/// The whole list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    items: Vec<SourceName>,
}

/// `GET /sources`.
pub(crate) async fn read(member: Member) -> Result<Json<Sources>> {
    Ok(Json(Sources { items: sources::get(&*member.config, &member.workspace).await? }))
}

/// `PUT /sources`: replaces the list.
pub(crate) async fn replace(admin: Admin, Input(input): Input<Sources>) -> Result<Json<Sources>> {
    let mut seen = HashSet::new();
    let twice = input.items.iter().enumerate().filter(|(_, source)| !seen.insert(*source));
    let mut faults: Vec<Fault> = twice
        .map(|(index, source)| Fault::new(format!("items[{index}]"), format!("`{source}` is named twice")))
        .collect();
    if input.items.len() > MAX_SOURCES {
        faults.push(Fault::new("items", format!("a workspace names at most {MAX_SOURCES} sources")));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    sources::put(&*admin.config, &admin.workspace, &input.items).await?;
    Ok(Json(input))
}
