//! Objects: the recipients, outcomes and reports.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::{StoreError, StoreResult};

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is none under this key.
    #[error("there is no such object")]
    NotFound,
    /// It is not the version that was pinned.
    #[error("the object was replaced")]
    Replaced,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A range of an object, whole: never shorter than asked for, but at the object's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Bytes,
    /// Entity tag of the version read.
    pub etag: String,
    /// Size of the whole object, in bytes.
    pub size: u64,
}

/// A presigned request that a browser or `curl` may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// HTTP method.
    pub method: &'static str,
    /// Full address.
    pub url: String,
}

/// The bucket.
#[async_trait]
pub trait Objects: Send + Sync {
    /// A range of an object (which may be empty at its end), of the pinned version where `etag` names one. A range that begins at or
    /// behind the end gives no bytes.
    async fn get(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Fetched, ObjectError>;

    /// Puts an object whole, replacing any other.
    async fn put(&self, key: &str, bytes: Bytes) -> StoreResult<()>;

    /// Keys that begin with `prefix`, in order, behind `after`, at most 1,000.
    async fn list(&self, prefix: &str, after: Option<&str>) -> StoreResult<Vec<String>>;

    /// Address for an upload to `key`, valid for `lifetime`.
    async fn presign_put(&self, key: &str, lifetime: Duration) -> StoreResult<Upload>;

    /// Address for a download of `key`, valid for `lifetime`.
    async fn presign_get(&self, key: &str, lifetime: Duration) -> StoreResult<Upload>;
}
