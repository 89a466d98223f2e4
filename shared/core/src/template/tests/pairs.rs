use super::*;

#[test]
fn a_form_is_encoded_literals_and_values_alike() {
    let body = render(&form("to={id}&note=Größe {{1}} +1 %2B&{a}={b}"), "k&=", "a+b c%\n").unwrap().body;
    assert_eq!(body, "to=%2B31%206&note=Gr%C3%B6%C3%9Fe%20%7B1%7D%20+1%20%2B&k%26%3D=a%2Bb%20c%25%0A");
}

#[test]
fn a_percent_sign_must_begin_an_escape() {
    let detail = "`%` begins no escape (write `%25` for a literal `%`)";
    assert_places(
        &form("a=100%&b=%4{a}&c=%zz&d=%41"),
        &[("1:6", detail), ("1:10", detail), ("1:18", detail)],
    );
    assert_places(
        &form("a=1\n&b=2"),
        &[("1:4", "no control characters and no line breaks (write it as `%0A`)")],
    );
}

#[test]
fn a_pair_never_vanishes() {
    let content = form("a=1&{a}{b}");
    assert_eq!(render(&content, "", "y").unwrap().body, "a=1&y");
    assert_eq!(render(&content, "", ""), Err(Unrendered::EmptyValue { name: "{a}".to_owned() }));
    assert_eq!(render(&form("{a}"), "", ""), Err(Unrendered::EmptyValue { name: "{a}".to_owned() }));
    let found = compile(&content, &push(&[])).unwrap_err();
    assert_eq!(
        described(&found),
        ["push.values.a {a} stands alone in its place of the URL or form, and has no value"]
    );
}

#[test]
fn no_value_makes_a_key_meet_another() {
    let content = form("admin=0&list=1&list=2&x{a}=1");
    assert_eq!(render(&content, "admin", "").unwrap().body, "admin=0&list=1&list=2&xadmin=1");
    let content = form("%61dmin=0&list=1&list=2&{a}=1");
    assert!(matches!(render(&content, "admin", ""), Err(Unrendered::Unfit { .. })));
    assert!(matches!(render(&content, "list", ""), Err(Unrendered::Unfit { .. })));
    assert!(render(&content, "else", "").is_ok());
    let content = url("https://example.com/?admin=0&{a}");
    assert!(matches!(render(&content, "admin", ""), Err(Unrendered::Unfit { .. })));
}
