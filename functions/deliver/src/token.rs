//! Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4): got by the same guarded client as everything, kept in the process
//! until shortly before their end, and never asked for twice at a time.

use std::{
    collections::HashMap,
    sync::{self, Arc, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fanhook_core::{
    id::WebhookId,
    retry::Attempt,
    time::Millis,
    webhook::{Authentication, TokenClient, TokenRequest, bearer},
};
use fanhook_lambda::clock::Clock;
use fanhook_outbound::{
    Ended, Exchange, HeaderMap, HeaderValue, Http, InvalidTarget, Method, Request, Target, confidential,
    excerpt, header, sensitive,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// How long a token is used whose end is not told.
const UNTOLD: Duration = Duration::from_mins(5);
/// How long a token is used at most.
const LONGEST: Duration = Duration::from_hours(24);
/// How long before its end a token is replaced, at most; of a short one a tenth of its life.
const EARLY: Duration = Duration::from_mins(1);
/// How long the failure of a request for a token stands for all who want one, and how often a token is replaced at most that the endpoint
/// refused: shorter than the shortest wait before a next try.
const STANDS: Duration = Duration::from_secs(3);

/// Who asks for tokens. The request is made anew each time, so that the secret is kept in one place, which is wiped.
pub(crate) struct Asking {
    client: TokenClient,
    secret: SecretString,
}

/// A token that was got.
#[derive(Clone)]
struct Token {
    header: HeaderValue,
    /// From then on another one is asked for.
    until: Millis,
}

/// The token of one endpoint.
#[derive(Default)]
pub(crate) struct Slot {
    state: sync::Mutex<State>,
    /// Held by whom the token endpoint answers: the others wait for the same answer.
    asking: Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The last request for one, where it failed.
    failed: Option<(Millis, Exchange)>,
    /// When a token was last replaced because the endpoint refused it.
    replaced: Option<Millis>,
}

/// How long what belongs to one request may take.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// Each request on its way: it, and one for a token.
    each: Duration,
    /// All of them end by then.
    until: Millis,
}

impl Time {
    /// So long for each, and for all of them, from now on.
    pub(crate) fn new(each: Duration, now: Millis) -> Self {
        Self { each, until: now + each }
    }

    /// How long what begins now may take.
    pub(crate) fn rest(self, now: Millis) -> Duration {
        self.each.min(self.until.since(now))
    }
}

/// The slot of each endpoint that was met, with the settings that its token was got by: other settings give a new one.
#[derive(Default)]
pub(crate) struct Slots(sync::Mutex<HashMap<WebhookId, (Authentication, Arc<Slot>)>>);

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is lost with it.
    fn is_over(&self, now: Millis) -> bool {
        let recent = |at: &Millis| now.since(*at) < STANDS;
        let state = self.state();
        state.token.as_ref().is_none_or(|token| now >= token.until)
            && !state.failed.as_ref().is_some_and(|(at, _)| recent(at))
            && !state.replaced.as_ref().is_some_and(recent)
    }
}

impl Slots {
    /// The slot of an endpoint with these settings.
    pub(crate) fn get(&self, webhook: WebhookId, authentication: &Authentication) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(&webhook) {
            Some((known, slot)) if known == authentication => Arc::clone(slot),
            _ => {
                let slot = Arc::new(Slot::default());
                slots.insert(webhook, (authentication.clone(), Arc::clone(&slot)));
                slot
            }
        }
    }

    /// Lets go of what no longer holds.
    pub(crate) fn sweep(&self, now: Millis) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, (_, slot)| Arc::strong_count(slot) > 1 || !slot.is_over(now));
    }
}

impl Asking {
    /// A client with its decrypted secret.
    pub(crate) fn new(client: TokenClient, secret: SecretString) -> Result<Self, InvalidTarget> {
        let asking = Self { client, secret };
        asking.request()?;
        Ok(asking)
    }

    fn request(&self) -> Result<Request, InvalidTarget> {
        let TokenRequest { url, authorization, body } = self.client.request(self.secret.expose_secret());
        let mut own = vec![
            (header::ACCEPT, HeaderValue::from_static("application/json")),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (header::USER_AGENT, HeaderValue::from_static(crate::job::USER_AGENT)),
        ];
        if let Some(value) = authorization {
            own.push((header::AUTHORIZATION, confidential(value).map_err(|_| InvalidTarget)?));
        }
        Ok(Request {
            method: Method::POST,
            target: Target::parse(&url)?,
            shared: Arc::new(HeaderMap::new()),
            own,
            body: Bytes::from_owner(body),
            keep_answer: true,
        })
    }
}

/// Where the requests of an endpoint get their tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) slot: Arc<Slot>,
    pub(crate) asking: Arc<Asking>,
}

/// What comes of wanting a token: the value of `authorization`, or what came of the request for it. A token that was refused is given
/// again where it is the newest that is to be had.
pub(crate) type Wanted = Result<HeaderValue, Exchange>;

impl State {
    /// What comes of wanting a token now; none where one has to be asked for.
    fn known(&self, now: Millis, refused: Option<&HeaderValue>) -> Option<Wanted> {
        let recent = |at: Millis| now.since(at) < STANDS;
        match (&self.token, &self.failed) {
            (Some(token), _) if refused == Some(&token.header) => {
                self.replaced.is_some_and(recent).then(|| Ok(token.header.clone()))
            }
            (Some(token), _) if now < token.until => Some(Ok(token.header.clone())),
            (_, Some((at, exchange))) if recent(*at) => Some(Err(exchange.clone())),
            _ => None,
        }
    }

    /// Whoever wants a token from now on waits for the next one.
    fn give_up(&mut self, now: Millis, refused: Option<&HeaderValue>) {
        if self.token.take().is_some_and(|token| refused == Some(&token.header)) {
            self.replaced = Some(now);
        }
    }
}

impl Tokens {
    /// What comes of wanting a token now, another one than `refused`, which the endpoint has answered 401; none where that takes a
    /// request, or waiting for one.
    pub(crate) fn held(&self, now: Millis, refused: Option<&HeaderValue>) -> Option<Wanted> {
        self.slot.state().known(now, refused)
    }

    /// The same, with the request that it takes. Who wants one at the same time waits for the same request.
    pub(crate) async fn get(
        &self,
        http: &dyn Http,
        clock: &dyn Clock,
        refused: Option<&HeaderValue>,
        time: Time,
    ) -> Wanted {
        let _asking = tokio::select! {
            biased;
            asking = self.slot.asking.lock() => asking,
            () = clock.sleep(time.rest(clock.now())) => return Err(Exchange::Ended(unanswered())),
        };
        let now = clock.now();
        if let Some(wanted) = self.held(now, refused) {
            return wanted;
        }
        self.slot.state().give_up(now, refused);
        let Ok(request) = self.asking.request() else { return Err(Exchange::Ended(unanswered())) };
        let rest = time.rest(now);
        let exchange = http.send(&request, rest).await;
        let now = clock.now();
        let (failed, cut) = match exchange {
            Exchange::Ended(mut ended) => {
                let answer = Zeroizing::new(std::mem::take(&mut ended.answer));
                if let Some(token) = read(ended.attempt, &answer, now) {
                    self.slot.state().token = Some(token.clone());
                    return Ok(token.header);
                }
                let cut = ended.attempt == Attempt::TimedOut && rest < time.each;
                (Exchange::Ended(self.failure(ended, &answer, &request)), cut)
            }
            fault @ Exchange::OurFault(_) => (fault, false),
        };
        // Where this one had less time than others have, it tells nothing of what they would get.
        if !cut {
            self.slot.state().failed = Some((now, failed.clone()));
        }
        Err(failed)
    }

    /// What a request for a token that gave none means for the requests that wanted it.
    fn failure(&self, ended: Ended, answer: &[u8], request: &Request) -> Ended {
        let (attempt, answer) = match ended.attempt {
            // It may hold a token that could not be read.
            Attempt::Answered { status: status @ 200..=299 } => {
                (Attempt::NoToken { status: Some(status) }, String::new())
            }
            Attempt::Answered { status } => {
                let sensitive = sensitive(request);
                let secrets =
                    sensitive.iter().map(|part| part.as_str()).chain([self.asking.secret.expose_secret()]);
                (Attempt::NoToken { status: Some(status) }, excerpt(answer, secrets))
            }
            Attempt::Blocked => (Attempt::Blocked, String::new()),
            _ => (Attempt::NoToken { status: None }, String::new()),
        };
        Ended { attempt, answer: answer.into_bytes(), ..ended }
    }
}

/// Has a request carry this token; its place is kept since the request was made.
pub(crate) fn authorize(request: &mut Request, token: &HeaderValue) {
    for (_, value) in request.own.iter_mut().filter(|(name, _)| name == header::AUTHORIZATION) {
        value.clone_from(token);
    }
}

/// Whether an endpoint refused what a request was authorized by.
pub(crate) fn is_unauthorized(exchange: &Exchange) -> bool {
    matches!(exchange, Exchange::Ended(Ended { attempt: Attempt::Answered { status: 401 }, .. }))
}

/// An end without an answer.
fn unanswered() -> Ended {
    Ended::without_answer(Attempt::NoToken { status: None })
}

/// A token endpoint's answer (RFC 6749, section 5.1), as far as it is used.
#[derive(Deserialize)]
struct Answer {
    #[serde(deserialize_with = "wiped")]
    access_token: Zeroizing<String>,
    token_type: String,
    /// Seconds; some servers write a text.
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().or_else(|| value.as_str()?.parse().ok()))
}

/// The token in an answer; none where the answer is no success or holds no bearer token.
fn read(attempt: Attempt, answer: &[u8], now: Millis) -> Option<Token> {
    let Attempt::Answered { status: 200..=299 } = attempt else { return None };
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    if !answer.token_type.eq_ignore_ascii_case("bearer") || answer.access_token.is_empty() {
        return None;
    }
    let header = confidential(bearer(&answer.access_token)).ok()?;
    // No token is over when it comes: of some servers 0 means that it has no end.
    let told = answer.expires_in.filter(|&seconds| seconds > 0);
    let life = told.map_or(UNTOLD, |seconds| Duration::from_secs(seconds).min(LONGEST));
    Some(Token { header, until: now + life.saturating_sub(EARLY.min(life / 10)) })
}

#[cfg(test)]
mod tests {
    use fanhook_core::webhook::ClientAuthentication;
    use fanhook_lambda::random::{Random, SeededRandom};

    use super::*;

    #[test]
    fn a_slot_is_swept_when_its_token_is_over_and_nobody_uses_it() {
        let client = TokenClient {
            token_url: "https://login.example/token".to_owned(),
            client_id: "fanhook".to_owned(),
            scope: None,
            audience: None,
            client_authentication: ClientAuthentication::Basic,
        };
        let authentication = Authentication::OAuth2 { client, ciphertext: String::new() };
        let (slots, webhook) = (Slots::default(), WebhookId::new(SeededRandom::new(7).uuid7(Millis(0))));
        let kept = || slots.0.lock().unwrap().len();
        let slot = slots.get(webhook, &authentication);
        slots.sweep(Millis(9));
        assert_eq!(kept(), 1, "it is used");
        let header = HeaderValue::from_static("Bearer a");
        slot.state().token = Some(Token { header, until: Millis(5) });
        drop(slot);
        slots.sweep(Millis(4));
        assert_eq!(kept(), 1, "its token holds");
        slots.sweep(Millis(5));
        assert_eq!(kept(), 0);
        slots.get(webhook, &authentication).state().replaced = Some(Millis(5));
        slots.sweep(Millis(5) + (STANDS.saturating_sub(Duration::from_millis(1))));
        assert_eq!(kept(), 1, "a token was just replaced");
        slots.sweep(Millis(5) + STANDS);
        assert_eq!(kept(), 0);
    }
}
