//! Receipt settings: what the receiver may report later about single users, and until when.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fault::Fault;
use crate::limits;

/// What a receiver may report later about single users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// How long after the send a report is taken, in seconds: an hour to 30 days.
    #[schema(minimum = 3600, maximum = 2_592_000)]
    pub recovery_period_seconds: u32,
    /// What the status codes of the receiver mean.
    #[schema(min_items = 1, max_items = 50)]
    pub statuses: Vec<ReceiptStatus>,
}

/// A status code of the receiver, and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptStatus {
    /// The code, as in `200`; unique.
    #[schema(min_length = 1, max_length = 64)]
    pub code: String,
    /// What it means, as in `issued`; several codes may mean the same.
    #[schema(min_length = 1, max_length = 64)]
    pub value: String,
}

impl Receipts {
    /// All faults of the settings.
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !limits::RECOVERY_PERIOD.contains(&self.recovery_period_seconds) {
            let (least, most) = limits::RECOVERY_PERIOD.into_inner();
            let detail = format!("a recovery period is {least} to {most} seconds: an hour to 30 days");
            faults.push(Fault::new("recovery_period_seconds", detail));
        }
        if !(1..=limits::STATUSES).contains(&self.statuses.len()) {
            let fault =
                Fault::new("statuses", format!("receipts have 1 to {} status codes", limits::STATUSES));
            faults.push(fault.hint("leave `receipts` out where there are none"));
        }
        let mut codes = HashSet::new();
        for (index, ReceiptStatus { code, value }) in self.statuses.iter().take(limits::STATUSES).enumerate()
        {
            for (field, text) in [("code", code), ("value", value)] {
                let fits = (1..=limits::STATUS).contains(&text.chars().count()) && text.trim() == text;
                if !fits || text.chars().any(char::is_control) {
                    let detail = format!(
                        "has 1 to {} characters, no control characters, and no spaces around it",
                        limits::STATUS
                    );
                    faults.push(Fault::new(format!("statuses[{index}].{field}"), detail));
                }
            }
            if !codes.insert(code) {
                let detail = format!("`{code}` is listed already");
                faults.push(Fault::new(format!("statuses[{index}].code"), detail));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(recovery_period_seconds: u32, statuses: &[(&str, &str)]) -> Vec<String> {
        let status =
            |&(code, value): &(&str, &str)| ReceiptStatus { code: code.to_owned(), value: value.to_owned() };
        let receipts = Receipts { recovery_period_seconds, statuses: statuses.iter().map(status).collect() };
        receipts.check().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_recovery_period_is_an_hour_to_thirty_days() {
        for good in [3600, 2_592_000] {
            assert!(fields(good, &[("200", "issued")]).is_empty());
        }
        for bad in [0, 3599, 2_592_001, u32::MAX] {
            assert_eq!(fields(bad, &[("200", "issued")]), ["recovery_period_seconds"]);
        }
    }

    #[test]
    fn codes_are_unique_and_values_need_not_be() {
        assert!(fields(3600, &[("200", "issued"), ("201", "issued"), ("409", "refused")]).is_empty());
        assert_eq!(fields(3600, &[("200", "a"), ("404", "b"), ("200", "c")]), ["statuses[2].code"]);
    }

    #[test]
    fn codes_and_values_have_1_to_64_characters_and_there_are_1_to_50_pairs() {
        let (long, longer) = ("é".repeat(64), "é".repeat(65));
        assert!(fields(3600, &[(&long, &long)]).is_empty());
        assert_eq!(fields(3600, &[(&longer, &longer)]), ["statuses[0].code", "statuses[0].value"]);
        for bad in ["", " ", " 200", "200\n", "a\u{0}b"] {
            assert_eq!(fields(3600, &[(bad, "x")]), ["statuses[0].code"], "{bad:?}");
            assert_eq!(fields(3600, &[("x", bad)]), ["statuses[0].value"], "{bad:?}");
        }
        assert_eq!(fields(3600, &[]), ["statuses"]);
        let codes: Vec<String> = (0..51).map(|code| code.to_string()).collect();
        let pairs: Vec<(&str, &str)> = codes.iter().map(|code| (code.as_str(), "x")).collect();
        assert!(fields(3600, &pairs[..50]).is_empty());
        assert_eq!(fields(3600, &pairs), ["statuses"]);
    }
}
