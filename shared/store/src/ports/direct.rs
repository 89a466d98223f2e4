//! Questions to `deliver`, and its answers.

use std::time::Duration;

use async_trait::async_trait;
use fanhook_core::direct::{Answer, Question};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// `deliver` was not invoked: too many invocations at once, or it is being updated. Trying again may help.
    #[error("deliver takes no question at the moment")]
    Busy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer came in time: what was asked for may have been done.
    #[error("deliver gave no answer")]
    Unanswered(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `deliver` failed on the question, or is not there. Trying again won't help.
    #[error("deliver failed: {0}")]
    Failed(String),
}

/// Asks `deliver`.
#[async_trait]
pub trait Direct: Send + Sync {
    /// Asks a question once, and waits for its answer, no longer than `within`: a question may send something, so it is never asked again
    /// by itself.
    async fn ask(&self, question: &Question, within: Duration) -> Result<Answer, DirectError>;
}
