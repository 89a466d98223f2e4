//! `POST /pushes/{id}/runs`: starts a run, once for each idempotency key.

use std::collections::HashSet;

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use fanhook_core::{
    fault::Fault,
    id::{PushId, RunId, UploadId},
    limits,
    push::Push,
    run::{Closing, EndpointSettings, Pinned, Proof, RunState, Stays},
    template::{Heading, Program},
    time::Millis,
    webhook::Webhook,
};
use fanhook_store::{
    endpoints, id_types,
    parts::Part,
    proofs::{self, Proofs},
    runs::{self, Idempotency, Run, Start},
    sources,
    uploads::Kind,
    webhooks,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{control::send, view, view::RunView};
use crate::{
    access::{Caller, Granted, Id, Marketer},
    audit::Action,
    input::Input,
    parameter_sources::calls::{self, Calls},
    problem::{Problem, Result},
    pushes, uploads,
    webhooks::{settings, settle},
};

/// Header that names a start, so that a repeated one is recognised.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a run is started with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"uploads": ["upl_0190a5b2c3d4e5f60718293a4b5c6d7e"]}))]
pub(crate) struct StartInput {
    /// Files of the audience, a part each.
    #[schema(min_items = 1, max_items = 40)]
    uploads: Vec<UploadId>,
    /// When the run is closed at the latest; left out: when what it works on would soon be gone.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The caller knows that the webhook's content never passed a test send.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    confirm_untested: bool,
}

/// Starts a run of a push, once for each idempotency key.
#[utoipa::path(post, path = "/pushes/{id}/runs", tag = "Runs", operation_id = "start_run",
    params(
        ("id" = PushId, Path),
        ("Idempotency-Key" = String, Header, description = "New for each run: 1 to 255 bytes.", min_length = 1, max_length = 255),
    ),
    request_body = StartInput, responses(
    (status = 200, description = "The run that was started with this key before.", body = RunView),
    (status = 202, description = "The run was started.", body = RunView),
    (status = 409, description = "`idempotency_key_reused`, `started_by_event`, `not_uploaded`, `push_outdated`, `endpoint_parked`, `parameter_source_failed`, `too_large`."),
    (status = 504, description = "`unanswered`: it is not known whether an interface was asked for its value; no run was started."),
))]
pub(crate) async fn start(
    marketer: Marketer,
    Id(id): Id<PushId>,
    headers: HeaderMap,
    Input(input): Input<StartInput>,
) -> Result<Response> {
    let idempotency = idempotency(&headers, id, &input)?;
    // A repeat gets its run whatever became of push and uploads since.
    if let Some(earlier) = runs::earlier(&*marketer.ledger, &marketer.workspace, &idempotency).await? {
        return repeated(&marketer, earlier).await;
    }
    let push: Push = Granted::again(&marketer, id).await?;
    if push.content.started_by.is_event() {
        let detail = "an event starts this push; one that takes audiences has `started_by` `audience`";
        return Err(Problem::conflict("started_by_event", detail));
    }
    let expires_at = input.check(&marketer).await?;
    let (webhook, proofs) = webhook(&marketer, &push).await?;
    let calls = calls::take(&marketer, &webhook).await?;
    let pinned = pin(&marketer, &push, &webhook, &input.uploads, calls, &proofs).await?;
    let mut unproved = proofs.lacking(&pinned.content);
    unproved.retain(|proof| *proof != Proof::Test || !input.confirm_untested);
    let run = Run { unproved, ..run(&marketer, &pinned, expires_at) };
    let due = run.created + marketer.settings.due_ahead;
    let numbers = (0..).zip(&input.uploads);
    let parts: Vec<Part> =
        numbers.map(|(part, &upload)| Part::new(run.id, part, upload, run.expires)).collect();
    let mut after = serde_json::to_value(&input).unwrap_or_default();
    (after["push"], after["webhook"]) = (json!(run.push), json!(run.webhook));
    marketer.record(Action::Started, ("run", &run.id.to_string()), None, Some(&after)).await?;
    match runs::start(&*marketer.ledger, &run, &pinned, &parts, &idempotency, due).await? {
        Start::Started => {}
        earlier => return repeated(&marketer, earlier).await,
    }
    send(&marketer, &run, &parts).await;
    Ok((StatusCode::ACCEPTED, Json(view(&marketer, run).await?)).into_response())
}

/// The answer where the key was used before.
async fn repeated(marketer: &Marketer, earlier: Start) -> Result<Response> {
    match earlier {
        Start::Started | Start::KeyReused => {
            let detail =
                "this `Idempotency-Key` came with another request before; take a new key for a new run";
            Err(Problem::conflict("idempotency_key_reused", detail))
        }
        Start::Repeated(run) => {
            let run: Run = Granted::again(marketer, run).await?;
            Ok((StatusCode::OK, Json(view(marketer, run).await?)).into_response())
        }
    }
}

fn idempotency(headers: &HeaderMap, push: PushId, input: &StartInput) -> Result<Idempotency> {
    let key = headers.get(IDEMPOTENCY_KEY).map_or(&b""[..], |value| value.as_bytes());
    if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY {
        let detail = format!(
            "a start needs the header `Idempotency-Key`, 1 to {} bytes, new for each run",
            limits::IDEMPOTENCY_KEY
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail));
    }
    let request = serde_json::to_vec(&(push, input)).map_err(|_| Problem::internal())?;
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    Ok(Idempotency { key: hash(key), request: hash(&request) })
}

/// Why an audience can't be started with; of several the last one here is what the answer is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    NotUploaded,
    Invalid,
    Unknown,
}

/// Answers with all faults of an audience, if there are any.
pub(super) fn refuse(faults: Vec<(Wrong, Fault)>) -> Result<()> {
    let Some(gravest) = faults.iter().map(|(wrong, _)| *wrong).max() else { return Ok(()) };
    let faults = faults.into_iter().map(|(_, fault)| fault).collect();
    Err(match gravest {
        Wrong::Unknown => Problem::not_found().errors(faults),
        Wrong::Invalid => Problem::invalid(faults),
        Wrong::NotUploaded => {
            Problem::conflict("not_uploaded", "a file of the audience is not there").errors(faults)
        }
    })
}

impl StartInput {
    /// Checks all of it; the expiry as a point in time.
    async fn check(&self, caller: &Caller) -> Result<Millis> {
        let mut faults = Vec::new();
        let latest = caller.now + caller.settings.longest_run;
        let expires_at =
            self.expires_at.map_or(latest, |at| Millis(u64::try_from(at.as_millisecond()).unwrap_or(0)));
        if expires_at > latest {
            let days = caller.settings.longest_run.as_secs() / (24 * 60 * 60);
            let detail = format!("must be within {days} days: what a run works on is kept no longer");
            faults.push(Fault::new("expires_at", detail));
        }
        // Of too many none is looked at.
        let files = if self.uploads.len() > limits::FILES { &[] } else { &self.uploads[..] };
        if files.is_empty() {
            faults.push(Fault::new("uploads", format!("an audience is 1 to {} files", limits::FILES)));
        }
        let mut seen = HashSet::new();
        let twice = files.iter().enumerate().filter(|(_, upload)| !seen.insert(**upload));
        faults.extend(twice.map(|(index, _)| Fault::new(format!("uploads[{index}]"), "is named twice")));
        let mut faults: Vec<_> = faults.into_iter().map(|fault| (Wrong::Invalid, fault)).collect();
        for (index, &id) in files.iter().enumerate() {
            faults.extend(check_upload(caller, id, format!("uploads[{index}]")).await?);
        }
        refuse(faults)?;
        Ok(expires_at)
    }
}

/// What keeps an upload, named at `field`, from being an audience: it is none of the workspace, or no file is there.
pub(super) async fn check_upload(
    caller: &Caller,
    id: UploadId,
    field: String,
) -> Result<Option<(Wrong, Fault)>> {
    Ok(match uploads::find(caller, id).await? {
        None => Some((Wrong::Unknown, Fault::new(field, "there is no such upload"))),
        Some(upload) if upload.kind != Kind::Audience => {
            Some((Wrong::Invalid, Fault::new(field, "this upload is a profile file, not an audience")))
        }
        Some(upload) if !upload.is_uploaded(&*caller.objects).await? => {
            let fault = Fault::new(field, "no file was uploaded yet");
            let hint = "put the file to the address that `POST /uploads` gave, then start again";
            Some((Wrong::NotUploaded, fault.hint(hint)))
        }
        Some(_) => None,
    })
}

/// The push's webhook, which the push still fits.
pub(crate) async fn fitting(caller: &Caller, push: &Push) -> Result<Webhook> {
    let webhook = webhooks::get(&*caller.config, &caller.workspace, push.webhook).await?;
    let webhook = webhook.ok_or_else(Problem::not_found)?;
    let faults = pushes::faults(caller, push, Some(&webhook)).await?;
    if !faults.is_empty() {
        let detail = "the push does not fit its webhook and the ID types as they are now; save it again";
        return Err(Problem::conflict("push_outdated", detail).errors(faults));
    }
    Ok(webhook)
}

/// The push's webhook, which the push still fits, and whose endpoint says what it says; and what is proved of it.
async fn webhook(caller: &Caller, push: &Push) -> Result<(Webhook, Proofs)> {
    let webhook = fitting(caller, push).await?;
    let proofs = proofs::get(&*caller.config, &caller.workspace, webhook.id).await?;
    let endpoint = endpoints::get(&*caller.ledger, webhook.id).await?;
    if endpoint.as_ref().is_some_and(|endpoint| endpoint.parked) {
        let detail = "the endpoint answered `410 Gone`; when it is back, save its webhook again to open it";
        return Err(Problem::conflict("endpoint_parked", detail));
    }
    let current = |now: &EndpointSettings| *now == settings(&webhook, &proofs, now.updated);
    if !endpoint.is_some_and(|endpoint| current(&endpoint.settings)) {
        // A crash between a webhook's two writes leaves its endpoint behind.
        settle(caller, webhook.id).await?;
    }
    Ok((webhook, proofs))
}

/// What a run pins that starts now.
pub(crate) async fn pin(
    caller: &Caller,
    push: &Push,
    webhook: &Webhook,
    uploads: &[UploadId],
    calls: Calls,
    proofs: &Proofs,
) -> Result<Pinned> {
    let id = RunId::new(caller.random.uuid7(caller.now));
    let mut id_types = id_types::get(&*caller.config, &caller.workspace).await?.types;
    id_types.retain(|id_type| id_type.enabled);
    let mut push_content = push.content.clone();
    push_content.values.extend(calls);
    let pinned = Pinned {
        run: id,
        origin: id,
        workspace: caller.workspace.clone(),
        push: push.id,
        push_name: push.name.clone(),
        webhook: webhook.id,
        webhook_version: webhook.version,
        content: webhook.content.clone(),
        push_content,
        id_types,
        sources: sources::get(&*caller.config, &caller.workspace).await?,
        uploads: uploads.to_vec(),
        stays: Stays {
            allowed_per_minute: proofs.allowed_per_minute(&webhook.content),
            authentication: webhook.authentication.clone(),
        },
    };
    let (push_id, run_id) = (push.id.to_string(), id.to_string());
    let heading = Heading { push: &push_id, name: &push.name, run: &run_id };
    // What was checked when it was saved fits still: only values of parameter sources are new.
    if let Err(faults) = Program::compile(&pinned.content, &pinned.push_content, heading) {
        let faults = faults.into_iter().map(|fault| calls::of_source(fault, webhook)).collect();
        return Err(calls::failed(faults));
    }
    if serde_json::to_vec(&pinned).map_or(usize::MAX, |json| json.len()) > limits::PINNED {
        let detail = format!("webhook, push and ID types together have more than {} bytes", limits::PINNED);
        return Err(Problem::conflict("too_large", detail));
    }
    Ok(pinned)
}

fn run(caller: &Caller, pinned: &Pinned, expires_at: Millis) -> Run {
    let now = caller.now;
    // Nothing of a run that begins behind its expiry may be sent.
    let expired = expires_at <= now;
    Run {
        id: pinned.run,
        workspace: pinned.workspace.clone(),
        push: pinned.push,
        webhook: pinned.webhook,
        batch_size: pinned.content.batch_size(),
        state: if expired { RunState::Closing } else { RunState::Starting },
        epoch: 0,
        created: now,
        expires_at: Some(expires_at),
        unproved: Vec::new(),
        closing: expired.then_some(Closing::Expired),
        failure: None,
        ended: None,
        expires: caller.settings.expires(now),
    }
}
