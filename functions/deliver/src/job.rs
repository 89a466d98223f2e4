//! What a run pinned at its start, made ready for its recipients. It never changes, so it is kept between invocations.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use fanhook_core::{
    id::{IdTypeCode, RunId},
    identity::Chooser,
    run::Pinned,
    template::{Heading, Program},
};
use fanhook_outbound::{HeaderMap, HeaderName, HeaderValue, Method, Target};
use fanhook_store::{StoreError, StoreResult, ports::Table, runs};
use tokio::sync::Mutex;

/// Runs that are kept.
const KEPT: usize = 16;
const WHAT: &str = "pinned content";
/// How requests name their sender.
pub(crate) const USER_AGENT: &str = concat!("Fanhook/", env!("CARGO_PKG_VERSION"));

/// A run's content, ready to render.
pub(crate) struct Job {
    pub(crate) pinned: Pinned,
    pub(crate) program: Program,
    pub(crate) chooser: Chooser,
    pub(crate) method: Method,
    /// The address, where it is the same for every recipient.
    pub(crate) target: Option<Target>,
    /// Headers that are the same for every recipient.
    pub(crate) headers: Arc<HeaderMap>,
    /// Names of those that differ.
    pub(crate) own_names: Vec<HeaderName>,
    /// Values of `fanhook-id-type`, where the environment is carried.
    pub(crate) id_types: Vec<(IdTypeCode, HeaderValue)>,
    /// Deadline of a request.
    pub(crate) deadline: Duration,
    /// Most users of a request.
    pub(crate) batch_size: usize,
}

impl Job {
    /// Makes what was pinned ready.
    pub(crate) fn new(pinned: Pinned) -> StoreResult<Self> {
        let (push, run) = (pinned.push.to_string(), pinned.run.to_string());
        let heading = Heading { push: &push, name: &pinned.push_name, run: &run };
        let program = Program::compile(&pinned.content, &pinned.push_content, heading)
            .map_err(|faults| StoreError::corrupt(WHAT, format!("{} faults", faults.len())))?;
        let chooser = Chooser::new(&pinned.id_types, &pinned.push_content);
        let method = Method::from_bytes(program.method().as_str().as_bytes()).map_err(corrupt)?;
        let target = program.constant_url().map(Target::parse).transpose().map_err(corrupt)?;
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        for (name, value) in program.constant_headers() {
            headers.insert(name.parse::<HeaderName>().map_err(corrupt)?, text(value)?);
        }
        let mut id_types = Vec::new();
        if pinned.content.carry_environment {
            headers.insert("fanhook-workspace", text(pinned.workspace.as_str())?);
            headers.insert("fanhook-push", text(&push)?);
            headers.insert("fanhook-run", text(&run)?);
            for code in &pinned.push_content.id_types {
                id_types.push((code.clone(), text(code.as_str())?));
            }
        }
        let own_names = program
            .header_names()
            .iter()
            .map(|name| name.parse().map_err(corrupt))
            .collect::<StoreResult<_>>()?;
        let deadline = pinned.content.deadline();
        let batch_size = usize::try_from(pinned.content.batch_size().max(1)).map_err(corrupt)?;
        Ok(Self {
            pinned,
            program,
            chooser,
            method,
            target,
            headers: Arc::new(headers),
            own_names,
            id_types,
            deadline,
            batch_size,
        })
    }
}

fn text(value: &str) -> StoreResult<HeaderValue> {
    HeaderValue::from_str(value).map_err(corrupt)
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt(WHAT, error)
}

/// Jobs of the runs met last.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<VecDeque<Arc<Job>>>);

impl Jobs {
    /// The job of a run. Chunks of one run that ask at the same time read it once.
    pub(crate) async fn get(&self, ledger: &dyn Table, run: RunId) -> StoreResult<Arc<Job>> {
        let mut kept = self.0.lock().await;
        if let Some(at) = kept.iter().position(|job| job.pinned.run == run)
            && let Some(job) = kept.remove(at)
        {
            kept.push_front(Arc::clone(&job));
            return Ok(job);
        }
        let pinned = runs::pinned(ledger, run).await?.ok_or_else(|| corrupt("it is missing"))?;
        let job = Arc::new(Job::new(pinned)?);
        kept.truncate(KEPT - 1);
        kept.push_front(Arc::clone(&job));
        Ok(job)
    }
}
