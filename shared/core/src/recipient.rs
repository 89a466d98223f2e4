//! One recipient of a run, as a segment holds it (a line of JSON each), and the ID that its deliveries go under.
//!
//! A line is `{"qaid":"…","ids":{"MOBILE":["…"]},"tags":{"name":"…"}}`, `ids` and `tags` left out where empty. Under policy
//! `all` it is `{"qaid":"…","id":{"type":"MOBILE","value":"…"},"tags":{…}}`: one line for each ID, whose value is what is sent.

#[cfg(test)]
mod cases;

use std::{borrow::Cow, fmt, io::Write as _, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};
use sha2::{Digest, Sha256};

use crate::id::{InvalidId, RunId};

/// Text that is borrowed where it needs no unescaping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// One recipient, borrowed from its line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient<'a> {
    /// The user.
    #[serde(borrow)]
    pub qaid: Text<'a>,
    /// The one ID that this recipient is sent to, under policy `all`.
    #[serde(borrow, default)]
    pub id: Option<ChosenId<'a>>,
    /// Inline IDs: type and value, in the order of the file.
    #[serde(borrow, default, deserialize_with = "ids")]
    pub ids: Vec<(Text<'a>, Text<'a>)>,
    /// Inline tags: name and value.
    #[serde(borrow, default, deserialize_with = "tags")]
    pub tags: Vec<(Text<'a>, Text<'a>)>,
}

/// The ID of a recipient under policy `all`: the value is already in its send form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenId<'a> {
    /// Code of the ID type.
    #[serde(borrow, rename = "type")]
    pub id_type: Text<'a>,
    /// What is sent.
    #[serde(borrow)]
    pub value: Text<'a>,
}

impl<'a> Recipient<'a> {
    /// Reads one line of a segment.
    pub fn parse(line: &'a [u8]) -> Result<Self, serde_json::Error> {
        // Checked once as a whole, so that its many short strings need no check of their own.
        let text = std::str::from_utf8(line).map_err(serde_json::Error::custom)?;
        serde_json::from_str(text)
    }

    /// Inline IDs: type and value.
    pub fn ids(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        pairs(&self.ids)
    }

    /// Inline tags: name and value.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        pairs(&self.tags)
    }

    /// The inline tag of that name.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags().find(|&(known, _)| known == name).map(|(_, value)| value)
    }

    /// The ID that this recipient's deliveries of a run go under; `origin` is the run, for a replay the run that it repeats.
    pub fn delivery_id(&self, origin: RunId) -> DeliveryId {
        match &self.id {
            None => delivery_id(origin, self.qaid.as_str(), RecipientKey::User),
            Some(id) => {
                let (id_type, value) = (id.id_type.as_str(), id.value.as_str());
                delivery_id(origin, self.qaid.as_str(), RecipientKey::Id { id_type, value })
            }
        }
    }
}

fn pairs<'s>(list: &'s [(Text<'_>, Text<'_>)]) -> impl Iterator<Item = (&'s str, &'s str)> + Clone {
    list.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn tags<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Text<'a>, Text<'a>)>, D::Error> {
    struct Tags;
    impl<'de> Visitor<'de> for Tags {
        type Value = Vec<(Text<'de>, Text<'de>)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(pair) = map.next_entry()? {
                list.push(pair);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_map(Tags)
}

fn ids<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Text<'a>, Text<'a>)>, D::Error> {
    struct Ids;
    impl<'de> Visitor<'de> for Ids {
        type Value = Vec<(Text<'de>, Text<'de>)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of lists of texts")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some((id_type, values)) = map.next_entry::<Text<'de>, Vec<Text<'de>>>()? {
                list.extend(values.into_iter().map(|value| (id_type.clone(), value)));
            }
            Ok(list)
        }
    }
    deserializer.deserialize_map(Ids)
}

/// Writes a recipient's line, its line break included. IDs of one type stand next to each other.
pub fn write<'s>(
    line: &mut Vec<u8>,
    qaid: &str,
    ids: impl Iterator<Item = (&'s str, &'s str)>,
    tags: impl Iterator<Item = (&'s str, &'s str)>,
) {
    line.extend_from_slice(b"{\"qaid\":");
    write_string(line, qaid);
    let mut last = None;
    for (id_type, value) in ids {
        if last == Some(id_type) {
            line.push(b',');
        } else {
            line.extend_from_slice(if last.is_none() { b",\"ids\":{" } else { b"]," });
            write_string(line, id_type);
            line.extend_from_slice(b":[");
            last = Some(id_type);
        }
        write_string(line, value);
    }
    if last.is_some() {
        line.extend_from_slice(b"]}");
    }
    write_tags(line, tags);
    line.extend_from_slice(b"}\n");
}

/// Writes the line of a recipient under policy `all`, its line break included.
pub fn write_chosen<'s>(
    line: &mut Vec<u8>,
    qaid: &str,
    id_type: &str,
    value: &str,
    tags: impl Iterator<Item = (&'s str, &'s str)>,
) {
    line.extend_from_slice(b"{\"qaid\":");
    write_string(line, qaid);
    line.extend_from_slice(b",\"id\":{\"type\":");
    write_string(line, id_type);
    line.extend_from_slice(b",\"value\":");
    write_string(line, value);
    line.push(b'}');
    write_tags(line, tags);
    line.extend_from_slice(b"}\n");
}

fn write_tags<'s>(line: &mut Vec<u8>, tags: impl Iterator<Item = (&'s str, &'s str)>) {
    let mut first = true;
    for (name, value) in tags {
        line.extend_from_slice(if first { b",\"tags\":{" } else { b"," });
        first = false;
        write_string(line, name);
        line.push(b':');
        write_string(line, value);
    }
    if !first {
        line.push(b'}');
    }
}

/// Writes a JSON string.
fn write_string(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        line.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            // Writing to a vector cannot fail.
            _ => drop(write!(line, "\\u{byte:04x}")),
        }
        rest = after;
    }
    line.push(b'"');
}

/// How many bytes at the beginning stand for themselves in a JSON string: no quote, backslash or control character.
///
/// Looks at eight bytes at once. Each test sets the top bit of the bytes that it is true for; it may also do so for bytes
/// after the first such one, but never before it.
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound)) & !word & TOP;
    let is = |word: u64, byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for chunk in words.by_ref() {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        let special = is(word, b'"') | is(word, b'\\') | below(word, b' ');
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
    at + words.remainder().iter().position(special).unwrap_or(words.remainder().len())
}

/// What tells the recipients of one user apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientKey<'a> {
    /// The user is the recipient.
    User,
    /// An event of the user.
    Event(&'a str),
    /// One ID of the user, under policy `all`.
    Id {
        /// Code of the ID type.
        id_type: &'a str,
        /// What is sent.
        value: &'a str,
    },
}

/// The `webhook-id` of a delivery: `msg_` and 32 hex digits. Receivers tell repeats by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId([u8; 16]);

/// The ID that all deliveries to one recipient of a run go under: over retries, crashes and replays alike.
///
/// `origin` is the run, for a replay the run that it repeats. It is SHA-256, cut to 128 bits, of the parts with their lengths
/// before them, so that no two recipients can share one by where a part ends.
pub fn delivery_id(origin: RunId, qaid: &str, key: RecipientKey<'_>) -> DeliveryId {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(&origin.to_string());
    part(qaid);
    match key {
        RecipientKey::User => {}
        RecipientKey::Event(event) => {
            part("event");
            part(event);
        }
        RecipientKey::Id { id_type, value } => {
            part("id");
            part(id_type);
            part(value);
        }
    }
    DeliveryId::cut(hash)
}

/// The `webhook-id` of a request for these recipients: of one, its own; of several, a hash of theirs, so that a request for the same ones
/// goes under the same ID.
///
/// It is SHA-256, cut to 128 bits, of the IDs in the order of the request. No [`delivery_id`] can be one by how it is made: that hashes
/// a run's ID after its length.
pub fn request_id(ids: &[DeliveryId]) -> DeliveryId {
    if let [one] = ids {
        return *one;
    }
    let mut hash = Sha256::new();
    hash.update(b"batch");
    for id in ids {
        hash.update(id.0);
    }
    DeliveryId::cut(hash)
}

impl DeliveryId {
    fn cut(hash: Sha256) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        write!(f, "msg_{}", std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let rule = "must be `msg_` and 32 lower-case hex digits";
        let digits =
            text.strip_prefix("msg_").filter(|digits| !digits.bytes().any(|b| b.is_ascii_uppercase()));
        let mut id = [0; 16];
        digits.and_then(|digits| hex::decode_to_slice(digits, &mut id).ok()).ok_or(InvalidId { rule })?;
        Ok(Self(id))
    }
}

impl Serialize for DeliveryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeliveryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
