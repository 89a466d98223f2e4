//! Profiles by the API.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use crate::world::World;

pub(crate) async fn a_profile_that_the_api_wrote_is_used_looked_up_and_erased(world: &World) -> Result<()> {
    let campaign = world.campaign("/status/200/profiles", json!({})).await?;
    let api = world.api()?;
    let items = json!([
        {"qaid": "api/1", "source": "crm", "ids": {"MOBILE": ["+4915100000001"]}, "tags": {"city": "Ulm"}},
        {"qaid": "api/2", "source": "crm", "ids": {"MOBLE": ["+4915100000002"]}},
    ]);
    let results = api.post("/profiles", &json!({"items": items})).await?;
    ensure!(results["items"][0]["result"] == "stored", "{results}");
    ensure!(results["items"][1]["result"] == "refused", "{results}");

    let profile = api.get("/profiles?qaid=api%2F1").await?;
    ensure!(profile["sources"]["crm"]["tags"]["city"] == "Ulm", "{profile}");
    let upload = api.upload("audience", b"qaid\napi/1\napi/2\n".to_vec()).await?;
    let run = api.start(&campaign.push, &upload).await?;
    let run = api.run_over(&run, crate::world::SHORT).await?;
    ensure!(run.outcome("delivered") == 1 && run.outcome("no_id") == 1, "{run:?}");

    let path = "/profiles?qaid=api%2F1";
    let erased = api.call(Method::DELETE, path, &[], None).await?;
    ensure!(erased.status == 204, "{erased:?}");
    let gone = api.call(Method::GET, path, &[], None).await?;
    ensure!(gone.status == 404, "{gone:?}");
    Ok(())
}
