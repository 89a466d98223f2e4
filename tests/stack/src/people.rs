use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::deploy::Outputs;
use crate::project::{self, Project};

/// Fits every password policy; the user pool exists on this machine only.
const PASSWORD: &str = "Fanhook-0-local";

/// Someone who may call the API, as the user pool knows them.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their user name.
    pub name: String,
    /// The workspaces that they belong to.
    pub workspaces: Vec<String>,
    /// Their groups: `organization-admin`, `workspace-admin`, `member`.
    pub groups: Vec<String>,
}

impl Person {
    /// An organization administrator who belongs to one workspace.
    pub fn organization_admin(workspace: &str) -> Self {
        Self {
            name: format!("admin-of-{workspace}"),
            workspaces: vec![workspace.to_owned()],
            groups: vec!["organization-admin".to_owned()],
        }
    }
}

/// Makes the person be exactly as described, and signs them in.
pub(crate) async fn token(aws: &Aws, outputs: &Outputs, person: &Person, client: &str) -> Result<String> {
    let pool = Pool { aws, id: &outputs.user_pool_id, user: &person.name };
    match pool.call("AdminCreateUser", json!({"MessageAction": "SUPPRESS"})).await {
        Err(error) if !error.to_string().contains("UsernameExistsException") => return Err(error),
        _ => {}
    }
    let workspaces = json!([{"Name": "custom:workspaces", "Value": person.workspaces.join(",")}]);
    pool.call("AdminUpdateUserAttributes", json!({"UserAttributes": workspaces})).await?;
    pool.call("AdminSetUserPassword", json!({"Password": PASSWORD, "Permanent": true})).await?;
    let listed = pool.call("AdminListGroupsForUser", json!({})).await?;
    let had: Vec<&str> = listed["Groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group["GroupName"].as_str())
        .collect();
    for group in had.iter().filter(|group| !person.groups.iter().any(|kept| kept == *group)) {
        pool.call("AdminRemoveUserFromGroup", json!({"GroupName": group})).await?;
    }
    for group in person.groups.iter().filter(|group| !had.contains(&group.as_str())) {
        pool.call("AdminAddUserToGroup", json!({"GroupName": group})).await?;
    }
    let signed_in = aws
        .call(
            "AWSCognitoIdentityProviderService.AdminInitiateAuth",
            &json!({
                "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
                "AuthParameters": {"USERNAME": person.name, "PASSWORD": PASSWORD},
                "ClientId": client,
                "UserPoolId": outputs.user_pool_id,
            }),
        )
        .await?;
    let token = signed_in["AuthenticationResult"]["IdToken"].as_str();
    Ok(token.with_context(|| format!("no ID token in {signed_in}"))?.to_owned())
}

/// Signs any header and claims with the key of a pool's own ID tokens, which the local AWS keeps in its folder.
pub(crate) async fn sign(folder: &Path, outputs: &Outputs, header: &Value, claims: &Value) -> Result<String> {
    let project = Project::find()?;
    let key = folder.join("state/cognito-pool-keys").join(format!("{}-id.pem", outputs.user_pool_id));
    let mut command = Command::new(project.program("ministack", "python")?);
    command
        .arg(project.own_file("sign.py"))
        .arg(key)
        .args([header.to_string(), claims.to_string()])
        .env_clear()
        .envs(project::search_path())
        .stdin(Stdio::null());
    let output =
        tokio::task::spawn_blocking(move || command.output()).await?.context("python does not start")?;
    if !output.status.success() {
        bail!("a token was not signed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Makes one more application of the pool, whose tokens are not meant for this API.
pub(crate) async fn another_client(aws: &Aws, outputs: &Outputs) -> Result<String> {
    let input = json!({
        "UserPoolId": outputs.user_pool_id,
        "ClientName": "another",
        "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"],
    });
    let made = aws.call("AWSCognitoIdentityProviderService.CreateUserPoolClient", &input).await?;
    let client = made["UserPoolClient"]["ClientId"].as_str();
    Ok(client.with_context(|| format!("no client in {made}"))?.to_owned())
}

struct Pool<'a> {
    aws: &'a Aws,
    id: &'a str,
    user: &'a str,
}

impl Pool<'_> {
    async fn call(&self, operation: &str, mut input: Value) -> Result<Value> {
        input["UserPoolId"] = self.id.into();
        input["Username"] = self.user.into();
        self.aws.call(&format!("AWSCognitoIdentityProviderService.{operation}"), &input).await
    }
}
