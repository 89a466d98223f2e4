use crate::world::{ADMIN, MEMBER, OTHER, Token, World, push, webhook};
use serde_json::{Value, json};

/// Every route, with what a member may do: (method, path, member may).
const ROUTES: [(&str, &str, bool); 28] = [
    ("GET", "/id-types", true),
    ("GET", "/id-types/MOBILE", true),
    ("PUT", "/id-types/MOBILE", false),
    ("DELETE", "/id-types/MOBILE", false),
    ("GET", "/sources", true),
    ("PUT", "/sources", false),
    ("GET", "/webhooks", true),
    ("POST", "/webhooks", false),
    ("GET", "/webhooks/whk_00000000000000000000000000000000", true),
    ("PUT", "/webhooks/whk_00000000000000000000000000000000", false),
    ("DELETE", "/webhooks/whk_00000000000000000000000000000000", false),
    ("POST", "/webhooks/whk_00000000000000000000000000000000/preview", true),
    ("POST", "/webhooks/whk_00000000000000000000000000000000/test", false),
    ("POST", "/pushes/psh_00000000000000000000000000000000/preview", true),
    ("POST", "/pushes/psh_00000000000000000000000000000000/test", true),
    ("GET", "/pushes", true),
    ("POST", "/pushes", true),
    ("GET", "/pushes/psh_00000000000000000000000000000000", true),
    ("PUT", "/pushes/psh_00000000000000000000000000000000", true),
    ("DELETE", "/pushes/psh_00000000000000000000000000000000", true),
    ("POST", "/pushes/psh_00000000000000000000000000000000/runs", true),
    ("POST", "/uploads", true),
    ("GET", "/uploads/upl_00000000000000000000000000000000", true),
    ("GET", "/runs", true),
    ("GET", "/runs/run_00000000000000000000000000000000", true),
    ("POST", "/runs/run_00000000000000000000000000000000/pause", true),
    ("POST", "/runs/run_00000000000000000000000000000000/resume", true),
    ("POST", "/runs/run_00000000000000000000000000000000/cancel", true),
];

#[tokio::test]
async fn every_route_asks_who_calls_and_what_the_caller_may_do() {
    let world = World::new();
    let failures = ("GET", "/runs/run_00000000000000000000000000000000/failures", true);
    for (method, path, member_may) in ROUTES.into_iter().chain([failures]) {
        let ask = |token| world.call(method, path).by(token).text("{}").send();
        let stranger = world.call(method, path).without_token().text("{}").send().await;
        assert_eq!(stranger.code(401), "unauthorized", "{method} {path}");
        let nobody = ask(Token { groups: "[visitor]", ..MEMBER }).await;
        assert_eq!(nobody.code(403), "forbidden", "{method} {path}");
        let member = ask(MEMBER).await.status;
        assert_eq!(member != 403, member_may, "{method} {path} {member}");
        for groups in ["[workspace-admin]", "organization-admin", "[member organization-admin]"] {
            let admin = ask(Token { groups, ..ADMIN }).await.status;
            assert!(!matches!(admin.as_u16(), 401 | 403 | 405 | 500..), "{method} {path} {admin}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_none_tells_a_caller_without_a_token_nothing() {
    let world = World::new();
    assert_eq!(world.call("GET", "/nowhere").without_token().send().await.code(401), "unauthorized");
    assert_eq!(world.call("PATCH", "/webhooks").without_token().send().await.code(401), "unauthorized");
    assert_eq!(world.call("GET", "/nowhere").send().await.code(404), "not_found");
    assert_eq!(world.call("PATCH", "/webhooks").send().await.code(405), "method_not_allowed");
}

#[tokio::test]
async fn a_caller_of_several_workspaces_names_one() {
    let world = World::new();
    let both = Token { workspaces: "acme, rival", ..ADMIN };
    world.webhook().await;
    let ask = || world.call("GET", "/webhooks").by(both);
    let unnamed = ask().send().await;
    assert_eq!(unnamed.code(400), "workspace_missing");
    assert!(unnamed.body["detail"].as_str().unwrap().contains("acme, rival"));
    let items = async |workspace| ask().header("fanhook-workspace", workspace).send().await;
    assert_eq!(items("acme").await.ok(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(items("rival").await.ok(200)["items"].as_array().unwrap().len(), 0);
    assert_eq!(items("third").await.code(404), "not_found");
    assert_eq!(items("").await.code(404), "not_found");
    let one = world.call("GET", "/webhooks").header("fanhook-workspace", "rival").send().await;
    assert_eq!(one.code(404), "not_found");
    let none = world.call("GET", "/webhooks").by(Token { workspaces: "", ..ADMIN }).send().await;
    assert_eq!(none.code(403), "forbidden");
}

#[tokio::test]
async fn what_is_another_workspaces_is_answered_as_what_is_not_there() {
    let world = World::new();
    let webhook_id = world.webhook().await;
    let push_id = world.push(&webhook_id).await;
    let upload = world.audience().await;
    let run = world.start(&push_id, "k", &[&upload]).send().await.id();

    let unknown = |prefix: &str| format!("{prefix}_{}", "0".repeat(32));
    let (a, b) = (webhook("x"), push(&unknown("whk")));
    let start = json!({"uploads": [unknown("upl")]});
    let test = json!({"id": {"type": "MOBILE", "value": "+4915112345678"}});
    let calls: Vec<(&str, String, String, Option<&Value>)> = vec![
        ("GET", format!("/webhooks/{webhook_id}"), format!("/webhooks/{}", unknown("whk")), None),
        ("PUT", format!("/webhooks/{webhook_id}"), format!("/webhooks/{}", unknown("whk")), Some(&a)),
        ("DELETE", format!("/webhooks/{webhook_id}"), format!("/webhooks/{}", unknown("whk")), None),
        (
            "POST",
            format!("/webhooks/{webhook_id}/preview"),
            format!("/webhooks/{}/preview", unknown("whk")),
            None,
        ),
        (
            "POST",
            format!("/webhooks/{webhook_id}/test"),
            format!("/webhooks/{}/test", unknown("whk")),
            Some(&test),
        ),
        ("POST", format!("/pushes/{push_id}/preview"), format!("/pushes/{}/preview", unknown("psh")), None),
        ("POST", format!("/pushes/{push_id}/test"), format!("/pushes/{}/test", unknown("psh")), Some(&test)),
        ("GET", format!("/pushes/{push_id}"), format!("/pushes/{}", unknown("psh")), None),
        ("PUT", format!("/pushes/{push_id}"), format!("/pushes/{}", unknown("psh")), Some(&b)),
        ("DELETE", format!("/pushes/{push_id}"), format!("/pushes/{}", unknown("psh")), None),
        ("POST", format!("/pushes/{push_id}/runs"), format!("/pushes/{}/runs", unknown("psh")), Some(&start)),
        ("GET", format!("/uploads/{upload}"), format!("/uploads/{}", unknown("upl")), None),
        ("GET", format!("/runs/{run}"), format!("/runs/{}", unknown("run")), None),
        ("POST", format!("/runs/{run}/pause"), format!("/runs/{}/pause", unknown("run")), None),
        ("POST", format!("/runs/{run}/resume"), format!("/runs/{}/resume", unknown("run")), None),
        ("POST", format!("/runs/{run}/cancel"), format!("/runs/{}/cancel", unknown("run")), None),
        ("GET", format!("/runs/{run}/failures"), format!("/runs/{}/failures", unknown("run")), None),
        ("GET", format!("/webhooks/{webhook_id}"), "/webhooks/no-id".to_owned(), None),
    ];
    for (method, theirs, none, body) in calls {
        let ask = async |path: String| {
            let call = world.call(method, path).by(OTHER).header("idempotency-key", "k");
            match body {
                Some(body) => call.json(body).send().await,
                None => call.send().await,
            }
        };
        let (theirs, none) = (ask(theirs.clone()).await, ask(none).await);
        assert_eq!(theirs.code(404), "not_found", "{method}");
        assert_eq!((theirs.bytes, theirs.headers), (none.bytes, none.headers), "{method}");
    }
    // Nothing of it was touched.
    assert_eq!(world.get(format!("/runs/{run}")).await["state"], "starting");
    assert_eq!(world.get(format!("/pushes/{push_id}")).await["version"], 1);
}

#[tokio::test]
async fn what_a_request_names_must_be_of_its_workspace_too() {
    let world = World::new();
    let (theirs, upload) = (world.webhook().await, world.audience().await);
    let unknown = format!("whk_{}", "0".repeat(32));
    let push_to = async |id: &str| world.call("POST", "/pushes").by(OTHER).json(&push(id)).send().await;
    let (there, nowhere) = (push_to(&theirs).await, push_to(&unknown).await);
    assert_eq!(there.code(404), "not_found");
    assert_eq!(there.bytes, nowhere.bytes);

    let own = world.call("POST", "/webhooks").by(OTHER).json(&webhook("Coupons")).send().await.id();
    let own = push_to(&own).await.id();
    let start = async |id: &str| world.start(&own, "k", &[id]).by(OTHER).send().await;
    let (there, nowhere) = (start(&upload).await, start(&format!("upl_{}", "0".repeat(32))).await);
    assert_eq!(there.code(404), "not_found");
    assert_eq!(there.bytes, nowhere.bytes);
}

#[tokio::test]
async fn an_idempotency_key_of_another_workspace_means_nothing() {
    let world = World::new();
    world.run().await;
    let own = world.call("POST", "/webhooks").by(OTHER).json(&webhook("Coupons")).send().await.id();
    let own = world.call("POST", "/pushes").by(OTHER).json(&push(&own)).send().await.id();
    let upload =
        world.call("POST", "/uploads").by(OTHER).json(&json!({"kind": "audience"})).send().await.id();
    let key = format!("audiences/rival/{upload}");
    fanhook_store::ports::Objects::put(&*world.objects, &key, bytes::Bytes::new()).await.unwrap();
    world.start(&own, "k", &[&upload]).by(OTHER).send().await.ok(202);
}
