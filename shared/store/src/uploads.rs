//! Uploaded files, by upload ID: in the ledger, because `profiles` writes how far an import is.

use fanhook_core::{
    id::{UploadId, WorkspaceId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    StoreResult,
    item::{decode, encode},
    keys,
    ports::{Condition, Conditional, Objects, Table, Write},
};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An audience: read when a run starts.
    Audience,
    /// Profiles: imported when it arrives.
    Profiles,
}

impl Kind {
    /// Folder of the bucket that its files lie in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Audience => "audiences",
            Self::Profiles => "profiles",
        }
    }
}

/// How far an import is; an audience stays `waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// Nothing has looked at it yet.
    #[default]
    Waiting,
    /// Being imported.
    Importing,
    /// Imported to its end.
    Imported,
    /// It can't be read on; what was imported stays.
    Failed,
}

/// What an import met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Counts {
    /// Lines read.
    pub lines: u64,
    /// Profiles stored.
    pub stored: u64,
    /// Rows whose source said something newer before.
    pub outdated: u64,
    /// Rows with which their users' profiles would be too large, all reported.
    pub too_large: u64,
    /// Bad rows, all reported.
    pub bad_rows: u64,
    /// Blank lines.
    pub blanks: u64,
    /// Header lines.
    pub headers: u64,
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its identifier.
    pub id: UploadId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// What it is for.
    pub kind: Kind,
    /// When it was asked for.
    pub created: Millis,
    /// How far its import is.
    #[serde(default)]
    pub state: UploadState,
    /// What its import met.
    #[serde(flatten)]
    pub counts: Counts,
    /// Entity tag of the file that is imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Where the import goes on: the reader's position, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Report objects written.
    #[serde(default)]
    pub reports: u32,
    /// Why its import failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When its row may be deleted, in seconds of Unix time.
    pub expires: u64,
}

const WHAT: &str = "upload";

impl Upload {
    /// A new upload.
    pub fn new(id: UploadId, workspace: WorkspaceId, kind: Kind, created: Millis, expires: u64) -> Self {
        Self {
            id,
            workspace,
            kind,
            created,
            state: UploadState::Waiting,
            counts: Counts::default(),
            etag: None,
            position: None,
            reports: 0,
            failure: None,
            expires,
        }
    }

    /// Key of the file.
    pub fn key(&self) -> String {
        keys::uploaded(self.kind.folder(), &self.workspace, self.id)
    }

    /// Whether the file is there. Asks for its name only: who starts a run need not be able to read an audience.
    pub async fn is_uploaded(&self, objects: &dyn Objects) -> StoreResult<bool> {
        let key = self.key();
        Ok(objects.list(&key, None).await?.first() == Some(&key))
    }
}

/// Makes an upload.
pub async fn create(ledger: &dyn Table, upload: &Upload) -> StoreResult<()> {
    ledger.write(Write::Put(encode(WHAT, &keys::upload(upload.id), upload)?), None).await.map(|_| ())
}

/// One upload.
pub async fn get(ledger: &dyn Table, upload: UploadId) -> StoreResult<Option<Upload>> {
    ledger.get(&keys::upload(upload)).await?.map(|item| decode(WHAT, item)).transpose()
}

/// Saves how far an import is. Answers whether there is such an upload.
pub async fn save(ledger: &dyn Table, upload: &Upload) -> StoreResult<bool> {
    let write = Write::Put(encode(WHAT, &keys::upload(upload.id), upload)?);
    Ok(matches!(ledger.write(write, Some(Condition::Present)).await?, Conditional::Done(_)))
}
