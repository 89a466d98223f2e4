//! A webhook's content, parsed: what is known before any push gives it values.

use super::address::{self, Address};
use super::parse::{Scope, Template};
use super::{json, list, pairs, text};
use crate::fault::Fault;
use crate::limits;
use crate::webhook::{Body, Content, Method, Parameter};

/// A parsed content; [`Program::compile`](super::Program::compile) fills in a push's values.
#[derive(Clone, Debug)]
pub struct Skeleton {
    pub(super) method: Method,
    pub(super) parameters: Vec<Parameter>,
    /// Whether a request may hold several users, so that all but their items is the same for them.
    pub(super) shared: bool,
    pub(super) address: Address,
    /// Names in lower case, `content-type` among them where there is a body.
    pub(super) headers: Vec<(String, Template)>,
    /// The body; where it has items, its root.
    pub(super) body: Template,
    pub(super) item: Option<Item>,
}

/// The template of an item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) template: Template,
    /// What stands between two items.
    pub(super) separator: &'static str,
}

impl Skeleton {
    /// Parses all templates of a content.
    ///
    /// # Errors
    /// All faults of all templates, each under its field's path in the content; no more templates are read once there
    /// are 50.
    pub fn parse(content: &Content) -> Result<Self, Vec<Fault>> {
        let parameters = &content.parameters;
        let shared = content.batch_size() > 1;
        let scope = Scope { parameters, shared, root: false };
        let mut faults = Vec::new();
        let address = keep(address::parse(&content.url, scope), "url", &mut faults);
        let mut headers = Vec::with_capacity(content.headers.len() + 1);
        for (index, header) in content.headers.iter().enumerate() {
            if faults.len() >= limits::FAULTS {
                return Err(faults);
            }
            let field = format!("headers[{index}].value");
            if let Some(value) = keep(text::parse_header(&header.value, scope), &field, &mut faults) {
                headers.push((header.name.to_ascii_lowercase(), value));
            }
        }
        let root = Scope { root: content.body.has_items(), ..scope };
        let body = match &content.body {
            Body::List {} => Ok(list::root()),
            Body::Json { template, .. } => json::parse(template, root),
            Body::Form { template } => pairs::parse(template, scope),
            Body::Text { template, .. } => text::parse(template, root),
            Body::None {} => Ok(Template::default()),
        };
        let body = keep(body, "body.template", &mut faults);
        let own = Scope { shared: false, ..scope };
        let item = match &content.body {
            Body::List {} => Some((Ok(list::item(parameters)), ",")),
            Body::Json { item: Some(item), .. } => Some((json::parse(item, own), ",")),
            Body::Text { item: Some(item), .. } => Some((text::parse_item(item, own), "\n")),
            _ => None,
        };
        let item = item.and_then(|(parsed, separator)| {
            keep(parsed, "body.item", &mut faults).map(|template| Item { template, separator })
        });
        if let Some(content_type) = content.body.content_type()
            && !headers.iter().any(|(name, _)| name == "content-type")
        {
            let mut value = Template::default();
            value.literal(content_type);
            headers.push(("content-type".to_owned(), value));
        }
        match (address, body) {
            (Some(address), Some(body)) if faults.is_empty() => Ok(Self {
                method: content.method,
                parameters: parameters.clone(),
                shared,
                address,
                headers,
                body,
                item,
            }),
            _ => Err(faults),
        }
    }

    /// Scheme, host and port of every request, as a URL parser normalises them.
    pub fn origin(&self) -> &::url::Url {
        &self.address.origin
    }
}

fn keep<T>(parsed: Result<T, Vec<Fault>>, field: &str, faults: &mut Vec<Fault>) -> Option<T> {
    parsed.map_err(|found| faults.extend(found.into_iter().map(|fault| fault.within(field)))).ok()
}
