//! Whole invocations of `profiles` against the twins.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fanhook_core::{
    id::{Qaid, UploadId, WorkspaceId},
    identity::{IdValue, Profile},
    limits,
    time::Millis,
};
use fanhook_lambda::clock::{Clock, ManualClock};
use fanhook_store::{
    files::FileCode,
    memory::{Fault, MemoryObjects, MemoryQueue, MemoryTable, Operation},
    ports::Objects,
    profiles as stored,
    uploads::{self, Kind, Upload, UploadState},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::future::BoxFuture;
use profiles::{Outcome, Ports, handle, import, parse::GoOn};
use uuid::Uuid;

const START: Millis = Millis(1_800_000_000_000);
const FIVE_MINUTES: Duration = Duration::from_mins(5);

struct World {
    profiles: Arc<MemoryTable>,
    ledger: Arc<MemoryTable>,
    objects: Arc<MemoryObjects>,
    queue: Arc<MemoryQueue>,
    ports: Ports,
}

fn world_over(profiles: MemoryTable, ledger: MemoryTable, objects: MemoryObjects) -> World {
    let (profiles, ledger, objects) = (Arc::new(profiles), Arc::new(ledger), Arc::new(objects));
    let queue = Arc::new(MemoryQueue::new());
    let ports = Ports {
        config: Arc::new(MemoryTable::new()),
        profiles: profiles.clone(),
        ledger: ledger.clone(),
        objects: objects.clone(),
        queue: queue.clone(),
        clock: Arc::new(ManualClock::new(START)),
    };
    World { profiles, ledger, objects, queue, ports }
}

fn world() -> World {
    world_over(MemoryTable::without_sort_key(), MemoryTable::new(), MemoryObjects::new())
}

fn workspace() -> WorkspaceId {
    "acme".parse().unwrap()
}

impl World {
    /// Uploads a file, created `later` than the first.
    async fn upload(&self, number: u128, later: u64, file: &[u8]) -> GoOn {
        let id = UploadId::new(Uuid::from_u128(number));
        let upload = Upload::new(id, workspace(), Kind::Profiles, Millis(START.0 + later), 2_000_000_000);
        uploads::create(&*self.ledger, &upload).await.unwrap();
        self.objects.put(&upload.key(), Bytes::copy_from_slice(file)).await.unwrap();
        GoOn { workspace: workspace(), upload: id }
    }

    async fn import(&self, file: &GoOn) -> Outcome {
        import(&self.ports, file, self.ports.clock.now() + FIVE_MINUTES).await.unwrap()
    }

    /// Imports a file that must be read to its end.
    async fn imported(&self, number: u128, later: u64, file: &str) -> Upload {
        let file = self.upload(number, later, file.as_bytes()).await;
        assert_eq!(self.import(&file).await, Outcome::Imported);
        self.state(&file).await
    }

    async fn state(&self, file: &GoOn) -> Upload {
        uploads::get(&*self.ledger, file.upload).await.unwrap().unwrap()
    }

    async fn profile(&self, qaid: &str) -> Option<Profile> {
        let qaid: Qaid = qaid.parse().unwrap();
        let one = stored::get(&*self.profiles, &workspace(), &qaid).await.unwrap();
        let many =
            stored::get_many(&*self.profiles, &workspace(), std::slice::from_ref(&qaid)).await.unwrap();
        assert_eq!(many.into_iter().next(), one.clone().map(|profile| (qaid, profile)));
        one
    }

    /// A source's tag of a user.
    async fn tag(&self, qaid: &str, source: &str, tag: &str) -> Option<String> {
        self.profile(qaid).await?.sources.get(source)?.tags.get(tag).cloned()
    }
}

#[tokio::test]
async fn both_formats_become_the_same_profiles() {
    let csv =
        "qaid,source,updated,id.MOBILE,tag.name\nann,crm,2026-01-02T03:04:05Z,+14155550001,\"Ann, Lee\"\n";
    let ndjson = r#"{"qaid":"ann","source":"crm","updated":"2026-01-02T03:04:05Z","ids":{"MOBILE":["+14155550001"]},"tags":{"name":"Ann, Lee"}}"#;
    let mut seen = Vec::new();
    for content in [csv, ndjson] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(content.as_bytes()).unwrap();
        for file in [
            content.as_bytes().to_vec(),
            gzip.finish().unwrap(),
            zstd::stream::encode_all(content.as_bytes(), 0).unwrap(),
        ] {
            let world = world();
            let file = world.upload(1, 0, &file).await;
            assert_eq!(world.import(&file).await, Outcome::Imported);
            let upload = world.state(&file).await;
            assert_eq!((upload.state, upload.counts.stored), (UploadState::Imported, 1));
            seen.push(world.profile("ann").await.unwrap());
        }
    }
    assert!(seen.iter().all(|profile| *profile == seen[0]));
    let crm = &seen[0].sources["crm"];
    assert_eq!(crm.updated, Millis(1_767_323_045_000));
    assert_eq!((crm.ids["MOBILE"][0].as_str(), crm.tags["name"].as_str()), ("+14155550001", "Ann, Lee"));
}

#[tokio::test]
async fn no_source_erases_what_another_said() {
    let world = world();
    world.imported(1, 0, "qaid,source,id.MOBILE,tag.name,tag.city\nann,crm,+14155550001,Ann,Rome\n").await;
    world.imported(2, 1, "qaid,source,id.EMAIL,tag.name\nann,shop,ann@example.com,Annie\n").await;
    let profile = world.profile("ann").await.unwrap();
    assert_eq!(profile.sources["crm"].tags.len(), 2);
    assert_eq!(profile.sources["crm"].ids["MOBILE"][0].as_str(), "+14155550001");
    assert_eq!(profile.sources["shop"].ids["EMAIL"][0].as_str(), "ann@example.com");
    // What a source says stands in place of all that it said before.
    world.imported(3, 2, "qaid,source,tag.name\nann,crm,Anna\n").await;
    let profile = world.profile("ann").await.unwrap();
    assert_eq!((profile.sources["crm"].tags.len(), profile.sources["crm"].ids.len()), (1, 0));
    assert_eq!(profile.sources["shop"].tags["name"], "Annie");
}

#[tokio::test]
async fn what_is_older_never_replaces_what_is_newer_and_what_is_as_old_does() {
    let world = world();
    let row = |time: &str, name: &str| {
        format!("qaid,source,updated,tag.name\nann,crm,2026-01-{time}T00:00:00Z,{name}\n")
    };
    world.imported(1, 0, &row("05", "first")).await;
    let older = world.imported(2, 1, &row("04", "older")).await;
    assert_eq!((older.counts.stored, older.counts.outdated), (0, 1));
    assert_eq!(world.tag("ann", "crm", "name").await.as_deref(), Some("first"));
    world.imported(3, 2, &row("05", "as old")).await;
    assert_eq!(world.tag("ann", "crm", "name").await.as_deref(), Some("as old"));
    world.imported(4, 3, &row("06", "newer")).await;
    assert_eq!(world.tag("ann", "crm", "name").await.as_deref(), Some("newer"));
    // A row without a time speaks as of its upload.
    world.imported(5, 4, "qaid,source,tag.name\nann,crm,now\n").await;
    assert_eq!(world.tag("ann", "crm", "name").await.as_deref(), Some("now"));
}

#[tokio::test]
async fn a_row_as_of_more_than_a_day_ahead_is_reported_and_the_rest_goes_on() {
    let world = world();
    let latest = START + limits::AHEAD;
    let over = latest + Duration::from_millis(1);
    let csv = format!("qaid,source,updated\nann,crm,{latest}\nbob,crm,{over}\neve,crm,\n");
    let row = |qaid: &str, updated: Millis| serde_json::json!({"qaid": qaid, "source": "crm", "updated": updated.to_string()});
    let ndjson = format!("\n{}\n{}\n{}\n", row("ann", latest), row("bob", over), row("eve", START));
    for (number, file) in [(1, csv), (2, ndjson)] {
        let upload = world.imported(number, 0, &file).await;
        assert_eq!((upload.counts.stored, upload.counts.bad_rows), (2, 1));
        assert_eq!(world.profile("bob").await, None);
        let key = format!("reports/acme/{}/import/000000.ndjson", upload.id);
        let report = String::from_utf8(world.objects.read(&key).unwrap().to_vec()).unwrap();
        let wanted =
            serde_json::json!({"line": 3, "reason": "`updated` must not be more than a day in the future"});
        assert_eq!(report.trim_end(), wanted.to_string());
    }
}

#[tokio::test]
async fn of_several_rows_of_a_user_the_last_stands() {
    let rows: Vec<String> = (0..1_000).map(|n| format!("user-{},crm,{n}\n", n % 10)).collect();
    let rows = rows.concat();
    let world = world();
    world.imported(1, 0, &format!("qaid,source,tag.n\n{rows}")).await;
    for user in 0..10 {
        assert_eq!(world.tag(&format!("user-{user}"), "crm", "n").await, Some((990 + user).to_string()));
    }
}

#[tokio::test]
async fn a_hashed_id_is_kept_as_it_is() {
    let world = world();
    let digest = "5".repeat(64);
    world.imported(1, 0, &format!("qaid,source,id.MOBILE\nann,crm,sha256:{digest}\n")).await;
    let profile = world.profile("ann").await.unwrap();
    assert_eq!(profile.sources["crm"].ids["MOBILE"][0].value(), IdValue::Sha256(&digest));
}

#[tokio::test]
async fn bad_rows_are_reported_and_the_rest_goes_on() {
    let world = world();
    let upload = world
        .imported(1, 0, "qaid,source,tag.name\nann,crm,Ann\n,crm,Nobody\nbob,,Bob\n\neve,crm,Eve\n")
        .await;
    let counts = upload.counts;
    assert_eq!(
        (counts.stored, counts.bad_rows, counts.blanks, counts.headers, counts.lines),
        (2, 2, 1, 1, 6)
    );
    let key = world.objects.keys().into_iter().find(|key| key.starts_with("reports/")).unwrap();
    assert_eq!(key, format!("reports/acme/{}/import/000000.ndjson", upload.id));
    let report = String::from_utf8(world.objects.read(&key).unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("{\"line\":3,") && lines[1].starts_with("{\"line\":4,"), "{report}");
}

#[tokio::test]
async fn a_row_that_would_make_its_profile_too_large_is_reported_and_the_rest_goes_on() {
    let world = world();
    let tag = "x".repeat(60 * 1024);
    let rows = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"]
        .map(|source| format!("ann,{source},{tag}\n"))
        .concat();
    let upload = world.imported(1, 0, &format!("qaid,source,tag.name\n{rows}bob,crm,Bob\n")).await;
    assert_eq!((upload.counts.stored, upload.counts.too_large, upload.counts.bad_rows), (7, 2, 0));
    assert_eq!(world.profile("ann").await.unwrap().sources.len(), 6);
    assert_eq!(world.tag("bob", "crm", "name").await.as_deref(), Some("Bob"));
    let key = world.objects.keys().into_iter().find(|key| key.starts_with("reports/")).unwrap();
    let report = String::from_utf8(world.objects.read(&key).unwrap().to_vec()).unwrap();
    assert_eq!(report.lines().count(), 2, "{report}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_and_what_was_imported_stays() {
    let world = world();
    for (number, file, code) in [
        (1, &b"qaid,name\nann,Ann\n"[..], "wrong_header"),
        (2, &b"ann\nbob\n"[..], "wrong_header"),
        (3, &b"PK\x03\x04"[..], "unsupported_file"),
    ] {
        let file = world.upload(number, 0, file).await;
        let Outcome::Failed(failure) = world.import(&file).await else { panic!("it was read") };
        assert_eq!(failure.code.name(), code);
        let upload = world.state(&file).await;
        assert_eq!(upload.state, UploadState::Failed);
        assert!(upload.failure.unwrap().starts_with(code));
        assert_eq!(world.import(&file).await, Outcome::Over);
    }
    let missing = world.upload(4, 0, b"").await;
    world.objects.remove(&world.state(&missing).await.key());
    assert!(
        matches!(world.import(&missing).await, Outcome::Failed(failure) if failure.code == FileCode::FileMissing)
    );
}

#[tokio::test]
async fn a_message_that_names_nothing_of_ours_is_done() {
    let world = world();
    let file = world.upload(1, 0, b"qaid,source\nann,crm\n").await;
    let strange = GoOn { workspace: "other".parse().unwrap(), upload: file.upload };
    assert_eq!(world.import(&strange).await, Outcome::Unknown, "the upload's record is the authority");
    let strange = GoOn { upload: UploadId::new(Uuid::from_u128(9)), ..file };
    assert_eq!(world.import(&strange).await, Outcome::Unknown);
}

#[tokio::test]
async fn a_batch_takes_notifications_and_what_is_not_ours_alone_goes_back() {
    let world = world();
    let file = world.upload(1, 0, b"qaid,source\nann,crm\n").await;
    let key = world.state(&file).await.key();
    let record = |id: &str, body: String| serde_json::json!({"messageId": id, "body": body, "attributes": {}, "messageAttributes": {}});
    let created = serde_json::json!({"Records": [{"s3": {"object": {"key": key}}}, {"s3": {"object": {"key": "profiles/x"}}}]});
    let event = serde_json::json!({"Records": [
        record("a", created.to_string()),
        record("b", r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#.to_owned()),
        record("c", "{}".to_owned()),
    ]});
    let event = serde_json::from_value(event).unwrap();
    let answer = handle(&world.ports, event, START + FIVE_MINUTES).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer, serde_json::json!({"batchItemFailures": [{"itemIdentifier": "c"}]}));
    assert!(world.profile("ann").await.is_some());
}

/// A clock that goes on by some milliseconds whenever it is looked at.
struct Ticking(AtomicU64, u64);

impl Clock for Ticking {
    fn now(&self) -> Millis {
        Millis(self.0.fetch_add(self.1, Ordering::Relaxed))
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn rows(users: usize) -> String {
    let rows = (0..users).map(|user| format!("user-{user},crm,{user}\n"));
    format!("qaid,source,tag.n\n{}", rows.collect::<String>())
}

#[tokio::test]
async fn near_its_end_an_invocation_hands_over_and_progress_is_seen() {
    let content = rows(2_000);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(content.as_bytes()).unwrap();
    for file in [content.clone().into_bytes(), gzip.finish().unwrap()] {
        let world = world();
        let file = world.upload(1, 0, &file).await;
        let mut rounds = 0;
        loop {
            let mut ports = world.ports.clone();
            let began = START.0 + rounds * 1_000_000;
            ports.clock = Arc::new(Ticking(AtomicU64::new(began), 100));
            let outcome = import(&ports, &file, Millis(began) + FIVE_MINUTES / 3).await.unwrap();
            let upload = world.state(&file).await;
            rounds += 1;
            if outcome == Outcome::Imported {
                assert_eq!((upload.state, upload.counts.stored), (UploadState::Imported, 2_000));
                break;
            }
            assert_eq!(outcome, Outcome::HandedOver);
            assert_eq!(upload.state, UploadState::Importing);
            assert!(upload.counts.stored > 0 && upload.counts.stored < 2_000);
            let sent = world.queue.take(Millis(u64::MAX));
            assert_eq!(sent.len(), 1);
            assert_eq!(serde_json::from_str::<GoOn>(&sent[0].body).unwrap(), file);
        }
        assert!(rounds > 1);
        assert_eq!(world.profiles.items().len(), 2_000);
    }
}

#[tokio::test]
async fn a_worker_may_die_anywhere() {
    let content = rows(150);
    for fault in [Fault::Before, Fault::After] {
        for at in 0.. {
            let (count, on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let hook = || {
                let (count, on) = (count.clone(), on.clone());
                move |_: &Operation<'_>| {
                    if !on.load(Ordering::Relaxed) {
                        return Fault::None;
                    }
                    match count.fetch_add(1, Ordering::Relaxed).cmp(&at) {
                        std::cmp::Ordering::Less => Fault::None,
                        std::cmp::Ordering::Equal => fault,
                        std::cmp::Ordering::Greater => Fault::Before,
                    }
                }
            };
            let profiles = MemoryTable::without_sort_key().with_faults(hook());
            let ledger = MemoryTable::new().with_faults(hook());
            let world = world_over(profiles, ledger, MemoryObjects::new().with_faults(hook()));
            let file = world.upload(1, 0, format!("{content}bad\n").as_bytes()).await;
            on.store(true, Ordering::Relaxed);
            let mut ports = world.ports.clone();
            ports.clock = Arc::new(Ticking(AtomicU64::new(START.0), 100));
            let died = import(&ports, &file, START + FIVE_MINUTES).await;
            on.store(false, Ordering::Relaxed);
            if died.is_ok() {
                assert!(at > 150, "only {at} operations");
                break;
            }
            let outcome = world.import(&file).await;
            assert!(
                matches!(outcome, Outcome::Imported | Outcome::Over),
                "{fault:?} operation {at}: {outcome:?}"
            );
            let upload = world.state(&file).await;
            assert_eq!(upload.state, UploadState::Imported);
            assert_eq!((upload.counts.stored, upload.counts.bad_rows), (150, 1), "{fault:?} operation {at}");
            assert_eq!(world.profiles.items().len(), 150);
            assert_eq!(world.objects.keys().iter().filter(|key| key.starts_with("reports/")).count(), 1);
        }
    }
}

#[tokio::test]
async fn two_workers_of_one_file_harm_nothing() {
    let world = world();
    let file = world.upload(1, 0, rows(500).as_bytes()).await;
    let (first, second) = tokio::join!(world.import(&file), world.import(&file));
    assert_eq!((first, second), (Outcome::Imported, Outcome::Imported));
    let upload = world.state(&file).await;
    assert_eq!((upload.state, upload.counts.stored), (UploadState::Imported, 500));
    assert_eq!(world.tag("user-499", "crm", "n").await.as_deref(), Some("499"));
}

#[tokio::test]
async fn an_erased_profile_is_gone() {
    let world = world();
    world.imported(1, 0, "qaid,source,tag.name\nann,crm,Ann\nbob,crm,Bob\n").await;
    stored::erase(&*world.profiles, &workspace(), &"ann".parse().unwrap()).await.unwrap();
    assert_eq!(world.profile("ann").await, None);
    assert!(world.profile("bob").await.is_some());
}
