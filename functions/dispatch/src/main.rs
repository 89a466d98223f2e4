//! `dispatch` on Lambda: started every minute.

use std::{error::Error, sync::Arc};

use dispatch::{Ports, dispatch, plan::Timing};
use fanhook_lambda::{clock::SystemClock, env, random::SystemRandom, run, telemetry};
use fanhook_store::{StoreError, aws};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let config = aws::config().await;
    let (ports, stack, level) = env::read(|env| {
        let ports = Ports {
            ledger: Arc::new(aws::DynamoTable::new(&config, env.text("LEDGER_TABLE"))),
            objects: Arc::new(aws::S3Objects::new(&config, env.text("BUCKET"))),
            fanout: Arc::new(aws::SqsQueue::new(&config, env.text("FANOUT_QUEUE_URL"))),
            deliver: Arc::new(aws::SqsQueue::new(&config, env.text("DELIVER_QUEUE_URL"))),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            timing: Timing {
                stand_still: env.seconds("STAND_STILL_SECONDS"),
                due_ahead: env.seconds("DUE_AHEAD_SECONDS"),
            },
            margin: env.seconds("LEASE_MARGIN_SECONDS"),
        };
        (ports, env.text("STACK_NAME"), env.level("LOG_LEVEL"))
    })?;
    telemetry::start(level);
    let handle = async |_: Value, deadline| {
        let summary = dispatch(&ports, deadline).await?;
        summary.log();
        telemetry::count(&stack, "ParkedChunks", summary.parked, ports.clock.now());
        Ok::<_, StoreError>(summary)
    };
    run(handle).await
}
