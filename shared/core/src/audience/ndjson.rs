//! A record as a JSON object.

use std::{convert::Infallible, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Reason,
    row::{Row, Span, Types},
};

/// Reads the object on a line into `row`.
pub(super) fn read(line: &str, types: &Types, profiles: bool, row: &mut Row) -> Result<(), Reason> {
    let mut json = serde_json::Deserializer::from_str(line);
    let read = Object { types, profiles, row: &mut *row }.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| reason(&error))?;
    row.check_tag_names()
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

/// The whole object.
struct Object<'r> {
    types: &'r Types,
    profiles: bool,
    row: &'r mut Row,
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
        while let Some(field) = map.next_key_seed(Field { profiles })? {
            if seen & 1 << field as u8 != 0 {
                return Err(A::Error::custom("a field is there twice"));
            }
            seen |= 1 << field as u8;
            match field {
                FieldName::Qaid => row.qaid = Some(map.next_value_seed(Text { row })?),
                FieldName::Ids => map.next_value_seed(Ids { types, row })?,
                FieldName::Tags => map.next_value_seed(Tags { row })?,
                FieldName::Source => map.next_value_seed(Checked { row, keep: Row::set_source })?,
                FieldName::Updated => map.next_value_seed(Checked { row, keep: Row::set_updated })?,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum FieldName {
    Qaid,
    Ids,
    Tags,
    Source,
    Updated,
}

/// Lets a seed take one text.
macro_rules! takes_text {
    ($seed:ty, $value:ty, $expecting:literal) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<$value, D::Error> {
                json.deserialize_str(self)
            }
        }

        impl<'de> Visitor<'de> for $seed {
            type Value = $value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<$value, E> {
                self.take(text).map_err(E::custom)
            }
        }
    };
}

/// The name of a field.
struct Field {
    profiles: bool,
}

impl Field {
    fn take(self, name: &str) -> Result<FieldName, &'static str> {
        match name {
            "qaid" => Ok(FieldName::Qaid),
            "ids" => Ok(FieldName::Ids),
            "tags" => Ok(FieldName::Tags),
            "source" if self.profiles => Ok(FieldName::Source),
            "updated" if self.profiles => Ok(FieldName::Updated),
            _ if self.profiles => Err("a field is none of `qaid`, `ids`, `tags`, `source`, `updated`"),
            _ => Err("a field is none of `qaid`, `ids`, `tags`"),
        }
    }
}
takes_text!(Field, FieldName, "the name of a field");

/// A text that is kept.
struct Text<'r> {
    row: &'r mut Row,
}

impl Text<'_> {
    fn take(self, text: &str) -> Result<Span, Infallible> {
        Ok(self.row.push(text))
    }
}
takes_text!(Text<'_>, Span, "a text");

/// A text with a rule of its own.
struct Checked<'r> {
    row: &'r mut Row,
    keep: fn(&mut Row, &str) -> Result<(), Reason>,
}

impl Checked<'_> {
    fn take(self, text: &str) -> Result<(), Reason> {
        (self.keep)(self.row, text)
    }
}
takes_text!(Checked<'_>, (), "a text");

/// The code of an ID type.
struct IdType<'r> {
    types: &'r Types,
}

impl IdType<'_> {
    fn take(self, code: &str) -> Result<u16, &'static str> {
        self.types.find(code).ok_or("a name in `ids` is no ID type of the workspace")
    }
}
takes_text!(IdType<'_>, u16, "an ID type");

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
        // A workspace has at most 50 types.
        let mut seen = 0_u64;
        while let Some(id_type) = map.next_key_seed(IdType { types: self.types })? {
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
        while let Some(value) = list.next_element_seed(Text { row: self.row })? {
            self.row.add_id(self.id_type, value);
        }
        Ok(())
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
        while let Some(name) = map.next_key_seed(Text { row: self.row })? {
            // As it is typed, so that a number is never rounded.
            let typed = map.next_value::<&RawValue>()?.get();
            let value = match typed.as_bytes() {
                [b'"', inside @ .., b'"'] if memchr::memchr(b'\\', inside).is_none() => {
                    self.row.push(&typed[1..typed.len() - 1])
                }
                [b'"', ..] => {
                    let text: String = serde_json::from_str(typed)
                        .map_err(|_| A::Error::custom("a tag has a broken escape"))?;
                    self.row.push(&text)
                }
                [b'{' | b'[', ..] => {
                    return Err(A::Error::custom("a tag must be a text, a number or a boolean"));
                }
                b"null" => continue,
                _ => self.row.push(typed),
            };
            self.row.add_tag(name, value);
        }
        Ok(())
    }
}
