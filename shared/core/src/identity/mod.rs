//! Who a user is to the receiving system: ID types, profiles from several sources, and the ID that is sent.

#[cfg(test)]
mod cases;
mod choose;
mod normalise;
mod organization_key;
mod phone;
mod profile;
mod stored;
mod types;

pub use choose::{Chooser, SentId};
pub use normalise::Normaliser;
pub use organization_key::{InvalidKey, ORGANIZATION_KEY, OrganizationKey};
pub use phone::Region;
pub use profile::{Merged, Profile, Source};
pub use stored::{IdValue, StoredId};
pub use types::{IdType, check, presets};
