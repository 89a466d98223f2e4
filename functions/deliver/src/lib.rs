//! `deliver` sends what a chunk's recipients are due: it claims the chunk, looks their IDs and tags up, renders, signs and posts a
//! request each, and settles what came of it.
//!
//! The people of this play: a *chunk* is worked by one *worker* at a time, who holds it by a lease and a fence; an *invocation* works
//! up to ten chunks at once, which share its permits for requests and its view of runs and endpoints ([`control`]); an *endpoint* is
//! what a webhook points at.
//!
//! Files follow the way of a chunk: [`job`] (what its run pinned), [`parse`] (its recipients), [`prepare`] (their requests), [`work`]
//! (sending), [`plan`] (what an end of a request means, pure), [`apply`] (claim, checkpoint, settle).
//!
//! Beside chunks it answers questions ([`mod@direct`]): previews, test sends and handshakes, made by the same code.
//!
//! A crash at any point loses nothing: what is not saved is sent again, under the same `webhook-id`. Per killed worker these are at
//! most the [`REQUESTS`] under way and [`UNSAVED`] of each chunk.

mod apply;
mod control;
mod credentials;
mod direct;
mod event;
mod invocation;
mod job;
mod pace;
mod parse;
pub mod plan;
mod prepare;
mod settings;
mod shares;
mod summary;
mod token;
mod work;

pub use direct::answer;
pub use event::{Event, NotOurs, Response};
pub use settings::Settings;

use std::{sync::Arc, time::Duration};

use fanhook_core::{chunk::ChunkId, time::Millis};
use fanhook_lambda::{
    clock::Clock,
    random::Random,
    sqs::{Fate, Record},
};
use fanhook_outbound::Http;
use fanhook_store::ports::{Objects, Queue, Secrets, Table};

/// Requests that one invocation has under way at most.
pub const REQUESTS: usize = 128;
/// Requests of one chunk that ended and are not saved, at most.
pub const UNSAVED: usize = 64;

/// What `deliver` may touch, and what it keeps between invocations.
pub struct Ports {
    /// Runs, chunks, counters, endpoints.
    pub ledger: Arc<dyn Table>,
    /// Profiles, read only.
    pub profiles: Arc<dyn Table>,
    /// Segments (read) and outcomes (write).
    pub objects: Arc<dyn Objects>,
    /// Wakes `deliver` itself up.
    pub queue: Arc<dyn Queue>,
    /// Decrypts endpoints' secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The way out.
    pub http: Arc<dyn Http>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for owners and jitter.
    pub random: Arc<dyn Random>,
    /// The deployment's times.
    pub times: Times,
    /// What is kept between invocations.
    pub kept: Kept,
}

/// The deployment's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The function's time-out.
    pub timeout: Duration,
    /// How long a lease outlasts the invocation.
    pub lease_margin: Duration,
}

/// The function's time-out leaves no time for a request and for settling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TIMEOUT_SECONDS must be at least {} s", .0.as_secs())]
pub struct TooShort(Duration);

impl Times {
    /// Whether an invocation has time for requests, and for settling what they came to.
    pub fn check(self) -> Result<Self, TooShort> {
        let least = plan::SETTLING * 2;
        if self.timeout < least { Err(TooShort(least)) } else { Ok(self) }
    }
}

/// What is kept between invocations of a process.
#[derive(Default)]
pub struct Kept {
    jobs: job::Jobs,
    keyring: credentials::Keyring,
}

/// Works the chunks of one invocation, which the platform ends at `deadline`; one fate each, in their order.
pub async fn deliver(ports: &Ports, chunks: Vec<Record<ChunkId>>, deadline: Millis) -> Vec<Fate> {
    let ids: Vec<ChunkId> = chunks.into_iter().map(|record| record.message).collect();
    invocation::run(ports, &ids, deadline).await
}
