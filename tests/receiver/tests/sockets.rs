//! The receiver over real sockets, spoken to by hand.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, in real time")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use receiver::{Fate, Options, Receiver, access_token, coupon, fate};
use sha2::Sha256;

const KEY: [u8; 24] = [7; 24];

fn start() -> Receiver {
    let receiver = Receiver::start(Options { port: 0, keep_bodies: true }).unwrap();
    for path in ["/crm", "/crm/a"] {
        receiver.trust(path, &secret()).unwrap();
    }
    receiver
}

fn secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(KEY))
}

fn request(path: &str, id: &str, body: &str) -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nwebhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What comes back to some bytes until the connection ends, or until the patience does.
fn talk(receiver: &Receiver, bytes: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(receiver.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(bytes.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn id(wanted: Fate) -> String {
    (0..10_000).map(|n| format!("msg_{n}")).find(|id| fate(id) == wanted).unwrap()
}

#[test]
fn the_crm_answers_each_message_by_its_fate_and_counts_it() {
    let receiver = start();
    let (taken, busy, refused) = (id(Fate::Taken), id(Fate::BusyOnce), id(Fate::Refused));
    // One connection, six requests in a row.
    let ids = [&taken, &taken, &busy, &busy, &refused, &refused];
    let all: String = ids.map(|id| request("/crm/a", id, "{}")).concat();
    let answer = talk(&receiver, &all).unwrap();
    let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect();
    assert_eq!(statuses, ["200", "200", "503", "200", "400", "400"]);
    assert_eq!(answer.matches(&coupon(&taken)).count(), 2);

    let stats = receiver.stats("/crm/a");
    assert_eq!((stats.received, stats.unique, stats.duplicates, stats.bad_signatures), (6, 2, 1, 0));
    assert_eq!(stats.per_second.values().sum::<u64>(), 6);
    assert!(stats.first > 0 && stats.first <= stats.last);
    let bodies = receiver.taken("/crm/a");
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[&taken], b"{}");
}

#[test]
fn a_changed_body_is_refused_by_its_signature() {
    let receiver = start();
    let forged = request("/crm", &id(Fate::Taken), "{\"a\":1}").replace("{\"a\":1}", "{\"a\":2}");
    assert!(talk(&receiver, &forged).unwrap().starts_with("HTTP/1.1 401"));
    assert_eq!((receiver.stats("/crm").bad_signatures, receiver.stats("/crm").unique), (1, 0));
}

#[test]
fn a_secret_is_told_over_http_and_trusted_for_its_path_alone() {
    let receiver = start();
    let put = |body: &str| {
        let put = format!("PUT /secrets/crm/b HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        talk(&receiver, &put).unwrap()
    };
    let meet = |path| talk(&receiver, &request(path, &id(Fate::Taken), "{}")).unwrap();
    assert!(put("nonsense").starts_with("HTTP/1.1 400"));
    assert!(meet("/crm/b").starts_with("HTTP/1.1 401"));
    assert!(put(&secret()).starts_with("HTTP/1.1 200"));
    assert!(meet("/crm/b").starts_with("HTTP/1.1 200"));
    assert!(meet("/crm/c").starts_with("HTTP/1.1 401"));
}

#[test]
fn statistics_are_told_over_http() {
    let receiver = start();
    talk(&receiver, &request("/status/204/a", "msg_1", "")).unwrap();
    let answer = talk(&receiver, "GET /stats/status/204/a HTTP/1.1\r\n\r\n").unwrap();
    assert!(answer.contains(r#""received":1,"unique":1"#), "{answer}");
    assert!(talk(&receiver, "GET /stats HTTP/1.1\r\n\r\n").unwrap().contains(r#""/status/204/a":{"#));
}

#[test]
fn a_failing_endpoint_gets_well_message_by_message() {
    let receiver = start();
    let twice = request("/fail/1", "msg_1", "").repeat(2) + &request("/fail/1", "msg_2", "");
    let answer = talk(&receiver, &twice).unwrap();
    let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect();
    assert_eq!(statuses, ["500", "200", "500"]);
}

#[test]
fn a_busy_endpoint_says_for_how_long() {
    let receiver = start();
    let answer = talk(&receiver, &request("/retry-after/60", "msg_1", "")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("\r\nretry-after: 60\r\n"), "{answer}");
    assert!(talk(&receiver, &request("/retry-after/0", "msg_1", "")).unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn endpoints_that_break_off_do_so() {
    let receiver = start();
    let meet = |path: &str| talk(&receiver, &request(path, "msg_1", "{}"));
    assert_eq!(meet("/close").unwrap(), "");
    assert!(meet("/reset").is_err());
    assert!(meet("/cut").unwrap().ends_with("half of it"));
    assert!(!meet("/garbage").unwrap().starts_with("HTTP"));
    assert!(meet("/redirect").unwrap().contains("\r\nlocation: /crm/redirected\r\n"));
    // It lets go of a sender that has gone.
    assert_eq!(meet("/never").unwrap(), "");
    assert_eq!(receiver.stats("/never").received, 1);
}

#[test]
fn endless_answers_do_not_end() {
    let receiver = start();
    for path in ["/drip", "/huge"] {
        let mut stream = TcpStream::connect(receiver.address()).unwrap();
        stream.write_all(request(path, "msg_1", "{}").as_bytes()).unwrap();
        let mut some = [0; 52];
        stream.read_exact(&mut some).unwrap();
        assert!(some.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn what_came_last_is_kept_and_given_back_where_it_is_asked_for() {
    let receiver = start();
    assert!(receiver.last("/echo/500").is_empty());
    let asked = request("/echo/500", "msg_1", "body");
    let answer = talk(&receiver, &asked).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("webhook-id: msg_1"), "{answer}");
    assert_eq!(receiver.last("/echo/500"), asked.as_bytes());
    let token = access_token("/token/a");
    assert!(talk(&receiver, &request("/token/a", "", "")).unwrap().contains(&token));
    assert_ne!(token, access_token("/token/b"));
}
