//! Recipients and their lines, and the IDs of their deliveries.

use proptest::{collection::vec, prelude::*};
use uuid::Uuid;

use super::*;

fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

#[test]
fn a_line_holds_what_is_there_and_nothing_else() {
    let mut lines = Vec::new();
    write(&mut lines, "u1", [].into_iter(), [].into_iter());
    write(&mut lines, "u\"2", [("A", "1"), ("A", "2"), ("B", "3")].into_iter(), [("n", "x\n")].into_iter());
    write_chosen(&mut lines, "u3", "A", "1", [].into_iter());
    let expected = r#"{"qaid":"u1"}
{"qaid":"u\"2","ids":{"A":["1","2"],"B":["3"]},"tags":{"n":"x\n"}}
{"qaid":"u3","id":{"type":"A","value":"1"}}
"#;
    assert_eq!(String::from_utf8(lines).unwrap(), expected);
}

#[test]
fn text_without_escapes_is_borrowed() {
    let recipient = Recipient::parse(br#"{"qaid":"u1","tags":{"n":"caf\u00e9"}}"#).unwrap();
    assert!(matches!(recipient.qaid.0, Cow::Borrowed("u1")));
    assert_eq!(recipient.tag("n"), Some("café"));
    assert_eq!(recipient.tag("m"), None);
}

#[test]
fn a_delivery_id_is_a_function_of_the_recipient_and_of_nothing_else() {
    let id = delivery_id(run(1), "u1", RecipientKey::User);
    assert_eq!(
        id.to_string(),
        "msg_f7b6d77b0efd9c08a58399fd11b22edb",
        "receivers remember it: it must never change"
    );
    assert_eq!(id.to_string().parse(), Ok(id));
    let pair = |id_type, value| RecipientKey::Id { id_type, value };
    let others = [
        delivery_id(run(2), "u1", RecipientKey::User),
        delivery_id(run(1), "u2", RecipientKey::User),
        delivery_id(run(1), "u1", RecipientKey::Event("")),
        delivery_id(run(1), "u1", RecipientKey::Event("e")),
        delivery_id(run(1), "u1", pair("e", "")),
        delivery_id(run(1), "u1", pair("", "e")),
        delivery_id(run(1), "u1event", RecipientKey::User),
        id,
    ];
    let distinct: std::collections::HashSet<_> = others.iter().collect();
    assert_eq!(distinct.len(), others.len());
}

#[test]
fn a_request_goes_under_the_id_of_its_one_recipient_or_a_hash_of_all() {
    let ids = ["u1", "u2", "u3"].map(|user| delivery_id(run(1), user, RecipientKey::User));
    assert_eq!(request_id(&ids[..1]), ids[0]);
    assert_eq!(
        request_id(&ids[..2]).to_string(),
        "msg_5da5d56823cb685ea519abe307181f20",
        "receivers remember it: it must never change"
    );
    let lists = [&ids[..1], &ids[..2], &ids[..], &ids[1..], &[ids[1], ids[0]]];
    let distinct: std::collections::HashSet<_> = lists.iter().map(|ids| request_id(ids)).collect();
    assert_eq!(distinct.len(), lists.len());
}

#[test]
fn a_delivery_id_has_no_dot() {
    let id = delivery_id(run(1), "a.b", RecipientKey::User).to_string();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
    assert!("msg_".parse::<DeliveryId>().is_err());
    assert!(id.to_uppercase().parse::<DeliveryId>().is_err());
}

#[test]
fn the_recipient_of_one_id_has_a_delivery_id_of_its_own() {
    let all = Recipient::parse(br#"{"qaid":"u1","id":{"type":"A","value":"1"}}"#).unwrap();
    let key = RecipientKey::Id { id_type: "A", value: "1" };
    assert_eq!(all.delivery_id(run(1)), delivery_id(run(1), "u1", key));
    let first = Recipient::parse(br#"{"qaid":"u1","ids":{"A":["1"]}}"#).unwrap();
    assert_eq!(first.delivery_id(run(1)), delivery_id(run(1), "u1", RecipientKey::User));
}

proptest! {
    #[test]
    fn a_recipient_reads_back_what_was_written(
        qaid in any::<String>(),
        ids in vec(("[A-C]", any::<String>()), 0..4),
        tags in vec(any::<(String, String)>(), 0..4),
    ) {
        let pairs = |list: &[(String, String)]| list.iter().map(|(a, b)| (Text(a.clone().into()), Text(b.clone().into()))).collect::<Vec<_>>();
        let mut ids = ids;
        ids.sort();
        let mut line = Vec::new();
        write(
            &mut line,
            &qaid,
            ids.iter().map(|(a, b)| (a.as_str(), b.as_str())),
            tags.iter().map(|(a, b)| (a.as_str(), b.as_str())),
        );
        prop_assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
        let read = Recipient::parse(&line).unwrap();
        prop_assert_eq!(read.qaid.as_str(), qaid);
        prop_assert_eq!(&read.ids, &pairs(&ids));
        prop_assert_eq!(&read.tags, &pairs(&tags));
    }

    #[test]
    fn the_plain_prefix_ends_where_json_needs_an_escape(bytes in vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')], 0..40)) {
        let special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
        prop_assert_eq!(plain_prefix(&bytes), bytes.iter().position(special).unwrap_or(bytes.len()));
    }
}
