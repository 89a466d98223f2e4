//! What goes out: times, pages and their cursors.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use fanhook_core::{fault::Fault, limits, time::Millis};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use crate::problem::{Problem, Result};

/// Items of a page, unless the caller asks for another number.
const PAGE: usize = 50;

/// A point in time, as RFC 3339 text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Millis);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Time {}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page behind which the list goes on at `next`.
    pub(crate) fn new(items: Vec<T>, next: Option<impl ToString>) -> Self {
        Self { items, cursor: next.map(|next| cursor(&next.to_string())) }
    }
}

/// What a caller says of the page it wants.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Most items of the page; 50 where it is left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    /// What a query says that asks for more than a page.
    pub(crate) fn new(limit: Option<usize>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// Where the page begins, none for the first one; and how many items it has.
    pub(crate) fn read<T: FromStr>(&self) -> Result<(Option<T>, usize)> {
        page(self.cursor.as_deref(), self.limit, (PAGE, limits::PAGE), Vec::new())
    }
}

/// Where a page begins, none for the first one; and how many items it has, `default` of them or as many as are wanted, `max` at most.
///
/// # Errors
/// All faults, those that were found before with them.
pub(crate) fn page<T: FromStr>(
    cursor: Option<&str>,
    wanted: Option<usize>,
    (default, max): (usize, usize),
    mut faults: Vec<Fault>,
) -> Result<(Option<T>, usize)> {
    let place = cursor.map(from_cursor);
    if let Some(None) = place {
        faults.push(Fault::new("cursor", "is not one that this list gave"));
    }
    let limit = wanted.unwrap_or(default);
    if !(1..=max).contains(&limit) {
        faults.push(Fault::new("limit", format!("must be 1 to {max}")));
    }
    if faults.is_empty() { Ok((place.flatten(), limit)) } else { Err(Problem::invalid(faults)) }
}

/// An opaque text that stands for a place in a list.
pub(crate) fn cursor(place: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(place)
}

/// The place that a cursor stands for; none where no list gave it.
fn from_cursor<T: FromStr>(cursor: &str) -> Option<T> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}
