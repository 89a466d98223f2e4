use super::*;

fn rendered(template: &str, x: &str) -> Result<String, Unrendered> {
    render(&url(template), x, "y").map(|rendered| rendered.url)
}

#[test]
fn the_origin_is_normalised_and_the_rest_encoded() {
    let url = rendered("HTTPS://BÜcher.Example:443/ä/{{x}}/{a}?q={a}&r='[|]", "é /?#&=\\").unwrap();
    let value = "%C3%A9%20%2F%3F%23%26%3D%5C";
    let origin = "https://xn--bcher-kva.example";
    assert_eq!(url, format!("{origin}/%C3%A4/%7Bx%7D/{value}?q={value}&r=%27[%7C]"));
    assert_eq!(rendered("http://[::1]:8080", "").unwrap(), "http://[::1]:8080/");
    assert_eq!(rendered("https://example.com?a={a}", "1").unwrap(), "https://example.com/?a=1");
}

#[test]
fn a_literal_url_needs_no_slots() {
    let constant = |content: &Content, push: &PushContent| {
        compile(content, push).unwrap().constant_url().map(str::to_owned)
    };
    let content = url("https://2130706433/{a}?b={b}");
    let values = push(&[("a", "x/y"), ("b", "z")]);
    assert_eq!(constant(&content, &values).as_deref(), Some("https://127.0.0.1/x%2Fy?b=z"));
    assert_eq!(constant(&content, &variables()), None);
    let origin = Skeleton::parse(&content).unwrap().origin().clone();
    assert_eq!(origin.as_str(), "https://127.0.0.1/");
}

#[test]
fn a_value_stays_in_its_segment() {
    for (value, expected) in [
        ("../../admin", "..%2F..%2Fadmin"),
        ("?x=1", "%3Fx%3D1"),
        ("#f", "%23f"),
        ("//evil.com", "%2F%2Fevil.com"),
        ("%2e%2e", "%252e%252e"),
        ("..\\..", "..%5C.."),
        ("...", "..."),
        ("\t..", "%09.."),
    ] {
        let url = rendered("https://example.com/u/{a}/x", value).unwrap();
        assert_eq!(url, format!("https://example.com/u/{expected}/x"));
    }
}

#[test]
fn a_user_whose_values_make_a_dot_segment_or_none_is_not_sent_to() {
    for (template, value) in [
        ("https://example.com/u/{a}/x", "."),
        ("https://example.com/u/{a}/x", ".."),
        ("https://example.com/u/.{a}", "."),
        ("https://example.com/u/%2E{a}", "."),
        ("https://example.com/u/{a}%2e?q", "."),
        ("https://example.com/u/.{a}", ""),
    ] {
        assert!(matches!(rendered(template, value), Err(Unrendered::Unfit { .. })), "{template} {value}");
    }
    assert_eq!(rendered("https://example.com/u/.{a}", "..").unwrap(), "https://example.com/u/...");
    let empty = Err(Unrendered::EmptyValue { name: "{a}".to_owned() });
    assert_eq!(rendered("https://example.com/u/{a}/x", ""), empty);
    assert_eq!(rendered("https://example.com/{a}", ""), empty);
    assert_eq!(rendered("https://example.com/u-{a}/x", "").unwrap(), "https://example.com/u-/x");
}

#[test]
fn a_constant_that_makes_a_dot_segment_or_none_is_a_fault() {
    let found =
        |value| described(&compile(&url("https://example.com/u/{a}"), &push(&[("a", value)])).unwrap_err());
    assert_eq!(found(".."), ["push.values.a a segment of the URL's path is neither `.` nor `..`"]);
    assert_eq!(
        found(""),
        ["push.values.a {a} stands alone in its place of the URL or form, and has no value"]
    );
}

#[test]
fn placeholders_stand_only_in_path_and_query() {
    let detail = "placeholders stand only in the path and the query of a URL";
    assert_places(&url("https://{a}.example.com/{b}"), &[("1:9", detail)]);
    assert_places(&url("https://example.com:{n}/"), &[("1:21", detail)]);
    assert_places(&url("https://{{x}}/"), &[("1:9", detail)]);
    assert_places(&url("https://{a}@example.com/"), &[("1:9", detail)]);
    assert_places(&url("{a}://example.com/"), &[("1:1", "begins with `https://`")]);
    assert_places(&url("https://example.com/#{a}"), &[("1:21", "the URL of a webhook has no fragment")]);
}

#[test]
fn every_fault_of_a_url_is_told_with_its_place() {
    for (template, place, part) in [
        ("", "1:1", "begins with `https://`"),
        ("example.com", "1:1", "begins with `https://`"),
        ("https:example.com", "1:1", "begins with `https://`"),
        ("ftp://example.com/", "1:1", "begins with `https://`"),
        ("javascript:alert(1)//https://x", "1:1", "begins with `https://`"),
        ("https:///path", "1:9", "no host and port: empty host"),
        ("https://example.com:65536/", "1:9", "no host and port: invalid port number"),
        ("https://[fe80::1%25eth0]/", "1:9", "no host and port: invalid IPv6 address"),
        ("https://exa mple.com/", "1:12", "a URL holds no spaces"),
        ("https://u:p@example.com/", "1:12", "names no user and no password"),
        ("https://@example.com/", "1:9", "names no user and no password"),
        ("https://example.com/a b", "1:22", "(write a space as `%20`)"),
        ("https://example.com/a\tb", "1:22", "a URL holds no spaces"),
        ("https://example.com\\@evil.com/", "1:20", "a URL holds no spaces, control characters or `\\`"),
        ("https://example.com/a/../b", "1:23", "a URL's path has no dot segments"),
        ("https://example.com/a/%2E./b", "1:23", "a URL's path has no dot segments"),
        ("https://example.com/.", "1:21", "a URL's path has no dot segments"),
        ("https://example.com/100%", "1:24", "`%` begins no escape"),
        ("https://example.com/?q={cupon}", "1:24", "did you mean `{coupon}`?"),
    ] {
        let found = faults(&url(template));
        let expected = format!("url {place} ");
        let told = found.iter().any(|fault| fault.starts_with(&expected) && fault.contains(part));
        assert!(told, "{template}: {found:?}");
    }
}
