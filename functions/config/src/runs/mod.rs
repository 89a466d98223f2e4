//! `/runs`: executions of pushes: started, looked at, controlled.

pub(crate) mod control;
pub(crate) mod failures;
pub(crate) mod resume;
pub(crate) mod start;
mod view;

use std::collections::HashMap;

use axum::Json;
use fanhook_core::id::{PushId, RunId, WebhookId};
use fanhook_store::{
    counters, parts,
    runs::{self, Run},
};
use serde::Deserialize;
use utoipa::IntoParams;

use self::view::{RunItem, RunView};
use crate::{
    access::{Caller, Id, Member, Through},
    output::{Page, PageQuery},
    problem::{Problem, Result},
    query::Params,
};

/// Batches that are looked through for one page of a push's runs.
const BATCHES: usize = 10;

/// Which runs a caller wants to see.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunQuery {
    /// Only the runs of this push.
    push: Option<PushId>,
    /// Most items of the page; 50 where it is left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the runs, newest first.
///
/// A page may have fewer items than wanted and yet a cursor, where many runs are of other pushes.
#[utoipa::path(get, path = "/runs", tag = "Runs", operation_id = "list_runs", params(RunQuery), responses(
    (status = 200, description = "A page of them.", body = Page<RunItem>),
))]
pub(crate) async fn list(member: Member, Params(query): Params<RunQuery>) -> Result<Json<Page<RunItem>>> {
    let (mut after, wanted) = PageQuery::new(query.limit, query.cursor).read::<RunId>()?;
    let mut items = Vec::new();
    for _ in 0..BATCHES {
        let (ids, more) = runs::list(&*member.ledger, &member.workspace, after, wanted - items.len()).await?;
        let (found, _) = runs::control(&*member.ledger, &ids, &[]).await?;
        let mut found: HashMap<RunId, Run> = found.into_iter().map(|run| (run.id, run)).collect();
        let runs = ids.iter().filter_map(|id| found.remove(id));
        items.extend(runs.filter(|run| query.push.is_none_or(|push| run.push == push)).map(RunItem::from));
        after = more;
        if items.len() == wanted || after.is_none() {
            break;
        }
    }
    Ok(Json(Page::new(items, after)))
}

/// Reads a run: its state, its progress, its outcomes.
#[utoipa::path(get, path = "/runs/{id}", tag = "Runs", operation_id = "read_run", params(("id" = RunId, Path)), responses(
    (status = 200, description = "The run.", body = RunView),
))]
pub(crate) async fn read(member: Member, Id(id): Id<RunId>) -> Result<Json<RunView>> {
    let run = find(&member, id).await?;
    view(&member, run).await.map(Json)
}

impl Through for Run {
    type Id = RunId;

    async fn find(caller: &Caller, id: RunId) -> Result<Self> {
        find(caller, id).await
    }

    fn webhook(&self) -> WebhookId {
        self.webhook
    }
}

/// A run of the caller's workspace.
async fn find(caller: &Caller, id: RunId) -> Result<Run> {
    let run = runs::get(&*caller.ledger, id).await?;
    run.filter(|run| run.workspace == caller.workspace).ok_or_else(Problem::not_found)
}

/// A run with its parts and counters.
async fn view(caller: &Caller, run: Run) -> Result<RunView> {
    // The counters first: so their sum is never above the recipients.
    let counted = counters::read(&*caller.ledger, run.id).await?;
    let parts = parts::list(&*caller.ledger, run.id).await?;
    Ok(RunView::new(run, parts, &counted.totals, caller.now))
}
