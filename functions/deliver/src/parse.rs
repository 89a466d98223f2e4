//! A chunk's recipients, read from its lines, and the profiles that they need.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use fanhook_core::{chunk::States, id::Qaid, identity::Profile, recipient::Recipient};
use fanhook_store::{
    StoreResult,
    ports::Table,
    profiles::{self, BATCH},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::job::Job;

/// Batches of profiles that are read at a time.
const AT_A_TIME: usize = 3;

/// A chunk's recipients by index.
pub(crate) struct Recipients<'a> {
    lines: Vec<&'a [u8]>,
    /// Those that were pending at the claim; none where the line can't be read.
    parsed: Vec<Option<Recipient<'a>>>,
    profiles: HashMap<Qaid, Profile>,
}

impl<'a> Recipients<'a> {
    /// Reads the lines of those that are pending.
    pub(crate) fn parse(lines: &'a [u8], states: &States) -> Self {
        let lines: Vec<&[u8]> = lines.split_inclusive(|&byte| byte == b'\n').collect();
        let parse = |(index, line): (usize, &&'a [u8])| {
            states.is_pending(index).then(|| Recipient::parse(line).ok()).flatten()
        };
        let parsed = lines.iter().enumerate().map(parse).collect();
        Self { lines, parsed, profiles: HashMap::new() }
    }

    /// Reads the profiles of those who need more than stands inline.
    pub(crate) async fn fetch(&mut self, job: &Job, table: &dyn Table) -> StoreResult<()> {
        let needing = self.parsed.iter().flatten().filter(|recipient| needs_profile(job, recipient));
        // Under policy `all` a user stands in several lines; a batch holds no key twice.
        let qaids: HashSet<Qaid> =
            needing.filter_map(|recipient| recipient.qaid.as_str().parse().ok()).collect();
        let qaids: Vec<Qaid> = qaids.into_iter().collect();
        let (id_types, tags) = (&job.pinned.push_content.id_types, job.program.tags());
        // What this push does not need of a large profile must not fill the memory.
        let batches = qaids.chunks(BATCH).map(async |batch| {
            let mut found = profiles::get_many(table, &job.pinned.workspace, batch).await?;
            for (_, profile) in &mut found {
                profile.keep(id_types, tags);
            }
            StoreResult::Ok(found)
        });
        let found: Vec<Vec<(Qaid, Profile)>> =
            stream::iter(batches).buffer_unordered(AT_A_TIME).try_collect().await?;
        self.profiles = found.into_iter().flatten().collect();
        Ok(())
    }

    /// The recipient at `index`, if it was pending and can be read.
    pub(crate) fn get(&self, index: usize) -> Option<&Recipient<'a>> {
        self.parsed.get(index)?.as_ref()
    }

    /// How many recipients there are, readable or not.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// What is known of a recipient beside its line.
    pub(crate) fn profile(&self, recipient: &Recipient<'_>) -> Option<&Profile> {
        self.profiles.get(recipient.qaid.as_str())
    }

    /// The user at `index`, whatever its state; empty where the line can't be read.
    pub(crate) fn qaid(&self, index: usize) -> Cow<'_, str> {
        if let Some(recipient) = self.get(index) {
            return recipient.qaid.as_str().into();
        }
        let recipient = self.lines.get(index).and_then(|line| Recipient::parse(line).ok());
        recipient.map(|recipient| recipient.qaid.0).unwrap_or_default()
    }
}

fn needs_profile(job: &Job, recipient: &Recipient<'_>) -> bool {
    let needs_id = recipient.id.is_none() && job.chooser.needs_profile(recipient.ids());
    needs_id || job.program.tags().iter().any(|tag| recipient.tag(tag).is_none_or(str::is_empty))
}
