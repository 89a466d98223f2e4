//! Who calls, and what the caller may do: from the claims of the token, which API Gateway has verified.
//!
//! Handlers get the ports only through [`Member`], [`Marketer`], [`Granted`], [`Admin`] and [`OrganizationAdmin`]: what a handler takes says who may call it.
//! Whoever is no administrator needs a role with the permission `webhook` and a grant on the webhook itself, to write pushes and runs
//! through it: a [`Marketer`] hands a webhook out only after it has looked for the grant, and [`Granted`] does so before the handler runs.

use std::{collections::HashMap, ops::Deref, str::FromStr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use fanhook_core::{
    address::AllowList,
    id::{WebhookId, WorkspaceId},
    time::Millis,
    webhook::{Rules, Webhook},
};
use fanhook_store::{
    grants::{self, Grantee},
    webhooks,
};
use lambda_http::{aws_lambda_events::apigw::ApiGatewayV2httpRequestContext, request::RequestContext};
use url::Host;

use crate::{
    Ports,
    problem::{Problem, Result},
};

/// Header by which a caller of several workspaces names one.
const WORKSPACE: &str = "fanhook-workspace";

/// The router's state: the ports, which nothing but this module gets out, and hands on with a caller alone.
#[derive(Clone)]
pub(crate) struct Sealed(Arc<Ports>);

impl Sealed {
    pub(crate) fn new(ports: Ports) -> Self {
        Self(Arc::new(ports))
    }
}

/// How a token's claims are read.
#[derive(Clone, Debug)]
pub struct Access {
    /// Claim that lists the caller's workspaces.
    pub workspaces_claim: String,
    /// Claim that lists the caller's groups.
    pub roles_claim: String,
    /// Group of organization administrators.
    pub organization_admin: String,
    /// Group of workspace administrators.
    pub workspace_admin: String,
    /// Group of members: they read.
    pub member: String,
    /// Group whose role has the permission `webhook`.
    pub webhook: String,
}

/// What a caller may do in a workspace; more is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// Reads all but users' data and the audit log, writes profiles and uploads.
    Member,
    /// Writes pushes and runs as well, through webhooks that are granted.
    Marketer,
    /// Writes everything of the workspace, through any webhook; reads and erases users' data.
    Admin,
    /// Writes what holds for all workspaces as well.
    OrganizationAdmin,
}

/// A caller in a workspace, with the ports.
pub(crate) struct Caller {
    ports: Arc<Ports>,
    /// Who: the token's subject.
    pub(crate) person: String,
    /// The groups of the token.
    groups: Vec<String>,
    role: Role,
    /// The workspace that the request is about.
    pub(crate) workspace: WorkspaceId,
    /// When the request came.
    pub(crate) now: Millis,
    /// The API's own names: a webhook that called them would loop.
    own: Own,
}

/// A caller who may read all but users' data and the audit log, and write profiles and uploads.
pub(crate) struct Member(Caller);

/// A caller who may also write pushes and runs, through webhooks that are granted.
pub(crate) struct Marketer(Caller);

/// A caller who may also write webhooks, ID types, sources and grants, and read and erase users' data.
pub(crate) struct Admin(Caller);

/// A caller who may also write what holds for all workspaces.
pub(crate) struct OrganizationAdmin(Caller);

impl Deref for Caller {
    type Target = Ports;
    fn deref(&self) -> &Ports {
        &self.ports
    }
}

impl Deref for Member {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Deref for Marketer {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Deref for Admin {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Deref for OrganizationAdmin {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<Sealed> for Member {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Sealed) -> Result<Self> {
        caller(head, ports, Role::Member).map(Self)
    }
}

impl FromRequestParts<Sealed> for Marketer {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Sealed) -> Result<Self> {
        caller(head, ports, Role::Marketer).map(Self)
    }
}

impl FromRequestParts<Sealed> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Sealed) -> Result<Self> {
        caller(head, ports, Role::Admin).map(Self)
    }
}

impl FromRequestParts<Sealed> for OrganizationAdmin {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Sealed) -> Result<Self> {
        caller(head, ports, Role::OrganizationAdmin).map(Self)
    }
}

/// Whoever has a verified token, whatever it allows.
pub(crate) struct Anybody;

impl FromRequestParts<Sealed> for Anybody {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, _: &Sealed) -> Result<Self> {
        token(head).map(|_| Self)
    }
}

/// What API Gateway tells of the request, and the verified claims of its token.
fn token(head: &Parts) -> Result<(&ApiGatewayV2httpRequestContext, &HashMap<String, String>)> {
    let context = head.extensions.get::<RequestContext>();
    let Some(RequestContext::ApiGatewayV2(context)) = context else { return Err(unknown()) };
    let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
    Ok((context, &jwt.ok_or_else(unknown)?.claims))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a verified token is needed")
}

fn caller(head: &Parts, Sealed(ports): &Sealed, needed: Role) -> Result<Caller> {
    let access = &ports.settings.access;
    let (context, claims) = token(head)?;
    let claim = |name: &str| claims.get(name).map_or("", String::as_str);

    let person = claim("sub").to_owned();
    if person.is_empty() {
        return Err(unknown());
    }
    let workspace = workspace(claim(&access.workspaces_claim), head)?;
    let groups = names(claim(&access.roles_claim));
    let Some(role) = access.role(&groups).filter(|role| *role >= needed) else {
        let detail = match needed {
            Role::OrganizationAdmin => "only administrators of the organization may do this",
            Role::Admin => "only administrators of the workspace or the organization may do this",
            Role::Marketer => "this needs a role with the permission `webhook`",
            Role::Member => "the token's groups allow nothing here",
        };
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    };
    let own = Own { api: context.apiid.clone(), domain: context.domain_name.clone() };
    Ok(Caller { ports: ports.clone(), person, groups, role, workspace, now: ports.clock.now(), own })
}

impl Marketer {
    /// A webhook of the workspace that the caller may use; none where there is no such webhook.
    pub(crate) async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>> {
        let Some(webhook) = webhooks::get(&*self.config, &self.workspace, id).await? else { return Ok(None) };
        self.may_use(id).await?;
        Ok(Some(webhook))
    }

    /// Whether the caller may use a webhook of the workspace.
    pub(crate) async fn uses(&self, webhook: WebhookId) -> Result<bool> {
        if self.role >= Role::Admin {
            return Ok(true);
        }
        let person = Grantee::Person(self.person.clone());
        let grantees: Vec<Grantee> = self.groups.iter().cloned().map(Grantee::Role).chain([person]).collect();
        Ok(grants::holds(&*self.config, &self.workspace, webhook, &grantees, self.now).await?)
    }

    async fn may_use(&self, webhook: WebhookId) -> Result<()> {
        if self.uses(webhook).await? {
            return Ok(());
        }
        let detail =
            "no grant on this webhook is given to you, or it has ended; an administrator can give one";
        Err(Problem::new(StatusCode::FORBIDDEN, "not_granted", detail))
    }
}

/// What goes through a webhook.
pub(crate) trait Through: Sized + Send {
    /// Its identifier.
    type Id: FromStr + Send;
    /// The one of the caller's workspace.
    fn find(caller: &Caller, id: Self::Id) -> impl Future<Output = Result<Self>> + Send;
    /// The webhook.
    fn webhook(&self) -> WebhookId;
}

/// The object in the path, and a caller who may use the webhook that it goes through.
pub(crate) struct Granted<T>(pub(crate) Marketer, pub(crate) T);

impl<T: Through> Granted<T> {
    /// The object as it is now, if the caller may still use its webhook.
    pub(crate) async fn again(caller: &Marketer, id: T::Id) -> Result<T> {
        let found = T::find(caller, id).await?;
        caller.may_use(found.webhook()).await?;
        Ok(found)
    }
}

impl<T: Through> FromRequestParts<Sealed> for Granted<T> {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Sealed) -> Result<Self> {
        let caller = Marketer::from_request_parts(head, ports).await?;
        let Id(id) = Id::<T::Id>::from_request_parts(head, ports).await?;
        let found = Self::again(&caller, id).await?;
        Ok(Self(caller, found))
    }
}

/// The workspace that a request is about: the caller's only one, or the one that the header names.
fn workspace(claim: &str, head: &Parts) -> Result<WorkspaceId> {
    let own: Vec<WorkspaceId> = names(claim).iter().filter_map(|name| name.parse().ok()).collect();
    match (head.headers.get(WORKSPACE), &own[..]) {
        (Some(named), _) => {
            let named = named.to_str().unwrap_or_default();
            own.iter().find(|workspace| workspace.as_str() == named).cloned().ok_or_else(Problem::not_found)
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "the token names no workspace")),
        (None, several) => {
            let names: Vec<_> = several.iter().map(WorkspaceId::as_str).collect();
            let detail =
                format!("name one of your workspaces in the header `{WORKSPACE}`: {}", names.join(", "));
            Err(Problem::new(StatusCode::BAD_REQUEST, "workspace_missing", detail))
        }
    }
}

impl Access {
    fn role(&self, groups: &[String]) -> Option<Role> {
        let roles = [
            (&self.organization_admin, Role::OrganizationAdmin),
            (&self.workspace_admin, Role::Admin),
            (&self.webhook, Role::Marketer),
            (&self.member, Role::Member),
        ];
        let role = |name: &String| roles.into_iter().find(|(group, _)| *group == name).map(|(_, role)| role);
        groups.iter().filter_map(role).max()
    }
}

/// The names in a claim: a JSON array; or what API Gateway makes of a list, `[a b]`; or names between commas or blanks.
///
/// Only in JSON is it plain where a name ends, so that no name may hold what is between names elsewhere: [`is_name`].
fn names(claim: &str) -> Vec<String> {
    let names = serde_json::from_str::<Vec<String>>(claim).unwrap_or_else(|_| {
        let inner = claim.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(claim);
        inner.split(|c: char| c == ',' || c.is_whitespace()).map(str::to_owned).collect()
    });
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

/// Whether a group of this name is read as one group, whichever form the claim has.
pub(crate) fn is_name(group: &str) -> bool {
    !group.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '[' | ']'))
}

/// The names that the API itself is reached by.
struct Own {
    api: Option<String>,
    domain: Option<String>,
}

impl Own {
    fn is(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let api = self.api.as_deref().filter(|api| !api.is_empty());
        self.domain.as_deref().is_some_and(|domain| domain.eq_ignore_ascii_case(host))
            || api.is_some_and(|api| {
                host.split('.').next().is_some_and(|first| first.eq_ignore_ascii_case(api))
            })
    }
}

impl Caller {
    /// The host name that the API is reached by.
    pub(crate) fn host(&self) -> &str {
        self.own.domain.as_deref().unwrap_or("fanhook")
    }

    /// Calls `check` with the rules that a webhook's address is held to.
    pub(crate) fn with_rules<T>(&self, check: impl FnOnce(Rules<'_>) -> T) -> T {
        let allowed: &AllowList = &self.settings.allowed;
        let address = |host: Host<&str>, port: u16| {
            let text = host.to_string();
            if self.own.is(&text) && !allowed.allows(&text, port) {
                return Err(format!("`{text}` is this API itself"));
            }
            allowed.check(host, port)
        };
        check(Rules { allow_http: self.settings.allow_http, address: &address })
    }
}

/// An identifier in the path. One that can't be one is unknown like any other.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self> {
        let text = Path::<String>::from_request_parts(head, state).await.map_err(|_| Problem::not_found())?;
        text.0.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// Where no route matches. A caller without a token learns nothing, not even this.
pub(crate) async fn no_such_route(_: Anybody) -> Problem {
    Problem::not_found()
}

/// Where the route has no such method.
pub(crate) async fn no_such_method(_: Anybody) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this address does not take this method",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access {
            workspaces_claim: "custom:workspaces".to_owned(),
            roles_claim: "cognito:groups".to_owned(),
            organization_admin: "organization-admin".to_owned(),
            workspace_admin: "workspace-admin".to_owned(),
            member: "member".to_owned(),
            webhook: "webhook".to_owned(),
        }
    }

    #[test]
    fn a_list_is_read_in_every_form_that_it_arrives_in() {
        for claim in ["[a b]", "a,b", " a , b ", r#"["a","b"]"#, "[a, b]", "a b"] {
            assert_eq!(names(claim), ["a", "b"], "{claim}");
        }
        for claim in ["", "[]", " , ", r#"[""]"#] {
            assert!(names(claim).is_empty(), "{claim}");
        }
    }

    #[test]
    fn a_name_with_a_blank_is_one_name_in_json_and_no_name_elsewhere() {
        let claim = r#"["member", "Agency organization-admin", "a,b"]"#;
        assert_eq!(names(claim), ["member", "Agency organization-admin", "a,b"]);
        assert_eq!(access().role(&names(claim)), Some(Role::Member));
        for name in ["Agency organization-admin", "a,b", "a\tb", "a\u{a0}b", "\"a\"", "[a]"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("loyalty-team/Köln"));
    }

    #[test]
    fn the_strongest_group_gives_the_role() {
        let table = [
            ("[member workspace-admin]", Some(Role::Admin)),
            ("organization-admin", Some(Role::OrganizationAdmin)),
            ("[member]", Some(Role::Member)),
            ("[member webhook]", Some(Role::Marketer)),
            ("webhook", Some(Role::Marketer)),
            ("[members admin Member]", None),
            ("", None),
        ];
        for (claim, role) in table {
            assert_eq!(access().role(&names(claim)), role, "{claim}");
        }
    }

    #[test]
    fn the_apis_own_names_are_recognised() {
        let own = Own { api: Some("a1b2".to_owned()), domain: Some("api.example.com".to_owned()) };
        for host in ["api.example.com", "API.example.com.", "a1b2.execute-api.eu-west-1.amazonaws.com"] {
            assert!(own.is(host), "{host}");
        }
        for host in ["example.com", "xa1b2.execute-api.eu-west-1.amazonaws.com", ""] {
            assert!(!own.is(host), "{host}");
        }
    }
}
