//! Users with several sources and IDs, and what is sent for them.

use std::{borrow::Cow, collections::BTreeMap};

use proptest::prelude::*;
use serde_json::json;

use super::{Chooser, IdType, IdValue, Normaliser, Profile, Region, StoredId, check, presets};
use crate::{
    id::{IdTypeCode, SourceName},
    limits,
    push::{IdPolicy, PushContent, SendForm, StartedBy},
};

fn profile(sources: serde_json::Value) -> Profile {
    serde_json::from_value(sources).unwrap()
}

fn order(names: &[&str]) -> Vec<SourceName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn chooser(waterfall: &[&str], form: SendForm) -> Chooser {
    let push = PushContent {
        id_types: waterfall.iter().map(|code| code.parse().unwrap()).collect(),
        id_policy: IdPolicy::First,
        send_form: form,
        values: BTreeMap::default(),
        variables: vec![],
        started_by: StartedBy::Audience,
    };
    Chooser::new(&presets(), &push)
}

/// Type and value of the ID that is sent to a user without inline IDs.
fn first(waterfall: &[&str], form: SendForm, sources: serde_json::Value) -> Option<String> {
    let profile = profile(sources);
    let merged = profile.merged(&order(&["crm", "shop"]));
    let chooser = chooser(waterfall, form);
    let sent = chooser.first(&[].into_iter(), Some(&merged))?;
    Some(format!("{} {}", sent.id_type, sent.value))
}

#[test]
fn the_strongest_source_wins_and_unknown_ones_come_last_the_newest_first() {
    let source =
        |updated: u64, id: &str| json!({"updated": updated, "ids": {"ONEID": [id]}, "tags": {"t": id}});
    let all = json!({"crm": source(1, "c"), "shop": source(9, "s"), "app": source(5, "a"), "web": source(7, "w"), "ads": source(5, "d")});
    let profile = profile(all);
    let merged = profile.merged(&order(&["crm", "shop"]));
    let ids: Vec<_> = merged.ids("ONEID").map(StoredId::as_str).collect();
    assert_eq!(ids, ["c", "s", "w", "d", "a"]);
    assert_eq!(merged.tag("t"), Some("c"));
    assert_eq!(profile.merged(&order(&["web"])).tag("t"), Some("w"));
}

#[test]
fn a_weaker_source_fills_what_a_stronger_one_lacks() {
    let sources = json!({
        "crm": {"updated": 1, "ids": {"MOBILE": ["12"]}, "tags": {"name": ""}},
        "shop": {"updated": 1, "ids": {"MOBILE": ["+4915123456"]}, "tags": {"name": "Ann"}},
    });
    assert_eq!(first(&["MOBILE"], SendForm::Plain, sources.clone()), Some("MOBILE +4915123456".to_owned()));
    assert_eq!(profile(sources).merged(&order(&["crm"])).tag("name"), Some("Ann"));
}

#[test]
fn a_waterfall_goes_on_to_the_next_type() {
    let sources = json!({"crm": {"updated": 1, "ids": {"EMAIL": [" Ann@Example.COM "], "MOBILE": ["none"]}}});
    assert_eq!(
        first(&["MOBILE", "EMAIL"], SendForm::Plain, sources.clone()),
        Some("EMAIL ann@example.com".to_owned())
    );
    assert_eq!(first(&["MOBILE"], SendForm::Plain, sources), None);
    assert_eq!(first(&["MOBILE"], SendForm::Plain, json!({})), None);
}

#[test]
fn digests_are_of_the_normalised_value() {
    let sources = json!({"crm": {"updated": 1, "ids": {"EMAIL": ["Ann@Example.com"]}}});
    assert_eq!(
        first(&["EMAIL"], SendForm::Md5, sources.clone()),
        Some("EMAIL 257c57037d384ae37ea27a07e8a01665".to_owned())
    );
    assert_eq!(
        first(&["EMAIL"], SendForm::Sha256, sources),
        Some("EMAIL 71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476".to_owned())
    );
}

#[test]
fn for_encryption_the_normalised_value_is_chosen_and_never_a_digest() {
    let sources = |email: &str| json!({"crm": {"updated": 1, "ids": {"EMAIL": [email]}}});
    let chosen = |email: &str| first(&["EMAIL"], SendForm::Aes, sources(email));
    assert_eq!(chosen(" Ann@Example.com"), Some("EMAIL ann@example.com".to_owned()));
    assert_eq!(chosen(&format!("md5:{}", "0".repeat(32))), None);
}

#[test]
fn a_value_stored_as_a_digest_is_sent_as_it_is_and_in_no_other_form() {
    let md5 = "0123456789ABCDEF0123456789abcdef";
    let sources = json!({"crm": {"updated": 1, "ids": {"EMAIL": [format!("md5:{md5}")]}}});
    assert_eq!(
        first(&["EMAIL"], SendForm::Md5, sources.clone()),
        Some(format!("EMAIL {}", md5.to_lowercase()))
    );
    assert_eq!(first(&["EMAIL"], SendForm::Sha256, sources.clone()), None);
    assert_eq!(first(&["EMAIL"], SendForm::Plain, sources), None);
    assert_eq!(IdValue::read("md5:0123"), None, "a broken digest is never taken for plain text");
    assert!(serde_json::from_value::<StoredId>(json!("sha256:xyz")).is_err());
}

#[test]
fn what_stands_inline_beats_the_profile_of_its_type() {
    let profile =
        profile(json!({"crm": {"updated": 1, "ids": {"MOBILE": ["+4915100000"], "EMAIL": ["a@b.c"]}}}));
    let merged = profile.merged(&[]);
    let chooser = chooser(&["MOBILE", "EMAIL"], SendForm::Plain);
    let mobile = [("MOBILE", "+49 151 99999")].into_iter();
    assert_eq!(chooser.first(&mobile, Some(&merged)).unwrap().value, "+4915199999");
    assert!(!chooser.needs_profile(mobile));
    // The waterfall holds across both: the first type is in the profile.
    let email = [("EMAIL", "x@y.z")].into_iter();
    assert!(chooser.needs_profile(email.clone()));
    assert_eq!(chooser.first(&email, Some(&merged)).unwrap().value, "+4915100000");
    // An inline value that cannot be sent counts as not there.
    let broken = [("MOBILE", "none")].into_iter();
    assert!(chooser.needs_profile(broken.clone()));
    assert_eq!(chooser.first(&broken, Some(&merged)).unwrap().value, "+4915100000");
}

#[test]
fn all_ids_of_the_first_type_are_sent_each_once_up_to_the_cap() {
    let emails: Vec<_> = (0..60).map(|n| format!("u{}@x.y", n / 2)).collect();
    let many: Vec<_> = (0..60).map(|n| format!("u{n}@x.y")).collect();
    let chooser = chooser(&["MOBILE", "EMAIL", "ONEID"], SendForm::Plain);
    for (emails, expected) in [(emails, 30), (many, limits::IDS)] {
        let profile = profile(json!({"crm": {"updated": 1, "ids": {"EMAIL": emails, "ONEID": ["x"]}}}));
        let merged = profile.merged(&[]);
        let sent = chooser.all(&[].into_iter(), Some(&merged));
        assert_eq!(sent.len(), expected);
        assert!(sent.iter().all(|id| id.id_type.as_str() == "EMAIL"));
    }
    let inline = [("EMAIL", "A@x.y"), ("EMAIL", "a@x.y"), ("EMAIL", "b@x.y")].into_iter();
    let sent: Vec<_> = chooser.all(&inline, None).into_iter().map(|id| id.value).collect();
    assert_eq!(sent, ["a@x.y", "b@x.y"]);
    assert!(chooser.all(&[].into_iter(), None).is_empty());
}

#[test]
fn a_value_in_its_one_form_is_borrowed() {
    for (normaliser, value) in [
        (Normaliser::None, " x "),
        (Normaliser::Trim, "x"),
        (Normaliser::Email, "ann@example.com"),
        (Normaliser::Phone, "+8613800138000"),
    ] {
        assert!(matches!(normaliser.apply(value, None), Some(Cow::Borrowed(same)) if same == value));
    }
}

#[test]
fn a_disabled_or_unknown_type_is_never_sent() {
    let mut types = presets();
    for id_type in &mut types {
        id_type.enabled = id_type.code.as_str() != "ONEID";
    }
    let push = serde_json::from_value(json!({"id_types": ["ONEID", "FAX"]})).unwrap();
    let chooser = Chooser::new(&types, &push);
    assert_eq!(chooser.first(&[("ONEID", "x"), ("FAX", "1")].into_iter(), None), None);
}

fn e164(text: &str, region: &str) -> Option<String> {
    let region = (!region.is_empty()).then(|| region.parse().unwrap());
    Normaliser::Phone.apply(text, region).map(Cow::into_owned)
}

#[test]
fn phone_numbers_become_e164() {
    for (text, region, expected) in [
        ("+86 138-0013-8000", "", Some("+8613800138000")),
        ("＋８６１３８００１３８０００", "", Some("+8613800138000")),
        ("0086 13800138000", "", Some("+8613800138000")),
        ("+49 (0) 151 / 234.567.89", "", Some("+4915123456789")),
        ("13800138000", "", None),
        ("13800138000", "CN", Some("+8613800138000")),
        ("013800138000", "CN", Some("+8613800138000")),
        ("8613800138000", "CN", Some("+8613800138000")),
        ("1380013800", "CN", None),
        ("12345678901234567890", "CN", None),
        ("(010) 1234 5678", "CN", Some("+861012345678")),
        ("0151 23456789", "DE", Some("+4915123456789")),
        ("112", "DE", None),
        ("06 1234 5678", "IT", Some("+390612345678")),
        ("(212) 555-0123", "US", Some("+12125550123")),
        ("1 212 555 0123", "US", Some("+12125550123")),
        ("555-0123", "US", None),
        ("8 912 345-67-89", "RU", Some("+79123456789")),
        ("8 777 123 45 67", "KZ", Some("+77771234567")),
        ("06 12 34 56 78", "FR", Some("+33612345678")),
        ("(11) 91234-5678", "BR", Some("+5511912345678")),
        ("090-1234-5678", "JP", Some("+819012345678")),
        ("010-1234-5678", "KR", Some("+821012345678")),
        ("098765 43210", "IN", Some("+919876543210")),
        ("011 15 2345-6789", "AR", Some("+5491123456789")),
        ("+0123456789", "", None),
        ("+1234567890123456", "", None),
        ("+1234567", "", None),
        ("+49x15123456", "", None),
        ("++4915123456", "", None),
        ("0800 PIZZA", "DE", None),
        ("tel:+49-151-23456789", "DE", None),
        ("+49 151 23456789 ext 5", "DE", None),
        ("0", "DE", None),
        ("", "DE", None),
        ("", "", None),
    ] {
        assert_eq!(e164(text, region).as_deref(), expected, "{text} {region}");
    }
}

#[test]
fn the_region_never_changes_an_international_number() {
    // By the crate alone `+49151…` would lose its `1` in the United States, and `+89…` its `8` in Russia.
    for (text, expected) in [
        ("+4915123456789", "+4915123456789"),
        ("+49 151 23456789", "+4915123456789"),
        ("0049 151 23456789", "+4915123456789"),
        ("+8613800138000", "+8613800138000"),
        ("+4989123456", "+4989123456"),
        ("+39 06 1234 5678", "+390612345678"),
        ("+225 01 23 45 67 89", "+2250123456789"),
        ("+1 202 555 0123", "+12025550123"),
        ("+7 800 123 45 67", "+78001234567"),
    ] {
        for region in ["", "US", "RU", "CN", "DE", "IT", "FR", "MX", "AU"] {
            assert_eq!(e164(text, region).as_deref(), Some(expected), "{text} {region}");
        }
    }
    // What the United States and Australia dial before another country's code.
    assert_eq!(e164("011 49 151 23456789", "US"), None);
    assert_eq!(e164("810 49 151 23456789", "RU"), None);
}

#[test]
fn a_trunk_zero_behind_the_calling_code_is_dropped_however_the_number_is_written() {
    for text in [
        "+4901512345678 9",
        "+49 0151 23456789",
        "+49 (0)151 23456789",
        "+49015123456789",
        "0049015123456789",
    ] {
        assert_eq!(e164(text, "").as_deref(), Some("+4915123456789"), "{text}");
    }
    // Numbers that the data does not know, as of a new range, stay.
    assert_eq!(e164("+12095550100999", "").as_deref(), Some("+12095550100999"));
}

#[test]
fn every_region_by_its_two_letters_can_be_used() {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    let regions: Vec<Region> = codes.filter_map(|code| code.parse().ok()).collect();
    assert!(regions.len() > 230, "{}", regions.len());
    for region in regions {
        // None, or a number, and never a panic.
        Normaliser::Phone.apply("0123456789", Some(region));
    }
    for wrong in ["", "cn", "C", "CHN", "XX", "86"] {
        assert!(wrong.parse::<Region>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_trips_the_normaliser_and_its_form_is_stable(
        text in "(\\+|00|0|＋)?[0-9０-９ ()./-]{0,24}",
        region in prop::sample::select(vec!["", "US", "CN", "DE", "IT", "AR", "MX", "BR", "RU", "AU", "CI", "GB"]),
    ) {
        if let Some(form) = e164(&text, region) {
            prop_assert!(form.starts_with('+') && (9..=16).contains(&form.len()), "{form}");
            prop_assert_eq!(e164(&form, region), Some(form.clone()));
            prop_assert_eq!(e164(&form, ""), Some(form));
        }
    }

    #[test]
    fn no_text_at_all_trips_the_normaliser(text in any::<String>()) {
        e164(&text, "US");
        e164(&text, "");
    }
}

#[test]
fn an_e_mail_address_has_two_parts() {
    for text in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\0", &format!("{}@b", "x".repeat(254))] {
        assert_eq!(Normaliser::Email.apply(text, None), None, "{text}");
    }
    assert_eq!(Normaliser::Email.apply("ÄB@Ü.de ", None).as_deref(), Some("äb@ü.de"));
}

#[test]
fn the_presets_pass_their_own_check() {
    assert_eq!(check(&presets()), []);
    assert_eq!(presets().len(), 11);
}

#[test]
fn all_faults_of_a_list_of_types_are_found() {
    let mut types = presets();
    types[1].code = types[0].code.clone();
    types[3].priority = types[2].priority;
    types[4].display_name = " ".to_owned();
    types[5].in_mapping = true;
    types[6].region = "CN".parse().ok();
    let fields: Vec<_> = check(&types).into_iter().map(|fault| fault.field).collect();
    let expected = ["", "[1].code", "[3].priority", "[4].display_name", "[6].region"];
    assert_eq!(fields, expected);
    let many: Vec<_> = (0..51)
        .map(|n| IdType {
            code: format!("T{n}").parse().unwrap(),
            priority: n,
            in_mapping: false,
            ..presets()[0].clone()
        })
        .collect();
    assert_eq!(check(&many).len(), 1);
}

#[test]
fn an_id_type_reads_with_defaults_and_no_unknown_field() {
    let id_type: IdType =
        serde_json::from_value(json!({"code": "FAX", "display_name": "Fax", "priority": 12})).unwrap();
    assert!(id_type.enabled && !id_type.in_mapping && id_type.normaliser == Normaliser::None);
    assert!(
        serde_json::from_value::<IdType>(
            json!({"code": "FAX", "display_name": "Fax", "priority": 12, "x": 1})
        )
        .is_err()
    );
    assert!("fax".parse::<IdTypeCode>().is_err());
}

#[test]
fn an_id_is_not_shown_by_debug() {
    let id: StoredId = serde_json::from_value(json!("ann@example.com")).unwrap();
    assert!(!format!("{id:?}").contains("ann"));
}
