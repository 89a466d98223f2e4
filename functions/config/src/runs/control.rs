//! Pause and cancel, and what they share with resume: changes of a run's state in one total order, by its epoch.

use axum::Json;
use fanhook_core::{
    id::RunId,
    run::{Closing, RunState},
};
use fanhook_lambda::telemetry::chain;
use fanhook_store::{
    due::{self, Due, Subject},
    parts::{self, Part, PartState},
    runs::{self, Run, Transition, Transitioned},
};

use serde_json::{Value, json};

use super::{view, view::RunView};
use crate::{
    access::{Caller, Granted},
    audit::Action,
    problem::{ATTEMPTS, Problem, Result},
};

/// Pauses a run: no new request starts 2 s after the answer.
#[utoipa::path(post, path = "/runs/{id}/pause", tag = "Runs", operation_id = "pause_run", params(("id" = RunId, Path)), responses(
    (status = 200, description = "The run.", body = RunView),
    (status = 409, description = "`wrong_state`; `changed_meanwhile`."),
))]
pub(crate) async fn pause(Granted(marketer, mut run): Granted<Run>) -> Result<Json<RunView>> {
    for attempt in 0..ATTEMPTS {
        if !run.state.is_live() {
            return Err(wrong_state(&run, "paused"));
        }
        if attempt == 0 {
            record(&marketer, &run, Action::Paused, &json!({"state": RunState::Paused})).await?;
        }
        match change(&marketer, &run, Transition::to(RunState::Paused)).await? {
            Changed::Done(run) => return view(&marketer, run).await.map(Json),
            Changed::Raced(now) => run = now,
        }
    }
    Err(Problem::busy())
}

/// Cancels a run: what is pending of it becomes `cancelled`.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "Runs", operation_id = "cancel_run", params(("id" = RunId, Path)), responses(
    (status = 200, description = "The run.", body = RunView),
    (status = 409, description = "`wrong_state`; `changed_meanwhile`."),
))]
pub(crate) async fn cancel(Granted(marketer, mut run): Granted<Run>) -> Result<Json<RunView>> {
    for attempt in 0..ATTEMPTS {
        if matches!(
            run.state,
            RunState::Closing | RunState::Finished | RunState::Cancelled | RunState::Expired
        ) {
            return Err(wrong_state(&run, "cancelled"));
        }
        if attempt == 0 {
            let after = json!({"state": RunState::Closing, "closing": Closing::Cancelled});
            record(&marketer, &run, Action::Cancelled, &after).await?;
        }
        let opened = match run.state {
            // Its parts are opened again for their workers to stop them, as those of any closing run.
            RunState::Failed => reopen(&marketer, &run, None).await?,
            _ => Vec::new(),
        };
        let to = Transition { closing: Some(Closing::Cancelled), ..Transition::to(RunState::Closing) };
        match change(&marketer, &run, to).await? {
            Changed::Done(run) => {
                wake(&marketer, &run, &opened).await?;
                return view(&marketer, run).await.map(Json);
            }
            Changed::Raced(now) => run = now,
        }
    }
    Err(Problem::busy())
}

/// Writes the entry of a change of a run's state: before anything is changed.
pub(super) async fn record(caller: &Caller, run: &Run, action: Action, after: &Value) -> Result<()> {
    let before = json!({"state": run.state});
    caller.record(action, ("run", &run.id.to_string()), Some(&before), Some(after)).await
}

/// What an attempt at a change gives.
pub(super) enum Changed {
    /// The run is as wanted.
    Done(Run),
    /// Somebody else was faster; the run as it is now.
    Raced(Run),
}

/// Changes the state of a run that is as `run` says.
pub(super) async fn change(caller: &Caller, run: &Run, to: Transition) -> Result<Changed> {
    match runs::transition(&*caller.ledger, run, &to).await? {
        Transitioned::Done(run) => Ok(Changed::Done(run)),
        // A change whose answer was lost meets its own result.
        Transitioned::Raced(now) if now.epoch == run.epoch + 1 && now.state == to.to => {
            Ok(Changed::Done(now))
        }
        Transitioned::Raced(now) => Ok(Changed::Raced(now)),
        Transitioned::Unknown => Err(Problem::not_found()),
    }
}

/// 409: the run's state does not allow what was asked for.
pub(super) fn wrong_state(run: &Run, done: &str) -> Problem {
    let state = run.state.name();
    Problem::conflict("wrong_state", format!("a run that is `{state}` can't be {done}")).with("state", state)
}

/// Opens the failed parts of a failed run again, one of them with another upload where `replaced` says so, and files due entries for all that are
/// open: ahead, so that a crash before the run's change is made good, and nothing looks at them before. Answers the open parts.
pub(super) async fn reopen(caller: &Caller, run: &Run, replaced: Option<&Part>) -> Result<Vec<Part>> {
    let mut open = Vec::new();
    for part in parts::list(&*caller.ledger, run.id).await? {
        if part.state == PartState::Failed {
            let upload = replaced.filter(|new| new.part == part.part).map_or(part.upload, |new| new.upload);
            parts::reopen(&*caller.ledger, &part, upload).await?;
        }
        if matches!(part.state, PartState::Open | PartState::Failed) {
            open.push(part);
        }
    }
    let at = caller.now + caller.settings.due_ahead;
    let entry = |part: &Part| Due { subject: Subject::Part(run.id, part.part), at, sent: Some(caller.now) };
    let mut entries: Vec<Due> = open.iter().map(entry).collect();
    entries.push(Due::new(Subject::Run(run.id), at));
    due::file(&*caller.ledger, &entries).await?;
    Ok(open)
}

/// After a change: `dispatch` looks at the run at once, and workers at these parts.
pub(super) async fn wake(caller: &Caller, run: &Run, open: &[Part]) -> Result<()> {
    due::file(&*caller.ledger, &[Due::new(Subject::Run(run.id), caller.now)]).await?;
    send(caller, run, open).await;
    Ok(())
}

/// Wakes the workers of parts up. A message that is lost costs time only: the parts' due entries bring it back.
pub(super) async fn send(caller: &Caller, run: &Run, parts: &[Part]) {
    if parts.is_empty() {
        return;
    }
    let messages = parts.iter().map(|part| parts::message(run, part.part)).collect();
    if let Err(error) = caller.fanout.send(messages).await {
        tracing::warn!(error = chain(&error), "the parts' messages were not sent");
    }
}
