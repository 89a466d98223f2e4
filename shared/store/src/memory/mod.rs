//! Twins of the ports in memory, for fast tests, simulations and benchmarks. They pass the suite that the real services pass
//! ([`crate::contract`]), hold their limits, and can fail on demand.

mod condition;
mod direct;
mod faults;
mod limits;
mod objects;
mod queue;
mod secrets;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use direct::MemoryDirect;
pub use faults::{Fault, Operation};
pub use objects::MemoryObjects;
pub use queue::MemoryQueue;
pub use secrets::MemorySecrets;
pub use table::MemoryTable;
