//! What requests authenticate with: the secret is write-only, encrypted before it is stored.

use fanhook_core::{
    fault::Fault,
    id::WebhookId,
    limits,
    webhook::{Authentication, ClientAuthentication, Content, TokenClient, Webhook},
};
use fanhook_store::ports::SecretContext;
use secrecy::SecretSlice;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{access::Caller, problem::Result};

const SECRET: &str = "authentication.secret";

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

    /// What is wrong with the secret; never the secret itself.
    fn check(&self) -> Option<Fault> {
        let secret = self.secret()?;
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
        (!fits).then(|| Fault::new(SECRET, format!("a secret is 1 to {} bytes: {rule}", limits::SECRET)))
    }
}

/// What is stored already of the webhook that an input is for, and what goes to the endpoint from now on.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) input: Option<&'a AuthenticationInput>,
    pub(crate) old: Option<&'a Webhook>,
    pub(crate) content: &'a Content,
}

impl Change<'_> {
    /// What is stored, but for a secret that is not encrypted yet.
    pub(crate) fn draft(self) -> Authentication {
        match self.input {
            Some(input) => input.with(String::new()),
            None => self.old.map(|old| old.authentication.clone()).unwrap_or_default(),
        }
    }

    /// The ciphertext that stays, where no new secret is given: of the same kind, and for where it went before. To another host a secret
    /// that is never told goes only if whoever sends it there knows it.
    fn kept(self) -> Option<String> {
        let (old, draft) = (self.old?, self.draft());
        let same = std::mem::discriminant(&old.authentication) == std::mem::discriminant(&draft)
            && old.authentication.goes_to(&old.content) == draft.goes_to(self.content);
        let given = self.input.is_some_and(|input| input.secret().is_some());
        old.authentication.ciphertext().filter(|_| same && !given).map(str::to_owned)
    }

    /// What is wrong with the secret; never the secret itself.
    pub(crate) fn check(self) -> Option<Fault> {
        if let Some(input) = self.input.filter(|input| input.secret().is_some()) {
            return input.check();
        }
        let missing = self.draft() != Authentication::None {} && self.kept().is_none();
        missing.then(|| {
            Fault::new(SECRET, "a secret is needed; none of this kind is stored for this host")
                .hint("a stored secret goes to the scheme, host and port alone that it was given for")
        })
    }

    /// What is stored.
    pub(crate) async fn apply(self, caller: &Caller, webhook: WebhookId) -> Result<Authentication> {
        let Some(input) = self.input else { return Ok(self.draft()) };
        if let Some(kept) = self.kept() {
            return Ok(input.with(kept));
        }
        let Some(secret) = input.secret() else { return Ok(Authentication::None {}) };
        let context = SecretContext::authentication(&caller.workspace, webhook);
        let plain = SecretSlice::from(secret.as_bytes().to_vec());
        Ok(input.with(caller.secrets.encrypt(&context, &plain).await?))
    }
}
