//! No change without its entry: every operation that may change something is done once, and the audit log is looked at.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::operations::{CHIEF, Objects, QAID, ROUTES, described};
use crate::world::{Answer, Token};

/// What an operation leaves in the audit log.
enum Leaves {
    /// An entry of this action, of an object of this kind.
    Entry(&'static str, &'static str, Of),
    /// None, for this reason.
    Nothing(&'static str),
}
use Leaves::{Entry, Nothing};

/// How the log names an object.
enum Of {
    /// As the path does.
    Path,
    /// By what the answer calls it.
    Made,
    /// By its webhook.
    Webhook,
    /// By the digest of its QAID.
    Digest,
    /// By this word.
    Word(&'static str),
}
use Of::{Digest as Hashed, Made, Path, Webhook, Word};

/// Every operation that is not just a reading one.
const CHANGES: [(&str, &str, Leaves); 30] = [
    ("put", "/id-types/{code}", Entry("replaced", "id_type", Path)),
    ("delete", "/id-types/{code}", Entry("deleted", "id_type", Path)),
    ("put", "/sources", Entry("replaced", "sources", Word("sources"))),
    ("put", "/organization-key", Entry("replaced", "organization_key", Word("organization"))),
    ("post", "/profiles", Entry("replaced", "profiles", Word("profiles"))),
    ("delete", "/profiles", Entry("deleted", "profile", Hashed)),
    ("post", "/webhooks", Entry("made", "webhook", Made)),
    ("put", "/webhooks/{id}", Entry("replaced", "webhook", Path)),
    ("delete", "/webhooks/{id}", Entry("deleted", "webhook", Path)),
    ("post", "/webhooks/{id}/rotate-secret", Entry("replaced", "webhook", Path)),
    ("post", "/webhooks/{id}/preview", Nothing("it shows what would be sent")),
    ("post", "/webhooks/{id}/test", Entry("tested", "webhook", Path)),
    ("post", "/webhooks/{id}/handshake", Entry("consented", "webhook", Path)),
    ("post", "/webhooks/{id}/consent", Entry("consented", "webhook", Path)),
    ("delete", "/webhooks/{id}/consent", Entry("withdrawn", "webhook", Path)),
    ("post", "/webhooks/{id}/grants", Entry("made", "grant", Webhook)),
    ("delete", "/webhooks/{id}/grants/{grant}", Entry("deleted", "grant", Webhook)),
    ("post", "/parameter-sources", Entry("made", "parameter_source", Made)),
    ("put", "/parameter-sources/{id}", Entry("replaced", "parameter_source", Path)),
    ("delete", "/parameter-sources/{id}", Entry("deleted", "parameter_source", Path)),
    ("post", "/pushes", Entry("made", "push", Made)),
    ("put", "/pushes/{id}", Entry("replaced", "push", Path)),
    ("delete", "/pushes/{id}", Entry("deleted", "push", Path)),
    ("post", "/pushes/{id}/preview", Nothing("it shows what would be sent")),
    ("post", "/pushes/{id}/test", Entry("tested", "webhook", Webhook)),
    ("post", "/pushes/{id}/runs", Entry("started", "run", Made)),
    ("post", "/uploads", Entry("made", "upload", Made)),
    ("post", "/runs/{id}/pause", Entry("paused", "run", Path)),
    ("post", "/runs/{id}/resume", Entry("resumed", "run", Path)),
    ("post", "/runs/{id}/cancel", Entry("cancelled", "run", Path)),
];

/// Somebody who has done nothing yet.
const AUDITED: Token = Token { person: "auditor", ..CHIEF };

impl Of {
    fn name(&self, objects: &Objects, method: &str, path: &str, answer: &Answer) -> String {
        match self {
            Path => objects.id(method, path).to_owned(),
            Made => answer.body["id"].as_str().unwrap().to_owned(),
            Webhook => objects.webhook.clone(),
            Hashed => hex::encode(Sha256::digest(QAID)),
            Word(word) => (*word).to_owned(),
        }
    }
}

#[test]
fn the_table_names_every_operation_that_may_change_something() {
    let changing: BTreeSet<_> = described().into_iter().filter(|(method, _)| method != "get").collect();
    let named = CHANGES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(changing, named.collect());
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_an_entry() {
    for (method, path, leaves) in CHANGES {
        let objects = Objects::new().await;
        let (.., status) = *ROUTES.iter().find(|route| (route.0, route.1) == (method, path)).unwrap();
        let mut what = format!("{method} {path}");
        let answer = objects.ask(method, path, Some(AUDITED)).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        let told = objects.world.get("/audit?person=auditor").await["items"].clone();
        let told: Vec<Value> = serde_json::from_value(told).unwrap();
        for entry in &told {
            let of = |name: &str| entry[name].as_str().unwrap();
            let path = format!("/audit?kind={}&object={}", of("kind"), of("object"));
            let of_object = objects.world.get(path).await["items"].clone();
            assert!(of_object.as_array().unwrap().contains(entry), "{what}");
        }
        let wanted: Vec<Value> = match leaves {
            Nothing(why) => {
                what = format!("{what}: {why}");
                Vec::new()
            }
            Entry(action, kind, of) => {
                let object = of.name(&objects, method, path, &answer);
                vec![json!([AUDITED.person, action, kind, object])]
            }
        };
        let named = ["person", "action", "kind", "object"];
        let told: Vec<Value> = told.iter().map(|entry| json!(named.map(|name| &entry[name]))).collect();
        assert_eq!(told, wanted, "{what}");
    }
}
