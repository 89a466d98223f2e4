//! No secret and nothing of a user in logs and outcomes.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use fanhook_core::{outcome::Reason, webhook::Authentication};
use fanhook_store::memory::{Fault, Operation};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    endpoint::Reply,
    world::{KEY, SECRET, Setup, World},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_canary_shows_up_in_logs() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let replies = [
        Reply::Status(200),
        Reply::Body(500, "+4915000000000 is wrong".to_owned()),
        Reply::Body(400, "+4915000000000 is wrong".to_owned()),
        Reply::Attempt(fanhook_core::retry::Attempt::TimedOut),
        Reply::OurFault,
        Reply::Panic,
    ];
    for reply in replies {
        let world = World::new(Setup::default()).await;
        world.endpoint.answer(reply);
        world.invoke().await;
    }
    let world = World::new(Setup::default()).await;
    world.fail(
        |operation| if matches!(operation, Operation::Decrypt(_)) { Fault::Before } else { Fault::None },
    );
    world.invoke().await;
    let got = r#"{"access_token":"t0ken-of-the-crm","token_type":"bearer"}"#;
    let answers = [(200, got.to_owned()), (200, format!("{{{got}")), (401, format!("{got} {KEY}"))];
    for (status, answer) in answers {
        let world = World::new(Setup { authentication: crate::oauth::oauth, ..Setup::default() }).await;
        world.endpoint.tokens(move |_, _| (Duration::ZERO, Reply::Body(status, answer.clone())));
        world.invoke().await;
    }
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("\"chunk\""), "the log is read");
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    for canary in [
        secret.as_str(),
        &BASE64_STANDARD.encode(SECRET),
        "+4915000",
        "Adelheid",
        "user-",
        "crm.example",
        "login.example",
        "t0ken",
        KEY,
        "msg_",
    ] {
        assert!(!log.contains(canary), "{canary}");
    }
}

#[tokio::test]
async fn an_answer_that_gives_our_request_back_is_kept_without_signature_id_and_tags() {
    let world = World::new(Setup { chunks: vec![1], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        let echo = format!("\0{:?} {} and why", seen.headers, seen.body);
        (std::time::Duration::from_millis(1), Reply::Body(400, echo))
    });
    world.invoke().await;
    world.assert_all(Reason::Status).await;
    let answer = world.records().await.remove(0).answer.unwrap();
    let seen = world.endpoint.seen()[0].clone();
    let signature = seen.header("webhook-signature").unwrap().strip_prefix("v1,").unwrap().to_owned();
    assert!(answer.len() <= 512 && !answer.contains('\0'));
    for secret in [signature.as_str(), "+4915000000000", "Adelheid", seen.webhook_id.as_str()] {
        assert!(!answer.contains(secret), "{secret}");
    }
    assert!(answer.contains("webhook-timestamp"));
}

#[tokio::test]
async fn a_secret_is_decrypted_once_in_five_minutes_for_all_chunks() {
    let world = World::new(Setup { chunks: vec![1; 10], ..Setup::default() }).await;
    let decrypted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&decrypted);
    world.fail(move |operation| {
        count.fetch_add(usize::from(matches!(operation, Operation::Decrypt(_))), Ordering::SeqCst);
        Fault::None
    });
    world.endpoint.answer(Reply::Status(503));
    world.invoke().await;
    world.clock.advance(Duration::from_secs(200));
    world.invoke().await;
    assert_eq!(decrypted.load(Ordering::SeqCst), 1);
    world.clock.advance(Duration::from_secs(200));
    world.invoke().await;
    assert_eq!((decrypted.load(Ordering::SeqCst), world.endpoint.seen().len()), (2, 30));
}

#[tokio::test]
async fn a_request_says_who_calls_in_the_way_that_was_chosen() {
    type Choice = fn(String) -> Authentication;
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("shop:{KEY}")));
    let table: [(Choice, &str, Option<String>); 4] = [
        (|_| Authentication::None {}, "authorization", None),
        (|ciphertext| Authentication::Bearer { ciphertext }, "authorization", Some(format!("Bearer {KEY}"))),
        (
            |ciphertext| Authentication::Header { name: "X-Api-Key".to_owned(), ciphertext },
            "x-api-key",
            Some(KEY.to_owned()),
        ),
        (
            |ciphertext| Authentication::Basic { username: "shop".to_owned(), ciphertext },
            "authorization",
            Some(basic),
        ),
    ];
    for (authentication, name, value) in table {
        let world = World::new(Setup { chunks: vec![1], authentication, ..Setup::default() }).await;
        world.endpoint.script(|seen, _| {
            (Duration::from_millis(1), Reply::Body(400, format!("{KEY}? {:?}", seen.headers)))
        });
        world.invoke().await;
        let seen = world.endpoint.seen()[0].clone();
        assert_eq!(seen.header(name), value.as_deref());
        assert!(seen.header("webhook-signature").is_some(), "it is signed as well");
        let answer = world.records().await.remove(0).answer.unwrap();
        let secret = value.as_deref().and_then(|value| value.split(' ').next_back()).unwrap_or("\0");
        assert!(answer.contains("webhook-timestamp") && !answer.contains(secret), "{answer}");
        assert_eq!(answer.contains(KEY), value.is_none(), "{answer}");
    }
}

#[tokio::test]
async fn a_secret_of_few_bytes_is_not_kept_either() {
    let choices: [fn(String) -> Authentication; 3] = [
        |ciphertext| Authentication::Bearer { ciphertext },
        |ciphertext| Authentication::Header { name: "X-Api-Key".to_owned(), ciphertext },
        |ciphertext| Authentication::Basic { username: "shop".to_owned(), ciphertext },
    ];
    for key in ["7", "w1:2,", "abc12"] {
        for authentication in choices {
            let world = World::new(Setup { chunks: vec![1], authentication, key, ..Setup::default() }).await;
            world.endpoint.answer(Reply::Body(400, format!("{key}! who is <{key}>?")));
            world.invoke().await;
            let answer = world.records().await.remove(0).answer.unwrap();
            assert_eq!(answer, "[removed]! who is <[removed]>?");
        }
    }
}
