//! Objects on S3.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::{
    Client,
    config::{RequestChecksumCalculation, ResponseChecksumValidation},
    error::{ProvideErrorMetadata, SdkError},
    operation::get_object::GetObjectOutput,
    presigning::PresigningConfig,
    primitives::ByteStream,
};
use bytes::Bytes;

use super::backoff::Backoff;
use crate::{
    StoreError, StoreResult,
    ports::{Fetched, ObjectError, Objects, Upload},
};

/// A bucket of S3.
#[derive(Clone, Debug)]
pub struct S3Objects {
    client: Client,
    bucket: String,
}

impl S3Objects {
    /// The `bucket`; addressed by path where the configuration names an address, since an emulator has no host per bucket.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        let config = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(config.endpoint_url().is_some())
            // A put is signed with the hash of its bytes already, and no range has a checksum of its own.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), bucket: bucket.into() }
    }

    /// The object's tag and size, with none of its bytes.
    async fn head(&self, key: &str, etag: Option<&str>) -> Result<Fetched, ObjectError> {
        let request =
            self.client.head_object().bucket(&self.bucket).key(key).set_if_match(etag.map(str::to_owned));
        let answer = request.send().await.map_err(|error| object_error("S3 HeadObject", error))?;
        let size = answer.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Ok(Fetched { bytes: Bytes::new(), etag: answer.e_tag.unwrap_or_default(), size })
    }

    /// One attempt; none where the answer ended before its time.
    async fn attempt(
        &self,
        key: &str,
        range: &Range<u64>,
        etag: Option<&str>,
    ) -> Result<Option<Fetched>, ObjectError> {
        // The service ignores a range whose end is no number of its own.
        let last = (range.end - 1).min(i64::MAX.unsigned_abs());
        let request =
            self.client.get_object().bucket(&self.bucket).key(key).set_if_match(etag.map(str::to_owned));
        match request.range(format!("bytes={}-{last}", range.start)).send().await {
            Ok(answer) => Ok(whole(answer, range).await),
            Err(error) if status(&error) == Some(416) => self.head(key, etag).await.map(Some),
            Err(error) => Err(object_error("S3 GetObject", error)),
        }
    }
}

/// The answer's bytes; none where there are fewer than it should hold.
async fn whole(answer: GetObjectOutput, range: &Range<u64>) -> Option<Fetched> {
    let length = u64::try_from(answer.content_length?).ok()?;
    // `bytes 0-9/100`; an answer without it is the whole object.
    let (start, size) = match answer.content_range.as_deref() {
        Some(text) => {
            let (place, size) = text.strip_prefix("bytes ")?.split_once('/')?;
            (place.split_once('-')?.0.parse().ok()?, size.parse().ok()?)
        }
        None => (0, length),
    };
    let wanted = range.start.min(size)..range.end.min(size);
    let bytes = answer.body.collect().await.ok()?.into_bytes();
    let from = usize::try_from(wanted.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(wanted.end.checked_sub(start)?).ok()?;
    (to <= bytes.len()).then(|| Fetched {
        bytes: bytes.slice(from..to),
        etag: answer.e_tag.unwrap_or_default(),
        size,
    })
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn object_error<E>(operation: &'static str, error: SdkError<E>) -> ObjectError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match (status(&error), error.code()) {
        (Some(404), code) if code != Some("NoSuchBucket") => ObjectError::NotFound,
        (Some(412), _) => ObjectError::Replaced,
        _ => StoreError::unavailable(operation, error).into(),
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn get(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Fetched, ObjectError> {
        if range.is_empty() {
            return self.head(key, etag).await;
        }
        let mut backoff = Backoff::default();
        loop {
            if let Some(fetched) = self.attempt(key, &range, etag).await? {
                return Ok(fetched);
            }
            if !backoff.wait().await {
                return Err(
                    StoreError::unavailable("S3 GetObject", "the answer ended before its time").into()
                );
            }
        }
    }

    async fn put(&self, key: &str, bytes: Bytes) -> StoreResult<()> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(bytes));
        request.send().await.map_err(|error| StoreError::unavailable("S3 PutObject", error))?;
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> StoreResult<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let request = request.set_start_after(after.map(str::to_owned));
        let answer =
            request.send().await.map_err(|error| StoreError::unavailable("S3 ListObjectsV2", error))?;
        Ok(answer.contents.into_iter().flatten().filter_map(|object| object.key).collect())
    }

    async fn presign_put(&self, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        const OPERATION: &str = "presigning a PUT";
        let lifetime = PresigningConfig::expires_in(lifetime)
            .map_err(|error| StoreError::unavailable(OPERATION, error))?;
        let signed = self.client.put_object().bucket(&self.bucket).key(key).presigned(lifetime).await;
        let signed = signed.map_err(|error| StoreError::unavailable(OPERATION, error))?;
        Ok(Upload { method: "PUT", url: signed.uri().to_owned() })
    }

    async fn presign_get(&self, key: &str, lifetime: Duration) -> StoreResult<Upload> {
        const OPERATION: &str = "presigning a GET";
        let lifetime = PresigningConfig::expires_in(lifetime)
            .map_err(|error| StoreError::unavailable(OPERATION, error))?;
        let signed = self.client.get_object().bucket(&self.bucket).key(key).presigned(lifetime).await;
        let signed = signed.map_err(|error| StoreError::unavailable(OPERATION, error))?;
        Ok(Upload { method: "GET", url: signed.uri().to_owned() })
    }
}
