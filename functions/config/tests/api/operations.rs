//! Every operation there is: who may do it, and how it is done, on a workspace with one object of each kind.

use std::collections::BTreeSet;

use fanhook_core::run::RunState;
use serde_json::json;

use crate::consent::shaken;
use crate::control::force;
use crate::parameter_sources::constant;
use crate::trial::tested;
use crate::world::{ADMIN, Answer, Token, World, push, webhook};

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Everybody who may do anything in the workspace.
    Members,
    /// Those with the permission `webhook` to whom the webhook is granted, and administrators.
    Granted,
    /// Administrators.
    Admins,
    /// Administrators of the organization.
    OrganizationAdmins,
}
use May::{Admins, Granted, Members, OrganizationAdmins};

/// Every operation: who may do it, and the status that answers whoever may. In a path the objects of the workspace stand for themselves.
pub(crate) const ROUTES: [(&str, &str, May, u16); 48] = [
    ("get", "/id-types", Members, 200),
    ("get", "/id-types/{code}", Members, 200),
    ("put", "/id-types/{code}", Admins, 200),
    ("delete", "/id-types/{code}", Admins, 204),
    ("get", "/sources", Members, 200),
    ("put", "/sources", Admins, 200),
    ("get", "/organization-key", Members, 200),
    ("put", "/organization-key", OrganizationAdmins, 200),
    ("get", "/profiles", Admins, 200),
    ("post", "/profiles", Members, 200),
    ("delete", "/profiles", Admins, 204),
    ("get", "/webhooks", Members, 200),
    ("post", "/webhooks", Admins, 201),
    ("get", "/webhooks/{id}", Members, 200),
    ("put", "/webhooks/{id}", Admins, 200),
    ("delete", "/webhooks/{id}", Admins, 204),
    ("post", "/webhooks/{id}/rotate-secret", Admins, 200),
    ("post", "/webhooks/{id}/preview", Members, 200),
    ("post", "/webhooks/{id}/test", Admins, 200),
    ("post", "/webhooks/{id}/handshake", Admins, 200),
    ("get", "/webhooks/{id}/consent", Members, 200),
    ("post", "/webhooks/{id}/consent", Admins, 201),
    ("delete", "/webhooks/{id}/consent", Admins, 204),
    ("get", "/webhooks/{id}/grants", Members, 200),
    ("post", "/webhooks/{id}/grants", Admins, 201),
    ("delete", "/webhooks/{id}/grants/{grant}", Admins, 204),
    ("get", "/parameter-sources", Members, 200),
    ("post", "/parameter-sources", Admins, 201),
    ("get", "/parameter-sources/{id}", Members, 200),
    ("put", "/parameter-sources/{id}", Admins, 200),
    ("delete", "/parameter-sources/{id}", Admins, 204),
    ("get", "/pushes", Members, 200),
    ("post", "/pushes", Granted, 201),
    ("get", "/pushes/{id}", Members, 200),
    ("put", "/pushes/{id}", Granted, 200),
    ("delete", "/pushes/{id}", Granted, 204),
    ("post", "/pushes/{id}/preview", Members, 200),
    ("post", "/pushes/{id}/test", Granted, 200),
    ("post", "/pushes/{id}/runs", Granted, 202),
    ("post", "/uploads", Members, 201),
    ("get", "/uploads/{id}", Members, 200),
    ("get", "/runs", Members, 200),
    ("get", "/runs/{id}", Members, 200),
    ("post", "/runs/{id}/pause", Granted, 200),
    ("post", "/runs/{id}/resume", Granted, 200),
    ("post", "/runs/{id}/cancel", Granted, 200),
    ("get", "/runs/{id}/failures", Granted, 200),
    ("get", "/audit", Admins, 200),
];

/// Administrators of the organization.
pub(crate) const CHIEF: Token = Token { groups: "[organization-admin]", ..ADMIN };
/// The ID type that paths name: no webhook does.
const CODE: &str = "ONEID";
/// The user that paths name.
pub(crate) const QAID: &str = "u";

/// A workspace with one object of each kind.
pub(crate) struct Objects {
    pub(crate) world: World,
    pub(crate) webhook: String,
    /// A webhook that no push uses: one that does is not deleted.
    pub(crate) spare: String,
    pub(crate) push: String,
    pub(crate) upload: String,
    pub(crate) run: String,
    pub(crate) source: String,
    pub(crate) grant: String,
}

/// An identifier of nothing.
pub(crate) fn nothing(prefix: &str) -> String {
    format!("{prefix}_{}", "0".repeat(32))
}

impl Objects {
    pub(crate) async fn new() -> Self {
        let world = World::new();
        let mut signed = webhook("Coupons");
        signed["signing"] = json!({"kind": "standard_webhooks"});
        let made = world.call("POST", "/webhooks").json(&signed).send().await.id();
        let spare = world.call("POST", "/webhooks").json(&webhook("Spare")).send().await.id();
        let push = world.push(&made).await;
        let upload = world.audience().await;
        let run = world.start(&push, "first", &[&upload]).send().await.id();
        let grant = json!({"to": {"role": "team"}, "until": "2027-06-01T00:00:00Z"});
        let grant = world.call("POST", format!("/webhooks/{made}/grants")).json(&grant).send().await.id();
        let source = world.source(&constant("Coupon", "B10")).await;
        let statement = json!({"text": "by mail"});
        world.call("POST", format!("/webhooks/{made}/consent")).json(&statement).send().await.ok(201);
        world.call("PUT", "/organization-key").by(CHIEF).json(&json!({})).send().await.ok(200);
        world.call("POST", "/profiles").json(&profiles()).send().await.ok(200);
        Self { world, webhook: made, spare, push, upload, run, source, grant }
    }

    /// What `{id}` or `{code}` in a path stands for.
    pub(crate) fn id(&self, method: &str, path: &str) -> &str {
        match path.split('/').nth(1) {
            Some("webhooks") if (method, path) == ("delete", "/webhooks/{id}") => &self.spare,
            Some("webhooks") => &self.webhook,
            Some("parameter-sources") => &self.source,
            Some("pushes") => &self.push,
            Some("uploads") => &self.upload,
            Some("runs") => &self.run,
            Some("id-types") => CODE,
            _ => panic!("there is no object for {path}"),
        }
    }

    /// Does an operation as this caller, on the objects that there are: whoever may do it succeeds, once.
    pub(crate) async fn ask(&self, method: &'static str, path: &str, token: Option<Token>) -> Answer {
        if path.ends_with("/resume") {
            force(&self.world, &self.run, RunState::Paused).await;
        }
        let id = if path.contains("{id}") { self.id(method, path) } else { "" };
        let address = path.replace("{id}", id).replace("{code}", CODE).replace("{grant}", &self.grant);
        self.ask_at(method, path, address, token).await
    }

    /// Does an operation on what is at this address.
    pub(crate) async fn ask_at(
        &self,
        method: &'static str,
        path: &str,
        mut address: String,
        token: Option<Token>,
    ) -> Answer {
        assert!(!address.contains('{'), "there is nothing for {address}");
        match (method, path) {
            ("get" | "delete", "/profiles") => address.extend(["?qaid=", QAID]),
            (_, "/audit") => address.push_str("?person=admin"),
            _ => {}
        }
        let id = json!({"type": "MOBILE", "value": "+4915112345678"});
        let body = match (method, path) {
            ("put", "/id-types/{code}") => json!({"display_name": "One", "priority": 1}),
            ("put", "/sources") => json!({"items": ["crm"]}),
            ("post", "/profiles") => profiles(),
            ("put", "/webhooks/{id}") | ("post", "/webhooks") => webhook("Other"),
            ("post", "/webhooks/{id}/consent") => json!({"text": "ours"}),
            ("post", "/webhooks/{id}/grants") => json!({"to": {"person": "mate"}}),
            ("post" | "put", "/parameter-sources" | "/parameter-sources/{id}") => constant("Other", "B11"),
            ("post" | "put", "/pushes" | "/pushes/{id}") => {
                let mut push = push(&self.webhook);
                push["name"] = json!("Other");
                push
            }
            ("post", "/webhooks/{id}/test") => json!({"id": id, "values": {"coupon": "B10"}}),
            ("post", "/pushes/{id}/test") => json!({"id": id}),
            ("post", "/pushes/{id}/runs") => json!({"uploads": [self.upload]}),
            ("post", "/uploads") => json!({"kind": "audience"}),
            _ => json!({}),
        };
        if path.ends_with("/preview") {
            self.world.answers(json!({"direct": "preview", "messages": []}));
        } else if path.ends_with("/test") {
            self.world.answers(tested(true));
        } else if path.ends_with("/handshake") {
            self.world.answers(shaken(true, None));
        }
        let method =
            ["GET", "PUT", "POST", "DELETE"].into_iter().find(|name| name.eq_ignore_ascii_case(method));
        let call = self.world.call(method.unwrap(), address).header("idempotency-key", "second");
        let call = if path.ends_with("/resume") { call } else { call.json(&body) };
        let call = match token {
            Some(token) => call.by(token),
            None => call.without_token(),
        };
        call.send().await
    }
}

fn profiles() -> serde_json::Value {
    json!({"items": [{"qaid": QAID, "source": "crm"}]})
}

/// Every operation, as the description names them.
pub(crate) fn described() -> BTreeSet<(String, String)> {
    let document = config::document();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .filter(|(_, path)| path != "/openapi.json")
        .collect()
}
