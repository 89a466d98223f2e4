//! A webhook's content and a push's values, compiled into literals and slots.

use super::escape::Escape;
use super::parse::{Guard, HeadingField, Keys, Node, Reference};
use super::render::{DUPLICATE_KEY, Unrendered};
use super::skeleton::Skeleton;
use super::text::LINE;
use super::value::{Piece, Value, first_variable};
use crate::fault::Fault;
use crate::limits;
use crate::push::{PushContent, Variable, VariableSource, WhenEmpty};
use crate::webhook::{Content, Method, Parameter, ParameterType};

/// What ends a line.
pub(super) const BREAKS: [char; 2] = ['\n', '\r'];

/// What the standard list body says of the run that it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heading<'a> {
    /// Identifier of the push.
    pub push: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Identifier of the run.
    pub run: &'a str,
}

/// A compiled push: what every recipient's request is rendered from. Share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) method: Method,
    pub(super) url: Part,
    pub(super) constant_headers: Vec<(String, String)>,
    pub(super) header_names: Vec<String>,
    pub(super) headers: Vec<Part>,
    /// The body; where it has items, what stands before them.
    pub(super) body: Part,
    pub(super) items: Option<Items>,
    /// Keys that must differ, decoded.
    pub(super) keys: Vec<Vec<Part>>,
    pub(super) variables: Vec<Compiled>,
    /// Required parameters in which nothing but variables may keep them from being blank.
    pub(super) required: Vec<(String, Vec<usize>)>,
    pub(super) tags: Vec<String>,
}

/// The items of a body, and what stands behind them.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) item: Part,
    /// Keys of an item that must differ, decoded.
    pub(super) keys: Vec<Vec<Part>>,
    pub(super) separator: &'static str,
    /// Whether an item is a line.
    pub(super) lines: bool,
    pub(super) rest: Part,
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
    /// Index in the program's tags; none of an attribute, which a user who comes from an audience does not have.
    pub(super) tag: Option<usize>,
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
    pub fn compile(webhook: &Content, push: &PushContent, heading: Heading<'_>) -> Result<Self, Vec<Fault>> {
        let within = |prefix: &'static str| {
            move |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.within(prefix)).collect::<Vec<_>>()
        };
        let skeleton = Skeleton::parse(webhook).map_err(within("webhook"))?;
        Self::fill(&skeleton, push, heading).map_err(within("push"))
    }

    /// Fills a parsed content with a push's values.
    ///
    /// # Errors
    /// All faults of the values, each under its field's path in the push's content.
    pub fn fill(skeleton: &Skeleton, push: &PushContent, heading: Heading<'_>) -> Result<Self, Vec<Fault>> {
        let values = push.parse_values(&skeleton.parameters)?;
        let mut tags = Vec::new();
        let variables = push.variables.iter().map(|variable| compiled(variable, &mut tags)).collect();
        let mut compiler = Compiler {
            skeleton,
            push,
            heading,
            values: &values,
            shared: skeleton.shared,
            line: false,
            slots: 0,
            faults: Vec::new(),
        };
        let url = compiler.part(&skeleton.address.template.nodes, limits::URL);
        let mut constant_headers = Vec::new();
        let mut header_names = Vec::new();
        let mut headers = Vec::new();
        for (name, template) in &skeleton.headers {
            let part = compiler.part(&template.nodes, limits::HEADER_VALUE);
            if part.steps.is_empty() {
                constant_headers.push((name.clone(), part.tail.into()));
            } else {
                header_names.push(name.clone());
                headers.push(part);
            }
        }
        let mut halves = skeleton.body.nodes.split(|node| *node == Node::Items);
        let body = compiler.part(halves.next().unwrap_or_default(), limits::BODY);
        let rest = compiler.part(halves.next().unwrap_or_default(), limits::BODY);
        compiler.shared = false;
        let keys = skeleton.address.template.keys.iter().chain(&skeleton.body.keys);
        let keys = keys.filter_map(|keys| compiler.keys(keys)).collect();
        let items = skeleton.item.as_ref().map(|item| {
            let keys = item.template.keys.iter().filter_map(|keys| compiler.keys(keys)).collect();
            let lines = item.separator == "\n";
            compiler.line = lines;
            let template = compiler.part(&item.template.nodes, limits::BODY);
            Items { item: template, keys, separator: item.separator, lines, rest }
        });
        if !compiler.faults.is_empty() {
            return Err(compiler.faults);
        }
        let required = required(skeleton, &values);
        let method = skeleton.method;
        Ok(Self {
            method,
            url,
            constant_headers,
            header_names,
            headers,
            body,
            items,
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
        parts.into_iter().all(|part| part.steps.is_empty()) && self.keys.is_empty() && self.items.is_none()
    }

    /// Whether the recipient's ID stands anywhere in the request.
    pub fn uses_id(&self) -> bool {
        let parts = std::iter::once(&self.url).chain(&self.headers).chain(std::iter::once(&self.body));
        let parts = parts.chain(self.items.as_ref().map(|items| &items.item));
        parts.flat_map(|part| &part.steps).any(|step| matches!(step.action, Action::Put(Slot::Id, _)))
    }
}

fn compiled(variable: &Variable, tags: &mut Vec<String>) -> Compiled {
    let tag = match &variable.source {
        VariableSource::Tag(tag) => Some(tags.iter().position(|known| known == tag).unwrap_or_else(|| {
            tags.push(tag.clone());
            tags.len() - 1
        })),
        VariableSource::Attribute(_) => None,
    };
    let on_empty = match &variable.when_empty {
        WhenEmpty::Blank => OnEmpty::Blank,
        WhenEmpty::Default(text) => OnEmpty::Default(text.clone()),
        WhenEmpty::SkipUser => OnEmpty::Skip,
    };
    Compiled { name: format!("${{{}}}", variable.name), tag, on_empty }
}

/// The required parameters whose value is nothing but variables and white space.
fn required(skeleton: &Skeleton, values: &[Value]) -> Vec<(String, Vec<usize>)> {
    let says_more = |piece: &Piece| matches!(piece, Piece::Literal(text) if !text.trim().is_empty());
    let required = skeleton.parameters.iter().zip(values).filter(|(parameter, _)| parameter.required);
    let required = required.filter(|(_, value)| !value.0.iter().any(says_more));
    required
        .map(|(parameter, value)| (format!("{{{}}}", parameter.name), value.variables().collect()))
        .collect()
}

struct Compiler<'a> {
    skeleton: &'a Skeleton,
    push: &'a PushContent,
    heading: Heading<'a>,
    /// By parameter.
    values: &'a [Value],
    /// Whether what is compiled is the same for all users of a request.
    shared: bool,
    /// Whether what is compiled is one line.
    line: bool,
    slots: usize,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn part(&mut self, nodes: &[Node], limit: usize) -> Part {
        let mut builder = Builder::default();
        for node in nodes {
            match node {
                Node::Literal(text) => builder.literal(text),
                Node::Hole(reference, escape) => self.hole(*reference, *escape, &mut builder),
                Node::Number(parameter) => match self.values[*parameter].0.as_slice() {
                    [Piece::Literal(number)] => builder.literal(number),
                    _ => builder.literal("null"),
                },
                Node::Guard(guard, reference) => self.guard(*guard, *reference, &mut builder),
                // A part ends where the items begin.
                Node::Items => {}
            }
            if builder.literals + builder.pending.len() > limit {
                self.fault(Fault::new(
                    "values",
                    format!("with these values a part of the request passes {limit} bytes"),
                ));
                break;
            }
            if builder.steps.len() + self.slots > limits::SLOTS {
                self.fault(Fault::new(
                    "values",
                    format!("the request would have more than {} slots", limits::SLOTS),
                ));
                break;
            }
        }
        self.slots += builder.steps.len();
        Part { steps: builder.steps, tail: builder.pending.into() }
    }

    /// Notes a fault once, however often what it is about stands in the content.
    fn fault(&mut self, fault: Fault) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn hole(&mut self, reference: Reference, escape: Escape, builder: &mut Builder) {
        match reference {
            Reference::Id => builder.step(Action::Put(Slot::Id, escape)),
            Reference::IdType => builder.step(Action::Put(Slot::IdType, escape)),
            Reference::DeliveryId => builder.step(Action::Put(Slot::DeliveryId, escape)),
            Reference::Heading(field) => {
                let Heading { push, name, run } = self.heading;
                let text = match field {
                    HeadingField::Push => push,
                    HeadingField::Name => name,
                    HeadingField::Run => run,
                };
                escape.write(text, &mut builder.pending);
            }
            // Its place is a node of its own.
            Reference::Items => {}
            Reference::Parameter(index) => {
                self.check_place(index);
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

    /// Checks that a parameter's value may stand where it is put: without variables where users share it, on one line in a line.
    fn check_place(&mut self, index: usize) {
        let Parameter { name, kind, .. } = &self.skeleton.parameters[index];
        let text = self.push.values.get(name).map_or("", String::as_str);
        let field = || format!("values.{name}");
        if self.shared
            && *kind != ParameterType::Call
            && let Some(at) = first_variable(text)
        {
            let detail = format!("`{{{name}}}` stands where all users of a request share it");
            let hint =
                "write a value without variables, or go through a webhook that sends to each user singly";
            self.fault(Fault::new(field(), detail).hint(hint).at(text, at));
        }
        if self.line {
            if let Some(at) = text.find(BREAKS) {
                self.fault(Fault::new(field(), LINE).at(text, at));
            }
            for variable in self.values[index].variables() {
                if let WhenEmpty::Default(text) = &self.push.variables[variable].when_empty
                    && let Some(at) = text.find(BREAKS)
                {
                    let field = format!("variables[{variable}].when_empty.default");
                    self.fault(Fault::new(field, LINE).at(text, at));
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
                self.fault(Fault::new(field, detail));
            }
            Err(error) => self.fault(Fault::new(field, error.to_string())),
        }
    }

    fn keys(&mut self, keys: &Keys) -> Option<Vec<Part>> {
        let parts: Vec<Part> = keys.iter().map(|key| self.part(key, limits::BODY)).collect();
        let mut constant: Vec<&str> =
            parts.iter().filter(|part| part.steps.is_empty()).map(|part| &*part.tail).collect();
        let all = constant.len() == parts.len();
        constant.sort_unstable();
        if constant.windows(2).any(|pair| pair[0] == pair[1]) {
            self.fault(Fault::new("values", DUPLICATE_KEY));
        }
        (!all).then_some(parts)
    }

    fn name(&self, reference: Reference) -> String {
        match reference {
            Reference::Id => "{id}".to_owned(),
            Reference::IdType => "{id_type}".to_owned(),
            Reference::DeliveryId => "{delivery_id}".to_owned(),
            // Neither stands where there are guards.
            Reference::Heading(_) | Reference::Items => "{items}".to_owned(),
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
