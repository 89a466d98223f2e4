//! IDs that are sent encrypted by the organization key.

use std::{collections::BTreeSet, time::Duration};

use fanhook_core::{chunk::State, identity, outcome::Reason, push::SendForm, recipient};
use fanhook_store::{
    Swapped,
    organization_key::{self, OrganizationKey},
    ports::SecretContext,
};
use serde_json::Value;

use crate::{
    endpoint::{Reply, Seen},
    world::{START, Setup, World, qaid},
};

const KEY: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];

async fn world(setup: Setup) -> World {
    let world = World::new(Setup { send_form: SendForm::Aes, ..setup }).await;
    set(&world, KEY).await;
    world
}

/// Sets the organization key.
async fn set(world: &World, key: [u8; 32]) {
    let context = SecretContext::organization_key();
    let ciphertext = world.ports.secrets.encrypt(&context, &key.to_vec().into()).await.unwrap();
    let old = organization_key::get(&*world.ledger).await.unwrap();
    let version = old.as_ref().map_or(0, |old| old.version) + 1;
    let new = OrganizationKey { version, ciphertext, updated: START };
    let replaced = organization_key::replace(&*world.ledger, old.as_ref(), &new).await;
    assert_eq!(replaced.unwrap(), Swapped::Done);
}

fn encrypted(key: [u8; 32], value: &str) -> String {
    identity::OrganizationKey::new(&key).unwrap().encrypt(value)
}

/// The ID in a request.
fn sent(seen: &Seen) -> String {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body["to"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ids_are_sent_encrypted_the_same_at_every_try() {
    let world = world(Setup { chunks: vec![20], ..Setup::default() }).await;
    world
        .endpoint
        .script(|_, earlier| (Duration::from_millis(10), Reply::Status(if earlier < 2 { 503 } else { 200 })));
    world.drive().await;
    world.assert_all(Reason::Delivered).await;
    let sent: BTreeSet<String> = world.endpoint.seen().iter().map(sent).collect();
    let expected: BTreeSet<String> =
        (0..20).map(|number| encrypted(KEY, &format!("+4915{number:09}"))).collect();
    assert_eq!((world.endpoint.seen().len(), sent), (60, expected));
}

#[tokio::test]
async fn an_id_that_fan_out_has_chosen_is_encrypted_as_well() {
    let chosen = |number: usize| {
        let mut line = Vec::new();
        let id = format!("+4915{number:09}");
        recipient::write_chosen(&mut line, &qaid(number), "MOBILE", &id, std::iter::empty());
        line
    };
    let setup = Setup { chunks: vec![2], send_form: SendForm::Aes, ..Setup::default() };
    let world = World::with_lines(setup, chosen).await;
    set(&world, KEY).await;
    world.invoke().await;
    let sent: BTreeSet<String> = world.endpoint.seen().iter().map(sent).collect();
    assert_eq!(sent, [0, 1].map(|number| encrypted(KEY, &format!("+4915{number:09}"))).into());
}

#[tokio::test]
async fn a_user_whose_id_is_stored_as_a_digest_cannot_be_sent_to() {
    let hashed = |number: usize| {
        let mut line = Vec::new();
        let id = format!("md5:{number:032x}");
        recipient::write(&mut line, &qaid(number), [("MOBILE", id.as_str())].into_iter(), std::iter::empty());
        line
    };
    let setup = Setup { chunks: vec![2], send_form: SendForm::Aes, ..Setup::default() };
    let world = World::with_lines(setup, hashed).await;
    set(&world, KEY).await;
    world.invoke().await;
    world.assert_all(Reason::NoId).await;
}

#[tokio::test]
async fn of_an_answer_neither_the_encrypted_nor_the_decrypted_id_is_kept() {
    let world = world(Setup { chunks: vec![1], ..Setup::default() }).await;
    world.endpoint.script(|seen, _| {
        (Duration::ZERO, Reply::Body(400, format!("no member {} (+4915000000000) here", sent(seen))))
    });
    world.invoke().await;
    let answer = world.records().await.remove(0).answer.unwrap();
    assert_eq!(answer, "no member [removed] ([removed]) here");
}

#[tokio::test]
async fn a_key_that_is_replaced_counts_from_the_next_pass_on() {
    let world = world(Setup { chunks: vec![1; 2], ..Setup::default() }).await;
    world.invoke_for(&world.ids[..1]).await;
    set(&world, OTHER).await;
    world.invoke_for(&world.ids[1..]).await;
    let seen = world.endpoint.seen().clone();
    assert_eq!(sent(&seen[0]), encrypted(KEY, "+4915000000000"));
    assert_eq!(sent(&seen[1]), encrypted(OTHER, "+4915000000001"));
}

#[tokio::test]
async fn without_the_key_nothing_is_sent_in_the_clear() {
    let world = World::new(Setup { chunks: vec![1], send_form: SendForm::Aes, ..Setup::default() }).await;
    world.invoke().await;
    assert!(world.endpoint.seen().is_empty());
    assert_eq!(world.chunk(0).await.states.get(0), State::Pending { tries: 0 });
}
