//! template.yaml as data.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use serde_json::{Map, Value, json};
use serde_yaml_ng as yaml;
use stack::Project;

/// Reads template.yaml as the JSON that CloudFormation makes of it: `!Ref X` is `{"Ref": "X"}`, `!Sub X` is `{"Fn::Sub": "X"}`.
pub(crate) fn template() -> Value {
    let project = Project::find().unwrap();
    let text = fs::read_to_string(project.template()).unwrap();
    json_of(yaml::from_str(&text).unwrap())
}

/// All Rust source of a function, in one text.
pub(crate) fn source(function: &str) -> String {
    fn read(folder: &std::path::Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&Project::find().unwrap().root().join("functions").join(function).join("src"), &mut text);
    text
}

fn json_of(value: yaml::Value) -> Value {
    match value {
        yaml::Value::Tagged(tagged) => {
            let name = tagged.tag.to_string();
            let name = match name.trim_start_matches('!') {
                "Ref" => "Ref".to_owned(),
                "Condition" => "Condition".to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({ name: json_of(tagged.value) })
        }
        yaml::Value::Mapping(mapping) => {
            let pairs =
                mapping.into_iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), json_of(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        yaml::Value::Sequence(values) => values.into_iter().map(json_of).collect(),
        plain => serde_json::to_value(plain).unwrap(),
    }
}

/// The resources of a type, with their logical IDs.
pub(crate) fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_object().unwrap().iter();
    all.filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect()
}

/// A value, or a list of them, as a list.
pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

/// What a reference means: the default of a parameter; anything else as it stands.
pub(crate) fn default<'a>(template: &'a Value, value: &'a Value) -> &'a Value {
    match value["Ref"].as_str() {
        Some(name) if template["Parameters"][name].is_object() => &template["Parameters"][name]["Default"],
        _ => value,
    }
}

/// The name in `{"Ref": …}`, `{"Fn::GetAtt": "name.Arn"}` or `{"Fn::Sub": …}`; text as it stands.
pub(crate) fn name(value: &Value) -> String {
    let text = ["Ref", "Fn::GetAtt", "Fn::Sub"]
        .iter()
        .find_map(|function| value[function].as_str())
        .or(value.as_str());
    let text = text.unwrap_or_else(|| panic!("neither text nor a simple reference: {value}"));
    text.trim_end_matches(".Arn").replace("${Bucket.Arn}", "Bucket")
}
