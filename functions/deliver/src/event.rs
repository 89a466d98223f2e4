//! What `deliver` is invoked with: a batch of its queue, or a question.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use fanhook_core::direct::{Answer, Question};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// An event.
pub enum Event {
    /// Chunks, from the queue.
    Chunks(SqsEvent),
    /// A question, by a direct invocation.
    Direct(Question),
}

/// What an event is answered with.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The chunks that go back to the queue.
    Chunks(SqsBatchResponse),
    /// To the question.
    Direct(Answer),
}

/// The event is neither a batch of the queue nor a question; nothing was done. Nothing of it is told: it may hold personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event is neither a batch of the queue nor a question: {category:?} error at line {line} column {column}"
)]
pub struct NotOurs {
    category: serde_json::error::Category,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for NotOurs {
    fn from(error: serde_json::Error) -> Self {
        Self { category: error.classify(), line: error.line(), column: error.column() }
    }
}

/// The fields that tell the two apart.
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    direct: Option<IgnoredAny>,
}

impl Event {
    /// Reads an event. One that has the marks of both kinds is of neither.
    pub fn parse(event: &RawValue) -> Result<Self, NotOurs> {
        let marks: Marks = serde_json::from_str(event.get())?;
        match (marks.records, marks.direct) {
            (Some(_), None) => Ok(Self::Chunks(serde_json::from_str(event.get())?)),
            (None, Some(_)) => Ok(Self::Direct(serde_json::from_str(event.get())?)),
            (None, None) | (Some(_), Some(_)) => {
                Err(NotOurs { category: serde_json::error::Category::Data, line: 1, column: 1 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(event: &str) -> &'static str {
        match Event::parse(&RawValue::from_string(event.to_owned()).unwrap()) {
            Ok(Event::Chunks(_)) => "chunks",
            Ok(Event::Direct(_)) => "direct",
            Err(_) => "neither",
        }
    }

    #[test]
    fn a_batch_and_a_question_are_never_taken_for_each_other() {
        assert_eq!(kind(r#"{"Records":[]}"#), "chunks");
        for neither in [
            "{}",
            "[]",
            "null",
            r#"{"direct":"preview"}"#,
            r#"{"direct":"send_all"}"#,
            r#"{"Records":[],"direct":"preview"}"#,
            r#"{"Records":{"direct":"preview"}}"#,
        ] {
            assert_eq!(kind(neither), "neither", "{neither}");
        }
    }
}
