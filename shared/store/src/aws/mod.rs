//! The ports on AWS: DynamoDB, S3, SQS, KMS and Lambda.

mod backoff;
mod direct;
mod expression;
mod objects;
mod queue;
mod secrets;
mod table;
#[cfg(test)]
mod tests;
mod writes;

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};

pub use direct::LambdaDirect;
pub use objects::S3Objects;
pub use queue::SqsQueue;
pub use secrets::KmsSecrets;
pub use table::DynamoTable;

/// Longest time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest time for one attempt of a call up to its answer's head.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Longest time for a call with all its attempts, up to its answer's head. Who must not write after some point in time starts
/// no call nearer to it than this.
pub const LONGEST_CALL: Duration = Duration::from_secs(10);
/// Attempts of a call that the SDK makes.
const ATTEMPTS: u32 = 4;

/// The configuration that all clients of a function share: region, credentials and address from the environment; time-outs and
/// retries from here, so that an update of the SDK changes neither.
pub async fn config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(LONGEST_CALL)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(2));
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts)
        .retry_config(retries)
        .load()
        .await
}
