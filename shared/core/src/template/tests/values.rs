use super::*;

fn kinds() -> Content {
    use ParameterType::{Character, Date, Numeric, Text};
    let mut content = content(Body::None {});
    content.parameters =
        vec![parameter("c", Character), parameter("n", Numeric), parameter("t", Text), parameter("d", Date)];
    content
}

fn value_faults(values: &[(&str, &str)]) -> Vec<String> {
    described(&compile(&kinds(), &push(values)).err().unwrap_or_default())
}

#[test]
fn variables_stand_in_text_values() {
    let content = text("{a}|{b}");
    let push = push(&[("a", "Dear ${x}${y}, $${x} {id} $5 $"), ("b", "${y}$$${x}")]);
    let body = render_tags(&content, &push, &[Some("X"), Some("Y")]).unwrap().body;
    assert_eq!(body, "Dear XY, ${x} {id} $5 $|Y$${x}");
}

#[test]
fn values_are_never_expanded_again() {
    let body = render(&json(r#"["{a}","{b}"]"#), "{id} {{ ${y} $${", "{a}").unwrap().body;
    assert_eq!(body, r#"["{id} {{ ${y} $${","{a}"]"#);
}

#[test]
fn every_fault_of_a_text_value_is_told_with_its_place() {
    let mut push = push(&[("t", "${x}\né ${nme} ${x-1} ${"), ("n", "${x}"), ("c", "a ${x}"), ("d", "$${x}")]);
    push.variables[0].name = name("name");
    let found = described(&compile(&kinds(), &push).unwrap_err());
    assert_eq!(
        found,
        [
            "push.values.c 1:3 only a parameter of type `text` takes variables (write `$${` for a literal `${`)",
            "push.values.n 1:1 only a parameter of type `text` takes variables (write `$${` for a literal `${`)",
            "push.values.t 1:1 `${x}` is not declared (declare it in `variables`, with its tag and what happens when that is empty)",
            "push.values.t 2:3 `${nme}` is not declared (did you mean `${name}`?)",
            "push.values.t 2:10 a variable is a name, as in `${name}` (write `$${` for a literal `${`)",
            "push.values.t 2:17 `${` is never closed (write `$${` for a literal `${`)",
            "push.values.d a date is `YYYY-MM-DD` or RFC 3339 (as in `2026-11-24` or `2026-11-24T08:30:00Z`)",
        ]
    );
}

#[test]
fn a_number_is_a_number_of_json() {
    let longest = "1".repeat(64);
    for good in
        ["0", "-0", "12", "-1.50", "1e5", "1E+05", "0.1e-9", "123456789012345678901234567890", &longest]
    {
        assert_eq!(value_faults(&[("n", good)]), Vec::<String>::new(), "{good}");
    }
    let long = "1".repeat(65);
    for bad in [
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "e5",
        "-",
        "NaN",
        "Infinity",
        "1,5",
        "0x1",
        " 1",
        "1 ",
        "١",
        "1_0",
        long.as_str(),
    ] {
        assert_eq!(value_faults(&[("n", bad)]).len(), 1, "{bad}");
    }
}

#[test]
fn a_date_is_a_day_or_rfc_3339() {
    for good in [
        "2026-11-24",
        "2028-02-29",
        "9999-12-31",
        "2026-11-24T08:30:00Z",
        "2026-11-24T08:30:00.123456789+05:30",
        "2026-11-24T23:59:60Z",
    ] {
        assert_eq!(value_faults(&[("d", good)]), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "2026-02-29",
        "2026-13-01",
        "2026-1-1",
        "20261124",
        "2026-11-24 08:30:00Z",
        "2026-11-24T08:30:00",
        "2026-11-24T08:30Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T08:30:00.Z",
        "2026-11-24T08:30:00.1234567890Z",
        "2026-11-24T08:30:00+05",
        "2026-11-24T08:30:00+05:30[Asia/Kolkata]",
        "２026-11-24",
        "today",
    ] {
        assert_eq!(value_faults(&[("d", bad)]).len(), 1, "{bad}");
    }
}

#[test]
fn a_character_value_is_short_and_on_one_line() {
    assert_eq!(value_faults(&[("c", &"é".repeat(200))]), Vec::<String>::new());
    assert_eq!(
        value_faults(&[("c", &"é".repeat(201))]),
        ["push.values.c a `character` value has at most 200 characters"]
    );
    assert_eq!(
        value_faults(&[("c", "aé\nb")]),
        [
            "push.values.c 1:3 a `character` value holds no control characters and no line breaks (make the parameter a `text`)"
        ]
    );
    let push = push(&[("c", "$${x}")]);
    let mut content = kinds();
    content.body = Body::Text { template: "{c}".to_owned(), item: None };
    assert_eq!(render_tags(&content, &push, &[]).unwrap().body, "${x}");
}

#[test]
fn a_value_has_a_greatest_size() {
    assert_eq!(value_faults(&[("t", &"x".repeat(16 * 1024))]), Vec::<String>::new());
    assert_eq!(
        value_faults(&[("t", &"${".repeat(8 * 1024 + 1))]),
        ["push.values.t a value has at most 16384 bytes"]
    );
    assert_eq!(value_faults(&[("t", &"${".repeat(1024))]).len(), 50);
}
