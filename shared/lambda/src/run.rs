//! The loop of a function.

use std::error::Error;

use fanhook_core::time::Millis;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::telemetry::chain;

/// Runs `handle` for each event of type `E`, with the time at which the platform ends the invocation, until the process ends.
///
/// # Errors
/// The runtime's own: the platform can't be reached.
pub async fn run<E, R, F>(
    handle: impl AsyncFn(E, Millis) -> Result<R, F>,
) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    R: Serialize,
    F: Into<Box<dyn Error + Send + Sync>>,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(|event: LambdaEvent<E>| async move {
        handle(event.payload, Millis(event.context.deadline)).await.map_err(|error| {
            let error = chain(&*error.into());
            tracing::error!(error, "the invocation failed");
            Diagnostic { error_type: "InvocationFailed".to_owned(), error_message: error }
        })
    }))
    .await
}
