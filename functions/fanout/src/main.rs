//! `fanout` on Lambda: started by its queue.

use std::{error::Error, sync::Arc};

use aws_lambda_events::sqs::SqsEvent;
use fanhook_lambda::{clock::SystemClock, env, random::SystemRandom, run, telemetry};
use fanhook_store::aws;
use fanout::{Ports, Times, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let config = aws::config().await;
    let (ports, level) = env::read(|env| {
        // The lease is reckoned by the platform's deadline; this checks the queue's visibility against the time-out.
        env.timeout();
        let ports = Ports {
            ledger: Arc::new(aws::DynamoTable::new(&config, env.text("LEDGER_TABLE"))),
            profiles: Arc::new(aws::DynamoTable::new(&config, env.text("PROFILES_TABLE"))),
            objects: Arc::new(aws::S3Objects::new(&config, env.text("BUCKET"))),
            fanout: Arc::new(aws::SqsQueue::new(&config, env.text("FANOUT_QUEUE_URL"))),
            deliver: Arc::new(aws::SqsQueue::new(&config, env.text("DELIVER_QUEUE_URL"))),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            times: Times {
                due_ahead: env.seconds("DUE_AHEAD_SECONDS"),
                lease_margin: env.seconds("LEASE_MARGIN_SECONDS"),
            },
        };
        (ports, env.level("LOG_LEVEL"))
    })?;
    telemetry::start(level);
    run(async |event: SqsEvent, deadline| handle(&ports, event, deadline).await).await
}
