//! The organization key, by which IDs are encrypted for receivers: one of a deployment, in the ledger, where workers read it.

use fanhook_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::{
    StoreResult, Swapped,
    item::{decode, encode, number},
    keys,
    ports::{Condition, Conditional, Table, Write},
};

const WHAT: &str = "organization key";

/// The key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationKey {
    /// Counts the changes, from 1.
    pub version: u32,
    /// KMS ciphertext of the key's bytes, base64.
    pub ciphertext: String,
    /// When it was set.
    pub updated: Millis,
}

/// The key; none where there never was one.
pub async fn get(ledger: &dyn Table) -> StoreResult<Option<OrganizationKey>> {
    ledger.get(&keys::organization_key()).await?.map(|item| decode(WHAT, item)).transpose()
}

/// Replaces the key that was read as `old` by one of the next version.
pub async fn replace(
    ledger: &dyn Table,
    old: Option<&OrganizationKey>,
    new: &OrganizationKey,
) -> StoreResult<Swapped> {
    let item = encode(WHAT, &keys::organization_key(), new)?;
    let unchanged = match old {
        None => Condition::Absent,
        Some(old) => Condition::Equals("version", number(old.version)),
    };
    let standing = match ledger.write(Write::Put(item), Some(unchanged)).await? {
        Conditional::Done(_) => return Ok(Swapped::Done),
        Conditional::Failed(standing) => standing.map(|item| decode(WHAT, item)).transpose()?,
    };
    // A write whose answer was lost meets its own key.
    Ok(if standing.as_ref() == Some(new) { Swapped::Done } else { Swapped::Changed })
}
