use super::*;

#[test]
fn placeholders_stand_for_values_and_doubled_braces_for_braces() {
    let body =
        render(&text("{{a}} {a}{b} {{{b}}} ${a} {id} {id_type} {delivery_id}"), "X", "Y").unwrap().body;
    assert_eq!(body, "{a} XY {Y} $X +31 6 MOBILE msg_1");
}

#[test]
fn every_fault_of_a_text_is_told_with_its_place() {
    assert_places(
        &text("Dear {nme},\n{{ok}} } é{ a }\n{} {cuopon} {x-y} {a{b} {"),
        &[
            (
                "1:6",
                "`{nme}` is no parameter of this webhook (known are `{id}`, `{id_type}`, `{delivery_id}`, `{a}`",
            ),
            ("2:8", "`}` closes nothing (write `}}` for a literal `}`)"),
            (
                "2:11",
                "a placeholder is a name in braces, as in `{id}` (write `{{` and `}}` for literal braces)",
            ),
            ("3:1", "a placeholder is a name in braces"),
            ("3:4", "`{cuopon}` is no parameter of this webhook (did you mean `{coupon}`?)"),
            ("3:13", "a placeholder is a name in braces"),
            ("3:19", "`{` is never closed (write `{{` for a literal `{`)"),
            ("3:25", "`{` is never closed"),
        ],
    );
}

#[test]
fn a_variable_in_a_webhook_is_told_where_it_belongs() {
    assert_places(&text("Dear ${first_name}"), &[("1:7", "variables `${…}` stand in a push's values")]);
}

#[test]
fn a_hopeless_text_reports_no_more_faults_than_a_person_reads() {
    assert_eq!(faults(&text(&"}x".repeat(1000))).len(), 50);
}

#[test]
fn a_value_in_a_header_stays_on_its_line() {
    let rendered = render(&header("{{v1}} {a}; {b}"), "x\r\nhost: evil\0", "100% é").unwrap();
    assert_eq!(rendered.headers, ["{v1} x%0D%0Ahost: evil%00; 100%25 %C3%A9"]);
}

#[test]
fn a_header_template_holds_visible_ascii() {
    let hint = "visible ASCII";
    assert_places(
        &header("a\r\nb: c\0\té\u{80}"),
        &[("1:2", hint), ("1:3", hint), ("2:5", hint), ("2:6", hint), ("2:7", hint), ("2:8", hint)],
    );
    assert_eq!(faults(&header("{nope}"))[0].split(' ').next(), Some("headers[0].value"));
}
