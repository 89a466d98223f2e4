//! What `deliver` is asked directly: one message, previewed or sent as a test, by the code that a run is sent by; handshakes,
//! and the values of interfaces.

mod fetch;
mod flight;
mod handshake;
mod hint;
mod show;

use std::time::Duration;

use fanhook_core::{
    chunk::States,
    direct::{Answer, Failure, Message, Preview, Question, Tested, Verdict},
    limits,
    outcome::Reason,
    push::IdPolicy,
    recipient, retry,
    time::Millis,
    webhook::Content,
};
use fanhook_lambda::telemetry::chain;
use fanhook_outbound::{Ended, Exchange, OurFault};
use fanhook_store::{StoreError, StoreResult};

use self::flight::fly;
use crate::{
    Ports,
    credentials::Credentials,
    job::Job,
    parse::Recipients,
    plan,
    prepare::{Prepared, Preparer, Try, Unsent},
    token::Time,
};

/// Time kept for the answer to a question.
const ANSWERING: Duration = Duration::from_secs(1);

/// Answers a question, in an invocation that the platform ends at `deadline`, while whoever asks waits.
///
/// # Errors
/// What was asked is not what `config` asks; trying again won't help.
pub async fn answer(ports: &Ports, question: Question, deadline: Millis) -> StoreResult<Answer> {
    let (name, began) = (question.name(), ports.clock.now());
    let deadline = deadline.min(question.end());
    let answered = match question {
        // Whoever asks would not hear what came of it.
        _ if deadline <= began + ANSWERING => Ok(Answer::Unavailable {}),
        Question::Preview(message) => preview(ports, &message).await,
        Question::Test(message) => test(ports, &message, deadline).await,
        Question::Fetch(question) => fetch::fetch(ports, &question, deadline).await,
        Question::Handshake(handshake) => handshake::shake(ports, &handshake, deadline).await,
    };
    let (answered, end) = match answered {
        Err(error @ StoreError::Unavailable { .. }) => {
            tracing::warn!(error = %chain(&error), question = name, "a question is not answered");
            (Ok(Answer::Unavailable {}), "unavailable")
        }
        Ok(Answer::Unavailable {}) => (Ok(Answer::Unavailable {}), "unavailable"),
        Ok(answer) => (Ok(answer), "answered"),
        Err(error) => (Err(error), "failed"),
    };
    let ms = u64::try_from(ports.clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
    tracing::info!(question = name, end, ms, "question");
    answered
}

async fn preview(ports: &Ports, message: &Message) -> StoreResult<Answer> {
    let made = make(ports, message, &credentials(ports, message).await?).await?;
    let messages = made.into_iter().map(|made| match made {
        Ok(prepared) => {
            Preview { request: Some(show::unsent(&prepared.request)), verdict: None, failure: None }
        }
        Err(unsent) => Preview {
            request: None,
            verdict: Some(Verdict::last(unsent.reason)),
            failure: Some(hint::unsent(unsent)),
        },
    });
    let mut messages: Vec<Preview> = messages.collect();
    // A request is shown whole or not at all: a part of it is none that is sent.
    let size = |message| serde_json::to_vec(message).map_or(usize::MAX, |json| json.len());
    let fitting = limits::fitting(messages.iter().map(size));
    let count = (fitting < messages.len()).then(|| u32::try_from(messages.len()).unwrap_or(u32::MAX));
    messages.truncate(fitting);
    Ok(Answer::Preview { messages, count })
}

async fn test(ports: &Ports, message: &Message, end: Millis) -> StoreResult<Answer> {
    // A test has one ID, and so one message.
    let credentials = credentials(ports, message).await?;
    let made = make(ports, message, &credentials).await?;
    let mut prepared = match made.into_iter().next().unwrap_or(Err(Reason::NoId.into())) {
        Ok(prepared) => prepared,
        Err(unsent) => {
            return Ok(Answer::Test(Box::new(failed(Verdict::last(unsent.reason), hint::unsent(unsent)))));
        }
    };
    let each = time_left(ports, &message.pinned.content, end);
    let time = Time::new(each, ports.clock.now());
    let send = async |request: &_, deadline| ports.http.watch(request, deadline).await;
    let watched = match fly(ports, &mut prepared.request, credentials.tokens, time, send).await {
        Ok(watched) => watched,
        Err(Exchange::Ended(ended)) => return Ok(Answer::Test(Box::new(without_token(&ended)))),
        Err(Exchange::OurFault(fault)) => return Ok(not_sent(fault)),
    };
    let ended = match &watched.exchange {
        Exchange::Ended(ended) => ended,
        Exchange::OurFault(fault) => return Ok(not_sent(*fault)),
    };
    let told = plan::told(ended, message.pinned.content.success.as_ref());
    let told = prepared.sent.first().map(|sent| told.verdict(sent.delivery, &sent.id));
    let verdict = verdict(told.unwrap_or(retry::Verdict::Final(Reason::Internal)));
    let passed = verdict.reason == Reason::Delivered;
    let failure = (!passed).then(|| hint::of(ended.attempt, &watched));
    Ok(Answer::Test(Box::new(Tested {
        passed,
        verdict,
        request: Some(show::sent(&prepared.request)),
        answer: show::answer(&watched, &prepared.request),
        times: Some(watched.times),
        failure,
    })))
}

/// The deadline of a request: the webhook's, but so that there is time for the answer.
fn time_left(ports: &Ports, content: &Content, end: Millis) -> Duration {
    let left = end.since(ports.clock.now() + ANSWERING);
    content.deadline().min(limits::TEST).min(left)
}

/// By a fault of ours.
fn not_sent(fault: OurFault) -> Answer {
    tracing::warn!(error = %chain(&fault), "a request was not sent");
    Answer::Unavailable {}
}

/// A message that a user gets, or why there is none.
type Made = Result<Prepared, Unsent>;

/// What a run would send a message with.
async fn credentials(ports: &Ports, message: &Message) -> StoreResult<Credentials> {
    let pinned = &message.pinned;
    let of = (&pinned.workspace, pinned.webhook);
    ports.kept.keyring.get(ports, of, &message.settings, pinned.push_content.send_form).await
}

/// The messages that a user gets, as a run makes them at the first try.
async fn make(ports: &Ports, message: &Message, credentials: &Credentials) -> StoreResult<Vec<Made>> {
    let now = ports.clock.now();
    let job = Job::new(message.pinned.clone())?;
    let mut lines = message.recipient.clone().into_bytes();
    if job.pinned.push_content.id_policy == IdPolicy::All {
        lines = expand(ports, &job, message, &lines).await?;
    }
    let recipients = read(ports, &job, message, &lines).await?;
    let mut preparer = Preparer::new(&job);
    let attempt = Try { tries: 0, now, credentials };
    Ok((0..recipients.len()).map(|index| preparer.prepare(index, &recipients, attempt)).collect())
}

/// Reads recipients, and their profiles where the question allows it.
async fn read<'a>(
    ports: &Ports,
    job: &Job,
    message: &Message,
    lines: &'a [u8],
) -> StoreResult<Recipients<'a>> {
    let count = lines.split_inclusive(|&byte| byte == b'\n').count();
    let mut recipients = Recipients::parse(lines, &States::new(count));
    if message.profile {
        recipients.fetch(job, &*ports.profiles).await?;
    }
    Ok(recipients)
}

/// Under policy `all`: a line for each ID of the user, as fan-out writes them.
async fn expand(ports: &Ports, job: &Job, message: &Message, line: &[u8]) -> StoreResult<Vec<u8>> {
    let recipients = read(ports, job, message, line).await?;
    let user = recipients.get(0).ok_or_else(|| StoreError::corrupt("question", "it names no user"))?;
    let merged = recipients.profile(user).map(|profile| profile.merged(&job.pinned.sources));
    let mut lines = Vec::new();
    for id in job.chooser.all(&user.ids(), merged.as_ref()) {
        recipient::write_chosen(&mut lines, user.qaid.as_str(), id.id_type.as_str(), &id.value, user.tags());
    }
    Ok(if lines.is_empty() { line.to_vec() } else { lines })
}

/// What a real send comes to.
fn verdict(told: retry::Verdict) -> Verdict {
    match told {
        retry::Verdict::Final(reason) => Verdict::last(reason),
        retry::Verdict::Gone => Verdict::last(Reason::EndpointGone),
        retry::Verdict::Again(reason) => Verdict { tried_again: true, ..Verdict::last(reason) },
    }
}

/// A test that gets no access token.
fn without_token(ended: &Ended) -> Tested {
    failed(verdict(retry::verdict(ended.attempt)), hint::without_token(ended))
}

fn failed(verdict: Verdict, failure: Failure) -> Tested {
    Tested { passed: false, verdict, request: None, answer: None, times: None, failure: Some(failure) }
}
