//! What requests are signed with, while secrets change.

use std::time::Duration;

use fanhook_core::{
    outcome::Reason,
    run::EndpointSettings,
    signature::{Algorithm, Signer, Signers},
    time::Millis,
    webhook::SigningSecret,
};
use fanhook_store::{
    endpoints,
    memory::{Fault, Operation},
    ports::SecretContext,
};

use crate::{
    endpoint::Seen,
    world::{SECRET, START, Setup, World},
};

const SEED: [u8; 32] = [7; 32];

/// Replaces the endpoint's secret by an Ed25519 key; the old one signs for `overlap` more.
async fn rotate(world: &World, overlap: Duration) {
    let context = SecretContext::signing(&world.workspace, world.webhook);
    let ciphertext = world.ports.secrets.encrypt(&context, &SEED.to_vec().into()).await.unwrap();
    let key = SigningSecret { algorithm: Algorithm::Ed25519, ciphertext, public_key: None };
    let settings = endpoints::get(&*world.ledger, world.webhook).await.unwrap().unwrap().settings;
    let signing = settings.signing.rotated(key, overlap, START);
    endpoints::put(&*world.ledger, world.webhook, &EndpointSettings { signing, ..settings }).await.unwrap();
}

/// The signature that a secret gives a request.
fn signature(algorithm: Algorithm, secret: &[u8], seen: &Seen) -> String {
    let at: u64 = seen.header("webhook-timestamp").unwrap().parse().unwrap();
    let signers = Signers::from(Signer::new(algorithm, secret).unwrap());
    signers.sign(&seen.webhook_id, Millis(at * 1_000), seen.body.as_bytes())
}

#[tokio::test]
async fn a_secret_that_was_replaced_signs_beside_the_new_one_until_its_time_and_ends_without_a_write() {
    // A request a second: one invocation sees both sides of the end.
    let world = World::new(Setup { chunks: vec![20], rate: Some(1), ..Setup::default() }).await;
    let overlap = Duration::from_secs(10);
    rotate(&world, overlap).await;
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
    let (mut both, mut new_alone) = (0, 0);
    for seen in world.endpoint.seen().iter() {
        let new = signature(Algorithm::Ed25519, &SEED, seen);
        let signatures = seen.header("webhook-signature").unwrap();
        if seen.at < START + overlap {
            both += 1;
            assert_eq!(signatures, format!("{new} {}", signature(Algorithm::HmacSha256, SECRET, seen)));
        } else {
            new_alone += 1;
            assert_eq!(signatures, new);
        }
    }
    assert!(both >= 9 && new_alone >= 9, "{both} {new_alone}");
}

#[tokio::test]
async fn a_secret_that_is_over_is_not_decrypted_any_more() {
    let world = World::new(Setup { chunks: vec![1], ..Setup::default() }).await;
    rotate(&world, Duration::from_secs(10)).await;
    world.clock.advance(Duration::from_secs(10));
    let mut decrypted = 0;
    world.fail(move |operation| {
        decrypted += usize::from(matches!(operation, Operation::Decrypt(_)));
        if decrypted > 1 { Fault::Before } else { Fault::None }
    });
    world.invoke().await;
    world.assert_all(Reason::Delivered).await;
}
