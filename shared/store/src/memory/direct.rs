//! The twin of direct invocations: question and answer pass as JSON, within the service's limit, to whatever answers in the function's place.

use std::time::Duration;

use async_trait::async_trait;
use fanhook_core::direct::{Answer, Question};
use futures_util::future::BoxFuture;

use crate::ports::{Direct, DirectError};

/// Largest payload of a synchronous invocation, either way, in bytes.
const PAYLOAD: usize = 6 * 1024 * 1024;

/// What answers in the function's place; none where the function fails.
type Function = dyn Fn(String) -> BoxFuture<'static, Option<String>> + Send + Sync;

/// A function in memory.
pub struct MemoryDirect(Box<Function>);

impl MemoryDirect {
    /// Questions are answered by `function`: JSON in, JSON out.
    pub fn new(
        function: impl Fn(String) -> BoxFuture<'static, Option<String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(function))
    }
}

#[async_trait]
impl Direct for MemoryDirect {
    async fn ask(&self, question: &Question, _within: Duration) -> Result<Answer, DirectError> {
        let failed = |error: serde_json::Error| DirectError::Failed(error.to_string());
        let payload = serde_json::to_string(question).map_err(failed)?;
        if payload.len() > PAYLOAD {
            return Err(DirectError::Failed("the question has more than 6 MiB".to_owned()));
        }
        let answer = (self.0)(payload).await;
        let answer = answer.ok_or_else(|| DirectError::Failed("an error of the function".to_owned()))?;
        if answer.len() > PAYLOAD {
            return Err(DirectError::Failed("the answer has more than 6 MiB".to_owned()));
        }
        serde_json::from_str(&answer).map_err(failed)
    }
}
