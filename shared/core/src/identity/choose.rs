//! The choice of the ID that is sent for a user.

use std::borrow::Cow;

use super::{IdType, IdValue, Merged};
use crate::{
    id::IdTypeCode,
    limits,
    push::{PushContent, SendForm},
};

/// An ID as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentId<'a> {
    /// Its type.
    pub id_type: &'a IdTypeCode,
    /// Its value in the send form of the push; for `aes` still to be encrypted.
    pub value: Cow<'a, str>,
}

/// Chooses the IDs of users for one run.
///
/// The types of the push are tried in their order. Of each, the IDs that stand inline with the recipient beat those of the profile;
/// a value that cannot be sent in the wanted form, or that its normaliser refuses, counts as not there.
#[derive(Clone, Debug)]
pub struct Chooser {
    waterfall: Vec<IdType>,
    form: SendForm,
}

impl Chooser {
    /// A chooser for a push in a workspace with these ID types. Types that are unknown or not enabled are passed over.
    pub fn new(types: &[IdType], push: &PushContent) -> Self {
        let enabled =
            |code: &IdTypeCode| types.iter().find(|id_type| id_type.enabled && id_type.code == *code);
        Self { waterfall: push.id_types.iter().filter_map(enabled).cloned().collect(), form: push.send_form }
    }

    /// The one ID to send under policy `first`; none: outcome `no_id`.
    ///
    /// `inline` are the recipient's own IDs, type and value.
    pub fn first<'a>(
        &'a self,
        inline: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
        profile: Option<&Merged<'a>>,
    ) -> Option<SentId<'a>> {
        self.waterfall.iter().find_map(|id_type| self.of_type(id_type, inline.clone(), profile).next())
    }

    /// All IDs to send under policy `all`: those of the first type that has any, each once, at most [`limits::IDS`]. Empty: outcome `no_id`.
    pub fn all<'a>(
        &'a self,
        inline: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
        profile: Option<&Merged<'a>>,
    ) -> Vec<SentId<'a>> {
        let mut chosen: Vec<SentId<'a>> = Vec::new();
        for id_type in &self.waterfall {
            for id in self.of_type(id_type, inline.clone(), profile) {
                if chosen.len() < limits::IDS && !chosen.iter().any(|known| known.value == id.value) {
                    chosen.push(id);
                }
            }
            if !chosen.is_empty() {
                break;
            }
        }
        chosen
    }

    /// Whether the choice needs the profile: what stands inline has no usable ID of the first type.
    pub fn needs_profile<'a>(&'a self, inline: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        self.waterfall.first().is_some_and(|id_type| self.inline(id_type, inline).next().is_none())
    }

    fn of_type<'a>(
        &'a self,
        id_type: &'a IdType,
        inline: impl Iterator<Item = (&'a str, &'a str)>,
        profile: Option<&Merged<'a>>,
    ) -> impl Iterator<Item = SentId<'a>> {
        let mut inline = self.inline(id_type, inline).peekable();
        // The profile is asked only where nothing inline can be sent.
        let profile = if inline.peek().is_some() { None } else { profile };
        let stored = profile.into_iter().flat_map(|profile| profile.ids(id_type.code.as_str()));
        inline.chain(stored.filter_map(|id| self.sent(id_type, id.value())))
    }

    fn inline<'a>(
        &'a self,
        id_type: &'a IdType,
        inline: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> impl Iterator<Item = SentId<'a>> {
        inline
            .filter(|(code, _)| *code == id_type.code.as_str())
            .filter_map(|(_, text)| self.sent(id_type, IdValue::read(text)?))
    }

    fn sent<'a>(&self, id_type: &'a IdType, id: IdValue<'a>) -> Option<SentId<'a>> {
        let value = id.sent(self.form, |text| id_type.normaliser.apply(text, id_type.region))?;
        Some(SentId { id_type: &id_type.code, value })
    }
}
