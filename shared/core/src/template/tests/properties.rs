//! What holds for any text and any value.

use ::url::{Url, form_urlencoded};
use proptest::prelude::*;

use super::*;

/// Any text, with more than its share of what formats give a meaning to.
fn any_text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "\"", "\\", "/", "{", "}", "${", "${x}", "{id}", "{{", "\r\n", "\0", "\u{1}", "\u{1f}", "\u{7f}",
        "\u{85}", "\u{2028}", "\u{2029}", "\u{feff}", "%", "%2e", "%2F", "..", ".", "?", "#", "&", "=", "+",
        ";", ":", "@", "//", " ", "é", "中", "🎟",
    ]);
    let piece = prop_oneof![special.prop_map(str::to_owned), any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Text that looks like a template.
fn any_template() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "{a}",
        "{id}",
        "{{",
        "}}",
        "\\",
        "\\u",
        "00e9",
        "\\ud83c",
        "1",
        "-0.5e3",
        "true",
        " ",
        "\n",
        "${x}",
        "$${",
        "https://",
        "example.com",
        "/",
        "..",
        "%2e",
        "?",
        "&",
        "=",
        "#",
        "%",
        "@",
        "é",
        "\u{0}",
    ]);
    let piece = prop_oneof![8 => piece.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_json_body_parses_back_to_exactly_its_values(x in any_text(), y in any_text(), id in any_text()) {
        let content = json(r#"{"k":["{a}","<{a}{b}>"],"id":"{id}","o":{"{b}":1}}"#);
        let program = compile(&content, &variables()).unwrap();
        let mut rendered = Rendered::default();
        let values = Values { id: &id, id_type: "MOBILE", delivery_id: "", tags: &[Some(&x), Some(&y)] };
        program.render(&values, &mut rendered).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&rendered.body).unwrap();
        let pair = format!("<{x}{y}>");
        prop_assert_eq!(parsed, serde_json::json!({"k": [x, pair], "id": id, "o": {y: 1}}));
    }

    #[test]
    fn constants_and_variables_render_alike(x in any_text(), y in any_text()) {
        let constant = [&x, &y].map(|value| value.replace("${", "$${"));
        // A `$` before `${` cannot be written, and nothing is left to compare.
        prop_assume!(!x.contains("$${") && !y.contains("$${"));
        let push = push(&[("a", &constant[0]), ("b", &constant[1])]);
        let mut content = json(r#"{"{a}":"{a}{b}"}"#);
        content.url = "https://example.com/-{a}?b={b}".to_owned();
        content.headers = vec![Header { name: "x-a".to_owned(), value: "{b}".to_owned() }];
        let program = compile(&content, &push).unwrap();
        let dynamic = render(&content, &x, &y).unwrap();
        prop_assert_eq!(program.constant_url(), Some(dynamic.url.as_str()));
        prop_assert_eq!(&program.constant_headers()[0].1, &dynamic.headers[0]);
        let constant = render_tags(&content, &push, &[]).unwrap();
        prop_assert_eq!(constant.body, dynamic.body);
    }

    #[test]
    fn a_form_parses_back_to_exactly_its_values(x in any_text(), y in any_text()) {
        let body = render(&form("fixed=1&v={a}&k-{b}={a}{b}"), &x, &y).unwrap().body;
        let pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let both = format!("{x}{y}");
        let expected = [("fixed".to_owned(), "1".to_owned()), ("v".to_owned(), x), (format!("k-{y}"), both)];
        prop_assert_eq!(pairs, expected);
    }

    #[test]
    fn no_value_moves_a_url(x in any_text(), y in any_text()) {
        let content = url("https://example.com:8443/u/{a}/x{b}y/{a}{b}?q={a}&k-{b}={b}&z");
        let Ok(rendered) = render(&content, &x, &y) else {
            let unfit = [x.clone(), format!("{x}{y}")].iter().any(|text| matches!(text.as_str(), "" | "." | ".."));
            prop_assert!(unfit);
            return Ok(());
        };
        let parsed = Url::parse(&rendered.url).unwrap();
        prop_assert_eq!(parsed.as_str(), &rendered.url);
        prop_assert_eq!(parsed.origin().ascii_serialization(), "https://example.com:8443");
        prop_assert!(parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none());
        let segments: Vec<_> = parsed.path_segments().unwrap().map(decoded).collect();
        prop_assert_eq!(segments, ["u".to_owned(), x.clone(), format!("x{y}y"), format!("{x}{y}")]);
        let pairs: Vec<_> = parsed.query_pairs().into_owned().collect();
        let expected = [("q".to_owned(), x), (format!("k-{y}"), y), ("z".to_owned(), String::new())];
        prop_assert_eq!(pairs, expected);
    }

    #[test]
    fn no_value_leaves_its_header_line(x in any_text(), y in any_text()) {
        let rendered = render(&header("<{a}, {b}>"), &x, &y).unwrap();
        prop_assert!(rendered.headers[0].bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(decoded(&rendered.headers[0]), format!("<{x}, {y}>"));
    }

    #[test]
    fn a_text_body_holds_its_values_as_they_are(x in any_text(), y in any_text()) {
        prop_assert_eq!(render(&text("{{{a}}}{b}"), &x, &y).unwrap().body, format!("{{{x}}}{y}"));
    }

    #[test]
    fn doubled_braces_write_any_literal_text(literal in any_text()) {
        let template = literal.replace('{', "{{").replace('}', "}}");
        prop_assert_eq!(&render(&text(&template), "", "").unwrap().body, &literal);
        let quoted = serde_json::to_string(&literal).unwrap().replace('{', "{{").replace('}', "}}");
        let body = render(&json(&quoted), "", "").unwrap().body;
        prop_assert_eq!(serde_json::from_str::<String>(&body).unwrap(), literal);
    }

    #[test]
    fn no_text_makes_a_parser_panic(template in any_template()) {
        for content in [json(&template), form(&template), text(&template), header(&template), url(&template)] {
            for fault in Skeleton::parse(&content).err().unwrap_or_default() {
                prop_assert!(!fault.detail.is_empty());
            }
        }
        let tail = url(&format!("https://example.com/{template}"));
        if Skeleton::parse(&tail).is_ok()
            && let Ok(rendered) = render(&tail, "x", "y")
        {
            let parsed = Url::parse(&rendered.url).unwrap();
            prop_assert_eq!(parsed.as_str(), &rendered.url);
            prop_assert_eq!(parsed.host_str(), Some("example.com"));
        }
        let _ = compile(&text("{a}"), &push(&[("a", &template)]));
    }

    #[test]
    fn what_is_taken_for_json_is_json(template in any_template()) {
        if Skeleton::parse(&json(&template)).is_ok() {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&template).is_ok());
        }
    }

    #[test]
    fn any_json_is_taken_and_put_out_as_it_is(value in any_json(), pretty: bool) {
        let template = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(&render(&json(&template), "", "").unwrap().body, &template);
    }
}

/// Any JSON whose strings hold no braces.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let text = || any_text().prop_map(|text| text.replace(['{', '}'], ""));
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let members = prop::collection::btree_map(text(), inner.clone(), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Into::into),
            members.prop_map(|members| members.into_iter().collect::<serde_json::Value>()),
        ]
    })
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
