//! Who may do what: one table of every operation and role.

use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use fanhook_core::time::Millis;
use fanhook_lambda::clock::ManualClock;
use fanhook_store::{
    memory::{Fault, MemoryQueue, MemoryTable, Operation},
    ports,
};
use serde_json::{Value, json};

use crate::operations::{
    May::{Admins, Granted, Members, OrganizationAdmins},
    Objects, ROUTES, described, nothing,
};
use crate::parameter_sources::{calling, constant};
use crate::world::{ADMIN, Answer, MARKETER, MEMBER, OTHER, START, Token, World, at_once, push, webhook};

#[test]
fn the_table_names_every_operation_there_is() {
    let named = ROUTES.map(|(method, path, ..)| (method.to_owned(), path.to_owned())).into();
    assert_eq!(described(), named);
}

/// Does an operation in a workspace of its own.
async fn ask(method: &'static str, path: &str, token: Option<Token>) -> Answer {
    Objects::new().await.ask(method, path, token).await
}

#[tokio::test]
async fn every_operation_asks_who_calls_and_what_the_caller_may_do() {
    let team = Token { groups: "[member webhook team]", ..MARKETER };
    let admins = ["[workspace-admin]", "organization-admin", "[member organization-admin]"];
    for (method, path, may, status) in ROUTES {
        let what = format!("{method} {path}");
        let ask = async |token| ask(method, path, token).await;
        let done = |answer: Answer, groups: &str| {
            assert_eq!(answer.status, status, "{what} {groups}: {}", answer.body);
        };
        assert_eq!(ask(None).await.code(401), "unauthorized", "{what}");
        let nobody = Token { groups: "[visitor team]", ..MEMBER };
        assert_eq!(ask(Some(nobody)).await.code(403), "forbidden", "{what}");
        let nameless = Token { person: "", ..ADMIN };
        assert_eq!(ask(Some(nameless)).await.code(401), "unauthorized", "{what}");

        // A role that is granted the webhook is no permission to use webhooks.
        for groups in ["[member]", "[member team]"] {
            let answer = ask(Some(Token { groups, ..MEMBER })).await;
            match may {
                Members => done(answer, groups),
                _ => assert_eq!(answer.code(403), "forbidden", "{what} {groups}"),
            }
        }
        let answer = ask(Some(MARKETER)).await;
        match may {
            Members => done(answer, MARKETER.groups),
            Granted => assert_eq!(answer.code(403), "not_granted", "{what}"),
            Admins | OrganizationAdmins => assert_eq!(answer.code(403), "forbidden", "{what}"),
        }
        let answer = ask(Some(team)).await;
        match may {
            Members | Granted => done(answer, team.groups),
            Admins | OrganizationAdmins => assert_eq!(answer.code(403), "forbidden", "{what}"),
        }
        for groups in admins {
            let answer = ask(Some(Token { groups, ..ADMIN })).await;
            if may == OrganizationAdmins && !groups.contains("organization") {
                assert_eq!(answer.code(403), "forbidden", "{what} {groups}");
            } else {
                done(answer, groups);
            }
        }
    }
}

#[tokio::test]
async fn a_grant_ends_when_it_says_so_and_when_it_is_taken_back() {
    let objects = Objects::new().await;
    let (world, team) = (&objects.world, Token { groups: "[member webhook team]", ..MARKETER });
    let pause = async |token| objects.ask("post", "/runs/{id}/pause", Some(token)).await;
    let resume = async || objects.ask("post", "/runs/{id}/resume", Some(ADMIN)).await;
    pause(team).await.ok(200);

    let path = format!("/webhooks/{}/grants", objects.webhook);
    let give = |grant: Value| world.call("POST", path.clone()).json(&grant).send();
    let person = give(json!({"to": {"person": "marketer"}})).await.ok(201);
    assert_eq!(pause(MARKETER).await.code(409), "wrong_state");
    let namesake = Token { person: "team", ..MARKETER };
    assert_eq!(pause(namesake).await.code(403), "not_granted");

    // The role's ends by the clock, the person's by an administrator.
    world.clock.set(Millis(1_811_900_000_000));
    assert_eq!(pause(Token { person: "mate", ..team }).await.code(403), "not_granted");
    let listed = world.get(path.clone()).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(listed["items"].as_array().unwrap().iter().any(|grant| grant["ended"] == true));
    let take = || world.call("DELETE", format!("{path}/{}", person["id"].as_str().unwrap())).send();
    take().await.ok(204);
    assert_eq!(take().await.code(404), "not_found");
    assert_eq!(pause(MARKETER).await.code(403), "not_granted");
    for none in ["grt_0", &"x".repeat(1025)] {
        let answer = world.call("DELETE", format!("{path}/{none}")).send().await;
        assert_eq!(answer.code(404), "not_found", "{none}");
    }
    resume().await.ok(200);

    let wrong = give(json!({"to": {"role": ""}, "until": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(wrong.code(400), "invalid");
    assert_eq!(wrong.fields(), ["to.role", "until"]);
    for name in ["Agency organization-admin", "a,b", "\"a\"", "[a]"] {
        assert_eq!(give(json!({"to": {"role": name}})).await.fields(), ["to.role"], "{name}");
    }
    // Given again to the same, it is the same grant.
    give(json!({"to": {"person": "marketer"}})).await.ok(201);
    let again = give(json!({"to": {"person": "marketer"}, "until": "2028-01-01T00:00:00Z"})).await.ok(200);
    assert_eq!(again["id"], person["id"]);
}

/// A world in which two changes of grants, after the first `before`, wait for each other once they have read what there is.
fn meeting(before: usize) -> World {
    let (begun, both) = (AtomicUsize::new(0), Barrier::new(2));
    let config = MemoryTable::new().with_faults(move |operation| {
        let of_grant = |write: &ports::Write| match write {
            ports::Write::Put(item) => {
                matches!(&item["pk"], ports::Value::S(pk) if pk.starts_with("grants#"))
            }
            ports::Write::Delete(key) => key.pk.starts_with("grants#"),
            _ => false,
        };
        if let Operation::Transact(writes) = operation
            && writes.iter().any(|(write, _)| of_grant(write))
            && (before..before + 2).contains(&begun.fetch_add(1, Ordering::Relaxed))
        {
            both.wait();
        }
        Fault::None
    });
    World::over(config, MemoryTable::new(), MemoryQueue::new(), ManualClock::new(START))
}

/// The changes of a webhook's grants.
async fn changes(world: &World, webhook: &str) -> Vec<Value> {
    world.get(format!("/audit?kind=grant&object={webhook}")).await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn of_two_who_give_the_same_grant_at_once_one_replaces_what_the_other_gave() {
    let world = meeting(0);
    let webhook = world.webhook().await;
    let give = |until: &str| {
        let grant = json!({"to": {"role": "team"}, "until": until});
        world.call("POST", format!("/webhooks/{webhook}/grants")).json(&grant)
    };
    let answers = at_once(vec![give("2027-06-01T00:00:00Z"), give("2027-07-01T00:00:00Z")]);
    let [made, replaced] = [201, 200].map(|status| {
        let answer = answers.iter().find(|answer| answer.status == status);
        answer.unwrap_or_else(|| panic!("{} {}", answers[0].status, answers[1].status)).body["until"].clone()
    });
    let changes = changes(&world, &webhook).await;
    let told = changes.iter().find(|change| change["action"] == "replaced").unwrap();
    assert_eq!((&told["before"]["until"], &told["after"]["until"]), (&made, &replaced));
    assert!(changes.iter().any(|change| change["action"] == "made" && change["after"]["until"] == made));
}

#[tokio::test]
async fn a_grant_that_is_taken_back_while_it_is_given_again_is_told_as_it_was() {
    let world = meeting(1);
    let webhook = world.webhook().await;
    let path = format!("/webhooks/{webhook}/grants");
    let give =
        |until: &str| world.call("POST", path.clone()).json(&json!({"to": {"role": "team"}, "until": until}));
    let first = give("2027-06-01T00:00:00Z").send().await.ok(201);
    let take = world.call("DELETE", format!("{path}/{}", first["id"].as_str().unwrap()));
    let answers = at_once(vec![give("2027-07-01T00:00:00Z"), take]);
    let (given, taken) = (&answers[0], &answers[1]);
    assert_eq!(taken.status, 204);
    // Whichever was first.
    let was = if given.status == 200 { &given.body["until"] } else { &first["until"] };
    let changes = changes(&world, &webhook).await;
    let told = changes.iter().find(|change| change["action"] == "deleted").unwrap();
    assert_eq!(told["before"]["until"], *was, "{}", given.status);
    let left = world.get(path.clone()).await["items"].as_array().unwrap().len();
    assert_eq!((given.status.as_u16(), left), if given.status == 200 { (200, 0) } else { (201, 1) });
}

#[tokio::test]
async fn a_push_cannot_be_moved_to_a_webhook_that_is_not_granted() {
    let objects = Objects::new().await;
    let world = &objects.world;
    let other = world.call("POST", "/webhooks").json(&webhook("Other")).send().await.id();
    let team = Token { groups: "[member webhook team]", ..MARKETER };
    let put =
        |to: &str| world.call("PUT", format!("/pushes/{}", objects.push)).by(team).json(&push(to)).send();
    assert_eq!(put(&other).await.code(403), "not_granted");
    put(&objects.webhook).await.ok(200);
    assert_eq!(put(&nothing("whk")).await.code(404), "not_found");
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
    let objects = Objects::new().await;
    let stored = || (objects.world.config.items(), objects.world.ledger.items());
    let before = stored();
    // A code is none of another workspace's: each has its own.
    for (method, path, ..) in
        ROUTES.into_iter().filter(|(_, path, ..)| path.replace("{code}", "").contains('{'))
    {
        let ask = async |id: &str| {
            let address = path.replace("{id}", id).replace("{grant}", &objects.grant);
            objects.ask_at(method, path, address, Some(OTHER)).await
        };
        let id = objects.id(method, path);
        let theirs = ask(id).await;
        assert_eq!(theirs.code(404), "not_found", "{method} {path}");
        for none in [&*nothing(&id[..3]), "no-id"] {
            let none = ask(none).await;
            assert_eq!((&theirs.bytes, &theirs.headers), (&none.bytes, &none.headers), "{method} {path}");
        }
    }
    assert!(stored() == before, "something of it was touched");
}

#[tokio::test]
async fn a_list_that_names_what_is_another_workspaces_is_that_of_what_is_not_there() {
    let objects = Objects::new().await;
    let Objects { world, webhook: theirs, push: step, run, source, .. } = &objects;
    let ask = async |list: &str| world.call("GET", list).by(OTHER).send().await;
    for (kind, id) in
        [("webhook", theirs), ("grant", theirs), ("push", step), ("run", run), ("parameter_source", source)]
    {
        let list = |id: &str| format!("/audit?kind={kind}&object={id}");
        let told = world.get(list(id)).await;
        assert_ne!(told["items"], json!([]), "{kind}");
        let (there, nowhere) = (ask(&list(id)).await, ask(&list(&nothing(&id[..3]))).await);
        assert_eq!((&there.bytes, &there.headers), (&nowhere.bytes, &nowhere.headers), "{kind}");
        assert_eq!(there.ok(200), json!({"items": []}), "{kind}");
    }
    for (there, nowhere) in [
        ("/audit?person=admin".to_owned(), "/audit?person=nobody".to_owned()),
        (format!("/runs?push={step}"), format!("/runs?push={}", nothing("psh"))),
    ] {
        assert_ne!(world.get(there.clone()).await["items"], json!([]), "{there}");
        let (there, nowhere) = (ask(&there).await, ask(&nowhere).await);
        assert_eq!((there.status, &there.bytes), (nowhere.status, &nowhere.bytes));
    }
}

#[tokio::test]
async fn a_cursor_of_another_workspace_is_a_place_in_ones_own_lists_and_tells_nothing() {
    let objects = Objects::new().await;
    let Objects { world, webhook: theirs, push: step, upload, run, source, .. } = &objects;
    // Two of each, so that there is a page behind the first.
    world.later().call("PUT", format!("/webhooks/{theirs}")).json(&webhook("Coupons")).send().await.ok(200);
    let second = world.later().call("POST", "/webhooks").json(&webhook("Second")).send().await.id();
    world.push(&second).await;
    world.start(step, "second", &[upload]).send().await.ok(202);
    world.source(&constant("Second", "B11")).await;
    let own = world.later().call("POST", "/webhooks").by(OTHER).json(&webhook("Own")).send().await.id();
    world.later().call("POST", "/pushes").by(OTHER).json(&push(&own)).send().await.ok(201);

    let of_webhook = format!("/audit?kind=webhook&object={theirs}");
    let lists = [
        ("/webhooks", "/webhooks"),
        ("/pushes", "/pushes"),
        ("/parameter-sources", "/parameter-sources"),
        ("/runs", "/runs"),
        ("/audit?person=admin", "/audit?person=admin"),
        ("/audit?person=admin", "/audit?person=other"),
        (&of_webhook, &of_webhook),
    ];
    let with = |list: &str, more: &str| format!("{list}{}{more}", if list.contains('?') { '&' } else { '?' });
    for (list, asked) in lists {
        let page = world.get(with(list, "limit=1")).await;
        let cursor = page["cursor"].as_str().unwrap_or_else(|| panic!("{list} has one page"));
        let place = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
        // The same place, but for what nobody has been given.
        let last = if place.ends_with('0') { "1" } else { "0" };
        let unknown = BASE64_URL_SAFE_NO_PAD.encode(format!("{}{last}", &place[..place.len() - 1]));
        let ask = async |cursor: &str| {
            world.call("GET", with(asked, &format!("cursor={cursor}"))).by(OTHER).send().await
        };
        let (there, nowhere) = (ask(cursor).await, ask(&unknown).await);
        assert_eq!((&there.bytes, &there.headers), (&nowhere.bytes, &nowhere.headers), "{asked}");
        let told = there.ok(200).to_string();
        for id in [theirs, step, run, source, &second] {
            assert!(!told.contains(id.as_str()), "{asked} tells of {id}: {told}");
        }
    }
}

#[tokio::test]
async fn what_a_request_names_must_be_of_its_workspace_too() {
    let world = World::new();
    let (theirs, upload) = (world.webhook().await, world.audience().await);
    let unknown = nothing("whk");
    let push_to = async |id: &str| world.call("POST", "/pushes").by(OTHER).json(&push(id)).send().await;
    let (there, nowhere) = (push_to(&theirs).await, push_to(&unknown).await);
    assert_eq!(there.code(404), "not_found");
    assert_eq!(there.bytes, nowhere.bytes);

    let hook = world.call("POST", "/webhooks").by(OTHER).json(&webhook("Coupons")).send().await.id();
    let source = world.source(&constant("Coupon", "B10")).await;
    for (method, path) in [("POST", "/webhooks".to_owned()), ("PUT", format!("/webhooks/{hook}"))] {
        let from = async |source: &str| {
            world.call(method, path.clone()).by(OTHER).json(&calling("Calling", source)).send().await
        };
        let (there, nowhere) = (from(&source).await, from(&nothing("prs")).await);
        assert_eq!((there.code(400), there.fields()), ("invalid", vec!["content.parameters[0].source"]));
        assert_eq!(there.bytes, nowhere.bytes);
    }

    let own = push_to(&hook).await.id();
    let start = async |id: &str| world.start(&own, "k", &[id]).by(OTHER).send().await;
    let (there, nowhere) = (start(&upload).await, start(&nothing("upl")).await);
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
