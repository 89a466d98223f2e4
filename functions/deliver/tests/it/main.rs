//! `deliver` against twins of the store and a scripted endpoint, in virtual time.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

mod batches;
mod control;
mod crash;
mod direct;
mod encryption;
mod endpoint;
mod faults;
mod happy;
mod oauth;
mod retry;
mod secrecy;
mod signing;
mod slots;
mod success;
mod world;
