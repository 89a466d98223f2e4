//! What has been seen at each path, and what the next request there is to meet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use crate::{
    answer::Answer,
    behaviour::{Behaviour, Fate, access_token, coupon, fate},
    http::Request,
    signature::{InvalidSecret, Verifier},
};

/// What was seen at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests.
    pub received: u64,
    /// Distinct `webhook-id`s that were answered 2xx.
    pub unique: u64,
    /// Requests under a `webhook-id` that was answered 2xx before.
    pub duplicates: u64,
    /// Requests whose signature did not verify.
    pub bad_signatures: u64,
    /// When the first request came, in milliseconds of Unix time; 0 where none did.
    pub first: u64,
    /// When the last request came, in milliseconds of Unix time; 0 where none did.
    pub last: u64,
    /// Answers by status; those without one are left out.
    pub statuses: BTreeMap<u16, u64>,
    /// Most requests that were under way at a time.
    pub at_a_time: u64,
    /// Requests by second of Unix time.
    pub per_second: BTreeMap<u64, u64>,
}

/// One message of a path.
#[derive(Default)]
struct Message {
    tries: u32,
    taken: bool,
    body: Vec<u8>,
}

#[derive(Default)]
struct Shop {
    verifier: Option<Verifier>,
    stats: Stats,
    under_way: u64,
    last: Vec<u8>,
    messages: HashMap<String, Message>,
}

/// A request that is under way at a path as long as this lives.
pub(crate) struct UnderWay {
    shops: Shops,
    path: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(shop) = self.shops.lock().get_mut(&self.path) {
            shop.under_way -= 1;
        }
    }
}

/// All paths.
#[derive(Clone)]
pub(crate) struct Shops(Arc<Inner>);

struct Inner {
    keep_bodies: bool,
    shops: Mutex<BTreeMap<String, Shop>>,
}

impl Shops {
    pub(crate) fn new(keep_bodies: bool) -> Self {
        Self(Arc::new(Inner { keep_bodies, shops: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shop>> {
        self.0.shops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self, path: &str) -> Stats {
        self.lock().get(path).map(|shop| shop.stats.clone()).unwrap_or_default()
    }

    pub(crate) fn all_stats(&self) -> BTreeMap<String, Stats> {
        self.lock().iter().map(|(path, shop)| (path.clone(), shop.stats.clone())).collect()
    }

    pub(crate) fn taken(&self, path: &str) -> HashMap<String, Vec<u8>> {
        let shops = self.lock();
        let messages = shops.get(path).into_iter().flat_map(|shop| &shop.messages);
        messages
            .filter(|(_, message)| message.taken)
            .map(|(id, message)| (id.clone(), message.body.clone()))
            .collect()
    }

    pub(crate) fn last(&self, path: &str) -> Vec<u8> {
        self.lock().get(path).map(|shop| shop.last.clone()).unwrap_or_default()
    }

    pub(crate) fn trust(&self, path: &str, secret: &str) -> Result<(), InvalidSecret> {
        let verifier = Verifier::new(secret)?;
        self.lock().entry(path.to_owned()).or_default().verifier = Some(verifier);
        Ok(())
    }

    /// Counts a request as under way from now on; none where nothing is counted of its path.
    pub(crate) fn enter(&self, path: &str) -> Option<UnderWay> {
        Behaviour::of(path)?;
        let mut shops = self.lock();
        let shop = shops.entry(path.to_owned()).or_default();
        shop.under_way += 1;
        shop.stats.at_a_time = shop.stats.at_a_time.max(shop.under_way);
        Some(UnderWay { shops: self.clone(), path: path.to_owned() })
    }

    /// Counts a request and says what it meets.
    pub(crate) fn meet(&self, request: &Request<'_>) -> Answer {
        match (request.method, request.path) {
            ("GET", "/stats") => return Answer::json(200, &self.all_stats()),
            ("GET", path) => {
                if let Some(path) = path.strip_prefix("/stats/") {
                    return Answer::json(200, &self.stats(&format!("/{path}")));
                }
            }
            ("OPTIONS", path) => return handshake(path, request.origin),
            ("PUT", path) => {
                if let Some(path) = path.strip_prefix("/secrets/") {
                    let secret = str::from_utf8(request.body).unwrap_or_default();
                    return match self.trust(&format!("/{path}"), secret.trim()) {
                        Ok(()) => Answer::json(200, &"trusted"),
                        Err(error) => Answer::json(400, &error.to_string()),
                    };
                }
            }
            _ => {}
        }
        let Some(behaviour) = Behaviour::of(request.path) else {
            return Answer::json(404, &"no behaviour of that name");
        };
        let now = now();
        let (id, body) = (request.id, request.body);

        let mut shops = self.lock();
        if !shops.contains_key(request.path) {
            shops.insert(request.path.to_owned(), Shop::default());
        }
        let Some(shop) = shops.get_mut(request.path) else { return Answer::Close };
        let verify =
            |by: &Verifier| by.verify(id, request.timestamp, request.signatures, body, now.as_secs());
        let genuine = shop.verifier.as_ref().is_some_and(verify);
        shop.stats.see(now);
        if self.0.keep_bodies {
            shop.last.clear();
            shop.last.extend_from_slice(request.whole);
        }
        shop.stats.bad_signatures += u64::from(!genuine);
        if !shop.messages.contains_key(id) {
            shop.messages.insert(id.to_owned(), Message::default());
        }
        let Some(message) = shop.messages.get_mut(id) else { return Answer::Close };
        message.tries += 1;
        let open = now.saturating_sub(Duration::from_millis(shop.stats.first));
        let answer = decide(behaviour, request, genuine, message.tries, open);
        if let Some(status) = answer.status() {
            *shop.stats.statuses.entry(status).or_default() += 1;
        }
        shop.stats.duplicates += u64::from(message.taken);
        if answer.is_success() && !message.taken {
            message.taken = true;
            shop.stats.unique += 1;
            if self.0.keep_bodies {
                message.body = body.to_vec();
            }
        }
        answer
    }
}

/// The answer to a handshake: whoever asks may send, but where every message is refused.
fn handshake(path: &str, origin: &str) -> Answer {
    match Behaviour::of(path) {
        None => Answer::json(404, &"no behaviour of that name"),
        Some(Behaviour::Status(status)) if !(200..300).contains(&status) => {
            Answer::json(status, &"as it was asked for")
        }
        Some(Behaviour::Rate(rate)) => Answer::Agreed(origin.to_owned(), rate.to_string()),
        Some(_) => Answer::Agreed(origin.to_owned(), "*".to_owned()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a receiver lives in real time")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Stats {
    fn see(&mut self, now: Duration) {
        self.received += 1;
        self.last = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        if self.first == 0 {
            self.first = self.last;
        }
        *self.per_second.entry(now.as_secs()).or_default() += 1;
    }
}

/// The answer to a message at its `tries`-th try, `open` after the first request to its path.
fn decide(behaviour: Behaviour, request: &Request<'_>, genuine: bool, tries: u32, open: Duration) -> Answer {
    let id = request.id;
    let taken = || Answer::json(200, &serde_json::json!({"coupon": coupon(id)}));
    match behaviour {
        Behaviour::Crm if !genuine => Answer::json(401, &"the signature does not verify"),
        Behaviour::Crm => match fate(id) {
            Fate::Refused => Answer::json(400, &"this member can't have a coupon"),
            Fate::BusyOnce if tries == 1 => Answer::json(503, &"busy"),
            Fate::BusyOnce | Fate::Taken => taken(),
        },
        Behaviour::Status(status) => Answer::json(status, &"as it was asked for"),
        Behaviour::Echo(status) => Answer::json(status, &String::from_utf8_lossy(request.whole)),
        Behaviour::Token => {
            let given = access_token(request.path);
            Answer::json(
                200,
                &serde_json::json!({"access_token": given, "token_type": "Bearer", "expires_in": 3600}),
            )
        }
        Behaviour::Fail(times) if tries <= times => Answer::json(500, &"broken"),
        Behaviour::RetryAfter(wait) if open < wait => Answer::Later(wait),
        Behaviour::Fail(_) | Behaviour::RetryAfter(_) | Behaviour::Rate(_) => taken(),
        Behaviour::Slow(wait) => Answer::After(wait, Box::new(taken())),
        Behaviour::Redirect => Answer::Redirect("/crm/redirected"),
        Behaviour::Never => Answer::Never,
        Behaviour::Drip => Answer::Drip,
        Behaviour::Huge => Answer::Huge,
        Behaviour::Close => Answer::Close,
        Behaviour::Reset => Answer::Reset,
        Behaviour::Cut => Answer::Cut,
        Behaviour::Garbage => Answer::Garbage,
    }
}
