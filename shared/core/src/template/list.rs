//! The standard list body, for receivers made for it.
//!
//! `{"push":{"id":"…","name":"…","run":"…"},"id_type":"MOBILE","items":[{"id":"…","delivery":"msg_…","params":{…}}]}`; `params` has
//! every parameter of the webhook, a numeric one as a number.

use super::escape::Escape;
use super::parse::{HeadingField, Node, Reference, Template};
use crate::webhook::{Parameter, ParameterType};

/// What is the same for all users of a request.
pub(super) fn root() -> Template {
    let mut root = Template::default();
    for (literal, reference) in [
        (r#"{"push":{"id":""#, Reference::Heading(HeadingField::Push)),
        (r#"","name":""#, Reference::Heading(HeadingField::Name)),
        (r#"","run":""#, Reference::Heading(HeadingField::Run)),
        (r#""},"id_type":""#, Reference::IdType),
    ] {
        root.literal(literal);
        root.hole(reference, Escape::Json);
    }
    root.literal(r#"","items":["#);
    root.nodes.push(Node::Items);
    root.literal("]}");
    root
}

/// One user.
pub(super) fn item(parameters: &[Parameter]) -> Template {
    let mut item = Template::default();
    item.literal(r#"{"id":""#);
    item.hole(Reference::Id, Escape::Json);
    item.literal(r#"","delivery":""#);
    item.hole(Reference::DeliveryId, Escape::Json);
    item.literal(r#"","params":{"#);
    for (index, Parameter { name, kind, .. }) in parameters.iter().enumerate() {
        item.literal(&format!(r#"{}"{name}":"#, if index > 0 { "," } else { "" }));
        if *kind == ParameterType::Numeric {
            item.nodes.push(Node::Number(index));
        } else {
            item.literal("\"");
            item.hole(Reference::Parameter(index), Escape::Json);
            item.literal("\"");
        }
    }
    item.literal("}}");
    item
}
