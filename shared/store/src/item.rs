//! Reading and making items, attribute by attribute.

use aws_sdk_dynamodb::primitives::Blob;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError, StoreResult,
    ports::{Item, Key, Value},
};

/// A text attribute.
#[expect(clippy::needless_pass_by_value, reason = "callers have literals and small identifiers at hand")]
pub(crate) fn text(value: impl ToString) -> Value {
    Value::S(value.to_string())
}

/// A number attribute.
pub(crate) fn number(value: impl Into<u64>) -> Value {
    Value::N(value.into().to_string())
}

/// A binary attribute.
pub(crate) fn binary(value: impl Into<Vec<u8>>) -> Value {
    Value::B(Blob::new(value))
}

/// An item with nothing but its key.
pub(crate) fn keyed(key: &Key) -> Item {
    let mut item = Item::from([("pk".to_owned(), text(&key.pk))]);
    if let Some(sk) = &key.sk {
        item.insert("sk".to_owned(), text(sk));
    }
    item
}

/// The item `key` that holds `entity`'s fields as attributes.
pub(crate) fn encode<T: Serialize>(what: &'static str, key: &Key, entity: &T) -> StoreResult<Item> {
    let mut item: Item = serde_dynamo::to_item(entity).map_err(|error| StoreError::corrupt(what, error))?;
    item.extend(keyed(key));
    Ok(item)
}

/// The entity whose fields `item` holds.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, item: Item) -> StoreResult<T> {
    serde_dynamo::from_item(item).map_err(|error| StoreError::corrupt(what, error))
}

/// One attribute as [`encode`] writes it.
pub(crate) fn attribute<T: Serialize>(what: &'static str, field: &T) -> StoreResult<Value> {
    serde_dynamo::to_attribute_value(field).map_err(|error| StoreError::corrupt(what, error))
}

/// The whole entity as one attribute of JSON text: for what is read and written whole, and never touched by expressions.
pub(crate) fn json<T: Serialize>(what: &'static str, entity: &T) -> StoreResult<Value> {
    serde_json::to_string(entity).map(Value::S).map_err(|error| StoreError::corrupt(what, error))
}

/// The entity in the attribute `json`. An error tells the place and not what stands there.
pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, item: &Item) -> StoreResult<T> {
    serde_json::from_str(item.text("json")?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        StoreError::corrupt(what, format!("{:?} error at line {line} column {column}", error.classify()))
    })
}

/// Typed access to an item's attributes; a wrong type is [`StoreError::Corrupt`].
pub(crate) trait Attributes {
    fn maybe_text(&self, name: &'static str) -> StoreResult<Option<&str>>;
    fn maybe_number(&self, name: &'static str) -> StoreResult<Option<u64>>;
    fn bytes(&self, name: &'static str) -> StoreResult<&[u8]>;

    fn text(&self, name: &'static str) -> StoreResult<&str> {
        self.maybe_text(name)?.ok_or_else(|| StoreError::corrupt(name, "it is missing"))
    }

    fn number(&self, name: &'static str) -> StoreResult<u64> {
        self.maybe_number(name)?.ok_or_else(|| StoreError::corrupt(name, "it is missing"))
    }

    /// A number that fits the wanted type.
    fn fitting<N: TryFrom<u64>>(&self, name: &'static str) -> StoreResult<N> {
        N::try_from(self.number(name)?).map_err(|_| StoreError::corrupt(name, "it is out of range"))
    }
}

impl Attributes for Item {
    fn maybe_text(&self, name: &'static str) -> StoreResult<Option<&str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::S(text)) => Ok(Some(text)),
            Some(_) => Err(StoreError::corrupt(name, "it is no text")),
        }
    }

    fn maybe_number(&self, name: &'static str) -> StoreResult<Option<u64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::N(digits)) => {
                digits.parse().map(Some).map_err(|error| StoreError::corrupt(name, error))
            }
            Some(_) => Err(StoreError::corrupt(name, "it is no number")),
        }
    }

    fn bytes(&self, name: &'static str) -> StoreResult<&[u8]> {
        match self.get(name) {
            Some(Value::B(blob)) => Ok(blob.as_ref()),
            Some(_) => Err(StoreError::corrupt(name, "it is not binary")),
            None => Err(StoreError::corrupt(name, "it is missing")),
        }
    }
}
