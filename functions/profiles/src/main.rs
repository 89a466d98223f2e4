//! `profiles` on Lambda: started by its queue.

use std::{error::Error, sync::Arc};

use aws_lambda_events::sqs::SqsEvent;
use fanhook_lambda::{clock::SystemClock, env, run, telemetry};
use fanhook_store::aws;
use profiles::{Ports, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let config = aws::config().await;
    let (ports, level) = env::read(|env| {
        // The platform tells each invocation's end; this checks the queue's visibility against the time-out.
        env.timeout();
        let ports = Ports {
            config: Arc::new(aws::DynamoTable::new(&config, env.text("CONFIG_TABLE"))),
            profiles: Arc::new(aws::DynamoTable::new(&config, env.text("PROFILES_TABLE"))),
            ledger: Arc::new(aws::DynamoTable::new(&config, env.text("LEDGER_TABLE"))),
            objects: Arc::new(aws::S3Objects::new(&config, env.text("BUCKET"))),
            queue: Arc::new(aws::SqsQueue::new(&config, env.text("PROFILES_QUEUE_URL"))),
            clock: Arc::new(SystemClock),
        };
        (ports, env.level("LOG_LEVEL"))
    })?;
    telemetry::start(level);
    run(async |event: SqsEvent, deadline| handle(&ports, event, deadline).await).await
}
