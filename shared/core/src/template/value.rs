//! Values of a push: checked by the parameter's type, text values split at their `${variables}`.

use jiff::{Timestamp, civil};

use super::json;
use crate::fault::{Fault, nearest};
use crate::id::Name;
use crate::limits;
use crate::push::Variable;
use crate::webhook::{Parameter, ParameterType};

/// A parsed value; empty where the parameter has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Value(pub(super) Vec<Piece>);

impl Value {
    /// Indices of the variables in it.
    pub(crate) fn variables(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(index) => Some(*index),
            Piece::Literal(_) => None,
        })
    }

    fn literal(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.0.push(Piece::Literal(text.to_owned())),
        }
    }
}

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// Index in the push's variables.
    Variable(usize),
}

/// Parses and checks the value of a parameter.
pub(crate) fn parse(text: &str, parameter: &Parameter, variables: &[Variable]) -> Result<Value, Vec<Fault>> {
    if text.len() > limits::TEXT {
        return Err(vec![Fault::new("", format!("a value has at most {} bytes", limits::TEXT))]);
    }
    if parameter.kind == ParameterType::Call {
        // It comes from elsewhere, and is nothing but text.
        let mut value = Value::default();
        value.literal(text);
        return Ok(value);
    }
    let mut faults = Vec::new();
    let value = split(text, parameter.kind, variables, &mut faults);
    if faults.is_empty() {
        faults.extend(check(text, parameter.kind));
    }
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

/// Splits a value at its variables; `$${` becomes a literal `${`.
fn split(text: &str, kind: ParameterType, variables: &[Variable], faults: &mut Vec<Fault>) -> Value {
    let mut value = Value::default();
    let mut at = 0;
    while faults.len() < limits::FAULTS
        && let Some(found) = text[at..].find("${")
    {
        let dollar = at + found;
        if let Some(before) = text[at..dollar].strip_suffix('$') {
            value.literal(before);
            value.literal("${");
            at = dollar + 2;
            continue;
        }
        value.literal(&text[at..dollar]);
        let inside = dollar + 2;
        let Some(length) = text[inside..].find('}') else {
            let fault = Fault::new("", "`${` is never closed").hint("write `$${` for a literal `${`");
            faults.push(fault.at(text, dollar));
            at = inside;
            continue;
        };
        let name = &text[inside..inside + length];
        at = inside + length + 1;
        match variables.iter().position(|variable| variable.name.as_str() == name) {
            _ if kind != ParameterType::Text => {
                let fault = Fault::new("", "only a parameter of type `text` takes variables");
                faults.push(fault.hint("write `$${` for a literal `${`").at(text, dollar));
            }
            Some(index) => value.0.push(Piece::Variable(index)),
            None => faults.push(unknown(name, variables).at(text, dollar)),
        }
    }
    value.literal(&text[at..]);
    value
}

/// Where the first variable of a value stands.
pub(super) fn first_variable(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let dollar = at + found;
        if !text[at..dollar].ends_with('$') {
            return Some(dollar);
        }
        at = dollar + 2;
    }
    None
}

fn unknown(name: &str, variables: &[Variable]) -> Fault {
    if name.parse::<Name>().is_err() {
        return Fault::new("", "a variable is a name, as in `${name}`")
            .hint("write `$${` for a literal `${`");
    }
    let known = variables.iter().map(|variable| variable.name.as_str());
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `${{{near}}}`?"),
        None => "declare it in `variables`, with its tag and what happens when that is empty".to_owned(),
    };
    Fault::new("", format!("`${{{name}}}` is not declared")).hint(hint)
}

/// Checks a value by the type of its parameter.
pub(crate) fn check(text: &str, kind: ParameterType) -> Option<Fault> {
    match kind {
        _ if text.is_empty() => None,
        ParameterType::Character if text.chars().count() > limits::CHARACTER => {
            Some(Fault::new("", format!("a `character` value has at most {} characters", limits::CHARACTER)))
        }
        ParameterType::Character => {
            let (at, _) = text.char_indices().find(|(_, c)| c.is_control())?;
            let fault = Fault::new("", "a `character` value holds no control characters and no line breaks");
            Some(fault.hint("make the parameter a `text`").at(text, at))
        }
        ParameterType::Text | ParameterType::Call => None,
        ParameterType::Numeric => {
            let hint = "write it as in JSON: `12`, `-0.5`, `1e3`";
            let fits = text.len() <= limits::NUMERIC && json::is_number(text);
            (!fits).then(|| {
                Fault::new("", format!("a number has at most {} characters and JSON's form", limits::NUMERIC))
                    .hint(hint)
            })
        }
        ParameterType::Date => {
            let hint = "as in `2026-11-24` or `2026-11-24T08:30:00Z`";
            (!is_date(text)).then(|| Fault::new("", "a date is `YYYY-MM-DD` or RFC 3339").hint(hint))
        }
    }
}

/// Whether a text is `YYYY-MM-DD` or RFC 3339. The shape is checked first: `jiff` reads more than that.
fn is_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape == "0000-00-00" {
        return text.parse::<civil::Date>().is_ok();
    }
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) if (1..=9).contains(&(fraction.len() - fraction.trim_start_matches('0').len())) => {
            fraction.trim_start_matches('0')
        }
        Some(_) => return false,
    };
    matches!(zone, "Z" | "+00:00" | "-00:00") && text.parse::<Timestamp>().is_ok()
}
