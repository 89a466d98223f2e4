//! Whole invocations of `fanout` against the twins, in virtual time.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crash;
mod failures;
mod files;
mod gate;
mod runs;
mod world;
