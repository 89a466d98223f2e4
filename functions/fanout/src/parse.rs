//! What a message of the queue says.

use fanhook_core::{chunk::Part, id::RunId};
use serde::Deserialize;

/// Wakes `fanout` up for one part of a run's audience: `{"run":"run_…","part":0}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The run.
    pub run: RunId,
    /// Number of the part.
    pub part: Part,
}
