//! What a due entry leads to: pure decisions over rows as they stand.

use std::time::Duration;

use fanhook_core::{
    run::{Closing, RunState},
    time::Millis,
};
use fanhook_store::{
    chunks::Chunk,
    counters::Counted,
    due::Due,
    parts::{Part, PartState},
    release::{self, Gate},
    runs::{Run, Transition},
};

/// How long a parked chunk's entry rests: it waits for a person, or for the run's expiry.
const PARKED_REST: Duration = Duration::from_hours(1);
/// A run is looked at this often, or more often where entries are filed closer ahead; shorter than a minute, so that no minute is missed.
const RUN_INTERVAL: Duration = Duration::from_secs(30);

/// Times that the deployment sets.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A message that was sent and not acted on for so long is taken for lost.
    pub stand_still: Duration,
    /// How far ahead of a message its due entry is.
    pub due_ahead: Duration,
}

/// What to do with a due entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to wait for: delete it.
    Drop,
    /// There is nothing to do before then: move it there.
    Refile(Millis),
    /// Wake a worker up, and look again later.
    Send,
}

/// For a chunk's entry.
pub fn chunk(entry: &Due, run: Option<&Run>, chunk: Option<&Chunk>, now: Millis, timing: Timing) -> Step {
    // A paused run's chunks are released again by its resume, a closing run's are walked, a failed run's resume releases again.
    if !run.is_some_and(|run| run.state.is_live()) {
        return Step::Drop;
    }
    let Some(chunk) = chunk else {
        // Its part's commit point counts it, so whoever works the part puts the row.
        return Step::Refile(now + timing.due_ahead);
    };
    if chunk.is_done() {
        Step::Drop
    } else if chunk.is_held(now) {
        Step::Refile(chunk.lease)
    } else if chunk.is_parked() {
        Step::Refile(now + PARKED_REST)
    } else if chunk.next_attempt > now {
        Step::Refile(chunk.next_attempt)
    } else if chunk.owner.is_some() {
        Step::Send
    } else {
        stood_still(entry, chunk.next_attempt, now, timing)
    }
}

/// For a part's entry.
pub fn part(entry: &Due, run: Option<&Run>, part: Option<&Part>, now: Millis, timing: Timing) -> Step {
    let (Some(run), Some(part)) = (run, part) else { return Step::Drop };
    // A closing run's open part is woken up too: its worker writes what its commit point counts, and stops.
    if run.state.is_over() || part.state != PartState::Open {
        Step::Drop
    } else if part.is_held(now) {
        Step::Refile(part.lease)
    } else if part.owner.is_some() {
        Step::Send
    } else {
        stood_still(entry, Millis(0), now, timing)
    }
}

fn stood_still(entry: &Due, next_attempt: Millis, now: Millis, timing: Timing) -> Step {
    match entry.sent {
        Some(sent) if sent.max(next_attempt) + timing.stand_still > now => {
            Step::Refile(sent.max(next_attempt) + timing.stand_still)
        }
        _ => Step::Send,
    }
}

/// When to look at an unfinished run again.
pub fn next_look(run: &Run, now: Millis, timing: Timing) -> Millis {
    let regular = now + RUN_INTERVAL.min(timing.due_ahead);
    run.expires_at.filter(|&at| at > now).map_or(regular, |at| at.min(regular))
}

/// The run's expiry came.
pub fn expiry(run: &Run, now: Millis) -> Option<Transition> {
    let open = matches!(run.state, RunState::Starting | RunState::Running | RunState::Paused);
    let expired = open && run.expires_at.is_some_and(|at| at <= now);
    expired.then(|| Transition { closing: Some(Closing::Expired), ..Transition::to(RunState::Closing) })
}

/// A part failed, and whoever worked it died before its run was told.
pub fn failure(run: &Run, parts: &[Part], now: Millis) -> Option<Transition> {
    let open = matches!(run.state, RunState::Starting | RunState::Running | RunState::Paused);
    let failed = parts.iter().find(|part| part.state == PartState::Failed)?;
    open.then(|| Transition {
        failure: failed.failure.as_ref().map(ToString::to_string),
        ended: Some(now),
        ..Transition::to(RunState::Failed)
    })
}

/// The audience has more recipients than the run's webhook takes, and whoever counted them died before the run was told.
pub fn gate(run: &Run, parts: &[Part], now: Millis) -> Option<Transition> {
    let open = matches!(run.state, RunState::Starting | RunState::Running | RunState::Paused);
    match release::gate(run, parts) {
        Gate::Exceeded(failure) if open => {
            Some(Transition { failure: Some(failure), ended: Some(now), ..Transition::to(RunState::Failed) })
        }
        _ => None,
    }
}

/// A run is over when all its parts are at their end or stopped, and its counters' sum is the recipients written.
pub fn completion(run: &Run, parts: &[Part], counted: &Counted, now: Millis) -> Option<Transition> {
    let settled = parts.iter().all(|part| match part.state {
        PartState::Ended | PartState::Stopped => true,
        // Nobody uploads the file of a closing run again.
        PartState::Failed => run.state == RunState::Closing,
        PartState::Open => false,
    });
    let recipients: u64 = parts.iter().map(|part| part.commit.recipients).sum();
    if !settled || counted.totals.sum() != recipients {
        return None;
    }
    let to = match (run.state, run.closing) {
        (RunState::Starting | RunState::Running, _) => RunState::Finished,
        (RunState::Closing, Some(Closing::Cancelled)) => RunState::Cancelled,
        (RunState::Closing, Some(Closing::Expired)) => RunState::Expired,
        _ => return None,
    };
    Some(Transition { ended: Some(now), closing: run.closing, ..Transition::to(to) })
}

#[cfg(test)]
mod tests {
    use fanhook_core::{
        chunk::{ChunkId, Source},
        id::{PushId, RunId, UploadId, WebhookId},
        outcome::Reason,
        run::Proof,
    };
    use fanhook_store::{
        due::Subject,
        files::{FileCode, FileFailure},
    };

    use super::*;

    const NOW: Millis = Millis(10_000_000);
    const TIMING: Timing = Timing { stand_still: Duration::from_mins(10), due_ahead: Duration::from_mins(2) };

    fn run(state: RunState) -> Run {
        Run {
            id: RunId::new(uuid::Uuid::nil()),
            workspace: "acme".parse().unwrap(),
            push: PushId::new(uuid::Uuid::nil()),
            webhook: WebhookId::new(uuid::Uuid::nil()),
            batch_size: 1,
            state,
            epoch: 1,
            created: Millis(0),
            expires_at: None,
            unproved: Vec::new(),
            closing: None,
            failure: None,
            ended: None,
            expires: 0,
        }
    }

    fn row() -> Chunk {
        let id = ChunkId { run: run(RunState::Running).id, part: 0, chunk: 0 };
        Chunk::new(id, Source { segment: 0, fence: 1, offset: 0, length: 9 }, 3, 0)
    }

    fn entry(sent: Option<Millis>) -> Due {
        Due { subject: Subject::Chunk(row().id), at: NOW, sent }
    }

    fn chunk_step(sent: Option<Millis>, row: &Chunk) -> Step {
        chunk(&entry(sent), Some(&run(RunState::Running)), Some(row), NOW, TIMING)
    }

    #[test]
    fn a_chunk_is_sent_again_only_when_nobody_can_be_on_it() {
        assert_eq!(chunk_step(None, &row()), Step::Send);
        let recently = Millis(NOW.0 - 599_000);
        assert_eq!(chunk_step(Some(recently), &row()), Step::Refile(recently + TIMING.stand_still));
        assert_eq!(chunk_step(Some(Millis(NOW.0 - 600_000)), &row()), Step::Send);

        let held = Chunk { owner: Some("a".into()), lease: Millis(NOW.0 + 1), ..row() };
        assert_eq!(chunk_step(None, &held), Step::Refile(held.lease));
        let dead = Chunk { owner: Some("a".into()), lease: NOW, ..row() };
        assert_eq!(chunk_step(Some(recently), &dead), Step::Send);
        let parked = Chunk { stalls: 5, ..dead };
        assert_eq!(chunk_step(None, &parked), Step::Refile(NOW + PARKED_REST));

        let early = Chunk { next_attempt: Millis(NOW.0 + 5), ..row() };
        assert_eq!(chunk_step(None, &early), Step::Refile(early.next_attempt));
    }

    #[test]
    fn an_entry_without_work_behind_it_is_dropped() {
        let mut done = row();
        (0..3).for_each(|index| done.states.finish(index, Reason::Delivered));
        done.states = done.states.counted();
        assert_eq!(chunk_step(None, &done), Step::Drop);
        for state in [RunState::Paused, RunState::Closing, RunState::Finished, RunState::Failed] {
            assert_eq!(chunk(&entry(None), Some(&run(state)), Some(&row()), NOW, TIMING), Step::Drop);
        }
        assert_eq!(chunk(&entry(None), None, Some(&row()), NOW, TIMING), Step::Drop);
        // A row that is counted but not put yet will come.
        let missing = chunk(&entry(None), Some(&run(RunState::Running)), None, NOW, TIMING);
        assert_eq!(missing, Step::Refile(NOW + TIMING.due_ahead));
    }

    #[test]
    fn an_open_part_is_woken_up_while_its_run_is_not_over() {
        let row = Part::new(run(RunState::Running).id, 0, UploadId::new(uuid::Uuid::nil()), 0);
        let step = |state, row: &Part| part(&entry(None), Some(&run(state)), Some(row), NOW, TIMING);
        for state in [RunState::Starting, RunState::Running, RunState::Paused, RunState::Closing] {
            assert_eq!(step(state, &row), Step::Send, "{state:?}");
        }
        assert_eq!(step(RunState::Failed, &row), Step::Drop);
        assert_eq!(step(RunState::Running, &Part { state: PartState::Ended, ..row.clone() }), Step::Drop);
        let held = Part { owner: Some("a".into()), lease: Millis(NOW.0 + 1), ..row };
        assert_eq!(step(RunState::Running, &held), Step::Refile(held.lease));
    }

    #[test]
    fn a_run_is_over_when_every_recipient_is_counted() {
        let mut part = Part::new(run(RunState::Running).id, 0, UploadId::new(uuid::Uuid::nil()), 0);
        part.commit.recipients = 2;
        let mut counted = Counted::default();
        counted.totals.add(Reason::Delivered, 2);
        let over = |run: &Run, part: &Part, counted: &Counted| {
            completion(run, std::slice::from_ref(part), counted, NOW).map(|change| change.to)
        };
        let running = run(RunState::Running);
        assert_eq!(over(&running, &part, &counted), None);
        part.state = PartState::Ended;
        assert_eq!(over(&running, &part, &counted), Some(RunState::Finished));
        assert_eq!(over(&running, &part, &Counted::default()), None);
        assert_eq!(over(&run(RunState::Paused), &part, &counted), None);
        let closing = Run { closing: Some(Closing::Cancelled), ..run(RunState::Closing) };
        for state in [PartState::Ended, PartState::Stopped, PartState::Failed] {
            part.state = state;
            assert_eq!(over(&closing, &part, &counted), Some(RunState::Cancelled));
        }
        assert_eq!(over(&running, &part, &counted), None);
    }

    #[test]
    fn a_failed_part_fails_its_run() {
        let mut part = Part::new(run(RunState::Running).id, 0, UploadId::new(uuid::Uuid::nil()), 0);
        assert_eq!(failure(&run(RunState::Running), std::slice::from_ref(&part), NOW), None);
        part.state = PartState::Failed;
        part.failure =
            Some(FileFailure { code: FileCode::FileTruncated, text: "it is truncated".to_owned() });
        let change = failure(&run(RunState::Paused), std::slice::from_ref(&part), NOW);
        let told = change.map(|change| (change.to, change.failure));
        assert_eq!(told, Some((RunState::Failed, Some("file_truncated: it is truncated".to_owned()))));
        assert_eq!(failure(&run(RunState::Closing), &[part], NOW), None);
    }

    #[test]
    fn an_audience_above_the_gate_fails_its_run_and_only_an_uncounted_one_waits() {
        let mut part = Part::new(run(RunState::Running).id, 0, UploadId::new(uuid::Uuid::nil()), 0);
        let untested = |state| Run { unproved: vec![Proof::Test], ..run(state) };
        let gate = |run: &Run, part: &Part| super::gate(run, std::slice::from_ref(part), NOW);
        part.commit.recipients = 101;
        for state in [RunState::Starting, RunState::Running, RunState::Paused] {
            let change = gate(&untested(state), &part).unwrap();
            assert_eq!((change.to, change.ended), (RunState::Failed, Some(NOW)));
            assert!(change.failure.unwrap().starts_with("untested: the audience has 101 or more recipients"));
            assert_eq!(gate(&run(state), &part), None);
        }
        assert_eq!(gate(&untested(RunState::Closing), &part), None);
        part.commit.recipients = 100;
        assert_eq!(gate(&untested(RunState::Running), &part), None);
        let judged = |part: &Part| release::gate(&untested(RunState::Running), std::slice::from_ref(part));
        assert_eq!(judged(&part), Gate::Waiting);
        part.state = PartState::Ended;
        assert_eq!(judged(&part), Gate::Open);
    }

    #[test]
    fn expiry_closes_a_run_once_and_is_looked_at_in_time() {
        let soon = Run { expires_at: Some(NOW), ..run(RunState::Paused) };
        assert_eq!(expiry(&soon, NOW).map(|change| change.to), Some(RunState::Closing));
        assert_eq!(expiry(&soon, Millis(NOW.0 - 1)), None);
        assert_eq!(expiry(&Run { state: RunState::Closing, ..soon.clone() }, NOW), None);
        assert_eq!(next_look(&soon, Millis(NOW.0 - 1_000), TIMING), NOW);
        assert_eq!(next_look(&soon, NOW, TIMING), NOW + RUN_INTERVAL);
    }
}
