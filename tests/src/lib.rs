//! What the tests of the whole system, the demo and the benchmarks share.

pub mod api;
pub mod bucket;
pub mod crowd;
pub mod harness;
