//! How a webhook's requests say who calls.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{Content, Header, Rules, check::check_origin, header::check_header};
use crate::{fault::Fault, limits, template::origin};

/// How a request says who calls. Its secret is stored as KMS ciphertext, base64; encryption context: workspace, webhook, field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Authentication {
    /// Not at all.
    None {},
    /// `Authorization: Bearer <secret>` (RFC 6750).
    Bearer {
        /// The encrypted token.
        ciphertext: String,
    },
    /// A header of any name that holds the secret.
    Header {
        /// Name of the header.
        name: String,
        /// The encrypted key.
        ciphertext: String,
    },
    /// `Authorization: Basic <base64 of username:secret>` (RFC 7617).
    Basic {
        /// User name.
        username: String,
        /// The encrypted password.
        ciphertext: String,
    },
    /// `Authorization: Bearer <token>` with an access token of OAuth 2.0 client credentials (RFC 6749, section 4.4).
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens come from, and for whom.
        client: TokenClient,
        /// The encrypted client secret.
        ciphertext: String,
    },
}

/// A client of an authorization server, but for its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenClient {
    /// Full address of the token endpoint.
    pub token_url: String,
    /// The client identifier.
    pub client_id: String,
    /// Scopes, between spaces; none: as the server sees fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom the token is for, where the server wants to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How the client identifier and secret go to the token endpoint.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
}

/// How a client identifier and its secret go to the token endpoint (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// As user name and password of basic authentication.
    #[default]
    Basic,
    /// As fields of the form in the body.
    Body,
}

/// A request for an access token, as it goes to the token endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The address of the token endpoint, as a URL parser writes it.
    pub url: String,
    /// Value of `authorization`, where the client authenticates by it.
    pub authorization: Option<Zeroizing<String>>,
    /// The body, `application/x-www-form-urlencoded`.
    pub body: Zeroizing<String>,
}

impl Default for Authentication {
    fn default() -> Self {
        Self::None {}
    }
}

impl Authentication {
    /// The header that it sets.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::None {} => None,
            Self::Bearer { .. } | Self::Basic { .. } | Self::OAuth2 { .. } => Some("authorization"),
            Self::Header { name, .. } => Some(name),
        }
    }

    /// The encrypted secret.
    pub fn ciphertext(&self) -> Option<&str> {
        match self {
            Self::None {} => None,
            Self::Bearer { ciphertext }
            | Self::Header { ciphertext, .. }
            | Self::Basic { ciphertext, .. }
            | Self::OAuth2 { ciphertext, .. } => Some(ciphertext),
        }
    }

    /// Scheme, host and port of all that the secret, or what is got by it, goes to in requests of this content; none where there is no
    /// secret.
    pub fn goes_to(&self, content: &Content) -> Vec<String> {
        let token_url = match self {
            Self::None {} => return Vec::new(),
            Self::OAuth2 { client, .. } => origin(&client.token_url),
            _ => None,
        };
        let login = token_url.map(|url| url.origin().ascii_serialization());
        login.into_iter().chain(content.origin()).collect()
    }

    /// The header's value with the decrypted secret; none where there is no header, or its token has to be got first.
    pub fn value(&self, secret: &str) -> Option<Zeroizing<String>> {
        match self {
            Self::None {} | Self::OAuth2 { .. } => None,
            Self::Bearer { .. } => Some(bearer(secret)),
            Self::Header { .. } => Some(secret.to_owned().into()),
            Self::Basic { username, .. } => Some(basic(username, secret)),
        }
    }

    /// All faults, each under its field's path.
    pub(super) fn check(&self, content: &Content, rules: Rules<'_>) -> Vec<Fault> {
        let mut faults = match self {
            Self::None {} | Self::Bearer { .. } => Vec::new(),
            Self::Header { name, .. } => {
                let header = Header { name: name.clone(), value: String::new() };
                let faults = check_header(&header, &content.body).into_iter();
                faults.map(|fault| Fault { field: "name".to_owned(), ..fault }).collect()
            }
            Self::Basic { username, .. } => check_username(username).into_iter().collect(),
            Self::OAuth2 { client, .. } => client.check(rules),
        };
        let taken = |name: &str| content.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
        if let Some(name) = self.header().filter(|name| taken(name)) {
            let fault = Fault::new("", format!("`{name}` is one of the static headers already"));
            faults.push(fault.hint("remove the static header, or authenticate in another way"));
        }
        faults
    }
}

/// `Bearer` with a token. Texts that hold secrets are made at their full length: one that grows leaves its beginning behind, unwiped.
pub fn bearer(token: &str) -> Zeroizing<String> {
    ["Bearer ", token].concat().into()
}

fn basic(username: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new([username, ":", password].concat());
    let pair = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
    ["Basic ", &pair].concat().into()
}

fn check_username(username: &str) -> Option<Fault> {
    let fits = (1..=limits::USERNAME).contains(&username.len());
    let fits = fits && !username.contains(':') && !username.chars().any(char::is_control);
    let detail = format!(
        "a user name has 1 to {} bytes, no colon and no control characters (RFC 7617)",
        limits::USERNAME
    );
    (!fits).then(|| Fault::new("username", detail))
}

impl TokenClient {
    /// The request for a token with the decrypted client secret.
    pub fn request(&self, secret: &str) -> TokenRequest {
        let texts = [Some(secret), Some(&self.client_id), self.scope.as_deref(), self.audience.as_deref()];
        let length = FORM + texts.into_iter().flatten().map(|text| ENCODED * text.len()).sum::<usize>();
        let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(length));
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &self.scope), ("audience", &self.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let authorization = match self.client_authentication {
            // Both encoded as a form encodes them, before they are joined: so the section says.
            ClientAuthentication::Basic => Some(basic(&encoded(&self.client_id), &encoded(secret))),
            ClientAuthentication::Body => {
                form.append_pair("client_id", &self.client_id).append_pair("client_secret", secret);
                None
            }
        };
        let url = Url::parse(&self.token_url).map_or_else(|_| self.token_url.clone(), String::from);
        TokenRequest { url, authorization, body: form.finish().into() }
    }

    fn check(&self, rules: Rules<'_>) -> Vec<Fault> {
        let mut faults: Vec<_> = check_token_url(&self.token_url, rules)
            .into_iter()
            .map(|fault| fault.within("token_url"))
            .collect();
        let lengths = 1..=limits::CLIENT_TEXT;
        let printable = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !lengths.contains(&self.client_id.len()) || !printable(&self.client_id) {
            let detail =
                format!("a client identifier is 1 to {} visible ASCII characters", limits::CLIENT_TEXT);
            faults.push(Fault::new("client_id", detail));
        }
        let is_scope = |scope: &str| {
            let token = |token: &str| !token.is_empty() && !token.contains(['"', '\\']);
            lengths.contains(&scope.len()) && printable(scope) && scope.split(' ').all(token)
        };
        if self.scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
            let detail = format!(
                "a scope is 1 to {} visible ASCII characters but `\"` and `\\`, with a space between two scopes (RFC 6749)",
                limits::CLIENT_TEXT
            );
            faults.push(Fault::new("scope", detail));
        }
        let is_audience = |text: &str| lengths.contains(&text.len()) && !text.chars().any(char::is_control);
        if self.audience.as_deref().is_some_and(|audience| !is_audience(audience)) {
            let detail =
                format!("an audience has 1 to {} bytes and no control characters", limits::CLIENT_TEXT);
            faults.push(Fault::new("audience", detail));
        }
        faults
    }
}

/// Bytes of the names of a form, and what stands between them.
const FORM: usize = 128;
/// Most bytes that one is written as in a form.
const ENCODED: usize = 3;

/// A text as a value of a form.
fn encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(ENCODED * text.len()));
    encoded.extend(url::form_urlencoded::byte_serialize(text.as_bytes()));
    encoded
}

fn check_token_url(text: &str, rules: Rules<'_>) -> Vec<Fault> {
    if text.len() > limits::URL_TEMPLATE {
        return vec![Fault::new("", format!("a URL has at most {} bytes", limits::URL_TEMPLATE))];
    }
    // A URL parser reads an address out of `https:host` as well; the rules of addresses are held to what is written in full.
    let Some(url) = Url::parse(text).ok().filter(|_| origin(text).is_some()) else {
        let hint = "write the full address, as in `https://example.com/oauth2/token`";
        return vec![Fault::new("", "this is no address that can be called").hint(hint)];
    };
    let mut faults = check_origin(text, rules);
    if !url.username().is_empty() || url.password().is_some() {
        let fault = Fault::new("", "a token URL names no user and no password");
        faults.push(fault.hint("write them as `client_id` and `secret`"));
    }
    if url.fragment().is_some() {
        faults.push(Fault::new("", "a token URL has no fragment (RFC 6749, section 3.2)"));
    }
    if text.contains(|c: char| matches!(c, '{' | '}' | '\\') || c.is_whitespace() || c.is_control()) {
        let detail = "a token URL holds no placeholders, spaces, control characters or `\\`";
        faults.push(Fault::new("", detail));
    }
    faults
}

/// Without the secret.
impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenRequest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> TokenClient {
        TokenClient {
            token_url: "https://login.example.com/token".to_owned(),
            client_id: "shop 1".to_owned(),
            scope: Some("coupons:write members".to_owned()),
            audience: None,
            client_authentication: ClientAuthentication::Basic,
        }
    }

    #[test]
    fn a_token_is_asked_for_as_rfc_6749_says() {
        let basic = client().request("s/+:ä");
        assert_eq!(basic.body.as_str(), "grant_type=client_credentials&scope=coupons%3Awrite+members");
        let expected = format!("Basic {}", BASE64_STANDARD.encode("shop+1:s%2F%2B%3A%C3%A4"));
        assert_eq!(basic.authorization, Some(expected.into()));
        let idn = TokenClient { token_url: "https://Bücher.example/tokén".to_owned(), ..client() };
        assert_eq!(idn.request("s").url, "https://xn--bcher-kva.example/tok%C3%A9n");

        let audience = Some("https://api.example.com".to_owned());
        let body = ClientAuthentication::Body;
        let body = TokenClient { client_authentication: body, audience, scope: None, ..client() };
        let body = body.request("s&ecret");
        let expected = "grant_type=client_credentials&audience=https%3A%2F%2Fapi.example.com\
            &client_id=shop+1&client_secret=s%26ecret";
        assert_eq!((body.authorization, body.body.as_str()), (None, expected));
    }

    #[test]
    fn a_text_that_holds_a_secret_never_outgrows_its_memory() {
        let texts = Some("ä".repeat(limits::CLIENT_TEXT));
        let client_authentication = ClientAuthentication::Body;
        let client =
            TokenClient { scope: texts.clone(), audience: texts.clone(), client_authentication, ..client() };
        let room = |secret| client.request(secret).body.capacity();
        assert!(room("") < room("ä"));
        let body = client.request(&"ä".repeat(1_000)).body;
        assert_eq!(body.capacity(), room("") + 2_000 * ENCODED, "it has the room that it began with");
        let encoded = encoded(&"ä".repeat(1_000));
        assert_eq!(encoded.capacity(), encoded.len());
    }

    #[test]
    fn all_faults_of_a_client_are_told_at_once() {
        let rules = Rules { allow_http: false, address: &|_, _| Ok(()) };
        let fields = |client: TokenClient| -> Vec<String> {
            client.check(rules).into_iter().map(|fault| fault.field).collect()
        };
        assert!(fields(client()).is_empty());
        let wrong = TokenClient {
            token_url: "http://login.example.com/#x".to_owned(),
            client_id: String::new(),
            scope: Some("two  spaces".to_owned()),
            audience: Some("a\nb".to_owned()),
            client_authentication: ClientAuthentication::Body,
        };
        assert_eq!(fields(wrong), ["token_url", "token_url", "client_id", "scope", "audience"]);
        for url in [
            "",
            "login.example.com/token",
            "ftp://login.example.com/",
            "https://u:p@login.example.com/",
            "https://login.example.com/{id}",
            "https://login.example.com:25/",
            "https://",
            "https:login.example.com/token",
            "https:127.0.0.1/token",
            "https:///login.example.com/token",
        ] {
            assert_eq!(fields(TokenClient { token_url: url.to_owned(), ..client() }), ["token_url"], "{url}");
        }
        let of = |length: usize| "x".repeat(length);
        for (length, count) in [(limits::CLIENT_TEXT, 0), (limits::CLIENT_TEXT + 1, 3)] {
            let (scope, audience) = (Some(of(length)), Some(of(length)));
            let client = TokenClient { client_id: of(length), scope, audience, ..client() };
            assert_eq!(fields(client).len(), count);
        }
        for scope in ["", " a", "a ", "a\"b", "a\\b", "ä"] {
            assert_eq!(
                fields(TokenClient { scope: Some(scope.to_owned()), ..client() }),
                ["scope"],
                "{scope}"
            );
        }
    }

    #[test]
    fn a_token_url_is_held_to_the_rules_of_addresses() {
        let address = |host: url::Host<&str>, _: u16| match host {
            url::Host::Ipv4(_) => Err("it is special".to_owned()),
            _ => Ok(()),
        };
        let rules = Rules { allow_http: true, address: &address };
        let faults =
            TokenClient { token_url: "http://169.254.169.254/token".to_owned(), ..client() }.check(rules);
        assert_eq!((faults.len(), faults[0].detail.as_str()), (1, "it is special"));
    }
}
