//! What a push must fulfil before it is saved.

use std::collections::{BTreeSet, HashSet};

use super::{Push, PushContent, VariableSource, WhenEmpty};
use crate::fault::{Fault, nearest};
use crate::id::{IdTypeCode, Name};
use crate::limits;
use crate::template::{Heading, Program, Skeleton, Value, parse_value};
use crate::webhook::{Parameter, ParameterType, Webhook, check_name};

impl Push {
    /// All faults of a push through `webhook`, each under its field's path.
    pub fn check(&self, webhook: Option<&Webhook>) -> Vec<Fault> {
        let mut faults = Vec::new();
        check_name("name", &self.name, &mut faults);
        faults.extend(self.content.check(webhook).into_iter().map(|fault| fault.within("content")));
        faults
    }
}

impl PushContent {
    /// All faults of a push's content through `webhook`, each under its field's path; without one, those that it has through any.
    pub fn check(&self, webhook: Option<&Webhook>) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_id_types(webhook.map(|webhook| &webhook.id_types[..]), &mut faults);
        self.check_variables(&mut faults);
        faults.extend(self.started_by.check().into_iter().map(|fault| fault.within("started_by")));
        let Some(webhook) = webhook else { return faults };
        // What is not known yet must not be what is found wrong.
        let mut filled = self.clone();
        for parameter in &webhook.content.parameters {
            if parameter.kind == ParameterType::Call {
                let name = &parameter.name;
                if filled.values.insert(name.clone(), name.as_str().to_owned()).is_some() {
                    let detail = format!("`{name}` takes its value from its parameter source");
                    faults.push(Fault::new(format!("values.{name}"), detail).hint("leave it out"));
                }
            }
        }
        let values = filled.parse_values(&webhook.content.parameters);
        faults.extend(values.err().unwrap_or_default());
        // No rule of `parse_values`: a run that pinned such a value goes on, and leaves its users out one by one.
        for parameter in webhook.content.parameters.iter().filter(|parameter| parameter.required) {
            let (name, field) = (&parameter.name, format!("values.{}", parameter.name));
            let blank = filled.values.get(name).is_some_and(|text| text.trim().is_empty());
            if blank && faults.iter().all(|fault| fault.field != field) {
                faults.push(
                    Fault::new(field, format!("`{name}` is required")).hint("white space says nothing"),
                );
            }
        }
        if faults.is_empty()
            && let Ok(skeleton) = Skeleton::parse(&webhook.content)
        {
            faults.extend(Program::fill(&skeleton, &filled, Heading::default()).err().unwrap_or_default());
        }
        faults
    }

    fn check_id_types(&self, allowed: Option<&[IdTypeCode]>, faults: &mut Vec<Fault>) {
        if self.id_types.is_empty() {
            faults.push(Fault::new(
                "id_types",
                "a push sends one ID type, or the first that a user has of several",
            ));
        }
        if self.id_types.len() > limits::ID_TYPES {
            faults.push(Fault::new("id_types", format!("there are at most {} ID types", limits::ID_TYPES)));
        }
        let mut seen = HashSet::new();
        for (index, code) in self.id_types.iter().take(limits::ID_TYPES).enumerate() {
            let field = format!("id_types[{index}]");
            if !seen.insert(code) {
                faults.push(Fault::new(&field, format!("`{code}` is named twice")));
            }
            if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(code)) {
                let names: Vec<_> = allowed.iter().map(|code| format!("`{code}`")).collect();
                let hint = format!("it takes {}", names.join(", "));
                faults.push(
                    Fault::new(field, format!("the webhook does not take the ID type `{code}`")).hint(hint),
                );
            }
        }
    }

    fn check_variables(&self, faults: &mut Vec<Fault>) {
        if self.variables.len() > limits::VARIABLES {
            faults
                .push(Fault::new("variables", format!("a push has at most {} variables", limits::VARIABLES)));
            return;
        }
        let mut seen = HashSet::new();
        for (index, variable) in self.variables.iter().enumerate() {
            let field = format!("variables[{index}]");
            if !seen.insert(&variable.name) {
                let detail = format!("`{}` is declared already", variable.name);
                faults.push(Fault::new(format!("{field}.name"), detail));
            }
            let more =
                self.check_source(&variable.source).into_iter().chain(check_when_empty(&variable.when_empty));
            faults.extend(more.map(|fault| fault.within(&field)));
        }
    }

    fn check_source(&self, source: &VariableSource) -> Option<Fault> {
        match source {
            VariableSource::Tag(tag) => check_label("source.tag", "a tag", tag),
            VariableSource::Attribute(_) if !self.started_by.is_event() => {
                let detail = "only a push that an event starts has attributes";
                let hint = "take a tag, or name the event in `started_by`";
                Some(Fault::new("source.attribute", detail).hint(hint))
            }
            VariableSource::Attribute(name) => check_label("source.attribute", "an attribute", name),
        }
    }

    /// The value of each of the webhook's parameters, in their order.
    ///
    /// # Errors
    /// All faults of values and of how variables are used.
    pub(crate) fn parse_values(&self, parameters: &[Parameter]) -> Result<Vec<Value>, Vec<Fault>> {
        let mut faults = Vec::new();
        self.check_known(parameters, &mut faults);
        // What is used is known only where every value could be read.
        let mut readable = faults.is_empty();
        let mut used = BTreeSet::new();
        let mut values = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            if faults.len() >= limits::FAULTS {
                return Err(faults);
            }
            let field = format!("values.{}", parameter.name);
            let text = self.values.get(&parameter.name).map_or("", String::as_str);
            if text.is_empty() && parameter.required {
                faults.push(Fault::new(&field, format!("`{}` is required", parameter.name)));
            }
            match parse_value(text, parameter, &self.variables) {
                Ok(value) => {
                    used.extend(value.variables());
                    values.push(value);
                }
                Err(found) => {
                    readable = false;
                    faults.extend(found.into_iter().map(|fault| fault.within(&field)));
                }
            }
        }
        if readable {
            let unused = (0..self.variables.len()).filter(|index| !used.contains(index));
            faults.extend(unused.map(|index| {
                let name = &self.variables[index].name;
                let hint = format!("write `${{{name}}}` in a text value, or remove it");
                Fault::new(format!("variables[{index}].name"), format!("no value uses `{name}`")).hint(hint)
            }));
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    fn check_known(&self, parameters: &[Parameter], faults: &mut Vec<Fault>) {
        let known = || parameters.iter().map(|parameter| parameter.name.as_str());
        let unknown =
            self.values.keys().map(Name::as_str).filter(|name| !known().any(|known| known == *name));
        for name in unknown.take(limits::FAULTS) {
            let fault =
                Fault::new(format!("values.{name}"), format!("the webhook has no parameter `{name}`"));
            faults.push(match nearest(name, known()) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
    }
}

fn check_when_empty(when_empty: &WhenEmpty) -> Vec<Fault> {
    let WhenEmpty::Default(text) = when_empty else { return Vec::new() };
    let mut faults = Vec::new();
    if text.is_empty() {
        faults.push(Fault::new("when_empty.default", "a default is not empty").hint("choose `blank`"));
    }
    if text.len() > limits::DEFAULT {
        let detail = format!("a default has at most {} bytes", limits::DEFAULT);
        faults.push(Fault::new("when_empty.default", detail));
    }
    faults
}

/// Checks what a tag, an event or an attribute of one is called; `what` names which of them.
pub(super) fn check_label(field: &str, what: &str, label: &str) -> Option<Fault> {
    let fits = !label.is_empty() && label.len() <= limits::LABEL && !label.chars().any(char::is_control);
    let rule = || format!("the name of {what} has 1 to {} bytes and no control characters", limits::LABEL);
    (!fits).then(|| Fault::new(field, rule()))
}
