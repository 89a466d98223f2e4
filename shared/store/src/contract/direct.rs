//! The contract of questions to `deliver`.

use std::time::Duration;

use fanhook_core::{
    direct::{Answer, Message, Question},
    time::Millis,
};
use serde_json::{Value, json};

use crate::ports::{Direct, DirectError};

/// A cold start lies within.
const WITHIN: Duration = Duration::from_secs(25);
/// Some day.
const END: Millis = Millis(4_102_444_800_000);

/// A question is answered by the function; one that it fails on is told as failed.
pub async fn direct(direct: &dyn Direct) {
    let answer = direct.ask(&question("{\"to\":\"{id}\"}"), WITHIN).await.expect("an answer");
    let Answer::Preview { messages, count: None } = answer else { panic!("another answer") };
    let request = messages[0].request.as_ref().expect("a request");
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://crm.example.com/coupons"));
    assert_eq!(request.body, "{\"to\":\"ann@example.com\"}");
    let failed = direct.ask(&question("{\"to\":\"{nothing}\"}"), WITHIN).await;
    assert!(matches!(failed, Err(DirectError::Failed(_))), "{failed:?}");
}

/// A preview of a message whose body has this template.
pub(crate) fn question(template: &str) -> Question {
    Question::Preview(Box::new(message(template)))
}

fn message(template: &str) -> Message {
    let id = |prefix: &str| format!("{prefix}_{}", "0".repeat(32));
    let email: Value = json!({"code": "EMAIL", "display_name": "E-mail", "priority": 1, "enabled": true, "in_mapping": true, "normaliser": "email"});
    let message = json!({
        "pinned": {
            "run": id("run"), "origin": id("run"), "workspace": "acme", "push": id("psh"), "push_name": "Contract",
            "webhook": id("whk"), "webhook_version": 1,
            "content": {"url": "https://crm.example.com/coupons", "body": {"kind": "json", "template": template}},
            "push_content": {"id_types": ["EMAIL"]},
            "id_types": [email], "sources": [], "uploads": [],
        },
        "settings": {
            "requests_per_second": null, "retry": {"give_up_after_seconds": 0}, "signing": {"kind": "none"}, "updated": Millis(0),
        },
        "recipient": "{\"qaid\":\"ann\",\"ids\":{\"EMAIL\":[\"Ann@Example.com\"]}}\n",
        "profile": false, "end": END,
    });
    serde_json::from_value(message).expect("a message")
}
