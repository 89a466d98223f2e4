//! Endpoints: what is true now of what one webhook points at, for all its runs.

use std::time::Duration;

use fanhook_core::{id::WebhookId, rate::Rate, run::EndpointSettings, time::Millis};

use crate::{
    StoreError, StoreResult,
    item::{Attributes, number, text},
    keys,
    ports::{Change, Condition, Conditional, Item, Table, Update, Write},
    slots::Slots,
};

/// Longest interval that a worker takes tokens for at once.
pub const MAX_BLOCK: Duration = Duration::from_secs(5);

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its webhook.
    pub webhook: WebhookId,
    /// Limits, retry policy and signing of now.
    pub settings: EndpointSettings,
    /// It answered 410: nothing is sent until an administrator opens it.
    pub parked: bool,
    /// It asked to be left alone until then (`Retry-After`).
    pub not_before: Option<Millis>,
    /// Who may have how many requests under way, where that is limited.
    pub slots: Slots,
}

impl Endpoint {
    pub(crate) fn read(webhook: WebhookId, item: &Item) -> StoreResult<Self> {
        let settings = serde_json::from_str(item.text("settings")?)
            .map_err(|error| StoreError::corrupt("endpoint", error))?;
        Ok(Self {
            webhook,
            settings,
            parked: item.contains_key("parked"),
            not_before: item.maybe_number("not_before")?.map(Millis),
            slots: Slots::read(item)?,
        })
    }
}

/// One endpoint.
pub async fn get(ledger: &dyn Table, webhook: WebhookId) -> StoreResult<Option<Endpoint>> {
    ledger.get(&keys::endpoint(webhook)).await?.map(|item| Endpoint::read(webhook, &item)).transpose()
}

/// Writes the settings of now; what the endpoint said of itself stays.
pub async fn put(ledger: &dyn Table, webhook: WebhookId, settings: &EndpointSettings) -> StoreResult<()> {
    let json = serde_json::to_string(settings).map_err(|error| StoreError::corrupt("endpoint", error))?;
    let update = Update::default().set("settings", text(json));
    ledger.write(Write::Update(keys::endpoint(webhook), update), None).await.map(|_| ())
}

/// Opens an endpoint again that was parked or asked to be left alone.
pub async fn open(ledger: &dyn Table, webhook: WebhookId) -> StoreResult<()> {
    let update = Update::default().with("parked", Change::Remove).with("not_before", Change::Remove);
    ledger.write(Write::Update(keys::endpoint(webhook), update), Some(Condition::Present)).await.map(|_| ())
}

/// Forgets an endpoint.
pub async fn delete(ledger: &dyn Table, webhook: WebhookId) -> StoreResult<()> {
    ledger.write(Write::Delete(keys::endpoint(webhook)), None).await.map(|_| ())
}

/// Parks an endpoint that is gone.
pub async fn park(ledger: &dyn Table, webhook: WebhookId, now: Millis) -> StoreResult<()> {
    let update = Update::default().set("parked", number(now.0));
    ledger.write(Write::Update(keys::endpoint(webhook), update), Some(Condition::Present)).await.map(|_| ())
}

/// Leaves an endpoint alone until then, or longer where somebody said so.
pub async fn hold(ledger: &dyn Table, webhook: WebhookId, until: Millis) -> StoreResult<()> {
    let earlier =
        Condition::Any(vec![Condition::Missing("not_before"), Condition::AtMost("not_before", until.0)]);
    let condition = Condition::All(vec![Condition::Present, earlier]);
    let update = Update::default().set("not_before", number(until.0));
    ledger.write(Write::Update(keys::endpoint(webhook), update), Some(condition)).await.map(|_| ())
}

/// The interval that taken tokens are to be spread over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// First request.
    pub from: Millis,
    /// Time between two requests.
    pub step: Duration,
    /// Requests.
    pub tokens: u32,
}

/// What taking tokens gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// These are ours; intervals of two takers never overlap.
    Block(Block),
    /// None is free before `latest`; the next one is then.
    Later(Millis),
}

/// Takes up to `wanted` tokens of an endpoint with this `rate`, for at most [`MAX_BLOCK`] (but one at least), that start by `latest`.
pub async fn take(
    ledger: &dyn Table,
    webhook: WebhookId,
    rate: Rate,
    wanted: u32,
    now: Millis,
    latest: Millis,
) -> StoreResult<Taken> {
    let most = u32::try_from(rate.within(MAX_BLOCK)).unwrap_or(u32::MAX).max(1);
    let tokens = wanted.clamp(1, most);
    let span = u64::try_from(rate.span(tokens).as_micros()).unwrap_or(u64::MAX);
    let mut seen = None;
    loop {
        // `next_free` counts microseconds: a millisecond holds more than one token of a fast endpoint.
        let free = seen.unwrap_or(0).max(now.0.saturating_mul(1000));
        let from = Millis(free.div_ceil(1000));
        if from > latest {
            return Ok(Taken::Later(from));
        }
        let unmoved = match seen {
            None => Condition::Missing("next_free"),
            Some(seen) => Condition::Equals("next_free", number(seen)),
        };
        let update = Update::default().set("next_free", number(free + span));
        let condition = Condition::All(vec![Condition::Present, unmoved]);
        match ledger.write(Write::Update(keys::endpoint(webhook), update), Some(condition)).await? {
            Conditional::Done(_) => {
                return Ok(Taken::Block(Block { from, step: rate.span(1), tokens }));
            }
            Conditional::Failed(None) => return Err(StoreError::corrupt("endpoint", "it is missing")),
            // Every failure is another taker's success, so the loop ends.
            Conditional::Failed(Some(item)) => seen = item.maybe_number("next_free")?,
        }
    }
}
