//! All state of Fanhook, behind narrow ports: tables (DynamoDB), objects (S3), queues (SQS), secrets (KMS); and the port by which
//! `config` asks `deliver` (Lambda).
//!
//! A port is a trait with two implementations that pass one contract suite ([`contract`]): the real service in [`aws`], and a
//! twin in memory in [`memory`]. The protocols (claim, checkpoint, settle, release, …) are written once, in one file per
//! entity, over the ports.

pub mod aws;
pub mod contract;
mod item;
pub mod keys;
pub mod memory;
mod names;
pub mod ports;
mod versioned;

pub mod audit;
pub mod chunks;
pub mod counters;
pub mod due;
pub mod endpoints;
pub mod files;
pub mod grants;
pub mod id_types;
pub mod organization_key;
pub mod outcomes;
pub mod parameter_sources;
pub mod parts;
pub mod profiles;
pub mod proofs;
pub mod pushes;
pub mod release;
pub mod runs;
pub mod segments;
pub mod slots;
pub mod sources;
pub mod uploads;
pub mod webhooks;

use ports::{Item, Transaction, Value};
pub use ports::{StoreError, StoreResult};
pub use versioned::{Deleted, Users};

/// What a change of something that was read before gives.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was made.
    Done,
    /// Somebody else changed it since it was read.
    Changed,
    /// It is gone.
    Gone,
}

/// What replacing something that was read before gives, where it is always there, be it as a default.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// It was replaced.
    Done,
    /// Somebody else changed it since it was read.
    Changed,
}

impl Swapped {
    /// Of a transaction that makes the JSON of one item `wanted`. One whose answer was lost meets its own result.
    fn of(transaction: Transaction, wanted: &Value) -> Self {
        let met = |item: &Item| item.get("json") == Some(wanted);
        match transaction {
            Transaction::Failed(failed) if !failed.iter().any(|(_, item)| item.as_ref().is_some_and(met)) => {
                Self::Changed
            }
            _ => Self::Done,
        }
    }
}
