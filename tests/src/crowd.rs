//! A made-up crowd, the same each time: who its users are, the files that say so, and what a push must make of each.
//!
//! Two sources know them: `crm`, the stronger, and `shop`. About one in ten has no name, one in ten no mobile phone that can be
//! sent, and three in a hundred no city. Names are in five scripts of writing; cities hold commas, quotes and line breaks; phone
//! numbers are written in several ways.

use std::{fmt::Write as _, io::Write as _, ops::Range};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value, json};

/// The text that [`User::meets`] reckons with: a default for the name, and no message to who has no city.
pub const TEXT: &str = "Dear ${name}, a coupon waits for you in ${city}.";
/// What stands in the place of a missing name.
pub const DEFAULT_NAME: &str = "Member";
/// The sources, the strongest first.
pub const SOURCES: [&str; 2] = ["crm", "shop"];

const NAMES: [&[&str]; 5] = [
    &["Anna", "Björn", "Chloé", "D'Arcy \"Dee\"", "Łukasz", "Zoë"],
    &["Ольга", "Дмитрий", "Ганна", "Борис"],
    &["小明", "王芳", "さくら", "민준"],
    &["محمد", "فاطمة", "ليلى", "يوسف"],
    &["🦊 Foxy", "Max 👩‍👩‍👧‍👦", "🎟️", "Ada 🇺🇳"],
];
const CITIES: [&str; 6] =
    ["Berlin", "Paris, Île-de-France", "\"Saint\" Denis", "上海", "القاهرة", "Lower\nUpper"];

/// A crowd of any size.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    seed: u64,
}

/// One of the crowd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The unified user ID.
    pub qaid: String,
    /// What each source knows.
    pub said: Vec<Said>,
    /// What a push of [`TEXT`] by `MOBILE` in plain form makes of the user.
    pub meets: Meets,
}

/// What one source knows of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Name of the source.
    pub source: &'static str,
    /// Mobile phone, as the source writes it.
    pub mobile: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// The tag `name`.
    pub name: Option<&'static str>,
    /// The tag `city`.
    pub city: Option<&'static str>,
}

/// What a push makes of a user, before the receiver is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meets {
    /// A message goes to this phone.
    Message {
        /// The phone, as E.164.
        mobile: String,
        /// The text.
        text: String,
    },
    /// The user has no usable ID.
    NoId,
    /// The user has no city.
    EmptyValue,
}

/// How many of some users meet what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Users.
    pub users: u64,
    /// Users that a message goes to.
    pub messages: u64,
    /// Users without a usable ID.
    pub no_id: u64,
    /// Users without a city.
    pub empty_value: u64,
}

impl Crowd {
    /// The crowd of that seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// User `n`.
    pub fn user(self, n: u64) -> User {
        let mut dice = Dice(self.seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (plain, written) = phone(n, &mut dice);
        let script = NAMES[dice.roll(NAMES.len())];
        let name = (dice.roll(10) > 0).then(|| script[dice.roll(script.len())]);
        let fault = dice.roll(1000);
        let city = CITIES[dice.roll(CITIES.len())];
        let mut crm = Said { source: "crm", name, city: Some(city), ..Said::default() };
        let mut shop = Said { source: "shop", ..Said::default() };
        let mut sendable = false;
        match fault {
            // Nothing, an e-mail address, a digest that has no plain form: no mobile phone that can be sent.
            0..30 => {}
            30..70 => crm.email = Some(format!("user{n}@example.com")),
            70..100 => crm.mobile = Some(format!("md5:{n:032x}")),
            _ => {
                crm.mobile = Some(written);
                sendable = true;
            }
        }
        if sendable && fault >= 970 {
            crm.city = None;
        }
        // Three in ten are known to the shop too: with another phone and name, which must not win, or with what the CRM does not know.
        match dice.roll(10) {
            0 => {
                shop.mobile =
                    crm.mobile.is_some().then(|| "+15550100".to_owned() + &format!("{:03}", n % 1000));
                shop.name = crm.name.map(|_| "Customer");
            }
            1 => shop.name = crm.name.take(),
            2 => shop.mobile = if sendable { crm.mobile.take() } else { None },
            _ => {}
        }
        // A digest is no phone, but the shop's plain one behind it would be.
        if !sendable {
            shop.mobile = None;
        }
        let meets = if !sendable {
            Meets::NoId
        } else if crm.city.is_none() {
            Meets::EmptyValue
        } else {
            let text = format!("Dear {}, a coupon waits for you in {city}.", name.unwrap_or(DEFAULT_NAME));
            Meets::Message { mobile: plain, text }
        };
        let qaid = match n % 100 {
            // Opaque text: what looks like a number, an emoji, a name that means something elsewhere.
            7 => format!("{n}e5"),
            8 => format!("🎟-{n}"),
            9 => format!("__proto__ {n}"),
            _ => format!("qa-{n:08}"),
        };
        User { qaid, said: vec![crm, shop].into_iter().filter(Said::knows_something).collect(), meets }
    }

    /// Those users.
    pub fn users(self, range: Range<u64>) -> impl Iterator<Item = User> {
        range.map(move |n| self.user(n))
    }

    /// What those users meet.
    pub fn expected(self, range: Range<u64>) -> Expected {
        let mut expected = Expected::default();
        for user in self.users(range) {
            expected.users += 1;
            match user.meets {
                Meets::Message { .. } => expected.messages += 1,
                Meets::NoId => expected.no_id += 1,
                Meets::EmptyValue => expected.empty_value += 1,
            }
        }
        expected
    }

    /// A profile file with what `crm` knows: NDJSON, gzip.
    pub fn crm_file(self, range: Range<u64>) -> Vec<u8> {
        let mut text = String::new();
        for user in self.users(range) {
            for said in user.said.iter().filter(|said| said.source == "crm") {
                let mut line = said.json(&user.qaid);
                line.insert("source".to_owned(), json!("crm"));
                line.insert("updated".to_owned(), json!("2024-11-02T00:00:00Z"));
                push_line(&mut text, line);
            }
        }
        gzip(text.as_bytes())
    }

    /// A profile file with what `shop` knows: CSV.
    pub fn shop_file(self, range: Range<u64>) -> Vec<u8> {
        let mut text = "qaid,source,updated,id.MOBILE,id.EMAIL,tag.name,tag.city\r\n".to_owned();
        for user in self.users(range) {
            for said in user.said.iter().filter(|said| said.source == "shop") {
                let cells = [
                    user.qaid.as_str(),
                    "shop",
                    "2024-11-01T00:00:00Z",
                    said.mobile.as_deref().unwrap_or_default(),
                    said.email.as_deref().unwrap_or_default(),
                    said.name.unwrap_or_default(),
                    said.city.unwrap_or_default(),
                ];
                let cells: Vec<String> = cells.iter().map(|cell| quote(cell)).collect();
                text.push_str(&cells.join(","));
                text.push_str("\r\n");
            }
        }
        text.into_bytes()
    }

    /// An audience file of QAIDs, whose profiles say the rest: NDJSON, gzip.
    pub fn audience(self, range: Range<u64>) -> Vec<u8> {
        let mut text = String::new();
        for user in self.users(range) {
            push_line(&mut text, Map::from_iter([("qaid".to_owned(), json!(user.qaid))]));
        }
        gzip(text.as_bytes())
    }

    /// An audience file of users whose IDs and tags stand in it, so that no profile is needed: NDJSON, plain. All of them can be sent to.
    pub fn inline_audience(self, range: Range<u64>) -> Vec<u8> {
        let mut text = String::new();
        for n in range {
            let mobile = phone(n, &mut Dice(self.seed)).0;
            let tags = json!({"name": format!("Guest {n}"), "city": CITIES[0]});
            let line = json!({"qaid": format!("guest-{n}"), "ids": {"MOBILE": [mobile]}, "tags": tags});
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text.into_bytes()
    }
}

impl Said {
    fn knows_something(&self) -> bool {
        self.mobile.is_some() || self.email.is_some() || self.name.is_some() || self.city.is_some()
    }

    fn json(&self, qaid: &str) -> Map<String, Value> {
        let (mut ids, mut tags) = (Map::new(), Map::new());
        for (code, value) in [("MOBILE", &self.mobile), ("EMAIL", &self.email)] {
            ids.extend(value.iter().map(|value| (code.to_owned(), json!([value]))));
        }
        for (name, value) in [("name", self.name), ("city", self.city)] {
            tags.extend(value.iter().map(|value| (name.to_owned(), json!(value))));
        }
        let line = [("qaid", json!(qaid)), ("ids", json!(ids)), ("tags", json!(tags))];
        line.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A phone number of its own for user `n`: as E.164, and as a source may write it.
fn phone(n: u64, dice: &mut Dice) -> (String, String) {
    let (code, national) = match dice.roll(4) {
        0 => ("49", format!("151{n:08}")),
        1 => ("86", format!("138{n:08}")),
        2 => ("7", format!("916{n:07}")),
        _ => ("971", format!("50{n:07}")),
    };
    let plain = format!("+{code}{national}");
    let written = match dice.roll(10) {
        0 => format!("00{code}{national}"),
        1 => format!("+{code} {}-{}", &national[..3], &national[3..]),
        _ => plain.clone(),
    };
    (plain, written)
}

/// A cell of CSV, quoted where it must be.
fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn push_line(text: &mut String, line: Map<String, Value>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{}", Value::Object(line));
}

/// Packs a file, fast rather than small.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a vector cannot fail.
    let _ = packed.write_all(content);
    packed.finish().unwrap_or_default()
}

/// Numbers that look random and are the same each time: `SplitMix64` (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let roll = (mixed ^ (mixed >> 31)) % sides as u64;
        usize::try_from(roll).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_crowd_is_the_same_each_time_and_another_under_another_seed() {
        let crowd = Crowd::new(1);
        assert_eq!(crowd.user(77), crowd.user(77));
        let differ = (0..100).filter(|&n| crowd.user(n).said != Crowd::new(2).user(n).said).count();
        assert!(differ > 50, "{differ}");
    }

    #[test]
    fn shares_are_as_described_and_ids_are_unique() {
        let users: Vec<User> = Crowd::new(1).users(0..10_000).collect();
        let expected = Crowd::new(1).expected(0..10_000);
        assert_eq!(expected.messages + expected.no_id + expected.empty_value, 10_000);
        assert!((850..1150).contains(&expected.no_id), "{expected:?}");
        assert!((200..400).contains(&expected.empty_value), "{expected:?}");
        let qaids: HashSet<&str> = users.iter().map(|user| user.qaid.as_str()).collect();
        assert_eq!(qaids.len(), 10_000);
        let by_default =
            |user: &&User| matches!(&user.meets, Meets::Message { text, .. } if text.contains(DEFAULT_NAME));
        let count = users.iter().filter(by_default).count();
        assert!((700..1100).contains(&count), "{count}");
        let shop = users.iter().flat_map(|user| &user.said).filter(|said| said.source == "shop").count();
        assert!((2_000..3_000).contains(&shop), "{shop}");
    }

    #[test]
    fn phones_are_unique_and_of_a_length_that_e164_allows() {
        let mut seen = HashSet::new();
        for user in Crowd::new(1).users(0..10_000) {
            if let Meets::Message { mobile, .. } = user.meets {
                assert!((9..=16).contains(&mobile.len()), "{mobile}");
                assert!(seen.insert(mobile));
            }
        }
    }
}
