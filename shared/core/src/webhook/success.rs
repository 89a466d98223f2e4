//! The success rule: what a 2xx answer says of the users whom its request was for.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::fault::Fault;
use crate::{limits, pointer};

/// What a 2xx answer must say to mean success.
///
/// One value decides, for the whole request or for each of its users. What cannot be read as that value means what `otherwise` says: an
/// answer that is no JSON, one that is cut off or longer than 16 KiB, and one with nothing at the pointer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuccessRule {
    /// JSON pointer (RFC 6901) to the value: from the answer's root, or where there are results from the root of each.
    pub pointer: String,
    /// Values that mean success: texts, numbers, `true`, `false`, `null`. A number equals no text.
    #[serde(default)]
    pub success: Vec<Value>,
    /// Values that mean "try again".
    #[serde(default)]
    pub retry: Vec<Value>,
    /// Values that mean "never".
    #[serde(default)]
    pub never: Vec<Value>,
    /// What every other value means.
    #[serde(default)]
    pub otherwise: Meaning,
    /// Where the results of single users stand; left out: the value is about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Results>,
}

/// Where an answer has the results of single users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnswerResults)]
pub struct Results {
    /// JSON pointer to their array. Nothing there, or `null`, is an empty one.
    pub pointer: String,
    /// JSON pointer inside a result to the user's `delivery` or ID: a text or a whole number. Of several results of one user the first holds.
    pub id: String,
    /// What it means for a user to have no result.
    #[serde(default = "Meaning::retry")]
    pub missing: Meaning,
}

/// What a value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The receiver took it.
    Success,
    /// It may take it later.
    Retry,
    /// It refuses it for good.
    #[default]
    Never,
}

impl Meaning {
    fn retry() -> Self {
        Self::Retry
    }
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The same of all users of the request.
    All(Meaning),
    /// Nothing that could be read; for all of them that means what the rule's `otherwise` says.
    Unread(Meaning),
    /// Of each user something else.
    Each(Each),
}

/// What an answer says of each user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Each {
    told: HashMap<String, Meaning>,
    missing: Meaning,
}

impl Each {
    /// What it says of the user with this `delivery` and this ID, as both were sent.
    pub fn of(&self, delivery: &str, id: &str) -> Meaning {
        let told = self.told.get(delivery).or_else(|| self.told.get(id));
        told.copied().unwrap_or(self.missing)
    }
}

impl SuccessRule {
    /// What an answer says by this rule; none is one of which not all was read.
    pub fn judge(&self, answer: Option<&[u8]>) -> Judgement {
        let Some(answer) = answer.and_then(|answer| serde_json::from_slice::<Value>(answer).ok()) else {
            return Judgement::Unread(self.otherwise);
        };
        let Some(results) = &self.results else {
            return Judgement::All(self.meaning(answer.pointer(&self.pointer)));
        };
        let list = match answer.pointer(&results.pointer) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => return Judgement::All(self.otherwise),
        };
        let mut told = HashMap::with_capacity(list.len());
        for result in list {
            if let Some(id) = result.pointer(&results.id).and_then(id) {
                told.entry(id).or_insert_with(|| self.meaning(result.pointer(&self.pointer)));
            }
        }
        Judgement::Each(Each { told, missing: results.missing })
    }

    fn meaning(&self, value: Option<&Value>) -> Meaning {
        let Some(value) = value else { return self.otherwise };
        let lists =
            [(&self.success, Meaning::Success), (&self.retry, Meaning::Retry), (&self.never, Meaning::Never)];
        let listed = lists.into_iter().find(|(list, _)| list.iter().any(|known| same(known, value)));
        listed.map_or(self.otherwise, |(_, meaning)| meaning)
    }

    /// All faults of a rule for bodies with or without items.
    pub(super) fn check(&self, has_items: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        pointer::check("pointer", &self.pointer, &mut faults);
        let lists = [("success", &self.success), ("retry", &self.retry), ("never", &self.never)];
        let values = lists.into_iter().flat_map(|(field, list)| {
            list.iter().enumerate().map(move |(index, value)| (format!("{field}[{index}]"), value))
        });
        let mut seen: Vec<&Value> = Vec::new();
        for (field, value) in values {
            if seen.len() == limits::RULE_VALUES {
                faults.push(Fault::new(field, format!("a rule has at most {} values", limits::RULE_VALUES)));
                break;
            }
            match value {
                Value::Array(_) | Value::Object(_) => {
                    faults.push(Fault::new(field, "a value is a text, a number, `true`, `false` or `null`"));
                }
                Value::String(text) if text.len() > limits::RULE_VALUE => {
                    faults
                        .push(Fault::new(field, format!("a text has at most {} bytes", limits::RULE_VALUE)));
                }
                _ if seen.iter().any(|known| same(known, value)) => {
                    faults.push(Fault::new(field, "this value is listed already"));
                }
                _ => {}
            }
            seen.push(value);
        }
        if self.success.is_empty() && self.otherwise != Meaning::Success {
            let hint = "list the values that mean success, or write `\"otherwise\": \"success\"`";
            faults.push(Fault::new("success", "by this rule no answer means success").hint(hint));
        }
        if let Some(results) = &self.results {
            pointer::check("results.pointer", &results.pointer, &mut faults);
            pointer::check("results.id", &results.id, &mut faults);
            if !has_items {
                let fault = Fault::new("results", "a body without items has no results of single users");
                faults.push(fault.hint("leave `results` out; `pointer` is then from the answer's root"));
            }
        }
        faults
    }
}

/// Whether two scalars are equal; numbers are by value, so that `1.0` is `1`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // Whole numbers are told apart beyond what a float holds.
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

/// The ID in a result.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(text: Value) -> SuccessRule {
        serde_json::from_value(text).unwrap()
    }

    fn of_all(rule: &SuccessRule, answer: &str) -> Meaning {
        match rule.judge(Some(answer.as_bytes())) {
            Judgement::All(meaning) | Judgement::Unread(meaning) => meaning,
            Judgement::Each(each) => panic!("{each:?}"),
        }
    }

    #[test]
    fn one_value_of_the_answer_decides_and_values_are_scalars_of_json() {
        let rule = rule(json!({
            "pointer": "/result/a~1b/0", "success": ["ok", 1, true], "retry": ["busy", 0.5], "never": [null, "1"],
            "otherwise": "retry",
        }));
        let answer = |value: &str| format!(r#"{{"result":{{"a/b":[{value},"ok"]}}}}"#);
        for (value, meaning) in [
            (r#""ok""#, Meaning::Success),
            ("1", Meaning::Success),
            ("1.0", Meaning::Success),
            ("1e0", Meaning::Success),
            ("true", Meaning::Success),
            (r#""1""#, Meaning::Never),
            ("null", Meaning::Never),
            (r#""busy""#, Meaning::Retry),
            ("5e-1", Meaning::Retry),
            // Not listed.
            (r#""OK""#, Meaning::Retry),
            ("false", Meaning::Retry),
            (r#"["ok"]"#, Meaning::Retry),
        ] {
            assert_eq!(of_all(&rule, &answer(value)), meaning, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_means_what_every_other_value_does() {
        for (otherwise, meaning) in
            [("success", Meaning::Success), ("retry", Meaning::Retry), ("never", Meaning::Never)]
        {
            let rule = rule(json!({"pointer": "/status", "success": ["ok"], "otherwise": otherwise}));
            for answer in [
                "",
                "ok",
                "<html>",
                r#"{"status":"ok""#,
                r#"{"status":"ok"} x"#,
                "{}",
                "[]",
                r#""ok""#,
                "\u{feff}{}",
            ] {
                assert_eq!(of_all(&rule, answer), meaning, "{answer}");
            }
            assert_eq!(rule.judge(None), Judgement::Unread(meaning));
            for unread in [&b""[..], b"<html>", b"{\"status\":\"\xff\"}"] {
                assert_eq!(rule.judge(Some(unread)), Judgement::Unread(meaning));
            }
            assert_eq!(rule.judge(Some(b"{}")), Judgement::All(meaning));
            assert_eq!(of_all(&rule, r#"{"status":"ok"}"#), Meaning::Success);
        }
        let deep = format!(r#"{{"status":"ok","x":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(of_all(&rule(json!({"pointer": "/status", "success": ["ok"]})), &deep), Meaning::Never);
    }

    #[test]
    fn an_empty_pointer_is_the_whole_answer() {
        assert_eq!(of_all(&rule(json!({"pointer": "", "success": ["ok"]})), r#" "ok" "#), Meaning::Success);
    }

    fn each(rule: &SuccessRule, answer: &Value) -> Each {
        match rule.judge(Some(answer.to_string().as_bytes())) {
            Judgement::Each(each) => each,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_user_has_the_result_that_names_their_delivery_or_id() {
        let rule = rule(json!({
            "pointer": "/code", "success": [0], "retry": [1], "never": [2],
            "results": {"pointer": "/data/results", "id": "/member"},
        }));
        let each = each(
            &rule,
            &json!({"data": {"results": [
                {"member": "msg_1", "code": 0}, {"member": "+31", "code": 1}, {"member": 4915, "code": 2},
                {"member": "msg_5", "code": 9}, {"member": "msg_6"}, {"code": 0}, "none", {"member": 1.5, "code": 0},
                {"member": "msg_1", "code": 2}, {"member": "a", "code": 2}, {"member": "msg_7", "code": 0},
            ]}}),
        );
        let cases = [
            ("msg_1", "x", Meaning::Success),
            ("msg_2", "+31", Meaning::Retry),
            ("msg_3", "4915", Meaning::Never),
            ("msg_4", "1.5", Meaning::Retry),
            ("msg_5", "x", Meaning::Never),
            ("msg_6", "x", Meaning::Never),
            // The delivery says more than an ID, which two may share.
            ("msg_7", "a", Meaning::Success),
        ];
        for (delivery, id, meaning) in cases {
            assert_eq!(each.of(delivery, id), meaning, "{delivery}");
        }
    }

    #[test]
    fn who_has_no_result_has_what_is_said_of_those() {
        let failed = |missing: &str| {
            rule(json!({
                "pointer": "", "never": [], "otherwise": "never", "success": ["-"],
                "results": {"pointer": "/failed", "id": "", "missing": missing},
            }))
        };
        for answer in [json!({}), json!({"failed": null}), json!({"failed": []})] {
            assert_eq!(each(&failed("success"), &answer).of("msg_1", "x"), Meaning::Success);
            assert_eq!(each(&failed("never"), &answer).of("msg_1", "x"), Meaning::Never);
        }
        let each = each(&failed("success"), &json!({"failed": ["x"]}));
        assert_eq!((each.of("msg_1", "x"), each.of("msg_2", "y")), (Meaning::Never, Meaning::Success));
        let default = rule(json!({"pointer": "/c", "success": [0], "results": {"pointer": "", "id": "/id"}}));
        assert_eq!(default.results.as_ref().unwrap().missing, Meaning::Retry);
        for answer in [r#"{"a":1}"#, "7"] {
            assert_eq!(default.judge(Some(answer.as_bytes())), Judgement::All(Meaning::Never), "{answer}");
        }
        assert_eq!(default.judge(Some(b"no")), Judgement::Unread(Meaning::Never));
    }

    fn fields(text: Value, has_items: bool) -> Vec<String> {
        rule(text).check(has_items).into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn all_faults_of_a_rule_are_told() {
        let wrong = json!({
            "pointer": "status", "success": ["a", ["b"], "a"], "retry": [{}, 1], "never": [1.0, "x".repeat(257)],
            "results": {"pointer": "/a~", "id": "/~2"},
        });
        assert_eq!(
            fields(wrong, false),
            [
                "pointer",
                "success[1]",
                "success[2]",
                "retry[0]",
                "never[0]",
                "never[1]",
                "results.pointer",
                "results.id",
                "results"
            ]
        );
        let faults = rule(json!({"pointer": "/é~", "success": [1]})).check(true);
        assert_eq!((faults[0].line, faults[0].column), (Some(1), Some(3)));
        assert_eq!(fields(json!({"pointer": ""}), true), ["success"]);
        assert!(fields(json!({"pointer": "", "otherwise": "success"}), true).is_empty());
    }

    #[test]
    fn a_rule_has_limits() {
        let with = |values: usize| json!({"pointer": "", "success": (0..values).collect::<Vec<_>>()});
        assert!(fields(with(100), false).is_empty());
        assert_eq!(fields(with(101), false), ["success[100]"]);
        let long = |bytes: usize| json!({"pointer": format!("/{}", "x".repeat(bytes - 1)), "success": ["x".repeat(256)]});
        assert!(fields(long(1024), false).is_empty());
        assert_eq!(fields(long(1025), false), ["pointer"]);
    }
}
