//! `/sources`: the data sources that profiles come from, strongest first.

use std::collections::HashSet;

use fanhook_core::{fault::Fault, id::SourceName, limits};
use fanhook_store::{Swapped, sources};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Admin, Member},
    audit::Action,
    input::Input,
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
};

/// The data sources of profiles.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"items": ["crm", "web-shop"]}))]
pub(crate) struct Sources {
    /// Strongest first; a source that is not named is weaker than all that are.
    #[schema(max_items = 50)]
    items: Vec<SourceName>,
}

/// Lists the data sources, strongest first.
#[utoipa::path(get, path = "/sources", tag = "Sources", operation_id = "read_sources", responses(
    (status = 200, description = "The whole list.", body = Sources, headers(("etag" = String, description = "For `If-Match`."))),
))]
pub(crate) async fn read(member: Member) -> Result<Tagged<Sources>> {
    let items = sources::get(&*member.config, &member.workspace).await?;
    Ok(Tagged(Tag::of(&items), Sources { items }))
}

/// Replaces the list of data sources.
#[utoipa::path(put, path = "/sources", tag = "Sources", operation_id = "replace_sources",
    params(IfMatch), request_body = Sources, responses(
    (status = 200, description = "The whole list.", body = Sources, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn replace(
    admin: Admin,
    if_match: IfMatch,
    Input(input): Input<Sources>,
) -> Result<Tagged<Sources>> {
    let mut seen = HashSet::new();
    let twice = input.items.iter().enumerate().filter(|(_, source)| !seen.insert(*source));
    let mut faults: Vec<Fault> = twice
        .map(|(index, source)| Fault::new(format!("items[{index}]"), format!("`{source}` is named twice")))
        .collect();
    if input.items.len() > limits::SOURCES {
        faults.push(Fault::new("items", format!("a workspace names at most {} sources", limits::SOURCES)));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    for _ in 0..ATTEMPTS {
        let old = sources::get(&*admin.config, &admin.workspace).await?;
        if_match.check(Some(&Tag::of(&old)))?;
        let before = Sources { items: old.clone() };
        let entry = admin.entry(Action::Replaced, ("sources", "sources"), Some(&before), Some(&input));
        match sources::replace(&*admin.config, &admin.workspace, &old, &input.items, &entry).await? {
            Swapped::Done => return Ok(Tagged(Tag::of(&input.items), input)),
            Swapped::Changed => {}
        }
    }
    Err(Problem::busy())
}
