//! The language by example and by property, from the text of a template to a rendered request.

mod address;
mod items;
mod json;
mod pairs;
mod program;
mod properties;
mod text;
mod values;

use std::collections::BTreeMap;

use super::{Added, Heading, Program, Rendered, Skeleton, Unrendered, Values};
use crate::fault::Fault;
use crate::id::Name;
use crate::push::{IdPolicy, PushContent, SendForm, StartedBy, Variable, VariableSource, WhenEmpty};
use crate::webhook::{Body, Content, Header, Method, Parameter, ParameterType};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn parameter(text: &str, kind: ParameterType) -> Parameter {
    Parameter { name: name(text), display_name: String::new(), kind, source: None, required: false }
}

/// A content with the parameters `a`, `b` (text), `n` (numeric), `coupon` (text), and this body.
fn content(body: Body) -> Content {
    use ParameterType::{Numeric, Text};
    Content {
        url: "https://crm.example.com/coupons".to_owned(),
        method: Method::Post,
        headers: Vec::new(),
        parameters: vec![
            parameter("a", Text),
            parameter("b", Text),
            parameter("n", Numeric),
            parameter("coupon", Text),
        ],
        body,
        batch_size: None,
        success: None,
        split_refused: false,
        carry_environment: false,
        deadline_seconds: 10,
    }
}

fn json(template: &str) -> Content {
    content(Body::Json { template: template.to_owned(), item: None })
}

fn form(template: &str) -> Content {
    content(Body::Form { template: template.to_owned() })
}

fn text(template: &str) -> Content {
    content(Body::Text { template: template.to_owned(), item: None })
}

fn url(template: &str) -> Content {
    Content { url: template.to_owned(), ..content(Body::None {}) }
}

fn header(template: &str) -> Content {
    let header = Header { name: "X-Note".to_owned(), value: template.to_owned() };
    Content { headers: vec![header], ..content(Body::None {}) }
}

/// A push with these values and the variables `x` and `y`, as far as the values use them.
fn push(values: &[(&str, &str)]) -> PushContent {
    let uses = |variable: &str| {
        values.iter().any(|(_, value)| value.replace("$${", "").contains(&format!("${{{variable}}}")))
    };
    let variable = |text: &str| Variable {
        name: name(text),
        source: VariableSource::Tag(format!("tag {text}")),
        when_empty: WhenEmpty::Blank,
    };
    PushContent {
        id_types: vec!["MOBILE".parse().unwrap()],
        id_policy: IdPolicy::First,
        send_form: SendForm::Plain,
        values: values
            .iter()
            .map(|(key, value)| (name(key), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        variables: ["x", "y"].into_iter().filter(|text| uses(text)).map(variable).collect(),
        started_by: StartedBy::Audience,
    }
}

/// The push whose `a` is `${x}` and whose `b` is `${y}`.
fn variables() -> PushContent {
    push(&[("a", "${x}"), ("b", "${y}")])
}

fn compile(content: &Content, push: &PushContent) -> Result<Program, Vec<Fault>> {
    Program::compile(content, push, Heading { push: "psh_1", name: "Spring \"26\"", run: "run_1" })
}

fn render_tags(content: &Content, push: &PushContent, tags: &[Option<&str>]) -> Result<Rendered, Unrendered> {
    let program = compile(content, push).unwrap();
    let mut rendered = Rendered::default();
    let values = Values { id: "+31 6", id_type: "MOBILE", delivery_id: "msg_1", tags };
    program.render(&values, &mut rendered).map(|()| rendered)
}

/// Renders with `x` for `{a}` and `y` for `{b}`.
fn render(content: &Content, x: &str, y: &str) -> Result<Rendered, Unrendered> {
    render_tags(content, &variables(), &[Some(x), Some(y)])
}

/// The faults of a content's templates, as `field line:column detail (hint)`.
fn faults(content: &Content) -> Vec<String> {
    described(&Skeleton::parse(content).err().unwrap_or_default())
}

fn described(faults: &[Fault]) -> Vec<String> {
    let describe = |fault: &Fault| {
        let place = fault.line.zip(fault.column).map(|(line, column)| format!(" {line}:{column}"));
        let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})"));
        format!("{}{} {}{}", fault.field, place.unwrap_or_default(), fault.detail, hint.unwrap_or_default())
    };
    faults.iter().map(describe).collect()
}

/// Asserts that there is exactly one fault at each place, in this order: `line:column` and a part of its text.
fn assert_places(content: &Content, expected: &[(&str, &str)]) {
    let found = faults(content);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (fault, (place, part)) in found.iter().zip(expected) {
        assert!(
            fault.contains(&format!(" {place} ")) && fault.contains(part),
            "{fault}: not {part} at {place}"
        );
    }
}
