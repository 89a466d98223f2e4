//! Slots: how many requests are under way at an endpoint at a time, across all its workers.
//!
//! Who has how many stands in the endpoint's item, as the text `{"<owner>":[<slots>,<until>],…}`. A writer changes the text that it read
//! and no other, so that two never give out the same slot. What an owner has ends with its lease: a dead worker's slots free themselves.

use std::collections::BTreeMap;

use fanhook_core::{id::WebhookId, time::Millis};

use crate::{
    StoreError, StoreResult,
    item::{Attributes, text},
    keys,
    ports::{Condition, Conditional, Item, Table, Update, Write},
};

const WHAT: &str = "slots";
const ATTRIBUTE: &str = "slots";

/// Who has how many of an endpoint's slots, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots(BTreeMap<String, (u32, Millis)>);

impl Slots {
    pub(crate) fn read(item: &Item) -> StoreResult<Self> {
        let Some(text) = item.maybe_text(ATTRIBUTE)? else { return Ok(Self::default()) };
        serde_json::from_str(text).map(Self).map_err(|error| StoreError::corrupt(WHAT, error))
    }

    /// The slots of `owner`.
    pub fn of(&self, owner: &str) -> u32 {
        self.0.get(owner).map_or(0, |&(slots, _)| slots)
    }

    /// All slots that somebody has.
    pub fn taken(&self, now: Millis) -> u32 {
        self.live(now).map(|(_, slots)| slots).fold(0, u32::saturating_add)
    }

    /// How many of its slots `owner` may use where all have more than the limit, because it was lowered: the first ones in the order of
    /// their names keep theirs.
    pub fn within(&self, owner: &str, limit: u32, now: Millis) -> u32 {
        let before = self.live(now).take_while(|&(name, _)| name < owner).map(|(_, slots)| slots);
        limit.saturating_sub(before.fold(0, u32::saturating_add)).min(self.of(owner))
    }

    fn live(&self, now: Millis) -> impl Iterator<Item = (&str, u32)> {
        self.0
            .iter()
            .filter(move |(_, (_, until))| *until > now)
            .map(|(owner, &(slots, _))| (owner.as_str(), slots))
    }

    /// The same with `wanted` slots for `owner`, or as many as the limit leaves beside the others, whose time is not over.
    fn with(&self, owner: &str, wanted: u32, limit: u32, now: Millis, until: Millis) -> Self {
        let mut next = self.clone();
        next.0.retain(|name, (_, until)| name != owner && *until > now);
        let slots = wanted.min(limit.saturating_sub(next.taken(now)));
        if slots > 0 {
            next.0.insert(owner.to_owned(), (slots, until));
        }
        next
    }

    fn text(&self) -> StoreResult<String> {
        serde_json::to_string(&self.0).map_err(|error| StoreError::corrupt(WHAT, error))
    }
}

/// Makes `wanted` the slots of `owner` until then, or as many as `limit` leaves; 0 gives them back. `seen` is what was read of the endpoint
/// last. Answers who has how many now; nobody where the endpoint was deleted.
pub async fn take(
    ledger: &dyn Table,
    webhook: WebhookId,
    owner: &str,
    (wanted, limit): (u32, u32),
    seen: &Slots,
    now: Millis,
    until: Millis,
) -> StoreResult<Slots> {
    let mut seen = seen.clone();
    loop {
        let next = seen.with(owner, wanted, limit, now, until);
        let mut unmoved = Condition::Equals(ATTRIBUTE, text(seen.text()?));
        if seen == Slots::default() {
            unmoved = Condition::Any(vec![Condition::Missing(ATTRIBUTE), unmoved]);
        }
        let update = Update::default().set(ATTRIBUTE, text(next.text()?));
        let condition = Condition::All(vec![Condition::Present, unmoved]);
        match ledger.write(Write::Update(keys::endpoint(webhook), update), Some(condition)).await? {
            Conditional::Done(_) => return Ok(next),
            Conditional::Failed(None) => return Ok(Slots::default()),
            // Every failure is another's success, so the loop ends; or it is our own, whose answer was lost.
            Conditional::Failed(Some(item)) => seen = Slots::read(&item)?,
        }
        if seen.with(owner, wanted, limit, now, until) == seen {
            return Ok(seen);
        }
    }
}
