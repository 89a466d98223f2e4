//! The ports: every effect on state, as narrow traits. They are object-safe, so that a handler takes `&dyn Table`.

mod direct;
mod objects;
mod queue;
mod secrets;
mod table;

pub use direct::{Direct, DirectError};
pub use objects::{Fetched, ObjectError, Objects, Upload};
pub use queue::{MAX_DELAY, Message, Queue};
pub use secrets::{SecretContext, Secrets};
pub use table::{
    Change, Condition, Conditional, Item, Key, Order, Page, Query, Table, Transaction, Update, Value, Write,
};

/// Our own store failed: never the receiver's fault, never a try used up. The caller gives the work back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The service did not do it, or it is unknown whether it did. Trying again may help.
    #[error("{operation} is unavailable")]
    Unavailable {
        /// The operation that failed.
        operation: &'static str,
        /// The service's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An item would be larger than the service takes; nothing was written. Trying again won't help.
    #[error("{operation}: the item would be too large")]
    TooLarge {
        /// The operation that was refused.
        operation: &'static str,
    },
    /// What is stored can't be read as what it should be. Trying again won't help.
    #[error("{what} can't be read: {detail}")]
    Corrupt {
        /// Kind of the item.
        what: &'static str,
        /// What is wrong with it; no value of it.
        detail: String,
    },
}

impl StoreError {
    /// What is stored as `what` can't be read, for the reason `detail`.
    pub fn corrupt(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, detail: detail.to_string() }
    }

    /// The `operation` failed with `source`.
    pub fn unavailable(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { operation, source: source.into() }
    }
}

/// What a port answers.
pub type StoreResult<T> = Result<T, StoreError>;
