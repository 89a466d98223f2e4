use super::*;

fn body(template: &str, x: &str, y: &str) -> String {
    render(&json(template), x, y).unwrap().body
}

#[test]
fn placeholders_stand_inside_strings_values_and_keys() {
    assert_eq!(body(r#"{"{a}": ["{b}", "{id}!"]}"#, "k", "v\"\\\n"), r#"{"k": ["v\"\\\n", "+31 6!"]}"#);
}

#[test]
fn an_injection_stays_inside_its_string() {
    let body = body(r#"{"name":"{a}","admin":false}"#, r#"","admin":true,"x":""#, "");
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(parsed, serde_json::json!({"name": r#"","admin":true,"x":""#, "admin": false}));
}

#[test]
fn structure_is_put_out_as_it_was_written() {
    let template = " {\"a\" : [ ],\r\n\t\"b\":{ },\"c\":[-0.5e+3 , 0, true,false ,null],\"\\u007bid}}\":\"\\ud83c\\udf9f {{a}} /\\/\"} ";
    let expected = template.replace("bid}}", "bid}").replace("{{a}}", "{a}");
    assert_eq!(body(template, "", ""), expected);
}

#[test]
fn a_string_that_is_exactly_one_number_becomes_that_number() {
    let template = r#"{"n":"{n}","m":" {n}","{n}":"{n}{n}","z":["{n}"]}"#;
    let with = |values: &[(&str, &str)]| render_tags(&json(template), &push(values), &[]).unwrap().body;
    assert_eq!(
        with(&[("n", "-1.50e+007")]),
        r#"{"n":-1.50e+007,"m":" -1.50e+007","-1.50e+007":"-1.50e+007-1.50e+007","z":[-1.50e+007]}"#
    );
    assert_eq!(with(&[]), r#"{"n":null,"m":" ","":"","z":[null]}"#);
    let digits = "123456789012345678901234567890.10";
    assert_eq!(render_tags(&json(r#""{n}""#), &push(&[("n", digits)]), &[]).unwrap().body, digits);
}

#[test]
fn a_placeholder_outside_a_string_is_a_fault_with_a_hint() {
    assert_places(
        &json("{\"a\": {a},\n \"n\": [{n}, { b }],\n {coupon}: 1, \"z\": {zzz}}"),
        &[
            ("1:7", "in JSON a placeholder stands inside a string (write `\"{a}\"`"),
            ("2:8", "write `\"{n}\"`; a string that is exactly one numeric placeholder becomes a number"),
            ("2:13", "write `\"{b}\"`"),
            ("3:2", "write `\"{coupon}\"`"),
            ("3:20", "in JSON a placeholder stands inside a string"),
            ("3:20", "`{zzz}` is no parameter"),
        ],
    );
    assert_places(&json("{a}"), &[("1:1", "in JSON a placeholder stands inside a string")]);
}

#[test]
fn faults_inside_strings_are_all_told() {
    assert_places(
        &json("{\"{x y}\": \"}\",\n\"é\": \"{\", \"k\": \"{cupon}\\n{{}}\"}"),
        &[
            ("1:3", "a name in braces"),
            ("1:12", "closes nothing"),
            ("2:7", "never closed"),
            ("2:17", "did you mean `{coupon}`?"),
        ],
    );
}

#[test]
fn what_is_no_json_is_refused_at_its_place() {
    for (template, place, part) in [
        ("", "1:1", "the text ends where a JSON value should stand"),
        ("{\n \"a\": 1\n", "3:1", "`,` or `}` should stand here"),
        ("{\"a\" 1}", "1:6", "`:` should stand here"),
        ("[1 2]", "1:4", "`,` or `]` should stand here"),
        ("[1,]", "1:4", "a JSON value should stand here"),
        ("{\"a\":1,}", "1:8", "a key in quotes should stand here"),
        ("{a: 1}", "1:2", "a key in quotes should stand here"),
        ("{{\"a\": 1}}", "1:2", "write JSON's own braces once"),
        ("[01]", "1:2", "this is no JSON number"),
        ("[+1]", "1:2", "a JSON value should stand here"),
        ("[.5, 1.]", "1:2", "a JSON value should stand here"),
        ("[1.]", "1:2", "this is no JSON number"),
        ("[-]", "1:2", "this is no JSON number"),
        ("[1e]", "1:2", "this is no JSON number"),
        ("[nul]", "1:2", "a JSON value should stand here"),
        ("[NaN]", "1:2", "a JSON value should stand here"),
        ("true false", "1:6", "the JSON value ends before this"),
        ("truex", "1:5", "the JSON value ends before this"),
        ("[\"a", "1:2", "this string is never closed"),
        ("[\"a\\\"]", "1:2", "this string is never closed"),
        ("[\"\\x\"]", "1:3", "this is no escape of JSON"),
        ("[\"\\u12g4\"]", "1:3", "`\\u` is followed by four hex digits"),
        ("[\"\\ud800\"]", "1:3", "half of a surrogate pair"),
        ("[\"\\ud800\\u0041\"]", "1:3", "half of a surrogate pair"),
        ("[\"\\udc00\"]", "1:3", "half of a surrogate pair"),
        ("[\"a\tb\"]", "1:4", "a JSON string holds no control characters"),
        ("\u{feff}[]", "1:1", "a JSON value should stand here"),
        ("{\"a\":1,\n\"\\u0061\":2}", "2:1", "this key stands in its object already"),
        ("{\"{a}\":1,\"{a}\":2}", "1:10", "this key stands in its object already"),
    ] {
        let found = faults(&json(template));
        assert_eq!(found.len(), 1, "{template}: {found:?}");
        assert!(found[0].starts_with(&format!("body.template {place} ")), "{template}: {found:?}");
        assert!(found[0].contains(part), "{template}: {found:?}");
    }
}

#[test]
fn nesting_ends_at_64_levels() {
    let nested = |depth: usize| json(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(faults(&nested(64)), Vec::<String>::new());
    assert_places(&nested(65), &[("1:65", "nested deeper than 64 levels")]);
    assert_places(&nested(1_000_000), &[("1:65", "nested deeper than 64 levels")]);
}

#[test]
fn no_value_makes_a_key_meet_another() {
    let content = json(r#"{"adm\u0069n":false,"{a}":{"{b}":1,"x":2}}"#);
    let refused = |x, y| matches!(render(&content, x, y), Err(Unrendered::Unfit { .. }));
    assert!(refused("admin", ""));
    assert!(refused("ok", "x"));
    assert!(!refused("Admin", "admin"));
    assert!(!refused("x", "admin"));

    let constant = push(&[("a", "admin"), ("b", "b")]);
    let found = compile(&content, &constant).unwrap_err();
    assert_eq!(
        described(&found),
        ["push.values a key with a placeholder is no other key of its object, query or form"]
    );
}
