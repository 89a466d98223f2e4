//! One run over one audience, with twins of everything around `deliver`.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use deliver::{Kept, Ports, Times, deliver};
use fanhook_core::{
    chunk::{ChunkId, Source, Totals},
    id::{RunId, WebhookId, WorkspaceId},
    identity::presets,
    outcome::Reason,
    push::SendForm,
    recipient,
    run::{EndpointSettings, Pinned, RunState},
    signature::Algorithm,
    time::Millis,
    webhook::{Authentication, RetryPolicy, Signing, SigningSecret},
};
use fanhook_lambda::{
    clock::{Clock, ManualClock},
    random::{Random, SeededRandom},
    sqs::{Fate, Record},
};
use fanhook_store::{
    chunks::{self, Chunk},
    counters, endpoints, keys,
    memory::{Fault, MemoryObjects, MemoryQueue, MemorySecrets, MemoryTable, Operation},
    outcomes,
    ports::{Objects, SecretContext, Secrets},
    runs::{self, Idempotency, Run, Transition},
};

use crate::endpoint::Endpoint;

pub(crate) const START: Millis = Millis(1_800_000_000_000);
pub(crate) const SECRET: &[u8] = b"a secret of twenty-four bytes or so";
/// What requests authenticate with, where they do.
pub(crate) const KEY: &str = "s3cr3t-key-of-the-crm";
pub(crate) const TIMEOUT: Duration = Duration::from_secs(90);

/// When a worker dies: at its n-th effect, before or after it is done. From then on nothing that it does has an effect.
#[derive(Default)]
pub(crate) struct Crash {
    effects: AtomicUsize,
    at: AtomicUsize,
    done: AtomicBool,
    dead: AtomicBool,
}

impl Crash {
    /// Whether the effect is in vain.
    pub(crate) fn strikes(&self, _what: &str) -> bool {
        if self.dead.load(Ordering::SeqCst) {
            return true;
        }
        let struck = self.effects.fetch_add(1, Ordering::SeqCst) + 1 == self.at.load(Ordering::SeqCst);
        if struck {
            self.dead.store(true, Ordering::SeqCst);
        }
        struck && !self.done.load(Ordering::SeqCst)
    }

    pub(crate) fn arm(&self, at: usize, done: bool) {
        self.effects.store(0, Ordering::SeqCst);
        self.at.store(at, Ordering::SeqCst);
        self.done.store(done, Ordering::SeqCst);
        self.dead.store(false, Ordering::SeqCst);
    }

    pub(crate) fn dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

type Hook = dyn FnMut(&Operation<'_>) -> Fault + Send;

/// Faults of the twins: a crash, or what a test scripts.
#[derive(Clone)]
pub(crate) struct Faults {
    crash: Arc<Crash>,
    hook: Arc<Mutex<Option<Box<Hook>>>>,
}

impl Faults {
    fn of(&self, operation: &Operation<'_>) -> Fault {
        if self.crash.strikes("store") {
            return Fault::Before;
        }
        match &mut *self.hook.lock().unwrap() {
            Some(hook) => hook(operation),
            None => Fault::None,
        }
    }
}

/// What a test may choose.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Recipients of each chunk.
    pub(crate) chunks: Vec<usize>,
    pub(crate) template: &'static str,
    /// The body, where it is not the JSON of `template`.
    pub(crate) body: Option<serde_json::Value>,
    pub(crate) batch_size: Option<u32>,
    pub(crate) success: Option<serde_json::Value>,
    pub(crate) split_refused: bool,
    pub(crate) id_types: &'static [&'static str],
    pub(crate) url: &'static str,
    pub(crate) give_up_after: u64,
    pub(crate) rate: Option<u32>,
    /// Requests a minute that the endpoint allows.
    pub(crate) allowed: Option<u32>,
    pub(crate) at_a_time: Option<u32>,
    pub(crate) expires_at: Option<Millis>,
    pub(crate) deadline_seconds: u32,
    pub(crate) signed: bool,
    pub(crate) send_form: SendForm,
    /// How requests say who calls; the ciphertext is filled in, of `key`.
    pub(crate) authentication: fn(String) -> Authentication,
    pub(crate) key: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            chunks: vec![10],
            template: r#"{"to":"{id}","text":"Dear {name}"}"#,
            body: None,
            batch_size: None,
            success: None,
            split_refused: false,
            id_types: &["MOBILE"],
            url: "https://crm.example/coupons",
            give_up_after: 24 * 60 * 60,
            rate: None,
            allowed: None,
            at_a_time: None,
            expires_at: None,
            deadline_seconds: 10,
            signed: true,
            send_form: SendForm::Plain,
            authentication: |_| Authentication::None {},
            key: KEY,
        }
    }
}

pub(crate) struct World {
    pub(crate) ports: Ports,
    pub(crate) ledger: Arc<MemoryTable>,
    pub(crate) profiles: Arc<MemoryTable>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) queue: Arc<MemoryQueue>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) crash: Arc<Crash>,
    faults: Faults,
    pub(crate) run: RunId,
    pub(crate) webhook: WebhookId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) ids: Vec<ChunkId>,
    pub(crate) recipients: usize,
}

/// The line of the recipient with this number.
pub(crate) fn line(number: usize) -> Vec<u8> {
    let mut line = Vec::new();
    let mobile = format!("+4915{number:09}");
    let ids = [("MOBILE", mobile.as_str())];
    recipient::write(&mut line, &qaid(number), ids.into_iter(), [("name", "Adelheid")].into_iter());
    line
}

pub(crate) fn qaid(number: usize) -> String {
    format!("user-{number}")
}

impl World {
    pub(crate) async fn new(setup: Setup) -> Self {
        Self::with_lines(setup, line).await
    }

    pub(crate) async fn with_lines(setup: Setup, line: impl Fn(usize) -> Vec<u8>) -> Self {
        let crash = Arc::new(Crash::default());
        let faults = Faults { crash: Arc::clone(&crash), hook: Arc::default() };
        let hook = || {
            let faults = faults.clone();
            move |operation: &Operation<'_>| faults.of(operation)
        };
        let clock = Arc::new(ManualClock::advancing(START));
        let ledger = Arc::new(MemoryTable::new().with_faults(hook()));
        let profiles = Arc::new(MemoryTable::without_sort_key().with_faults(hook()));
        let objects = Arc::new(MemoryObjects::new().with_faults(hook()));
        let queue_clock = Arc::clone(&clock);
        let queue = Arc::new(MemoryQueue::with_clock(move || queue_clock.now()).with_faults(hook()));
        let secrets = Arc::new(MemorySecrets::new().with_faults(hook()));
        let endpoint = Arc::new(Endpoint::new(Arc::clone(&clock), Arc::clone(&crash)));
        let random = Arc::new(SeededRandom::new(7));
        let workspace: WorkspaceId = "shop".parse().unwrap();
        let run = RunId::new(random.uuid7(START));
        let webhook = WebhookId::new(random.uuid7(START));

        let context = SecretContext::signing(&workspace, webhook);
        let ciphertext = secrets.encrypt(&context, &SECRET.to_vec().into()).await.unwrap();
        let secret = SigningSecret { algorithm: Algorithm::HmacSha256, ciphertext, public_key: None };
        let unsigned = Signing::None {};
        let signing = if setup.signed { unsigned.rotated(secret, Duration::ZERO, START) } else { unsigned };
        let context = SecretContext::authentication(&workspace, webhook);
        let key = secrets.encrypt(&context, &setup.key.as_bytes().to_vec().into()).await.unwrap();
        let authentication = (setup.authentication)(key);
        let settings = EndpointSettings {
            origin: None,
            requests_per_second: setup.rate,
            allowed_per_minute: setup.allowed,
            allowed_elsewhere: BTreeMap::new(),
            requests_at_a_time: setup.at_a_time,
            retry: RetryPolicy { give_up_after_seconds: setup.give_up_after },
            authentication,
            signing,
            updated: START,
        };
        endpoints::put(&*ledger, webhook, &settings).await.unwrap();

        let ids: Vec<ChunkId> = (0..setup.chunks.len())
            .map(|chunk| ChunkId { run, part: 0, chunk: u32::try_from(chunk).unwrap() })
            .collect();
        let (mut segment, mut rows, mut number) = (Vec::new(), Vec::new(), 0);
        for (&id, &recipients) in ids.iter().zip(&setup.chunks) {
            let offset = segment.len() as u64;
            for _ in 0..recipients {
                segment.extend(line(number));
                number += 1;
            }
            let source = Source { segment: 0, fence: 1, offset, length: segment.len() as u64 - offset };
            rows.push(Chunk::new(id, source, recipients, START.seconds() + 1_000_000));
        }
        objects.put(&keys::segment(&workspace, run, 0, 0, 1), segment.into()).await.unwrap();
        chunks::create(&*ledger, &rows).await.unwrap();

        let push = fanhook_core::id::PushId::new(random.uuid7(START));
        let body =
            setup.body.unwrap_or_else(|| serde_json::json!({"kind": "json", "template": setup.template}));
        let pinned: Pinned = serde_json::from_value(serde_json::json!({
            "run": run, "origin": run, "workspace": workspace, "push": push, "push_name": "spring",
            "webhook": webhook, "webhook_version": 1,
            "content": {
                "url": setup.url,
                "body": body,
                "batch_size": setup.batch_size,
                "success": setup.success,
                "split_refused": setup.split_refused,
                "parameters": [{"name": "name", "type": "text"}],
                "carry_environment": true,
                "deadline_seconds": setup.deadline_seconds,
            },
            "push_content": {
                "id_types": setup.id_types,
                "send_form": setup.send_form,
                "values": {"name": "${name}"},
                "variables": [{"name": "name", "source": {"tag": "name"}, "when_empty": {"default": "Member"}}],
            },
            "id_types": presets(),
            "sources": [],
            "uploads": [],
        }))
        .unwrap();
        let row = Run {
            id: run,
            workspace: workspace.clone(),
            push,
            webhook,
            batch_size: pinned.content.batch_size(),
            state: RunState::Running,
            epoch: 0,
            created: START,
            expires_at: setup.expires_at,
            unproved: Vec::new(),
            closing: None,
            failure: None,
            ended: None,
            expires: START.seconds() + 1_000_000,
        };
        let idempotency = Idempotency { key: "k".to_owned(), request: "r".to_owned() };
        runs::start(&*ledger, &row, &pinned, &[], &idempotency, START).await.unwrap();

        let ports = Ports {
            ledger: ledger.clone(),
            profiles: profiles.clone(),
            objects: objects.clone(),
            queue: queue.clone(),
            secrets,
            http: endpoint.clone(),
            clock: clock.clone(),
            random,
            times: Times { timeout: TIMEOUT, lease_margin: Duration::from_secs(5) },
            kept: Kept::default(),
        };
        Self {
            ports,
            ledger,
            profiles,
            objects,
            queue,
            clock,
            endpoint,
            crash,
            faults,
            run,
            webhook,
            workspace,
            ids,
            recipients: number,
        }
    }

    /// Makes operations of the twins fail as `hook` says.
    pub(crate) fn fail(&self, hook: impl FnMut(&Operation<'_>) -> Fault + Send + 'static) {
        *self.faults.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn heal(&self) {
        *self.faults.hook.lock().unwrap() = None;
    }

    /// One invocation, begun now, for all chunks.
    pub(crate) async fn invoke(&self) -> Vec<Fate> {
        self.invoke_for(&self.ids).await
    }

    pub(crate) async fn invoke_for(&self, ids: &[ChunkId]) -> Vec<Fate> {
        let records = ids.iter().map(|&message| Record { message, receives: 1 }).collect();
        deliver(&self.ports, records, self.clock.now() + TIMEOUT).await
    }

    /// An invocation that is killed where the crash strikes. Answers whether it struck.
    pub(crate) async fn invoke_to_death(&self) -> bool {
        let mut work = pin!(self.invoke());
        std::future::poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if self.crash.dead() { Poll::Ready(()) } else { polled.map(|_| ()) }
        })
        .await;
        let struck = self.crash.dead();
        self.crash.arm(0, false);
        struck
    }

    pub(crate) async fn chunk(&self, at: usize) -> Chunk {
        chunks::get(&*self.ledger, &self.ids[at]).await.unwrap().unwrap()
    }

    /// Invokes as `dispatch` would, whenever something is due, until all is done. Answers the time it took.
    pub(crate) async fn drive(&self) -> Duration {
        for _ in 0..1_000 {
            let mut due = BTreeMap::new();
            for &id in &self.ids {
                let row = chunks::get(&*self.ledger, &id).await.unwrap().unwrap();
                if !row.is_done() {
                    let lease = if row.owner.is_some() { row.lease } else { Millis(0) };
                    due.insert(id, lease.max(row.next_attempt).max(self.clock.now()));
                }
            }
            let Some(&first) = due.values().min() else { return self.clock.now().since(START) };
            self.clock.set(first);
            let now: Vec<ChunkId> =
                due.iter().filter(|(_, at)| **at <= first).map(|(id, _)| *id).take(10).collect();
            self.invoke_for(&now).await;
        }
        panic!("it never ends");
    }

    pub(crate) async fn transition(&self, to: RunState) {
        let run = runs::get(&*self.ledger, self.run).await.unwrap().unwrap();
        runs::transition(&*self.ledger, &run, &Transition::to(to)).await.unwrap();
    }

    pub(crate) async fn totals(&self) -> Totals {
        counters::read(&*self.ledger, self.run).await.unwrap().totals
    }

    /// Records of all outcome objects.
    pub(crate) async fn records(&self) -> Vec<outcomes::Record<'static>> {
        let mut records = Vec::new();
        for key in self.objects.list(&keys::outcomes(&self.workspace, self.run), None).await.unwrap() {
            records.extend(outcomes::read(&*self.objects, &key).await.unwrap());
        }
        records
    }

    /// Whether every recipient is accounted for exactly once, in counters and outcome objects alike, and each was sent to under one ID
    /// of its own. Answers how many requests were repeats.
    pub(crate) async fn check_accounts(&self) -> usize {
        let records = self.records().await;
        let qaids: BTreeSet<&str> = records.iter().map(|record| record.qaid.as_ref()).collect();
        assert_eq!((records.len(), qaids.len()), (self.recipients, self.recipients), "records");
        let totals = self.totals().await;
        assert_eq!(totals.sum(), self.recipients as u64, "counters");
        let mut by_reason = Totals::default();
        for record in &records {
            by_reason.add(record.reason, 1);
        }
        assert_eq!(by_reason, totals, "records by reason");
        let seen = self.endpoint.seen();
        let mut bodies: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for request in seen.iter() {
            bodies.entry(&request.webhook_id).or_default().insert(&request.body);
        }
        assert!(bodies.values().all(|bodies| bodies.len() == 1), "one body under one webhook-id");
        let ids: BTreeSet<&str> = bodies.values().flatten().copied().collect();
        assert_eq!(ids.len(), bodies.len(), "one webhook-id for one body");
        seen.len() - bodies.len()
    }

    pub(crate) async fn assert_all(&self, reason: Reason) {
        self.check_accounts().await;
        assert_eq!(self.totals().await.0, BTreeMap::from([(reason, self.recipients as u64)]));
    }
}
