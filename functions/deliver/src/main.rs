//! Wires `deliver`: the environment, the ports, the client; then the loop.

use std::sync::Arc;

use deliver::{Event, Kept, Ports, Response, Settings, answer, deliver};
use fanhook_lambda::{clock::SystemClock, env, random::SystemRandom, run, sqs, telemetry};
use fanhook_outbound::{Client, Guard};
use fanhook_store::aws::{DynamoTable, KmsSecrets, S3Objects, SqsQueue, config};
use serde_json::value::RawValue;

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
    let handle = async |event: Box<RawValue>, deadline| -> anyhow::Result<Response> {
        Ok(match Event::parse(&event)? {
            Event::Chunks(event) => Response::Chunks(
                sqs::group(event, async |chunks| deliver(&ports, chunks, deadline).await).await?,
            ),
            Event::Direct(question) => Response::Direct(answer(&ports, question, deadline).await?),
        })
    };
    run(handle).await.map_err(anyhow::Error::from_boxed)
}
