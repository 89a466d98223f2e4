use crate::world::{DAY, START, World, at_once};
use fanhook_core::{
    id::RunId,
    run::{Closing, EndpointSettings, Proof, RunState},
    time::Millis,
};
use fanhook_lambda::clock::ManualClock;
use fanhook_store::{
    due::{self, Due, Subject},
    endpoints,
    memory::{Fault, MemoryQueue, MemoryTable, Operation},
    ports::{Objects, Table},
    runs,
};
use serde_json::{Value, json};
use std::time::Duration;

async fn due(world: &World, at: Millis) -> Vec<Due> {
    let mut found = Vec::new();
    for shard in 0..4 {
        found.extend(due::bucket(&*world.ledger, at.minute(), shard, None).await.unwrap().0);
    }
    found
}

#[tokio::test]
async fn a_run_pins_what_it_needs_and_wakes_a_worker_for_each_part() {
    let world = World::new();
    world.call("PUT", "/sources").json(&json!({"items": ["crm"]})).send().await.ok(200);
    let disabled = json!({"display_name": "MAC", "priority": 11, "enabled": false});
    world.call("PUT", "/id-types/MAC").json(&disabled).send().await.ok(200);
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let uploads = [world.audience().await, world.audience().await];
    let answer = world.start(&push, "k", &[&uploads[0], &uploads[1]]).send().await.ok(202);
    assert_eq!(
        (&answer["state"], &answer["push"], &answer["webhook"]),
        (&json!("starting"), &json!(push), &json!(webhook))
    );
    assert_eq!(answer["parts"].as_array().unwrap().len(), 2);

    let run: RunId = answer["id"].as_str().unwrap().parse().unwrap();
    let stored = world.stored_run(&run.to_string()).await;
    assert_eq!(
        (stored.state, stored.created, stored.expires),
        (RunState::Starting, START, (START + 90 * DAY).seconds())
    );
    let pinned = runs::pinned(&*world.ledger, run).await.unwrap().unwrap();
    assert_eq!((pinned.origin, pinned.push_name.as_str(), pinned.webhook_version), (run, "Birthday", 1));
    assert_eq!(pinned.content.url, "https://crm.example.com/coupons/{id}");
    assert_eq!(pinned.sources.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["crm"]);
    assert_eq!((pinned.id_types.len(), pinned.uploads.len()), (10, 2));

    let bodies: Vec<Value> =
        world.fanout.waiting().iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    assert_eq!(bodies, [json!({"run": run, "part": 0}), json!({"run": run, "part": 1})]);
    assert!(world.fanout.waiting().iter().all(|message| message.group == "acme"));
    let mut entries = due(&world, START).await;
    entries.extend(due(&world, START + Duration::from_mins(2)).await);
    let subjects: Vec<Subject> = entries.iter().map(|due| due.subject).collect();
    for subject in [Subject::Run(run), Subject::Part(run, 0), Subject::Part(run, 1)] {
        assert!(subjects.contains(&subject));
    }
}

#[tokio::test]
async fn a_run_keeps_the_webhook_and_the_push_that_it_started_with() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let upload = world.audience().await;
    let pinned = async |run: &str| {
        let run: RunId = run.parse().unwrap();
        runs::pinned(&*world.ledger, run).await.unwrap().unwrap()
    };
    let run = world.start(&push, "k", &[&upload]).send().await.id();
    let first = pinned(&run).await;

    let mut changed = crate::world::webhook("Vouchers");
    changed["content"]["url"] = json!("https://crm.example.com/v2/{id}");
    changed["limits"] = json!({"requests_per_second": 7});
    world.call("PUT", format!("/webhooks/{webhook}")).json(&changed).send().await.ok(200);
    let mut other = crate::world::push(&webhook);
    other["content"]["values"]["coupon"] = json!("B20");
    world.call("PUT", format!("/pushes/{push}")).json(&other).send().await.ok(200);
    assert_eq!(pinned(&run).await, first);
    for action in ["pause", "resume"] {
        world.call("POST", format!("/runs/{run}/{action}")).send().await.ok(200);
        assert_eq!(pinned(&run).await, first, "{action}");
    }
    assert_eq!(
        (first.webhook_version, first.content.url.as_str(), first.push_content.values["coupon"].as_str()),
        (1, "https://crm.example.com/coupons/{id}", "B10")
    );
    // A repeat is the run that there is, with what it has.
    assert_eq!(world.start(&push, "k", &[&upload]).send().await.ok(200)["id"], run);
    assert_eq!(pinned(&run).await, first);

    let next = pinned(&world.start(&push, "next", &[&upload]).send().await.id()).await;
    assert_eq!(
        (next.webhook_version, next.content.url.as_str(), next.push_content.values["coupon"].as_str()),
        (2, "https://crm.example.com/v2/{id}", "B20")
    );
    // Limits are those of now, for both.
    let endpoint = endpoints::get(&*world.ledger, webhook.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(endpoint.settings.requests_per_second, Some(7));
}

#[tokio::test]
async fn a_hundred_equal_starts_at_once_are_one_run() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let upload = world.audience().await;
    let answers = at_once((0..100).map(|_| world.start(&push, "same", &[&upload])).collect());
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 99);
    let ids: std::collections::HashSet<_> =
        answers.iter().map(|answer| answer.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.fanout.waiting().len(), 1);
    assert_eq!(world.get("/runs").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_comes_with_another_request_is_refused() {
    let world = World::new();
    let webhook = world.webhook().await;
    let (push, other) = (world.push(&webhook).await, world.push(&webhook).await);
    let (upload, more) = (world.audience().await, world.audience().await);
    world.start(&push, "k", &[&upload]).send().await.ok(202);
    let body = json!({"uploads": [upload], "expires_at": "2027-02-01T00:00:00Z"});
    let calls = [
        world.start(&push, "k", &[&more]),
        world.start(&push, "k", &[&upload, &more]),
        world.start(&other, "k", &[&upload]),
        world.start(&push, "k", &[]).json(&body),
    ];
    for call in calls {
        assert_eq!(call.send().await.code(409), "idempotency_key_reused");
    }
    world.start(&push, "k2", &[&more]).send().await.ok(202);
}

#[tokio::test]
async fn a_repeat_gets_its_run_whatever_became_of_push_and_file() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let upload = world.audience().await;
    let run = world.start(&push, "k", &[&upload]).send().await.id();
    world.objects.remove(&format!("audiences/acme/{upload}"));
    assert_eq!(world.call("DELETE", format!("/pushes/{push}")).send().await.status, 204);
    assert_eq!(world.start(&push, "k", &[&upload]).send().await.ok(200)["id"], run);
    assert_eq!(world.start(&push, "new", &[&upload]).send().await.code(404), "not_found");
}

#[tokio::test]
async fn a_start_needs_a_key_of_1_to_255_bytes() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let upload = world.audience().await;
    for key in ["", &"x".repeat(256)] {
        assert_eq!(world.start(&push, key, &[&upload]).send().await.code(400), "idempotency_key_missing");
    }
    let call = world.call("POST", format!("/pushes/{push}/runs")).json(&json!({"uploads": [upload]}));
    assert_eq!(call.send().await.code(400), "idempotency_key_missing");
    world.start(&push, &"x".repeat(255), &[&upload]).send().await.ok(202);
}

#[tokio::test]
async fn an_audience_is_files_that_are_there_each_once() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let upload = world.audience().await;
    let missing = world.call("POST", "/uploads").json(&json!({"kind": "audience"})).send().await.id();
    let profiles = world.call("POST", "/uploads").json(&json!({"kind": "profiles"})).send().await.id();
    world.objects.put(&format!("profiles/acme/{profiles}"), bytes::Bytes::new()).await.unwrap();
    let start = |uploads: &[&str]| world.start(&push, "k", uploads).send();

    let refused = start(&[&upload, &missing]).await;
    assert_eq!((refused.code(409), refused.fields()), ("not_uploaded", vec!["uploads[1]"]));
    assert!(refused.body["errors"][0]["hint"].as_str().is_some_and(|hint| hint.contains("POST /uploads")));
    let refused = start(&[&profiles]).await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["uploads[0]"]));
    let refused = start(&[&upload, &upload]).await;
    assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["uploads[1]"]));
    assert_eq!(start(&[]).await.fields(), ["uploads"]);
    let many: Vec<String> = (0..41).map(|n| format!("upl_{n:032}")).collect();
    assert_eq!(start(&many.iter().map(String::as_str).collect::<Vec<_>>()).await.fields(), ["uploads"]);
    assert_eq!(start(&["upl_1"]).await.fields(), ["uploads[0]"]);
    assert!(world.fanout.waiting().is_empty());
}

#[tokio::test]
async fn a_run_that_begins_behind_its_expiry_begins_closing() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let upload = world.audience().await;
    let start = |key: &str, at: &str| {
        world.start(&push, key, &[]).json(&json!({"uploads": [upload], "expires_at": at})).send()
    };
    let run = start("past", "2020-01-01T00:00:00Z").await.id();
    let stored = world.stored_run(&run).await;
    assert_eq!((stored.state, stored.closing), (RunState::Closing, Some(Closing::Expired)));
    assert!(due(&world, START).await.iter().any(|due| due.subject == Subject::Run(run.parse().unwrap())));
    let run = start("ahead", "2027-02-01T00:00:00+08:00").await.ok(202);
    assert_eq!((&run["state"], &run["expires_at"]), (&json!("starting"), &json!("2027-01-31T16:00:00.000Z")));
    let open = world.start(&push, "open", &[&upload]).send().await.ok(202);
    assert_eq!(open["expires_at"], json!((START + Duration::from_hours(29 * 24)).to_string()));
    assert_eq!(start("far", "9999-12-31T23:59:59Z").await.fields(), ["expires_at"]);
    assert_eq!(start("odd", "tomorrow").await.fields(), ["expires_at"]);
}

#[tokio::test]
async fn a_queue_that_fails_costs_time_only() {
    let queue = MemoryQueue::new().with_faults(|_| Fault::Before);
    let world = World::over(MemoryTable::new(), MemoryTable::new(), queue, ManualClock::new(START));
    let run = world.run().await;
    assert_eq!(world.get(format!("/runs/{run}")).await["state"], "starting");
    assert_eq!(due(&world, START).await.len() + due(&world, START + Duration::from_mins(2)).await.len(), 2);
}

#[tokio::test]
async fn a_start_brings_an_endpoint_that_was_left_behind_up_to_date() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let id = webhook.parse().unwrap();
    endpoints::delete(&*world.ledger, id).await.unwrap();
    world.start(&push, "k", &[&world.audience().await]).send().await.ok(202);
    let endpoint = endpoints::get(&*world.ledger, id).await.unwrap().unwrap();
    assert_eq!(endpoint.settings.requests_per_second, Some(50));
    // What it said of itself stays.
    let stale = EndpointSettings { requests_per_second: None, ..endpoint.settings };
    endpoints::put(&*world.ledger, id, &stale).await.unwrap();
    endpoints::hold(&*world.ledger, id, START + DAY).await.unwrap();
    world.start(&push, "k2", &[&world.audience().await]).send().await.ok(202);
    let endpoint = endpoints::get(&*world.ledger, id).await.unwrap().unwrap();
    assert_eq!((endpoint.settings.requests_per_second, endpoint.not_before), (Some(50), Some(START + DAY)));
    endpoints::put(&*world.ledger, id, &stale).await.unwrap();
    world.shut(&webhook).await;
    let refused = world.start(&push, "k3", &[&world.audience().await]).send().await;
    assert_eq!(refused.code(409), "endpoint_parked");
    assert!(world.is_shut(&webhook).await);
}

#[tokio::test]
async fn a_store_that_fails_is_503_and_tells_nothing_of_itself() {
    let broken = MemoryTable::new().with_faults(|operation| match operation {
        Operation::Query(_) => Fault::Before,
        _ => Fault::None,
    });
    let world = World::over(broken, MemoryTable::new(), MemoryQueue::new(), ManualClock::new(START));
    let answer = world.call("GET", "/webhooks").send().await;
    assert_eq!(answer.code(503), "unavailable");
    assert_eq!(answer.body["detail"], "the request could not be done at the moment; try again");
    let stored = world.webhook().await;
    let key = fanhook_store::keys::webhook(&"acme".parse().unwrap(), stored.parse().unwrap());
    let mut item = world.config.get(&key).await.unwrap().unwrap();
    item.insert("json".to_owned(), fanhook_store::ports::Value::S("{\"a canary\":".to_owned()));
    world.config.write(fanhook_store::ports::Write::Put(item), None).await.unwrap();
    let answer = world.call("GET", format!("/webhooks/{stored}")).send().await;
    assert_eq!(answer.code(500), "internal");
    assert!(!answer.body.to_string().contains("canary"));
}

#[tokio::test]
async fn a_run_on_a_parked_endpoint_is_refused_until_its_webhook_is_saved_again() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let upload = world.audience().await;
    world.shut(&webhook).await;
    assert_eq!(world.start(&push, "k", &[&upload]).send().await.code(409), "endpoint_parked");
    let saved = crate::world::webhook("Coupons");
    world.call("PUT", format!("/webhooks/{webhook}")).json(&saved).send().await.ok(200);
    assert!(!world.is_shut(&webhook).await);
    world.start(&push, "k", &[&upload]).send().await.ok(202);
}

#[tokio::test]
async fn a_run_of_an_untested_webhook_says_so_unless_the_caller_knows() {
    let world = World::new();
    let webhook = world.webhook().await;
    let push = world.push(&webhook).await;
    let upload = world.audience().await;
    let start = async |key: &str, more: Value| {
        let mut body = json!({"uploads": [upload]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.start(&push, key, &[]).json(&body).send().await.ok(202)
    };
    let run = start("a", json!({})).await;
    assert_eq!(run["unproved"], json!(["test", "consent"]));
    let stored = world.stored_run(run["id"].as_str().unwrap()).await;
    assert_eq!(stored.unproved, [Proof::Test, Proof::Consent]);
    let known = start("b", json!({"confirm_untested": true})).await;
    assert_eq!(known["unproved"], json!(["consent"]));
    world.pass_test(&webhook).await;
    assert_eq!(start("c", json!({})).await["unproved"], json!(["consent"]));
    let statement = json!({"text": "it is ours"});
    world.call("POST", format!("/webhooks/{webhook}/consent")).json(&statement).send().await.ok(201);
    assert_eq!(start("d", json!({})).await["unproved"], Value::Null);
}

#[tokio::test]
async fn all_faults_of_an_audience_are_told_at_once_whatever_they_are_of() {
    let world = World::new();
    let push = world.push(&world.webhook().await).await;
    let make =
        async |kind: &str| world.call("POST", "/uploads").json(&json!({"kind": kind})).send().await.id();
    let (profiles, missing) = (make("profiles").await, make("audience").await);
    let nothing = format!("upl_{}", "0".repeat(32));
    let start = |uploads: Value, until: &str| {
        let input = json!({"uploads": uploads, "expires_at": until});
        world.call("POST", format!("/pushes/{push}/runs")).header("idempotency-key", "k").json(&input).send()
    };
    let (late, soon) = ("2099-01-01T00:00:00Z", "2027-01-16T00:00:00Z");
    let refused = start(json!([missing, profiles, nothing]), late).await;
    let fields = vec!["expires_at", "uploads[0]", "uploads[1]", "uploads[2]"];
    assert_eq!((refused.code(404), refused.fields()), ("not_found", fields));
    assert_eq!(start(json!([missing, profiles]), soon).await.code(400), "invalid");
    assert_eq!(start(json!([missing]), soon).await.code(409), "not_uploaded");

    let wrong = json!({"name": "", "webhook": format!("whk_{}", "0".repeat(32)), "content": {"id_types": ["FAX"], "values": {}}});
    let refused = world.call("POST", "/pushes").json(&wrong).send().await;
    assert_eq!(
        (refused.code(404), refused.fields()),
        ("not_found", vec!["webhook", "name", "content.id_types[0]"])
    );
}
