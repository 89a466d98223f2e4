//! `dispatch` looks, every minute, at what is due.
//!
//! It reads the due entries up to now, then the row behind each, and does what [`plan`] says: drop the entry, move it to when
//! there is something to do, or wake a worker up. For a run it releases chunks, closes what was cancelled or has expired, and
//! sees that a run is over.

mod apply;
mod close;
pub mod plan;

pub use apply::{Ports, Summary, dispatch};
