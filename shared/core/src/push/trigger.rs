//! What starts a push: an audience, or a behaviour event of a user.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::check::check_label;
use crate::{fault::Fault, limits};

/// What starts a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StartedBy {
    /// A run is started over files of users.
    #[default]
    Audience,
    /// Each user is sent to whose behaviour this is.
    Event(Trigger),
}

/// The behaviour of one user that starts a push: an event, or several of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "order_paid",
    "filter": {"any": [{"all": [
        {"attribute": "amount", "operator": "at_least", "values": [100]}, {"attribute": "channel", "operator": "is", "values": ["app", "web"]},
    ]}]},
    "count": {"times": 3, "within_seconds": 86_400},
}))]
pub struct Trigger {
    /// Name of the event.
    pub name: String,
    /// Which events of this name count; left out: each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// How many of them it takes; left out: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
}

/// Groups of conditions, of which all or any must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = EventFilter)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Filter {
    All(Vec<Group>),
    Any(Vec<Group>),
}

/// Conditions, of which all or any must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = EventConditions)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// What an attribute of an event must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventCondition)]
pub struct Condition {
    /// Name of the attribute.
    pub attribute: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what: texts, numbers, `true`, `false`. A number equals no text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// How an attribute is compared. One that is missing fulfils `missing` and `is_not` alone; one of another type than a value neither equals nor
/// contains it, and is neither below nor above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EventOperator)]
pub enum Operator {
    /// It is one of the values.
    Is,
    /// It is none of the values.
    IsNot,
    /// It is a number below the value.
    LessThan,
    /// It is a number, the value at most.
    AtMost,
    /// It is a number above the value.
    MoreThan,
    /// It is a number, the value at least.
    AtLeast,
    /// It is a text in which one of the values stands.
    Contains,
    /// It is there, and neither null nor empty.
    Exists,
    /// It is not there, null or empty.
    Missing,
}

/// How many events of one user it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventCount)]
pub struct Count {
    /// So many.
    #[schema(minimum = 2, maximum = 1000)]
    pub times: u32,
    /// Within so many seconds, a minute to 30 days.
    #[schema(minimum = 60, maximum = 2_592_000)]
    pub within_seconds: u32,
}

impl StartedBy {
    /// Whether runs are started over files. Nothing is written of it, so that functions of the version before read what is pinned.
    pub(super) fn is_audience(&self) -> bool {
        matches!(self, Self::Audience)
    }

    /// Whether an event starts the push, so that variables may take its attributes.
    pub fn is_event(&self) -> bool {
        matches!(self, Self::Event(_))
    }

    /// All faults, each under its field's path.
    pub(super) fn check(&self) -> Vec<Fault> {
        match self {
            Self::Audience => Vec::new(),
            Self::Event(trigger) => trigger.check().into_iter().map(|fault| fault.within("event")).collect(),
        }
    }
}

impl Trigger {
    fn check(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = check_label("name", "an event", &self.name).into_iter().collect();
        if let Some(filter) = &self.filter {
            faults.extend(filter.check().into_iter().map(|fault| fault.within("filter")));
        }
        if let Some(Count { times, within_seconds }) = &self.count {
            let (least, most) = limits::EVENT_COUNT.into_inner();
            if !limits::EVENT_COUNT.contains(times) {
                let fault = Fault::new("count.times", format!("must be from {least} to {most}"));
                faults.push(fault.hint("leave `count` out where one event is enough"));
            }
            let (least, most) = limits::EVENT_PERIOD.into_inner();
            if !limits::EVENT_PERIOD.contains(within_seconds) {
                faults.push(Fault::new("count.within_seconds", format!("must be from {least} to {most}")));
            }
        }
        faults
    }
}

impl Filter {
    fn check(&self) -> Vec<Fault> {
        let (of, groups) = match self {
            Self::All(groups) => ("all", groups),
            Self::Any(groups) => ("any", groups),
        };
        let mut faults = Vec::new();
        if groups.is_empty() {
            faults.push(Fault::new(of, "a filter has a group at least").hint("leave `filter` out"));
        }
        let mut conditions = 0;
        for (index, group) in groups.iter().enumerate() {
            if faults.len() >= limits::FAULTS {
                break;
            }
            let (inner, list) = match group {
                Group::All(list) => ("all", list),
                Group::Any(list) => ("any", list),
            };
            let field = format!("{of}[{index}].{inner}");
            if list.is_empty() {
                faults.push(Fault::new(&field, "a group has a condition at least"));
            }
            conditions += list.len();
            if conditions > limits::CONDITIONS {
                let detail = format!("a filter has at most {} conditions in all", limits::CONDITIONS);
                faults.push(Fault::new(field, detail));
                break;
            }
            for (index, condition) in list.iter().enumerate() {
                let field = format!("{field}[{index}]");
                faults.extend(condition.check().into_iter().map(|fault| fault.within(&field)));
            }
        }
        faults
    }
}

impl Condition {
    fn check(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            check_label("attribute", "an attribute", &self.attribute).into_iter().collect();
        let (counts, words) = match self.operator {
            Operator::Is | Operator::IsNot | Operator::Contains => {
                (1..=limits::CONDITION_VALUES, format!("1 to {} values", limits::CONDITION_VALUES))
            }
            Operator::LessThan | Operator::AtMost | Operator::MoreThan | Operator::AtLeast => {
                (1..=1, "one value".to_owned())
            }
            Operator::Exists | Operator::Missing => (0..=0, "no value".to_owned()),
        };
        if !counts.contains(&self.values.len()) {
            faults.push(Fault::new("values", format!("this operator takes {words}")));
            return faults;
        }
        let wrong = |(index, value): (usize, &Value)| {
            let rule = self.operator.rule(value)?;
            Some(Fault::new(format!("values[{index}]"), rule))
        };
        faults.extend(self.values.iter().enumerate().filter_map(wrong));
        faults
    }
}

impl Operator {
    /// The rule that a value breaks with which nothing is compared so.
    fn rule(self, value: &Value) -> Option<String> {
        if value.as_str().is_some_and(|text| text.len() > limits::CONDITION_VALUE) {
            return Some(format!("a text has at most {} bytes", limits::CONDITION_VALUE));
        }
        let (fits, rule) = match self {
            Self::LessThan | Self::AtMost | Self::MoreThan | Self::AtLeast => {
                (value.is_number(), "this operator compares with a number")
            }
            Self::Contains => {
                (value.as_str().is_some_and(|text| !text.is_empty()), "this operator looks for a text")
            }
            _ => (
                value.is_string() || value.is_number() || value.is_boolean(),
                "a value is a text, a number, `true` or `false`",
            ),
        };
        (!fits).then(|| rule.to_owned())
    }
}
