//! A webhook's content and a push's values, compiled into literals and slots.

use super::escape::Escape;
use super::parse::{Guard, Keys, Node, Reference, Template};
use super::render::{DUPLICATE_KEY, Unrendered};
use super::skeleton::Skeleton;
use super::value::{Piece, Value};
use crate::fault::Fault;
use crate::push::{PushContent, Variable, VariableSource, WhenEmpty};
use crate::webhook::{Content, MAX_BODY, MAX_HEADER_VALUE, MAX_URL, Method};

/// Most slots of a program: a bound on memory and time, far above what a message needs.
const MAX_SLOTS: usize = 4096;

/// A compiled push: what every recipient's request is rendered from. Share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) method: Method,
    pub(super) url: Part,
    pub(super) constant_headers: Vec<(String, String)>,
    pub(super) header_names: Vec<String>,
    pub(super) headers: Vec<Part>,
    pub(super) body: Part,
    /// Keys that must differ, decoded.
    pub(super) keys: Vec<Vec<Part>>,
    pub(super) variables: Vec<Compiled>,
    /// Required parameters that consist of variables which may end up blank.
    pub(super) required: Vec<(String, Vec<usize>)>,
    pub(super) tags: Vec<String>,
}

/// Literals and the steps between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) steps: Vec<Step>,
    pub(super) tail: Box<str>,
}

/// A literal, then an action.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) literal: Box<str>,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Put(Slot, Escape),
    /// With the placeholder to name.
    Guard(Guard, Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Id,
    IdType,
    DeliveryId,
    /// Index in the program's variables.
    Variable(usize),
}

/// A variable, ready to be looked up.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    /// As it is written, `${name}`.
    pub(super) name: String,
    /// Index in the program's tags.
    pub(super) tag: usize,
    pub(super) on_empty: OnEmpty,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OnEmpty {
    Blank,
    Default(String),
    Skip,
}

impl Program {
    /// Compiles a webhook's content with a push's values.
    ///
    /// # Errors
    /// All faults of both, under `webhook` and `push`. There are none where both have passed their checks.
    pub fn compile(webhook: &Content, push: &PushContent) -> Result<Self, Vec<Fault>> {
        let within = |prefix: &'static str| {
            move |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.within(prefix)).collect::<Vec<_>>()
        };
        let skeleton = Skeleton::parse(webhook).map_err(within("webhook"))?;
        Self::fill(&skeleton, push).map_err(within("push"))
    }

    /// Fills a parsed content with a push's values.
    ///
    /// # Errors
    /// All faults of the values, each under its field's path in the push's content.
    pub fn fill(skeleton: &Skeleton, push: &PushContent) -> Result<Self, Vec<Fault>> {
        let values = push.parse_values(&skeleton.parameters)?;
        let mut tags = Vec::new();
        let variables = push.variables.iter().map(|variable| compiled(variable, &mut tags)).collect();
        let mut compiler = Compiler { skeleton, values: &values, slots: 0, faults: Vec::new() };
        let url = compiler.part(&skeleton.address.template, MAX_URL);
        let mut constant_headers = Vec::new();
        let mut header_names = Vec::new();
        let mut headers = Vec::new();
        for (name, template) in &skeleton.headers {
            let part = compiler.part(template, MAX_HEADER_VALUE);
            if part.steps.is_empty() {
                constant_headers.push((name.clone(), part.tail.into()));
            } else {
                header_names.push(name.clone());
                headers.push(part);
            }
        }
        let body = compiler.part(&skeleton.body, MAX_BODY);
        let keys = skeleton.address.template.keys.iter().chain(&skeleton.body.keys);
        let keys = keys.filter_map(|keys| compiler.keys(keys)).collect();
        let mut faults = compiler.faults;
        if !faults.is_empty() {
            faults.dedup();
            return Err(faults);
        }
        let required = required(skeleton, &values, push);
        let method = skeleton.method;
        Ok(Self {
            method,
            url,
            constant_headers,
            header_names,
            headers,
            body,
            keys,
            variables,
            required,
            tags,
        })
    }

    /// The method of every request.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The URL, where it is the same for every recipient.
    pub fn constant_url(&self) -> Option<&str> {
        self.url.steps.is_empty().then_some(&*self.url.tail)
    }

    /// Headers that are the same for every recipient: names in lower case, and values.
    pub fn constant_headers(&self) -> &[(String, String)] {
        &self.constant_headers
    }

    /// Names, in lower case, of the headers that differ between recipients.
    pub fn header_names(&self) -> &[String] {
        &self.header_names
    }

    /// Names of the tags to look up, in the order that [`Values::tags`](super::Values::tags) has them.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether every request is the same.
    pub fn is_constant(&self) -> bool {
        let parts = std::iter::once(&self.url).chain(&self.headers).chain(std::iter::once(&self.body));
        parts.into_iter().all(|part| part.steps.is_empty()) && self.keys.is_empty()
    }

    /// Whether the recipient's ID stands anywhere in the request.
    pub fn uses_id(&self) -> bool {
        let parts = std::iter::once(&self.url).chain(&self.headers).chain(std::iter::once(&self.body));
        parts.flat_map(|part| &part.steps).any(|step| matches!(step.action, Action::Put(Slot::Id, _)))
    }
}

fn compiled(variable: &Variable, tags: &mut Vec<String>) -> Compiled {
    let VariableSource::Tag(tag) = &variable.source;
    let index = tags.iter().position(|known| known == tag).unwrap_or_else(|| {
        tags.push(tag.clone());
        tags.len() - 1
    });
    let on_empty = match &variable.when_empty {
        WhenEmpty::Blank => OnEmpty::Blank,
        WhenEmpty::Default(text) => OnEmpty::Default(text.clone()),
        WhenEmpty::SkipUser => OnEmpty::Skip,
    };
    Compiled { name: format!("${{{}}}", variable.name), tag: index, on_empty }
}

/// The required parameters whose value is nothing but variables that may be blank.
fn required(skeleton: &Skeleton, values: &[Value], push: &PushContent) -> Vec<(String, Vec<usize>)> {
    let may_be_blank = |piece: &Piece| match piece {
        Piece::Variable(index) if push.variables[*index].when_empty == WhenEmpty::Blank => Some(*index),
        _ => None,
    };
    let required = skeleton.parameters.iter().zip(values).filter(|(parameter, _)| parameter.required);
    let blank = required.filter_map(|(parameter, value)| {
        let variables = value.0.iter().map(may_be_blank).collect::<Option<Vec<_>>>()?;
        Some((format!("{{{}}}", parameter.name), variables))
    });
    blank.collect()
}

struct Compiler<'a> {
    skeleton: &'a Skeleton,
    /// By parameter.
    values: &'a [Value],
    slots: usize,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn part(&mut self, template: &Template, limit: usize) -> Part {
        let mut builder = Builder::default();
        for node in &template.nodes {
            match node {
                Node::Literal(text) => builder.literal(text),
                Node::Hole(reference, escape) => self.hole(*reference, *escape, &mut builder),
                Node::Number(parameter) => match self.values[*parameter].0.as_slice() {
                    [Piece::Literal(number)] => builder.literal(number),
                    _ => builder.literal("null"),
                },
                Node::Guard(guard, reference) => self.guard(*guard, *reference, &mut builder),
            }
            if builder.literals + builder.pending.len() > limit {
                self.faults.push(Fault::new(
                    "values",
                    format!("with these values a part of the request passes {limit} bytes"),
                ));
                break;
            }
            if builder.steps.len() + self.slots > MAX_SLOTS {
                self.faults.push(Fault::new(
                    "values",
                    format!("the request would have more than {MAX_SLOTS} slots"),
                ));
                break;
            }
        }
        self.slots += builder.steps.len();
        Part { steps: builder.steps, tail: builder.pending.into() }
    }

    fn hole(&self, reference: Reference, escape: Escape, builder: &mut Builder) {
        match reference {
            Reference::Id => builder.step(Action::Put(Slot::Id, escape)),
            Reference::IdType => builder.step(Action::Put(Slot::IdType, escape)),
            Reference::DeliveryId => builder.step(Action::Put(Slot::DeliveryId, escape)),
            Reference::Parameter(index) => {
                for piece in &self.values[index].0 {
                    match piece {
                        Piece::Literal(text) => escape.write(text, &mut builder.pending),
                        Piece::Variable(variable) => {
                            builder.step(Action::Put(Slot::Variable(*variable), escape));
                        }
                    }
                }
            }
        }
    }

    /// Keeps a guard for the time of rendering, or checks it now where what it guards never changes.
    fn guard(&mut self, guard: Guard, reference: Reference, builder: &mut Builder) {
        let name = self.name(reference);
        let delimiters: &[char] = match guard {
            Guard::Segment => &['/'],
            Guard::Pair => &['&', '?'],
        };
        if !builder.steps.is_empty() && !builder.pending.contains(delimiters) {
            return builder.step(Action::Guard(guard, name.into()));
        }
        let field = format!("values.{}", name.trim_matches(['{', '}']));
        match guard.check(&builder.pending, &name) {
            Ok(()) => {}
            Err(Unrendered::EmptyValue { .. }) => {
                let detail = format!("{name} stands alone in its place of the URL or form, and has no value");
                self.faults.push(Fault::new(field, detail));
            }
            Err(error) => self.faults.push(Fault::new(field, error.to_string())),
        }
    }

    fn keys(&mut self, keys: &Keys) -> Option<Vec<Part>> {
        let parts: Vec<Part> = keys
            .iter()
            .map(|key| self.part(&Template { nodes: key.clone(), keys: Vec::new() }, MAX_BODY))
            .collect();
        let mut constant: Vec<&str> =
            parts.iter().filter(|part| part.steps.is_empty()).map(|part| &*part.tail).collect();
        let all = constant.len() == parts.len();
        constant.sort_unstable();
        if constant.windows(2).any(|pair| pair[0] == pair[1]) {
            self.faults.push(Fault::new("values", DUPLICATE_KEY));
        }
        (!all).then_some(parts)
    }

    fn name(&self, reference: Reference) -> String {
        match reference {
            Reference::Id => "{id}".to_owned(),
            Reference::IdType => "{id_type}".to_owned(),
            Reference::DeliveryId => "{delivery_id}".to_owned(),
            Reference::Parameter(index) => format!("{{{}}}", self.skeleton.parameters[index].name),
        }
    }
}

#[derive(Default)]
struct Builder {
    steps: Vec<Step>,
    /// Bytes of literals in the steps.
    literals: usize,
    /// Literal output that waits for the next step.
    pending: String,
}

impl Builder {
    fn literal(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    fn step(&mut self, action: Action) {
        self.literals += self.pending.len();
        self.steps.push(Step { literal: std::mem::take(&mut self.pending).into(), action });
    }
}
