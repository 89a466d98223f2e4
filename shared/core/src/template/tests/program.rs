use super::*;

fn empty(name: &str) -> Unrendered {
    Unrendered::EmptyValue { name: name.to_owned() }
}

#[test]
fn what_never_changes_is_known_when_compiled() {
    let mut content = json(r#"{"a":"{a}","b":"{b}"}"#);
    content.headers = [("X-Campaign", "spring {a}"), ("X-User", "{id}"), ("X-Fixed", "1")]
        .map(|(name, value)| Header { name: name.to_owned(), value: value.to_owned() })
        .to_vec();
    let program = compile(&content, &push(&[("a", "\"1\""), ("b", "${x}${y}${x}")])).unwrap();
    let constant = program.constant_headers().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let expected = [("x-campaign", "spring \"1\""), ("x-fixed", "1"), ("content-type", "application/json")];
    assert_eq!(constant.collect::<Vec<_>>(), expected);
    assert_eq!(program.header_names(), ["x-user"]);
    assert_eq!(program.tags(), ["tag x", "tag y"]);
    assert_eq!(program.body.steps.len(), 3);
    assert_eq!(&*program.body.steps[0].literal, r#"{"a":"\"1\"","b":""#);
    assert!(program.uses_id());
    assert!(!compile(&json(r#"{"a":"{a}"}"#), &push(&[])).unwrap().uses_id());
}

#[test]
fn a_header_may_name_the_content_type() {
    let mut content = json("{}");
    content.headers =
        vec![Header { name: "Content-Type".to_owned(), value: "application/vnd.api+json".to_owned() }];
    let program = compile(&content, &push(&[])).unwrap();
    assert_eq!(
        program.constant_headers(),
        [("content-type".to_owned(), "application/vnd.api+json".to_owned())]
    );
}

#[test]
fn two_variables_of_one_tag_are_looked_up_once() {
    let mut push = variables();
    push.variables[1].source = VariableSource::Tag("tag x".to_owned());
    push.variables[1].when_empty = WhenEmpty::Default("dear".to_owned());
    let content = text("{a}|{b}");
    assert_eq!(compile(&content, &push).unwrap().tags(), ["tag x"]);
    assert_eq!(render_tags(&content, &push, &[Some("X")]).unwrap().body, "X|X");
    assert_eq!(render_tags(&content, &push, &[None]).unwrap().body, "|dear");
}

#[test]
fn an_empty_variable_is_blank_or_its_default_or_skips_the_user() {
    let content = text("Dear {a}");
    for tags in [&[None] as &[_], &[Some("")], &[]] {
        let mut push = push(&[("a", "${x} Hello")]);
        assert_eq!(render_tags(&content, &push, tags).unwrap().body, "Dear  Hello");
        push.variables[0].when_empty = WhenEmpty::Default("Member".to_owned());
        assert_eq!(render_tags(&content, &push, tags).unwrap().body, "Dear Member Hello");
        push.variables[0].when_empty = WhenEmpty::SkipUser;
        assert_eq!(render_tags(&content, &push, tags), Err(empty("${x}")));
        assert_eq!(render_tags(&content, &push, &[Some(" ")]).unwrap().body, "Dear   Hello");
    }
}

#[test]
fn a_default_is_escaped_and_never_expanded() {
    let mut push = push(&[("a", "${x}")]);
    push.variables[0].when_empty = WhenEmpty::Default("\"${y}\" {id}".to_owned());
    assert_eq!(render_tags(&json(r#""{a}""#), &push, &[]).unwrap().body, r#""\"${y}\" {id}""#);
}

#[test]
fn a_user_of_an_audience_has_no_attributes_of_an_event() {
    let mut push = variables();
    push.variables[0].source = VariableSource::Attribute("x".to_owned());
    push.variables[0].when_empty = WhenEmpty::Default("none".to_owned());
    assert_eq!(compile(&text("{a}{b}"), &push).unwrap().tags(), ["tag y"]);
    assert_eq!(render_tags(&text("{a} {b}"), &push, &[Some("y")]).unwrap().body, "none y");
}

#[test]
fn a_variable_that_may_not_be_empty_skips_the_user_even_where_its_value_is_not_used() {
    let mut push = variables();
    push.variables[1].when_empty = WhenEmpty::SkipUser;
    assert_eq!(render_tags(&text("{a}"), &push, &[Some("x")]), Err(empty("${y}")));
}

#[test]
fn a_required_parameter_that_ends_up_blank_skips_the_user() {
    let mut content = text("{a}");
    content.parameters[0].required = true;
    let mut push = push(&[("a", "${x}${y}")]);
    assert_eq!(render_tags(&content, &push, &[None, Some("")]), Err(empty("{a}")));
    assert_eq!(render_tags(&content, &push, &[None, Some("y")]).unwrap().body, "y");
    push.variables[1].when_empty = WhenEmpty::Default("dear".to_owned());
    assert_eq!(render_tags(&content, &push, &[None, None]).unwrap().body, "dear");
    assert_eq!(
        render_tags(&content, &push, &[None, Some(" ")]),
        Err(empty("{a}")),
        "white space says nothing"
    );
    push.variables[1].when_empty = WhenEmpty::Default("\u{a0}".to_owned());
    assert_eq!(render_tags(&content, &push, &[None, None]), Err(empty("{a}")));
    push.values.insert(name("a"), "${x} ${y}\n".to_owned());
    push.variables[1].when_empty = WhenEmpty::Blank;
    assert_eq!(render_tags(&content, &push, &[None, None]), Err(empty("{a}")));
    assert_eq!(render_tags(&content, &push, &[Some("x"), None]).unwrap().body, "x \n");
    push.values.insert(name("a"), "${x}-${y}".to_owned());
    push.variables[1].when_empty = WhenEmpty::Blank;
    assert_eq!(render_tags(&content, &push, &[None, None]).unwrap().body, "-");
}

#[test]
fn a_body_ends_at_its_limit() {
    let limit = 256 * 1024;
    let with =
        |length: usize| render(&text("{a}"), &"x".repeat(length), "").map(|rendered| rendered.body.len());
    assert_eq!(with(1), Ok(1));
    assert_eq!(with(64 * 1024), Ok(64 * 1024));
    assert_eq!(with(limit), Ok(limit));
    assert_eq!(with(limit + 1), Err(Unrendered::TooLarge { part: "body", limit }));
    let tail = render(&text("{a}\n"), &"x".repeat(limit), "");
    assert_eq!(tail, Err(Unrendered::TooLarge { part: "body", limit }));
}

#[test]
fn url_and_headers_end_at_their_limits() {
    let long = "x".repeat(8 * 1024 + 1);
    let too_large = |part| Err(Unrendered::TooLarge { part, limit: 8 * 1024 });
    assert_eq!(render(&url("https://example.com/{a}"), &long, ""), too_large("URL"));
    assert_eq!(render(&header("{a}"), &long, ""), too_large("header"));
}

#[test]
fn repeated_placeholders_stop_at_the_limits_without_filling_memory() {
    let content = text(&"{a}".repeat(20_000));
    let long = "x".repeat(60_000);
    let few = text(&"{a}".repeat(4000));
    let program = compile(&few, &variables()).unwrap();
    let mut rendered = Rendered::default();
    let values = Values { id: "", id_type: "", delivery_id: "", tags: &[Some(&long)] };
    assert!(matches!(program.render(&values, &mut rendered), Err(Unrendered::TooLarge { .. })));
    assert!(rendered.body.capacity() < 1024 * 1024, "{} bytes", rendered.body.capacity());
    let slots = described(&compile(&content, &variables()).unwrap_err());
    assert_eq!(slots, ["push.values the request would have more than 4096 slots"]);
    let constant = described(&compile(&content, &push(&[("a", &"x".repeat(16_000))])).unwrap_err());
    assert_eq!(constant, ["push.values with these values a part of the request passes 262144 bytes"]);
}

#[test]
fn buffers_are_used_again_and_hold_nothing_of_the_user_before() {
    let mut content = json(r#"{"a":"{a}"}"#);
    content.url = "https://example.com/{b}".to_owned();
    content.headers = vec![Header { name: "x-a".to_owned(), value: "{a}".to_owned() }];
    let program = compile(&content, &variables()).unwrap();
    let mut rendered = Rendered::default();
    for (x, y) in [("long ago and far away", "first"), ("b", "2")] {
        let tags = [Some(x), Some(y)];
        program.render(&Values { id: "", id_type: "", delivery_id: "", tags: &tags }, &mut rendered).unwrap();
        assert_eq!(rendered.url, format!("https://example.com/{y}"));
        assert_eq!(rendered.headers, [x]);
        assert_eq!(rendered.body, format!(r#"{{"a":"{x}"}}"#));
    }
}

#[test]
fn a_program_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Program>();
}

#[test]
fn faults_of_both_sides_name_their_side() {
    let found = described(&compile(&text("{zzz}"), &push(&[])).unwrap_err());
    assert!(found[0].starts_with("webhook.body.template 1:1 "), "{found:?}");
}
