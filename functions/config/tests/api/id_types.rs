use crate::world::{MEMBER, START, World, at_once, push};
use fanhook_core::webhook::Webhook;
use fanhook_store::{
    Swapped,
    audit::{Entry, Subject},
    id_types,
    webhooks::{self, Made},
};
use serde_json::{Value, json};

fn codes(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_workspace_has_the_presets_until_it_changes_them() {
    let world = World::new();
    let presets = [
        "ONEID",
        "MOBILE",
        "EMAIL",
        "UNION_ID",
        "OPEN_ID",
        "TAOBAO_ID",
        "ALIPAY_ID",
        "IDFA",
        "OAID",
        "IMEI",
        "MAC",
    ];
    assert_eq!(codes(&world.get("/id-types").await), presets);
    assert_eq!(world.call("DELETE", "/id-types/MAC").send().await.status, 204);
    assert_eq!(codes(&world.get("/id-types").await), presets[..10]);
    assert_eq!(world.call("GET", "/id-types/MAC").send().await.code(404), "not_found");
    assert_eq!(world.call("DELETE", "/id-types/MAC").send().await.code(404), "not_found");
}

#[tokio::test]
async fn an_id_type_is_made_and_replaced_under_its_code() {
    let world = World::new();
    let put = async |body: Value| world.call("PUT", "/id-types/LOYALTY").json(&body).send().await;
    let made = put(json!({"display_name": "Loyalty card", "priority": 0})).await.ok(201);
    assert_eq!((&made["enabled"], &made["in_mapping"]), (&json!(true), &json!(false)));
    assert_eq!(codes(&world.get("/id-types").await)[0], "LOYALTY");
    let replaced = put(json!({"code": "LOYALTY", "display_name": "Card", "priority": 99, "enabled": false}))
        .await
        .ok(200);
    assert_eq!(world.get("/id-types/LOYALTY").await, replaced);
    assert_eq!(put(json!({"code": "CARD", "display_name": "Card", "priority": 99})).await.fields(), ["code"]);
}

#[tokio::test]
async fn rules_of_the_whole_list_are_told_of_the_type_that_breaks_them() {
    let world = World::new();
    let put = |body: Value| world.call("PUT", "/id-types/MAC").json(&body).send();
    let taken = put(json!({"display_name": "", "priority": 1})).await;
    assert_eq!(taken.code(400), "invalid");
    assert_eq!(taken.fields(), ["priority", "display_name"]);
    let mapped = put(json!({"display_name": "MAC", "priority": 11, "in_mapping": true})).await;
    assert_eq!(mapped.fields(), [""]);
    assert!(mapped.body["errors"][0]["detail"].as_str().unwrap().contains("in_mapping"));
    let wrong =
        world.call("PUT", "/id-types/mac").json(&json!({"display_name": "MAC", "priority": 50})).send().await;
    assert_eq!(wrong.code(404), "not_found");
}

#[tokio::test]
async fn a_region_says_where_national_numbers_belong_to() {
    let world = World::new();
    let put = |body: Value| world.call("PUT", "/id-types/MOBILE").json(&body).send();
    let mobile = json!({"display_name": "Mobile", "priority": 2, "normaliser": "phone", "region": "CN"});
    assert_eq!(put(mobile).await.ok(200)["region"], "CN");
    assert_eq!(world.get("/id-types/MOBILE").await["region"], "CN");
    let wrong = |normaliser: &str, region: &str| json!({"display_name": "M", "priority": 2, "normaliser": normaliser, "region": region});
    for region in ["cn", "China", "86", ""] {
        let refused = put(wrong("phone", region)).await;
        assert_eq!((refused.code(400), refused.fields()), ("invalid", vec!["region"]), "{region}");
    }
    assert_eq!(put(wrong("trim", "CN")).await.fields(), ["region"]);
}

#[tokio::test]
async fn of_concurrent_changes_none_is_lost() {
    let world = World::new();
    let puts = (0..30).map(|n| {
        let body = json!({"display_name": format!("Type {n}"), "priority": 100 + n});
        world.call("PUT", format!("/id-types/T{n}")).json(&body)
    });
    let answers = at_once(puts.collect());
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 201 | 409)));
    assert_eq!(codes(&world.get("/id-types").await).len(), 11 + made);
}

#[tokio::test]
async fn an_id_type_that_a_webhook_names_is_not_deleted() {
    let world = World::new();
    let webhook = world.webhook().await;
    let refused = world.call("DELETE", "/id-types/MOBILE").send().await;
    assert_eq!(refused.code(409), "in_use");
    assert_eq!(refused.body["used_by"], json!([{"webhook": webhook, "name": "Coupons"}]));
    world.call("DELETE", format!("/webhooks/{webhook}")).send().await;
    assert_eq!(world.call("DELETE", "/id-types/MOBILE").send().await.status, 204);
}

#[tokio::test]
async fn neither_a_list_nor_a_webhook_is_saved_that_was_checked_with_what_has_changed_since() {
    let world = World::new();
    let (config, workspace) = (&*world.config, "acme".parse().unwrap());
    let entry = |id: &str| {
        let subject = Subject { kind: "id_type".to_owned(), id: "MAC".to_owned() };
        let (person, action) = ("admin".to_owned(), "deleted".to_owned());
        Entry {
            id: id.repeat(32).parse().unwrap(),
            at: START,
            person,
            action,
            subject,
            before: None,
            after: None,
        }
    };
    let presets = id_types::get(config, &workspace).await.unwrap();
    let webhook = world.webhook().await;
    let without = presets.types[3..].to_vec();
    let late = id_types::replace(config, &workspace, &presets, without.clone(), &entry("a")).await;
    assert_eq!(late.unwrap(), Swapped::Changed);

    let read = id_types::get(config, &workspace).await.unwrap();
    assert_eq!(read.types, presets.types);
    let made = webhooks::get(config, &workspace, webhook.parse().unwrap()).await.unwrap().unwrap();
    world.call("DELETE", format!("/webhooks/{webhook}")).send().await.ok(204);
    let done = id_types::replace(config, &workspace, &read, without, &entry("b")).await;
    assert_eq!(done.unwrap(), Swapped::Done);
    let again = Webhook { id: format!("whk_{}", "1".repeat(32)).parse().unwrap(), ..made };
    assert_eq!(webhooks::create(config, &again, &read, &entry("c")).await.unwrap(), Made::TypesChanged);
}

#[tokio::test]
async fn an_id_type_and_the_webhook_that_names_it_never_miss_each_other() {
    for _ in 0..20 {
        let world = World::new();
        let webhook = crate::world::webhook("Coupons");
        let card = json!({"display_name": "Card", "priority": 40});
        let answers = at_once(vec![
            world.call("DELETE", "/id-types/MOBILE"),
            world.call("POST", "/webhooks").json(&webhook),
            world.call("PUT", "/id-types/CARD").json(&card),
        ]);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert!(matches!(statuses[..], [204, 400, 201] | [409, 201, 201]), "{statuses:?}");
    }
}

#[tokio::test]
async fn only_enabled_types_can_be_chosen() {
    let world = World::new();
    let webhook = world.webhook().await;
    let disabled = json!({"display_name": "Mobile", "priority": 2, "enabled": false});
    world.call("PUT", "/id-types/MOBILE").json(&disabled).send().await.ok(200);
    let mut other = crate::world::webhook("Other");
    other["id_types"] = json!(["MOBILE", "EMIAL", "EMAIL"]);
    let refused = world.call("POST", "/webhooks").json(&other).send().await;
    assert_eq!(refused.fields(), ["id_types[0]", "id_types[1]"]);
    assert_eq!(refused.body["errors"][1]["hint"], "did you mean `EMAIL`?");
    let refused = world.call("POST", "/pushes").json(&push(&webhook)).send().await;
    assert_eq!(refused.fields(), ["content.id_types[0]"]);
}

#[tokio::test]
async fn data_sources_are_ordered_by_an_administrator() {
    let world = World::new();
    assert_eq!(world.get("/sources").await, json!({"items": []}));
    let put = |body: Value| world.call("PUT", "/sources").json(&body).send();
    put(json!({"items": ["crm", "web-shop"]})).await.ok(200);
    assert_eq!(world.get("/sources").await, json!({"items": ["crm", "web-shop"]}));
    assert_eq!(put(json!({"items": ["crm", "shop", "crm"]})).await.fields(), ["items[2]"]);
    assert_eq!(put(json!({"items": ["CRM"]})).await.fields(), ["items[0]"]);
    let many: Vec<String> = (0..51).map(|n| format!("s{n}")).collect();
    assert_eq!(put(json!({"items": many})).await.fields(), ["items"]);
    let member = world.call("PUT", "/sources").by(MEMBER).json(&json!({"items": []})).send().await;
    assert_eq!(member.code(403), "forbidden");
}
