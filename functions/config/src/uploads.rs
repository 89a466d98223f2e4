//! `/uploads`: addresses that files are put to, and what became of the files.

use std::time::Duration;

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::id::UploadId;
use fanhook_store::{
    keys,
    uploads::{self, Counts, Kind, Upload, UploadState},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    access::{Caller, Id, Member},
    audit::Action,
    input::Input,
    output::Time,
    problem::{Problem, Result},
};

/// How long an address may be used.
const LIFETIME: Duration = Duration::from_hours(1);
/// Most reports that are named.
const REPORTS: usize = 100;

/// A wish for an upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "audience"}))]
pub(crate) struct UploadInput {
    /// What the file is for.
    kind: Kind,
}

/// An upload as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
#[schema(example = json!({
    "id": "upl_0190a5b2c3d4e5f60718293a4b5c6d7e", "kind": "audience", "state": "waiting", "created_at": "2027-01-15T08:00:00.000Z",
    "upload": {
        "method": "PUT", "url": "https://bucket.example.com/…", "expires_at": "2027-01-15T09:00:00.000Z",
        "curl": "curl --fail --upload-file FILE 'https://bucket.example.com/…'",
    },
}))]
struct UploadView {
    /// Its identifier.
    id: UploadId,
    /// What the file is for.
    kind: Kind,
    /// `waiting`, `uploaded`; for profiles then `importing`, `imported` or `failed`.
    state: &'static str,
    /// When it was asked for.
    created_at: Time,
    /// Where the file is to be put, told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<Address>,
    /// What the import met so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    /// Why the import failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// Bad rows, as NDJSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reports: Vec<Address>,
}

/// A presigned request.
#[derive(Debug, Serialize, ToSchema)]
struct Address {
    /// HTTP method.
    method: &'static str,
    /// Full address; who has it may use it.
    url: String,
    /// Until when it may be used.
    expires_at: Time,
    /// A line for a shell.
    curl: String,
}

impl UploadView {
    fn new(upload: &Upload, state: &'static str) -> Self {
        let imports = upload.kind == Kind::Profiles && upload.state != UploadState::Waiting;
        Self {
            id: upload.id,
            kind: upload.kind,
            state,
            created_at: Time(upload.created),
            upload: None,
            counts: imports.then_some(upload.counts),
            failure: upload.failure.clone(),
            reports: Vec::new(),
        }
    }
}

/// Asks for an address that a file can be put to.
#[utoipa::path(post, path = "/uploads", tag = "Uploads", operation_id = "create_upload", request_body = UploadInput, responses(
    (status = 201, description = "Put the file to `upload`.", body = UploadView),
))]
pub(crate) async fn create(member: Member, Input(input): Input<UploadInput>) -> Result<impl IntoResponse> {
    let (now, expires) = (member.now, member.settings.expires(member.now));
    let id = UploadId::new(member.random.uuid7(now));
    let upload = Upload::new(id, member.workspace.clone(), input.kind, now, expires);
    member
        .record(Action::Made, ("upload", &id.to_string()), None, Some(&json!({"kind": input.kind})))
        .await?;
    uploads::create(&*member.ledger, &upload).await?;
    let presigned = member.objects.presign_put(&upload.key(), LIFETIME).await?;
    let address = Address {
        curl: format!("curl --fail --upload-file FILE '{}'", presigned.url),
        method: presigned.method,
        url: presigned.url,
        expires_at: Time(now + LIFETIME),
    };
    let view = UploadView { upload: Some(address), ..UploadView::new(&upload, "waiting") };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Says what became of an upload.
#[utoipa::path(get, path = "/uploads/{id}", tag = "Uploads", operation_id = "read_upload", params(("id" = UploadId, Path)), responses(
    (status = 200, description = "The upload.", body = UploadView),
))]
pub(crate) async fn read(member: Member, Id(id): Id<UploadId>) -> Result<impl IntoResponse> {
    let upload = find(&member, id).await?.ok_or_else(Problem::not_found)?;
    let state = match upload.state {
        UploadState::Importing => "importing",
        UploadState::Imported => "imported",
        UploadState::Failed => "failed",
        UploadState::Waiting if upload.is_uploaded(&*member.objects).await? => "uploaded",
        UploadState::Waiting => "waiting",
    };
    let mut view = UploadView::new(&upload, state);
    let reports = member.objects.list(&keys::reports(&upload.workspace, upload.id), None).await?;
    for key in reports.iter().take(REPORTS) {
        let presigned = member.objects.presign_get(key, LIFETIME).await?;
        view.reports.push(Address {
            curl: format!("curl --fail '{}'", presigned.url),
            method: presigned.method,
            url: presigned.url,
            expires_at: Time(member.now + LIFETIME),
        });
    }
    Ok(Json(view))
}

/// An upload of the caller's workspace.
pub(crate) async fn find(caller: &Caller, id: UploadId) -> Result<Option<Upload>> {
    let upload = uploads::get(&*caller.ledger, id).await?;
    Ok(upload.filter(|upload| upload.workspace == caller.workspace))
}
