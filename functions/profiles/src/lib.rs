//! `profiles` imports profile files: each row becomes one update of one user's item.
//!
//! S3 tells of a file by a message of the queue. The file is read as one stream from the upload's commit point on ([`import`]); what a
//! row's source says ([`fanhook_core::audience::Said`]) replaces what it said of the user before, 64 updates at a time ([`apply`]).
//! Near its end an invocation saves where it is and leaves a message for the next one. Doing a part of a file twice changes nothing.

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use fanhook_core::time::Millis;
use fanhook_lambda::{
    clock::Clock,
    sqs::{self, BatchError, Fate, Record},
    telemetry::chain,
};
use fanhook_store::ports::{Objects, Queue, Table};

mod apply;
mod import;
pub mod parse;

pub use import::{Outcome, import};

/// What `profiles` may touch.
#[derive(Clone)]
pub struct Ports {
    /// ID types (read).
    pub config: Arc<dyn Table>,
    /// Profiles.
    pub profiles: Arc<dyn Table>,
    /// Uploads, of the ledger.
    pub ledger: Arc<dyn Table>,
    /// Profile files (read) and reports (write).
    pub objects: Arc<dyn Objects>,
    /// Wakes `profiles` itself up.
    pub queue: Arc<dyn Queue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Imports the files that a batch of the queue names.
///
/// # Errors
/// The batch can't be answered record by record.
pub async fn handle(
    ports: &Ports,
    event: SqsEvent,
    deadline: Millis,
) -> Result<SqsBatchResponse, BatchError> {
    let handle = async |record: Record<parse::Message>| {
        for file in record.message.files() {
            let Some(file) = file else {
                tracing::warn!("an object under no key of ours was put");
                continue;
            };
            let (upload, began) = (file.upload, ports.clock.now());
            let outcome = import(ports, &file, deadline).await;
            let milliseconds = ports.clock.now().since(began).as_millis();
            match outcome {
                Ok(outcome) => tracing::info!(%upload, outcome = outcome.name(), milliseconds, "import"),
                Err(error) => {
                    tracing::error!(%upload, error = chain(&error), milliseconds, "import");
                    return Fate::Retry;
                }
            }
        }
        Fate::Done
    };
    sqs::each(event, ports.clock.as_ref(), deadline, handle).await
}
