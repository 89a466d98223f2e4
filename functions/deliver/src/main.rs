//! Wires `deliver`: the environment, the ports, the client; then the loop.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use deliver::{Kept, Ports, Settings, deliver};
use fanhook_lambda::{clock::SystemClock, env, random::SystemRandom, run, sqs, telemetry};
use fanhook_outbound::{Client, Guard};
use fanhook_store::aws::{DynamoTable, KmsSecrets, S3Objects, SqsQueue, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings = env::read(Settings::read)?;
    telemetry::start(settings.level);
    let aws = config().await;
    let ports = Ports {
        ledger: Arc::new(DynamoTable::new(&aws, settings.ledger)),
        profiles: Arc::new(DynamoTable::new(&aws, settings.profiles)),
        objects: Arc::new(S3Objects::new(&aws, settings.bucket)),
        queue: Arc::new(SqsQueue::new(&aws, settings.queue)),
        secrets: Arc::new(KmsSecrets::new(&aws, settings.key)),
        http: Arc::new(Client::new(Guard::new(settings.allowed, settings.allow_http))?),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        times: settings.times.check()?,
        kept: Kept::default(),
    };
    let handle = async |event: SqsEvent, deadline| {
        sqs::group(event, async |chunks| deliver(&ports, chunks, deadline).await).await
    };
    run(handle).await.map_err(anyhow::Error::from_boxed)
}
