//! Who calls, and what the caller may do: from the claims of the token, which API Gateway has verified.
//!
//! Handlers get the ports only through [`Member`] and [`Admin`]: what a handler takes says who may call it.

use std::{ops::Deref, str::FromStr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use fanhook_core::{address::AllowList, id::WorkspaceId, time::Millis, webhook::Rules};
use lambda_http::request::RequestContext;
use url::Host;

use crate::{
    Ports,
    problem::{Problem, Result},
};

/// Header by which a caller of several workspaces names one.
const WORKSPACE: &str = "fanhook-workspace";

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
    /// Group of members.
    pub member: String,
}

/// What a caller may do in a workspace; more is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// Reads all but users' data, writes profiles, pushes, uploads and runs.
    Member,
    /// Writes webhooks, ID types and sources as well, reads and erases users' data.
    Admin,
}

/// A caller in a workspace, with the ports.
pub(crate) struct Caller {
    ports: Arc<Ports>,
    /// The workspace that the request is about.
    pub(crate) workspace: WorkspaceId,
    /// When the request came.
    pub(crate) now: Millis,
    /// The API's own names: a webhook that called them would loop.
    own: Own,
}

/// A caller who may read all but users' data, and write profiles, pushes, uploads and runs.
pub(crate) struct Member(Caller);

/// A caller who may also write webhooks, ID types and sources, and read and erase users' data.
pub(crate) struct Admin(Caller);

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

impl Deref for Admin {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<Arc<Ports>> for Member {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Arc<Ports>) -> Result<Self> {
        caller(head, ports, Role::Member).map(Self)
    }
}

impl FromRequestParts<Arc<Ports>> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Arc<Ports>) -> Result<Self> {
        caller(head, ports, Role::Admin).map(Self)
    }
}

fn caller(head: &Parts, ports: &Arc<Ports>, needed: Role) -> Result<Caller> {
    let access = &ports.settings.access;
    let unknown = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a verified token is needed");
    let context = head.extensions.get::<RequestContext>();
    let Some(RequestContext::ApiGatewayV2(context)) = context else { return Err(unknown()) };
    let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
    let claims = &jwt.ok_or_else(unknown)?.claims;
    let claim = |name: &str| claims.get(name).map_or("", String::as_str);

    let workspace = workspace(claim(&access.workspaces_claim), head)?;
    if access.role(claim(&access.roles_claim)).is_none_or(|role| role < needed) {
        let detail = match needed {
            Role::Admin => "only administrators of the workspace or the organization may do this",
            Role::Member => "the token's groups allow nothing here",
        };
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let own = Own { api: context.apiid.clone(), domain: context.domain_name.clone() };
    Ok(Caller { ports: ports.clone(), workspace, now: ports.clock.now(), own })
}

/// The workspace that a request is about: the caller's only one, or the one that the header names.
fn workspace(claim: &str, head: &Parts) -> Result<WorkspaceId> {
    let own: Vec<WorkspaceId> = names(claim).filter_map(|name| name.parse().ok()).collect();
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
    fn role(&self, claim: &str) -> Option<Role> {
        let role = |name: &str| {
            if name == self.organization_admin || name == self.workspace_admin {
                Some(Role::Admin)
            } else {
                (name == self.member).then_some(Role::Member)
            }
        };
        names(claim).filter_map(role).max()
    }
}

/// The names in a claim. API Gateway hands a list on as `[a b]`; others write commas, or JSON.
fn names(claim: &str) -> impl Iterator<Item = &str> {
    let inner = claim.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(claim);
    let names = inner.split(|c: char| c == ',' || c.is_whitespace());
    names.map(|name| name.trim_matches('"')).filter(|name| !name.is_empty())
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

impl<T: FromStr + Send> FromRequestParts<Arc<Ports>> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(head: &mut Parts, ports: &Arc<Ports>) -> Result<Self> {
        let text = Path::<String>::from_request_parts(head, ports).await.map_err(|_| Problem::not_found())?;
        text.0.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// Where no route matches. A caller without a token learns nothing, not even this.
pub(crate) async fn no_such_route(_: Member) -> Problem {
    Problem::not_found()
}

/// Where the route has no such method.
pub(crate) async fn no_such_method(_: Member) -> Problem {
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
        }
    }

    #[test]
    fn a_list_is_read_in_every_form_that_it_arrives_in() {
        for claim in ["[a b]", "a,b", " a , b ", r#"["a","b"]"#, "[a, b]", "a b"] {
            assert_eq!(names(claim).collect::<Vec<_>>(), ["a", "b"], "{claim}");
        }
        for claim in ["", "[]", " , "] {
            assert_eq!(names(claim).count(), 0, "{claim}");
        }
    }

    #[test]
    fn the_strongest_group_gives_the_role() {
        let table = [
            ("[member workspace-admin]", Some(Role::Admin)),
            ("organization-admin", Some(Role::Admin)),
            ("[member]", Some(Role::Member)),
            ("[members admin Member]", None),
            ("", None),
        ];
        for (claim, role) in table {
            assert_eq!(access().role(claim), role, "{claim}");
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
