//! Names that are unique among the objects of a kind in a workspace: each is taken by an item of its own.

use sha2::{Digest, Sha256};

use crate::{
    item::keyed,
    keys,
    ports::{Condition, Key, Write},
    versioned::Versioned,
};

/// For an object's transaction: its name is taken, unless another has it.
pub(crate) fn take<V: Versioned>(object: &V) -> (Write, Condition) {
    (Write::Put(keyed(&key(object))), Condition::Absent)
}

/// For an object's transaction: its name is free again.
pub(crate) fn release<V: Versioned>(object: &V) -> Write {
    Write::Delete(key(object))
}

/// A name may hold anything: its key holds a digest of it.
fn key<V: Versioned>(object: &V) -> Key {
    let head = object.head();
    keys::name(head.workspace, V::PREFIX, &hex::encode(Sha256::digest(head.name)))
}
