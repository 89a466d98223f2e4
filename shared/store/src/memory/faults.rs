//! Faults on demand: a twin asks its hook before each operation.

use crate::{
    StoreError, StoreResult,
    ports::{Condition, Key, Message, Query, SecretContext, Write},
};

/// What a twin is about to do.
#[derive(Debug)]
pub enum Operation<'a> {
    /// Reads an item.
    Get(&'a Key),
    /// Reads items.
    GetMany(&'a [Key]),
    /// Reads a page.
    Query(&'a Query),
    /// Makes one write.
    Write(&'a Write, Option<&'a Condition>),
    /// Makes a transaction.
    Transact(&'a [(Write, Option<Condition>)]),
    /// Makes one batch of at most 25 writes; the batches before it are done.
    WriteMany(&'a [Write]),
    /// Reads the object under this key.
    GetObject(&'a str),
    /// Puts the object under this key.
    PutObject(&'a str),
    /// Lists the objects under this prefix.
    ListObjects(&'a str),
    /// Sends one message of a call; each has a fault of its own.
    Send(&'a Message),
    /// Encrypts a secret.
    Encrypt(&'a SecretContext),
    /// Decrypts a secret.
    Decrypt(&'a SecretContext),
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// It fails and is not done.
    Before,
    /// It is done, and its answer is lost.
    After,
}

/// Decides how an operation goes.
type Hook = dyn Fn(&Operation<'_>) -> Fault + Send + Sync;

/// A twin's hook; the default never fails.
#[derive(Default)]
pub(super) struct Faults(Option<Box<Hook>>);

impl Faults {
    pub(super) fn new(hook: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(hook)))
    }

    pub(super) fn of(&self, operation: &Operation<'_>) -> Fault {
        self.0.as_ref().map_or(Fault::None, |hook| hook(operation))
    }

    /// Does `work` as the hook wants it.
    pub(super) fn around<T, E>(
        &self,
        operation: &Operation<'_>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        match self.of(operation) {
            Fault::None => work(),
            Fault::Before => Err(lost("it was not done").into()),
            Fault::After => work().and_then(|_| Err(lost("its answer was lost").into())),
        }
    }
}

/// The failure of an operation, as a caller of the real service meets it.
pub(super) fn lost(detail: &'static str) -> StoreError {
    StoreError::unavailable("the store's twin", detail)
}

/// A call that the service refuses, whoever makes it: a fault of our own program.
pub(super) fn refused<T>(rule: impl Into<String>) -> StoreResult<T> {
    Err(StoreError::unavailable("the store's twin", rule.into()))
}
