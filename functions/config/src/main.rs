//! Wires `config`: the environment, the ports; then the loop.

use std::sync::Arc;

use config::{Environment, Ports, router};
use fanhook_lambda::{clock::SystemClock, env, random::SystemRandom, telemetry};
use fanhook_store::aws::{self, DynamoTable, KmsSecrets, LambdaDirect, S3Objects, SqsQueue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let environment = env::read(Environment::read)?;
    telemetry::start(environment.level);
    let aws = aws::config().await;
    let ports = Ports {
        config: Arc::new(DynamoTable::new(&aws, environment.config)),
        profiles: Arc::new(DynamoTable::new(&aws, environment.profiles)),
        ledger: Arc::new(DynamoTable::new(&aws, environment.ledger)),
        objects: Arc::new(S3Objects::new(&aws, environment.bucket)),
        fanout: Arc::new(SqsQueue::new(&aws, environment.fanout_queue)),
        secrets: Arc::new(KmsSecrets::new(&aws, environment.key)),
        deliver: Arc::new(LambdaDirect::new(&aws, environment.deliver)),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        settings: environment.settings,
    };
    lambda_http::run(router(ports)).await.map_err(anyhow::Error::from_boxed)
}
