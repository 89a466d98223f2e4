//! Query strings, read strictly: whatever is unknown, missing, there twice or no number is told at once.

use std::collections::HashSet;

use axum::{extract::FromRequestParts, http::request::Parts};
use fanhook_core::fault::{Fault, nearest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;
use utoipa::{
    IntoParams,
    openapi::{Required, path::Parameter},
};

use crate::problem::{Problem, Result};

/// A query string.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse<T: DeserializeOwned + IntoParams>(query: &str) -> Result<T> {
    let faults = faults(&T::into_params(|| None), query);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let fault = Fault::new(error.path().to_string(), error.inner().to_string());
        Problem::invalid(vec![fault])
    })
}

/// All faults of a query beside what is described.
fn faults(described: &[Parameter], query: &str) -> Vec<Fault> {
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(parameter) = described.iter().find(|parameter| parameter.name == name) else {
            let known = described.iter().map(|parameter| parameter.name.as_str());
            let fault = Fault::new(name.as_ref(), "this parameter is unknown");
            faults.push(match nearest(&name, known) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault,
            });
            continue;
        };
        if !seen.insert(parameter.name.as_str()) {
            faults.push(Fault::new(name, "this parameter is there twice"));
        } else if is_whole(parameter) && value.parse::<u32>().is_err() {
            faults.push(Fault::new(name, "this must be a whole number"));
        }
    }
    let needed = described.iter().filter(|parameter| parameter.required == Required::True);
    let missing = needed.filter(|parameter| !seen.contains(parameter.name.as_str()));
    faults.extend(missing.map(|parameter| Fault::new(&parameter.name, "this parameter is missing")));
    faults
}

fn is_whole(parameter: &Parameter) -> bool {
    match &json!(parameter.schema)["type"] {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "integer"),
        kind => kind == "integer",
    }
}
