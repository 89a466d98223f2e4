//! A record as a JSON object.

use std::{
    convert::Infallible,
    fmt::{self, Display},
};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Reason,
    row::{Row, Types},
    scan,
};

/// Reads the object on a line into `row`.
pub(super) fn read(line: &str, types: &Types, profiles: bool, row: &mut Row) -> Result<(), Reason> {
    if !scan::read(line, types, row) {
        read_thoroughly(line, types, profiles, row)?;
    }
    row.check_tag_names()
}

/// Reads an object of any form, or tells what is wrong with it.
pub(super) fn read_thoroughly(
    line: &str,
    types: &Types,
    profiles: bool,
    row: &mut Row,
) -> Result<(), Reason> {
    row.clear();
    let mut json = serde_json::Deserializer::from_str(line);
    let read = Object { types, profiles, row }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| reason(&error))
}

/// What serde says, without the value that it complains of.
fn reason(error: &serde_json::Error) -> Reason {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
    let detail = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("{expected} is expected"),
        None if error.is_syntax() || error.is_eof() => format!("it is no JSON: {text}"),
        None => text.to_owned(),
    };
    Reason::Json { detail, column: error.column() }
}

/// A text, which a function takes.
struct Text<F> {
    expecting: &'static str,
    take: F,
}

impl<'de, V, E: Display, F: FnOnce(&str) -> Result<V, E>> DeserializeSeed<'de> for Text<F> {
    type Value = V;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<V, D::Error> {
        json.deserialize_str(self)
    }
}

impl<V, E: Display, F: FnOnce(&str) -> Result<V, E>> Visitor<'_> for Text<F> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<D: Error>(self, text: &str) -> Result<V, D> {
        (self.take)(text).map_err(D::custom)
    }
}

/// The whole object.
struct Object<'r> {
    types: &'r Types,
    profiles: bool,
    row: &'r mut Row,
}

#[derive(Clone, Copy)]
enum Field {
    Qaid,
    Ids,
    Tags,
    Source,
    Updated,
}

impl Field {
    fn named(name: &str, profiles: bool) -> Result<Self, &'static str> {
        match name {
            "qaid" => Ok(Self::Qaid),
            "ids" => Ok(Self::Ids),
            "tags" => Ok(Self::Tags),
            "source" if profiles => Ok(Self::Source),
            "updated" if profiles => Ok(Self::Updated),
            _ if profiles => Err("a field is none of `qaid`, `ids`, `tags`, `source`, `updated`"),
            _ => Err("a field is none of `qaid`, `ids`, `tags`"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { types, profiles, row } = self;
        let mut seen = 0_u8;
        let name =
            || Text { expecting: "the name of a field", take: |name: &str| Field::named(name, profiles) };
        while let Some(field) = map.next_key_seed(name())? {
            if seen & 1 << field as u8 != 0 {
                return Err(A::Error::custom("a field is there twice"));
            }
            seen |= 1 << field as u8;
            match field {
                Field::Qaid => {
                    let take = |text: &str| Ok::<_, Infallible>(row.push(text));
                    row.qaid = Some(map.next_value_seed(Text { expecting: "a text in `qaid`", take })?);
                }
                Field::Ids => map.next_value_seed(Ids { types, row })?,
                Field::Tags => map.next_value_seed(Tags { row })?,
                Field::Source => {
                    let take = |text: &str| row.set_source(text);
                    map.next_value_seed(Text { expecting: "a text in `source`", take })?;
                }
                Field::Updated => {
                    let take = |text: &str| row.set_updated(text);
                    map.next_value_seed(Text { expecting: "a text in `updated`", take })?;
                }
            }
        }
        Ok(())
    }
}

/// `{"<TYPE>":["…"]}`.
struct Ids<'r> {
    types: &'r Types,
    row: &'r mut Row,
}

impl<'de> DeserializeSeed<'de> for Ids<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Ids<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists in `ids`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let find = |code: &str| self.types.find(code).ok_or("a name in `ids` is no ID type of the workspace");
        // A workspace has at most 50 types.
        let mut seen = 0_u64;
        while let Some(id_type) = map.next_key_seed(Text { expecting: "an ID type", take: find })? {
            let bit = 1_u64.checked_shl(id_type.into()).unwrap_or(0);
            if seen & bit != 0 {
                return Err(A::Error::custom("an ID type is there twice in `ids`"));
            }
            seen |= bit;
            map.next_value_seed(Values { id_type, row: self.row })?;
        }
        Ok(())
    }
}

/// `["…"]`.
struct Values<'r> {
    id_type: u16,
    row: &'r mut Row,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts for an ID type")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { id_type, row } = self;
        loop {
            let take = |text: &str| {
                let value = row.push(text);
                row.add_id(id_type, value);
                Ok::<_, Infallible>(())
            };
            if list.next_element_seed(Text { expecting: "a text as ID", take })?.is_none() {
                return Ok(());
            }
        }
    }
}

/// `{"<name>":…}`.
struct Tags<'r> {
    row: &'r mut Row,
}

impl<'de> DeserializeSeed<'de> for Tags<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tags<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts in `tags`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let row = self.row;
        loop {
            let take = |name: &str| Ok::<_, Infallible>(row.push(name));
            let Some(name) = map.next_key_seed(Text { expecting: "the name of a tag", take })? else {
                return Ok(());
            };
            // As it is typed, so that a number is never rounded.
            let typed = map.next_value::<&RawValue>()?.get();
            let value = match typed.as_bytes() {
                [b'"', ..] => {
                    let take = |text: &str| Ok::<_, Infallible>(row.push(text));
                    let text = Text { expecting: "a text", take };
                    text.deserialize(&mut serde_json::Deserializer::from_str(typed))
                        .map_err(|_| A::Error::custom("a tag has a broken escape"))?
                }
                [b'{' | b'[', ..] => {
                    return Err(A::Error::custom("a tag must be a text, a number or a boolean"));
                }
                b"null" => row.push(""),
                _ => row.push(typed),
            };
            row.add_tag(name, value);
        }
    }
}
