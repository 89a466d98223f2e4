//! Conditions and updates as the service's expressions. Names and values go in as placeholders, never as text.

use std::collections::HashMap;

use crate::ports::{Change, Condition, Item, Update, Value};

/// Placeholders of one request: `#n0` for names, `:v0` for values.
#[derive(Default)]
pub(super) struct Placeholders {
    names: Vec<String>,
    values: Vec<Value>,
}

impl Placeholders {
    /// The placeholder of an attribute's name.
    pub(super) fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("#n{at}")
    }

    /// The placeholder of a value.
    pub(super) fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!(":v{}", self.values.len() - 1)
    }

    /// All names; none where no expression uses one, since the service refuses an empty map.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let named = self.names.iter().enumerate().map(|(at, name)| (format!("#n{at}"), name.clone()));
        (!self.names.is_empty()).then(|| named.collect())
    }

    /// All values; none where no expression uses one.
    pub(super) fn values(self) -> Option<Item> {
        let any = !self.values.is_empty();
        any.then(|| {
            self.values.into_iter().enumerate().map(|(at, value)| (format!(":v{at}"), value)).collect()
        })
    }

    /// A condition expression.
    pub(super) fn condition(&mut self, condition: Condition) -> String {
        match condition {
            Condition::All(parts) if parts.is_empty() => self.constant("OR"),
            Condition::Any(parts) if parts.is_empty() => self.constant("AND"),
            Condition::All(parts) => self.joined(parts, " AND "),
            Condition::Any(parts) => self.joined(parts, " OR "),
            Condition::Absent => format!("attribute_not_exists({})", self.name("pk")),
            Condition::Present => format!("attribute_exists({})", self.name("pk")),
            Condition::Missing(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Equals(name, value) => self.compared(name, "=", value),
            // Without the first half an attribute that does not exist would differ from everything.
            Condition::Differs(name, value) => {
                format!("(attribute_exists({}) AND {})", self.name(name), self.compared(name, "<>", value))
            }
            Condition::AtMost(name, number) => self.compared(name, "<=", Value::N(number.to_string())),
            Condition::AtLeast(name, number) => self.compared(name, ">=", Value::N(number.to_string())),
            Condition::NotNewer(name, updated) => {
                let (name, field) = (self.name(&name), self.name("updated"));
                let updated = self.value(Value::N(updated.to_string()));
                format!("(attribute_not_exists({name}) OR {name}.{field} <= {updated})")
            }
        }
    }

    /// Always true for `OR`, never for `AND`: the language has no literal for either.
    fn constant(&mut self, operator: &str) -> String {
        let pk = self.name("pk");
        format!("(attribute_exists({pk}) {operator} attribute_not_exists({pk}))")
    }

    fn joined(&mut self, parts: Vec<Condition>, operator: &str) -> String {
        let parts: Vec<_> = parts.into_iter().map(|part| self.condition(part)).collect();
        format!("({})", parts.join(operator))
    }

    fn compared(&mut self, name: &str, operator: &str, value: Value) -> String {
        format!("{} {operator} {}", self.name(name), self.value(value))
    }

    /// An update expression.
    pub(super) fn update(&mut self, update: Update) -> String {
        let (mut set, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for (name, change) in update.changes {
            let name = self.name(&name);
            match change {
                Change::Set(value) => set.push(format!("{name} = {}", self.value(value))),
                Change::SetIfMissing(value) => {
                    set.push(format!("{name} = if_not_exists({name}, {})", self.value(value)));
                }
                Change::Add(number) => {
                    add.push(format!("{name} {}", self.value(Value::N(number.to_string()))));
                }
                Change::Remove => remove.push(name),
            }
        }
        let clauses = [("SET", set), ("ADD", add), ("REMOVE", remove)];
        let clauses = clauses.into_iter().filter(|(_, changes)| !changes.is_empty());
        clauses.map(|(verb, changes)| format!("{verb} {}", changes.join(", "))).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_an_attribute_once_and_each_value() {
        let mut placeholders = Placeholders::default();
        let condition = Condition::All(vec![
            Condition::Any(vec![Condition::Missing("lease"), Condition::AtMost("lease", 7)]),
            Condition::Differs("owner", Value::S("me".into())),
            Condition::All(Vec::new()),
        ]);
        assert_eq!(
            placeholders.condition(condition),
            "((attribute_not_exists(#n0) OR #n0 <= :v0) AND (attribute_exists(#n1) AND #n1 <> :v1) AND \
             (attribute_exists(#n2) OR attribute_not_exists(#n2)))"
        );
        let names = placeholders.names().unwrap_or_default();
        assert_eq!(
            (names["#n0"].as_str(), names["#n1"].as_str(), names["#n2"].as_str()),
            ("lease", "owner", "pk")
        );
        let values = placeholders.values().unwrap_or_default();
        assert_eq!(values[":v0"], Value::N("7".into()));
        assert_eq!(values[":v1"], Value::S("me".into()));
    }

    #[test]
    fn an_update_has_one_clause_of_each_kind() {
        let mut placeholders = Placeholders::default();
        let update = Update::default()
            .set("a", Value::Bool(true))
            .with("b", Change::Add(-2))
            .with("c", Change::Remove)
            .with("d", Change::SetIfMissing(Value::N("1".into())));
        assert_eq!(
            placeholders.update(update),
            "SET #n0 = :v0, #n3 = if_not_exists(#n3, :v2) ADD #n1 :v1 REMOVE #n2"
        );
    }

    #[test]
    fn without_expressions_there_are_no_maps() {
        let placeholders = Placeholders::default();
        assert_eq!(placeholders.names(), None);
        assert_eq!(placeholders.values(), None);
    }
}
