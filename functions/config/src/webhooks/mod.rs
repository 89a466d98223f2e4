//! `/webhooks`: the configuration of endpoints.

mod authentication;
mod endpoint;
mod signing;
mod view;

use axum::{Json, http::StatusCode, response::IntoResponse};
use fanhook_core::{
    fault::Fault,
    id::{IdTypeCode, WebhookId},
    webhook::{Authentication, Content, Limits, RetryPolicy, Signing, Webhook},
};
use fanhook_store::{
    id_types, pushes,
    webhooks::{self, Deleted, Saved},
};
use serde::Deserialize;
use serde_json::json;

pub(crate) use self::endpoint::{settings, settle};
use self::{
    authentication::AuthenticationInput,
    signing::{Signature, SigningInput},
    view::WebhookView,
};
use crate::input::Params;
use crate::{
    access::{Admin, Caller, Id, Member},
    id_types::check_enabled,
    input::Input,
    output::{Page, PageQuery},
    problem::{Problem, Result},
};

/// Largest webhook, in bytes of JSON: beside a push it must fit into one item of what a run pins.
const MAX_STORED: usize = 200 * 1024;
/// Attempts at a change that others are faster at.
const ATTEMPTS: usize = 10;

/// A webhook as an administrator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookInput {
    name: String,
    #[serde(default)]
    description: String,
    content: Content,
    id_types: Vec<IdTypeCode>,
    /// Left out: as it was, which is `none` at first.
    #[serde(default)]
    authentication: Option<AuthenticationInput>,
    /// Left out: as it was, which is `none` at first.
    #[serde(default)]
    signing: Option<SigningInput>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    retry: RetryPolicy,
}

impl WebhookInput {
    fn webhook(&self, caller: &Caller, id: WebhookId, version: u32, secured: Secured) -> Webhook {
        let Secured { authentication, signing } = secured;
        Webhook {
            id,
            workspace: caller.workspace.clone(),
            version,
            name: self.name.clone(),
            description: self.description.clone(),
            content: self.content.clone(),
            id_types: self.id_types.clone(),
            authentication,
            signing,
            limits: self.limits,
            retry: self.retry,
        }
    }

    /// All faults at once, those of the secret with them.
    async fn check(&self, caller: &Caller, old: &Authentication) -> Result<()> {
        let id = WebhookId::new(caller.random.uuid7(caller.now));
        let authentication = self.authentication.as_ref().map(|input| input.with(String::new()));
        let authentication = authentication.unwrap_or_else(|| old.clone());
        let webhook = self.webhook(caller, id, 1, Secured { authentication, signing: Signing::None {} });
        let mut faults = caller.with_rules(|rules| webhook.check(rules));
        let types = id_types::get(&*caller.config, &caller.workspace).await?.types;
        faults.extend(check_enabled(&webhook.id_types, &types));
        faults.extend(self.authentication.as_ref().and_then(|input| input.check(old)));
        faults.extend(self.signing.as_ref().and_then(SigningInput::check));
        if serde_json::to_vec(&webhook).map_or(usize::MAX, |json| json.len()) > MAX_STORED {
            faults.push(Fault::new("", format!("a webhook has at most {MAX_STORED} bytes in all")));
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }
}

/// What of a webhook depends on secrets.
struct Secured {
    authentication: Authentication,
    signing: Signing,
}

/// `POST /webhooks`.
pub(crate) async fn create(admin: Admin, Input(input): Input<WebhookInput>) -> Result<impl IntoResponse> {
    let none = Authentication::default();
    input.check(&admin, &none).await?;
    let id = WebhookId::new(admin.random.uuid7(admin.now));
    let authentication = authentication::apply(&admin, id, input.authentication.as_ref(), &none).await?;
    let Signature { signing, generated } = signing::apply(&admin, id, input.signing.as_ref(), None).await?;
    let webhook = input.webhook(&admin, id, 1, Secured { authentication, signing });
    // The endpoint first: a webhook without one could not be called.
    endpoint::write(&admin, &webhook).await?;
    match webhooks::create(&*admin.config, &webhook).await? {
        Saved::Done => Ok((StatusCode::CREATED, Json(WebhookView::new(&webhook, generated)))),
        Saved::NameTaken | Saved::Changed | Saved::Unknown => {
            endpoint::settle(&admin, id).await?;
            Err(name_taken())
        }
    }
}

/// `GET /webhooks`, oldest first.
pub(crate) async fn list(member: Member, Params(page): Params<PageQuery>) -> Result<Json<Page<WebhookView>>> {
    let (after, limit) = page.read()?;
    let (found, more) = webhooks::list(&*member.config, &member.workspace, after, limit).await?;
    Ok(Json(Page::new(found.iter().map(|webhook| WebhookView::new(webhook, None)).collect(), more)))
}

/// `GET /webhooks/{id}`.
pub(crate) async fn read(member: Member, Id(id): Id<WebhookId>) -> Result<Json<WebhookView>> {
    Ok(Json(WebhookView::new(&find(&member, id).await?, None)))
}

/// `PUT /webhooks/{id}`: replaces it by a new version, and opens its endpoint again where it was parked.
pub(crate) async fn replace(
    admin: Admin,
    Id(id): Id<WebhookId>,
    Input(input): Input<WebhookInput>,
) -> Result<Json<WebhookView>> {
    let first = find(&admin, id).await?;
    input.check(&admin, &first.authentication).await?;
    let authentication = input.authentication.as_ref();
    let made = authentication::apply(&admin, id, authentication, &first.authentication).await?;
    let mut signature = signing::apply(&admin, id, input.signing.as_ref(), Some(&first.signing)).await?;
    let mut old = first;
    for _ in 0..ATTEMPTS {
        if signature.generated.is_none() && signing::keeps(input.signing.as_ref(), &old.signing) {
            signature.signing = old.signing.clone();
        }
        let secured = Secured {
            authentication: authentication::follow(authentication, &made, &old.authentication),
            signing: signature.signing.clone(),
        };
        let new = input.webhook(&admin, id, old.version + 1, secured);
        match webhooks::replace(&*admin.config, &old, &new).await? {
            Saved::Done => {
                endpoint::settle(&admin, id).await?;
                return Ok(Json(WebhookView::new(&new, signature.generated)));
            }
            Saved::NameTaken => return Err(name_taken()),
            Saved::Unknown => return Err(Problem::not_found()),
            Saved::Changed => old = find(&admin, id).await?,
        }
    }
    Err(Problem::busy())
}

/// `DELETE /webhooks/{id}`: refused while pushes use it.
pub(crate) async fn delete(admin: Admin, Id(id): Id<WebhookId>) -> Result<StatusCode> {
    for _ in 0..ATTEMPTS {
        let webhook = find(&admin, id).await?;
        match webhooks::delete(&*admin.config, &webhook).await? {
            Deleted::Done => {
                endpoint::settle(&admin, id).await?;
                return Ok(StatusCode::NO_CONTENT);
            }
            Deleted::Unknown => return Err(Problem::not_found()),
            Deleted::InUse => {
                let users = pushes::using(&*admin.config, &admin.workspace, id).await?;
                // None: the last one has just gone.
                if !users.is_empty() {
                    let users: Vec<_> =
                        users.iter().map(|push| json!({"push": push.id, "name": push.name})).collect();
                    let problem =
                        Problem::conflict("in_use", "pushes use this webhook; change or delete them first");
                    return Err(problem.with("used_by", users));
                }
            }
            Deleted::Changed => {}
        }
    }
    Err(Problem::busy())
}

/// A webhook of the caller's workspace.
async fn find(caller: &Caller, id: WebhookId) -> Result<Webhook> {
    webhooks::get(&*caller.config, &caller.workspace, id).await?.ok_or_else(Problem::not_found)
}

fn name_taken() -> Problem {
    let fault = Fault::new("name", "another webhook of the workspace has this name");
    Problem::conflict("name_taken", "the name is taken").errors(vec![fault])
}
