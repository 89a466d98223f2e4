//! What every function shares with its platform: the clock, randomness, the environment, logs, and SQS batches in which each
//! record has a fate of its own.
//!
//! A function's `main` reads its settings ([`env::read`]), starts the logs ([`telemetry::start`]), builds its ports and hands
//! a handler to [`run`].

pub mod clock;
pub mod env;
pub mod random;
pub mod sqs;
pub mod telemetry;

mod run;

pub use run::run;
