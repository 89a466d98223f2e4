//! What `deliver` is asked directly, outside any run, and what it answers: previews, test sends, handshakes and
//! the values of interfaces.
//!
//! `config` opens no connection and decrypts nothing, so it asks `deliver` by a synchronous invocation. A question carries all that a run
//! would pin, and is answered by the code that a run is sent by.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{ParameterSourceId, WorkspaceId},
    outcome::{Outcome, Reason},
    parameter_source::Interface,
    run::{EndpointSettings, Pinned},
    time::Millis,
};

/// A question. Its tag, `direct`, is a field that no event of a queue has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "direct", rename_all = "snake_case")]
pub enum Question {
    /// Which requests would this user get?
    Preview(Box<Message>),
    /// What comes of sending this message now?
    Test(Box<Message>),
    /// Does the endpoint agree to be sent to?
    Handshake(Box<Handshake>),
    /// Which value does this interface give?
    Fetch(Box<Fetch>),
}

impl Question {
    /// Its name, as logs have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Preview(_) => "preview",
            Self::Test(_) => "test",
            Self::Handshake(_) => "handshake",
            Self::Fetch(_) => "fetch",
        }
    }

    /// Until when whoever asks waits for the answer.
    pub fn end(&self) -> Millis {
        match self {
            Self::Preview(message) | Self::Test(message) => message.end,
            Self::Handshake(handshake) => handshake.message.end,
            Self::Fetch(fetch) => fetch.end,
        }
    }
}

/// One user's message, outside any run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// What a run would pin.
    pub pinned: Pinned,
    /// What is true of the endpoint now.
    pub settings: EndpointSettings,
    /// The user, as a line of a segment.
    pub recipient: String,
    /// Whether the user's profile is read where the line does not say enough.
    pub profile: bool,
    /// Until when whoever asks waits.
    pub end: Millis,
}

/// A handshake by which an endpoint agrees (CloudEvents 1.0, HTTP webhook, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// A message whose address is asked; nothing else of it is sent.
    pub message: Message,
    /// Who asks, for `WebHook-Request-Origin`: a DNS name.
    pub origin: String,
    /// Requests a minute that are wanted, for `WebHook-Request-Rate`; none: any number.
    pub requests_per_minute: Option<u64>,
}

/// An interface that is asked for a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Its parameter source.
    pub source: ParameterSourceId,
    /// How it is asked.
    pub interface: Interface,
    /// Until when whoever asks waits.
    pub end: Millis,
}

/// The answer to a question; its tag is a field that no answer has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "direct", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Question::Preview`].
    Preview {
        /// One a message: under policy `all` the user may get several.
        messages: Vec<Preview>,
        /// How many there are, where an answer does not hold all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
    },
    /// To [`Question::Test`].
    Test(Box<Tested>),
    /// To [`Question::Handshake`].
    Handshake(Box<Shaken>),
    /// To [`Question::Fetch`].
    Value {
        /// The value.
        value: String,
    },
    /// To [`Question::Fetch`], where there is none.
    NoValue {
        /// Why.
        failure: Failure,
    },
    /// It could not be answered, by a fault of ours that passes.
    Unavailable {},
}

/// What a message comes to before it is sent: a request, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The request; none where the user is not sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<ShownRequest>,
    /// What the user comes to instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What a test send came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tested {
    /// Whether a real send would have delivered.
    pub passed: bool,
    /// What a real send would come to.
    pub verdict: Verdict,
    /// The request; none where there is nothing to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<ShownRequest>,
    /// The answer, where one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ShownAnswer>,
    /// How long what took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// What went wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HandshakeResult)]
pub struct Shaken {
    /// Whether the endpoint agreed.
    pub allowed: bool,
    /// Requests a minute that it allows; none where it sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// The request; none where none could be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<ShownRequest>,
    /// The answer, where one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ShownAnswer>,
    /// How long what took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// What went wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What a real send comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The outcome; of a request that is tried again, the one when tries end.
    pub outcome: Outcome,
    /// The reason of that outcome.
    pub reason: Reason,
    /// Whether it would be tried again first.
    pub tried_again: bool,
}

impl Verdict {
    /// A verdict without another try.
    pub fn last(reason: Reason) -> Self {
        Self { outcome: reason.outcome(), reason, tried_again: false }
    }
}

/// A request as people may see it. `host` and `content-length` follow from it, and are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Request)]
pub struct ShownRequest {
    /// The method.
    pub method: String,
    /// The full address.
    pub url: String,
    /// The headers; the values of credentials and signatures are [`MASKED`].
    pub headers: Vec<ShownHeader>,
    /// The body.
    pub body: String,
}

/// Stands for what nobody may see.
pub const MASKED: &str = "[masked]";

/// A header as people may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownHeader {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: String,
}

/// An answer as people may see it: what it gives back of credentials and signatures is taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Answer)]
pub struct ShownAnswer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<ShownHeader>,
    /// The beginning of the body, at most 4 KiB.
    pub body: String,
}

/// How long the phases of a request took, in microseconds; a phase that did not come to its end has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Times {
    /// Looking the name up; none for an IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<u64>,
    /// Making the TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// The TLS handshake; none for `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u64>,
    /// From the connection to the head of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// From the start to the end.
    pub total_us: u64,
}

/// A phase of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looking the name up.
    Dns,
    /// Making the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// From the connection to the head of the answer.
    FirstByte,
    /// Reading the answer's body.
    Body,
}

/// What went wrong with a preview or a test send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TestFailure)]
pub struct Failure {
    /// The phase that did not come to its end, where one did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What happened.
    pub detail: String,
    /// What to do about it.
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_all_that_it_may_say_is_read_as_it_was_written() {
        let request = ShownRequest {
            method: "POST".to_owned(),
            url: String::new(),
            headers: Vec::new(),
            body: String::new(),
        };
        let answer = ShownAnswer { status: 200, headers: Vec::new(), body: "ok".to_owned() };
        let failure = Failure { phase: Some(Phase::Body), detail: String::new(), hint: String::new() };
        let verdict = Verdict::last(Reason::Delivered);
        let (request, answer, times) = (Some(request), Some(answer), Some(Times::default()));
        let tested = Tested {
            passed: true,
            verdict,
            request: request.clone(),
            answer: answer.clone(),
            times,
            failure: Some(failure.clone()),
        };
        let shaken = Shaken {
            allowed: true,
            requests_per_minute: Some(1),
            request: request.clone(),
            answer,
            times,
            failure: Some(failure.clone()),
        };
        let answers = [
            Answer::Preview {
                messages: vec![Preview { request, verdict: Some(verdict), failure: Some(failure.clone()) }],
                count: Some(2),
            },
            Answer::Test(Box::new(tested)),
            Answer::Handshake(Box::new(shaken)),
            Answer::Value { value: "x".to_owned() },
            Answer::NoValue { failure },
            Answer::Unavailable {},
        ];
        for answer in answers {
            let json = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Answer>(&json).unwrap(), answer, "{json}");
        }
    }
}
