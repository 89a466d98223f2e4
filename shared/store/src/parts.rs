//! Parts of a run's audience: one file each, worked by one worker at a time.

use std::time::Duration;

use fanhook_core::{
    chunk::Part as Number,
    id::{RunId, UploadId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    StoreResult,
    chunks::Fenced,
    files::FileFailure,
    item::{attribute, decode, encode, number, text},
    keys,
    ports::{Change, Condition, Conditional, Item, Message, Query, Table, Update, Write},
    runs::Run,
};

/// How far a part's file is turned into chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Not at its end yet.
    #[default]
    Open,
    /// Read to its end.
    Ended,
    /// Its run was cancelled or expired first.
    Stopped,
    /// It can't be read on.
    Failed,
}

/// The commit point: everything up to it is in segments and chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Segments written.
    pub segments: u32,
    /// Fence of the worker that wrote the last segment.
    pub segment_fence: u64,
    /// Chunks written.
    pub chunks: u32,
    /// Of those, the last ones whose rows may not be there yet: not to be released.
    #[serde(default)]
    pub unwritten: u32,
    /// Recipients written.
    pub recipients: u64,
    /// Lines read, from 1 in errors.
    pub lines: u64,
    /// Bad rows, all reported.
    pub bad_rows: u64,
    /// Recipients met again within a segment.
    pub duplicates: u64,
    /// Blank lines.
    pub blanks: u64,
    /// Header lines.
    pub headers: u64,
    /// Where the next record starts: the reader's position, as JSON.
    pub position: Option<String>,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The run.
    pub run: RunId,
    /// Number in the run, from 0.
    pub part: Number,
    /// The file.
    pub upload: UploadId,
    /// Entity tag of the file, once it was read first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// How far it is.
    pub state: PartState,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FileFailure>,
    /// Who works it: random per claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when the owner may work.
    pub lease: Millis,
    /// Counts the claims.
    pub fence: u64,
    /// The commit point.
    #[serde(flatten)]
    pub commit: Commit,
    /// Chunks released so far.
    pub released: u32,
    /// Counts the moves of that cursor: whoever read it before a resume set it back must not move it on.
    #[serde(default)]
    pub releases: u64,
    /// Chunks of a closing run that are known to be done, from the first on.
    #[serde(default)]
    pub closed: u32,
    /// When the row may be deleted, in seconds of Unix time.
    pub expires: u64,
}

const WHAT: &str = "part";

impl Part {
    /// A new part of a run.
    pub fn new(run: RunId, part: Number, upload: UploadId, expires: u64) -> Self {
        Self {
            run,
            part,
            upload,
            etag: None,
            state: PartState::Open,
            failure: None,
            owner: None,
            lease: Millis(0),
            fence: 0,
            commit: Commit::default(),
            released: 0,
            releases: 0,
            closed: 0,
            expires,
        }
    }

    /// Its item in the ledger.
    pub fn item(&self) -> StoreResult<Item> {
        encode(WHAT, &keys::part(self.run, self.part), self)
    }

    /// Whether somebody may be working on it.
    pub fn is_held(&self, now: Millis) -> bool {
        self.owner.is_some() && self.lease > now
    }

    fn ours(&self) -> Condition {
        Condition::All(vec![
            Condition::Equals("fence", number(self.fence)),
            Condition::Equals("owner", text(self.owner.as_deref().unwrap_or_default())),
        ])
    }
}

/// What a claim of a part gives.
#[derive(Clone, Debug, PartialEq)]
pub enum PartClaim {
    /// It is ours until the lease.
    Won(Box<Part>),
    /// It is at its end, stopped or failed.
    Over,
    /// Somebody works it.
    Held {
        /// Until when.
        until: Millis,
    },
    /// There is no such part.
    Unknown,
}

/// One part.
pub async fn get(ledger: &dyn Table, run: RunId, part: Number) -> StoreResult<Option<Part>> {
    ledger.get(&keys::part(run, part)).await?.map(|item| decode(WHAT, item)).transpose()
}

/// All parts of a run, by number.
pub async fn list(ledger: &dyn Table, run: RunId) -> StoreResult<Vec<Part>> {
    let query = Query { pk: keys::parts(run), limit: 1000, consistent: true, ..Query::default() };
    let page = ledger.query(&query).await?;
    page.items.into_iter().map(|item| decode(WHAT, item)).collect()
}

/// Claims a part for `owner` until `lease`. `owner` is random per call, so that a repeat by the SDK meets itself.
pub async fn claim(
    ledger: &dyn Table,
    run: RunId,
    part: Number,
    owner: &str,
    now: Millis,
    lease: Millis,
) -> StoreResult<PartClaim> {
    let free = Condition::Any(vec![Condition::Missing("owner"), Condition::AtMost("lease", now.0)]);
    let condition = Condition::All(vec![Condition::Equals("state", text("open")), free]);
    let update = Update::default()
        .set("owner", text(owner))
        .set("lease", number(lease.0))
        .with("fence", Change::Add(1));
    match ledger.write(Write::Update(keys::part(run, part), update), Some(condition)).await? {
        Conditional::Done(item) => Ok(PartClaim::Won(Box::new(decode(WHAT, item)?))),
        Conditional::Failed(None) => Ok(PartClaim::Unknown),
        Conditional::Failed(Some(item)) => {
            let old: Part = decode(WHAT, item)?;
            Ok(if old.owner.as_deref() == Some(owner) {
                PartClaim::Won(Box::new(old))
            } else if old.state == PartState::Open {
                PartClaim::Held { until: old.lease }
            } else {
                PartClaim::Over
            })
        }
    }
}

async fn fenced(ledger: &dyn Table, part: &Part, update: Update) -> StoreResult<Fenced> {
    let write = Write::Update(keys::part(part.run, part.part), update);
    Ok(match ledger.write(write, Some(part.ours())).await? {
        Conditional::Done(_) => Fenced::Held,
        Conditional::Failed(_) => Fenced::Lost,
    })
}

fn committed(part: &Part) -> Update {
    let commit = &part.commit;
    let known =
        |value: &Option<String>| value.as_ref().map_or(Change::Remove, |value| Change::Set(text(value)));
    Update::default()
        .set("segments", number(commit.segments))
        .set("segment_fence", number(commit.segment_fence))
        .set("chunks", number(commit.chunks))
        .set("unwritten", number(commit.unwritten))
        .set("recipients", number(commit.recipients))
        .set("lines", number(commit.lines))
        .set("bad_rows", number(commit.bad_rows))
        .set("duplicates", number(commit.duplicates))
        .set("blanks", number(commit.blanks))
        .set("headers", number(commit.headers))
        // Removed where there is none: a commit whose answer was lost may stand in the row, and is taken back.
        .with("position", known(&commit.position))
        .with("etag", known(&part.etag))
}

/// Saves the commit point (and the pinned entity tag) of a claimed part.
pub async fn commit(ledger: &dyn Table, part: &Part) -> StoreResult<Fenced> {
    fenced(ledger, part, committed(part)).await
}

/// Saves commit point, state and failure of a claimed part, and gives it back.
pub async fn give_back(ledger: &dyn Table, part: &Part) -> StoreResult<Fenced> {
    let state = match part.state {
        PartState::Open => "open",
        PartState::Ended => "ended",
        PartState::Stopped => "stopped",
        PartState::Failed => "failed",
    };
    let mut update =
        committed(part).set("state", text(state)).set("lease", number(0_u64)).with("owner", Change::Remove);
    if let Some(failure) = &part.failure {
        update = update.set("failure", attribute(WHAT, failure)?);
    }
    fenced(ledger, part, update).await
}

/// Moves the release cursor of a part that was read so. Lost: somebody moved it since.
pub async fn set_released(ledger: &dyn Table, part: &mut Part, to: u32) -> StoreResult<Fenced> {
    let releases = part.releases + 1;
    let update = Update::default().set("released", number(to)).set("releases", number(releases));
    let condition = Condition::Equals("releases", number(part.releases));
    let write = Write::Update(keys::part(part.run, part.part), update);
    match ledger.write(write, Some(condition)).await? {
        Conditional::Done(_) => {
            (part.released, part.releases) = (to, releases);
            Ok(Fenced::Held)
        }
        Conditional::Failed(_) => Ok(Fenced::Lost),
    }
}

/// Saves how far the chunks of a closing run are known to be done.
pub async fn set_closed(ledger: &dyn Table, part: &Part, to: u32) -> StoreResult<()> {
    let update = Update::default().set("closed", number(to));
    let write = Write::Update(keys::part(part.run, part.part), update);
    ledger.write(write, Some(Condition::Present)).await.map(|_| ())
}

/// Opens a failed part again, with another upload of the same audience; its commit point stays, its entity tag is forgotten.
pub async fn reopen(ledger: &dyn Table, part: &Part, upload: UploadId) -> StoreResult<Fenced> {
    let update = Update::default()
        .set("state", text("open"))
        .set("upload", text(upload))
        .with("etag", Change::Remove)
        .with("failure", Change::Remove);
    let condition = Condition::Equals("state", text("failed"));
    let write = Write::Update(keys::part(part.run, part.part), update);
    Ok(match ledger.write(write, Some(condition)).await? {
        Conditional::Done(_) => Fenced::Held,
        Conditional::Failed(_) => Fenced::Lost,
    })
}

/// The message that wakes `fanout` up for a part: `{"run":"run_…","part":0}`.
pub fn message(run: &Run, part: Number) -> Message {
    let body = format!("{{\"run\":\"{}\",\"part\":{part}}}", run.id);
    Message { body, delay: Duration::ZERO, group: run.workspace.to_string() }
}
