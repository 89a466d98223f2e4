//! What the tests of the whole system, the demo and the benchmarks share.

pub mod crowd;
