//! Storing what rows say, many at a time, and saving how far the import is.

use std::collections::HashSet;

use bytes::Bytes;
use fanhook_core::{
    audience::{BadRow, Reader, Reason, Said},
    id::{Qaid, WorkspaceId},
};
use fanhook_store::{
    StoreError, StoreResult, keys,
    ports::{Objects, Table},
    profiles::{self, Put},
    uploads::{self, Upload},
};
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};

/// Updates that are under way at a time.
const AT_A_TIME: usize = 64;

/// Updates under way, none two of the same user: what a file says last of a user stands.
pub(crate) struct Updates<'a> {
    profiles: &'a dyn Table,
    workspace: &'a WorkspaceId,
    under_way: FuturesUnordered<BoxFuture<'a, (Qaid, u64, StoreResult<Put>)>>,
    users: HashSet<Qaid>,
    done: Done,
}

/// What became of rows.
#[derive(Default)]
pub(crate) struct Done {
    stored: u64,
    outdated: u64,
    too_large: Vec<BadRow>,
}

impl<'a> Updates<'a> {
    pub(crate) fn new(profiles: &'a dyn Table, workspace: &'a WorkspaceId) -> Self {
        let (under_way, users) = (FuturesUnordered::new(), HashSet::new());
        Self { profiles, workspace, under_way, users, done: Done::default() }
    }

    /// Begins an update, as soon as there is room for it.
    pub(crate) async fn begin(&mut self, said: Said) -> StoreResult<()> {
        while self.users.len() >= AT_A_TIME || self.users.contains(&said.qaid) {
            self.one().await?;
        }
        self.users.insert(said.qaid.clone());
        let (profiles, workspace) = (self.profiles, self.workspace);
        let update = async move {
            let put = profiles::put_source(profiles, workspace, &said.qaid, &said.source, &said.what).await;
            (said.qaid, said.line, put)
        };
        self.under_way.push(update.boxed());
        Ok(())
    }

    /// Waits for all that is under way. Answers what became of the rows since the last call.
    pub(crate) async fn finish(&mut self) -> StoreResult<Done> {
        while !self.users.is_empty() {
            self.one().await?;
        }
        Ok(std::mem::take(&mut self.done))
    }

    async fn one(&mut self) -> StoreResult<()> {
        let Some((qaid, line, put)) = self.under_way.next().await else { return Ok(()) };
        self.users.remove(&qaid);
        match put? {
            Put::Stored => self.done.stored += 1,
            Put::Outdated => self.done.outdated += 1,
            Put::TooLarge => self.done.too_large.push(BadRow { line, reason: Reason::ProfileTooLarge }),
        }
        Ok(())
    }
}

/// Bad rows since the last commit.
#[derive(Default)]
pub(crate) struct Report(Vec<u8>);

impl Report {
    pub(crate) fn add(&mut self, row: &BadRow) {
        row.write(&mut self.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Saves all that was read as done, once it is: the updates, then the report, then the commit point. A crash between has rows read
/// once more, which changes nothing, and the report's object written once more.
pub(crate) async fn commit(
    (ledger, objects): (&dyn Table, &dyn Objects),
    upload: &mut Upload,
    updates: &mut Updates<'_>,
    report: &mut Report,
    reader: &mut Reader,
) -> StoreResult<()> {
    let done = updates.finish().await?;
    done.too_large.iter().for_each(|row| report.add(row));
    if report.len() > 0 {
        let key = keys::report(&upload.workspace, upload.id, "import", upload.reports);
        objects.put(&key, Bytes::from(std::mem::take(&mut report.0))).await?;
        upload.reports += 1;
    }
    let at = reader.commit();
    let counts = &mut upload.counts;
    counts.stored += done.stored;
    counts.outdated += done.outdated;
    counts.too_large += done.too_large.len() as u64;
    (counts.lines, counts.bad_rows) = (at.counts.lines, at.counts.bad);
    (counts.blanks, counts.headers) = (at.counts.blank, at.counts.header);
    upload.position =
        Some(serde_json::to_string(&at).map_err(|error| StoreError::corrupt("position", error))?);
    uploads::save(ledger, upload).await.map(|_| ())
}
