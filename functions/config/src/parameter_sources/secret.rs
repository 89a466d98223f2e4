//! An interface as an administrator writes it: its secret is write-only, encrypted before it is stored.

use fanhook_core::{
    fault::Fault,
    id::ParameterSourceId,
    limits,
    parameter_source::{Interface, InterfaceMethod, SecretHeader},
    webhook::Header,
};
use fanhook_store::ports::SecretContext;
use secrecy::SecretSlice;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{access::Caller, problem::Result};

/// An HTTP API that gives a value.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InterfaceInput {
    /// Full address, without placeholders.
    url: String,
    /// HTTP method.
    #[serde(default)]
    method: InterfaceMethod,
    /// Headers, without placeholders.
    #[serde(default)]
    headers: Vec<Header>,
    /// The JSON text of a `POST`; in its strings `{{` and `}}` are literal braces.
    #[serde(default)]
    body: Option<String>,
    /// A header that holds a secret; left out: there is none.
    #[serde(default)]
    secret_header: Option<SecretHeaderInput>,
    /// JSON pointer (RFC 6901) to the value in the answer: a text, a number or a truth value of at most 4,096 bytes.
    pointer: String,
}

/// A header that holds a secret.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretHeaderInput {
    /// Its name.
    name: String,
    /// Its value; left out: as it was.
    #[serde(default)]
    secret: Option<String>,
}

impl InterfaceInput {
    /// What is stored for it, with this ciphertext.
    pub(crate) fn with(&self, ciphertext: String) -> Interface {
        let Self { url, method, headers, body, secret_header, pointer } = self.clone();
        let secret_header = secret_header.map(|header| SecretHeader { name: header.name, ciphertext });
        Interface { url, method, headers, body, secret_header, pointer }
    }

    /// What is wrong with the secret; never the secret itself.
    pub(crate) fn check(&self, old: Option<&Interface>) -> Option<Fault> {
        let field = "value.secret_header.secret";
        let header = self.secret_header.as_ref()?;
        let Some(secret) = &header.secret else {
            return self.kept(old).is_none().then(|| {
                Fault::new(field, "a secret is needed; none is stored for this host")
                    .hint("a stored secret goes to the scheme, host and port alone that it was given for")
            });
        };
        let visible =
            secret.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && secret.trim() == secret;
        let fits = visible && (1..=limits::SECRET).contains(&secret.len());
        let detail = format!(
            "a secret is 1 to {} bytes: visible ASCII characters and spaces between them",
            limits::SECRET
        );
        (!fits).then(|| Fault::new(field, detail))
    }

    /// What is stored for it: the secret that is given, or the one that was stored with `old`.
    pub(crate) async fn apply(
        &self,
        caller: &Caller,
        id: ParameterSourceId,
        old: Option<&Interface>,
    ) -> Result<Interface> {
        let secret = self.secret_header.as_ref().and_then(|header| header.secret.as_ref());
        let ciphertext = match secret {
            Some(secret) => {
                let context = SecretContext::parameter_source(&caller.workspace, id);
                let plain = SecretSlice::from(secret.as_bytes().to_vec());
                caller.secrets.encrypt(&context, &plain).await?
            }
            None => self.kept(old).unwrap_or_default().to_owned(),
        };
        Ok(self.with(ciphertext))
    }

    /// The ciphertext that stays: it goes where it went before, as a webhook's does.
    fn kept<'a>(&self, old: Option<&'a Interface>) -> Option<&'a str> {
        let old = old.filter(|old| old.origin() == self.with(String::new()).origin())?;
        old.secret_header.as_ref().map(|header| header.ciphertext.as_str())
    }
}
