//! A parameter source as callers see it: without its workspace's name and without its secret.

use fanhook_core::{
    id::ParameterSourceId,
    parameter_source::{Constant, Interface, InterfaceMethod, ParameterSource, SourceValue},
    webhook::Header,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::audit::masked;

/// A parameter source as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParameterSource)]
#[schema(example = json!({
    "id": "prs_0190a5b2c3d4e5f60718293a4b5c6d7e", "version": 1, "name": "Coupon of the day", "description": "",
    "value": {"kind": "constant", "type": "character", "text": "B10"},
}))]
pub(crate) struct ParameterSourceView {
    /// Its identifier.
    id: ParameterSourceId,
    /// Counts the changes, from 1.
    version: u32,
    /// Unique in the workspace.
    name: String,
    /// Free text.
    description: String,
    /// What gives the value.
    value: ValueView,
}

/// What gives the value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = ParameterSourceValue)]
enum ValueView {
    /// It is always the same.
    Constant(Constant),
    /// An HTTP API is asked for it when a run starts.
    Interface(InterfaceView),
}

/// An interface without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParameterInterface)]
struct InterfaceView {
    /// Full address.
    url: String,
    /// HTTP method.
    method: InterfaceMethod,
    /// Headers.
    headers: Vec<Header>,
    /// The JSON text of a `POST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Name of the header that holds a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_header: Option<SecretHeaderView>,
    /// JSON pointer to the value in the answer.
    pointer: String,
}

/// A header that holds a secret, which is told to nobody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretHeader)]
struct SecretHeaderView {
    /// Its name.
    name: String,
}

impl From<&ParameterSource> for ParameterSourceView {
    fn from(source: &ParameterSource) -> Self {
        Self {
            id: source.id,
            version: source.version,
            name: source.name.clone(),
            description: source.description.clone(),
            value: match &source.value {
                SourceValue::Constant(constant) => ValueView::Constant(constant.clone()),
                SourceValue::Interface(interface) => ValueView::Interface(interface.into()),
            },
        }
    }
}

impl ParameterSourceView {
    /// A parameter source as the audit log tells it.
    pub(crate) fn audited(source: &ParameterSource) -> Value {
        let secret = match &source.value {
            SourceValue::Constant(_) => None,
            SourceValue::Interface(interface) => interface.secret_header.as_ref(),
        };
        let secret = secret.map(|header| header.ciphertext.as_str());
        masked(&Self::from(source), [("/value/secret_header", secret)])
    }
}

impl From<&Interface> for InterfaceView {
    fn from(interface: &Interface) -> Self {
        let Interface { url, method, headers, body, secret_header, pointer } = interface.clone();
        let secret_header = secret_header.map(|header| SecretHeaderView { name: header.name });
        Self { url, method, headers, body, secret_header, pointer }
    }
}
