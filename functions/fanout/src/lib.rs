//! `fanout` turns an audience's files into segments and chunks.
//!
//! A message of its queue names one part: one file of a run's audience. Whoever claims the part reads the file as one stream, from the
//! commit point on ([`work`]): ranges are fetched, read and packed ([`plan`]), and written, all three at the same time and none far ahead
//! of the next, so that memory stays flat. What is written stands in an order in which a crash at any place loses nothing and doubles
//! nothing: the segment object, the commit point, the rows of its chunks, their release.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use fanhook_core::time::Millis;
use fanhook_lambda::{
    clock::Clock,
    random::Random,
    sqs::{self, BatchError, Fate, Record},
    telemetry::chain,
};
use fanhook_store::ports::{Objects, Queue, Table};

mod apply;
mod expand;
pub mod parse;
pub mod plan;
mod preflight;
mod read;
mod work;

pub use work::{Outcome, work};

/// What `fanout` may touch.
#[derive(Clone)]
pub struct Ports {
    /// The ledger.
    pub ledger: Arc<dyn Table>,
    /// Profiles (read), for policy `all` only.
    pub profiles: Arc<dyn Table>,
    /// Audiences (read), segments, and reports (write).
    pub objects: Arc<dyn Objects>,
    /// Wakes `fanout` itself up.
    pub fanout: Arc<dyn Queue>,
    /// Wakes `deliver` up.
    pub deliver: Arc<dyn Queue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for owners.
    pub random: Arc<dyn Random>,
    /// The deployment's times.
    pub times: Times,
}

/// Times that the deployment sets.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How far ahead of a message its due entry is.
    pub due_ahead: Duration,
    /// How long a lease outlasts the invocation.
    pub lease_margin: Duration,
}

/// Works the parts that a batch of the queue names.
///
/// # Errors
/// The batch can't be answered record by record.
pub async fn handle(
    ports: &Ports,
    event: SqsEvent,
    deadline: Millis,
) -> Result<SqsBatchResponse, BatchError> {
    let handle = async |record: Record<parse::Message>| {
        let parse::Message { run, part } = record.message;
        let began = ports.clock.now();
        let outcome = work(ports, record.message, deadline).await;
        let milliseconds = ports.clock.now().since(began).as_millis();
        match outcome {
            Ok(outcome) => {
                tracing::info!(%run, part, outcome = outcome.name(), milliseconds, "part");
                Fate::Done
            }
            Err(error) => {
                tracing::error!(%run, part, error = chain(&error), milliseconds, "part");
                Fate::Retry
            }
        }
    };
    sqs::each(event, ports.clock.as_ref(), deadline, handle).await
}
