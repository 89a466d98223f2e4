//! The bucket's twin.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hasher},
    ops::{Bound, Range},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::faults::{Fault, Faults, Operation, refused};
use crate::{
    StoreResult,
    ports::{Fetched, ObjectError, Objects, Upload},
};

/// Keys of one listing.
const PAGE: usize = 1000;
/// Longest lifetime of a presigned request.
const LIFETIME: Duration = Duration::from_hours(7 * 24);

/// A bucket in memory.
#[derive(Default)]
pub struct MemoryObjects {
    objects: Mutex<BTreeMap<String, Object>>,
    faults: Faults,
}

struct Object {
    bytes: Bytes,
    etag: String,
}

impl MemoryObjects {
    /// An empty bucket.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same bucket, whose operations fail as `hook` says.
    #[must_use]
    pub fn with_faults(self, hook: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self { faults: Faults::new(hook), ..self }
    }

    /// Every key, in order.
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The bytes of an object.
    pub fn read(&self, key: &str) -> Option<Bytes> {
        self.lock().get(key).map(|object| object.bytes.clone())
    }

    /// Removes an object, as the bucket's life cycle or a user may at any time.
    pub fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presign(method: &'static str, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        if lifetime.as_secs() == 0 || lifetime > LIFETIME {
            return refused("a presigned request lives 1 second to 7 days");
        }
        // A name that never resolves: nothing can be sent to a twin.
        Ok(Upload { method, url: format!("https://bucket.invalid/{key}?expires={}", lifetime.as_secs()) })
    }
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn get(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Fetched, ObjectError> {
        self.faults.around(&Operation::GetObject(key), || {
            let objects = self.lock();
            let object = objects.get(key).ok_or(ObjectError::NotFound)?;
            if etag.is_some_and(|etag| etag != object.etag) {
                return Err(ObjectError::Replaced);
            }
            let length = object.bytes.len();
            let within = |at: u64| usize::try_from(at).unwrap_or(length).min(length);
            let (start, end) = (within(range.start), within(range.end));
            let bytes = object.bytes.slice(start.min(end)..end);
            Ok(Fetched { bytes, etag: object.etag.clone(), size: length as u64 })
        })
    }

    async fn put(&self, key: &str, bytes: Bytes) -> StoreResult<()> {
        self.faults.around(&Operation::PutObject(key), || {
            if key.is_empty() || key.len() > 1024 {
                return refused("a key has 1 to 1,024 bytes");
            }
            // As with the real one, the same bytes have the same tag.
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            let object = Object { bytes, etag: format!("\"{:016x}\"", hasher.finish()) };
            self.lock().insert(key.to_owned(), object);
            Ok(())
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> StoreResult<Vec<String>> {
        self.faults.around(&Operation::ListObjects(prefix), || {
            let objects = self.lock();
            let start =
                after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
            let keys = objects.range::<str, _>((start, Bound::Unbounded)).map(|(key, _)| key);
            Ok(keys.take_while(|key| key.starts_with(prefix)).take(PAGE).cloned().collect())
        })
    }

    async fn presign_put(&self, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        Self::presign("PUT", key, lifetime)
    }

    async fn presign_get(&self, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        Self::presign("GET", key, lifetime)
    }
}
