//! What a webhook must fulfil before it is saved.

use std::collections::HashSet;

use url::Host;

use super::header::check_header;
use super::{Body, Content, Limits, Method, ParameterType, Receipts, RetryPolicy, Webhook, port};
use crate::fault::Fault;
use crate::limits;
use crate::template::{BUILT_IN, Skeleton, origin};

/// Whether a host and port may be called; the error tells a person why not. Where the host is a name, only the name
/// is judged: its addresses are, when it is dialled.
pub type AddressRule<'a> = dyn Fn(Host<&str>, u16) -> Result<(), String> + 'a;

/// What the deployment allows.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Whether `http` is allowed beside `https`.
    pub allow_http: bool,
    /// Which hosts and ports may be called.
    pub address: &'a AddressRule<'a>,
}

impl Webhook {
    /// All faults of a webhook, each under its field's path.
    pub fn check(&self, rules: Rules<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        check_name("name", &self.name, &mut faults);
        check_description(&self.description, &mut faults);
        faults.extend(self.content.check(rules).into_iter().map(|fault| fault.within("content")));
        if self.id_types.is_empty() {
            faults.push(Fault::new("id_types", "a webhook takes at least one ID type"));
        }
        if self.id_types.len() > limits::ID_TYPES {
            faults.push(Fault::new("id_types", format!("there are at most {} ID types", limits::ID_TYPES)));
        }
        let mut seen = HashSet::new();
        let named = self.id_types.iter().take(limits::ID_TYPES).enumerate();
        for (index, code) in named.filter(|(_, code)| !seen.insert(*code)) {
            faults.push(Fault::new(format!("id_types[{index}]"), format!("`{code}` is named twice")));
        }
        let authentication = self.authentication.check(&self.content, rules).into_iter();
        faults.extend(authentication.map(|fault| fault.within("authentication")));
        faults.extend(self.limits.check().into_iter().map(|fault| fault.within("limits")));
        faults.extend(self.retry.check().into_iter().map(|fault| fault.within("retry")));
        let receipts = self.receipts.as_ref().map(Receipts::check).unwrap_or_default();
        faults.extend(receipts.into_iter().map(|fault| fault.within("receipts")));
        faults
    }
}

impl Limits {
    /// All faults of the limits.
    pub fn check(&self) -> Vec<Fault> {
        let limits = [
            ("requests_per_second", self.requests_per_second, "request a second"),
            ("requests_at_a_time", self.requests_at_a_time, "request at a time"),
        ];
        let zero = limits.into_iter().filter(|(_, limit, _)| *limit == Some(0));
        let fault = |(field, _, unit)| {
            Fault::new(field, format!("a limit is at least one {unit}"))
                .hint("leave it out for no limit; pause a run to stop it")
        };
        zero.map(fault).collect()
    }
}

impl RetryPolicy {
    /// All faults of the policy.
    pub fn check(&self) -> Vec<Fault> {
        let long = self.give_up_after_seconds > limits::GIVE_UP_AFTER;
        let fault = || {
            Fault::new(
                "give_up_after_seconds",
                format!("at most {} seconds, which is 30 days", limits::GIVE_UP_AFTER),
            )
        };
        long.then(fault).into_iter().collect()
    }
}

impl Content {
    /// All faults of a content, each under its field's path.
    pub fn check(&self, rules: Rules<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.url.len() > limits::URL_TEMPLATE {
            faults.push(Fault::new("url", format!("a URL has at most {} bytes", limits::URL_TEMPLATE)));
        }
        faults.extend(check_origin(&self.url, rules).into_iter().map(|fault| fault.within("url")));
        self.check_headers(&mut faults);
        self.check_parameters(&mut faults);
        self.check_body(&mut faults);
        let deadline = u64::from(self.deadline_seconds);
        if !(1..=limits::DEADLINE.as_secs()).contains(&deadline) {
            let detail = format!("a deadline is 1 to {} seconds", limits::DEADLINE.as_secs());
            faults.push(Fault::new("deadline_seconds", detail));
        }
        // Time to parse is bounded by these, and by nothing else.
        let bounded = self.url.len() <= limits::URL_TEMPLATE
            && self.body.template().len() <= limits::BODY_TEMPLATE
            && self.body.item().is_none_or(|item| item.len() <= limits::BODY_TEMPLATE)
            && self.headers.len() <= limits::HEADERS
            && self.parameters.len() <= limits::PARAMETERS;
        if bounded {
            faults.extend(Skeleton::parse(self).err().unwrap_or_default());
        }
        faults
    }

    fn check_body(&self, faults: &mut Vec<Fault>) {
        let templates = [("body.template", Some(self.body.template())), ("body.item", self.body.item())];
        for (field, template) in templates {
            if template.is_some_and(|template| template.len() > limits::BODY_TEMPLATE) {
                let detail = format!("a body's template has at most {} bytes", limits::BODY_TEMPLATE);
                faults.push(Fault::new(field, detail));
            }
        }
        if matches!(self.method, Method::Get | Method::Delete) && !matches!(self.body, Body::None {}) {
            let detail = format!("a `{}` request has no body", self.method.as_str());
            faults.push(Fault::new("body", detail).hint("choose the body `none`, or the method `POST`"));
        }
        let size = self.batch_size();
        if !(1..=limits::BATCH).contains(&size) {
            faults.push(Fault::new("batch_size", format!("a request holds 1 to {} users", limits::BATCH)));
        } else if size > 1 && !self.body.has_items() {
            let fault = Fault::new("batch_size", "a body without items holds one user");
            faults.push(fault.hint("give a JSON or text body an `item`, or choose the body `list`"));
        }
        if self.split_refused && size == 1 {
            let detail = "a request for one user can't be split";
            faults.push(Fault::new("split_refused", detail).hint("make `batch_size` more than 1"));
        }
        if let Some(rule) = &self.success {
            let found = rule.check(self.body.has_items());
            faults.extend(found.into_iter().map(|fault| fault.within("success")));
        }
    }

    fn check_headers(&self, faults: &mut Vec<Fault>) {
        if self.headers.len() > limits::HEADERS {
            faults.push(Fault::new("headers", format!("a webhook has at most {} headers", limits::HEADERS)));
        }
        let mut seen = HashSet::new();
        for (index, header) in self.headers.iter().take(limits::HEADERS).enumerate() {
            let field = format!("headers[{index}]");
            faults.extend(check_header(header, &self.body).into_iter().map(|fault| fault.within(&field)));
            if !seen.insert(header.name.to_ascii_lowercase()) {
                faults.push(Fault::new(format!("{field}.name"), format!("`{}` is set already", header.name)));
            }
        }
    }

    fn check_parameters(&self, faults: &mut Vec<Fault>) {
        if self.parameters.len() > limits::PARAMETERS {
            faults.push(Fault::new(
                "parameters",
                format!("a webhook has at most {} parameters", limits::PARAMETERS),
            ));
        }
        let calls = self.parameters.iter().filter(|parameter| parameter.kind == ParameterType::Call);
        if calls.count() > limits::CALLS {
            let detail = format!("at most {} parameters are of type `call`", limits::CALLS);
            faults.push(Fault::new("parameters", detail));
        }
        let mut seen = HashSet::new();
        for (index, parameter) in self.parameters.iter().take(limits::PARAMETERS).enumerate() {
            let field = format!("parameters[{index}]");
            let name = parameter.name.as_str();
            if BUILT_IN.contains(&name) {
                let detail = format!("`{{{name}}}` is built in");
                faults.push(Fault::new(format!("{field}.name"), detail).hint("choose another name"));
            }
            if !seen.insert(name) {
                faults.push(Fault::new(format!("{field}.name"), format!("`{name}` is a parameter already")));
            }
            match (parameter.kind, parameter.source) {
                (ParameterType::Call, None) => {
                    let fault = Fault::new(format!("{field}.source"), "a `call` names its parameter source");
                    faults.push(fault.hint("`GET /parameter-sources` lists them"));
                }
                (ParameterType::Call, Some(_)) | (_, None) => {}
                (_, Some(_)) => {
                    let detail = "only a parameter of type `call` has a source";
                    faults.push(Fault::new(format!("{field}.source"), detail));
                }
            }
            if parameter.display_name.chars().count() > limits::NAME {
                let detail = format!("a display name has at most {} characters", limits::NAME);
                faults.push(Fault::new(format!("{field}.display_name"), detail));
            }
        }
    }
}

/// Checks scheme, host and port of an address; what is no address at all, its parser tells.
pub(super) fn check_origin(url: &str, rules: Rules<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some(origin) = origin(url) else { return faults };
    if origin.scheme() == "http" && !rules.allow_http {
        let hint = "write `https://`; this deployment does not allow `http`";
        faults.push(Fault::new("", "only https is called").at(url, 0).hint(hint));
    }
    if let (Some(host), Some(port)) = (origin.host(), origin.port_or_known_default()) {
        let place = url.find("://").map_or(0, |at| at + 3);
        if let Err(reason) = port::check(port).and_then(|()| (rules.address)(host, port)) {
            faults.push(Fault::new("", reason).at(url, place));
        }
    }
    faults
}

/// Checks the name that people give to a webhook or a push.
pub(crate) fn check_name(field: &str, name: &str, faults: &mut Vec<Fault>) {
    let fits = (1..=limits::NAME).contains(&name.chars().count()) && !name.trim().is_empty();
    if !fits || name.chars().any(char::is_control) {
        faults.push(Fault::new(
            field,
            format!("a name has 1 to {} characters, no control characters, and is not blank", limits::NAME),
        ));
    }
}

/// Checks what people write of a webhook or a parameter source.
pub(crate) fn check_description(description: &str, faults: &mut Vec<Fault>) {
    if description.chars().count() > limits::DESCRIPTION {
        let detail = format!("a description has at most {} characters", limits::DESCRIPTION);
        faults.push(Fault::new("description", detail));
    }
}
