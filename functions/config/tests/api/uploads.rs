use crate::world::World;
use bytes::Bytes;
use fanhook_store::{
    ports::Objects,
    uploads::{self, Counts, UploadState},
};
use serde_json::json;

#[tokio::test]
async fn an_upload_is_an_address_and_then_a_state() {
    let world = World::new();
    let made = world.call("POST", "/uploads").json(&json!({"kind": "audience"})).send().await.ok(201);
    let id = made["id"].as_str().unwrap();
    let (url, curl) = (made["upload"]["url"].as_str().unwrap(), made["upload"]["curl"].as_str().unwrap());
    assert!(url.contains(&format!("/audiences/acme/{id}?")), "{url}");
    assert!(curl.contains(url) && curl.starts_with("curl "), "{curl}");
    assert_eq!((&made["upload"]["method"], &made["state"]), (&json!("PUT"), &json!("waiting")));
    assert_eq!(made["upload"]["expires_at"], "2027-01-15T09:00:00.000Z");

    let read = || world.get(format!("/uploads/{id}"));
    assert_eq!(read().await["state"], "waiting");
    assert_eq!(read().await["upload"], json!(null), "the address is told once");
    world.objects.put(&format!("audiences/acme/{id}"), Bytes::new()).await.unwrap();
    assert_eq!(read().await["state"], "uploaded");
}

#[tokio::test]
async fn an_import_tells_its_counts_and_where_its_bad_rows_are() {
    let world = World::new();
    let id = world.call("POST", "/uploads").json(&json!({"kind": "profiles"})).send().await.id();
    let mut upload = uploads::get(&*world.ledger, id.parse().unwrap()).await.unwrap().unwrap();
    upload.state = UploadState::Imported;
    upload.counts = Counts { lines: 12, stored: 10, bad_rows: 1, headers: 1, ..Counts::default() };
    assert!(uploads::save(&*world.ledger, &upload).await.unwrap());
    world.objects.put(&format!("reports/acme/{id}/import/000000.ndjson"), Bytes::new()).await.unwrap();
    let read = world.get(format!("/uploads/{id}")).await;
    assert_eq!(
        (&read["state"], &read["counts"]["stored"], &read["counts"]["bad_rows"]),
        (&json!("imported"), &json!(10), &json!(1))
    );
    let reports = read["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports[0]["url"].as_str().unwrap().contains("/import/000000.ndjson?"));
}
