//! The client against endpoints on loopback that behave well, badly, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fanhook_core::{direct::Phase, retry::Attempt};
use fanhook_outbound::{
    Client, Ended, Exchange, Guard, HeaderMap, HeaderName, HeaderValue, Http, Lookup, LookupError, Method,
    OurFault, Request, Target, Watched,
};
use futures_util::{FutureExt, future::BoxFuture};

const DEADLINE: Duration = Duration::from_millis(700);

/// An endpoint: what it does with each connection is a test's own.
struct Endpoint {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Endpoint {
    fn start(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&connections), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, number) = (Arc::clone(&serve), count.fetch_add(1, Ordering::SeqCst));
                thread::spawn(move || serve(stream, number));
            }
        });
        Self { port, connections }
    }

    /// Reads a request and gives this answer.
    fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |mut stream, _| {
            read_request(&mut stream);
            stream.write_all(answer).ok();
        })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/coupons?x=1", self.port)
    }

    /// A client whose deployment names this endpoint.
    fn client(&self) -> Client {
        Client::new(Guard::new(format!("127.0.0.1:{}", self.port).parse().unwrap(), false)).unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The head and body of one request; empty at the connection's end.
fn read_request(stream: &mut TcpStream) -> String {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(head) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&read).to_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            if read.len() >= head + 4 + length {
                return String::from_utf8(read).unwrap();
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return String::new(),
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Ends a connection with a reset.
fn reset(stream: TcpStream) {
    let stream = tokio::net::TcpSocket::from_std_stream(stream);
    stream.set_zero_linger().unwrap();
}

fn request(url: &str) -> Request {
    let shared = HeaderMap::from_iter([(
        HeaderName::from_static("content-type"),
        HeaderValue::from_static("application/json"),
    )]);
    Request {
        method: Method::POST,
        target: Target::parse(url).unwrap(),
        shared: Arc::new(shared),
        own: vec![(HeaderName::from_static("webhook-id"), HeaderValue::from_static("msg_1"))],
        body: Bytes::from_static(b"{\"a\":1}"),
        keep_answer: false,
    }
}

async fn ended(client: &Client, url: &str) -> Ended {
    match client.send(&request(url), DEADLINE).await {
        Exchange::Ended(ended) => ended,
        Exchange::OurFault(fault) => panic!("{fault}"),
    }
}

async fn attempt(endpoint: &Endpoint) -> Attempt {
    ended(&endpoint.client(), &endpoint.url()).await.attempt
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_its_connection_is_kept() {
    let (sender, requests) = std::sync::mpsc::channel();
    let endpoint = Endpoint::start(move |mut stream, _| {
        loop {
            let request = read_request(&mut stream);
            if request.is_empty() || sender.send(request).is_err() {
                return;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
    });
    let client = endpoint.client();
    for _ in 0..3 {
        let ended = ended(&client, &endpoint.url()).await;
        assert_eq!(
            (ended.attempt, ended.answer.as_slice(), ended.resent),
            (Attempt::Answered { status: 200 }, &b""[..], false)
        );
    }
    assert_eq!(endpoint.connections(), 1);
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /coupons?x=1 HTTP/1.1\r\n"), "{request}");
    for line in ["content-type: application/json", "webhook-id: msg_1", "content-length: 7"] {
        assert!(request.contains(&format!("{line}\r\n")), "{request}");
    }
    assert!(
        request.contains(&format!("host: 127.0.0.1:{}\r\n", endpoint.port))
            && request.ends_with("\r\n\r\n{\"a\":1}")
    );
    for never in ["cookie", "referer", "accept-encoding"] {
        assert!(!request.contains(never), "{request}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_whole_within_the_deadline_is_a_time_out() {
    let silent = Endpoint::start(|stream, _| {
        sleep(Duration::from_secs(5));
        drop(stream);
    });
    let dripping = Endpoint::start(|mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").unwrap();
        while stream.write_all(b".").is_ok() {
            sleep(Duration::from_millis(20));
        }
    });
    let early = Endpoint::start(|mut stream, _| {
        read_request(&mut stream);
        while stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").is_ok() {
            sleep(Duration::from_millis(5));
        }
    });
    for endpoint in [silent, dripping, early] {
        let started = Instant::now();
        assert_eq!(attempt(&endpoint).await, Attempt::TimedOut);
        let took = started.elapsed();
        assert!(took >= DEADLINE && took < DEADLINE * 3, "{took:?}");
    }
}

#[tokio::test]
async fn of_an_answer_without_end_only_the_beginning_is_read() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let endpoint = Endpoint::start(move |mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        while let Ok(bytes) = stream.write(&[b'x'; 4096]) {
            count.fetch_add(bytes, Ordering::SeqCst);
        }
    });
    let ended = ended(&endpoint.client(), &endpoint.url()).await;
    assert_eq!((ended.attempt, ended.answer.len()), (Attempt::Answered { status: 400 }, 4096));
    sleep(Duration::from_millis(200));
    // What the sockets' buffers take, and no more.
    assert!(written.load(Ordering::SeqCst) < 16 * 1024 * 1024);
}

#[tokio::test]
async fn an_answer_that_is_kept_is_whole_up_to_16_kib() {
    const LIMIT: usize = 16 * 1024;
    let kept = async |head: String, body: String| {
        let endpoint = Endpoint::start(move |mut stream, _| {
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 {head}\r\n\r\n{body}").ok();
        });
        let request = Request { keep_answer: true, ..request(&endpoint.url()) };
        match endpoint.client().send(&request, DEADLINE).await {
            Exchange::Ended(ended) => (ended.answer.len(), ended.is_whole),
            Exchange::OurFault(fault) => panic!("{fault}"),
        }
    };
    for length in [0, 5, 4097, LIMIT, LIMIT + 1, 3 * LIMIT] {
        let (expected, body) = ((length.min(LIMIT), length <= LIMIT), "x".repeat(length));
        for status in ["200 OK", "400 Bad Request"] {
            let plain = kept(format!("{status}\r\ncontent-length: {length}"), body.clone()).await;
            assert_eq!(plain, expected, "{length} bytes");
            assert_eq!(kept(format!("{status}\r\nconnection: close"), body.clone()).await, expected);
        }
        let chunk = if length == 0 { String::new() } else { format!("{length:x}\r\n{body}\r\n") };
        let chunked = kept("200 OK\r\ntransfer-encoding: chunked".to_owned(), format!("{chunk}0\r\n\r\n"));
        assert_eq!(chunked.await, expected, "{length} bytes in chunks");
    }
    assert_eq!(kept("200 OK\r\ncontent-length: 10".to_owned(), "half".to_owned()).await, (4, false));
}

#[tokio::test]
async fn an_end_of_the_connection_before_an_answer_is_told_from_an_answer_that_is_no_http() {
    let closing = Endpoint::start(|mut stream, _| drop(read_request(&mut stream)));
    assert_eq!(attempt(&closing).await, Attempt::Disconnected);
    let resetting = Endpoint::start(|mut stream, _| {
        read_request(&mut stream);
        reset(stream);
    });
    assert_eq!(attempt(&resetting).await, Attempt::Disconnected);
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(Guard::new(refusing.to_string().parse().unwrap(), false)).unwrap();
    assert_eq!(ended(&client, &format!("http://{refusing}/")).await.attempt, Attempt::Disconnected);
    for garbage in
        [&b"hello\r\n\r\n"[..], b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/9.1 200 OK\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        assert_eq!(attempt(&Endpoint::answering(garbage)).await, Attempt::Protocol, "{garbage:?}");
    }
}

#[tokio::test]
async fn once_the_status_is_there_a_broken_body_changes_nothing() {
    let endpoint = Endpoint::start(|mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
        sleep(Duration::from_millis(50));
        reset(stream);
    });
    assert_eq!(attempt(&endpoint).await, Attempt::Answered { status: 200 });
    let odd = [
        (&b"HTTP/1.1 204 No Content\r\n\r\nbody"[..], 204),
        (b"HTTP/1.1 999 \r\ncontent-length: 0\r\n\r\n", 999),
    ];
    for (answer, status) in odd {
        assert_eq!(attempt(&Endpoint::answering(answer)).await, Attempt::Answered { status });
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_its_target_sees_nothing() {
    let target = Endpoint::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for status in [301, 302, 303, 307, 308] {
        let location = target.url();
        let endpoint = Endpoint::start(move |mut stream, _| {
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        });
        let list = format!("127.0.0.1:{}, 127.0.0.1:{}", endpoint.port, target.port);
        let client = Client::new(Guard::new(list.parse().unwrap(), false)).unwrap();
        assert_eq!(ended(&client, &endpoint.url()).await.attempt, Attempt::Answered { status });
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn an_answer_is_not_decoded_and_retry_after_is_kept() {
    let endpoint = Endpoint::answering(
        b"HTTP/1.1 429 Slow\r\ncontent-encoding: gzip\r\nretry-after: 120\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00",
    );
    let ended = ended(&endpoint.client(), &endpoint.url()).await;
    assert_eq!(
        (ended.answer.as_slice(), ended.retry_after.as_deref()),
        (&b"\x1f\x8b\x08\x00"[..], Some("120"))
    );
}

#[tokio::test]
async fn connections_that_died_in_a_freeze_cost_the_receiver_nothing() {
    let endpoint = Endpoint::start(|mut stream, number| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        sleep(Duration::from_millis(if number == 0 { 200 } else { 2_000 }));
    });
    let client = endpoint.client();
    assert_eq!(ended(&client, &endpoint.url()).await.attempt, Attempt::Answered { status: 200 });
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The process stands still while the other side closes, and is thawed by an event from elsewhere.
    sleep(Duration::from_millis(400));
    tokio::task::yield_now().await;
    assert_eq!(ended(&client, &endpoint.url()).await.attempt, Attempt::Answered { status: 200 });
    assert_eq!(endpoint.connections(), 2);
}

/// Gives every name these addresses.
struct Fixed(Result<Vec<IpAddr>, LookupError>);

impl Lookup for Fixed {
    fn lookup(&self, _: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>> {
        std::future::ready(self.0.clone()).boxed()
    }
}

#[tokio::test]
async fn special_addresses_see_no_connection_whatever_name_leads_to_them() {
    let endpoint = Endpoint::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let port = endpoint.port;
    let other = || Guard::new(format!("127.0.0.1:{}", port ^ 1).parse().unwrap(), true);
    let client = Client::new(other()).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"]
    {
        let ended = ended(&client, &format!("http://{host}:{port}/")).await;
        assert_eq!(ended.attempt, Attempt::Blocked, "{host}");
    }
    for addresses in
        [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["127.0.0.1", "8.8.8.8"], &["::ffff:127.0.0.1"]]
    {
        let found = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let client = Client::with_lookup(other(), Fixed(Ok(found))).unwrap();
        let ended = ended(&client, &format!("http://shop.example.com:{port}/")).await;
        assert_eq!(ended.attempt, Attempt::Blocked, "{addresses:?}");
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn a_name_that_the_deployment_allows_is_dialled_at_its_port_only() {
    let endpoint = Endpoint::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let guard = Guard::new(format!("receiver.internal:{}", endpoint.port).parse().unwrap(), false);
    let client = Client::with_lookup(guard, Fixed(Ok(vec!["127.0.0.1".parse().unwrap()]))).unwrap();
    let answered = ended(&client, &format!("http://receiver.internal:{}/", endpoint.port)).await;
    assert_eq!(answered.attempt, Attempt::Answered { status: 200 });
    let other = ended(&client, &format!("http://receiver.internal:{}/", endpoint.port ^ 1)).await;
    assert_eq!(other.attempt, Attempt::Blocked);
}

#[tokio::test]
async fn a_name_without_an_address_is_the_receivers_fault_and_a_resolver_without_an_answer_is_ours() {
    let send = async |found| {
        let client = Client::with_lookup(Guard::default(), Fixed(found)).unwrap();
        client.send(&request("https://shop.example.com/"), DEADLINE).await
    };
    for none in [Err(LookupError::NoAddress), Ok(Vec::new())] {
        let Exchange::Ended(ended) = send(none).await else { panic!("ours") };
        assert_eq!(ended.attempt, Attempt::Unresolved);
    }
    assert_eq!(send(Err(LookupError::Unavailable)).await, Exchange::OurFault(OurFault::Resolver));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_before_a_byte_of_the_request() {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let pem = include_bytes!("self-signed.pem");
    let (cert, key) =
        (CertificateDer::from_pem_slice(pem).unwrap(), PrivateKeyDer::from_pem_slice(pem).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![cert], key).unwrap());
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let endpoint = Endpoint::start(move |mut stream, _| {
        let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        count.fetch_add(tls.read(&mut [0; 100]).unwrap_or(0), Ordering::SeqCst);
    });
    let url = format!("https://127.0.0.1:{}/", endpoint.port);
    assert_eq!(ended(&endpoint.client(), &url).await.attempt, Attempt::Tls);
    assert_eq!((endpoint.connections(), read.load(Ordering::SeqCst)), (1, 0));
    let seen = watched(&endpoint.client(), &url).await;
    assert!(
        seen.fault.is_some_and(|fault| fault.starts_with("invalid peer certificate")),
        "the reason is told"
    );
    assert_eq!((seen.phase, read.load(Ordering::SeqCst)), (Phase::Tls, 0));
    let plain = Endpoint::start(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        drop(stream.read(&mut [0; 4096]));
    });
    let url = format!("https://127.0.0.1:{}/", plain.port);
    assert_eq!(ended(&plain.client(), &url).await.attempt, Attempt::Tls);
}

async fn watched(client: &Client, url: &str) -> Watched {
    client.watch(&request(url), DEADLINE).await
}

#[tokio::test]
async fn a_watched_request_tells_the_answer_and_the_time_of_each_phase_of_a_connection_of_its_own() {
    let endpoint = Endpoint::start(|mut stream, _| {
        loop {
            if read_request(&mut stream).is_empty() {
                return;
            }
            sleep(Duration::from_millis(100));
            let body = "x".repeat(20_000);
            write!(stream, "HTTP/1.1 201 Made\r\nx-coupon: a\r\ncontent-length: 20000\r\n\r\n{body}")
                .unwrap();
        }
    });
    let client = endpoint.client();
    assert_eq!(ended(&client, &endpoint.url()).await.attempt, Attempt::Answered { status: 201 });
    for connections in 2..4 {
        let seen = watched(&client, &endpoint.url()).await;
        assert_eq!(endpoint.connections(), connections);
        let Exchange::Ended(ended) = &seen.exchange else { panic!("ours") };
        assert_eq!(ended.attempt, Attempt::Answered { status: 201 });
        let (status, headers, body) = seen.answer.unwrap();
        assert_eq!(
            (status.as_u16(), &headers["x-coupon"], body.len()),
            (201, &HeaderValue::from_static("a"), 16_384)
        );
        let times = seen.times;
        assert_eq!((times.dns_us, times.tls_us, seen.phase), (None, None, Phase::Body));
        let (connect, first) = (times.connect_us.unwrap(), times.first_byte_us.unwrap());
        assert!((100_000..times.total_us).contains(&first), "{times:?}");
        assert!(connect < 100_000 && connect + first <= times.total_us, "{times:?}");
    }
}

#[tokio::test]
async fn a_watched_failure_tells_the_phase_that_it_came_in() {
    let silent = Endpoint::start(|stream, _| {
        sleep(Duration::from_secs(5));
        drop(stream);
    });
    let seen = watched(&silent.client(), &silent.url()).await;
    assert_eq!((seen.phase, seen.times.first_byte_us, seen.fault), (Phase::FirstByte, None, None));
    assert!(seen.times.connect_us.is_some() && seen.times.total_us >= 700_000, "{:?}", seen.times);
    let seen = watched(&silent.client(), &silent.url().replace("http:", "https:")).await;
    assert_eq!((seen.phase, seen.times.tls_us), (Phase::Tls, None));

    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(Guard::new(refusing.to_string().parse().unwrap(), false)).unwrap();
    let seen = watched(&client, &format!("http://{refusing}/")).await;
    assert_eq!((seen.phase, seen.times.connect_us), (Phase::Connect, None));
    assert!(seen.fault.unwrap().starts_with("Connection refused"));

    let client = Client::with_lookup(Guard::default(), Fixed(Err(LookupError::NoAddress))).unwrap();
    let seen = watched(&client, "https://shop.example.com/").await;
    assert_eq!(
        (seen.phase, seen.times.dns_us, seen.fault.as_deref()),
        (Phase::Dns, None, Some("the name has no address"))
    );
    let blocked = watched(&client, "http://127.0.0.1:1/").await;
    assert_eq!(blocked.exchange, Exchange::Ended(Ended::without_answer(Attempt::Blocked)));

    let guard = Guard::new(format!("receiver.internal:{}", silent.port).parse().unwrap(), false);
    let client = Client::with_lookup(guard, Fixed(Ok(vec!["127.0.0.1".parse().unwrap()]))).unwrap();
    let seen = watched(&client, &format!("http://receiver.internal:{}/", silent.port)).await;
    assert!(seen.times.dns_us.is_some() && seen.times.connect_us.is_some(), "{:?}", seen.times);
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    const CHILD: &str = "FANHOOK_TEST_ENDPOINT";
    #[expect(clippy::disallowed_methods, reason = "the test speaks to its own child so")]
    let child = std::env::var(CHILD);
    if let Ok(port) = child {
        let client = Client::new(Guard::new(format!("127.0.0.1:{port}").parse().unwrap(), false)).unwrap();
        let ended = ended(&client, &format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(ended.attempt, Attempt::Answered { status: 200 });
        return;
    }
    let endpoint = Endpoint::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let proxy = Endpoint::answering(b"HTTP/1.1 502 Proxy\r\ncontent-length: 0\r\n\r\n");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_proxy_in_the_environment_is_ignored"]).env(CHILD, endpoint.port.to_string());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, proxy.url());
    }
    assert!(child.output().unwrap().status.success());
    assert_eq!((endpoint.connections(), proxy.connections()), (1, 0));
}
