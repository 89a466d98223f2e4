//! `/organization-key`: what IDs are encrypted by in the send form `aes`; one of the whole organization, write-only.

use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_core::{fault::Fault, id::EntryId, identity};
use fanhook_store::{
    Swapped,
    organization_key::{self, OrganizationKey},
    ports::{SecretContext, Table},
};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Member, OrganizationAdmin},
    audit::Action,
    input::Input,
    output::Time,
    precondition::{IfMatch, Tag, Tagged},
    problem::{ATTEMPTS, Problem, Result},
};

/// Random numbers of 8 bytes in a key that is made here.
const NUMBERS: usize = identity::ORGANIZATION_KEY / 8;
/// How the audit log names the key.
const OF: (&str, &str) = ("organization_key", "organization");

/// The key as an administrator of the organization writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub(crate) struct OrganizationKeyInput {
    /// The base64 of 32 bytes; left out: one is made.
    #[serde(default)]
    key: Option<String>,
}

/// What is told of the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationKey)]
#[schema(example = json!({"version": 1, "updated_at": "2027-01-15T08:00:00.000Z"}))]
pub(crate) struct OrganizationKeyView {
    /// Counts the changes, from 1.
    version: u32,
    /// When it was set.
    updated_at: Time,
    /// The base64 of its 32 bytes: told once, when it was made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl OrganizationKeyView {
    fn new(stored: &OrganizationKey, key: Option<String>) -> Self {
        Self { version: stored.version, updated_at: Time(stored.updated), key }
    }

    fn tagged(stored: &OrganizationKey, key: Option<String>) -> Tagged<Self> {
        Tagged(Tag::version(stored.version), Self::new(stored, key))
    }
}

/// Tells whether there is an organization key, and since when; the key itself is never told.
#[utoipa::path(get, path = "/organization-key", tag = "Organization", operation_id = "read_organization_key", responses(
    (status = 200, description = "There is one.", body = OrganizationKeyView, headers(("etag" = String, description = "For `If-Match`."))),
))]
pub(crate) async fn read(member: Member) -> Result<Tagged<OrganizationKeyView>> {
    let stored = organization_key::get(&*member.ledger).await?.ok_or_else(Problem::not_found)?;
    Ok(OrganizationKeyView::tagged(&stored, None))
}

/// Sets or replaces the organization key; the pushes of all workspaces encrypt by it from then on.
///
/// A key that is made here is told in this answer, once.
#[utoipa::path(put, path = "/organization-key", tag = "Organization", operation_id = "replace_organization_key",
    params(IfMatch), request_body = OrganizationKeyInput, responses(
    (status = 200, description = "It is set.", body = OrganizationKeyView, headers(("etag" = String, description = "For `If-Match`."))),
    (status = 409, description = "`changed_meanwhile`."),
))]
pub(crate) async fn replace(
    admin: OrganizationAdmin,
    if_match: IfMatch,
    Input(input): Input<OrganizationKeyInput>,
) -> Result<Tagged<OrganizationKeyView>> {
    let (key, told) = if let Some(text) = &input.key {
        (identity::OrganizationKey::parse(text).map_err(wrong)?, None)
    } else {
        let numbers = (0..NUMBERS).flat_map(|_| admin.random.number().to_be_bytes());
        let key = SecretSlice::from(numbers.collect::<Vec<u8>>());
        let text = BASE64_STANDARD.encode(key.expose_secret());
        (key, Some(text))
    };
    let mut old = organization_key::get(&*admin.ledger).await?;
    if_match.check(tag(old.as_ref()).as_ref())?;
    let ciphertext = admin.secrets.encrypt(&SecretContext::organization_key(), &key).await?;
    let mut recorded: Option<EntryId> = None;
    for _ in 0..ATTEMPTS {
        let version = old.as_ref().map_or(0, |old| old.version) + 1;
        let new = OrganizationKey { version, ciphertext: ciphertext.clone(), updated: admin.now };
        let action = if old.is_none() { Action::Made } else { Action::Replaced };
        let view = |key: &OrganizationKey| OrganizationKeyView::new(key, None);
        let mut entry = admin.entry(action, OF, old.as_ref().map(view).as_ref(), Some(&view(&new)));
        // Of what was tried again the log tells the last try.
        entry.id = *recorded.get_or_insert(entry.id);
        admin.record_entry(&entry).await?;
        match organization_key::replace(&*admin.ledger, old.as_ref(), &new).await? {
            Swapped::Done => return Ok(OrganizationKeyView::tagged(&new, told)),
            Swapped::Changed => old = organization_key::get(&*admin.ledger).await?,
        }
        if_match.check(tag(old.as_ref()).as_ref())?;
    }
    Err(Problem::busy())
}

fn tag(stored: Option<&OrganizationKey>) -> Option<Tag> {
    stored.map(|stored| Tag::version(stored.version))
}

fn wrong(error: identity::InvalidKey) -> Problem {
    let fault = Fault::new("key", error.to_string());
    Problem::invalid(vec![fault.hint("leave it out to have one made")])
}

/// That IDs can be encrypted, at the field `send_form`.
pub(crate) async fn check(ledger: &dyn Table) -> Result<Option<Fault>> {
    if organization_key::get(ledger).await?.is_some() {
        return Ok(None);
    }
    let fault = Fault::new("send_form", "there is no organization key to encrypt IDs by");
    Ok(Some(fault.hint("an administrator of the organization sets it by `PUT /organization-key`")))
}
