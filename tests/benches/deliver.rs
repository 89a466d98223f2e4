//! Delivery: the CPU that one request costs by the whole path of `deliver` (look-up, render, sign, POST, checkpoint, settle; the store
//! in memory), beside a bare `reqwest` client that posts the same body to the same receiver.
//!
//! Both run in one thread, with the same number of requests at a time, over kept HTTP/1.1 connections on loopback. The receiver is a
//! process of its own, so that its CPU is not counted.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use deliver::{Kept, Ports, REQUESTS, Times, deliver};
use fanhook_core::{
    chunk::{ChunkId, Source},
    id::{PushId, RunId, WebhookId, WorkspaceId},
    identity::{self, presets},
    recipient,
    run::{EndpointSettings, Pinned, RunState},
    signature::Algorithm,
    time::Millis,
    webhook::{RetryPolicy, Signing, SigningSecret},
};
use fanhook_lambda::{
    clock::{Clock as _, SystemClock},
    random::{Random as _, SeededRandom},
    sqs::{Fate, Record},
};
use fanhook_outbound::{Client, Guard};
use fanhook_store::{
    chunks::{self, Chunk},
    endpoints, keys,
    memory::{MemoryObjects, MemoryQueue, MemorySecrets, MemoryTable},
    ports::{Objects as _, SecretContext, Secrets as _},
    profiles,
    runs::{self, Idempotency, Run},
};
use serde_json::json;

use crate::usage;

/// Chunks of one invocation, and recipients of each.
const CHUNKS: u32 = 10;
const RECIPIENTS: usize = 500;
/// Requests of one round.
const ROUND: usize = CHUNKS as usize * RECIPIENTS;
/// Rounds of each, in turns; the best counts, so that a busy machine does not.
const ROUNDS: usize = 7;
const CHILD: &str = "deliver-receiver";

/// A body of 400 bytes, once the ID and two tags are in it.
const BODY: &str = r#"{"member":"{id}","greeting":"{greeting}","coupon":"{coupon}","valid_until":"2026-12-31","terms":"One coupon for each member. It cannot be paid out, and it cannot be used together with other offers of the same shop. It is valid for everything but gift cards. Questions are answered in every shop of ours.","channel":"mobile","campaign":"winter-sale-26","origin":"fanhook"}"#;

/// What delivery costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliverFigures {
    /// CPU of one request by a bare `reqwest` client, in µs.
    pub(crate) reqwest_cpu_us: f64,
    /// CPU of one recipient by `deliver`, in µs.
    pub(crate) deliver_cpu_us: f64,
    /// The second by the first.
    pub(crate) ratio: f64,
    /// Requests a second of the bare client.
    pub(crate) reqwest_per_s: f64,
    /// Recipients a second of `deliver`.
    pub(crate) deliver_per_s: f64,
}

/// What one round took.
#[derive(Clone, Copy)]
struct Round {
    cpu: Duration,
    time: Duration,
}

/// Measures both in turns.
pub(crate) fn deliver_bench() -> DeliverFigures {
    let receiver = Receiver::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let body = example_body();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let guard = Guard::new(format!("127.0.0.1:{}", receiver.port).parse().expect("a list"), false);
        let http = Arc::new(Client::new(guard).expect("a client"));
        for round in 0..=ROUNDS {
            let by_reqwest = post(&client, &receiver.url, &body).await;
            let world = World::new(&receiver.url, http.clone()).await;
            let by_deliver = world.deliver().await;
            // The first round makes the connections.
            if round > 0 {
                bare.push(by_reqwest);
                whole.push(by_deliver);
            }
        }
    });
    let (reqwest_cpu_us, deliver_cpu_us) = (cpu_us(&bare), cpu_us(&whole));
    DeliverFigures {
        reqwest_cpu_us,
        deliver_cpu_us,
        ratio: deliver_cpu_us / reqwest_cpu_us,
        reqwest_per_s: per_s(&bare),
        deliver_per_s: per_s(&whole),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a round is far smaller than 2⁵³")]
fn cpu_us(rounds: &[Round]) -> f64 {
    rounds.iter().map(|round| round.cpu.as_secs_f64() * 1e6 / ROUND as f64).fold(f64::MAX, f64::min)
}

#[expect(clippy::cast_precision_loss, reason = "a round is far smaller than 2⁵³")]
fn per_s(rounds: &[Round]) -> f64 {
    rounds.iter().map(|round| ROUND as f64 / round.time.as_secs_f64()).fold(0.0, f64::max)
}

/// As long as what `deliver` sends.
fn example_body() -> String {
    let filled =
        [("{id}", "+4915000000000"), ("{greeting}", "Dear Ada Lovelace"), ("{coupon}", "WINTER-0000000")];
    filled.iter().fold(BODY.to_owned(), |body, (placeholder, value)| body.replace(placeholder, value))
}

#[expect(clippy::disallowed_methods, reason = "the receiver's answers are empty")]
async fn post(client: &reqwest::Client, url: &str, body: &str) -> Round {
    let (cpu, time) = (usage::cpu(), Instant::now());
    let mut workers = Vec::new();
    for worker in 0..REQUESTS {
        let (client, url, body) =
            (client.clone(), reqwest::Url::parse(url).expect("an address"), body.to_owned());
        let share = ROUND / REQUESTS + usize::from(worker < ROUND % REQUESTS);
        workers.push(tokio::spawn(async move {
            for _ in 0..share {
                let request =
                    client.post(url.clone()).header("content-type", "application/json").body(body.clone());
                let response = request.send().await.expect("an answer");
                assert!(response.status().is_success());
                response.bytes().await.expect("its body");
            }
        }));
    }
    for worker in workers {
        worker.await.expect("no worker panics");
    }
    Round { cpu: usage::cpu().saturating_sub(cpu), time: time.elapsed() }
}

/// A run whose chunks wait to be delivered.
struct World {
    ports: Ports,
    chunks: Vec<ChunkId>,
}

impl World {
    async fn new(url: &str, http: Arc<Client>) -> Self {
        let (random, now) = (SeededRandom::new(7), SystemClock.now());
        let (ledger, users) = (Arc::new(MemoryTable::new()), Arc::new(MemoryTable::without_sort_key()));
        let (objects, secrets) = (Arc::new(MemoryObjects::new()), Arc::new(MemorySecrets::new()));
        let workspace: WorkspaceId = "bench".parse().expect("a workspace");
        let (run, push) = (RunId::new(random.uuid7(now)), PushId::new(random.uuid7(now)));
        let webhook = WebhookId::new(random.uuid7(now));

        let plain = b"a secret of twenty-four bytes".to_vec().into();
        let context = SecretContext::signing(&workspace, webhook);
        let ciphertext = secrets.encrypt(&context, &plain).await.expect("a ciphertext");
        let secret = SigningSecret { algorithm: Algorithm::HmacSha256, ciphertext, public_key: None };
        let settings = EndpointSettings {
            origin: None,
            requests_per_second: None,
            allowed_per_minute: None,
            allowed_elsewhere: BTreeMap::new(),
            requests_at_a_time: None,
            retry: RetryPolicy::default(),
            authentication: fanhook_core::webhook::Authentication::default(),
            signing: Signing::None {}.rotated(secret, Duration::ZERO, now),
            updated: now,
        };
        endpoints::put(&*ledger, webhook, &settings).await.expect("an endpoint");

        let (mut segment, mut rows) = (Vec::new(), Vec::new());
        for chunk in 0..CHUNKS {
            let offset = segment.len() as u64;
            for number in 0..RECIPIENTS {
                let qaid = format!("member-{chunk:02}-{number:04}");
                recipient::write(&mut segment, &qaid, std::iter::empty(), std::iter::empty());
                store_profile(&users, &workspace, &qaid, number).await;
            }
            let source = Source { segment: 0, fence: 1, offset, length: segment.len() as u64 - offset };
            rows.push(Chunk::new(
                ChunkId { run, part: 0, chunk },
                source,
                RECIPIENTS,
                now.seconds() + 86_400,
            ));
        }
        objects.put(&keys::segment(&workspace, run, 0, 0, 1), segment.into()).await.expect("a segment");
        chunks::create(&*ledger, &rows).await.expect("chunks");

        let pinned = pinned(run, push, webhook, &workspace, url);
        let row = running(run, push, webhook, workspace, now);
        let key = Idempotency { key: "bench".to_owned(), request: "bench".to_owned() };
        runs::start(&*ledger, &row, &pinned, &[], &key, now).await.expect("a run");
        let ports = Ports {
            ledger,
            profiles: users,
            objects,
            queue: Arc::new(MemoryQueue::new()),
            secrets,
            http,
            clock: Arc::new(SystemClock),
            random: Arc::new(random),
            times: Times { timeout: Duration::from_secs(90), lease_margin: Duration::from_secs(5) },
            kept: Kept::default(),
        };
        Self { ports, chunks: rows.iter().map(|row| row.id).collect() }
    }

    async fn deliver(&self) -> Round {
        let records = self.chunks.iter().map(|&message| Record { message, receives: 1 }).collect();
        let (cpu, time) = (usage::cpu(), Instant::now());
        let fates = deliver(&self.ports, records, SystemClock.now() + Duration::from_secs(90)).await;
        let round = Round { cpu: usage::cpu().saturating_sub(cpu), time: time.elapsed() };
        assert!(fates.iter().all(|fate| *fate == Fate::Done));
        let counted =
            fanhook_store::counters::read(&*self.ports.ledger, self.chunks[0].run).await.expect("counters");
        let delivered = counted.totals.0.get(&fanhook_core::outcome::Reason::Delivered).copied();
        assert_eq!(delivered, Some(ROUND as u64), "{:?}", counted.totals);
        round
    }
}

async fn store_profile(users: &MemoryTable, workspace: &WorkspaceId, qaid: &str, number: usize) {
    let said: identity::Source = serde_json::from_value(json!({
        "updated": 1,
        "ids": {"MOBILE": [format!("+4915000{number:06}")]},
        "tags": {"name": "Ada Lovelace", "coupon": format!("WINTER-{number:07}")},
    }))
    .expect("a source");
    let (qaid, source) = (qaid.parse().expect("a QAID"), "crm".parse().expect("a source's name"));
    profiles::put_source(users, workspace, &qaid, &source, &said).await.expect("a profile");
}

fn pinned(run: RunId, push: PushId, webhook: WebhookId, workspace: &WorkspaceId, url: &str) -> Pinned {
    let variable =
        |name: &str| json!({"name": name, "source": {"tag": name}, "when_empty": {"default": "Member"}});
    serde_json::from_value(json!({
        "run": run, "origin": run, "workspace": workspace, "push": push, "push_name": "bench",
        "webhook": webhook, "webhook_version": 1,
        "content": {
            "url": url,
            "body": {"kind": "json", "template": BODY},
            "parameters": [{"name": "greeting", "type": "text"}, {"name": "coupon", "type": "text"}],
        },
        "push_content": {
            "id_types": ["MOBILE"],
            "values": {"greeting": "Dear ${name}", "coupon": "${coupon}"},
            "variables": [variable("name"), variable("coupon")],
        },
        "id_types": presets(),
        "sources": ["crm"],
        "uploads": [],
    }))
    .expect("pinned content")
}

fn running(id: RunId, push: PushId, webhook: WebhookId, workspace: WorkspaceId, now: Millis) -> Run {
    Run {
        id,
        workspace,
        push,
        webhook,
        batch_size: 1,
        state: RunState::Running,
        epoch: 0,
        created: now,
        expires_at: None,
        unproved: Vec::new(),
        closing: None,
        failure: None,
        ended: None,
        expires: now.seconds() + 86_400,
    }
}

/// The receiver's process; it ends with its standard input.
struct Receiver {
    child: Child,
    port: u16,
    url: String,
}

impl Receiver {
    fn start() -> Self {
        let program = std::env::current_exe().expect("the program has a path");
        let mut child = Command::new(program)
            .arg(CHILD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the receiver starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it has an output");
        BufReader::new(output).read_line(&mut line).expect("it says its port");
        let port = line.trim().parse().expect("a port");
        Self { child, port, url: format!("http://127.0.0.1:{port}/coupons") }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// Receives and answers `true`, where this process was started for that. A benchmark's `main` calls it first.
pub(crate) fn is_deliver_receiver() -> bool {
    if std::env::args().nth(1).as_deref() != Some(CHILD) {
        return false;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let port = listener.local_addr().expect("it has an address").port();
    writeln!(std::io::stdout(), "{port}").expect("the parent reads the port");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection each; those broken are dropped.
            thread::spawn(move || drop(answer(stream)));
        }
    });
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    true
}

/// Answers each request of a connection with an empty 200.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&chunk[..read]);
        if let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let length = content_length(&buffer[..head]);
            if buffer.len() >= head + 4 + length {
                buffer.drain(..head + 4 + length);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            }
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
