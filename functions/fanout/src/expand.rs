//! Policy `all`: a recipient for each ID of a user, by the profiles as they are when the file is read.

use std::collections::{HashMap, HashSet};

use fanhook_core::{
    id::{Qaid, SourceName, WorkspaceId},
    identity::{Chooser, Profile},
    push::IdPolicy,
    recipient::{self, Recipient},
    run::Pinned,
};
use fanhook_store::{StoreError, StoreResult, ports::Table, profiles};

use crate::plan::{Segment, Slices};

/// Chunks of a segment before its users become recipients: with the most IDs that a user may have, it stays far below 100 MB.
pub(crate) const CHUNKS: usize = 4;

/// How users become recipients, one for each ID.
pub(crate) struct Expansion {
    workspace: WorkspaceId,
    chooser: Chooser,
    sources: Vec<SourceName>,
}

impl Expansion {
    /// None under policy `first`, where the user is the recipient.
    pub(crate) fn new(pinned: &Pinned) -> Option<Self> {
        let all = pinned.push_content.id_policy == IdPolicy::All;
        all.then(|| Self {
            workspace: pinned.workspace.clone(),
            chooser: Chooser::new(&pinned.id_types, &pinned.push_content),
            sources: pinned.sources.clone(),
        })
    }

    /// The segment with a line for each ID of its users. A user without any keeps the one line: outcome `no_id`.
    pub(crate) async fn expand(&self, table: &dyn Table, segment: Segment) -> StoreResult<Segment> {
        let parse = |line| Recipient::parse(line).map_err(|error| StoreError::corrupt("segment", error));
        let users = segment
            .lines
            .split_inclusive(|&byte| byte == b'\n')
            .map(parse)
            .collect::<StoreResult<Vec<_>>>()?;
        let mut lines = Vec::with_capacity(segment.lines.len());
        for batch in users.chunks(profiles::BATCH) {
            let profiles = self.profiles(table, batch).await?;
            for user in batch {
                self.write(&mut lines, user, profiles.get(user.qaid.as_str()));
            }
        }
        let slices = Slices::of(&lines, segment.slices.size());
        Ok(Segment { lines, slices, ..segment })
    }

    /// Profiles of the users whose line alone does not tell their IDs.
    async fn profiles(
        &self,
        table: &dyn Table,
        users: &[Recipient<'_>],
    ) -> StoreResult<HashMap<String, Profile>> {
        let needed = users.iter().filter(|user| self.chooser.needs_profile(user.ids()));
        let qaids: HashSet<Qaid> = needed.filter_map(|user| user.qaid.as_str().parse().ok()).collect();
        let qaids: Vec<Qaid> = qaids.into_iter().collect();
        let found = profiles::get_many(table, &self.workspace, &qaids).await?;
        Ok(found.into_iter().map(|(qaid, profile)| (qaid.into(), profile)).collect())
    }

    fn write(&self, lines: &mut Vec<u8>, user: &Recipient<'_>, profile: Option<&Profile>) {
        let merged = profile.map(|profile| profile.merged(&self.sources));
        let chosen = self.chooser.all(&user.ids(), merged.as_ref());
        for id in &chosen {
            recipient::write_chosen(lines, user.qaid.as_str(), id.id_type.as_str(), &id.value, user.tags());
        }
        if chosen.is_empty() {
            recipient::write(lines, user.qaid.as_str(), user.ids(), user.tags());
        }
    }
}
