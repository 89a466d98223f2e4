//! A run and its files in twins of the stores.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fanhook_core::{
    chunk::ChunkId,
    id::{PushId, RunId, UploadId, WebhookId, WorkspaceId},
    identity::presets,
    recipient::Recipient,
    run::{Pinned, RunState},
    time::Millis,
};
use fanhook_lambda::{
    clock::{Clock, ManualClock},
    random::SeededRandom,
};
use fanhook_store::{
    StoreResult, chunks, keys,
    memory::{MemoryObjects, MemoryQueue, MemoryTable},
    parts::{self, Part},
    ports::Objects,
    runs::{self, Idempotency, Run, Transition},
    segments,
};
use fanout::{Outcome, Ports, Times, parse::Message, work};
use flate2::{Compression, write::GzEncoder};
use futures_util::future::BoxFuture;
use uuid::Uuid;

pub(crate) const START: Millis = Millis(1_800_000_000_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) ledger: Arc<MemoryTable>,
    pub(crate) profiles: Arc<MemoryTable>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) fanout: Arc<MemoryQueue>,
    pub(crate) deliver: Arc<MemoryQueue>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ports: Ports,
    pub(crate) run: RunId,
}

pub(crate) fn upload(number: u128) -> UploadId {
    UploadId::new(Uuid::from_u128(number))
}

pub(crate) fn workspace() -> WorkspaceId {
    "acme".parse().unwrap()
}

/// What a test may want otherwise.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) ledger: MemoryTable,
    pub(crate) objects: MemoryObjects,
    pub(crate) fanout: MemoryQueue,
    pub(crate) deliver: MemoryQueue,
    /// Whether the push sends to all of a user's IDs. Segments are small then.
    pub(crate) all: bool,
    /// Most users of one request, where it is not one.
    pub(crate) batch_size: Option<u32>,
}

impl Setting {
    pub(crate) fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// A run over these files, a part each.
    pub(crate) async fn run(self, files: &[Vec<u8>]) -> World {
        let (ledger, objects) = (Arc::new(self.ledger), Arc::new(self.objects));
        let profiles = Arc::new(MemoryTable::without_sort_key());
        let (fanout, deliver) = (Arc::new(self.fanout), Arc::new(self.deliver));
        let clock = Arc::new(ManualClock::new(START));
        let ports = Ports {
            ledger: ledger.clone(),
            profiles: profiles.clone(),
            objects: objects.clone(),
            fanout: fanout.clone(),
            deliver: deliver.clone(),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
            times: Times { due_ahead: 120 * SECOND, lease_margin: 5 * SECOND },
        };
        let run = RunId::new(Uuid::from_u128(1));
        let world = World { ledger, profiles, objects, fanout, deliver, clock, ports, run };
        for (number, file) in (0..).zip(files) {
            world.put(upload(number), file).await;
        }
        world.start(files.len(), self.all, self.batch_size.unwrap_or(1)).await;
        world
    }
}

/// A run over these files, a part each.
pub(crate) async fn world(files: &[Vec<u8>]) -> World {
    Setting::default().run(files).await
}

impl World {
    pub(crate) async fn put(&self, upload: UploadId, file: &[u8]) {
        let key = keys::uploaded("audiences", &workspace(), upload);
        self.objects.put(&key, Bytes::copy_from_slice(file)).await.unwrap();
    }

    async fn start(&self, files: usize, all: bool, batch_size: u32) {
        let (push, webhook) = (PushId::new(Uuid::from_u128(2)), WebhookId::new(Uuid::from_u128(3)));
        let run = Run {
            id: self.run,
            workspace: workspace(),
            push,
            webhook,
            batch_size,
            state: RunState::Starting,
            epoch: 0,
            created: START,
            expires_at: None,
            unproved: Vec::new(),
            closing: None,
            failure: None,
            ended: None,
            expires: 2_000_000_000,
        };
        let uploads: Vec<UploadId> = (0..files as u128).map(upload).collect();
        let push_content =
            serde_json::json!({"id_types": ["MOBILE"], "id_policy": if all { "all" } else { "first" }});
        let content = serde_json::json!({"url": "https://crm.example.com/", "body": {"kind": "list"}});
        let pinned = Pinned {
            run: self.run,
            origin: self.run,
            workspace: workspace(),
            push,
            push_name: "Winter".to_owned(),
            webhook,
            webhook_version: 1,
            content: serde_json::from_value(content).unwrap(),
            push_content: serde_json::from_value(push_content).unwrap(),
            id_types: presets(),
            sources: Vec::new(),
            uploads: uploads.clone(),
            stays: fanhook_core::run::Stays::default(),
        };
        let parts: Vec<Part> = (0..)
            .zip(uploads)
            .map(|(number, upload)| Part::new(self.run, number, upload, run.expires))
            .collect();
        let idempotency = Idempotency { key: "k".to_owned(), request: "r".to_owned() };
        let due = START + 120 * SECOND;
        runs::start(&*self.ledger, &run, &pinned, &parts, &idempotency, due).await.unwrap();
    }

    /// One invocation of five minutes.
    pub(crate) async fn invoke(&self, part: u16) -> StoreResult<Outcome> {
        let message = Message { run: self.run, part };
        work(&self.ports, message, self.clock.now() + 300 * SECOND).await
    }

    pub(crate) async fn work(&self, part: u16) -> Outcome {
        self.invoke(part).await.unwrap()
    }

    pub(crate) async fn part(&self, part: u16) -> Part {
        parts::get(&*self.ledger, self.run, part).await.unwrap().unwrap()
    }

    pub(crate) async fn run(&self) -> Run {
        runs::get(&*self.ledger, self.run).await.unwrap().unwrap()
    }

    pub(crate) async fn set_state(&self, to: RunState) {
        let run = self.run().await;
        runs::transition(&*self.ledger, &run, &Transition::to(to)).await.unwrap();
    }

    /// The lines of every chunk of a part, a chunk a list; each row checked against the part's commit point.
    pub(crate) async fn chunks(&self, part: u16) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        let commit = self.part(part).await.commit;
        for chunk in 0..commit.chunks {
            let row = chunks::get(&*self.ledger, &ChunkId { run: self.run, part, chunk }).await.unwrap();
            let row = row.unwrap_or_else(|| panic!("chunk {chunk} has no row"));
            let bytes = segments::recipients(&*self.objects, &workspace(), &row).await.unwrap();
            lines.push(String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect());
        }
        let beyond = ChunkId { run: self.run, part, chunk: commit.chunks };
        assert_eq!(
            chunks::get(&*self.ledger, &beyond).await.unwrap(),
            None,
            "no row is beyond the commit point"
        );
        let recipients: usize = lines.iter().map(Vec::len).sum();
        assert_eq!(recipients as u64, commit.recipients);
        lines
    }

    /// The QAIDs of a part's recipients, in order.
    pub(crate) async fn users(&self, part: u16) -> Vec<String> {
        let lines = self.chunks(part).await.into_iter().flatten();
        lines.map(|line| Recipient::parse(line.as_bytes()).unwrap().qaid.as_str().to_owned()).collect()
    }

    /// Numbers of the released chunks of a part, in the order of their messages.
    pub(crate) fn released(&self, part: u16) -> Vec<u32> {
        let ids = self
            .deliver
            .waiting()
            .into_iter()
            .map(|message| serde_json::from_str::<ChunkId>(&message.body).unwrap());
        ids.filter(|id| id.part == part).map(|id| id.chunk).collect()
    }

    /// Whether a due entry for a part is there that was filed at `since` or later.
    pub(crate) fn is_due(&self, part: u16, since: Millis) -> bool {
        let subject = format!("part#{}#{part}", self.run);
        let at = (since + self.ports.times.due_ahead).0;
        let items = self.ledger.items();
        let mut entries = items.iter().filter(|item| item["sk"].as_s().is_ok_and(|sk| *sk == subject));
        entries.any(|entry| entry["at"].as_n().unwrap().parse::<u64>().unwrap() >= at)
    }

    /// One invocation by a clock that goes on, so that it reaches its end after a few segments.
    pub(crate) async fn work_shortly(&self, part: u16, began: Millis) -> Outcome {
        let mut ports = self.ports.clone();
        ports.clock = Arc::new(Ticking { now: AtomicU64::new(began.0), step: 2_000 });
        work(&ports, Message { run: self.run, part }, began + 20 * SECOND).await.unwrap()
    }

    /// The lines of all reports.
    pub(crate) fn reports(&self) -> Vec<String> {
        let keys = self.objects.keys().into_iter().filter(|key| key.starts_with("reports/"));
        let texts = keys.map(|key| String::from_utf8(self.objects.read(&key).unwrap().to_vec()).unwrap());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

/// A QAID a line, numbered.
pub(crate) fn list(users: std::ops::Range<usize>) -> Vec<u8> {
    users.map(|user| format!("user-{user}\n")).collect::<Vec<_>>().concat().into_bytes()
}

/// A user with an ID a line, so that policy `all` needs no profile.
pub(crate) fn with_ids(users: std::ops::Range<usize>) -> Vec<u8> {
    let line =
        |user| format!("{{\"qaid\":\"user-{user}\",\"ids\":{{\"MOBILE\":[\"+1415555{user:04}\"]}}}}\n");
    users.map(line).collect::<String>().into_bytes()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(content, 0).unwrap()
}

/// A clock that goes on by some milliseconds whenever it is looked at.
struct Ticking {
    now: AtomicU64,
    step: u64,
}

impl Clock for Ticking {
    fn now(&self) -> Millis {
        Millis(self.now.fetch_add(self.step, Ordering::Relaxed))
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'_, ()> {
        self.now.fetch_add(u64::try_from(wait.as_millis()).unwrap(), Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}
