//! What requests authenticate with: the secret is write-only, encrypted before it is stored.

use fanhook_core::{
    fault::Fault,
    id::WebhookId,
    limits,
    webhook::{Authentication, ClientAuthentication, TokenClient},
};
use fanhook_store::ports::SecretContext;
use secrecy::SecretSlice;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{access::Caller, problem::Result};

/// How requests shall say who calls.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum AuthenticationInput {
    /// Not at all.
    None {},
    /// A bearer token.
    Bearer {
        /// Left out: as it was.
        #[serde(default)]
        secret: Option<String>,
    },
    /// A key in a header of its own.
    Header {
        /// Name of the header.
        name: String,
        /// Left out: as it was.
        #[serde(default)]
        secret: Option<String>,
    },
    /// User name and password.
    Basic {
        /// User name.
        username: String,
        /// Left out: as it was.
        #[serde(default)]
        secret: Option<String>,
    },
    /// An access token of OAuth 2.0 client credentials.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Full address of the token endpoint.
        token_url: String,
        /// The client identifier.
        client_id: String,
        /// The client secret; left out: as it was.
        #[serde(default)]
        secret: Option<String>,
        /// Scopes, between spaces.
        #[serde(default)]
        scope: Option<String>,
        /// Whom the token is for.
        #[serde(default)]
        audience: Option<String>,
        /// How identifier and secret go to the token endpoint.
        #[serde(default)]
        client_authentication: ClientAuthentication,
    },
}

impl AuthenticationInput {
    fn secret(&self) -> Option<&str> {
        match self {
            Self::None {} => None,
            Self::Bearer { secret }
            | Self::Header { secret, .. }
            | Self::Basic { secret, .. }
            | Self::OAuth2 { secret, .. } => secret.as_deref(),
        }
    }

    /// What is stored for it, with this ciphertext.
    pub(crate) fn with(&self, ciphertext: String) -> Authentication {
        match self.clone() {
            Self::None {} => Authentication::None {},
            Self::Bearer { .. } => Authentication::Bearer { ciphertext },
            Self::Header { name, .. } => Authentication::Header { name, ciphertext },
            Self::Basic { username, .. } => Authentication::Basic { username, ciphertext },
            Self::OAuth2 { token_url, client_id, secret: _, scope, audience, client_authentication } => {
                let client = TokenClient { token_url, client_id, scope, audience, client_authentication };
                Authentication::OAuth2 { client, ciphertext }
            }
        }
    }

    /// The ciphertext that stays, where no new secret is given and the kind is as it was.
    fn kept(&self, old: &Authentication) -> Option<String> {
        let same = match self {
            Self::None {} => false,
            Self::Bearer { .. } => matches!(old, Authentication::Bearer { .. }),
            Self::Header { .. } => matches!(old, Authentication::Header { .. }),
            Self::Basic { .. } => matches!(old, Authentication::Basic { .. }),
            Self::OAuth2 { .. } => matches!(old, Authentication::OAuth2 { .. }),
        };
        old.ciphertext().filter(|_| same && self.secret().is_none()).map(str::to_owned)
    }

    /// What is wrong with the secret; never the secret itself.
    pub(crate) fn check(&self, old: &Authentication) -> Option<Fault> {
        let field = "authentication.secret";
        let Some(secret) = self.secret() else {
            let missing = !matches!(self, Self::None {}) && self.kept(old).is_none();
            return missing.then(|| Fault::new(field, "a secret is needed; none of this kind is stored"));
        };
        let visible = |c: char| c.is_ascii_graphic() || c == ' ';
        let (fits, rule) = match self {
            Self::Basic { .. } => (!secret.contains(char::is_control), "text without control characters"),
            Self::Bearer { .. } => (secret.bytes().all(|b| b.is_ascii_graphic()), "visible ASCII characters"),
            _ => (
                secret.chars().all(visible) && secret.trim() == secret,
                "visible ASCII characters and spaces between them",
            ),
        };
        let fits = fits && (1..=limits::SECRET).contains(&secret.len());
        (!fits).then(|| Fault::new(field, format!("a secret is 1 to {} bytes: {rule}", limits::SECRET)))
    }
}

/// What an input means for a webhook that was stored with `old`.
pub(crate) async fn apply(
    caller: &Caller,
    webhook: WebhookId,
    input: Option<&AuthenticationInput>,
    old: &Authentication,
) -> Result<Authentication> {
    let Some(input) = input else { return Ok(old.clone()) };
    if let Some(kept) = input.kept(old) {
        return Ok(input.with(kept));
    }
    let Some(secret) = input.secret() else { return Ok(Authentication::None {}) };
    let context = SecretContext::authentication(&caller.workspace, webhook);
    let plain = SecretSlice::from(secret.as_bytes().to_vec());
    Ok(input.with(caller.secrets.encrypt(&context, &plain).await?))
}

/// What stands when another change came between and this input gave no secret of its own.
pub(crate) fn follow(
    input: Option<&AuthenticationInput>,
    made: &Authentication,
    now: &Authentication,
) -> Authentication {
    match input {
        None => now.clone(),
        Some(input) => input.kept(now).map_or_else(|| made.clone(), |kept| input.with(kept)),
    }
}
