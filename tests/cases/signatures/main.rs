//! Signatures as receivers verify them: by the official Standard Webhooks libraries of Python and JavaScript. (That of Rust stands in the
//! tests of `fanhook_core::signature`.) None of them knows `v1a`; there the language's own cryptography verifies.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use fanhook_core::{
    signature::{Algorithm, Signer, Signers},
    time::Millis,
};
use fanhook_lambda::clock::{Clock as _, SystemClock};
use serde::Serialize;
use stack::Project;

const NEW: [u8; 32] = [1; 32];
const OLD: [u8; 24] = [2; 24];
const SEED: [u8; 32] = [3; 32];
/// With what JSON parsers and text encodings like to change.
const BODY: &str = "{\"to\":\"+8613800138000\", \"text\":\"Grüße 🎟 \\u0041\\/\\n\", \"n\":1.0}\n";

/// A message as a receiver gets it, and what it is verified with.
#[derive(Clone, Serialize)]
struct Message {
    id: String,
    timestamp: String,
    signatures: String,
    body: String,
    key: String,
}

fn signer(algorithm: Algorithm, secret: &[u8]) -> Signer {
    Signer::new(algorithm, secret).unwrap()
}

fn secret(bytes: &[u8]) -> String {
    Algorithm::HmacSha256.write_secret(&bytes.to_vec().into())
}

fn public_key() -> String {
    signer(Algorithm::Ed25519, &SEED).public_key().unwrap()
}

fn message(signers: &Signers, at: Millis, key: &str) -> Message {
    let id = "msg_0123456789abcdef0123456789abcdef".to_owned();
    let signatures = signers.sign(&id, at, BODY.as_bytes());
    let (timestamp, body) = (at.seconds().to_string(), BODY.to_owned());
    Message { id, timestamp, signatures, body, key: key.to_owned() }
}

/// The same with another ID, timestamp, body, signature: each differs in one bit.
fn flipped(message: &Message) -> [Message; 4] {
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).unwrap()
    };
    // A letter of the base64 whose neighbour is one of it as well.
    let signature = message.signatures.find(',').unwrap();
    let at =
        signature + message.signatures[signature..].find(|c| matches!(c, 'b'..='y' | 'B'..='Y')).unwrap();
    [
        Message { id: flip(&message.id, 10), ..message.clone() },
        Message { timestamp: flip(&message.timestamp, message.timestamp.len() - 1), ..message.clone() },
        Message { body: flip(&message.body, 3), ..message.clone() },
        Message { signatures: flip(&message.signatures, at), ..message.clone() },
    ]
}

/// Messages, and whether each is to verify.
fn cases() -> Vec<(Message, bool)> {
    let now = SystemClock.now();
    let (new, old) = (signer(Algorithm::HmacSha256, &NEW), signer(Algorithm::HmacSha256, &OLD));
    let key = signer(Algorithm::Ed25519, &SEED);
    let until = |end| Signers { current: new.clone(), previous: Some((old.clone(), end)) };
    let (during, after) = (until(now + Duration::from_mins(1)), until(now));
    let hmac = message(&new.clone().into(), now, &secret(&NEW));
    let ed25519 = message(&key.clone().into(), now, &public_key());
    let changed = Signers { current: key, previous: Some((old.clone(), now + Duration::from_mins(1))) };
    let mut cases = vec![
        (message(&new.clone().into(), now, &secret(&OLD)), false),
        (message(&during, now, &secret(&NEW)), true),
        (message(&during, now, &secret(&OLD)), true),
        (message(&during, now, &public_key()), false),
        (message(&after, now, &secret(&NEW)), true),
        (message(&after, now, &secret(&OLD)), false),
        (message(&changed, now, &public_key()), true),
        (message(&changed, now, &secret(&OLD)), true),
        (message(&changed, now, &secret(&NEW)), false),
    ];
    for genuine in [hmac, ed25519] {
        cases.extend(flipped(&genuine).map(|message| (message, false)));
        cases.push((genuine, true));
    }
    cases
}

/// The verdicts of a program that reads the messages as JSON.
fn verdicts(program: &mut Command, cases: &[(Message, bool)]) -> Vec<bool> {
    let messages: Vec<_> = cases.iter().map(|(message, _)| message).collect();
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&messages).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn expected(cases: &[(Message, bool)]) -> Vec<bool> {
    cases.iter().map(|(_, genuine)| *genuine).collect()
}

#[test]
fn the_python_library_verifies_what_we_sign_and_nothing_else() {
    let (project, cases) = (Project::find().unwrap(), cases());
    let mut python = Command::new(project.program("verifiers", "python").unwrap());
    python.arg(project.root().join("tests/verifiers/verify.py"));
    assert_eq!(verdicts(&mut python, &cases), expected(&cases));
}

#[test]
fn the_javascript_library_verifies_what_we_sign_and_nothing_else() {
    let (project, cases) = (Project::find().unwrap(), cases());
    let mut node = Command::new("node");
    node.arg(project.root().join("tests/verifiers/verify.cjs"));
    node.env("NODE_PATH", project.environment("node").join("node_modules"));
    assert_eq!(verdicts(&mut node, &cases), expected(&cases));
}
