//! Fan-out: a gzip file of NDJSON becomes segments and chunks in a sink that counts and discards. Each measurement is a process of
//! its own, so that its peak of memory is its own.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fanhook_core::{
    id::{PushId, RunId, UploadId, WebhookId},
    run::{Pinned, RunState},
    time::Millis,
};
use fanhook_lambda::{
    clock::{Clock as _, SystemClock},
    random::SeededRandom,
};
use fanhook_store::{
    StoreError, StoreResult,
    memory::MemoryTable,
    parts::{self, Part},
    ports::{
        Condition, Conditional, Fetched, Item, Key, Message, ObjectError, Objects, Page, Query, Queue, Table,
        Transaction, Upload, Write,
    },
    runs::{self, Idempotency, Run},
};
use fanout::{Outcome, Ports, Times};
use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::usage;

/// Lines of the small file; the large one is ten of it.
const LINES: u64 = 1_000_000;
const TIMES: u64 = 10;
/// Runs over the small file: the best counts, so that a busy machine does not.
const ROUNDS: usize = 3;
const CHILD: &str = "fanout-child";

/// What fan-out needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FanoutFigures {
    /// Lines a second of CPU time.
    pub(crate) lines_per_cpu_s: f64,
    /// Peak memory for ten million lines, by that for one million.
    pub(crate) memory_ratio: f64,
}

#[derive(Serialize, Deserialize)]
struct Measured {
    cpu_s: f64,
    peak_kib: u64,
}

/// Measures fan-out over files of one and of ten million lines.
#[expect(clippy::cast_precision_loss, reason = "these numbers are far smaller than 2⁵³")]
pub(crate) fn fanout_bench() -> FanoutFigures {
    let folder = tempfile::tempdir().expect("there is room for files");
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    write_files(&small, &large);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| measure_apart(&small, LINES)).collect();
    let ten = measure_apart(&large, LINES * TIMES);
    let best = rounds.iter().map(|round| round.cpu_s).fold(f64::MAX, f64::min);
    let peak = rounds.iter().map(|round| round.peak_kib).max().unwrap_or_default();
    FanoutFigures { lines_per_cpu_s: LINES as f64 / best, memory_ratio: ten.peak_kib as f64 / peak as f64 }
}

/// Does one measurement and answers `true`, where this process was started for that. A benchmark's `main` calls it first.
pub(crate) fn is_fanout_child() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [child, path, lines] = arguments.as_slice() else { return false };
    if child != CHILD {
        return false;
    }
    let measured = measure(Path::new(path), lines.parse().expect("a number of lines"));
    serde_json::to_writer(std::io::stdout(), &measured).expect("the parent reads the figures");
    true
}

fn measure_apart(path: &Path, lines: u64) -> Measured {
    let program = std::env::current_exe().expect("the program has a path");
    let child = Command::new(program).arg(CHILD).arg(path).arg(lines.to_string()).output();
    let output = child.expect("the program starts once more");
    assert!(output.status.success(), "the child failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the child tells its figures")
}

/// A gzip file of a million lines of 120 bytes, and one of ten such members.
fn write_files(small: &Path, large: &Path) {
    let mut gzip = GzEncoder::new(BufWriter::new(File::create(small).expect("a file")), Compression::new(6));
    for user in 0..LINES {
        let mobile = 13_000_000_000 + user * 7_919 % 1_000_000_000;
        let (points, name) = (user * 31 % 10_000, user * 2_654_435_761 % 100_000_000);
        writeln!(
            gzip,
            r#"{{"qaid":"qa-{user:012}","ids":{{"MOBILE":["+86{mobile}"]}},"tags":{{"name":"Member {name:010}","points":"{points:09}"}}}}"#
        )
        .expect("a line");
    }
    gzip.finish().and_then(|mut file| file.flush()).expect("the file is whole");
    let member = std::fs::read(small).expect("the small file");
    let mut large = BufWriter::new(File::create(large).expect("a file"));
    (0..TIMES).for_each(|_| large.write_all(&member).expect("a member"));
    large.flush().expect("the file is whole");
}

fn measure(path: &Path, lines: u64) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (ledger, queue) = (Arc::new(Ledger::default()), Arc::new(Discard));
        let objects = Arc::new(Disk::new(path));
        let run = start(&ledger.table).await;
        let times = Times { due_ahead: Duration::from_mins(2), lease_margin: Duration::from_secs(5) };
        let ports = Ports {
            ledger: ledger.clone(),
            profiles: ledger.clone(),
            objects: objects.clone(),
            fanout: queue.clone(),
            deliver: queue,
            clock: Arc::new(SystemClock),
            random: Arc::new(SeededRandom::new(7)),
            times,
        };
        let deadline = SystemClock.now() + Duration::from_hours(1);
        let began = usage::cpu();
        let outcome = fanout::work(&ports, fanout::parse::Message { run, part: 0 }, deadline).await;
        let cpu_s = (usage::cpu().saturating_sub(began)).as_secs_f64();
        assert_eq!(outcome.expect("the twins never fail"), Outcome::Ended);
        let part = parts::get(&ledger.table, run, 0).await.expect("the part reads").expect("there is a part");
        assert_eq!((part.commit.recipients, part.commit.lines), (lines, lines), "every line is a recipient");
        assert_eq!(ledger.rows.load(Ordering::Relaxed), lines.div_ceil(500), "every chunk has its row");
        let written = objects.written.load(Ordering::Relaxed);
        assert_eq!(written / lines, 120, "a line has 120 bytes");
        Measured { cpu_s, peak_kib: usage::peak_memory() }
    })
}

async fn start(ledger: &MemoryTable) -> RunId {
    let uuid = |n| uuid::Uuid::from_u128(n);
    let (id, push, webhook, upload) =
        (RunId::new(uuid(1)), PushId::new(uuid(2)), WebhookId::new(uuid(3)), UploadId::new(uuid(4)));
    let workspace: fanhook_core::id::WorkspaceId = "bench".parse().expect("a workspace");
    let run = Run {
        id,
        workspace: workspace.clone(),
        push,
        webhook,
        batch_size: 1,
        state: RunState::Starting,
        epoch: 0,
        created: Millis(0),
        expires_at: None,
        unproved: Vec::new(),
        closing: None,
        failure: None,
        ended: None,
        expires: 0,
    };
    let pinned = Pinned {
        run: id,
        origin: id,
        workspace,
        push,
        push_name: "Bench".to_owned(),
        webhook,
        webhook_version: 1,
        content: serde_json::from_value(
            serde_json::json!({"url": "https://crm.example.com/", "body": {"kind": "none"}}),
        )
        .expect("the content reads"),
        push_content: serde_json::from_value(serde_json::json!({"id_types": ["MOBILE"]}))
            .expect("the push reads"),
        id_types: fanhook_core::identity::presets(),
        sources: Vec::new(),
        uploads: vec![upload],
        stays: fanhook_core::run::Stays::default(),
    };
    let idempotency = Idempotency { key: "key".to_owned(), request: "request".to_owned() };
    let parts = [Part::new(id, 0, upload, 0)];
    runs::start(ledger, &run, &pinned, &parts, &idempotency, Millis(0)).await.expect("the run starts");
    id
}

/// A ledger that counts chunk rows and due entries instead of keeping them.
#[derive(Default)]
struct Ledger {
    table: MemoryTable,
    rows: AtomicU64,
}

#[async_trait::async_trait]
impl Table for Ledger {
    async fn get(&self, key: &Key) -> StoreResult<Option<Item>> {
        self.table.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistent: bool) -> StoreResult<Vec<Item>> {
        self.table.get_many(keys, consistent).await
    }

    async fn query(&self, query: &Query) -> StoreResult<Page> {
        self.table.query(query).await
    }

    async fn write(&self, write: Write, condition: Option<Condition>) -> StoreResult<Conditional> {
        match &write {
            Write::Put(item) if item.contains_key("states") => {
                self.rows.fetch_add(1, Ordering::Relaxed);
                Ok(Conditional::Done(Item::new()))
            }
            _ => self.table.write(write, condition).await,
        }
    }

    async fn transact(&self, writes: Vec<(Write, Option<Condition>)>) -> StoreResult<Transaction> {
        self.table.transact(writes).await
    }

    async fn write_many(&self, _: Vec<Write>) -> StoreResult<()> {
        Ok(())
    }
}

struct Discard;

#[async_trait::async_trait]
impl Queue for Discard {
    async fn send(&self, _: Vec<Message>) -> StoreResult<()> {
        Ok(())
    }
}

/// One file on disk, read by ranges; what is put is counted and discarded.
struct Disk {
    file: File,
    size: u64,
    written: AtomicU64,
}

impl Disk {
    fn new(path: &Path) -> Self {
        let file = File::open(path).expect("the file is there");
        let size = file.metadata().expect("the file has a size").len();
        Self { file, size, written: AtomicU64::new(0) }
    }
}

#[async_trait::async_trait]
impl Objects for Disk {
    async fn get(&self, _: &str, range: Range<u64>, _: Option<&str>) -> Result<Fetched, ObjectError> {
        let end = range.end.min(self.size);
        let length = usize::try_from(end.saturating_sub(range.start)).expect("a range fits in memory");
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, range.start);
        read.map_err(|error| StoreError::unavailable("the disk", error))?;
        Ok(Fetched { bytes: bytes.into(), etag: "\"one\"".to_owned(), size: self.size })
    }

    async fn put(&self, _: &str, bytes: bytes::Bytes) -> StoreResult<()> {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn list(&self, _: &str, _: Option<&str>) -> StoreResult<Vec<String>> {
        Ok(Vec::new())
    }

    async fn presign_put(&self, _: &str, _: Duration) -> StoreResult<Upload> {
        Err(StoreError::unavailable("the disk", "nothing is uploaded"))
    }

    async fn presign_get(&self, _: &str, _: Duration) -> StoreResult<Upload> {
        Err(StoreError::unavailable("the disk", "nothing is downloaded"))
    }
}
