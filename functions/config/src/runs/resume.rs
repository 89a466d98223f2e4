//! `POST /runs/{id}/resume`: a paused run goes on, and a failed one, with another file where its own can't be read.

use std::time::Duration;

use axum::Json;
use fanhook_core::{
    chunk,
    fault::Fault,
    id::{RunId, UploadId},
    run::RunState,
};
use fanhook_store::{
    chunks::Fenced,
    files::FileCode,
    parts::{self, Part, PartState},
    proofs,
    release::{self, Gate},
    runs::{self, Run, Transition},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    control::{Changed, change, record, reopen, wake, wrong_state},
    find,
    start::{check_upload, refuse},
    view,
    view::RunView,
};
use crate::{
    access::{Caller, Granted},
    audit::Action,
    input::Optional,
    problem::{ATTEMPTS, Problem, Result},
};

/// How long an answer waits for the verdict on a file's beginning.
const VERDICT: Duration = Duration::from_secs(10);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// With what a failed run goes on.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"upload": "upl_0190a5b2c3d4e5f60718293a4b5c6d7e", "part": 0}))]
pub(crate) struct ResumeInput {
    /// The audience again, in place of the file that can't be read.
    upload: UploadId,
    /// Which part it is for; needed where several failed.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    part: Option<chunk::Part>,
}

/// Resumes a run that was paused or has failed, the latter with another file where its own can't be read.
#[utoipa::path(post, path = "/runs/{id}/resume", tag = "Runs", operation_id = "resume_run",
    params(("id" = RunId, Path)), request_body = Option<ResumeInput>, responses(
    (status = 200, description = "The run.", body = RunView),
    (status = 409, description = "`wrong_state`, `audience_changed`, `not_uploaded`, `unproved`, `changed_meanwhile`."),
))]
pub(crate) async fn resume(
    Granted(marketer, mut run): Granted<Run>,
    Optional(input): Optional<ResumeInput>,
) -> Result<Json<RunView>> {
    if let Some(input) = &input {
        refuse(check_upload(&marketer, input.upload, "upload".to_owned()).await?.into_iter().collect())?;
    }
    let mut recorded = false;
    for _ in 0..ATTEMPTS {
        if run.state == RunState::Failed && !run.unproved.is_empty() && !prove(&marketer, &mut run).await? {
            run = Granted::again(&marketer, run.id).await?;
            continue;
        }
        let replaced = match run.state {
            RunState::Paused if input.is_some() => {
                return Err(Problem::invalid(vec![Fault::new(
                    "upload",
                    "only a failed run takes another file",
                )]));
            }
            RunState::Paused => None,
            RunState::Failed => replaced(&marketer, &run, input).await?,
            _ => return Err(wrong_state(&run, "resumed")),
        };
        if !recorded {
            let mut after = json!({"state": RunState::Running});
            if let Some(part) = &replaced {
                (after["part"], after["upload"]) = (json!(part.part), json!(part.upload));
            }
            record(&marketer, &run, Action::Resumed, &after).await?;
            recorded = true;
        }
        let opened = reopen(&marketer, &run, replaced.as_ref()).await?;
        unrelease(&marketer, run.id).await?;
        match change(&marketer, &run, Transition::to(RunState::Running)).await? {
            Changed::Done(now) => {
                wake(&marketer, &now, &opened).await?;
                let reopened: Vec<Part> =
                    opened.into_iter().filter(|part| part.state == PartState::Failed).collect();
                return verdict(&marketer, now, &reopened).await.map(Json);
            }
            Changed::Raced(now) => run = now,
        }
    }
    Err(Problem::busy())
}

/// What the webhook has proved since the run failed counts; false where somebody changed the run meanwhile.
async fn prove(caller: &Caller, run: &mut Run) -> Result<bool> {
    let pinned = runs::pinned(&*caller.ledger, run.id).await?.ok_or_else(Problem::not_found)?;
    let proofs = proofs::get(&*caller.config, &caller.workspace, pinned.webhook).await?;
    let lacking = proofs.lacking(&pinned.content);
    run.unproved.retain(|proof| lacking.contains(proof));
    let parts = parts::list(&*caller.ledger, run.id).await?;
    if let Gate::Exceeded(failure) = release::gate(run, &parts) {
        return Err(Problem::conflict("unproved", failure));
    }
    Ok(runs::set_unproved(&*caller.ledger, run, &run.unproved).await?)
}

/// The failed part that the caller has another file for.
async fn replaced(caller: &Caller, run: &Run, input: Option<ResumeInput>) -> Result<Option<Part>> {
    let Some(input) = input else { return Ok(None) };
    let parts = parts::list(&*caller.ledger, run.id).await?;
    let failed: Vec<&Part> = parts.iter().filter(|part| part.state == PartState::Failed).collect();
    let wanted = match (input.part, &failed[..]) {
        (Some(number), _) => parts.iter().find(|part| part.part == number),
        (None, [only]) => Some(*only),
        (None, []) => parts.iter().find(|part| part.upload == input.upload),
        (None, several) => {
            let numbers: Vec<_> = several.iter().map(|part| part.part.to_string()).collect();
            let fault = Fault::new("part", format!("name the part: {} failed", numbers.join(", ")));
            return Err(Problem::invalid(vec![fault]));
        }
    };
    match wanted {
        Some(part) if part.state == PartState::Failed || part.upload == input.upload => {
            Ok(Some(Part { upload: input.upload, ..part.clone() }))
        }
        Some(_) => Err(Problem::invalid(vec![Fault::new("part", "this part did not fail")])),
        None => Err(Problem::invalid(vec![Fault::new("part", "the run has no such part")])),
    }
}

/// Sets the parts' release cursors back: chunks whose due entries were dropped meanwhile are released again, and those that are done say so.
async fn unrelease(caller: &Caller, run: RunId) -> Result<()> {
    for attempt in 0..ATTEMPTS {
        let mut lost = false;
        let mut parts = parts::list(&*caller.ledger, run).await?;
        // Those at the start are moved as well, once: a release that read them before the pause must not move them on.
        for part in parts.iter_mut().filter(|part| attempt == 0 || part.released > 0) {
            lost |= parts::set_released(&*caller.ledger, part, 0).await? == Fenced::Lost;
        }
        if !lost {
            return Ok(());
        }
    }
    Err(Problem::busy())
}

/// Waits a while for what a worker says of the files of parts that were opened again: whether they begin as what was read before.
///
/// Only the worker may read an audience; a large compressed file takes it longer than an answer may, and then the run itself tells.
async fn verdict(caller: &Caller, run: Run, reopened: &[Part]) -> Result<RunView> {
    let compared: Vec<&Part> = reopened.iter().filter(|part| part.commit.segments > 0).collect();
    let until = caller.clock.now() + VERDICT;
    while !compared.is_empty() && caller.clock.now() < until {
        caller.clock.sleep(LOOK).await;
        let parts = parts::list(&*caller.ledger, run.id).await?;
        let now = |old: &Part| parts.iter().find(|part| part.part == old.part);
        let mut failures = compared.iter().filter_map(|old| now(old)?.failure.as_ref());
        if let Some(failure) = failures.find(|failure| failure.code == FileCode::AudienceChanged) {
            return Err(Problem::conflict(failure.code.name(), &*failure.text));
        }
        let decided = |old: &&Part| {
            now(old).is_none_or(|part| part.state != PartState::Open || part.commit != old.commit)
        };
        if compared.iter().all(decided) {
            break;
        }
    }
    let run = find(caller, run.id).await?;
    view(caller, run).await
}
