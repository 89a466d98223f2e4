//! What the protocols rely on, as suites that a real service and its twin both pass. Each panics at the first violation, and uses
//! keys of its own, so that it may run again and again on one table.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a suite panics where the contract is broken"
)]

mod direct;
mod ledger;
mod objects;
mod queue;
mod secrets;
mod slots;
mod table;

use std::hash::{BuildHasher, RandomState};

pub use direct::direct;
#[cfg(test)]
pub(crate) use direct::question;
pub use ledger::ledger;
pub use objects::objects;
pub use queue::queue;
pub use secrets::secrets;
pub use table::{table, table_without_sort_key};

/// A text that no other call has.
fn unique(what: &str) -> String {
    format!("contract-{what}-{:016x}", RandomState::new().hash_one(what))
}
