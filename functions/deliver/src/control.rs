//! Runs and endpoints as they are now: read once a second, for all chunks of an invocation together.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    time::Duration,
};

use fanhook_core::{
    chunk::ChunkId,
    id::{RunId, WebhookId},
    time::Millis,
};
use fanhook_store::{
    StoreResult,
    endpoints::{self, Endpoint},
    runs::{self, Run},
};
use tokio::sync::watch;

use crate::Ports;

/// Time between two readings.
const EVERY: Duration = Duration::from_secs(1);

/// A reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// When it was begun: what was written before is in it.
    pub(crate) read_at: Millis,
    runs: HashMap<RunId, Run>,
    endpoints: HashMap<WebhookId, Endpoint>,
    /// What this invocation learnt itself, which a reading begun before does not hold.
    held: HashMap<WebhookId, Millis>,
    gone: HashSet<WebhookId>,
}

impl View {
    /// A run, if there is one.
    pub(crate) fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run)
    }

    /// An endpoint, if it was not deleted.
    pub(crate) fn endpoint(&self, webhook: WebhookId) -> Option<&Endpoint> {
        self.endpoints.get(&webhook)
    }

    fn learn(&mut self) {
        for (webhook, endpoint) in &mut self.endpoints {
            endpoint.not_before = endpoint.not_before.max(self.held.get(webhook).copied());
            endpoint.parked |= self.gone.contains(webhook);
        }
    }
}

/// The readings of one invocation.
pub(crate) struct Control<'a> {
    ports: &'a Ports,
    runs: Vec<RunId>,
    webhooks: Vec<WebhookId>,
    view: watch::Sender<View>,
}

impl<'a> Control<'a> {
    /// The first reading for these chunks.
    pub(crate) async fn new(ports: &'a Ports, ids: &[ChunkId]) -> StoreResult<Self> {
        let runs: Vec<RunId> = ids.iter().map(|id| id.run).collect::<HashSet<_>>().into_iter().collect();
        let (found, _) = runs::control(&*ports.ledger, &runs, &[]).await?;
        let webhooks: HashSet<WebhookId> = found.iter().map(|run| run.webhook).collect();
        let control =
            Self { ports, runs, webhooks: webhooks.into_iter().collect(), view: watch::Sender::default() };
        control.read().await?;
        Ok(control)
    }

    /// The newest reading, now and whenever there is a newer one.
    pub(crate) fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Reads again and again, as long as it is polled.
    pub(crate) async fn follow(&self) -> Infallible {
        loop {
            self.ports.clock.sleep(EVERY).await;
            if let Err(error) = self.read().await {
                // Requests stop by themselves when a reading is too old.
                tracing::warn!(error = %fanhook_lambda::telemetry::chain(&error), "runs can't be read");
            }
        }
    }

    async fn read(&self) -> StoreResult<()> {
        let read_at = self.ports.clock.now();
        let (runs, endpoints) = runs::control(&*self.ports.ledger, &self.runs, &self.webhooks).await?;
        self.view.send_modify(|view| {
            view.read_at = read_at;
            view.runs = runs.into_iter().map(|run| (run.id, run)).collect();
            view.endpoints = endpoints.into_iter().map(|endpoint| (endpoint.webhook, endpoint)).collect();
            view.learn();
        });
        Ok(())
    }

    /// Leaves an endpoint alone until then: here at once, elsewhere by its next reading.
    pub(crate) async fn hold(&self, webhook: WebhookId, until: Millis) -> StoreResult<()> {
        let mut news = false;
        self.view.send_if_modified(|view| {
            let held = view.held.entry(webhook).or_default();
            news = *held < until;
            *held = (*held).max(until);
            view.learn();
            news
        });
        if news { endpoints::hold(&*self.ports.ledger, webhook, until).await } else { Ok(()) }
    }

    /// Parks an endpoint that is gone: here at once, elsewhere by its next reading.
    pub(crate) async fn park(&self, webhook: WebhookId) -> StoreResult<()> {
        let mut news = false;
        self.view.send_if_modified(|view| {
            news = view.gone.insert(webhook);
            view.learn();
            news
        });
        if news {
            tracing::error!(alarm = "endpoint_parked", %webhook, "an endpoint answered that it is gone");
            endpoints::park(&*self.ports.ledger, webhook, self.ports.clock.now()).await
        } else {
            Ok(())
        }
    }
}
