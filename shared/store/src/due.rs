//! Due entries: the only clock, and only a reason to look.
//!
//! Every unfinished run, part and released chunk has one, written with or before its message. An entry's bucket is the minute
//! it is due in; the same subject in the same minute is one entry.

use std::{fmt, str::FromStr};

use fanhook_core::{
    chunk::{ChunkId, Part},
    id::RunId,
    time::Millis,
};

use crate::{
    StoreError, StoreResult,
    item::{Attributes, keyed, number},
    keys,
    ports::{Item, Key, Query, Table, Write},
};

/// What an entry tells `dispatch` to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A run: release, completion, closing.
    Run(RunId),
    /// A part of an audience.
    Part(RunId, Part),
    /// A chunk.
    Chunk(ChunkId),
}

impl Subject {
    /// The run that it belongs to.
    pub fn run(&self) -> RunId {
        match *self {
            Self::Run(run) | Self::Part(run, _) => run,
            Self::Chunk(id) => id.run,
        }
    }

    fn shard(&self) -> u64 {
        // Chunks are the many; their numbers spread evenly.
        match *self {
            Self::Run(_) => 0,
            Self::Part(_, part) => u64::from(part),
            Self::Chunk(id) => u64::from(id.chunk),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run#{run}"),
            Self::Part(run, part) => write!(f, "part#{run}#{part}"),
            Self::Chunk(id) => write!(f, "chunk#{}#{}#{}", id.run, id.part, id.chunk),
        }
    }
}

impl FromStr for Subject {
    type Err = StoreError;
    fn from_str(text: &str) -> StoreResult<Self> {
        let wrong = || StoreError::corrupt("due entry", "its subject is not known");
        let fields: Vec<&str> = text.split('#').collect();
        let run = |text: &str| text.parse::<RunId>().map_err(|_| wrong());
        match fields[..] {
            ["run", id] => Ok(Self::Run(run(id)?)),
            ["part", id, part] => Ok(Self::Part(run(id)?, part.parse().map_err(|_| wrong())?)),
            ["chunk", id, part, chunk] => Ok(Self::Chunk(ChunkId {
                run: run(id)?,
                part: part.parse().map_err(|_| wrong())?,
                chunk: chunk.parse().map_err(|_| wrong())?,
            })),
            _ => Err(wrong()),
        }
    }
}

/// A reason to look at a subject at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// What to look at.
    pub subject: Subject,
    /// When.
    pub at: Millis,
    /// When its message was last sent, where one was.
    pub sent: Option<Millis>,
}

impl Due {
    /// An entry without a message.
    pub fn new(subject: Subject, at: Millis) -> Self {
        Self { subject, at, sent: None }
    }

    /// Its key in the ledger.
    pub fn key(&self) -> Key {
        Key { pk: keys::due(self.at.minute(), self.subject.shard()), sk: Some(self.subject.to_string()) }
    }

    /// Its item in the ledger.
    pub fn item(&self) -> Item {
        let mut item = keyed(&self.key());
        item.insert("at".to_owned(), number(self.at.0));
        if let Some(sent) = self.sent {
            item.insert("sent".to_owned(), number(sent.0));
        }
        item
    }

    fn read(item: &Item) -> StoreResult<Self> {
        Ok(Self {
            subject: item.text("sk")?.parse()?,
            at: Millis(item.number("at")?),
            sent: item.maybe_number("sent")?.map(Millis),
        })
    }
}

/// Writes entries.
pub async fn file(ledger: &dyn Table, entries: &[Due]) -> StoreResult<()> {
    ledger.write_many(entries.iter().map(|entry| Write::Put(entry.item())).collect()).await
}

/// Deletes an entry, where it still stands at that time.
pub async fn drop(ledger: &dyn Table, entry: &Due) -> StoreResult<()> {
    let unmoved = crate::ports::Condition::Equals("at", number(entry.at.0));
    ledger.write(Write::Delete(entry.key()), Some(unmoved)).await.map(|_| ())
}

/// One page of a bucket's entries, by subject, behind the one given.
pub async fn bucket(
    ledger: &dyn Table,
    minute: u64,
    shard: u64,
    after: Option<String>,
) -> StoreResult<(Vec<Due>, Option<String>)> {
    let query =
        Query { pk: keys::due(minute, shard), after, limit: 500, consistent: true, ..Query::default() };
    let page = ledger.query(&query).await?;
    // An entry that can't be read tells nothing; what it stood for has another one sooner or later.
    let entries = page.items.iter().filter_map(|item| Due::read(item).ok()).collect();
    Ok((entries, page.more))
}

/// The first minute whose bucket may still hold entries; none before the first `dispatch`.
pub async fn cursor(ledger: &dyn Table) -> StoreResult<Option<u64>> {
    ledger.get(&keys::due_cursor()).await?.map(|item| item.number("minute")).transpose()
}

/// Moves the cursor.
pub async fn set_cursor(ledger: &dyn Table, minute: u64) -> StoreResult<()> {
    let mut item = keyed(&keys::due_cursor());
    item.insert("minute".to_owned(), number(minute));
    ledger.write(Write::Put(item), None).await.map(|_| ())
}
