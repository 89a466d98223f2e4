//! Bodies for several users: the standard list, and a root with items.

use proptest::prelude::*;

use super::*;
use crate::limits;

fn batch(body: Body, size: u32) -> Content {
    Content { batch_size: Some(size), ..content(body) }
}

fn json_items(root: &str, item: &str) -> Content {
    batch(Body::Json { template: root.to_owned(), item: Some(item.to_owned()) }, 50)
}

fn text_items(root: &str, item: &str) -> Content {
    batch(Body::Text { template: root.to_owned(), item: Some(item.to_owned()) }, 50)
}

/// A user of the push [`variables`]: the ID and the tags `x` and `y`.
type User<'a> = (&'a str, &'a str, &'a str);

fn values<'a>((id, _, _): User<'a>, delivery: &'a str, tags: &'a [Option<&'a str>]) -> Values<'a> {
    Values { id, id_type: "MOBILE", delivery_id: delivery, tags }
}

/// The body for these users, and what became of each.
fn body(program: &Program, users: &[User<'_>]) -> (String, Vec<Result<Added, Unrendered>>) {
    let mut rendered = Rendered::default();
    program.begin("MOBILE", &mut rendered).unwrap();
    let mut added = Vec::new();
    for (number, &user) in users.iter().enumerate() {
        let (delivery, tags) = (format!("msg_{number}"), [Some(user.1), Some(user.2)]);
        added.push(program.add(&values(user, &delivery, &tags), &mut rendered));
    }
    program.end(&mut rendered);
    (rendered.body, added)
}

fn all(content: &Content, users: &[User<'_>]) -> String {
    let (body, added) = body(&compile(content, &variables()).unwrap(), users);
    assert!(added.iter().all(|added| *added == Ok(Added::Added)), "{added:?}");
    body
}

#[test]
fn the_list_body_names_push_run_id_type_and_each_user_with_all_parameters() {
    let mut content = content(Body::List {});
    content.parameters.truncate(3);
    let push = push(&[("a", "Dear ${x}"), ("n", "1.50")]);
    let program = compile(&content, &push).unwrap();
    assert!(program.has_items() && program.uses_id());
    assert_eq!(program.constant_headers(), [("content-type".to_owned(), "application/json".to_owned())]);
    let (body, _) = body(&program, &[("+31 6", "\"A\"", ""), ("+31 7", "B", "")]);
    assert_eq!(
        body,
        concat!(
            r#"{"push":{"id":"psh_1","name":"Spring \"26\"","run":"run_1"},"id_type":"MOBILE","items":["#,
            r#"{"id":"+31 6","delivery":"msg_0","params":{"a":"Dear \"A\"","b":"","n":1.50}},"#,
            r#"{"id":"+31 7","delivery":"msg_1","params":{"a":"Dear B","b":"","n":1.50}}]}"#
        )
    );
}

#[test]
fn one_user_has_a_body_of_one_item() {
    let content = Content { batch_size: Some(1), ..json_items(r#"{"to":"{id}","m":"{items}"}"#, r#""{a}""#) };
    assert_eq!(render(&content, "X", "").unwrap().body, r#"{"to":"+31 6","m":["X"]}"#);
    assert_eq!(render(&super::content(Body::List {}), "X", "Y").unwrap().body.matches("\"id\"").count(), 2);
}

#[test]
fn a_json_root_takes_its_items_as_an_array_wherever_they_stand() {
    let content = json_items(
        r#" [1, {"all" : "{items}", "type":"{id_type}"}] "#,
        r#"{"{a}":["{b}","{id}","{delivery_id}"]}"#,
    );
    let body = all(&content, &[("1", "k", "v"), ("2", "l", "\"w")]);
    let expected = r#" [1, {"all" : [{"k":["v","1","msg_0"]},{"l":["\"w","2","msg_1"]}], "type":"MOBILE"}] "#;
    assert_eq!(body, expected);
}

#[test]
fn a_text_root_takes_its_items_as_lines() {
    let content = text_items("to,text\r\n{items}\r\nend {{items}}", "{id},{a}");
    assert_eq!(all(&content, &[("1", "A", ""), ("2", "", "")]), "to,text\r\n1,A\n2,\r\nend {items}");
}

#[test]
fn the_place_of_the_items_is_checked() {
    let detail = "`{items}` stands in the root of a body with items only";
    assert_places(&json(r#"["{items}"]"#), &[("1:3", detail)]);
    assert_places(&text("a {items}"), &[("1:3", detail)]);
    assert_places(&form("a={items}"), &[("1:3", detail)]);
    assert_places(&url("https://example.com/{items}"), &[("1:21", detail)]);
    assert_places(&header("{items}"), &[("1:1", detail)]);
    assert_places(&json_items(r#"["{items}"]"#, "[\n\"{items}\"]"), &[("2:2", detail)]);
    assert_places(&json_items("[]", "1"), &[("1:1", "the root has no place for the items")]);
    assert_places(&text_items("", "1"), &[("1:1", "the root has no place for the items")]);
    assert_places(&json_items("[\"{items}\",\n\"{items}\"]", "1"), &[("2:2", "stands in the root once")]);
    assert_places(&text_items("{items} {items}", "1"), &[("1:9", "stands in the root once")]);
    let own = "in a JSON root the items stand in place of a value";
    assert_places(&json_items(r#"["all {items}"]"#, "1"), &[("1:7", own)]);
    assert_places(&json_items(r#"{"{items}":1}"#, "1"), &[("1:3", own)]);
    assert_places(&json_items("[{items}]", "1"), &[("1:2", "write `\"{items}\"`")]);
    assert_places(&text_items("{item}", "1"), &[("1:1", "did you mean `{items}`?")]);
}

#[test]
fn what_differs_between_users_stands_in_items_only() {
    let mut content =
        json_items("[\"{id}\",\n\"{delivery_id}\",\"{id_type}\",\"{a}\",\"{items}\"]", "\"{id}\"");
    content.url = "https://example.com/{id_type}/{id}".to_owned();
    content.headers = vec![Header { name: "X-Note".to_owned(), value: "{delivery_id}".to_owned() }];
    let found = faults(&content);
    let places: Vec<&str> = found.iter().map(|fault| fault.split(" `").next().unwrap()).collect();
    let expected = ["url 1:31", "headers[0].value 1:1", "body.template 1:3", "body.template 2:2"];
    assert_eq!(places, expected, "{found:#?}");
    assert!(
        found[0].contains("differs between the users of a request (move it into the `item`"),
        "{found:?}"
    );
    content.batch_size = Some(1);
    assert_eq!(faults(&content), Vec::<String>::new());
    let list = Content { url: "https://example.com/{id}".to_owned(), ..super::content(Body::List {}) };
    assert_eq!(faults(&list).len(), 1, "a list holds 50 users unless it is told otherwise");
}

#[test]
fn a_value_with_variables_stands_in_items_only() {
    let mut content = json_items(r#"{"a":"{a}","b":"{b}","all":"{items}"}"#, r#""{a}""#);
    content.url = "https://example.com/{b}".to_owned();
    assert!(compile(&content, &push(&[("a", "$${x}"), ("b", "b")])).is_ok());
    let varying = push(&[("a", "$${x}\né ${x}"), ("b", "${y}")]);
    let found = described(&compile(&content, &varying).unwrap_err());
    let detail = |name| {
        format!(
            "`{{{name}}}` stands where all users of a request share it (write a value without variables, or go through a webhook that sends to each user singly)"
        )
    };
    assert_eq!(
        found,
        [format!("push.values.b 1:1 {}", detail("b")), format!("push.values.a 2:3 {}", detail("a"))]
    );
    content.batch_size = Some(1);
    assert!(compile(&content, &varying).is_ok());
}

#[test]
fn an_item_of_a_text_is_one_line_whatever_stands_in_it() {
    let line = "an item of a text body is one line";
    assert_places(
        &text_items("{items}", "a\n{b}\r {zzz}"),
        &[("1:2", line), ("2:4", line), ("2:6", "is no parameter")],
    );
    let content = text_items("x\n{items}", "{a}");
    let mut push = push(&[("a", "1\n2")]);
    assert_eq!(described(&compile(&content, &push).unwrap_err()), [format!("push.values.a 1:2 {line}")]);
    push = variables();
    push.variables[0].when_empty = WhenEmpty::Default("\r".to_owned());
    let found = described(&compile(&content, &push).unwrap_err());
    assert_eq!(found, [format!("push.variables[0].when_empty.default 1:1 {line}")]);
    let (body, added) = body(
        &compile(&content, &variables()).unwrap(),
        &[("1", "A", ""), ("2", "B\nforged", ""), ("3", "\r", ""), ("4", "D", "")],
    );
    assert_eq!(body, "x\nA\nD");
    assert!(
        matches!(added[1], Err(Unrendered::Unfit { .. }))
            && matches!(added[2], Err(Unrendered::Unfit { .. }))
    );
}

#[test]
fn a_value_from_a_parameter_source_is_the_same_for_all_users_and_nothing_but_text() {
    let call = |mut content: Content| {
        content.parameters[0].kind = ParameterType::Call;
        content
    };
    let root = call(json_items(r#"{"all":"{a}","items":"{items}"}"#, r#""{a}""#));
    let program = compile(&root, &push_of("${x}\n")).unwrap();
    assert_eq!(body(&program, &[("1", "", "")]).0, r#"{"all":"${x}\n","items":["${x}\n"]}"#);
    let faults = compile(&call(text_items("{items}", "{a}")), &push_of("1\n2")).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["push.values.a"]);
}

/// A push whose `a` is this text, whatever stands in it.
fn push_of(text: &str) -> PushContent {
    let mut push = push(&[]);
    push.values.insert(name("a"), text.to_owned());
    push
}

#[test]
fn a_user_without_an_item_leaves_nothing_in_the_body() {
    let content = json_items(r#"["{items}"]"#, r#"{"{a}":1,"x":"{b}"}"#);
    let mut push = variables();
    push.variables[1].when_empty = WhenEmpty::SkipUser;
    let program = compile(&content, &push).unwrap();
    let users =
        [("1", "x", "taken key"), ("2", "a", ""), ("3", "b", "B"), ("4", "x", "again"), ("5", "c", "C")];
    let (body, added) = body(&program, &users);
    assert_eq!(body, r#"[[{"b":1,"x":"B"},{"c":1,"x":"C"}]]"#);
    assert!(
        matches!(added[0], Err(Unrendered::Unfit { .. }))
            && matches!(added[3], Err(Unrendered::Unfit { .. }))
    );
    assert_eq!(added[1], Err(Unrendered::EmptyValue { name: "${y}".to_owned() }));
}

#[test]
fn a_body_is_filled_to_its_limit_and_an_item_that_is_larger_alone_is_too_large() {
    let program = compile(&json_items(r#"{"i":"{items}","e":0}"#, r#""{a}""#), &variables()).unwrap();
    // `{"i":[` and `],"e":0}` and the quotes of the one item.
    let alone = limits::BODY - 6 - 8 - 2;
    let long = "x".repeat(alone + 1);
    let (whole, added) = body(&program, &[("1", &long[..alone], "")]);
    assert_eq!((whole.len(), added), (limits::BODY, vec![Ok(Added::Added)]));
    let (_, added) = body(&program, &[("1", &long, ""), ("2", "fits", "")]);
    let too_large = Unrendered::TooLarge { part: "body", limit: limits::BODY };
    assert_eq!(added, [Err(too_large.clone()), Ok(Added::Added)]);
    // A second item takes a comma and two quotes.
    let rest = alone - 1000 - 3;
    let (whole, added) = body(&program, &[("1", &long[..1000], ""), ("2", &long[..rest], "")]);
    assert_eq!((whole.len(), added), (limits::BODY, vec![Ok(Added::Added); 2]));
    let (short, added) =
        body(&program, &[("1", &long[..1000], ""), ("2", &long[..=rest], ""), ("3", "z", "")]);
    assert_eq!(added, [Ok(Added::Added), Ok(Added::Full), Ok(Added::Added)]);
    assert_eq!(short.len(), 6 + 8 + 1002 + 4);
    let mut rendered = Rendered::default();
    let tags = [Some(long.as_str()), None];
    assert_eq!(program.render(&values(("1", "", ""), "", &tags), &mut rendered), Err(too_large));
}

#[test]
fn buffers_hold_nothing_of_the_batch_before() {
    let program = compile(&json_items(r#"["{items}"]"#, r#""{a}""#), &variables()).unwrap();
    let mut rendered = Rendered::default();
    for x in ["long ago and far away", "2"] {
        program.begin("MOBILE", &mut rendered).unwrap();
        let tags = [Some(x)];
        program.add(&values(("", "", ""), "", &tags), &mut rendered).unwrap();
        program.end(&mut rendered);
        assert_eq!(rendered.body, format!(r#"[["{x}"]]"#));
    }
}

fn any_users() -> impl Strategy<Value = Vec<(String, String, String)>> {
    let text = || {
        let special = prop::sample::select(vec![
            "\"", "\\", "]", "},{", "{items}", "{{", "\n", "\u{1f}", "\u{2028}", "é🎟",
        ]);
        let piece = prop_oneof![special.prop_map(str::to_owned), any::<char>().prop_map(String::from)];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    };
    prop::collection::vec((text(), text(), text()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_json_body_parses_back_to_exactly_its_users(users in any_users()) {
        let content = json_items(r#"{"t":"{id_type}","items":"{items}"}"#, r#"{"id":"{id}","m":"<{a}{b}>"}"#);
        let borrowed: Vec<User<'_>> = users.iter().map(|(id, x, y)| (id.as_str(), x.as_str(), y.as_str())).collect();
        let parsed: serde_json::Value = serde_json::from_str(&all(&content, &borrowed)).unwrap();
        let items: Vec<_> =
            users.iter().map(|(id, x, y)| serde_json::json!({"id": id, "m": format!("<{x}{y}>")})).collect();
        prop_assert_eq!(parsed, serde_json::json!({"t": "MOBILE", "items": items}));
    }

    #[test]
    fn the_list_body_parses_back_to_exactly_its_users(users in any_users()) {
        let borrowed: Vec<User<'_>> = users.iter().map(|(id, x, y)| (id.as_str(), x.as_str(), y.as_str())).collect();
        let parsed: serde_json::Value = serde_json::from_str(&all(&content(Body::List {}), &borrowed)).unwrap();
        let item = |(number, (id, x, y)): (usize, &(String, String, String))| serde_json::json!({
            "id": id,
            "delivery": format!("msg_{number}"),
            "params": {"a": x, "b": y, "n": null, "coupon": ""},
        });
        let items: Vec<_> = users.iter().enumerate().map(item).collect();
        let push = serde_json::json!({"id": "psh_1", "name": "Spring \"26\"", "run": "run_1"});
        prop_assert_eq!(parsed, serde_json::json!({"push": push, "id_type": "MOBILE", "items": items}));
    }

    #[test]
    fn a_text_body_has_a_line_for_each_user_it_holds(users in any_users()) {
        let borrowed: Vec<User<'_>> = users.iter().map(|(id, x, y)| (id.as_str(), x.as_str(), y.as_str())).collect();
        let program = compile(&text_items("head\n{items}\nend", "[{a}]"), &variables()).unwrap();
        let (body, added) = body(&program, &borrowed);
        let lines: Vec<&str> = body.split(['\n', '\r']).collect();
        let held = added.iter().filter(|added| added.is_ok()).count();
        // Without users one empty line is left between head and end.
        prop_assert_eq!(lines.len(), held.max(1) + 2);
        for (index, (_, x, _)) in users.iter().enumerate() {
            prop_assert_eq!(added[index].is_ok(), !x.contains(['\n', '\r']));
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_at_the_same_place_each_time(lengths in prop::collection::vec(0usize..120_000, 1..12)) {
        let program = compile(&json_items(r#"["{items}"]"#, r#""{a}""#), &variables()).unwrap();
        let long = "x".repeat(120_000);
        let (mut rendered, mut at, mut sizes) = (Rendered::default(), 0, Vec::new());
        while at < lengths.len() {
            program.begin("MOBILE", &mut rendered).unwrap();
            let begun = at;
            while at < lengths.len() {
                let tags = [Some(&long[..lengths[at]])];
                match program.add(&values(("", "", ""), "", &tags), &mut rendered).unwrap() {
                    Added::Added => at += 1,
                    Added::Full => break,
                }
            }
            program.end(&mut rendered);
            prop_assert!(at > begun && rendered.body.len() <= limits::BODY);
            let items: Vec<Vec<String>> = serde_json::from_str(&rendered.body).unwrap();
            prop_assert_eq!(items[0].iter().map(String::len).collect::<Vec<_>>(), &lengths[begun..at]);
            sizes.push(at - begun);
        }
        prop_assert_eq!(sizes.iter().sum::<usize>(), lengths.len());
    }
}
