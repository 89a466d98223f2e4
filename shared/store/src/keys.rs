//! Every key of every table and of the bucket, built from typed identifiers only; `#` delimits and no identifier holds it.

use fanhook_core::{
    chunk::{ChunkId, Part},
    id::{GrantId, ParameterSourceId, PushId, Qaid, RunId, UploadId, WebhookId, WorkspaceId},
};

use crate::ports::Key;

/// Partitions that the chunks of one part are spread over.
pub const CHUNK_SHARDS: u32 = 8;
/// Counter items of one run.
pub const COUNTER_SHARDS: u64 = 16;
/// Partitions of one minute of due entries.
pub const DUE_SHARDS: u64 = 4;

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: Some(sk.into()) }
}

// Ledger.

/// A run: its state and what is true of it now.
pub fn run(run: RunId) -> Key {
    key(format!("run#{run}"), "run")
}

/// What a run pinned at its start.
pub fn pinned(run: RunId) -> Key {
    key(format!("run#{run}#pinned"), "pinned")
}

/// A part of a run's audience.
pub fn part(run: RunId, part: Part) -> Key {
    key(parts(run), format!("{part:05}"))
}

/// Partition of a run's parts.
pub fn parts(run: RunId) -> String {
    format!("run#{run}#parts")
}

/// One of a run's counters.
pub fn counter(run: RunId, shard: u64) -> Key {
    key(format!("run#{run}#counter#{}", shard % COUNTER_SHARDS), "counter")
}

/// A chunk row.
pub fn chunk(id: &ChunkId) -> Key {
    let pk = format!("run#{}#chunks#{}#{}", id.run, id.part, id.chunk % CHUNK_SHARDS);
    key(pk, format!("{:010}", id.chunk))
}

/// Partition of a workspace's runs; sort keys are run IDs.
pub fn runs(workspace: &WorkspaceId) -> String {
    format!("runs#{workspace}")
}

/// A run in its workspace's list.
pub fn listed_run(workspace: &WorkspaceId, run: RunId) -> Key {
    key(runs(workspace), run.to_string())
}

/// An idempotency key of a workspace, by the SHA-256 of it in hex.
pub fn idempotency(workspace: &WorkspaceId, digest: &str) -> Key {
    key(format!("idempotency#{workspace}#{digest}"), "idempotency")
}

/// Partition of the due entries of a minute and shard.
pub fn due(minute: u64, shard: u64) -> String {
    format!("due#{minute}#{}", shard % DUE_SHARDS)
}

/// How far `dispatch` has read the due entries.
pub fn due_cursor() -> Key {
    key("due-cursor".to_owned(), "due-cursor")
}

/// What is true of an endpoint now.
pub fn endpoint(webhook: WebhookId) -> Key {
    key(format!("endpoint#{webhook}"), "endpoint")
}

/// The organization key: where workers read it.
pub fn organization_key() -> Key {
    key("organization-key".to_owned(), "organization-key")
}

/// An upload and what became of it.
pub fn upload(upload: UploadId) -> Key {
    key(format!("upload#{upload}"), "upload")
}

// Configuration: one partition a workspace.

/// Partition of a workspace's configuration.
pub fn workspace(workspace: &WorkspaceId) -> String {
    format!("workspace#{workspace}")
}

/// A workspace's ID types, one list, so that rules of the whole list hold under concurrent writes.
pub fn id_types(of: &WorkspaceId) -> Key {
    key(workspace(of), "id-types")
}

/// A workspace's data sources, strongest first.
pub fn sources(of: &WorkspaceId) -> Key {
    key(workspace(of), "sources")
}

/// A webhook as it is now.
pub fn webhook(of: &WorkspaceId, webhook: WebhookId) -> Key {
    key(workspace(of), format!("{WEBHOOKS}{webhook}"))
}

/// One version of a webhook.
pub fn webhook_version(of: &WorkspaceId, webhook: WebhookId, version: u32) -> Key {
    key(format!("webhook-versions#{of}#{webhook}"), format!("{version:010}"))
}

/// Beginning of the sort keys of a workspace's webhooks.
pub(crate) const WEBHOOKS: &str = "webhook#";
/// Beginning of the sort keys of a workspace's parameter sources.
pub(crate) const PARAMETER_SOURCES: &str = "parameter-source#";
/// Beginning of the sort keys of a workspace's pushes.
pub(crate) const PUSHES: &str = "push#";

/// A push.
pub fn push(of: &WorkspaceId, push: PushId) -> Key {
    key(workspace(of), format!("{PUSHES}{push}"))
}

/// A usage grant on a webhook.
pub fn grant(of: &WorkspaceId, webhook: WebhookId, grant: GrantId) -> Key {
    key(grants(of, webhook), grant.to_string())
}

/// Partition of the usage grants on a webhook.
pub fn grants(of: &WorkspaceId, webhook: WebhookId) -> String {
    format!("grants#{of}#{webhook}")
}

/// Partition of the changes of an object, by the SHA-256 of its kind and identifier in hex; sort keys are entry IDs.
pub fn audit(of: &WorkspaceId, object: &str) -> String {
    format!("audit#{of}#{object}")
}

/// Partition of the changes that one person made, by the SHA-256 of the person's subject in hex.
pub fn audit_by(of: &WorkspaceId, person: &str) -> String {
    format!("audit-by#{of}#{person}")
}

/// A parameter source.
pub fn parameter_source(of: &WorkspaceId, source: ParameterSourceId) -> Key {
    key(workspace(of), format!("{PARAMETER_SOURCES}{source}"))
}

/// A name that is taken in a workspace, by the SHA-256 of it in hex; `prefix` is that of the sort keys of what it names.
pub(crate) fn name(of: &WorkspaceId, prefix: &'static str, digest: &str) -> Key {
    key(workspace(of), format!("name#{prefix}{digest}"))
}

// Profiles.

/// A profile. The QAID stands last and whole, so that it may hold anything.
pub fn profile(workspace: &WorkspaceId, qaid: &Qaid) -> Key {
    Key { pk: format!("{workspace}#{qaid}"), sk: None }
}

// Objects.

/// An uploaded file; `profiles/` wakes the import up, `audiences/` wakes nobody.
pub fn uploaded(folder: &'static str, workspace: &WorkspaceId, upload: UploadId) -> String {
    format!("{folder}/{workspace}/{upload}")
}

/// A segment; its key holds the fence of the worker that wrote it.
pub fn segment(workspace: &WorkspaceId, run: RunId, part: Part, segment: u32, fence: u64) -> String {
    format!("segments/{workspace}/{run}/{part:05}/{segment:06}-{fence}.ndjson")
}

/// Prefix of a run's outcome objects, laid out as Hive partitions for Athena and `DuckDB`.
pub fn outcomes(workspace: &WorkspaceId, run: RunId) -> String {
    format!("outcomes/workspace={workspace}/run={run}/")
}

/// The outcomes that one pass over a chunk settled.
pub fn outcome(workspace: &WorkspaceId, id: &ChunkId, pass: u64) -> String {
    format!("{}{:05}-{:010}-{pass:05}.ndjson.gz", outcomes(workspace, id.run), id.part, id.chunk)
}

/// Prefix of the reports on one file.
pub fn reports(workspace: &WorkspaceId, upload: UploadId) -> String {
    format!("reports/{workspace}/{upload}/")
}

/// Bad rows of one file, a segment (or piece of an import) an object.
pub fn report(workspace: &WorkspaceId, upload: UploadId, scope: &str, piece: u32) -> String {
    format!("{}{scope}/{piece:06}.ndjson", reports(workspace, upload))
}
