//! The values of parameters of type `call`: taken once, when a run starts, and pinned by it.

use std::collections::{BTreeMap, BTreeSet};

use fanhook_core::{
    direct::{Answer, Fetch, Question},
    fault::Fault,
    id::{Name, ParameterSourceId},
    limits,
    parameter_source::{ParameterSource, SourceValue},
    webhook::{Parameter, ParameterType, Webhook},
};
use fanhook_store::parameter_sources;
use futures_util::future::{join_all, try_join_all};

use crate::{
    access::Caller,
    problem::{Problem, Result},
    trial::{ask, end, unexpected},
};

/// Values by parameter.
pub(crate) type Calls = BTreeMap<Name, String>;

/// Faults of a webhook's parameters that name a source which is not there.
pub(crate) async fn check(caller: &Caller, webhook: &Webhook) -> Result<Vec<Fault>> {
    let named: Vec<(usize, ParameterSourceId)> = (0..)
        .zip(webhook.content.parameters.iter().take(limits::PARAMETERS))
        .filter_map(|(index, parameter)| Some((index, parameter.source?)))
        .collect();
    let sources: BTreeSet<ParameterSourceId> = named.iter().map(|(_, source)| *source).collect();
    let found = sources.into_iter().map(async |id| {
        let found = parameter_sources::get(&*caller.config, &caller.workspace, id).await?;
        Ok::<_, Problem>(found.map(|_| id))
    });
    let found: BTreeSet<_> = try_join_all(found).await?.into_iter().flatten().collect();
    let missing = named.into_iter().filter(|(_, source)| !found.contains(source));
    let fault = |(index, _)| {
        let fault = Fault::new(place(index), "there is no such parameter source");
        fault.hint("`GET /parameter-sources` lists them")
    };
    Ok(missing.map(fault).collect())
}

/// Their names in place of their values, for who asks nobody.
pub(crate) fn names(webhook: &Webhook) -> Calls {
    calls(webhook).map(|(_, parameter)| (parameter.name.clone(), parameter.name.to_string())).collect()
}

/// Takes the values of a webhook's parameters of type `call`: each source is asked once.
pub(crate) async fn take(caller: &Caller, webhook: &Webhook) -> Result<Calls> {
    let sources = webhook.content.sources();
    let values = join_all(sources.iter().map(async |&id| (id, value(caller, id).await))).await;
    let mut taken: BTreeMap<ParameterSourceId, std::result::Result<String, Fault>> = BTreeMap::new();
    for (id, value) in values {
        taken.insert(id, value?);
    }
    let (mut calls, mut faults) = (Calls::new(), Vec::new());
    for (index, parameter) in self::calls(webhook) {
        match parameter.source.and_then(|id| taken.get(&id)) {
            Some(Ok(value)) if value.trim().is_empty() && parameter.required => {
                faults.push(Fault::new(
                    place(index),
                    "its parameter source gives a blank text, and it is required",
                ));
            }
            Some(Ok(value)) => drop(calls.insert(parameter.name.clone(), value.clone())),
            Some(Err(fault)) => faults.push(Fault { field: place(index), ..fault.clone() }),
            None => faults.push(Fault::new(place(index), "its parameter source is gone")),
        }
    }
    if faults.is_empty() { Ok(calls) } else { Err(failed(faults)) }
}

/// 409: what parameter sources gave can't be sent.
pub(crate) fn failed(faults: Vec<Fault>) -> Problem {
    let detail = "a parameter source gives no value that can be sent; nothing was sent";
    Problem::conflict("parameter_source_failed", detail).errors(faults)
}

/// A fault of a value that a parameter source gave, told of the parameter.
pub(crate) fn of_source(fault: Fault, webhook: &Webhook) -> Fault {
    let name = fault.field.strip_prefix("push.values.");
    let parameter = calls(webhook).find(|(_, parameter)| Some(parameter.name.as_str()) == name);
    match parameter {
        Some((index, _)) => Fault { field: place(index), ..fault },
        None => fault,
    }
}

/// The value of a source, or why there is none.
async fn value(caller: &Caller, id: ParameterSourceId) -> Result<std::result::Result<String, Fault>> {
    let source = parameter_sources::get(&*caller.config, &caller.workspace, id).await?;
    let Some(ParameterSource { value, name, .. }) = source else {
        return Ok(Err(Fault::new("", "its parameter source is gone")));
    };
    let interface = match value {
        SourceValue::Constant(constant) => return Ok(Ok(constant.text)),
        SourceValue::Interface(interface) => interface,
    };
    let fetch = Fetch { workspace: caller.workspace.clone(), source: id, interface, end: end(caller) };
    match ask(caller, &Question::Fetch(Box::new(fetch))).await? {
        Answer::Value { value } => Ok(Ok(value)),
        Answer::NoValue { failure } => {
            let fault = Fault::new("", format!("`{name}`: {}", failure.detail));
            Ok(Err(fault.hint(failure.hint)))
        }
        other => Err(unexpected(&other)),
    }
}

fn calls(webhook: &Webhook) -> impl Iterator<Item = (usize, &Parameter)> {
    let parameters = webhook.content.parameters.iter().enumerate();
    parameters.filter(|(_, parameter)| parameter.kind == ParameterType::Call)
}

fn place(index: usize) -> String {
    format!("content.parameters[{index}].source")
}
