//! Questions by synchronous invocations of Lambda.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_lambda::{
    Client, config::Config, error::SdkError, operation::invoke::InvokeError, primitives::Blob,
};
use fanhook_core::direct::{Answer, Question};

use super::CONNECT;
use crate::ports::{Direct, DirectError};

/// A function of Lambda that answers questions.
#[derive(Clone, Debug)]
pub struct LambdaDirect {
    client: Client,
    function: String,
}

impl LambdaDirect {
    /// The function of that name.
    pub fn new(config: &SdkConfig, function: impl Into<String>) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        // An invocation that is repeated might send twice.
        let config = Config::from(config)
            .to_builder()
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled())
            .build();
        Self { client: Client::from_conf(config), function: function.into() }
    }
}

#[async_trait]
impl Direct for LambdaDirect {
    async fn ask(&self, question: &Question, within: Duration) -> Result<Answer, DirectError> {
        let payload = serde_json::to_vec(question).map_err(|error| DirectError::Failed(error.to_string()))?;
        let invoke = self.client.invoke().function_name(&self.function).payload(Blob::new(payload));
        let answered = tokio::time::timeout(within, invoke.send()).await;
        let answer = answered.map_err(|late| DirectError::Unanswered(late.into()))?.map_err(failed)?;
        if let Some(kind) = answer.function_error() {
            // The payload is the function's own error; its log tells more.
            return Err(DirectError::Failed(format!("a {kind} error of the function")));
        }
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        serde_json::from_slice(&payload).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            DirectError::Failed(format!(
                "{:?} error at line {line} column {column} of its answer",
                error.classify()
            ))
        })
    }
}

fn failed(error: SdkError<InvokeError>) -> DirectError {
    match &error {
        SdkError::ServiceError(service) => match service.err() {
            InvokeError::TooManyRequestsException(_)
            | InvokeError::ResourceConflictException(_)
            | InvokeError::ResourceNotReadyException(_)
            | InvokeError::Ec2ThrottledException(_)
            | InvokeError::EniLimitReachedException(_)
            | InvokeError::EniNotReadyException(_) => DirectError::Busy(error.into()),
            InvokeError::ServiceException(_) => DirectError::Unanswered(error.into()),
            refused => DirectError::Failed(refused.to_string()),
        },
        // Nothing was sent.
        SdkError::ConstructionFailure(_) => DirectError::Busy(error.into()),
        _ => DirectError::Unanswered(error.into()),
    }
}
