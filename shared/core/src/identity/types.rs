//! The ID types of a workspace.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Normaliser, Region};
use crate::{fault::Fault, id::IdTypeCode, limits};

/// A kind of ID that users are known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "code": "EMAIL", "display_name": "E-mail", "priority": 3, "enabled": true, "in_mapping": true, "normaliser": "email",
}))]
pub struct IdType {
    /// What files, profiles and pushes call it, as in `MOBILE`.
    pub code: IdTypeCode,
    /// What people read, 1 to 100 characters.
    pub display_name: String,
    /// Smaller is stronger; unique in the workspace.
    pub priority: u32,
    /// Only enabled types can be sent.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Whether users can be looked up by it.
    #[serde(default)]
    pub in_mapping: bool,
    /// How a value is brought into its one form before it is sent or hashed.
    #[serde(default)]
    pub normaliser: Normaliser,
    /// For `phone`: where numbers without a calling code belong to; none: only numbers that begin with `+` or `00` are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

fn enabled() -> bool {
    true
}

/// The ID types that a new workspace starts with.
pub fn presets() -> Vec<IdType> {
    use Normaliser::{Email, None, Phone, Trim};
    let rows = [
        ("ONEID", "OneID", true, None),
        ("MOBILE", "Mobile phone", true, Phone),
        ("EMAIL", "E-mail", true, Email),
        ("UNION_ID", "WeChat UnionID", true, Trim),
        ("OPEN_ID", "WeChat OpenID", true, Trim),
        ("TAOBAO_ID", "Taobao ID", false, Trim),
        ("ALIPAY_ID", "Alipay ID", false, Trim),
        ("IDFA", "IDFA (iOS)", false, Trim),
        ("OAID", "OAID (Android)", false, Trim),
        ("IMEI", "IMEI", false, Trim),
        ("MAC", "MAC address", false, Trim),
    ];
    let types = (1..).zip(rows).filter_map(|(priority, (code, display_name, in_mapping, normaliser))| {
        let (code, display_name) = (code.parse().ok()?, display_name.to_owned());
        Some(IdType {
            code,
            display_name,
            priority,
            enabled: true,
            in_mapping,
            normaliser,
            region: Option::None,
        })
    });
    types.collect()
}

/// Checks a workspace's list of ID types as a whole.
pub fn check(types: &[IdType]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if types.len() > limits::ID_TYPES {
        faults.push(Fault::new(
            "",
            format!("{} ID types; at most {} are allowed", types.len(), limits::ID_TYPES),
        ));
    }
    let mapped = types.iter().filter(|id_type| id_type.in_mapping).count();
    if mapped > limits::MAPPED_ID_TYPES {
        let detail = format!("{mapped} ID types have `in_mapping`; at most {} may", limits::MAPPED_ID_TYPES);
        faults.push(Fault::new("", detail).hint("leave it to the types that users are looked up by"));
    }
    let (mut codes, mut priorities) = (HashMap::new(), HashMap::new());
    for (index, id_type) in types.iter().enumerate() {
        if let Some(first) = codes.insert(&id_type.code, index) {
            let detail = format!("`{}` is already the code of [{first}]", id_type.code);
            faults.push(Fault::new(format!("[{index}].code"), detail));
        }
        if let Some(first) = priorities.insert(id_type.priority, index) {
            let detail = format!("{} is already the priority of [{first}]", id_type.priority);
            faults.push(
                Fault::new(format!("[{index}].priority"), detail)
                    .hint("give each type a priority of its own"),
            );
        }
        let name = id_type.display_name.trim().chars().count();
        if !(1..=limits::NAME).contains(&name) {
            let detail = format!("must be 1 to {} characters", limits::NAME);
            faults.push(Fault::new(format!("[{index}].display_name"), detail));
        }
        if id_type.region.is_some() && id_type.normaliser != Normaliser::Phone {
            let fault = Fault::new(format!("[{index}].region"), "only the normaliser `phone` has a region");
            faults.push(fault.hint("remove it, or choose the normaliser `phone`"));
        }
    }
    faults
}
